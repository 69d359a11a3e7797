"""Worst-fit decreasing in rounds: the largest VMs go to the least loaded nodes, many at a time.

Amounts of resources are rows here, memory first: what VMs need, ``demand``, of shape (n_resources, n_vms), and what nodes have.
"""

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray

__all__ = ["fitting", "holding", "spread"]

_COARSE, _FINE = 2, 8
"""Batches per round over the nodes: coarse while many small VMs are still to come that level what the large ones left."""

_FINE_FROM = 4
"""Fine once so many VMs per node are left."""

_LONG = 3
"""Equal VMs for each node that are worth giving out at once."""


def fitting(room: IntArray, need: IntArray) -> BoolArray:
    """Nodes with room for a VM: what it needs nothing of does not keep it away.

    Parameters
    ----------
    room
        Shape (n_resources, n_nodes).
    need
        Shape (n_resources,), some memory at least.
    """
    fits: BoolArray = room[0] >= need[0]
    for own, amount in zip(room[1:], need[1:].tolist(), strict=True):
        if amount:
            fits &= own >= amount
    return fits


def holding(room: IntArray, need: IntArray) -> IntArray:
    """How many equal VMs each node has room for; as `fitting`."""
    most: IntArray = room[0] // need[0]
    for own, amount in zip(room[1:], need[1:].tolist(), strict=True):
        if amount:
            most = np.minimum(most, own // amount)
    return np.maximum(most, 0)


def spread(demand: IntArray, usable: IntArray, load: IntArray, room: IntArray) -> IntArray:
    """Where VMs go, as indices of nodes; -1 for those that fit nowhere, shape (n_vms,).

    Shares of load are compared as floats, which is a preference only: `room` decides what fits.

    Parameters
    ----------
    demand
        Largest memory first, shape (n_resources, n_vms).
    usable, load, room
        Of the nodes, shape (n_resources, n_nodes); load and room are kept up to date.
    """
    spreading = _WorstFit(demand, usable, load, room)
    while spreading.done < demand.shape[1]:
        spreading.step()
    return spreading.chosen


class _WorstFit:
    def __init__(self, demand: IntArray, usable: IntArray, load: IntArray, room: IntArray) -> None:
        self.chosen = np.full(demand.shape[1], -1, dtype=np.int64)
        self.done = 0
        self._demand, self._usable, self._load, self._room = demand, usable, load, room
        changes = np.logical_or.reduce([np.diff(row) != 0 for row in demand])
        self._ends = np.append(np.flatnonzero(changes) + 1, demand.shape[1])

    def step(self) -> None:
        need = self._demand[:, self.done]
        open_ = np.flatnonzero(fitting(self._room, need))
        alike = int(self._ends[np.searchsorted(self._ends, self.done, side="right")]) - self.done
        if not len(open_):
            self.done += alike
        elif alike < _LONG * len(open_) or not self._give_shares(open_, need, alike):
            self._give_one_each(open_)

    def _give_shares(self, nodes: IntArray, need: IntArray, alike: int) -> bool:
        """Raise nodes to one level, or nearly, by VMs of one kind; whether that could be done."""
        size, load, usable = int(need[0]), self._load[0, nodes], self._usable[0, nodes]
        below = np.ones(len(nodes), dtype=bool)
        for _ in range(4):  # a node above the level takes no part in it
            level = (alike * size + int(load[below].sum())) / int(usable[below].sum())
            below = load < level * usable
        count = np.where(below, np.maximum((level * usable - load) // size - 1, 0), 0).astype(np.int64)
        count = np.minimum(count, holding(self._room[:, nodes], need))
        given = int(count.sum())
        if not alike // 2 <= given <= alike:
            return False
        self._take(nodes, need[:, None] * count)
        self.chosen[self.done : self.done + given] = np.repeat(nodes, count)
        self.done += given
        return True

    def _give_one_each(self, nodes: IntArray) -> None:
        """One VM to each of the least loaded nodes, the largest to the least loaded."""
        left = self._demand.shape[1] - self.done
        batches = _COARSE if left > _FINE_FROM * self._room.shape[1] else _FINE
        count = min(max(1, self._room.shape[1] // batches), len(nodes), left)
        nodes, count = self._roomy(nodes, count)
        demand = self._demand[:, self.done : self.done + count]
        share = self._load[0, nodes] / self._usable[0, nodes]
        least = np.argpartition(share, count - 1)[:count] if count < len(nodes) else np.arange(count)
        if demand[0, 0] > demand[0, -1]:
            least = least[np.argsort(share[least], kind="stable")]
        least = nodes[least]
        self._take(least, demand)
        self.chosen[self.done : self.done + count] = least
        self.done += count

    def _roomy(self, nodes: IntArray, count: int) -> tuple[IntArray, int]:
        """Of nodes that the next VM fits on those that each of so many VMs does: of memory it needs most, but not of all else."""
        first = self._demand[:, self.done]
        while count > 1:
            most = np.maximum(self._demand[1:, self.done : self.done + count].max(axis=1), first[1:])
            if (most == first[1:]).all():
                break
            roomy = nodes[fitting(self._room[:, nodes], np.append(first[:1], most))]
            if len(roomy) >= count:
                return roomy, count
            count //= 2
        return nodes, count

    def _take(self, nodes: IntArray, amounts: IntArray) -> None:
        """Use so much of some nodes, shape (n_resources, n_nodes)."""
        for load, room, amount in zip(self._load, self._room, amounts, strict=True):
            load[nodes] += amount
            room[nodes] -= amount
