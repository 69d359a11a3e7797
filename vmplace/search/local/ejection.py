"""Local search by ejection chains [1]_: VMs leave a node, and push others out of the nodes that they go to if need be.

A node is relieved that is overfull, or that is to have a slot that failures lack, for crumbs of free memory elsewhere.

References
----------
.. [1] F. Glover, "Ejection chains, reference structures and alternating path methods for traveling salesman problems", Discrete
       Applied Mathematics 65 (1996), 223-253.
"""

from collections import Counter
from functools import cached_property
from random import Random

import numpy as np
from attrs import define, evolve, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.sizes import evenly
from vmplace.search.local.slots import Slots
from vmplace.solvers.binpacking.subset_sum import fullest
from vmplace.solvers.budget import Budget

__all__ = ["clear"]

_TRIED, _TRIED_WITHIN = 8, 3
"""So many nodes are tried for each slot, and for room on the way to it."""

_DEEPEST, _DEEPEST_BY_CHANCE = 4, 1
"""So many times over room is made for what must move to make room."""

_PATIENCE = 60
"""So many sets of VMs are tried to leave their nodes for one slot, each time over."""

_TIGHTEST, _OTHERS = 64, 32
"""So many targets are looked at for each VM: those that it fits most tightly, and others evenly among the roomier ones."""

_NOISE = 0.1

Move = tuple[int, int]
"""A VM and the node that it was on."""


def clear(slots: Slots, free: BoolArray, *, budget: Budget, random: Random | None = None) -> bool:
    """Move VMs until no node is overfull and no failure lacks a slot, the largest slots first.

    Parameters
    ----------
    slots
        The placement, changed in place.
    budget
        When it is spent, what is lacking stays so.
    random
        Makes choices that are not the best at first sight.

    Returns whether nothing is lacking any more.
    """
    clearing = _EjectionChains(slots, free, random, budget)
    for node in slots.overfull.tolist():
        for resource in range(len(slots.room)):
            if slots.room[resource, node] < 0 and not clearing.relieve(node, resource):
                return False
    for row in range(len(slots.sizes)):
        while slots.lacking[row] > 0:
            if not clearing.make_slot(row):
                return False
    return True


