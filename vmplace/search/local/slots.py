"""Slot counts: how many whole slots of each size a placement has free, and how many its failures need.

The failure of some units needs as many slots of t as their displaced VMs fill, ``d[t, u]``, on the other nodes:
``sum(d[t, u] + s[t, u]) <= S[t]`` over the units that fail, with ``s`` a unit's own free slots and ``S`` those of all: k units
need as much as the k that need most. For all sizes t together that is enough where sizes divide each other and memory is all that
binds; otherwise it tells nearly all, and `Slots.want_more` the rest. Each resource that binds in a failover has slots of its own.
"""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.sizes import evenly, tally
from vmplace.search.construct.filling import fitting

__all__ = ["Slots"]

_MOST_SIZES = 48
_MOST_ROWS = 256
_MANY = 2**62


class Slots:
    """The slots of a pool's placement, kept up to date VM by VM.

    Parameters
    ----------
    node_of
        Where VMs are, -1 for nowhere, shape (n_vms,); copied.
    pool
        Only its VMs may be moved.

    Attributes
    ----------
    node_of
        The placement.
    free
        What is free on each node in a failover, where evictable VMs make room, shape (n_firm, n_nodes): memory in MiB first.
    room
        What normal running leaves, -1 where nothing may come, shape (n_resources, n_nodes).
    sizes, resource
        Slot size of each row, and of which resource, shape (n_rows,): each resource's in descending order.
    nodes
        Where the slots of a row count, shape (n_rows, n_nodes): VMs that rules leave fewer nodes have rows of their own.
    """

    def __init__(self, problem: Problem, limits: IntArray, node_of: IntArray, pool: int) -> None:
        self.problem = problem
        self.node_of = node_of.copy()
        firm = problem.demand[:, : problem.n_firm]
        self._lasting = firm if problem.lasting is None else firm * problem.lasting[:, None]
        loads = problem.loads(node_of)
        kept = loads if problem.lasting is None else problem.loads(np.where(problem.lasting, node_of, -1))
        self.free = np.where(problem.online, (problem.capacity - kept)[:, : problem.n_firm].T, 0)
        self.room = np.where(problem.online, (limits - loads).T, -1)
        self._online = problem.online & (problem.pool == pool)
        mine = problem.protected & (problem.vm_pool == pool)
        rows = list(_rows(problem, mine))[:_MOST_ROWS]
        rows.sort(key=lambda row: (row.resource, -row.size))
        self.sizes = np.array([row.size for row in rows], dtype=np.int64)
        self.resource = np.array([row.resource for row in rows], dtype=np.int64)
        self.nodes = np.array([row.nodes for row in rows], dtype=bool).reshape(len(rows), problem.n_nodes)
        self._counting = np.ascontiguousarray(self.nodes.T)
        members = np.array([row.members for row in rows], dtype=bool).reshape(len(rows), len(problem.signature_pool))
        self._members = np.ascontiguousarray(members.T)
        self._rounded = np.column_stack([np.where(mine, _rounded_up(a, _grid(a[mine])), 0) for a in firm.T])
        self._wanted = np.zeros(len(rows), dtype=np.int64)
        held = self._held(np.arange(problem.n_nodes)).T
        self._have = held.sum(axis=1)
        self._need = np.zeros((len(rows), len(problem.unit_pool)), dtype=np.int64)
        np.add.at(self._need.T, problem.unit, (held + self._displaced(np.flatnonzero(mine & (self.node_of >= 0)))).T)
        self._worst: tuple[IntArray, IntArray] | None = None

    @property
    def overfull(self) -> IntArray:
        """Online nodes of the pool that hold more than normal running may use."""
        return np.flatnonzero(self._online & (self.room < 0).any(axis=0))

    @property
    def lacking(self) -> IntArray:
        """Slots of each row that the worst failure lacks, negative where there are more than it needs, shape (n_rows,)."""
        most, _ = self._most
        lacking: IntArray = most + self._wanted - self._have
        return lacking

    @property
    def _most(self) -> tuple[IntArray, IntArray]:
        """The slots of each row that the units need that need most and may fail at once; the least that one of them needs."""
        if self._worst is None:
            count = min(self.problem.failures, self._need.shape[1])
            if count == 1:
                most = least = self._need.max(axis=1)
            else:
                first = self._need.shape[1] - count
                largest = np.partition(self._need, first, axis=1)[:, first:] if count else self._need[:, :0]
                most, least = largest.sum(axis=1), largest.min(axis=1, initial=_MANY)
            self._worst = most, least
        return self._worst

    def deficit(self, row: int) -> int:
        """Slots of a row that the worst failures of each unit lack together."""
        _, least = self._most
        without = np.maximum(least[row] - self._need[row], 0)
        return int(np.maximum(self.lacking[row] - without, 0).sum())

    def worst(self, row: int) -> BoolArray:
        """Nodes whose failures need the most slots of a row, shape (n_nodes,)."""
        _, least = self._most
        return np.asarray(self._need[row] >= least[row])[self.problem.unit]

    def fits(self, vm: int) -> BoolArray:
        """Nodes that normal running leaves room on for a VM and where it may be, shape (n_nodes,)."""
        problem = self.problem
        return np.asarray(fitting(self.room, problem.demand[vm]) & problem.reachable[problem.signature[vm]])

    def frees(self, row: int) -> IntArray:
        """What a VM that leaves its node frees of a row's resource for restarts, shape (n_vms,)."""
        frees: IntArray = self._lasting[:, self.resource[row]]
        return frees

    def lift(self, vm: int) -> int:
        """Take a VM off its node, which is returned."""
        node = int(self.node_of[vm])
        self._change(vm, node, -1)
        self.node_of[vm] = -1
        return node

    def put(self, vm: int, node: int) -> None:
        """Put a VM that is nowhere on a node."""
        self._change(vm, node, 1)
        self.node_of[vm] = node

    def turn_to(self, node_of: IntArray) -> None:
        """Put VMs where another placement has them."""
        for vm in np.flatnonzero(self.node_of != node_of).tolist():
            self.lift(vm)
            self.put(vm, int(node_of[vm]))

    def lacking_after(self, vm: int, onto: IntArray) -> IntArray:
        """`lacking` if a VM that is nowhere were put on each of some nodes, or a little more, shape (n_rows, n_onto)."""
        lost = (self._held(onto) - self._slots(self.free.T[onto] - self._lasting[vm], onto)).T
        most, least = self._most
        before = self._need[:, self.problem.unit[onto]]
        # A unit fails with those others that need most: it is one of the worst already, or instead of the least of these.
        there = most[:, None] - np.maximum(least[:, None], before) + before - lost + self._worth(vm)[:, None]
        after: IntArray = np.maximum(most[:, None], there) + (self._wanted - self._have)[:, None] + lost
        return after

    def shortfall(self, row: int) -> IntArray:
        """What must leave each node for one more slot of a row; more than it has where none is possible, shape (n_nodes,)."""
        size, free, capacity = int(self.sizes[row]), self.free[self.resource[row]], self.problem.capacity[:, self.resource[row]]
        more = size - free % size
        return np.where(self.nodes[row] & (free + more <= capacity), more, capacity + 1)

    def want_more(self, vms: IntArray) -> None:
        """Count every failure as displacing VMs like these besides: rounding hides what it lacks."""
        for vm in vms.tolist():
            self._wanted += self._worth(vm)

    def _change(self, vm: int, node: int, sign: int) -> None:
        gained = -self._held(node)
        if self.problem.online[node]:
            self.room[:, node] -= sign * self.problem.demand[vm]
            self.free[:, node] -= sign * self._lasting[vm]
        gained += self._held(node)
        self._have += gained
        gained += sign * self._worth(vm)
        self._need[:, self.problem.unit[node]] += gained
        self._worst = None

    def _held(self, at: IntArray | int) -> IntArray:
        return self._slots(self.free.T[at], at)

    def _slots(self, free: IntArray, at: IntArray | int) -> IntArray:
        """Whole slots in what is free on a node, shape (n_rows,), or on some, shape (n_at, n_rows)."""
        slots: IntArray = np.maximum(free, 0).take(self.resource, axis=-1)
        slots //= self.sizes
        slots *= self._counting[at]
        return slots

    def _worth(self, vm: int) -> IntArray:
        worth: IntArray = self._rounded[vm].take(self.resource)
        worth //= self.sizes
        worth *= self._members[self.problem.signature[vm]]
        return worth

    def _displaced(self, vms: IntArray) -> IntArray:
        """Slots that the VMs on each node fill, shape (n_rows, n_nodes)."""
        filled = np.zeros((len(self.sizes), self.problem.n_nodes), dtype=np.int64)
        for row, (size, resource) in enumerate(zip(self.sizes.tolist(), self.resource.tolist(), strict=True)):
            rounded = self._rounded[:, resource]
            counted = vms[self._members[self.problem.signature[vms], row] & (rounded[vms] >= size)]
            filled[row] = np.bincount(self.node_of[counted], rounded[counted] // size, minlength=self.problem.n_nodes).astype(
                np.int64
            )
        return filled


