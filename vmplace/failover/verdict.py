"""The verdict on a placement: the fate of each failure scenario, with its plan or the reason why there is none."""

from enum import IntEnum
from functools import cached_property

import numpy as np
from attrs import field, frozen

from vmplace.failover.evictions import with_evictions
from vmplace.failover.outcome import Loss
from vmplace.failover.planned.batch import Restarts, plan_together
from vmplace.failover.planned.decide import decide
from vmplace.failover.restart import Restart
from vmplace.model.columns import IntArray
from vmplace.problem.ranking import ranked
from vmplace.problem.state import Standing
from vmplace.solvers.budget import Budget

__all__ = ["METHODS", "Fate", "Verdict"]


class Fate(IntEnum):
    """What becomes of a scenario."""

    SAFE = 1
    UNSAFE = 2
    UNKNOWN = 3


@frozen(eq=False)
class Verdict:
    """What each failure does to a placement.

    Parameters
    ----------
    standing
        The placement.
    fate
        A `Fate` per scenario, shape (n_scenarios,).
    told_by
        What told so: an index into `METHODS` per scenario, shape (n_scenarios,).
    losses
        Per unsafe scenario: who cannot be restarted, and why.
    plans
        Restarts, as far as a plan was needed to tell.
    turns
        Where failures come in turn: a `Fate` per pool, which all of its scenarios share beside their own.
    certain
        Pools that survive all failures, those too that are too many to be listed.
    """

    standing: Standing
    fate: IntArray
    told_by: IntArray
    losses: dict[int, Loss]
    plans: list[Restarts]
    turns: dict[int, Fate] = field(factory=dict)
    certain: set[int] = field(factory=set)

    @property
    def safe(self) -> bool:
        """Whether every failure is survived."""
        return self.of_pools == Fate.SAFE

    @property
    def unsafe(self) -> bool:
        """Whether some failure is not survived, for certain."""
        return self.of_pools == Fate.UNSAFE

    @property
    def of_pools(self) -> Fate:
        """The fate of all."""
        fates = {self.of_pool(pool) for pool in np.unique(self.standing.failures.pool).tolist()}
        return max(fates, key=_HARM.__getitem__, default=Fate.SAFE)

    def of_pool(self, pool: int) -> Fate:
        """The fate of a pool."""
        failures = self.standing.failures
        fates = set(map(Fate, np.unique(self.fate[failures.pool == pool]).tolist()))
        fates.add(self.turns.get(pool, Fate.SAFE))
        if not failures.complete and pool not in self.certain:
            fates.add(Fate.UNKNOWN)
        return max(fates, key=_HARM.__getitem__)

    def method(self, scenario: int) -> str:
        """What told a scenario's fate."""
        return METHODS[self.told_by[scenario]]

    @cached_property
    def planned(self) -> Restarts:
        """Where VMs restart, as far as a plan was needed to tell."""
        return Restarts.joined(self.plans)

    @cached_property
    def restarts(self) -> Restarts:
        """Where VMs restart, by scenario; plans not needed before are made now."""
        return self._restarts_in(np.arange(len(self.fate)))

    @cached_property
    def failover(self) -> Restarts:
        """As `restarts`, with what becomes of evictable VMs: node -1 for those that are stopped."""
        return self._completed(self.restarts, np.arange(len(self.fate)))

    def failover_in(self, scenario: int) -> Restarts:
        """The same for one scenario, where all would be too many."""
        return self._completed(self._restarts_in(np.array([scenario])), np.array([scenario]))

    @property
    def countable(self) -> bool:
        """Whether the plans of all scenarios are few enough to be made and kept together."""
        return int(self.standing.restarts.sum()) <= MOST_RESTARTS

    def _completed(self, restarts: Restarts, scenarios: IntArray) -> Restarts:
        return with_evictions(self.standing, restarts, scenarios) if self.standing.problem.evictable.any() else restarts

    def _restarts_in(self, scenarios: IntArray) -> Restarts:
        standing = self.standing
        parts = [self.planned[np.isin(self.planned.scenario, scenarios)] if len(scenarios) < len(self.fate) else self.planned]
        open_ = scenarios[(self.fate[scenarios] == Fate.SAFE) & (standing.asked[scenarios] > 0)]
        certified = np.setdiff1d(open_, self.planned.scenario)
        if len(certified):
            plain = standing.plain[certified]
            together = plan_together(standing, certified[plain])
            lost = np.unique(together.scenario[together.node < 0])
            parts.append(together[~np.isin(together.scenario, lost)] if len(lost) else together)
            for scenario in [*lost.tolist(), *certified[~plain].tolist()]:
                plan = decide(Restart.of(standing, scenario), budget=Budget())
                if not plan.safe and not standing.problem.in_turn:  # whose restarts need not be a plan for all at once
                    raise RuntimeError("a failure certified safe has no plan; this is a defect, please report it")
                parts.append(Restarts.of(scenario, plan.vms, plan.nodes))
        restarts = Restarts.joined(parts)
        ascending = bool((restarts.scenario[1:] >= restarts.scenario[:-1]).all())
        return restarts if ascending else restarts[ranked(restarts.scenario)]


METHODS = ("time", "empty", "certificate", "slots", "packing", "sums", "rules", "search", "adversary", "policy")
"""What may have told a fate: time is what there was too little of."""


MOST_RESTARTS = 5_000_000
"""So many restarts are planned, and kept, at once."""


_HARM = {Fate.SAFE: 0, Fate.UNKNOWN: 1, Fate.UNSAFE: 2}
