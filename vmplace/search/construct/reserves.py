"""Reserved capacity: how much construction heuristics leave free, and where, for the restarts after a failure."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.sizes import SizeCounts
from vmplace.search.goal import CandidatePlacement, Goal, better
from vmplace.solvers.budget import Budget

__all__ = ["around", "dedicated", "holes", "ladder", "least_safe"]

_STEPS = 16
"""So many sizes of holes are told apart where the largest are enough for certain."""

_SLIGHT = 1e-3
"""Holes that are together no larger than so much of all memory are not worth another try to do with less."""


def around(problem: Problem, limit: IntArray, reserved: IntArray, node_of: IntArray) -> IntArray:
    """What nodes may be filled to beside holes, shape (n_nodes, n_resources): evictable VMs that are placed may be in these."""
    if problem.lasting is None:
        return limit - reserved
    left: IntArray = np.maximum(0, reserved - problem.loads(np.where(problem.evictable, node_of, -1)))
    return limit - left


def holes(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """What to leave free on each node, shape (n_nodes, n_resources): nothing, then as much as may fail at once, in ever fewer
    and larger holes.

    The first are as many as still take the largest protected VM each.
    """
    yield np.zeros_like(problem.capacity)
    if problem.failures:
        yield from _shares(problem, _pools(problem, goal))


def _shares(problem: Problem, pools: list["_PoolReserve"]) -> Iterator[IntArray]:
    largest = int(problem.memory[problem.protected].max(initial=0))
    failing = max((len(pool.failing[0]) for pool in pools), default=1)
    parts = max(1, min(int(problem.usable.max(initial=1)) // max(1, largest), problem.n_nodes // (2 * failing)))
    while parts >= 1:
        yield _joined(problem, [pool.shares(parts) for pool in pools])
        parts //= 2


def ladder(problem: Problem, goal: Goal) -> tuple[list[IntArray], int]:
    """What to leave free on each node, each of shape (n_nodes, n_resources), in ever more or larger holes; and which is a good
    guess.

    No hole at all; then, as no node should hold more than its share of large VMs, holes for the largest and for each of the k
    largest that nodes come to hold when all are dealt out by size; then as `holes`. In any order few large holes serve best, as
    of each a part is lost: the fewest, in ever larger parts; then more of them.
    """
    none = np.zeros_like(problem.capacity)
    if problem.failures == 0:
        return [none], 0
    pools = _pools(problem, goal)
    shares = list(_shares(problem, pools))
    if not problem.plain:
        *more, fewest = shares
        rungs = [fewest * step // _STEPS for step in range(_STEPS + 1)]
        return rungs + more[::-1], _STEPS
    most = max((len(ranks) for pool in pools for ranks in pool.ranks), default=0)
    rungs = [none, *(_joined(problem, [pool.ranked(k) for pool in pools]) for k in range(1, most + 1))]
    return rungs + shares, most


def dedicated(problem: Problem, goal: Goal) -> Iterator[IntArray]:
    """No holes, then as many of the roomiest nodes of each pool left empty as may fail at once."""
    yield np.zeros_like(problem.capacity)
    if problem.failures:
        yield _joined(problem, [pool.shares(1) for pool in _pools(problem, goal)])


def least_safe(
    problem: Problem, rungs: list[IntArray], attempt: Callable[[IntArray], CandidatePlacement | None], *, budget: Budget
) -> CandidatePlacement | None:
    """The best of attempts with as few holes as are safe, found by halving; the last of the rungs are."""
    best, low, high = None, 0, len(rungs) - 1
    while low < high and not budget.spent and (rungs[high] - rungs[low])[:, 0].sum() > problem.usable.sum() * _SLIGHT:
        middle = (low + high) // 2
        candidate = attempt(rungs[middle])
        best = better(best, candidate)
        low, high = (low, middle) if candidate is not None and candidate.verdict.safe else (middle + 1, high)
    return best


def _joined(problem: Problem, parts: list[IntArray]) -> IntArray:
    return sum(parts, np.zeros_like(problem.capacity))


def _pools(problem: Problem, goal: Goal) -> list["_PoolReserve"]:
    """The pools that have online nodes."""
    # Evictable VMs make room: they fill no hole.
    settled = goal.settled(problem)
    room = problem.usable - problem.load(settled if problem.lasting is None else np.where(problem.lasting, settled, -1))
    order = np.argsort(-room, kind="stable")
    order = order[problem.online[order]]
    order = order[np.argsort(_nth(problem.unit[order]), kind="stable")]
    limits = goal.limits(problem)
    found = ((pool, order[problem.pool[order] == pool]) for pool in problem.pools)
    return [_PoolReserve(problem, pool, nodes, limits) for pool, nodes in found if len(nodes)]


def _nth(keys: IntArray) -> IntArray:
    """How many equal ones come before each."""
    order = np.argsort(keys, kind="stable")
    first = np.searchsorted(keys[order], keys)
    nth = np.empty(len(keys), dtype=np.int64)
    nth[order] = np.arange(len(keys))
    return nth - first


@frozen(eq=False)
class _PoolReserve:
    """A pool's nodes, for holes.

    Parameters
    ----------
    problem, pool
        The cluster, and which pool.
    nodes
        Online ones, the roomiest of each unit first: what fails takes the holes on it along, so few are on each.
    limits
        What normal running may use, shape (n_nodes, n_resources).
    """

    problem: Problem
    pool: int
    nodes: IntArray
    limits: IntArray

    def shares(self, parts: int) -> IntArray:
        """Each node that may fail in so many holes, or in more where they would be larger than any node."""
        parts = max(parts, self._fewest)
        return self._on([self._sizes(resource, parts) for resource in self._firm])

    def ranked(self, count: int) -> IntArray:
        """Holes for so many of the largest VMs of each node that may fail."""
        failing, sizes = len(self.failing[0]), []
        for ranks in self.ranks:
            wanted = [size for size in ranks[:count] for _ in range(failing)]
            # What fails takes its own holes along: so many more for the largest.
            others = max(1, int(self._units.max()) + 1 - self.problem.failures)
            lost = self.problem.failures * -(-len(wanted) // others)
            sizes.append([*(ranks[:1] * lost), *wanted])
        return self._on(sizes)

    @cached_property
    def failing(self) -> list[list[int]]:
        """Of each resource, what the nodes of the units with most of it may use that fail at once, in descending order."""
        found = []
        for resource in self._firm:
            amounts = self.limits[self.nodes, resource]
            most = np.argsort(-np.bincount(self._units, amounts), kind="stable")[: self.problem.failures]
            found.append(sorted(amounts[np.isin(self._units, most)].tolist(), reverse=True))
        return found

    @cached_property
    def ranks(self) -> list[list[int]]:
        """Of each resource, what the first, second, ... largest protected VM of a node will have at most, as far as nodes have
        less free."""
        found = []
        for resource in self._firm:
            free = int(self.limits[self.nodes, resource].sum()) - self._total(resource)
            ranks: list[int] = []
            for size in self._protected(resource).every(len(self.nodes)).tolist():
                if size * len(self.nodes) <= free - len(self.failing[resource]) * sum(ranks):
                    break
                ranks.append(size)
            found.append(ranks)
        return found

    @cached_property
    def _units(self) -> IntArray:
        """The unit of each node, numbered anew, shape (n_nodes,)."""
        return np.unique(self.problem.unit[self.nodes], return_inverse=True)[1]

    @property
    def _firm(self) -> range:
        return range(self.problem.n_firm)

    @cached_property
    def _fewest(self) -> int:
        parts, most = 1, int(self.limits[self.nodes, 0].max())
        while parts < len(self.nodes) and max(self._sizes(0, parts)) > most:
            parts *= 2
        return parts

    def _sizes(self, resource: int, parts: int) -> list[int]:
        """Sizes of the holes that each failing node's worth is split into."""
        first, *others = self.failing[resource]
        lost = self._lost[resource]
        amounts = sorted((max(0, first - lost), *others), reverse=True)
        return [lost + -(-amount // parts) for amount in amounts for _ in range(parts)]

    @cached_property
    def _lost(self) -> list[int]:
        """What restarts in any order can make useless of each hole: one step less than the largest VM needs."""
        if self.problem.plain:
            return [0 for _ in self._firm]
        bits = np.bitwise_or.reduce(self.problem.demand, axis=0).tolist()
        return [max(0, self._protected(resource).largest - (bits[resource] & -bits[resource])) for resource in self._firm]

    def _protected(self, resource: int) -> SizeCounts:
        """What protected VMs need of a resource."""
        if resource == 0:
            return self.problem.sizes(self.pool, protected=True)
        mine = self.problem.protected & (self.problem.vm_pool == self.pool)
        return SizeCounts.of(self.problem.demand[mine, resource])

    def _total(self, resource: int) -> int:
        """What the VMs take of a resource that keep it in a failover."""
        if resource == 0 and self.problem.lasting is None:
            return self.problem.sizes(self.pool).total
        mine = (self.problem.vm_pool == self.pool) & ~self.problem.evictable
        return int(self.problem.demand[mine, resource].sum())

    def _on(self, sizes: list[list[int]]) -> IntArray:
        """Holes of some sizes of each resource on the nodes in turn, shape (n_nodes, n_resources)."""
        reserved = np.zeros_like(self.limits)
        for resource, own in enumerate(sizes):
            np.add.at(reserved[:, resource], self.nodes[np.arange(len(own)) % len(self.nodes)], own)
        # The hole is of what there is: headroom is free in a failover.
        return np.maximum(0, reserved - (self.problem.capacity - self.limits))
