"""Safe again by few moves, without a solver: slots that failures lack are made one by one, then whatever moved in vain stays.

What is lacking is told by counting whole slots, so the work hardly grows with the cluster; the exact verdict has the last word.
"""

from collections.abc import Iterator
from random import Random

import numpy as np
from attrs import frozen

from vmplace.budget import Budget
from vmplace.certify import Fate, certify
from vmplace.clearing import clear
from vmplace.columns import IntArray
from vmplace.fill import Filling
from vmplace.goal import Candidate, Goal
from vmplace.holes import holes
from vmplace.packing import pack_all, pack_most
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


def repair_locally(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool) -> Candidate | None:
    """A safe candidate that moves little: VMs that cannot stay, and those that make room for what failures need.

    VMs under rules among VMs stay where they are, unless they break them.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        When it is spent, the best so far is returned.
    thorough
        Whether to look for less to move, once it is safe: not worth the while where an exact search goes on from here.

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
        found = _Repair.of(problem, goal, node_of, budget).candidate(least if thorough else None)
        if found is not None and (best is None or found.values < best.values):
            best = found
        if best is not None and (_moved(problem, best.node_of) <= least or np.all(problem.node_of >= 0)):
            break
    return best


def _starts(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """Placements in which what can stay does: those that wait do not care for holes, or keep off them.

    Online nodes are first left as full as they are, to be relieved with an eye on slots.
    """
    limit = goal.limit(problem)
    lenient = np.where(problem.online, np.maximum(limit, problem.load(problem.node_of)), limit)
    for cap in (lenient, limit):
        kept = loosen(problem, goal, cap)
        for reserved in holes(problem, goal):
            filling = Filling(problem, kept, limit - reserved, pack=True)
            filling.place_all()
            filling.raise_cap(limit)
            filling.place_all()
            if filling.complete:
                yield filling.node_of
            if np.all(kept >= 0):
                break
        if np.array_equal(lenient, limit):
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

    def candidate(self, least: int | None) -> Candidate | None:
        """The best placement found, if it is safe: looked for until no more moves than must at least; None: the first."""
        found = self._accepted()
        if found is None and self._make_safe():
            if least is not None:
                self._improve(least)
            found = self._accepted()
        return found

    def _accepted(self) -> Candidate | None:
        node_of = self._node_of
        if not self.goal.allowed(self.problem, node_of):
            return None
        verdict = certify(self.problem, node_of, budget=self.budget, losses=False, stop_early=True)
        return Candidate(node_of, None, verdict, self.goal.values(self.problem, node_of, verdict, None)) if verdict.safe else None

    @property
    def _node_of(self) -> IntArray:
        node_of = self.problem.node_of.copy()
        for pool, slots in self.pools.items():
            mine = self.problem.vm_pool == pool
            node_of[mine] = slots.node_of[mine]
        return node_of

    def _make_safe(self) -> bool:
        """Make what slots are lacking, then what failures without a plan lack, until each has one."""
        if not all(self._clear(slots) for slots in self.pools.values()):
            return False
        for _ in range(_ROUNDS):
            failure = _failing(self.problem, self._node_of)
            if failure is None:
                return True
            slots = self.pools[int(self.problem.pool[failure.failed])]
            slots.want_more(_stranded(failure))
            if self.budget.spent or not self._clear(slots):
                break
        return False

    def _clear(self, slots: Slots, random: Random | None = None) -> bool:
        return clear(slots, self.free, budget=self.budget, random=random)

    def _improve(self, least: int) -> None:
        """Undo what made room on some nodes, and make it anew by chance; keep what moves less."""
        random, best = Random(0), _moved(self.problem, self._node_of)
        for slots in self.pools.values():
            for _ in range(_STEPS * _WORK_PER_STEP // (_WORK_PER_STEP + slots.nodes.size)):
                if best <= least or self.budget.spent:
                    return
                before = slots.node_of.copy()
                _ruin(slots, self.free, random)
                made = self._clear(slots, random)
                cost = _moved(self.problem, self._node_of)
                if made and cost < best and _failing(self.problem, self._node_of) is None:
                    best = cost
                else:
                    slots.turn_to(before)


def _failing(problem: Problem, node_of: IntArray) -> Restart | None:
    """A failure for which quick ways find no plan."""
    verdict = certify(problem, node_of, budget=Budget(0), losses=False)
    standing = Standing.of(problem, node_of)
    open_ = np.flatnonzero(verdict.fate >= Fate.UNSAFE)
    # Those that displace most need most: if one fails it is found soon.
    for node in open_[np.argsort(-verdict.displaced[open_], kind="stable")].tolist():
        restart = Restart.of(standing, node)
        if pack_all(restart, soft=False) is None:
            return restart
    return None


def _stranded(failure: Restart) -> IntArray:
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
            if slots.room[node] >= slots.problem.memory[vm] and slots.problem.reachable[slots.problem.signature[vm], node]:
                slots.lift(vm)
                slots.put(vm, node)


def _moved(problem: Problem, node_of: IntArray) -> int:
    return int(problem.memory[(problem.node_of >= 0) & (problem.node_of != node_of)].sum())
