"""Incremental admission state of a memory-only pool: arrays that are updated in place as VMs come and go."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import gcd
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.admission.incremental.restart_plans import Kind
from vmplace.failover.certificates.blocking import blocking_cost
from vmplace.failover.regression import LostMemory
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["LiveState", "LiveVM"]

_MOST_COUNTED = 64
"""VMs of so many sizes are counted by node; the largest of those that are there at first."""

_MOST_FORGOTTEN = 16
"""Where more sizes than these, beside as many as there are, are no longer there, tables are made without them."""

_TABLES = ("step", "sizes", "row", "room", "whole", "counts", "totals", "edition")


@frozen
class LiveVM:
    """A VM as a live pool sees it: memory in MiB, priority, whether it must restart, and whether it waits to be started."""

    memory: int
    priority: int = 0
    protected: bool = True
    waits: bool = False

    @cached_property
    def kind(self) -> Kind:
        """What is alike among VMs that must restart."""
        return self.memory, self.priority

    @property
    def credit(self) -> LostMemory:
        """What a failure may cost more than before, as the VM itself is down until it is started."""
        return {self.priority: self.memory} if self.waits and self.protected else {}


class LiveState:
    """Nodes of one pool and what is on them.

    Parameters
    ----------
    usable, limit
        Memory for VMs, and what of it normal running may use, in MiB, shape (n_nodes,).
    online
        Nodes that take VMs, shape (n_nodes,).

    Attributes
    ----------
    load, free, displaced : IntArray
        Memory in use; free for restarts; and of the VMs that must restart, in MiB, shape (n_nodes,).
    kinds : list of dict
        Per node how many VMs of each kind must restart.
    step : int
        A common divisor of their sizes, in MiB; 0 as long as there was none.
    whole : IntArray
        Free memory in whole steps, shape (n_nodes,).
    sizes, row : IntArray and dict
        The sizes of VMs that must restart, or not long ago had to, and the place of each.
    room : IntArray
        The sum of `above` over all nodes for each size, shape (n_sizes,).
    largest : IntArray
        The row of the largest VM that must restart, -1 for none, shape (n_nodes,).
    counts : IntArray
        How many VMs of the first sizes must restart, shape (n_counted, n_nodes).
    totals : IntArray
        The same on all nodes together, shape (n_counted,).
    version : int
        Another one after each change of what is there.
    edition : object
        Another one after each change of the tables: what follows from them is known anew.
    """

    def __init__(self, usable: IntArray, limit: IntArray, online: BoolArray) -> None:
        n_nodes = len(usable)
        self.usable, self.limit, self.online = usable, limit, online.copy()
        self.load = np.zeros(n_nodes, dtype=np.int64)
        self.free = np.where(self.online, usable, 0)
        self.displaced = np.zeros(n_nodes, dtype=np.int64)
        self.kinds: list[dict[Kind, int]] = [{} for _ in range(n_nodes)]
        self.step = 0
        self.whole = self.free.copy()
        self.sizes = np.zeros(0, dtype=np.int64)
        self.row: dict[int, int] = {}
        self.room = np.zeros(0, dtype=np.int64)
        self.largest = np.full(n_nodes, -1, dtype=np.int64)
        self.counts = np.zeros((0, n_nodes), dtype=np.int64)
        self.totals = np.zeros(0, dtype=np.int64)
        self.version, self.edition = 0, object()
        self._alive: dict[int, int] = {}

    def fill(self, nodes: IntArray, items: Sequence[LiveVM]) -> None:
        """Put many VMs at once, each on its node; nothing is there yet."""
        memory = np.array([item.memory for item in items], dtype=np.int64)
        protected = np.array([item.protected for item in items], dtype=bool)
        np.add.at(self.load, nodes, memory)
        np.add.at(self.displaced, nodes[protected], memory[protected])
        for node, item in zip(nodes.tolist(), items, strict=True):
            if item.protected:
                self._count(node, item.kind, 1)
        self.free = np.where(self.online, np.maximum(self.usable - self.load, 0), 0)
        self.whole = self.free.copy()
        self.learn(np.unique(memory[protected])[::-1].tolist())

    def put(self, node: int, item: LiveVM) -> None:
        """A VM more on a node."""
        if item.protected:
            self.learn([item.memory])
        self._change(node, item, 1)

    def take(self, node: int, item: LiveVM) -> None:
        """A VM less on a node."""
        self._change(node, item, -1)

    def close(self, node: int) -> None:
        """A node is gone, with all that is on it."""
        self.online[node] = False
        for kind, count in list(self.kinds[node].items()):
            self._count(node, kind, -count)
        self.displaced[node] = 0
        self._load(node, -int(self.load[node]))
        self._renew(node)

    def open(self, node: int, *, online: bool) -> None:
        """A node is back, empty; `online`: and takes VMs."""
        self.online[node] = online
        self._load(node, 0)

    @contextmanager
    def supposing(self, item: LiveVM) -> Iterator[None]:
        """Tables as if a VM like this had to restart, too; as they were after that."""
        if not item.protected or item.memory in self.row:
            yield
            return
        kept = {name: getattr(self, name) for name in _TABLES}
        self.row = dict(self.row)
        self._learn([item.memory])
        try:
            yield
        finally:
            for name, table in kept.items():
                setattr(self, name, table)

    def learn(self, sizes: Sequence[int]) -> None:
        """VMs of these sizes may have to restart: tables have a row for each, and for few others that are no longer there."""
        fresh = [size for size in sizes if size not in self.row]
        if fresh and len(self.row) > 2 * len(self._alive) + _MOST_FORGOTTEN:
            fresh = list(dict.fromkeys([*self._alive, *sizes]))
            self._forget()
        if fresh:
            self._learn(fresh)

    def _forget(self) -> None:
        self.step, self.row = 0, {}
        none = np.zeros(0, dtype=np.int64)
        self.sizes, self.room, self.totals, self.counts = none, none, none, self.counts[:0]

    def _learn(self, fresh: Sequence[int]) -> None:
        forgotten = not self.row
        step = gcd(self.step, *fresh)
        for size in fresh:
            self.row[size] = len(self.row)
        again = fresh if step == self.step else list(self.row)
        self.step, self.sizes = step, np.array(list(self.row), dtype=np.int64)
        self.whole = self.free // step * step
        rooms = [int(self.above(size).sum()) for size in again]
        self.room = np.append(self.room[: len(self.row) - len(again)], np.array(rooms, dtype=np.int64))
        counted = min(len(self.row), _MOST_COUNTED)
        if counted > len(self.counts):
            more = np.zeros((counted - len(self.counts), len(self.usable)), dtype=np.int64)
            self.counts = np.concatenate((self.counts, more))
            self.totals = np.append(self.totals, np.zeros(len(more), dtype=np.int64))
        if forgotten:
            for node in np.flatnonzero(self.displaced).tolist():
                self._renew(node)
        self.edition = object()

    def above(self, size: int) -> IntArray:
        """`blocking_cost` of each node for a VM of a size, shape (n_nodes,)."""
        return blocking_cost(self.whole, size, self.step)

    def above_on(self, node: int, less: int = 0) -> IntArray:
        """The same of one node, if it had less free, for each size, shape (n_sizes,)."""
        return blocking_cost(self.floored(int(self.free[node]) - less), self.sizes, self.step)

    def floored(self, memory: int) -> int:
        """Memory in whole steps."""
        return memory // self.step * self.step if self.step else memory

    def _change(self, node: int, item: LiveVM, number: int) -> None:
        if item.protected:
            self._count(node, item.kind, number)
            self.displaced[node] += number * item.memory
            row = self.row[item.memory]
            if row < len(self.counts):
                self.counts[row, node] += number
                self.totals[row] += number
            self._largest(node)
        self._load(node, number * item.memory)

    def _count(self, node: int, kind: Kind, number: int) -> None:
        _add(self.kinds[node], kind, number)
        _add(self._alive, kind[0], number)

    def _load(self, node: int, memory: int) -> None:
        """A node carries more, or less, or may be used again or no more; what follows from its free memory follows."""
        before = self.above_on(node)
        self.load[node] += memory
        self.free[node] = max(int(self.usable[node] - self.load[node]), 0) if self.online[node] else 0
        self.whole[node] = self.floored(int(self.free[node]))
        self.room += self.above_on(node) - before
        self.version += 1
        self.edition = object()

    def _renew(self, node: int) -> None:
        """What follows from the VMs on a node."""
        self.totals -= self.counts[:, node]
        self.counts[:, node] = 0
        for (size, _), count in self.kinds[node].items():
            if (row := self.row[size]) < len(self.counts):
                self.counts[row, node] += count
        self.totals += self.counts[:, node]
        self._largest(node)

    def _largest(self, node: int) -> None:
        held: Mapping[Kind, int] = self.kinds[node]
        self.largest[node] = self.row[max(held)[0]] if held else -1


def _add(counts: dict[Any, int], key: object, number: int) -> None:
    if count := counts.get(key, 0) + number:
        counts[key] = count
    else:
        del counts[key]
