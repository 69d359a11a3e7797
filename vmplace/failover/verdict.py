"""The verdict on a placement: the fate of each failure scenario, with its plan or the reason why there is none."""

from enum import IntEnum
from functools import cached_property

import numpy as np
from attrs import field, frozen

from vmplace.failover.evictions import with_evictions
from vmplace.failover.outcome import Loss
from vmplace.failover.planned.batch import plan_together
from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.planned.decide import decide
from vmplace.failover.restart import RestartProblem
from vmplace.model.columns import IntArray
from vmplace.problem.sizes import ranked
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["METHODS", "JointVerdict", "ScenarioStatus", "Verdict"]


class ScenarioStatus(IntEnum):
    """Whether a scenario is survived."""

    SAFE = 1
    UNSAFE = 2
    UNKNOWN = 3


@frozen(eq=False)
class Verdict:
    """What each failure does to a placement.

    Parameters
    ----------
    state
        The placement.
    fate
        A `ScenarioStatus` per scenario, shape (n_scenarios,).
    told_by
        What told so: an index into `METHODS` per scenario, shape (n_scenarios,).
    losses
        Per unsafe scenario: the VMs that cannot be restarted, and why.
    plans
        Restarts, as far as a plan was needed to tell.
    turns
        Where failures come in turn: a `ScenarioStatus` per pool, which all of its scenarios share beside their own.
    certain
        Pools that survive all failures, those too that are too many to be listed.
    """

    state: PlacementState
    fate: IntArray
    told_by: IntArray
    losses: dict[int, Loss]
    plans: list[RestartColumns]
    turns: dict[int, ScenarioStatus] = field(factory=dict)
    certain: set[int] = field(factory=set)

    @property
    def safe(self) -> bool:
        """Whether every failure is survived."""
        return self.of_pools == ScenarioStatus.SAFE

    @property
    def unsafe(self) -> bool:
        """Whether some failure is not survived, for certain."""
        return self.of_pools == ScenarioStatus.UNSAFE

    @property
    def of_pools(self) -> ScenarioStatus:
        """The fate of all."""
        fates = {self.of_pool(pool) for pool in np.unique(self.state.scenarios.pool).tolist()}
        return max(fates, key=_HARM.__getitem__, default=ScenarioStatus.SAFE)

    def of_pool(self, pool: int) -> ScenarioStatus:
        """The fate of a pool."""
        scenarios = self.state.scenarios
        fates = set(map(ScenarioStatus, np.unique(self.fate[scenarios.pool == pool]).tolist()))
        fates.add(self.turns.get(pool, ScenarioStatus.SAFE))
        if not scenarios.complete and pool not in self.certain:
            fates.add(ScenarioStatus.UNKNOWN)
        return max(fates, key=_HARM.__getitem__)

    def method(self, scenario: int) -> str:
        """What told a scenario's fate."""
        return METHODS[self.told_by[scenario]]

    @cached_property
    def planned(self) -> RestartColumns:
        """Where VMs restart, as far as a plan was needed to tell."""
        return RestartColumns.joined(self.plans)

    @cached_property
    def restarts(self) -> RestartColumns:
        """Where VMs restart, by scenario; plans not needed before are made now."""
        return self._restarts_in(np.arange(len(self.fate)))

    @cached_property
    def failover(self) -> RestartColumns:
        """As `restarts`, with the evictable VMs: node -1 for VMs that are stopped."""
        return self._completed(self.restarts, np.arange(len(self.fate)))

    def failover_in(self, scenario: int) -> RestartColumns:
        """The same for one scenario, where all would be too many."""
        return self._completed(self._restarts_in(np.array([scenario])), np.array([scenario]))

    @property
    def countable(self) -> bool:
        """Whether the plans of all scenarios are few enough to be made and kept together."""
        return int(self.state.restarts.sum()) <= MOST_RESTARTS

    def _completed(self, restarts: RestartColumns, scenarios: IntArray) -> RestartColumns:
        return with_evictions(self.state, restarts, scenarios) if self.state.problem.evictable.any() else restarts

    def _restarts_in(self, scenarios: IntArray) -> RestartColumns:
        state = self.state
        parts = [self.planned[np.isin(self.planned.scenario, scenarios)] if len(scenarios) < len(self.fate) else self.planned]
        open_ = scenarios[(self.fate[scenarios] == ScenarioStatus.SAFE) & (state.asked[scenarios] > 0)]
        certified = np.setdiff1d(open_, self.planned.scenario)
        if len(certified):
            together = plan_together(state, certified)
            lost = np.unique(together.scenario[together.node < 0])
            parts.append(together[~np.isin(together.scenario, lost)] if len(lost) else together)
            for scenario in lost.tolist():
                plan = decide(RestartProblem.of(state, scenario), budget=Budget())
                if not plan.safe and not state.problem.in_turn:  # whose restarts need not be a plan for all at once
                    raise RuntimeError("a failure certified safe has no plan; this is a defect, please report it")
                parts.append(RestartColumns.of(scenario, plan.vms, plan.nodes))
        restarts = RestartColumns.joined(parts)
        ascending = bool((restarts.scenario[1:] >= restarts.scenario[:-1]).all())
        return restarts if ascending else restarts[ranked(restarts.scenario)]


@frozen(eq=False)
class JointVerdict:
    """The verdicts on one placement under each of the guarantees that must all hold.

    Parameters
    ----------
    parts
        In the order of the guarantees; where certifying ended early, none after the first that does not hold.
    """

    parts: tuple[Verdict, ...]

    @property
    def safe(self) -> bool:
        """Whether every guarantee holds."""
        return all(part.safe for part in self.parts)

    @property
    def unsafe(self) -> bool:
        """Whether some guarantee does not hold, for certain."""
        return any(part.unsafe for part in self.parts)

    @property
    def decided(self) -> bool:
        """Whether it is known of every listed failure whether it is survived."""
        return not any(np.any(part.fate == ScenarioStatus.UNKNOWN) for part in self.parts)


METHODS = ("time", "empty", "certificate", "slots", "packing", "sums", "rules", "search", "adversary", "policy", "quorum")
"""What may have told a fate: time is what there was too little of."""


MOST_RESTARTS = 5_000_000
"""So many restarts are planned, and kept, at once."""


_HARM = {ScenarioStatus.SAFE: 0, ScenarioStatus.UNKNOWN: 1, ScenarioStatus.UNSAFE: 2}
