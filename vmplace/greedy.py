"""The fast construction: spread or pack VMs, largest first, around holes that one node's worth fits into."""

import numpy as np
from attrs import evolve

from vmplace.budget import Budget
from vmplace.certify import certify
from vmplace.columns import IntArray
from vmplace.fill import Filling
from vmplace.goal import Candidate, Goal, better
from vmplace.holes import dedicated, holes, ladder
from vmplace.local import repair_locally
from vmplace.problem import Problem
from vmplace.relocate import loosen
from vmplace.scenarios import Fate

__all__ = ["construct"]

_SLIGHT = 1e-3
"""Holes that are together no larger than so much of all memory are not worth another try to do with less."""


def construct(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool = False) -> Candidate | None:
    """The best placement that the family of quick constructions finds, or None.

    Worst-fit decreasing balances, but leaves free memory in crumbs; so some nodes keep holes, the fewest and smallest that are
    found to survive every failure. For the fewest moves a few VMs make room for what failures lack (`repair_locally`); where that
    is not enough, what must leave its node is placed anew around holes, or all that may move. For the fewest nodes VMs are packed
    best-fit.

    Parameters
    ----------
    problem, goal
        What to place, and how.
    budget
        When it is spent, the best so far is returned.
    thorough
        As for `repair_locally`.
    """
    if not goal.few_moves:
        return _anew(problem, goal, budget)
    local = repair_locally(problem, goal, budget=budget, thorough=thorough) if goal.move_running else None
    if local is not None and goal.objectives[0] == "moves":
        return local
    best = better(local, _packed(problem, goal, budget, anew=False))
    if best is None and goal.move_running:
        best = _anew(problem, goal, budget)
        return None if best is None else evolve(best, anew=True)
    return best


def _anew(problem: Problem, goal: Goal, budget: Budget) -> Candidate | None:
    return _packed(problem, goal, budget, anew=True) if goal.consolidates else _spread(problem, goal, budget)


def _packed(problem: Problem, goal: Goal, budget: Budget, *, anew: bool) -> Candidate | None:
    """The best of packing around each of some holes."""
    best: Candidate | None = None
    for reserved in (dedicated if goal.consolidates else holes)(problem, goal):
        if budget.spent:
            break
        best = better(best, _attempt(problem, goal, budget, reserved, anew=anew, pack=True))
    return best


def _spread(problem: Problem, goal: Goal, budget: Budget) -> Candidate | None:
    """The best of spreading around holes: enough of them first, then fewer as long as that is safe and makes a difference."""
    if budget.spent:
        return None
    reserves, guess = ladder(problem, goal)
    best = _attempt(problem, goal, budget, reserves[guess], anew=True)
    if _is_safe(best):
        return _with_fewer(problem, goal, budget, reserves[: guess + 1], best)
    # Where more holes do not help, fewer may: what is to fit in between has more room then.
    for reserved in [*reserves[guess + 1 :], *reversed(reserves[:guess])]:
        if budget.spent or _is_safe(best):
            return best
        best = better(best, _attempt(problem, goal, budget, reserved, anew=True))
    if best is None and not budget.spent:
        # Packed tightly, with one node's worth empty, what is nearly full fits, if not well balanced.
        best = _attempt(problem, goal, budget, reserves[-1], anew=True, pack=True)
    return best


def _with_fewer(
    problem: Problem, goal: Goal, budget: Budget, reserves: list[IntArray], best: Candidate | None
) -> Candidate | None:
    """The best with as few holes as are safe, found by halving; the last are."""
    low, high = 0, len(reserves) - 1
    while low < high and not budget.spent and (reserves[high] - reserves[low]).sum() > problem.usable.sum() * _SLIGHT:
        middle = (low + high) // 2
        candidate = _attempt(problem, goal, budget, reserves[middle], anew=True)
        best = better(best, candidate)
        low, high = (low, middle) if _is_safe(candidate) else (middle + 1, high)
    return best


def _is_safe(candidate: Candidate | None) -> bool:
    return candidate is not None and candidate.verdict.safe


def _attempt(
    problem: Problem, goal: Goal, budget: Budget, reserved: IntArray, *, anew: bool, pack: bool = False
) -> Candidate | None:
    """What comes of filling nodes up to their holes: all that may move, or only what must."""
    limit = goal.limit(problem)
    kept = np.where(goal.free(problem), -1, problem.node_of) if anew else loosen(problem, goal, limit - reserved)
    filling = Filling(problem, kept, limit - reserved, pack=pack)
    filling.place_all()
    if not filling.complete:
        # What found no room beside the holes may go into them: the verdict tells whether that still holds.
        filling.raise_cap(limit)
        filling.place_all()
    if not filling.complete or not goal.allowed(problem, filling.node_of):
        return None
    return _judge(problem, goal, filling.node_of, budget)


def _judge(problem: Problem, goal: Goal, node_of: IntArray, budget: Budget) -> Candidate | None:
    if goal.consolidates:
        return _with_spares(problem, goal, node_of, budget)
    verdict = certify(problem, node_of, budget=budget, losses=goal.best_effort, stop_early=not goal.best_effort)
    if not goal.accepts(problem, verdict):
        return None
    return Candidate(node_of, None, verdict, goal.values(problem, node_of, verdict, None))


def _with_spares(problem: Problem, goal: Goal, node_of: IntArray, budget: Budget) -> Candidate | None:
    """Switch on idle nodes, the largest first, until every failure is survived."""
    powered = np.zeros(problem.n_nodes, dtype=bool)
    powered[node_of] = True
    idle = np.flatnonzero(problem.online & ~powered)
    idle = idle[np.argsort(-problem.usable[idle], kind="stable")].tolist()
    while True:
        verdict = certify(
            problem, node_of, budget=budget, powered=powered, losses=goal.best_effort, stop_early=not goal.best_effort
        )
        enough = verdict.safe if not goal.best_effort or idle else goal.accepts(problem, verdict)
        if enough:
            return Candidate(node_of, powered.copy(), verdict, goal.values(problem, node_of, verdict, powered))
        if not idle or budget.spent:
            return None
        unsafe = np.unique(verdict.standing.failures.pool[verdict.fate >= Fate.UNSAFE])
        helpful = [node for node in idle if problem.pool[node] in unsafe]
        if not helpful:
            return None
        idle.remove(helpful[0])
        powered[helpful[0]] = True
