"""Where VMs start: largest first, each on the node with the most or with the least sufficient room, within the rules."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import ge, sub

import numpy as np
from attrs import define, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.sizes import ranges
from vmplace.synthetic.node_order import LeastRoom, MostRoom, Nodes
from vmplace.synthetic.wanted import Placed

__all__ = ["PLACED", "Item", "Stage"]

_COUNTED = 2
"""Room is counted in so many resources, memory among them: those that each VM takes."""


_MANY = 4
"""VMs of one demand are placed at once from so many-th of the nodes on."""


@frozen
class Item:
    """VMs that are placed as one: all on one node, or no two of them in one zone.

    Parameters
    ----------
    vms
        Their indices.
    zone
        The zone of each node, shape (n_nodes,); None: together.
    must
        Whether those that find no node so wait; else they are placed with the others.
    """

    vms: Sequence[int]
    zone: Sequence[int] | None = None
    must: bool = True


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


@define(eq=False)
class _Placing:
    """A placement in the making: what is free on each node, by resource, and where each VM is."""

    method: type[Nodes]
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

    def nodes(self, which: Iterable[int]) -> Nodes:
        return self.method({node: self.room(node) for node in which}, len(self.free))

    def put_on(self, node: int, vms: Sequence[int], need: Sequence[int]) -> None:
        """Place VMs that need so much together."""
        for vm in vms:
            self.where[vm] = node
        self.free[node] = list(map(sub, self.free[node], need))

    def place_item(self, item: Item, nodes: Nodes) -> None:
        if item.zone is None:
            self._place_together(item.vms, nodes)
        else:
            self._place_apart(item.vms, item.zone, nodes)

    def _place_together(self, vms: Sequence[int], nodes: Nodes) -> None:
        need = [sum(amounts) for amounts in zip(*(self.demand[vm] for vm in vms), strict=True)]
        node = nodes.take(self.least(need), self._fits(need))
        if node is not None:
            self.put_on(node, vms, need)
            nodes.put(node, self.room(node))

    def _place_apart(self, vms: Sequence[int], zone: Sequence[int], nodes: Nodes) -> None:
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

    def place_singly(self, vms: IntArray, demand: IntArray) -> None:
        """Place VMs largest first, one after the other; what finds no node waits."""
        nodes: Nodes | None = None
        for alike in _alike(vms, demand):
            if not self.method.at_once and len(alike) * _MANY > len(self.free):
                self._place_level(alike)
                nodes = None
            else:
                nodes = nodes or self.nodes(range(len(self.free)))
                self._place_alike(alike, nodes)

    def _place_alike(self, vms: Sequence[int], nodes: Nodes) -> None:
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

    def _place_level(self, vms: Sequence[int]) -> None:
        """The same where the node with the most room comes first, for many at once: they fill nodes down to one level of room."""
        free, need = np.array(self.free), np.array(self.demand[vms[0]])
        levels = _Levels(free, np.array(self.capacity), need)
        count = levels.picks(len(vms))
        node = np.repeat(np.arange(len(free)), count)
        turn = ranges(np.zeros_like(count), count)
        order = np.lexsort((turn, node, -levels.room(node, turn)))
        for vm, one in zip(vms, node[order].tolist(), strict=False):
            self.where[vm] = one
        self.free = (free - count[:, None] * need).tolist()

    def _fits(self, need: Sequence[int]) -> Callable[[int], bool]:
        free = self.free
        return lambda node: all(map(ge, free[node], need))


@frozen(eq=False)
class _Levels:
    """How much room each node has left with each VM of one demand that comes to it.

    Parameters
    ----------
    free, whole
        Shape (n_nodes, n_resources).
    need
        Of each VM, shape (n_resources,).
    """

    free: IntArray
    whole: IntArray
    need: IntArray

    def room(self, node: IntArray, turn: IntArray) -> IntArray:
        """The room of nodes that have taken so many already; see `_Placing.room`."""
        left = self.free[node, :_COUNTED] - turn[:, None] * self.need[:_COUNTED]
        found: IntArray = (left * self.whole[node, :1] // self.whole[node, :_COUNTED]).min(axis=1)
        return found

    def picks(self, count: int) -> IntArray:
        """How many VMs each node takes, of so many that go where most room is, of several such nodes to the first."""
        low, high = 0, int(self.free[:, 0].max(initial=0)) + 1  # room for `count` at low, or for all; for fewer at high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._above(middle).sum() >= count else (low, middle)
        sure = self._above(high)
        more = self._above(low) - sure
        before = np.cumsum(more) - more
        picked: IntArray = sure + np.clip(count - int(sure.sum()) - before, 0, more)
        return picked

    def _above(self, level: int) -> IntArray:
        """How many VMs can come to each node while it has that much room or more."""
        needed = self.need > 0
        most = (self.free[:, needed] // self.need[needed]).min(axis=1)
        for resource in range(min(_COUNTED, len(self.need))):
            spare = self.free[:, resource] - -(-level * self.whole[:, resource] // self.whole[:, 0])
            amount = int(self.need[resource])
            most = np.minimum(most, spare // amount + 1 if amount else np.where(spare >= 0, most, 0))
        above: IntArray = np.maximum(most, 0)
        return above


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


def _by(method: type[Nodes], capacity: IntArray, demand: IntArray, stages: Sequence[Stage] = ()) -> IntArray:
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
            staged[item.vms if item.must else [vm for vm in item.vms if placing.where[vm] >= 0]] = True
    placing.place_singly(np.flatnonzero(~staged), vms)
    return np.array(placing.where, dtype=np.int64)


PLACED: Mapping[Placed, Callable[..., IntArray]] = {
    "none": _none,
    "worst-fit": partial(_by, MostRoom),
    "best-fit": partial(_by, LeastRoom),
}
"""How VMs may be placed: the node of each, -1 for one that waits.

Called with what nodes have and what VMs take, shape (n_nodes,) and (n_vms,) for memory alone, else (n, n_resources) with memory
first; and with stages, if anything is to be placed within rules first.
"""
