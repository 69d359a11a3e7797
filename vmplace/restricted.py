"""A problem with most of its VMs fixed, for searches among the others."""

import numpy as np
from attrs import evolve

from vmplace.columns import IntArray
from vmplace.goal import Goal
from vmplace.problem import Problem

__all__ = ["restricted"]


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
