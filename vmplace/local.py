"""Safe again by few moves, without a solver: slots that failures lack are made one by one, then whatever moved in vain stays.

What is lacking is told by counting whole slots, so the work hardly grows with the cluster; the exact verdict has the last word.
"""

from collections.abc import Iterator
from random import Random

import numpy as np
from attrs import frozen

from vmplace.budget import Budget
from vmplace.certify import Fate, Verdict, certify
from vmplace.clearing import clear
from vmplace.columns import IntArray
from vmplace.fill import Filling
from vmplace.goal import Candidate, Goal
from vmplace.holes import holes
from vmplace.packing import pack_most
from vmplace.problem import BoolArray, Problem
from vmplace.relocate import loosen
from vmplace.restart import Restart
from vmplace.slotbounds import least_moved
from vmplace.slots import Slots
from vmplace.standing import Standing

__all__ = ["repair_locally"]

_ROUNDS = 40
"""How often what the exact verdict finds lacking is made good."""

_STEPS, _WORK_PER_STEP = 100, 10_000
"""Attempts to do with less: so many on a small cluster, fewer as nodes times sizes grow."""


def repair_locally(problem: Problem, goal: Goal, *, budget: Budget) -> Candidate | None:
    """A safe candidate that moves little: VMs that cannot stay, and those that make room for what failures need.

    VMs under rules among VMs stay where they are, unless they break them.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        When it is spent, the best so far is returned.

    Returns
    -------
    Candidate or None
        None where none is found, and where the goal's failures need not all be survived, or are to be on fewer nodes.
    """
    if goal.best_effort or goal.consolidates:
        return None
    least, best = least_moved(problem), None
    for node_of in _starts(problem, goal):
        if budget.spent:
            break
        found = _Repair.of(problem, goal, node_of, budget).candidate(least)
        if found is not None and (best is None or found.values < best.values):
            best = found
        if best is not None and _moved(problem, best.node_of) <= least:
            break
    return best


def _starts(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """Placements in which what can stay does: those that wait keep off the best holes, or do not care."""
    limit = goal.limit(problem)
    kept = loosen(problem, goal, limit)
    for reserved in holes(problem, goal):
        filling = Filling(problem, kept, limit - reserved, pack=True)
        filling.place_all()
        filling.raise_cap(limit)
        filling.place_all()
        if filling.complete:
            yield filling.node_of
        if np.all(kept >= 0):
            break


@frozen(eq=False)
class _Repair:
    """A placement that is being made safe.

    Parameters
    ----------
    pools
        Of each pool the slots.
    free
        VMs that may move, shape (n_vms,).
    """

    problem: Problem
    goal: Goal
    pools: dict[int, Slots]
    free: BoolArray
    budget: Budget

    @classmethod
    def of(cls, problem: Problem, goal: Goal, node_of: IntArray, budget: Budget) -> "_Repair":
        free = goal.free(problem).copy()
        for binding in problem.bindings:
            free[binding.vms] = False
        pools = {pool: Slots(problem, goal, node_of, pool) for pool in np.unique(problem.pool).tolist()}
        return cls(problem, goal, pools, free, budget)

    def candidate(self, least: int) -> Candidate | None:
        """The best placement found, if it is safe; `least` is what must move in any."""
        verdict = self._made_safe()
        if verdict is None:
            return None
        verdict = self._improved(verdict, least)
        node_of = self._node_of
        if not self.goal.allowed(self.problem, node_of):
            return None
        return Candidate(node_of, None, verdict, self.goal.values(self.problem, node_of, verdict, None))

    @property
    def _node_of(self) -> IntArray:
        node_of = self.problem.node_of.copy()
        for pool, slots in self.pools.items():
            mine = self.problem.vm_pool == pool
            node_of[mine] = slots.node_of[mine]
        return node_of

    def _made_safe(self) -> Verdict | None:
        """Make what slots are lacking, then what a failure that is not survived lacks, until none is."""
        if self.problem.failures and not all(clear(slots, self.free, budget=self.budget) for slots in self.pools.values()):
            return None
        for _ in range(_ROUNDS):
            node_of = self._node_of
            verdict = certify(self.problem, node_of, budget=self.budget, losses=False, stop_early=True)
            unsafe = np.flatnonzero(verdict.fate == Fate.UNSAFE)
            if verdict.safe or not len(unsafe):
                return verdict if verdict.safe else None
            slots = self.pools[int(self.problem.pool[unsafe[0]])]
            slots.want_more(_stranded(self.problem, node_of, int(unsafe[0])))
            if self.budget.spent or not clear(slots, self.free, budget=self.budget):
                break
        return None

    def _improved(self, verdict: Verdict, least: int) -> Verdict:
        """Undo what made room on some nodes, and make it anew by chance, as long as that moves no more."""
        random, best = Random(0), _moved(self.problem, self._node_of)
        for slots in self.pools.values():
            for _ in range(_STEPS * _WORK_PER_STEP // (_WORK_PER_STEP + slots.nodes.size)):
                if best <= least or self.budget.spent:
                    break
                before = slots.node_of.copy()
                _ruin(slots, self.free, random)
                cost = _moved(self.problem, self._node_of) if clear(slots, self.free, budget=self.budget, random=random) else best + 1
                if cost < best:
                    new = certify(self.problem, self._node_of, budget=self.budget, losses=False, stop_early=True)
                    if new.safe:
                        verdict, best = new, cost
                        continue
                slots.turn_to(before)
        return verdict


def _stranded(problem: Problem, node_of: IntArray, failed: int) -> IntArray:
    """VMs that a quick plan for a failure leaves out."""
    restart = Restart.of(Standing.of(problem, node_of), failed)
    placed = [vm for item, _ in pack_most(restart) for vm in item.vms]
    return np.setdiff1d(restart.vms, placed)


def _ruin(slots: Slots, free: BoolArray, random: Random) -> None:
    """Let VMs that left one or two nodes return there, as far as they fit."""
    home = slots.problem.node_of
    away = np.flatnonzero((home >= 0) & (home != slots.node_of) & free)
    sources = np.unique(home[away]).tolist()
    for node in random.sample(sources, min(len(sources), random.choice((1, 1, 2)))):
        for vm in away[home[away] == node].tolist():
            if slots.room[node] >= slots.problem.memory[vm] and slots.problem.reachable[slots.problem.signature[vm], node]:
                slots.lift(vm)
                slots.put(vm, node)


def _moved(problem: Problem, node_of: IntArray) -> int:
    return int(problem.memory[(problem.node_of >= 0) & (problem.node_of != node_of)].sum())
