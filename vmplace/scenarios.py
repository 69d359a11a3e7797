"""Which failures a placement survives, each by itself: certificates and plans for all at once, then one by one what is left."""

from enum import IntEnum
from functools import cached_property

import numpy as np
from attrs import field, frozen

from vmplace.budget import Budget
from vmplace.certificates import Certificates
from vmplace.columns import IntArray
from vmplace.decide import decide
from vmplace.evictions import with_evictions
from vmplace.lockstep import Restarts, plan_together
from vmplace.problem import BoolArray
from vmplace.ranking import ranked
from vmplace.restart import Loss, Plan, Reason, Restart
from vmplace.standing import Standing
from vmplace.turns import decide_any_order_in_turn, survives_in_turn
from vmplace.unplanned import decide_any_order, decide_policy

__all__ = ["METHODS", "Fate", "Verdict", "fates_in_turn", "judge"]


class Fate(IntEnum):
    """What becomes of a scenario."""

    SAFE = 1
    UNSAFE = 2
    UNKNOWN = 3


METHODS = ("time", "empty", "certificate", "slots", "packing", "sums", "rules", "search", "adversary", "policy")
"""What may have told a fate: time is what there was too little of."""

_MOST_RESTARTS = 5_000_000
"""So many restarts are planned, and kept, at once."""


_HARM = {Fate.SAFE: 0, Fate.UNKNOWN: 1, Fate.UNSAFE: 2}


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
        return int(self.standing.restarts.sum()) <= _MOST_RESTARTS

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


def judge(
    standing: Standing, *, budget: Budget, losses: bool = True, stop_early: bool = False, searching: bool = True
) -> Verdict:
    """Decide each scenario of a placement exactly; the parameters are those of `vmplace.certify.certify`."""
    trial = _Trial.of(standing, losses)
    planned = standing.problem.planned
    if stop_early or not losses:
        trial.settle(_hopeless(standing) & trial.open, Fate.UNSAFE, "sums")
        if stop_early and trial.verdict.unsafe:
            return trial.verdict
    certificates = Certificates(standing, everyone=not planned)
    unbound = standing.unbound & trial.open
    if unbound.any() and standing.problem.guarantee.policy is None:
        trial.settle(certificates.any_order & unbound, Fate.SAFE, "certificate")
    if not standing.failures.complete and standing.unruled and standing.problem.guarantee.policy is None:
        trial.verdict.certain.update(certificates.certain_pools)
    if planned:
        trial.plan_together(certificates)
    left = np.flatnonzero(trial.open) if searching else np.zeros(0, dtype=np.int64)
    for done, scenario in enumerate(left.tolist()):
        budget.tell("check", done=done, total=len(left))
        if budget.spent:
            break
        trial.decide(scenario, budget)
        if stop_early and trial.verdict.fate[scenario] == Fate.UNSAFE:
            break
    return trial.verdict


