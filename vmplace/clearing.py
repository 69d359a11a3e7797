"""Making room for slots that failures lack: a few VMs leave a node for crumbs of free memory elsewhere."""

from collections import Counter
from random import Random

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import BoolArray
from vmplace.slots import Slots
from vmplace.subsetsum import fullest

__all__ = ["clear"]

_TRIED = 8
"""So many nodes are tried for each slot."""

_TIGHTEST, _OTHERS = 64, 32
"""So many targets are looked at for each VM: those that it fits most tightly, and others evenly among the roomier ones."""

_NOISE = 0.1

Move = tuple[int, int]
"""A VM and the node that it was on."""


def clear(slots: Slots, free: BoolArray, *, random: Random | None = None) -> bool:
    """Move VMs until no failure lacks a slot, the largest slots first.

    Parameters
    ----------
    slots
        The placement, changed in place.
    free
        VMs that may move, shape (n_vms,).
    random
        Makes choices that are not the best at first sight.

    Returns
    -------
    bool
        Whether no slot is lacking any more.
    """
    clearing = _Clearing(slots, free, random)
    for row in range(len(slots.sizes)):
        while slots.lacking[row] > 0:
            if not clearing.make_slot(row):
                return False
    return True


@frozen(eq=False)
class _Clearing:
    slots: Slots
    free: BoolArray
    random: Random | None

    def make_slot(self, row: int) -> bool:
        """One more slot, where it costs least: memory moved, and what slots of other sizes will cost that are then lacking."""
        lacking = int(self.slots.lacking[row])
        prices = self._prices()
        future = _future(self.slots.lacking, prices)
        best: tuple[float, list[tuple[int, int]]] | None = None
        for node, shortfall in self._cheapest(row):
            if best is not None and shortfall >= best[0]:
                break
            for large_first in (True, False):
                moves = self._vacate(node, shortfall, row, prices, large_first=large_first)
                if moves is None:
                    continue
                after = self.slots.lacking
                if after[row] < lacking:
                    cost = self._moved([vm for vm, _ in moves]) - self._moved_before(moves)
                    worse = max(0, _future(after, prices) - future)
                    score = float(cost + worse)
                    if best is None or score < best[0]:
                        best = score, [(vm, int(self.slots.node_of[vm])) for vm, _ in moves]
                self._undo(moves)
                if after[row] < lacking and not worse:
                    break
        if best is None:
            return False
        for vm, node in best[1]:
            self.slots.lift(vm)
            self.slots.put(vm, node)
        return True

    def _moved(self, vms: list[int]) -> int:
        problem = self.slots.problem
        return sum(int(problem.memory[vm]) for vm in vms if -1 < problem.node_of[vm] != self.slots.node_of[vm])

    def _moved_before(self, moves: list[Move]) -> int:
        problem = self.slots.problem
        return sum(int(problem.memory[vm]) for vm, node in moves if -1 < problem.node_of[vm] != node)

    def _prices(self) -> IntArray:
        """What a slot of each row costs at least, in MiB."""
        return np.array([self.slots.shortfall(row).min(initial=0) for row in range(len(self.slots.sizes))], dtype=np.int64)

    def _cheapest(self, row: int) -> list[tuple[int, int]]:
        """Nodes to try, with what must leave them: the least first, and not those whose own failure lacks the slot."""
        shortfall = self.slots.shortfall(row)
        possible = (shortfall <= self.slots.problem.usable) & ~self.slots.worst(row)
        order = np.flatnonzero(possible)
        key = shortfall[order].astype(np.float64)
        if self.random is not None:
            noise = np.random.Generator(np.random.PCG64(self.random.getrandbits(32)))
            key *= 1 + _NOISE * noise.random(len(order))
        order = order[np.argsort(key, kind="stable")[:_TRIED]]
        return [(node, int(shortfall[node])) for node in order.tolist()]

    def _vacate(self, node: int, amount: int, row: int, prices: IntArray, *, large_first: bool) -> list[Move] | None:
        """Move VMs of that much memory, or little more, off a node; None, and nothing changed, where they find no place."""
        here = np.flatnonzero((self.slots.node_of == node) & self.free)
        memory = self.slots.problem.memory
        limit: dict[int, int] = {}
        while True:
            leaving = _least_sum(here, memory, amount, limit, large_first=large_first)
            if leaving is None:
                return None
            moves: list[Move] = []
            for vm in leaving:
                self.slots.lift(vm)
                moves.append((vm, node))
                target = self._target(vm, node, row, prices)
                if target is None:
                    size = int(memory[vm])
                    limit[size] = sum(int(memory[other]) == size for other, _ in moves) - 1
                    self._undo(moves)
                    break
                self.slots.put(vm, target)
            else:
                return moves

    def _undo(self, moves: list[Move]) -> None:
        for vm, node in reversed(moves):
            if self.slots.node_of[vm] >= 0:
                self.slots.lift(vm)
            self.slots.put(vm, node)

    def _target(self, vm: int, source: int, row: int, prices: IntArray) -> int | None:
        """Where a VM costs the fewest slots that are lacking then, none of them as large as the row's; the tightest of these."""
        slots, problem = self.slots, self.slots.problem
        fits = (slots.room >= problem.memory[vm]) & problem.reachable[problem.signature[vm]]
        fits[source] = False
        onto = _varied(np.flatnonzero(fits), slots.free)
        if not len(onto):
            return None
        now, after = slots.lacking, slots.lacking_after(vm, onto)
        held = slots.sizes >= slots.sizes[row]
        good = ~np.any(after[held] > np.maximum(now[held], 0)[:, None], axis=0)
        onto, after = onto[good], after[:, good]
        if not len(onto):
            return None
        future = (np.maximum(after, 0) * prices[:, None]).max(axis=0, initial=0)
        away = onto != problem.node_of[vm]
        return int(onto[np.lexsort((slots.free[onto], future, away))[0]])


def _future(lacking: IntArray, prices: IntArray) -> int:
    """What the slots that are lacking will cost: one hole makes slots of many sizes, so the dearest row tells."""
    return int((np.maximum(lacking, 0) * prices).max(initial=0))


def _varied(nodes: IntArray, free: IntArray) -> IntArray:
    """One node of each amount of free memory, if these are many only some."""
    _, first = np.unique(free[nodes], return_index=True)
    if len(first) > _TIGHTEST + _OTHERS:
        others = first[np.linspace(_TIGHTEST, len(first) - 1, _OTHERS).astype(np.int64)]
        first = np.concatenate([first[:_TIGHTEST], others])
    return nodes[first]


def _least_sum(vms: IntArray, memory: IntArray, amount: int, limit: dict[int, int], *, large_first: bool) -> list[int] | None:
    """VMs of at least that much memory together, and as little more as possible, largest first; None where they are too few."""
    sizes = sorted(set(memory[vms].tolist()), reverse=not large_first)
    by_size = {size: [vm for vm in vms.tolist() if memory[vm] == size] for size in sizes}
    by_size = {size: those[: limit.get(size, len(those))] for size, those in by_size.items()}
    total = sum(size * len(those) for size, those in by_size.items())
    if total < amount:
        return None
    # What stays fills the rest as far as possible; the sizes named first are preferred to stay.
    stays = Counter(dict(fullest(sizes, [len(by_size[size]) for size in sizes], total - amount)))
    leaving = [vm for j, size in enumerate(sizes) for vm in by_size[size][stays[j] :]]
    return sorted(leaving, key=lambda vm: (-int(memory[vm]), vm))
