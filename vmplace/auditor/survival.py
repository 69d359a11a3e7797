"""Whether failures are survived, without plans to go by: from certificates, sums, and searches of limited work."""

from collections.abc import Container, Iterable
from functools import cached_property

from attrs import define, field

from vmplace.auditor.any_order import find_counterexample
from vmplace.auditor.certificate import doubtful_scenarios
from vmplace.auditor.failures import AuditedFailures, TooHardError, WorkLimit
from vmplace.auditor.policy import simulate
from vmplace.auditor.quorum import without_quorum
from vmplace.auditor.restarts import Restarts, is_impossible

__all__ = ["Survival"]


@define(eq=False)
class Survival:
    """What each failure scenario does to a placement, decided when it is asked for.

    Parameters
    ----------
    failures, effort
        Of the placement, and the states that may be visited in all.
    """

    failures: AuditedFailures
    effort: WorkLimit
    _known: dict[int, bool | None] = field(factory=dict, init=False)

    def survives(self, key: str, pools: Container[int] | None = None) -> bool | None:
        """Whether the scenarios of a key are survived, in all pools or in some; None if that is too hard to tell."""
        return self._worst(self.failures.scenarios.by_key[key], pools)

    def survives_all(self, pools: Container[int] | None = None) -> bool | None:
        """Whether all failures are survived, in all pools or in some; None if that is too hard to tell."""
        scenarios = self.failures.scenarios
        fate = self._worst(sorted(self._doubtful | self._stopped.keys()), pools)
        open_ = any(pools is None or int(scenarios.pool[hosts[0]]) in pools for hosts in scenarios.crowded)
        return None if fate and open_ else fate

    def _worst(self, scenarios: Iterable[int], pools: Container[int] | None) -> bool | None:
        pool_of = self.failures.scenarios.pool_of
        fates = {self.fate(scenario) for scenario in scenarios if pools is None or int(pool_of[scenario]) in pools}
        return False if False in fates else None if None in fates else True

    def fate(self, scenario: int) -> bool | None:
        """Whether one scenario is survived; None if that is too hard to tell."""
        if scenario in self._stopped:
            return False
        if scenario not in self._doubtful:
            return True  # in any order of restarts, so by any plan or policy, too, and in turn: see `vmplace.auditor.sequential`
        if scenario not in self._known:
            self._known[scenario] = self._decided(scenario)
        return self._known[scenario]

    @cached_property
    def _doubtful(self) -> frozenset[int]:
        if self._between and self.failures.bounds:
            return frozenset(range(len(self.failures.scenarios)))
        return frozenset(doubtful_scenarios(self.failures).tolist())

    @property
    def _between(self) -> bool:
        """Whether VMs restart, unplanned, between one failure and the next: what is survived at once then tells little."""
        asked = self.failures.case.cluster.guarantee
        return asked.in_turn and not asked.planned

    @cached_property
    def _stopped(self) -> dict[int, int]:
        return without_quorum(self.failures.case, self.failures.scenarios)

    def _decided(self, scenario: int) -> bool | None:
        failure, asked = self.failures.at_once(scenario), self.failures.case.cluster.guarantee
        if is_impossible(failure):
            return False
        if self._between:
            return None
        try:
            if asked.policy is not None:
                return set(failure.musts) <= set(simulate(failure))
            if asked.restart == "planned":
                return next(Restarts(failure, self.effort).of(failure.musts), None) is not None
            return find_counterexample(failure, self.effort) is None
        except TooHardError:
            return None
