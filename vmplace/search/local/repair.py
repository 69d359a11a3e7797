"""Local search that makes a placement safe by few moves: ejection chains make the slots that failures lack, one by one.

What is lacking is told by counting whole slots, so the work hardly grows with the cluster; the exact verdict has the last word.
"""

from collections.abc import Iterator
from random import Random

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.certify import certify
from vmplace.failover.planned.first_fit import pack_all, pack_most
from vmplace.failover.restart import RestartProblem
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.restrict import eased
from vmplace.search.bounds.slots import least_moved
from vmplace.search.construct.displace import displace
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.construct.reserves import around, holes, ladder, least_safe
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import CandidatePlacement, Goal, better, migrated
from vmplace.search.local.ejection import clear
from vmplace.search.local.removal import loosen
from vmplace.search.local.slots import Slots
from vmplace.solvers.budget import Budget

__all__ = ["repair_locally"]

_FEW_FAILURES = 20_000
"""So few that come in turn are looked at one by one."""

_ROUNDS = 40
"""How often what the exact verdict finds lacking is made good."""

_STEPS, _WORK_PER_STEP = 100, 10_000
"""Attempts to do with less: so many on a small cluster, fewer as nodes times sizes grow."""


def repair_locally(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool) -> CandidatePlacement | None:
    """A safe candidate that moves little: VMs that cannot stay, and those that make room for what failures need.

    VMs under rules among VMs stay where they are, unless they break them.

    Parameters
    ----------
    thorough
        Whether to look for less to move, once it is safe: not worth the while where an exact search goes on from here.

    Returns None where none is found, where not every failure need be survived, and where nodes are to be switched off.
    """
    if goal.best_effort or goal.consolidates:
        return None
    least, best = least_moved(problem), None
    for node_of in _starts(problem, goal, budget):
        if budget.spent:
            break
        best = better(best, _repaired(problem, goal, node_of, budget, least if thorough else None))
        if best is not None and (migrated(problem, best.node_of) <= least or np.all(problem.node_of >= 0)):
            break
    return best


def _starts(problem: Problem, goal: Goal, budget: Budget) -> Iterator[IntArray]:
    """Placements in which what can stay does: those that wait do not care for holes, or keep off them.

    Online nodes are first left as full as they are, to be relieved with an eye on slots.
    """
    limit = goal.limits(problem)
    lenient = np.where(problem.online[:, None], np.maximum(limit, problem.loads(problem.node_of)), limit)
    for cap in (lenient, limit):
        kept = loosen(problem, goal, cap)
        for reserved in holes(problem, goal):
            filling = BatchFilling(problem, kept, around(problem, limit, reserved, kept), pack=True)
            filling.place_all(problem.lasting)
            filling.raise_cap(limit)
            filling.place_all()
            if filling.complete:
                yield filling.node_of
            elif (made := displace(problem, filling.node_of, limit, goal.unbound(problem), budget=budget)) is not None:
                yield made
            if np.all(kept >= 0):
                break
        if np.array_equal(lenient, limit):
            break


def _repaired(problem: Problem, goal: Goal, node_of: IntArray, budget: Budget, least: int | None) -> CandidatePlacement | None:
    """The placement itself if it is safe, or else with the pools repaired that are not; down to the least, if it is told."""
    evaluator = Evaluator(problem, goal, budget, searching=not problem.in_turn, few=_FEW_FAILURES)
    found = _accepted(evaluator, node_of)
    if found is None and (problem.planned or problem.guarantee.policy is not None):
        found = _with_slots(evaluator, node_of, least)
    if found is None and not problem.plain:
        found = _with_holes(evolve(evaluator, searching=False), node_of)
    return found


def _with_slots(evaluator: Evaluator, node_of: IntArray, least: int | None) -> CandidatePlacement | None:
    """With the slots that plans for failures at once lack; what more is asked is left to the last verdict."""
    problem, goal = evaluator.problem, evaluator.goal
    overfull = (problem.loads(node_of) > goal.limits(problem)).any(axis=1)
    glance = _glance(problem, node_of)
    failing = glance.state.scenarios.pool[_unplanned(glance)]
    pools = np.union1d(problem.pool[overfull], failing).tolist()
    for pool in pools:
        slots = Slots(problem, goal.limits(problem), node_of, pool)
        repair = _PoolRepair(eased(problem), goal, pool, slots, evaluator.budget)
        if not repair.make_safe():
            return None
        if least is not None:
            # What must move in all pools tells of one only if there is but one.
            repair.improve(least if len(pools) == 1 else 0)
        node_of = repair.slots.node_of
    return _accepted(evaluator, node_of)


