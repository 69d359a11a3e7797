"""Searches among a few VMs of a placement, all others staying where they are."""

from fractions import Fraction

import numpy as np
from attrs import evolve

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget

__all__ = ["restricted", "search_among"]


def search_among(
    problem: Problem,
    goal: Goal,
    node_of: IntArray,
    chosen: IntArray,
    onto: BoolArray,
    *,
    budget: Budget,
    bounds: tuple[int | Fraction, ...],
    start: CandidatePlacement | None = None,
    slots: set[int],
    seed: int,
    effort: float,
) -> tuple[CandidatePlacement | None, bool]:
    """The best placement found of the chosen VMs, and whether it is proved best of these.

    Parameters
    ----------
    problem, goal
        What is asked of all VMs.
    node_of
        Where the others stay, shape (n_vms,).
    chosen
        VMs to place anew, those that wait among them.
    onto, slots, seed, effort
        As for `search`.
    budget
        The time there is; nobody hears of progress, the figures are not the whole's.
    bounds
        Of the goal's stages, for all VMs.
    start
        A candidate with the others at `node_of`.
    """
    part, aim = restricted(problem, goal, node_of, chosen)
    if start is not None:
        start = evolve(start, values=aim.values(part, start.node_of, start.verdict, start.powered), anew=False)
    # Of moves, those of the others are not counted here.
    least = tuple(0 if name == "moves" else bound for (name, _), bound in zip(goal.stages(problem), bounds, strict=True))
    found = search(part, aim, budget=budget.silent(), start=start, onto=onto, bounds=least, slots=slots, seed=seed, effort=effort)
    best = found.best
    if best is None or best is start:
        return None, found.optimal
    return evolve(best, values=goal.values(problem, best.node_of, best.verdict, best.powered)), found.optimal


def restricted(problem: Problem, goal: Goal, node_of: IntArray, chosen: IntArray) -> tuple[Problem, Goal]:
    """The problem and the goal with all but the chosen VMs fixed at `node_of`; what those have moved is spent.

    Of moves, the restricted problem counts those of the chosen VMs only.
    """
    fixed = np.ones(problem.n_vms, dtype=bool)
    fixed[chosen] = False
    moved = fixed & (problem.node_of >= 0) & (problem.node_of != node_of)
    part = evolve(problem, node_of=np.where(fixed, node_of, problem.node_of), movable=problem.movable & ~fixed)
    return part, evolve(
        goal,
        max_moves=None if goal.max_moves is None else goal.max_moves - int(moved.sum()),
        max_migrated=None if goal.max_migrated is None else goal.max_migrated - int(problem.memory[moved].sum()),
    )
