"""The fast construction: spread or pack VMs, largest first, around holes that one node's worth fits into."""

from collections.abc import Iterator

import numpy as np
from attrs import evolve

from vmplace.budget import Budget
from vmplace.certify import certify
from vmplace.columns import IntArray
from vmplace.fill import Filling
from vmplace.goal import Candidate, Goal
from vmplace.holes import dedicated, holes
from vmplace.local import repair_locally
from vmplace.problem import Problem
from vmplace.relocate import loosen

__all__ = ["construct"]


def construct(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool = False) -> Candidate | None:
    """The best placement that the family of quick constructions finds, or None.

    Worst-fit decreasing balances, but leaves free memory in crumbs; so h nodes keep a hole of 1/h of the largest node's
    memory each. The largest h (best balance) whose placement survives every failure is taken; h = 1 is a dedicated spare.
    For the fewest moves a few VMs make room for what failures lack (`repair_locally`); where that is not enough, what must leave
    its node is placed anew around holes, or all that may move. For the fewest nodes VMs are packed best-fit.

    Parameters
    ----------
    problem, goal
        What to place, and how.
    budget
        When it is spent, the best so far is returned.
    thorough
        As for `repair_locally`.
    """
    local = repair_locally(problem, goal, budget=budget, thorough=thorough) if goal.few_moves and goal.move_running else None
    if local is not None and goal.objectives[0] == "moves":
        return local
    best = _best(problem, goal, budget, anew=not goal.few_moves)
    if local is not None and (best is None or local.values < best.values):
        return local
    if best is None and goal.few_moves and goal.move_running:
        best = _best(problem, goal, budget, anew=True)
        return None if best is None else evolve(best, anew=True)
    return best


def _best(problem: Problem, goal: Goal, budget: Budget, *, anew: bool) -> Candidate | None:
    best: Candidate | None = None
    for node_of in _attempts(problem, goal, anew=anew):
        if budget.spent:
            break
        if goal.allowed(problem, node_of):
            candidate = _judge(problem, goal, node_of, budget)
            if candidate is not None and (best is None or candidate.values < best.values):
                best = candidate
        if best is not None and best.verdict.safe and (anew and not goal.consolidates):
            break  # the spreads come in order of balance
    return best


def _attempts(problem: Problem, goal: Goal, *, anew: bool) -> Iterator[IntArray]:
    """Complete placements to judge, those first that are better if they are safe."""
    packs = goal.consolidates
    for reserved in (dedicated if packs else holes)(problem, goal):
        cap = goal.limit(problem) - reserved
        kept = np.where(goal.free(problem), -1, problem.node_of) if anew else loosen(problem, goal, cap)
        filling = Filling(problem, kept, cap, pack=packs or not anew)
        filling.place_all()
        # What found no room beside the holes may go into them: the verdict tells whether that still holds.
        filling.raise_cap(goal.limit(problem))
        filling.place_all()
        if filling.complete:
            yield filling.node_of


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
        unsafe = np.unique(problem.pool[verdict.fate >= 2])
        helpful = [node for node in idle if problem.pool[node] in unsafe]
        if not helpful:
            return None
        idle.remove(helpful[0])
        powered[helpful[0]] = True
