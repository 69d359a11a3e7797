"""Where VMs start: largest first, each on the node with the most or with the least sufficient room, within the rules."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from operator import ge, sub
from typing import Protocol

import numpy as np
from attrs import define, frozen

from vmplace.model.columns import IntArray
from vmplace.synthetic.wanted import Placed

__all__ = ["PLACED", "Item", "Stage"]

_COUNTED = 2
"""Room is counted in so many resources, memory among them: those that each VM takes."""


@frozen
class Item:
    """VMs that are placed as one: all on one node, or no two of them in one zone.

    Parameters
    ----------
    vms
        Their indices.
    zone
        The zone of each node, shape (n_nodes,); None: together.
    """

    vms: Sequence[int]
    zone: Sequence[int] | None = None


@frozen
class Stage:
    """What is placed before all VMs of later stages, and before the others.

    Parameters
    ----------
    nodes
        On which nodes only.
    items
        In this order.
    """

    nodes: Sequence[int]
    items: Sequence[Item]


class _Nodes(Protocol):
    """Nodes in the order in which they are tried, by their room: memory in MiB, or less where something else is scarcer.

    Attributes
    ----------
    at_once : bool
        Whether a node that was taken comes next again until it has no room.
    """

    at_once: bool

    def __init__(self, rooms: Mapping[int, int], count: int) -> None: ...

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        """Take out the first node that fits; none with less room than `least` does.

        Nodes that are barred are not asked for again before the next `settle`.
        """

    def put(self, node: int, room: int) -> None:
        """Put a node in, or back."""

    def settle(self) -> None:
        """Put back those that were barred."""


class _MostRoom:
    """The node with the most room first, of several the first."""

    at_once = False

    def __init__(self, rooms: Mapping[int, int], count: int) -> None:
        self._heap, self._count = [node - room * count for node, room in rooms.items()], count
        self._barred: list[int] = []
        heapify(self._heap)

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        heap, count, passed, found = self._heap, self._count, list[int](), None
        while found is None and heap and -(heap[0] // count) >= least:
            key = heappop(heap)
            if barred is not None and barred(key % count):
                self._barred.append(key)
            elif fits(key % count):
                found = key % count
            else:
                passed.append(key)
        for key in passed:
            heappush(heap, key)
        return found

    def put(self, node: int, room: int) -> None:
        heappush(self._heap, node - room * self._count)

    def settle(self) -> None:
        while self._barred:
            heappush(self._heap, self._barred.pop())


class _LeastRoom:
    """The node with the least room that suffices first, of several the first."""

    at_once = True

    def __init__(self, rooms: Mapping[int, int], count: int) -> None:
        self._keys, self._count = sorted(room * count + node for node, room in rooms.items()), count
        self._barred: list[int] = []

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        position = bisect_left(self._keys, least * self._count)
        while position < len(self._keys):
            node = self._keys[position] % self._count
            if barred is not None and barred(node):
                self._barred.append(self._keys.pop(position))
            elif fits(node):
                del self._keys[position]
                return node
            else:
                position += 1
        return None

    def put(self, node: int, room: int) -> None:
        insort(self._keys, room * self._count + node)

    def settle(self) -> None:
        while self._barred:
            insort(self._keys, self._barred.pop())


@define(eq=False)
class _Placing:
    """A placement in the making: what is free on each node, by resource, and where each VM is."""

    method: type[_Nodes]
    capacity: list[list[int]]
    free: list[list[int]]
    demand: list[list[int]]
    where: list[int]
    mebibytes: list[int]
    """Of each resource that room is counted in, how much memory goes with one of it on the node where that is least."""

    def room(self, node: int) -> int:
        free, whole = self.free[node], self.capacity[node]
        if len(whole) == 1:
            return free[0]
        return min(free[0], *(free[i] * whole[0] // whole[i] for i in range(1, _COUNTED)))

    def least(self, need: Sequence[int]) -> int:
        """What room a node has at least that can take this."""
        return min(amount * each for amount, each in zip(need, self.mebibytes, strict=False))

    def nodes(self, which: Iterable[int]) -> _Nodes:
        return self.method({node: self.room(node) for node in which}, len(self.free))

    def put_on(self, node: int, vms: Sequence[int], need: Sequence[int]) -> None:
        """Place VMs that need so much together."""
        for vm in vms:
            self.where[vm] = node
        self.free[node] = list(map(sub, self.free[node], need))

    def place_item(self, item: Item, nodes: _Nodes) -> None:
        if item.zone is None:
            self._place_together(item.vms, nodes)
        else:
            self._place_apart(item.vms, item.zone, nodes)

    def _place_together(self, vms: Sequence[int], nodes: _Nodes) -> None:
        need = [sum(amounts) for amounts in zip(*(self.demand[vm] for vm in vms), strict=True)]
        node = nodes.take(self.least(need), self._fits(need))
        if node is not None:
            self.put_on(node, vms, need)
            nodes.put(node, self.room(node))

    def _place_apart(self, vms: Sequence[int], zone: Sequence[int], nodes: _Nodes) -> None:
        taken: dict[int, int] = {}
        for vm in vms:
            need = self.demand[vm]
            node = nodes.take(self.least(need), self._fits(need), lambda node: zone[node] in taken)
            if node is not None:
                taken[zone[node]] = node
                self.put_on(node, (vm,), need)
        for node in taken.values():
            nodes.put(node, self.room(node))
        nodes.settle()

    def place_alike(self, vms: Sequence[int], nodes: _Nodes) -> None:
        """Place VMs of one demand, one after the other; what finds no node waits."""
        need, done = self.demand[vms[0]], 0
        least, fits = self.least(need), self._fits(need)
        while done < len(vms) and (node := nodes.take(least, fits)) is not None:
            if nodes.at_once:
                room = min(have // amount for have, amount in zip(self.free[node], need, strict=True) if amount)
                some = vms[done : done + room]
                self.put_on(node, some, [amount * len(some) for amount in need])
                done += len(some)
            else:
                self.put_on(node, (vms[done],), need)
                done += 1
            nodes.put(node, self.room(node))

    def _fits(self, need: Sequence[int]) -> Callable[[int], bool]:
        free = self.free
        return lambda node: all(map(ge, free[node], need))


def _alike(vms: IntArray, demand: IntArray) -> Iterator[list[int]]:
    """The VMs largest first, those of one demand together."""
    if not len(vms):
        return
    order = vms[np.lexsort([-column for column in demand[vms].T[::-1]])]
    new = np.flatnonzero((demand[order][1:] != demand[order][:-1]).any(axis=1)) + 1
    for run in np.split(order, new):
        yield run.tolist()


def _none(_capacity: IntArray, demand: IntArray, _stages: Sequence[Stage] = ()) -> IntArray:
    return np.full(len(demand), -1, dtype=np.int64)


def _by(method: type[_Nodes], capacity: IntArray, demand: IntArray, stages: Sequence[Stage] = ()) -> IntArray:
    nodes = np.asarray(capacity).reshape(len(capacity), -1)
    vms = np.asarray(demand).reshape(len(demand), nodes.shape[1])
    counted = nodes[:, :_COUNTED]
    placing = _Placing(
        method,
        nodes.tolist(),
        nodes.tolist(),
        vms.tolist(),
        _none(nodes, vms).tolist(),
        (counted[:, :1] // counted).min(axis=0).tolist(),
    )
    staged = np.zeros(len(vms), dtype=bool)
    for stage in stages:
        tried = placing.nodes(stage.nodes)
        for item in stage.items:
            placing.place_item(item, tried)
            staged[item.vms] = True
    tried = placing.nodes(range(len(nodes)))
    for alike in _alike(np.flatnonzero(~staged), vms):
        placing.place_alike(alike, tried)
    return np.array(placing.where, dtype=np.int64)


PLACED: Mapping[Placed, Callable[..., IntArray]] = {
    "none": _none,
    "worst-fit": partial(_by, _MostRoom),
    "best-fit": partial(_by, _LeastRoom),
}
"""How VMs may be placed: the node of each, -1 for one that waits.

Called with what nodes have and what VMs take, shape (n_nodes,) and (n_vms,) for memory alone, else (n, n_resources) with memory
first; and with stages, if anything is to be placed within rules first.
"""