@frozen(eq=False)
class _Trial:
    """A verdict in the making."""

    verdict: Verdict
    wants_losses: bool

    @classmethod
    def of(cls, standing: Standing, wants_losses: bool) -> "_Trial":
        fate = np.full(len(standing.failures), int(Fate.UNKNOWN), dtype=np.int64)
        trial = cls(Verdict(standing, fate, np.zeros_like(fate), {}, []), wants_losses)
        trial.settle(standing.asked == 0, Fate.SAFE, "empty")
        return trial

    @property
    def standing(self) -> Standing:
        return self.verdict.standing

    @property
    def open(self) -> BoolArray:
        """Scenarios left, shape (n_scenarios,)."""
        return np.asarray(self.verdict.fate == Fate.UNKNOWN)

    @property
    def plain(self) -> BoolArray:
        """Scenarios left whose restarts nothing binds but memory, shape (n_scenarios,)."""
        return np.asarray(self.standing.plain & self.open)

    def settle(self, scenarios: BoolArray | IntArray | int, fate: Fate, how: str) -> None:
        self.verdict.fate[scenarios] = fate
        self.verdict.told_by[scenarios] = METHODS.index(how)

    def plan_together(self, certificates: Certificates) -> None:
        """What array passes tell of planned restarts."""
        if self.plain.any():
            self.settle(certificates.slots & self.plain, Fate.SAFE, "slots")
        together = self.plain & (self.standing.refuge >= 0)
        if together.any():
            self._plan(np.flatnonzero(together))

    def _plan(self, failing: IntArray) -> None:
        """Plan failures together; where somebody finds no room this tells nothing, unless it is only who fits nowhere."""
        ends = np.cumsum(self.standing.restarts[failing])
        for part in np.split(failing, np.searchsorted(ends, np.arange(_MOST_RESTARTS, int(ends[-1]), _MOST_RESTARTS))):
            if len(part):
                self._plan_part(part)

    def _plan_part(self, failing: IntArray) -> None:
        standing = self.standing
        plans = plan_together(standing, failing)
        lost = plans[plans.node < 0]
        small = standing.problem.memory[lost.vm] <= standing.room_elsewhere[lost.scenario]
        complete = np.setdiff1d(failing, lost.scenario)
        self.settle(complete, Fate.SAFE, "packing")
        told = [complete] if self.verdict.countable else []
        if self.wants_losses:
            told.append(np.setdiff1d(lost.scenario, lost.scenario[small]))
            self._lose(lost[np.isin(lost.scenario, told[-1])])
        if told:
            self.verdict.plans.append(plans[(plans.node >= 0) & np.isin(plans.scenario, np.concatenate(told))])

    def _lose(self, lost: Restarts) -> None:
        """Who fits on no survivor, even alone, is lost in any plan: nothing is left to prove."""
        standing, memory = self.standing, self.standing.problem.memory
        lost = lost[ranked(lost.scenario, -memory[lost.vm])]
        scenarios, first = np.unique(lost.scenario, return_index=True)
        self.settle(scenarios, Fate.UNSAFE, "sums")
        for scenario, vms in zip(scenarios.tolist(), np.split(lost.vm, first)[1:], strict=True):
            refuge, room = int(standing.refuge[scenario]), int(standing.room_elsewhere[scenario])
            reason = Reason("size", (int(vms[0]),), int(memory[vms[0]]), room, refuge)
            self.verdict.losses[scenario] = Loss(vms, reason, minimal=True)

    def decide(self, scenario: int, budget: Budget) -> None:
        """Decide one failure."""
        plan = self._decided(scenario, budget)
        self.verdict.plans.append(Restarts.of(scenario, plan.vms, plan.nodes))
        if plan.safe is not None:
            self.settle(scenario, Fate.SAFE if plan.safe else Fate.UNSAFE, plan.method)
        if plan.loss is not None:
            self.verdict.losses[scenario] = plan.loss

    def _decided(self, scenario: int, budget: Budget) -> Plan:
        problem = self.standing.problem
        if problem.planned:
            return decide(Restart.of(self.standing, scenario), budget=budget, losses=self.wants_losses)
        if problem.guarantee.policy is not None:
            return decide_policy(self.standing, scenario, budget=budget)
        plan = decide_any_order(self.standing, scenario, budget=budget, losses=self.wants_losses)
        if problem.in_turn and not (plan.safe and not self.standing.binding(self.standing.failures.failing(scenario))):
            # Who is stranded when all fail at once need not be when they fail in turn; nor the other way where rules bind VMs
            # to those that restart on a node that fails next.
            return decide_any_order_in_turn(self.standing, scenario, budget=budget)
        return plan


def fates_in_turn(verdict: Verdict, budget: Budget) -> dict[int, Fate]:
    """Of each pool whose failures are survived one by one whether they are in turn."""
    fates = {}
    for pool in np.unique(verdict.standing.failures.pool).tolist():
        if verdict.of_pool(pool) == Fate.SAFE:
            survived = survives_in_turn(verdict.standing, pool, budget)
            fates[pool] = Fate.UNKNOWN if survived is None else Fate.SAFE if survived else Fate.UNSAFE
    return fates


def _hopeless(standing: Standing) -> BoolArray:
    """Failures that displace more than is free elsewhere, or a VM larger than any survivor has room for, shape (n_scenarios,)."""
    problem, failures = standing.problem, standing.failures
    total = np.zeros(int(problem.pool.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(total, problem.pool, standing.free)
    hopeless = standing.asked > total[failures.pool] - failures.sums(standing.free)
    largest = np.zeros(problem.n_nodes, dtype=np.int64)
    large = standing.larger_than(int(standing.room_elsewhere.min(initial=0)))
    np.maximum.at(largest, standing.node_of[large], problem.memory[large])
    return np.asarray(hopeless | (failures.largest(largest) > standing.room_elsewhere))
