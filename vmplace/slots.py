"""Whole slots: how many of each size a placement has free, and how many each failure needs.

The failure of a node needs as many slots of t as its displaced VMs fill, ``d[t, f]``, on the other nodes:
``d[t, f] + u[t, f] <= U[t]``, with ``u`` the node's own free slots and ``U`` those of all. For all sizes t together that is
enough where sizes divide each other; otherwise it tells nearly all, and `Slots.want_more` the rest.
"""

from collections.abc import Iterator

import numpy as np

from vmplace.columns import IntArray
from vmplace.goal import Goal
from vmplace.problem import BoolArray, Problem
from vmplace.ranking import evenly, tally

__all__ = ["Slots"]

_MOST_SIZES = 48
_MOST_ROWS = 256


class Slots:
    """The slots of a pool's placement, kept up to date VM by VM.

    Parameters
    ----------
    problem, goal
        What is asked.
    node_of
        Where VMs are, -1 for nowhere, shape (n_vms,); copied.
    pool
        Only its VMs may be moved.

    Attributes
    ----------
    node_of, free, room
        The placement; free memory of each node, and what normal running leaves of it (-1 where nothing may come), in MiB.
    sizes
        Slot size of each row, shape (n_rows,), descending.
    nodes
        Where the slots of a row count, shape (n_rows, n_nodes): VMs that rules leave fewer nodes have rows of their own.
    """

    def __init__(self, problem: Problem, goal: Goal, node_of: IntArray, pool: int) -> None:
        self.problem = problem
        self.node_of = node_of.copy()
        load = problem.load(node_of)
        self.free = np.where(problem.online, problem.usable - load, 0)
        self.room = np.where(problem.online, goal.limit(problem) - load, -1)
        self._online = problem.online & (problem.pool == pool)
        mine = problem.protected & (problem.vm_pool == pool)
        rows = list(_rows(problem, mine))[:_MOST_ROWS]
        rows.sort(key=lambda row: -row[0])
        self.sizes = np.array([size for size, _, _ in rows], dtype=np.int64)
        self.nodes = np.array([nodes for _, nodes, _ in rows], dtype=bool).reshape(len(rows), problem.n_nodes)
        self._members = np.array([members for _, _, members in rows], dtype=bool).reshape(len(rows), len(problem.signature_pool))
        self._rounded = np.where(mine, _rounded_up(problem.memory, _grid(problem.memory[mine])), 0)
        self._wanted = np.zeros(len(rows), dtype=np.int64)
        held = self._held(np.arange(problem.n_nodes))
        self._have = held.sum(axis=1)
        self._need = held + self._displaced(np.flatnonzero(mine & (self.node_of >= 0)))

    @property
    def overfull(self) -> IntArray:
        """Online nodes of the pool that hold more than normal running may use."""
        return np.flatnonzero(self._online & (self.room < 0))

    @property
    def lacking(self) -> IntArray:
        """Slots of each row that the worst failure lacks, negative where there are more than it needs, shape (n_rows,)."""
        lacking: IntArray = self._need.max(axis=1, initial=0) + self._wanted - self._have
        return lacking

    def deficit(self, row: int) -> int:
        """Slots of a row that all failures lack together."""
        return int(np.maximum(self._need[row] + self._wanted[row] - self._have[row], 0).sum())

    def worst(self, row: int) -> BoolArray:
        """Nodes whose failures need the most slots of a row, shape (n_nodes,)."""
        return np.asarray(self._need[row] == self._need[row].max(initial=0))

    def lift(self, vm: int) -> int:
        """Take a VM off its node, which is returned."""
        node = int(self.node_of[vm])
        self._change(node, int(self.problem.memory[vm]), -self._worth(vm))
        self.node_of[vm] = -1
        return node

    def put(self, vm: int, node: int) -> None:
        """Put a VM that is nowhere on a node."""
        self._change(node, -int(self.problem.memory[vm]), self._worth(vm))
        self.node_of[vm] = node

    def turn_to(self, node_of: IntArray) -> None:
        """Put VMs where another placement has them."""
        for vm in np.flatnonzero(self.node_of != node_of).tolist():
            self.lift(vm)
            self.put(vm, int(node_of[vm]))

    def lacking_after(self, vm: int, onto: IntArray) -> IntArray:
        """`lacking` if a VM that is nowhere were put on each of some nodes, shape (n_rows, n_onto)."""
        left = self.free[onto] - self.problem.memory[vm]
        lost = self._held(onto) - self.nodes[:, onto] * (np.maximum(left, 0) // self.sizes[:, None])
        there = self._need[:, onto] - lost + self._worth(vm)[:, None]
        worst = np.maximum(self._need.max(axis=1, initial=0)[:, None], there)
        after: IntArray = worst + (self._wanted - self._have)[:, None] + lost
        return after

    def shortfall(self, row: int) -> IntArray:
        """What must leave each node for one more slot of a row, in MiB; as much as it has and more where none is possible."""
        size = int(self.sizes[row])
        more = size - self.free % size
        possible = self.nodes[row] & (self.free + more <= self.problem.usable)
        return np.where(possible, more, self.problem.usable + 1)

    def want_more(self, vms: IntArray) -> None:
        """Count every failure as displacing VMs like these besides: rounding hides what it lacks."""
        for vm in vms.tolist():
            self._wanted += self._worth(vm)

    def _change(self, node: int, freed: int, worth: IntArray) -> None:
        at = np.array([node])
        before = self._held(at)[:, 0]
        self.room[node] += freed * bool(self.problem.online[node])
        self.free[node] += freed * bool(self.problem.online[node])
        gained = self._held(at)[:, 0] - before
        self._have += gained
        self._need[:, node] += gained + worth

    def _held(self, at: IntArray) -> IntArray:
        held: IntArray = self.nodes[:, at] * (np.maximum(self.free[at], 0) // self.sizes[:, None])
        return held

    def _worth(self, vm: int) -> IntArray:
        worth: IntArray = self._members[:, self.problem.signature[vm]] * (self._rounded[vm] // self.sizes)
        return worth

    def _displaced(self, vms: IntArray) -> IntArray:
        """Slots that the VMs on each node fill, shape (n_rows, n_nodes)."""
        filled = np.zeros((len(self.sizes), self.problem.n_nodes), dtype=np.int64)
        for row, size in enumerate(self.sizes.tolist()):
            counted = vms[self._members[row, self.problem.signature[vms]] & (self._rounded[vms] >= size)]
            filled[row] = np.bincount(
                self.node_of[counted], self._rounded[counted] // size, minlength=self.problem.n_nodes
            ).astype(np.int64)
        return filled


def _rows(problem: Problem, vms: BoolArray) -> Iterator[tuple[int, BoolArray, BoolArray]]:
    """Slot sizes with the nodes and the signatures that they count for: all VMs on all nodes, then those that rules hem in."""
    signatures = np.unique(problem.signature[vms])
    everywhere = np.any(problem.restartable[signatures], axis=0)
    masks = np.unique(np.vstack([everywhere[None, :], problem.restartable[signatures]]), axis=0)
    for mask in sorted(masks, key=lambda mask: -int(mask.sum())):
        members = np.zeros(len(problem.signature_pool), dtype=bool)
        members[signatures] = (problem.restartable[signatures] <= mask).all(axis=1)
        for size in _grid(problem.memory[vms & members[problem.signature]]).tolist():
            yield size, mask, members


def _grid(sizes: IntArray) -> IntArray:
    """The sizes, ascending; where there are many, some of them evenly, the greatest among them."""
    values, _ = tally(sizes)
    return values if len(values) <= _MOST_SIZES else evenly(values, _MOST_SIZES + 1)[1:]


def _rounded_up(sizes: IntArray, grid: IntArray) -> IntArray:
    """Each size as the least of the grid that is no less; above all of them, the size itself."""
    place = np.searchsorted(grid, sizes)
    return np.where(place < len(grid), grid[np.minimum(place, len(grid) - 1)], sizes) if len(grid) else sizes
