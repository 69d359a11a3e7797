"""The compact model for promises beyond a plan: rows that are enough for restarts in any order, and cuts from what failed.

The rows of `mip.model` are necessary for every promise, and so is each cut; the rows here are not: what they allow is a
placement to return, what they forbid may be one, too.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.bounds.slots import thresholds
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.mip.model import CountModel
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Terms

__all__ = ["AnyOrderModel"]


class AnyOrderModel(CountModel):
    """As `CountModel`; with `strict`, its placements survive in any order of restarts as far as memory alone binds these."""

    def __init__(
        self,
        problem: Problem,
        goal: Goal,
        budget: Budget,
        *,
        onto: BoolArray | None = None,
        least_peak: int | Fraction = 0,
        slots: Iterable[int] = (),
        strict: bool,
    ) -> None:
        super().__init__(problem, goal, budget, onto=onto, least_peak=least_peak, slots=slots)
        if problem.failures and strict:
            self._survive_in_any_order()

    def _survive_in_any_order(self) -> None:
        """Of the survivors ``w[t, i] = max(0, free - t + 1)`` is taken at least before none has room for t, all in units.

        That must be more than what those come to that restart before a VM of t: ``sum(w[t, i]) > L - t`` wherever one fails.
        What holds for t holds for smaller VMs, too, so that these may count as the next of some sizes.
        """
        for mask, mine in self._worlds():
            sizes, least = self._sizes[mine], 0
            for size in sorted({*thresholds(sizes), int(sizes.max())}):
                self._leave_room(mask, mine[(sizes > least) & (sizes <= size)], size)
                least = size

    def _leave_room(self, mask: BoolArray, mine: IntArray, size: int) -> None:
        """The rows of one size, which the VMs of some classes count as."""
        nodes, capacity = np.flatnonzero(mask), self._capacity_of[0]

        def room(c: CandidatePlacement, counts: IntArray) -> IntArray:
            return np.where(mask, np.maximum(self._free(c.powered, counts) - size + 1, 0), 0)

        most = np.maximum(capacity[nodes] - size + 1, 0)
        left = self._new(most, lambda c, counts: room(c, counts)[nodes])
        some = self._new((most > 0).astype(np.int64), lambda c, counts: room(c, counts)[nodes] > 0)
        for i, v, b, upper in zip(nodes.tolist(), left.tolist(), some.tolist(), most.tolist(), strict=True):
            if v >= 0:
                terms, own = self._capacity(i, int(capacity[i]))
                self.program.row([(v, 1), (b, -upper)], upper=0)
                self.program.row([(b, 1), (self._slots.get((0, size, i), -1), -1)], upper=0 if (0, size, i) in self._slots else 1)
                self.program.row([*self._load(i, lasting=True), (v, 1), (b, size - 1), *terms], upper=own)
        self._price_room(nodes, left, some, size)
        # How many nodes have such room is what a search should settle first.
        count = int(self._new(np.array([int((most > 0).sum())]), lambda c, counts: (room(c, counts) > 0).sum(keepdims=True))[0])
        self.program.row([*((b, 1) for b in some.tolist()), (count, -1)], 0, 0)
        total = int(self._new(np.array([int(most.sum())]), lambda c, counts: room(c, counts).sum(keepdims=True))[0])
        self.program.row([*((v, 1) for v in left.tolist()), (total, -1)], 0, 0)
        self._outlast(dict(zip(nodes.tolist(), left.tolist(), strict=True)), mine, size, total, room)

    def _price_room(self, nodes: IntArray, left: IntArray, some: IntArray, size: int) -> None:
        """What room for the size costs in memory that leaves a node: with F free now, ``t - 1 - F`` goes before any counts.

        A relaxation that may have half a switch pays half of that.
        """
        if self._out is None:
            return
        free = (self._capacity_of[0] - self._lasting_size @ self._now)[nodes]
        for i, v, b, now in zip(nodes.tolist(), left.tolist(), some.tolist(), free.tolist(), strict=True):
            if v >= 0 and now >= 0:
                leaving = [(int(self._out[s, i]), -int(self._lasting_size[s])) for s in np.flatnonzero(self._out[:, i] >= 0)]
                self.program.row([(v, 1), (b, max(0, size - 1 - now)), *leaving], upper=max(0, now - size + 1))

    def _outlast(self, left: dict[int, int], mine: IntArray, size: int, total: int, room: Any) -> None:
        """No k units that fail displace as much as that, with what room is lost on them."""
        problem, classes = self._problem, self._classes
        pool = problem.signature_pool[classes.signature[mine[0]]]
        units = np.flatnonzero(problem.unit_pool == pool).tolist()
        returning = np.where(classes.returning, self._sizes, 0)

        def asked(c: CandidatePlacement, counts: IntArray) -> IntArray:
            amounts = np.zeros(len(problem.unit_pool), dtype=np.int64)
            np.add.at(amounts, problem.unit, returning @ counts + room(c, counts))
            return amounts[units] - (size - 1)

        rows: list[tuple[Terms, int]] = []
        for unit in units:
            self._budget.demand()
            terms: Terms = []
            for i in np.flatnonzero(problem.unit == unit).tolist():
                terms += [(v, c) for v, c in zip(self._n[:, i].tolist(), returning.tolist(), strict=True) if v >= 0 and c]
                terms += [(left[i], 1)] if left.get(i, -1) >= 0 else []
            if problem.failures == 1:
                rows += self._where_one_fails(terms, mine, unit, size)
            else:
                # The last to restart is none of those before it: once for all units that fail together.
                rows.append((terms, 0))
        if problem.failures == 1:
            self._bound_largest(rows, total, asked)
        else:
            more = int(
                self._new(
                    np.array([self.program.upper[total] + size - 1]), lambda c, n: room(c, n).sum(keepdims=True) + size - 1
                )[0]
            )
            self.program.row([(more, 1), (total, -1)], upper=size - 1)
            self._bound_largest(rows, more, lambda c, counts: asked(c, counts) + size - 1)

    def _where_one_fails(self, terms: Terms, mine: IntArray, unit: int, size: int) -> list[tuple[Terms, int]]:
        """The row of a unit, which binds where a VM of the size is there."""
        inside = np.flatnonzero(self._problem.unit == unit)
        here = self._n[np.ix_(mine, inside)].ravel()
        here = here[here >= 0].tolist()
        if not here:
            return []
        # What is there and the room that is left are no more than all that the nodes have.
        most = max(0, int(self._capacity_of[0, inside].sum()) - (size - 1))
        if any(self.program.lower[v] for v in here):
            return [(terms, -(size - 1))]
        there = int(self._new(np.ones(1, dtype=np.int64), lambda c, counts: np.array([counts[np.ix_(mine, inside)].any()]))[0])
        for v in here:
            self.program.row([(v, 1), (there, -self.program.upper[v])], upper=0)
        return [([*terms, (there, most)], -most - (size - 1))]

    # Cuts

    def forbid(self, node_of: IntArray) -> None:
        """Some other placement than this one, in counts."""
        counts = self._problem.counts(node_of)
        places = [(s, i) for s, i in zip(*np.nonzero(self._n >= 0), strict=True)]
        change: Terms = []
        for s, i in places:
            v, here = int(self._n[s, i]), int(counts[s, i])
            upper = self.program.upper[v]
            more = self._told(lambda c, n, s=s, i=i, here=here: n[s, i] > here)
            less = self._told(lambda c, n, s=s, i=i, here=here: n[s, i] < here)
            self.program.row([(v, 1), (more, -(here + 1))], lower=0)
            self.program.row([(v, 1), (less, upper - here + 1)], upper=upper)
            change += [(more, 1), (less, 1)]
        self.program.row(change, lower=1)

    def forbid_story(self, units: tuple[int, ...], stranded: int, story: tuple[tuple[int, int], ...]) -> None:
        """Something in which a VM's being stranded differs: who fails, who would not fit any more, or where room is left for it.

        Parameters
        ----------
        units
            What fails.
        stranded, story
            The VM, and (VM, node) of the restarts before it; no rule among VMs may bind any of these.
        """
        problem, classes = self._problem, self._classes
        down = np.flatnonzero(np.isin(problem.unit, units))
        arrived = np.zeros_like(self._capacity_of)
        for vm, node in story:
            arrived[:, node] += self._amount[:, classes.of[vm]]
        changes: Terms = []
        used, how_many = np.unique(classes.of[[stranded, *(vm for vm, _ in story)]], return_counts=True)
        for s, count in zip(used.tolist(), how_many.tolist(), strict=True):
            here = [(int(v), 1) for v in self._n[s, down] if v >= 0]
            most = sum(self.program.upper[v] for v, _ in here)
            fewer = self._told(lambda c, n, s=s, count=count: n[s, down].sum() < count)
            self.program.row([*here, (fewer, most - count + 1)], upper=most)
            changes.append((fewer, 1))
        need = self._amount[:, classes.of[stranded]]
        targets = problem.restartable[problem.signature[stranded]].copy()
        targets[down] = False
        for i in np.flatnonzero(targets | arrived.any(axis=0)).tolist():
            changes += self._differently(i, arrived[:, i], need if targets[i] else None)
        self.program.row(changes, lower=1)

    def _differently(self, node: int, arrived: IntArray, need: IntArray | None) -> Terms:
        """That a node has no room for what arrived, or some for what is needed besides."""
        changes: Terms = []
        firm = range(self._problem.n_firm)
        for resource in firm:
            limit = int(self._capacity_of[resource, node] - arrived[resource])
            if arrived[resource]:
                full = self._told(lambda c, n, r=resource, limit=limit: self._held(n, r, node) > limit)
                self.program.row([*self._load(node, resource, lasting=True), (full, -(limit + 1))], lower=0)
                changes.append((full, 1))
        if need is not None:
            rests = [(r, int(self._capacity_of[r, node] - arrived[r] - need[r])) for r in firm if need[r]]
            room = self._told(lambda c, n: np.all([self._held(n, r, node) <= rest for r, rest in rests]))
            for r, rest in rests:
                capacity = int(self._capacity_of[r, node])
                # With nothing there at all a node may have too little room.
                self.program.row([*self._load(node, r, lasting=True), (room, capacity - rest)], upper=capacity)
            changes.append((room, 1))
        return changes

    def _held(self, counts: IntArray, resource: int, node: int) -> int:
        return int(np.where(self._classes.evictable, 0, self._amount[resource]) @ counts[:, node])

    def _told(self, of: Callable[..., Any]) -> int:
        """A variable that is 0 or 1, with what it is in a candidate."""
        return int(self._new(np.ones(1, dtype=np.int64), lambda c, counts: np.array([of(c, counts)]))[0])
