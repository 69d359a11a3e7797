"""Certificates where memory alone binds: what it takes to block all targets of a pool, and the slots that are free on them."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.failover.certificates.blocking import any_order_slack, blocking_cost
from vmplace.failover.ruled import RuledItems
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = ["MemoryCertificate", "free_slots", "slot_level", "slots_taken"]

_POWERS = 1 << np.arange(62)


def slot_level(size: int, most: int) -> int:
    """The largest k such that a slot of ``most / 2**k`` holds a VM of a size."""
    return (most // size).bit_length() - 1


def slot_levels(sizes: IntArray, most: int) -> IntArray:
    """The same for many."""
    return np.searchsorted(_POWERS, most // sizes, side="right") - 1


def slots_taken(n_levels: int, counts: Callable[[int], IntArray]) -> Iterator[tuple[int, IntArray]]:
    """Of each level k how many slots of ``most / 2**k`` VMs fill on each node; `counts(k)` counts those of the level there."""
    taken: IntArray | int = 0
    for k in range(n_levels):
        taken = 2 * taken + counts(k)
        yield k, taken


def free_slots(free: IntArray, k: int, most: int) -> IntArray:
    """How many slots of ``most / 2**k`` fit in what is free."""
    return np.asarray((free << k) // most)


@frozen(eq=False)
class MemoryCertificate:
    """A pool's targets, and the failures there that displace something.

    Parameters
    ----------
    state
        The placement.
    number
        Of the pool.
    step
        A common divisor of all VMs' memory, in MiB.
    failing
        Scenarios.
    lost
        Free memory in whole steps of the nodes that fail in each, shape (n_failing, width).
    targets
        Nodes, those with least free memory first.
    free, above
        Free memory of the targets in whole steps; the sum of it from each on, shape (n_targets + 1,).
    asked
        What the failures displace that may restart before the last, in MiB, shape (n_failing,).
    """

    state: PlacementState
    number: int
    step: int
    failing: IntArray
    lost: IntArray
    targets: IntArray
    free: IntArray
    above: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, failing: IntArray, pool: int, step: int, asked: IntArray) -> "MemoryCertificate":
        """A pool with the scenarios to look at; `asked` of all scenarios, shape (n_scenarios,)."""
        targets = np.flatnonzero(state.target & (state.problem.pool == pool))
        whole = state.free // step * step
        free = whole[targets]
        ascending = np.argsort(free)
        above = np.concatenate((np.cumsum(free[ascending][::-1])[::-1], [0]))
        lost = np.append(whole, 0)[state.scenarios.nodes[failing]]
        return cls(state, pool, step, failing, lost, targets[ascending], free[ascending], above, asked[failing])

    @property
    def most(self) -> int:
        """What the failures displace at most, in MiB."""
        return int(self.asked.max(initial=0))

    def stranding(self, size: IntArray, lost: IntArray) -> IntArray:
        """The sum of `blocking_cost` over the surviving targets.

        Parameters
        ----------
        size
            Sizes in MiB, shape (n,).
        lost
            The free memory in whole steps of targets that fail, shape (n, width).
        """
        first = np.searchsorted(self.free, size)
        everywhere = self.above[first] - (len(self.free) - first) * (size - self.step)
        # A node with less free than the size adds nothing: its cost is 0, both being whole steps.
        return np.asarray(everywhere - blocking_cost(lost, size[:, None], self.step).sum(axis=1))

    @property
    def survived(self) -> BoolArray:
        """Failures whose survivors cannot all be blocked, rules aside, shape (n_failing,)."""
        largest = np.full(self.state.problem.n_nodes, self.small, dtype=np.int64)
        np.maximum.at(largest, self.state.node_of[self.large], self.state.problem.memory[self.large])
        size = self.state.scenarios.largest(largest)[self.failing]
        return np.asarray(any_order_slack(self.stranding(size, self.lost), self.asked, size) > 0)

    def finds_room(self, items: RuledItems) -> BoolArray:
        """Whether others cannot block all nodes that each item may use, shape (n_items,); items of these failures."""
        size, pattern, allowed = items.demand[:, 0], items.pattern, items.allowed
        failure, whole = np.searchsorted(self.failing, items.scenario), self.state.free // self.step * self.step
        gone = self.state.scenarios.nodes[items.scenario]
        usable = np.pad(allowed, ((0, 0), (0, 1)))[pattern[:, None], gone]
        lost = (blocking_cost(self.lost[failure], size[:, None], self.step) * usable).sum(axis=1)
        closed, node = items.closed_item, items.closed_node
        np.add.at(lost, closed, blocking_cost(whole[node], size[closed], self.step) * allowed[pattern[closed], node])
        left = np.zeros(len(items), dtype=np.int64)
        for row in np.unique(pattern).tolist():
            mine = pattern == row
            left[mine] = self._stranding_among(allowed[row][self.targets], size[mine], items.rivals[mine])
        return np.asarray(any_order_slack(left - lost, self.asked[failure], size) > 0)

    def _stranding_among(self, chosen: BoolArray, size: IntArray, spared: IntArray) -> IntArray:
        """The sum of `blocking_cost` over some targets without the freest of them, so many for each size."""
        free = self.free[chosen]
        above = np.concatenate((np.cumsum(free[::-1])[::-1], [0]))
        last = np.maximum(len(free) - spared, 0)
        first = np.minimum(np.searchsorted(free, size), last)
        return np.asarray(above[first] - above[last] - (last - first) * (size - self.step))

    @cached_property
    def small(self) -> int:
        """The largest size of VMs that always find room, whatever else has restarted, in MiB."""
        width = self.lost.shape[1]
        if len(self.free) <= width:
            return 0
        # Up to what more targets have free than fail, a smaller VM is no harder to restart than a larger one.
        low, high = 0, int(self.free[-width - 1]) // self.step
        roomiest = self.free[None, -width:]
        while low < high:
            middle = (low + high + 1) // 2
            size = np.array([middle * self.step])
            if any_order_slack(self.stranding(size, roomiest), self.most, size)[0] > 0:
                low = middle
            else:
                high = middle - 1
        return low * self.step

    @cached_property
    def large(self) -> IntArray:
        """The VMs above that which the pool's failures displace."""
        pool, large = self.state.problem.pool, self.state.larger_than(self.small)
        mine: IntArray = large[pool[self.state.node_of[large]] == pool[self.targets[0]]]
        return mine

    @property
    def room_for_large(self) -> BoolArray:
        """Failures whose large VMs all find slots, shape (n_failing,)."""
        enough = np.ones(len(self.failing), dtype=bool)
        if not len(self.large):
            return enough
        scenarios, free = self.state.scenarios, self.state.free
        memory, home = self.state.problem.memory[self.large], self.state.node_of[self.large]
        most, n_nodes = int(memory.max()), self.state.problem.n_nodes
        level = slot_levels(memory, most)
        for k, taken in slots_taken(int(level.max()) + 1, lambda k: np.bincount(home[level == k], minlength=n_nodes)):
            slots = free_slots(free, k, most)
            enough &= scenarios.sums(taken + slots)[self.failing] <= slots[self.targets].sum()
        return enough
