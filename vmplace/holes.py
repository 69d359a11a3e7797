"""Where the quick constructions leave room for a failed node's VMs."""

from collections.abc import Iterator

import numpy as np

from vmplace.columns import IntArray
from vmplace.goal import Goal
from vmplace.problem import Problem

__all__ = ["dedicated", "holes"]


def holes(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """Memory to leave free per node, in MiB, shape (n_nodes,): in ever fewer and larger holes.

    The first are as many as still take the largest protected VM each; before them none at all, where that can do.
    """
    largest = int(problem.memory[problem.protected].max(initial=0))
    free = int(goal.limit(problem)[problem.online].sum()) - int(problem.memory.sum())
    # Spread evenly, every node has the mean free: a larger VM would restart nowhere.
    if problem.failures == 0 or largest * int(problem.online.sum()) <= free or goal.few_moves or goal.best_effort:
        yield np.zeros(problem.n_nodes, dtype=np.int64)
    if problem.failures == 0:
        return
    count = max(1, min(int(problem.usable.max(initial=1)) // max(1, largest), problem.n_nodes // 2))
    while count >= 1:
        yield _reserve(problem, goal, count)
        count //= 2


def dedicated(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """No holes, then the roomiest node of each pool left empty."""
    yield np.zeros(problem.n_nodes, dtype=np.int64)
    if problem.failures:
        yield _reserve(problem, goal, 1)


def _reserve(problem: Problem, goal: Goal, count: int) -> IntArray:
    """In each pool, a share of the largest node on each of the `count` nodes with most room to begin with."""
    reserved = np.zeros(problem.n_nodes, dtype=np.int64)
    room = problem.usable - problem.load(goal.settled(problem))
    for pool in np.unique(problem.pool):
        nodes = np.flatnonzero(problem.online & (problem.pool == pool))
        if len(nodes):
            size = -(-int(goal.limit(problem)[nodes].max()) // count)
            roomiest = nodes[np.argsort(-room[nodes], kind="stable")[:count]]
            # The hole is of usable memory: headroom is free in a failover.
            reserved[roomiest] = np.maximum(0, size - (problem.usable - goal.limit(problem))[roomiest])
    return reserved
