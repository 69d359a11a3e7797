"""Where the quick constructions leave room for a failed node's VMs."""

from collections.abc import Iterator, Mapping

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
    roomiest = _roomiest(problem, goal)
    largest = int(problem.memory[problem.protected].max(initial=0))
    count = max(1, min(int(problem.usable.max(initial=1)) // max(1, largest), problem.n_nodes // 2)) if problem.failures else 0
    while count >= 1:
        yield _reserve(problem, goal, roomiest, count)
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
    rungs, roomiest = [none], _roomiest(problem, goal)
    for k in range(1, max(map(len, ranks.values()), default=0) + 1):
        # One more for the largest: the node that fails may have a hole itself.
        rungs.append(sum((_on(roomiest[pool], problem, goal, [*rank[:1], *rank[:k]]) for pool, rank in ranks.items()), none))
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
        yield _reserve(problem, goal, _roomiest(problem, goal), 1)


def _reserve(problem: Problem, goal: Goal, roomiest: Mapping[int, IntArray], count: int) -> IntArray:
    """In each pool, a share of the largest node on each of the `count` nodes with most room to begin with."""
    reserved = np.zeros(problem.n_nodes, dtype=np.int64)
    for nodes in roomiest.values():
        largest = int(goal.limit(problem)[nodes].max(initial=0))
        reserved += _on(nodes, problem, goal, [-(-largest // count)] * count)
    return reserved


def _on(nodes: IntArray, problem: Problem, goal: Goal, sizes: list[int]) -> IntArray:
    """Holes of some sizes on the first of some nodes, shape (n_nodes,)."""
    first, reserved = nodes[: len(sizes)], np.zeros(problem.n_nodes, dtype=np.int64)
    # The hole is of usable memory: headroom is free in a failover.
    headroom = (problem.usable - goal.limit(problem))[first]
    reserved[first] = np.maximum(0, np.array(sizes[: len(first)], dtype=np.int64) - headroom)
    return reserved


def _roomiest(problem: Problem, goal: Goal) -> dict[int, IntArray]:
    """The online nodes of each pool, those first that have most beside the VMs that are settled."""
    room = problem.usable - problem.load(goal.settled(problem))
    order = np.argsort(-room, kind="stable")
    order = order[problem.online[order]]
    return {pool: order[problem.pool[order] == pool] for pool in problem.pools}
