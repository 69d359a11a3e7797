"""The MIP for restarts in any order: rows that are sufficient for these, and cuts from adversaries found.

The rows of `vmplace.search.mip.guarantee` are necessary for every promise, and so is each cut; the rows here are not: what they
allow is a placement to return, what they forbid may be one, too.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.search.bounds.slots import thresholds
from vmplace.search.goal import CandidatePlacement
from vmplace.search.mip.guarantee import SlotRows, bound_largest, regions
from vmplace.search.mip.variables import CountVariables, Hint
from vmplace.solvers.program import Terms, terms

__all__ = ["AnyOrderRows", "forbid", "forbid_stranding"]


class AnyOrderRows:
    """Rows with which a placement survives in any order of restarts as far as memory alone binds these, made with the object.

    Of the survivors ``w[t, i] = max(0, free - t + 1)`` is taken at least before none has room for t, all in units. That must be
    more than what those come to that restart before a VM of t: ``sum(w[t, i]) > L - t`` wherever one fails. What holds for t
    holds for smaller VMs, too, so that these may count as the next of some sizes.
    """

    def __init__(self, variables: CountVariables, slots: SlotRows, out: IntArray | None) -> None:
        self._v, self._slots, self._out = variables, slots, out
        for mask, mine in regions(variables.problem):
            sizes, least = variables.amount[0][mine], 0
            for size in sorted({*thresholds(sizes), int(sizes.max())}):
                self._leave_room(mask, mine[(sizes > least) & (sizes <= size)], size)
                least = size

    def _leave_room(self, mask: BoolArray, mine: IntArray, size: int) -> None:
        """The rows of one size, which the VMs of some classes count as."""
        v, nodes = self._v, np.flatnonzero(mask)

        def room(c: CandidatePlacement, counts: IntArray) -> IntArray:
            return np.where(mask, np.maximum(v.free(c.powered, counts) - size + 1, 0), 0)

        most = np.maximum(v.capacity[0, nodes] - size + 1, 0)
        left = v.new(most, lambda c, counts: room(c, counts)[nodes])
        some = v.new((most > 0).astype(np.int64), lambda c, counts: room(c, counts)[nodes] > 0)
        for i, w, b, upper in zip(nodes.tolist(), left.tolist(), some.tolist(), most.tolist(), strict=True):
            if w >= 0:
                power, own = v.within(i, int(v.capacity[0, i]))
                slot = self._slots.free_slots.get((0, size, i))
                v.program.row([(w, 1), (b, -upper)], upper=0)
                v.program.row([(b, 1), (-1 if slot is None else slot, -1)], upper=1 if slot is None else 0)
                v.program.row([*v.load(i, lasting=True), (w, 1), (b, size - 1), *power], upper=own)
        self._price_room(nodes, left, some, size)
        # How many nodes have such room is what a search should settle first.
        count = v.new_one(int((most > 0).sum()), lambda c, counts: (room(c, counts) > 0).sum())
        v.program.row([*terms(some), (count, -1)], 0, 0)
        total = v.new_one(int(most.sum()), lambda c, counts: room(c, counts).sum())
        v.program.row([*terms(left), (total, -1)], 0, 0)
        self._outlast(dict(zip(nodes.tolist(), left.tolist(), strict=True)), mine, size, total, room)

    def _price_room(self, nodes: IntArray, left: IntArray, some: IntArray, size: int) -> None:
        """What room for the size costs in memory that leaves a node: with F free now, ``t - 1 - F`` goes before any counts.

        A relaxation that may have half a switch pays half of that.
        """
        if self._out is None:
            return
        v = self._v
        free = (v.capacity[0] - v.lasting[0] @ v.now)[nodes]
        for i, w, b, now in zip(nodes.tolist(), left.tolist(), some.tolist(), free.tolist(), strict=True):
            if w >= 0 and now >= 0:
                leaving = terms(self._out[:, i], -v.lasting[0])
                v.program.row([(w, 1), (b, max(0, size - 1 - now)), *leaving], upper=max(0, now - size + 1))

    def _outlast(self, left: dict[int, int], mine: IntArray, size: int, total: int, room: Hint) -> None:
        """No k units that fail displace as much as that, with what room is lost on them."""
        v, problem = self._v, self._v.problem
        units = np.flatnonzero(problem.unit_pool == problem.signature_pool[v.classes.signature[mine[0]]]).tolist()
        returning = np.where(v.classes.returning, v.amount[0], 0)
        # Of several units that fail together, the last VM to restart is none of those before it: once for all of them.
        before = size - 1 if problem.failures == 1 else 0

        def asked(c: CandidatePlacement, counts: IntArray) -> IntArray:
            amounts = np.zeros(len(problem.unit_pool), dtype=np.int64)
            np.add.at(amounts, problem.unit, returning @ counts + room(c, counts))
            return amounts[units] - before

        rows: list[tuple[Terms, int]] = []
        for unit in units:
            v.budget.demand()
            own: Terms = []
            for i in np.flatnonzero(problem.unit == unit).tolist():
                own += terms(v.n[:, i], returning)
                own += [(left[i], 1)] if left.get(i, -1) >= 0 else []
            rows += self._where_one_fails(own, mine, unit, size) if problem.failures == 1 else [(own, 0)]
        if problem.failures > 1:
            more = v.new_one(v.program.upper[total] + size - 1, lambda c, n: room(c, n).sum() + size - 1)
            v.program.row([(more, 1), (total, -1)], upper=size - 1)
            total = more
        bound_largest(v, rows, total, asked)

    def _where_one_fails(self, own: Terms, mine: IntArray, unit: int, size: int) -> list[tuple[Terms, int]]:
        """The row of a unit, which binds where a VM of the size is there."""
        v = self._v
        inside = np.flatnonzero(v.problem.unit == unit)
        here = [n for n, _ in terms(v.n[np.ix_(mine, inside)])]
        if not here:
            return []
        if any(v.program.lower[n] for n in here):
            return [(own, -(size - 1))]
        # What is there and the room that is left are no more than all that the nodes have.
        most = max(0, int(v.capacity[0, inside].sum()) - (size - 1))
        there = v.new_one(1, lambda c, counts: counts[np.ix_(mine, inside)].any())
        for n in here:
            v.program.row([(n, 1), (there, -v.program.upper[n])], upper=0)
        return [([*own, (there, most)], -most - (size - 1))]


def forbid(variables: CountVariables, node_of: IntArray, powered: BoolArray | None) -> None:
    """Cut off a placement, in counts, with the nodes that stay on: some other one, or others."""
    counts, program = variables.problem.counts(node_of), variables.program
    change: Terms = []
    for s, i in zip(*np.nonzero(variables.n >= 0), strict=True):
        v, here = int(variables.n[s, i]), int(counts[s, i])
        upper = program.upper[v]
        more = _switch(variables, lambda n, s=s, i=i, here=here: n[s, i] > here)
        less = _switch(variables, lambda n, s=s, i=i, here=here: n[s, i] < here)
        program.row([(v, 1), (more, -(here + 1))], lower=0)
        program.row([(v, 1), (less, upper - here + 1)], upper=upper)
        change += [(more, 1), (less, 1)]
    on = [] if powered is None or variables.powered is None else variables.powered[powered].tolist()
    off = [] if powered is None or variables.powered is None else variables.powered[~powered].tolist()
    program.row([*change, *((p, 1) for p in off), *((p, -1) for p in on)], lower=1 - len(on))


def forbid_stranding(
    variables: CountVariables, units: tuple[int, ...], stranded: int, restarts: tuple[tuple[int, int], ...]
) -> None:
    """Cut off how a VM is stranded: something in it differs: what fails, what would not fit any more, or where room is left.

    Parameters
    ----------
    units
        What fails.
    stranded, restarts
        The VM, and (VM, node) of the restarts before it; no rule among VMs may bind any of these.
    """
    v, problem, of = variables, variables.problem, variables.classes.of
    down = np.flatnonzero(np.isin(problem.unit, units))
    arrived = np.zeros_like(v.capacity)
    for vm, node in restarts:
        arrived[:, node] += v.amount[:, of[vm]]
    changes: Terms = []
    used, how_many = np.unique(of[[stranded, *(vm for vm, _ in restarts)]], return_counts=True)
    for s, count in zip(used.tolist(), how_many.tolist(), strict=True):
        here = terms(v.n[s, down])
        most = sum(v.program.upper[n] for n, _ in here)
        fewer = _switch(v, lambda n, s=s, count=count: n[s, down].sum() < count)
        v.program.row([*here, (fewer, most - count + 1)], upper=most)
        changes.append((fewer, 1))
    need = v.amount[:, of[stranded]]
    targets = problem.restartable[problem.signature[stranded]].copy()
    targets[down] = False
    for i in np.flatnonzero(targets | arrived.any(axis=0)).tolist():
        changes += _differently(v, i, arrived[:, i], need if targets[i] else None)
    # A node that takes a restart now takes none if it is off.
    on = [] if v.powered is None else v.powered[arrived.any(axis=0)].tolist()
    v.program.row([*changes, *((p, -1) for p in on)], lower=1 - len(on))


def _differently(v: CountVariables, node: int, arrived: IntArray, need: IntArray | None) -> Terms:
    """That a node has no room for what arrived, or some for what is needed besides."""
    changes: Terms = []
    firm = range(v.problem.n_firm)
    left = (v.capacity[:, node] - arrived).tolist()
    for r in firm:
        if arrived[r]:
            full = _switch(v, lambda n, r=r: v.lasting[r] @ n[:, node] > left[r])
            v.program.row([*v.load(node, r, lasting=True), (full, -(left[r] + 1))], lower=0)
            changes.append((full, 1))
    if need is not None:
        rests = [(r, left[r] - int(need[r])) for r in firm if need[r]]
        room = _switch(v, lambda n: all(v.lasting[r] @ n[:, node] <= rest for r, rest in rests))
        for r, rest in rests:
            capacity = int(v.capacity[r, node])
            # With nothing there at all a node may have too little room.
            power, most = v.within(node, capacity)
            v.program.row([*v.load(node, r, lasting=True), (room, capacity - rest), *power], upper=most)
        changes.append((room, 1))
    return changes


def _switch(variables: CountVariables, of: Callable[..., Any]) -> int:
    """A variable that is 0 or 1, with what it is given counts."""
    return variables.new_one(1, lambda _, counts: of(counts))
