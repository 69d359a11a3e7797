"""Where the quick constructions leave room for a failed node's VMs."""

from collections.abc import Iterator

import numpy as np

from vmplace.columns import IntArray
from vmplace.goal import Goal
from vmplace.problem import Problem

__all__ = ["dedicated", "holes", "ladder"]


def holes(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """Memory to leave free per node, in MiB, shape (n_nodes,): none, then a node's worth, in ever fewer and larger holes.

    The first are as many as still take the largest protected VM each.
    """
    yield np.zeros(problem.n_nodes, dtype=np.int64)
    room = _room(problem, goal)
    largest = int(problem.memory[problem.protected].max(initial=0))
    count = max(1, min(int(problem.usable.max(initial=1)) // max(1, largest), problem.n_nodes // 2)) if problem.failures else 0
    while count >= 1:
        yield _reserve(problem, goal, room, count)
        count //= 2


def ladder(problem: Problem, goal: Goal) -> tuple[list[IntArray], int]:
    """Memory to leave free per node, in MiB, each of shape (n_nodes,), in ever more or larger holes; and which is a good guess.

    No hole at all; then, as no node should hold more than its share of large VMs, one hole for the largest and one for each of
    the k largest that a node comes to hold when all are dealt out by size; then as `holes`.
    """
    none, *shares = holes(problem, goal)
    if problem.failures == 0:
        return [none], 0
    ranks = {pool: _ranks(problem, goal, pool) for pool in problem.pools}
    rungs, room = [none], _room(problem, goal)
    for k in range(1, max(map(len, ranks.values()), default=0) + 1):
        # One more for the largest: the node that fails may have a hole itself.
        rungs.append(sum((_in_pool(problem, goal, room, pool, [*rank[:1], *rank[:k]]) for pool, rank in ranks.items()), none))
    return rungs + shares, len(rungs) - 1


def _ranks(problem: Problem, goal: Goal, pool: int) -> list[int]:
    """What the first, second, ... largest protected VM of a node will have at most, as far as nodes have less free."""
    nodes = np.flatnonzero(problem.online & (problem.pool == pool))
    free = int(goal.limit(problem)[nodes].sum()) - problem.sizes(pool).total
    ranks: list[int] = []
    for size in problem.sizes(pool, protected=True).every(max(1, len(nodes))).tolist():
        if size * len(nodes) <= free - sum(ranks):
            break
        ranks.append(size)
    return ranks


def dedicated(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """No holes, then the roomiest node of each pool left empty."""
    yield np.zeros(problem.n_nodes, dtype=np.int64)
    if problem.failures:
        yield _reserve(problem, goal, _room(problem, goal), 1)


def _reserve(problem: Problem, goal: Goal, room: IntArray, count: int) -> IntArray:
    """In each pool, a share of the largest node on each of the `count` nodes with most room to begin with."""
    reserved = np.zeros(problem.n_nodes, dtype=np.int64)
    for pool in problem.pools:
        largest = int(goal.limit(problem)[problem.online & (problem.pool == pool)].max(initial=0))
        reserved += _in_pool(problem, goal, room, pool, [-(-largest // count)] * count)
    return reserved


def _in_pool(problem: Problem, goal: Goal, room: IntArray, pool: int, sizes: list[int]) -> IntArray:
    """Holes of some sizes on the nodes of a pool with most room to begin with, shape (n_nodes,)."""
    reserved = np.zeros(problem.n_nodes, dtype=np.int64)
    nodes = np.flatnonzero(problem.online & (problem.pool == pool))
    roomiest = nodes[np.argsort(-room[nodes], kind="stable")[: len(sizes)]]
    # The hole is of usable memory: headroom is free in a failover.
    headroom = (problem.usable - goal.limit(problem))[roomiest]
    reserved[roomiest] = np.maximum(0, np.array(sizes[: len(roomiest)], dtype=np.int64) - headroom)
    return reserved


def _room(problem: Problem, goal: Goal) -> IntArray:
    """What nodes have beside the VMs that are settled, in MiB, shape (n_nodes,)."""
    return problem.usable - problem.load(goal.settled(problem))
