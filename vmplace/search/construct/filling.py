"""Greedy construction: VMs placed largest first, many at a time, by worst-fit (spread) or best-fit decreasing (pack).

Amounts of resources are rows here, memory first: what VMs need, ``demand``, of shape (n_resources, n_vms), and what nodes have.
"""

from collections.abc import Iterator

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import CompiledRule, clashes
from vmplace.problem.sizes import evenly, ranked

__all__ = ["BatchFilling", "fitting", "holding", "spread"]

_BANDS = 16
"""So many sizes of VMs that no rule binds are told apart from those of VMs under rules."""


class BatchFilling:
    """A partial placement that VMs are added to.

    Parameters
    ----------
    node_of
        Where VMs are so far, -1 for those to place, shape (n_vms,); copied.
    cap
        The load that each node may reach, shape (n_nodes, n_resources).
    pack
        Tightest fit instead of least loaded.
    """

    def __init__(self, problem: Problem, node_of: IntArray, cap: IntArray, *, pack: bool) -> None:
        self.node_of = node_of.copy()
        self._problem = problem
        self._pack = pack
        self._demand = np.ascontiguousarray(problem.demand.T)
        self._cap = np.ascontiguousarray(cap.T)
        self._room = np.where(problem.online, self._cap - problem.loads(node_of).T, -1)
        self._rules_of: dict[int, list[CompiledRule]] = {}
        for rule in problem.compiled_rules:
            for vm in rule.vms.tolist():
                self._rules_of.setdefault(vm, []).append(rule)

    @property
    def complete(self) -> bool:
        """Whether every VM has a node."""
        return bool(np.all(self.node_of >= 0))

    def raise_cap(self, cap: IntArray) -> None:
        """Let nodes be filled further."""
        self._room = np.where(self._problem.online, self._room + cap.T - self._cap, -1)
        self._cap = np.ascontiguousarray(cap.T)

    def place_all(self, among: BoolArray | None = None, *, by_size: bool = False) -> None:
        """Place what fits, of some VMs or of all, the largest first: those under rules before the others, or, `by_size`, before
        others of their size."""
        waiting = np.flatnonzero(self.node_of < 0 if among is None else (self.node_of < 0) & among)
        waiting = waiting[ranked(*(-amount[waiting] for amount in self._demand))]
        if not self._rules_of:
            self._place_unbound(waiting)
            return
        bound = np.array([vm in self._rules_of for vm in waiting.tolist()], dtype=bool)
        unbound, groups = waiting[~bound], self._groups(waiting[bound].tolist())
        need, memory = (-np.array(amounts, dtype=np.int64) for amounts in ([n for n, _ in groups], self._problem.memory[unbound]))
        sizes = evenly(np.unique(-memory), _BANDS)[:0:-1] if by_size else memory[:0]
        start = first = 0
        for size in [*sizes.tolist(), 0]:
            stop, last = (int(np.searchsorted(amounts, -size, side="right")) for amounts in (need, memory))
            for _, group in groups[start:stop]:
                self._place_group(group)
            self._place_unbound(unbound[first:last])
            start, first = stop, last

    def _groups(self, vms: list[int]) -> list[tuple[int, list[int]]]:
        """VMs under rules, each with those that go with it, and the memory these need: most first."""
        groups = {tuple(self._group_of(vm)): None for vm in vms}
        found = [(int(self._demand[0, list(group)].sum()), list(group)) for group in groups]
        return sorted(found, key=lambda pair: -pair[0])

    def _place_unbound(self, vms: IntArray) -> None:
        for some, reachable in self._by_choice(vms):
            nodes = np.flatnonzero(reachable & self._problem.online)
            if len(some) and len(nodes):
                (self._pack_onto if self._pack else self._spread_over)(some, nodes)

    def _by_choice(self, vms: IntArray) -> Iterator[tuple[IntArray, BoolArray]]:
        """VMs of one signature at a time, with the nodes that they may be on; those with fewer to choose from go first."""
        reachable = self._problem.reachable
        if len(reachable) == 1:
            yield vms, reachable[0]
            return
        signature, choice = self._problem.signature[vms], reachable.sum(axis=1)
        for number in sorted(np.unique(signature).tolist(), key=lambda s: (choice[s], s)):
            yield vms[signature == number], reachable[number]

    def _spread_over(self, vms: IntArray, nodes: IntArray) -> None:
        """Worst-fit decreasing."""
        room = self._room[:, nodes]
        chosen = spread(self._demand.take(vms, axis=1), self._problem.capacity[nodes].T, self._cap[:, nodes] - room, room)
        self.node_of[vms] = np.append(nodes, -1)[chosen]
        self._room[:, nodes] = room

    def _pack_onto(self, vms: IntArray, nodes: IntArray) -> None:
        """Best-fit decreasing, all VMs of one kind at a time: the tightest node takes what it can, then the next."""
        demand = self._demand.take(vms, axis=1)
        starts = np.flatnonzero(np.logical_or.reduce([np.diff(row, prepend=-1) != 0 for row in demand]))
        room = self._room[:, nodes]
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(vms)], strict=True):
            need = demand[:, start]
            tight = np.argsort(room[0], kind="stable")
            tight = tight[np.searchsorted(room[0, tight], need[0]) :]
            most = holding(room[:, tight], need)
            taken = np.diff(np.minimum(np.cumsum(most), stop - start), prepend=0)
            chosen = np.repeat(tight, taken)
            room[:, tight] -= need[:, None] * taken
            self.node_of[vms[start : start + len(chosen)]] = nodes[chosen]
        self._room[:, nodes] = room

    def _group_of(self, vm: int) -> list[int]:
        """All that must be together with a VM, itself included, as far as rules chain."""
        group, todo = {vm}, [vm]
        while todo:
            for rule in self._rules_of.get(todo.pop(), ()):
                if rule.kind == "together" and rule.must:
                    new = set(rule.vms.tolist()) - group
                    group |= new
                    todo += new
        return sorted(group)

    def _place_group(self, group: list[int]) -> None:
        problem = self._problem
        waiting = [vm for vm in group if self.node_of[vm] < 0]
        homes = {int(self.node_of[vm]) for vm in group if self.node_of[vm] >= 0}
        need = self._demand[:, waiting].sum(axis=1)
        fits = fitting(self._room, need)
        for vm in waiting:
            fits &= problem.reachable[problem.signature[vm]]
        if homes:
            fits &= np.isin(np.arange(problem.n_nodes), list(homes)) & (len(homes) == 1)
        penalty = np.zeros(problem.n_nodes, dtype=np.int64)
        for vm in waiting:
            for rule in self._rules_of.get(vm, ()):
                more = clashes(rule, vm, self.node_of, problem.n_nodes)
                if rule.must:
                    fits &= more == 0
                else:
                    penalty += more * rule.weight
        nodes = np.flatnonzero(fits)
        if len(nodes):
            room = self._room[0, nodes]
            filled = room if self._pack else (self._cap[0, nodes] - room) / problem.usable[nodes]
            best = nodes[np.lexsort((filled, penalty[nodes]))[0]]
            self.node_of[waiting] = best
            self._room[:, best] -= need


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
    """Worst-fit decreasing in rounds: the largest VMs go to the least loaded nodes, many at a time."""

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
