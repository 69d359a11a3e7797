"""Worst-fit decreasing in rounds: the largest VMs go to the least loaded nodes, many at a time."""

import numpy as np

from vmplace.columns import IntArray

__all__ = ["spread"]

_COARSE, _FINE = 2, 8
"""Batches per round over the nodes: coarse while many small VMs are still to come that level what the large ones left."""

_FINE_FROM = 4
"""Fine once so many VMs per node are left."""

_LONG = 3
"""Equal VMs for each node that are worth giving out at once."""


def spread(memory: IntArray, usable: IntArray, load: IntArray, room: IntArray) -> IntArray:
    """Where VMs go, as indices of nodes; -1 for those that fit nowhere, shape (n_vms,).

    Shares of load are compared as floats, which is a preference only: `room` decides what fits.

    Parameters
    ----------
    memory
        In MiB, largest first, shape (n_vms,).
    usable, load, room
        Of the nodes, in MiB, shape (n_nodes,); load and room are kept up to date.
    """
    spreading = _Spreading(memory, usable, load, room)
    while spreading.done < len(memory):
        spreading.step()
    return spreading.chosen


class _Spreading:
    def __init__(self, memory: IntArray, usable: IntArray, load: IntArray, room: IntArray) -> None:
        self.chosen = np.full(len(memory), -1, dtype=np.int64)
        self.done = 0
        self._memory, self._usable, self._load, self._room = memory, usable, load, room
        self._ends = np.append(np.flatnonzero(np.diff(memory)) + 1, len(memory))

    def step(self) -> None:
        size = int(self._memory[self.done])
        open_ = np.flatnonzero(self._room >= size)
        alike = int(self._ends[np.searchsorted(self._ends, self.done, side="right")]) - self.done
        if not len(open_):
            self.done += alike
        elif alike < _LONG * len(open_) or not self._give_shares(open_, size, alike):
            self._give_one_each(open_)

    def _give_shares(self, nodes: IntArray, size: int, alike: int) -> bool:
        """Raise nodes to one level, or nearly, by VMs of one size; whether that could be done."""
        load, usable = self._load[nodes], self._usable[nodes]
        below = np.ones(len(nodes), dtype=bool)
        for _ in range(4):  # a node above the level takes no part in it
            level = (alike * size + int(load[below].sum())) / int(usable[below].sum())
            below = load < level * usable
        count = np.where(below, np.maximum((level * usable - load) // size - 1, 0), 0).astype(np.int64)
        count = np.minimum(count, self._room[nodes] // size)
        given = int(count.sum())
        if not alike // 2 <= given <= alike:
            return False
        self._load[nodes] += count * size
        self._room[nodes] -= count * size
        self.chosen[self.done : self.done + given] = np.repeat(nodes, count)
        self.done += given
        return True

    def _give_one_each(self, nodes: IntArray) -> None:
        """One VM to each of the least loaded nodes, the largest to the least loaded."""
        left = len(self._memory) - self.done
        batches = _COARSE if left > _FINE_FROM * len(self._room) else _FINE
        count = min(max(1, len(self._room) // batches), len(nodes), left)
        memory = self._memory[self.done : self.done + count]
        share = self._load[nodes] / self._usable[nodes]
        least = np.argpartition(share, count - 1)[:count] if count < len(nodes) else np.arange(count)
        if memory[0] > memory[-1]:
            least = least[np.argsort(share[least], kind="stable")]
        least = nodes[least]
        self._room[least] -= memory
        self._load[least] += memory
        self.chosen[self.done : self.done + count] = least
        self.done += count