def _with_holes(evaluator: Evaluator, node_of: IntArray) -> CandidatePlacement | None:
    """With holes cleared where any order of restarts, or a policy, or failures in turn need them: the least that are enough."""
    problem, goal, budget = evaluator.problem, evaluator.goal, evaluator.budget

    def attempt(reserved: IntArray) -> CandidatePlacement | None:
        after, cap = node_of, around(problem, goal.limits(problem), reserved, node_of)
        for pool in problem.pools:
            slots = Slots(problem, cap, after, pool)
            if not clear(slots, _movable(problem, goal, pool), budget=budget):
                return None
            after = slots.node_of
        return _accepted(evaluator, after)

    rungs, guess = ladder(problem, goal)
    best = attempt(rungs[guess])
    return best if best is None else better(best, least_safe(problem, rungs[: guess + 1], attempt, budget=budget))


def _accepted(evaluator: Evaluator, node_of: IntArray) -> CandidatePlacement | None:
    return evaluator.candidate(node_of) if evaluator.goal.allowed(evaluator.problem, node_of) else None


@frozen(eq=False)
class _PoolRepair:
    """A pool that is being made safe."""

    problem: Problem
    goal: Goal
    pool: int
    slots: Slots
    budget: Budget

    def make_safe(self) -> bool:
        """Make what slots are lacking, then what failures without a plan lack, until each has one."""
        for _ in range(_ROUNDS):
            if self.budget.spent or not self._clear():
                return False
            failure = self._failing()
            if failure is None:
                return True
            self.slots.want_more(_stranded(failure))
        return False

    def improve(self, least: int) -> None:
        """Destroy and repair: undo the moves off some nodes and make room anew at random; keep what moves less."""
        random, best = Random(0), migrated(self.problem, self.slots.node_of)
        for _ in range(_STEPS * _WORK_PER_STEP // (_WORK_PER_STEP + self.slots.nodes.size)):
            if best <= least or self.budget.spent:
                break
            before = self.slots.node_of.copy()
            _ruin(self.slots, self._free, random)
            made = self._clear(random)
            cost = migrated(self.problem, self.slots.node_of)
            if made and cost < best and self._failing() is None:
                best = cost
            else:
                self.slots.turn_to(before)

    @property
    def _free(self) -> BoolArray:
        return _movable(self.problem, self.goal, self.pool)

    def _clear(self, random: Random | None = None) -> bool:
        return clear(self.slots, self._free, budget=self.budget, random=random)

    def _failing(self) -> RestartProblem | None:
        """A failure for which quick ways find no plan."""
        glance = _glance(self.problem, self.slots.node_of)
        state = glance.state
        left = np.flatnonzero(_unplanned(glance) & (state.scenarios.pool == self.pool))
        # Those that displace most need most: if one fails it is found soon.
        for scenario in left[np.argsort(-state.asked[left], kind="stable")].tolist():
            restart = RestartProblem.of(state, scenario)
            if pack_all(restart) is None:
                return restart
        return None


def _movable(problem: Problem, goal: Goal, pool: int) -> BoolArray:
    """VMs of a pool that may move and are under no rule, shape (n_vms,)."""
    return np.asarray(goal.unbound(problem) & (problem.vm_pool == pool))


def _glance(problem: Problem, node_of: IntArray) -> Verdict:
    """What is certain of plans for failures without a search."""
    return certify(eased(problem), node_of, budget=Budget(), losses=False, searching=False)


def _unplanned(glance: Verdict) -> BoolArray:
    """Failures for which no plan is found, shape (n_scenarios,)."""
    return np.asarray(glance.fate >= ScenarioStatus.UNSAFE)


def _stranded(failure: RestartProblem) -> IntArray:
    """VMs that a quick plan for a failure leaves out; the largest, where only rules are broken."""
    placed = [vm for item, _ in pack_most(failure) for vm in item.vms]
    left = np.setdiff1d(failure.vms, placed)
    return left if len(left) else failure.vms[:1]


def _ruin(slots: Slots, free: BoolArray, random: Random) -> None:
    """Let VMs that left one or two nodes return there, as far as they fit."""
    home = slots.problem.node_of
    away = np.flatnonzero((home >= 0) & (home != slots.node_of) & free)
    sources = np.unique(home[away]).tolist()
    for node in random.sample(sources, min(len(sources), random.choice((1, 1, 2)))):
        for vm in away[home[away] == node].tolist():
            if slots.fits(vm)[node]:
                slots.lift(vm)
                slots.put(vm, node)