@frozen(eq=False)
class _SlotRow:
    """Slots of one size: of which resource, on which nodes, for VMs of which signatures."""

    resource: int
    size: int
    nodes: BoolArray
    members: BoolArray


def _rows(problem: Problem, vms: BoolArray) -> Iterator[_SlotRow]:
    """Slots for all VMs on all nodes, then for those that rules hem in; of each resource that binds in a failover."""
    signatures = np.unique(problem.signature[vms])
    everywhere = np.any(problem.restartable[signatures], axis=0)
    masks = np.unique(np.vstack([everywhere[None, :], problem.restartable[signatures]]), axis=0)
    for mask in sorted(masks, key=lambda mask: -int(mask.sum())):
        members = np.zeros(len(problem.signature_pool), dtype=bool)
        members[signatures] = (problem.restartable[signatures] <= mask).all(axis=1)
        for resource in range(problem.n_firm):
            for size in _grid(problem.demand[vms & members[problem.signature], resource]).tolist():
                yield _SlotRow(resource, size, mask, members)


def _grid(sizes: IntArray) -> IntArray:
    """The sizes above 0, ascending; where there are many, some of them evenly, the greatest among them."""
    values, _ = tally(sizes[sizes > 0])
    return values if len(values) <= _MOST_SIZES else evenly(values, _MOST_SIZES + 1)[1:]


def _rounded_up(sizes: IntArray, grid: IntArray) -> IntArray:
    """Each size above 0, rounded up to the grid; a size beyond the grid stays as it is."""
    place = np.searchsorted(grid, sizes)
    known = (place < len(grid)) & (sizes > 0)
    return np.where(known, grid[np.minimum(place, len(grid) - 1)], sizes) if len(grid) else sizes