@define(eq=False)
class _EjectionChains:
    """Moves VMs off nodes, and room for those that move, to a limited depth."""

    slots: Slots
    free: BoolArray
    random: Random | None
    budget: Budget
    tries: int = 0

    def make_slot(self, row: int) -> bool:
        """One more slot, the larger ones kept, and those of what came before."""
        slots = self.slots
        same = (slots.resource == slots.resource[row]) & (slots.sizes >= slots.sizes[row])
        return self._do(self._cheapest(row), slots.frees(row), (slots.resource < slots.resource[row]) | same, row)

    def relieve(self, node: int, resource: int) -> bool:
        """A node that is overfull in a resource no longer so, whatever slots that costs."""
        frees = self.slots.problem.demand[:, resource]
        places = [(node, -int(self.slots.room[resource, node]))]
        return self._do(places, frees, np.zeros(len(self.slots.sizes), dtype=bool), None)

    def _do(self, places: list[tuple[int, int]], frees: IntArray, held: BoolArray, row: int | None) -> bool:
        """Free so much on one of some nodes, by as few moves that make room for moves as can be."""
        prices = self._prices
        for depth in range(1 + (_DEEPEST if self.random is None else _DEEPEST_BY_CHANCE)):
            # Few large VMs are fewer moves; but where room must be made for them, they are more memory.
            ways = [_Target(row, frees, held, prices, large_first, depth) for large_first in (depth == 0, depth > 0)]
            best = self._best(places, ways)
            if best is not None:
                for vm, node in best.places.items():
                    self.slots.lift(vm)
                    self.slots.put(vm, node)
                return True
        return False

    def _best(self, places: list[tuple[int, int]], ways: list["_Target"]) -> "_Moves | None":
        self.tries = 0
        best: _Moves | None = None
        for node, amount in places:
            if best is not None and amount * self._weight(ways[0].row) >= best.cost:
                break
            for aim in ways:
                trial = self._trial(node, amount, aim)
                if trial is None:
                    continue
                if best is None or trial.cost < best.cost:
                    best = trial
                if not trial.harm:
                    break
        return best

    def _trial(self, node: int, amount: int, aim: "_Target") -> "_Moves | None":
        """What it costs to move so much off a node; nothing is changed."""
        lacking, deficit = self.slots.lacking, self._deficit(aim)
        moves = self._vacate((node,), amount, aim.frees, aim)
        if moves is None:
            return None
        after, serves = self.slots.lacking, aim.row is None or self._deficit(aim) < deficit
        before = dict(reversed(moves))  # of a VM that moved twice, its first node
        places = {vm: int(self.slots.node_of[vm]) for vm in before}
        self._undo(moves)
        harm = max(0, _future(after, aim.prices) - _future(lacking, aim.prices))
        return _Moves(places, self._migrated(places) - self._migrated(before) + harm, harm) if serves else None

    def _deficit(self, aim: "_Target") -> int:
        return 0 if aim.row is None else self.slots.deficit(aim.row)

    def _migrated(self, places: dict[int, int]) -> int:
        problem = self.slots.problem
        return sum(int(problem.memory[vm]) for vm, node in places.items() if -1 < problem.node_of[vm] != node)

    @property
    def _prices(self) -> IntArray:
        """What a slot of each row costs at least, in MiB, shape (n_rows,)."""
        rows = range(len(self.slots.sizes))
        return np.array([self.slots.shortfall(row).min(initial=0) * self._weight(row) for row in rows], dtype=np.int64)

    def _weight(self, row: int | None) -> int:
        """The memory that goes with one of a row's resource, in MiB."""
        return 1 if row is None else self._weights[int(self.slots.resource[row])]

    @cached_property
    def _weights(self) -> list[int]:
        total = self.slots.problem.demand.sum(axis=0).tolist()
        return [total[0] // max(1, amount) for amount in total]

    def _cheapest(self, row: int) -> list[tuple[int, int]]:
        """Nodes to try, with what must leave them: the least first, and last those whose own failure lacks the slot."""
        shortfall = self.slots.shortfall(row)
        possible = np.flatnonzero(shortfall <= self.slots.problem.capacity[:, self.slots.resource[row]])
        return self._first(possible, shortfall, self.slots.frees(row), self.slots.worst(row)[possible])

    def _first(self, nodes: IntArray, shortfall: IntArray, frees: IntArray, last: BoolArray) -> list[tuple[int, int]]:
        """Nodes from which least must leave: first those that have enough VMs that fit on some other node as it is."""
        memory, node_of = self.slots.problem.memory, self.slots.node_of
        small = self.free & (node_of >= 0) & (memory <= self.slots.room[0].max(initial=0))
        enough = np.bincount(node_of[small], frees[small], self.slots.problem.n_nodes) >= shortfall
        key = shortfall[nodes].astype(np.float64)
        if self.random is not None:
            key *= 1 + _NOISE * np.array([self.random.random() for _ in nodes])
        order = nodes[np.lexsort((key, ~enough[nodes], last))[:_TRIED]]
        return [(node, int(shortfall[node])) for node in order.tolist()]

    def _vacate(self, sources: tuple[int, ...], amount: int, frees: IntArray, aim: "_Target") -> list[Move] | None:
        """Move VMs that free that much, or little more, off the last of some nodes, none to any of these.

        None, and nothing changed, where they find no place.
        """
        here = np.flatnonzero((self.slots.node_of == sources[-1]) & self.free & (frees > 0))
        # Of those that free the same, the smaller leave.
        here = here[np.argsort(-self.slots.problem.memory[here], kind="stable")]
        limit: dict[int, int] = {}
        while (leaving := _least_sum(here, frees, amount, limit, large_first=aim.large_first)) is not None:
            self.tries += 1
            if self.tries > _PATIENCE or self.budget.spent:
                break
            moves: list[Move] = []
            stuck = next((vm for vm in leaving if not self._settle(vm, sources, aim, moves)), None)
            if stuck is None:
                return moves
            self._undo(moves)
            size = int(frees[stuck])
            limit[size] = sum(int(frees[vm]) == size for vm in leaving[: leaving.index(stuck)])
        return None

    def _settle(self, vm: int, sources: tuple[int, ...], aim: "_Target", moves: list[Move]) -> bool:
        """Move a VM to another node, if need be one on which room is made for it; `moves` gets what was done."""
        moves.append((vm, self.slots.lift(vm)))
        target = self._target(vm, sources, aim)
        if target is None and aim.depth:
            target = self._make_room(vm, sources, aim, moves)
        if target is not None:
            self.slots.put(vm, target)
        return target is not None

    def _make_room(self, vm: int, sources: tuple[int, ...], aim: "_Target", moves: list[Move]) -> int | None:
        slots, problem = self.slots, self.slots.problem
        need = problem.demand[vm][:, None]
        lacks = (slots.room < need) & (need > 0)
        reachable = problem.online & problem.reachable[problem.signature[vm]] & (lacks.sum(axis=0) == 1)
        reachable[list(sources)] = False
        for resource, frees in enumerate(problem.demand.T):
            nodes = np.flatnonzero(reachable & lacks[resource])
            first = self._first(nodes, need[resource] - slots.room[resource], frees, np.zeros(len(nodes), dtype=bool))
            for node, amount in first[:_TRIED_WITHIN]:
                made = self._vacate((*sources, node), amount, frees, evolve(aim, depth=aim.depth - 1))
                if made is None:
                    continue
                if len(self._harmless(vm, np.array([node]), aim)[0]):
                    moves += made
                    return node
                self._undo(made)
        return None

    def _undo(self, moves: list[Move]) -> None:
        for vm, node in reversed(moves):
            if self.slots.node_of[vm] >= 0:
                self.slots.lift(vm)
            self.slots.put(vm, node)

    def _target(self, vm: int, sources: tuple[int, ...], aim: "_Target") -> int | None:
        """Where a VM fits and costs the fewest slots that are lacking then; the tightest of these."""
        slots, problem = self.slots, self.slots.problem
        fits = slots.fits(vm)
        fits[list(sources)] = False
        onto, after = self._harmless(vm, _varied(np.flatnonzero(fits), slots.free[0]), aim)
        if not len(onto):
            return None
        future = (np.maximum(after, 0) * aim.prices[:, None]).max(axis=0, initial=0)
        away = onto != problem.node_of[vm]
        return int(onto[np.lexsort((slots.free[0, onto], future, away))[0]])

    def _harmless(self, vm: int, onto: IntArray, aim: "_Target") -> tuple[IntArray, IntArray]:
        """Of some nodes those where a VM costs no slot to hold that would be lacking then; what is lacking."""
        after = self.slots.lacking_after(vm, onto)
        good = ~np.any(after[aim.held] > np.maximum(self.slots.lacking[aim.held], 0)[:, None], axis=0)
        return onto[good], after[:, good]


@frozen(eq=False)
class _Target:
    """What VMs are moved for.

    Parameters
    ----------
    row
        The slots to make, None for none.
    frees
        What each VM that leaves gives of what is wanted, shape (n_vms,).
    held
        Rows of slots that must not lack any more than they do.
    prices
        Of a slot of each row, in MiB.
    large_first
        Whether few large VMs are to leave, or many small ones.
    depth
        How many times room may be made for what makes room.
    """

    row: int | None
    frees: IntArray
    held: BoolArray
    prices: IntArray
    large_first: bool
    depth: int


@frozen(eq=False)
class _Moves:
    """New nodes of VMs; what that costs in MiB: what migrates and the harm, which is what slots cost that are lacking then."""

    places: dict[int, int]
    cost: int
    harm: int


def _future(lacking: IntArray, prices: IntArray) -> int:
    """What the slots that are lacking will cost: one hole makes slots of many sizes, so the dearest row tells."""
    return int((np.maximum(lacking, 0) * prices).max(initial=0))


def _varied(nodes: IntArray, free: IntArray) -> IntArray:
    """One node of each amount of free memory, if these are many only some."""
    _, first = np.unique(free[nodes], return_index=True)
    if len(first) > _TIGHTEST + _OTHERS:
        first = np.concatenate([first[:_TIGHTEST], evenly(first[_TIGHTEST:], _OTHERS)])
    return nodes[first]


def _least_sum(vms: IntArray, frees: IntArray, amount: int, limit: dict[int, int], *, large_first: bool) -> list[int] | None:
    """VMs that free at least that much together, and as little more as possible, largest first; None where they are too few."""
    sizes = sorted(set(frees[vms].tolist()), reverse=not large_first)
    by_size = {size: [vm for vm in vms.tolist() if frees[vm] == size] for size in sizes}
    by_size = {size: those[: limit.get(size, len(those))] for size, those in by_size.items()}
    total = sum(size * len(those) for size, those in by_size.items())
    if total < amount:
        return None
    # What stays fills the rest as far as possible; the sizes named first are preferred to stay.
    stays = Counter(dict(fullest(sizes, [len(by_size[size]) for size in sizes], total - amount)))
    leaving = [vm for j, size in enumerate(sizes) for vm in by_size[size][stays[j] :]]
    return sorted(leaving, key=lambda vm: (-int(frees[vm]), vm))
