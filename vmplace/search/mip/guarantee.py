"""Rows of the MIP for the guarantee: slot-volume rows for all failures at once, and lifted ones.

With ``u[t, i]`` whole slots of a size t free on node i, the displaced VMs' whole slots, ``sum_s floor(s / t) n[s, f]``, are at
most the others' ``sum_{i != f} u[t, i]``. These rows are necessary for every t, and sufficient over all sizes where these divide
each other and no rule binds restarts. The lifted rows (see `vmplace.search.bounds.lifting`) hold already for whole numbers, but
linear relaxations miss them: what slots cost beyond those a node has anyway.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.scenarios import failing_together
from vmplace.search.bounds.lifting import lifted, slot_prices
from vmplace.search.bounds.slots import thresholds
from vmplace.search.goal import CandidatePlacement
from vmplace.search.mip.best_effort import Losses
from vmplace.search.mip.running import Peak
from vmplace.search.mip.variables import CountVariables, Hint
from vmplace.solvers.program import Terms, terms

__all__ = ["SlotRows", "bound_largest", "keep_quorum", "regions"]

_FEW_SIZES = 12
"""Slot sizes of a further resource that get rows."""

FreeSlots = Mapping[tuple[int, int, int], int]
"""Variables for whole slots free, by resource, size and node."""


def regions(problem: Problem) -> Iterator[tuple[BoolArray, IntArray]]:
    """Sets of nodes, each with the protected classes that restart within it: pools, and what rules leave of them."""
    classes = problem.classes
    masks = [problem.online & (problem.pool == pool) for pool in problem.pools]
    masks += list(problem.restartable[np.unique(classes.signature[classes.protected])])
    for mask in {mask.tobytes(): mask for mask in masks}.values():
        within = ~np.any(problem.restartable & ~mask, axis=1)
        # An empty set of nodes is within all: only where it is a class's own does it say something.
        if mask.any():
            within &= problem.restartable.any(axis=1)
        mine = np.flatnonzero(classes.protected & within[classes.signature])
        if len(mine):
            yield mask, mine


def bound_largest(
    variables: CountVariables, rows: Sequence[tuple[Terms, int]], total: int, values: Hint, *, k: int | None = None
) -> None:
    """No k of some expressions together exceed a variable; `values` tells what they are in a candidate. Without k: the failures.

    The sum of the k largest of e is at most U just where ``k x + sum(max(0, e - x)) <= U`` for some x, the k-th largest.
    """
    k, program = variables.problem.failures if k is None else k, variables.program
    if k == 1 or not rows:
        for own, constant in rows:
            program.row([*own, (total, -1)], upper=-constant)
        return
    highest = [max(0, constant + sum(c * program.upper[v] for v, c in own if v >= 0 and c > 0)) for own, constant in rows]

    def kth(c: CandidatePlacement, counts: IntArray) -> int:
        e = np.sort(values(c, counts))[::-1]
        return max(int(e[min(k, len(e)) - 1]), 0)

    level = variables.new_one(max(highest), kth)
    above = variables.new(np.array(highest), lambda c, counts: np.maximum(values(c, counts) - kth(c, counts), 0))
    for (own, constant), v in zip(rows, above.tolist(), strict=True):
        program.row([*own, (level, -1), (v, -1)], upper=-constant)
    program.row([(level, k), *terms(above), (total, -1)], upper=0)


def keep_quorum(variables: CountVariables) -> None:
    """Each failure leaves a pool that must restart something enough of the nodes that are on."""
    v, problem, powered = variables, variables.problem, variables.powered
    if powered is None or problem.guarantee.quorum is None or not problem.failures:
        return
    group, k, further = failing_together(problem)

    def on(c: CandidatePlacement, counts: IntArray) -> IntArray:
        return np.asarray((counts.sum(axis=0) > 0) if c.powered is None else c.powered, dtype=np.int64)

    def taken(c: CandidatePlacement, counts: IntArray) -> IntArray:
        """What fails with a group: of those in maintenance only what has an online node on beside it."""
        fails = np.isin(group, group[problem.online & (on(c, counts) > 0)])
        return on(c, counts) * fails

    lost = powered.copy()
    beside = np.flatnonzero(problem.maintenance & np.isin(group, group[problem.online]))
    lost[problem.maintenance] = -1
    lost[beside] = v.new(np.ones(len(beside), dtype=np.int64), lambda c, counts: taken(c, counts)[beside])
    for i in beside.tolist():
        for other in np.flatnonzero(problem.online & (group == group[i])).tolist():
            v.program.row([(int(powered[i]), 1), (int(powered[other]), 1), (int(lost[i]), -1)], upper=1)
    for pool in np.unique(problem.vm_pool[problem.protected]).tolist():
        mine, needed = problem.pool == pool, int(problem.quorum[pool]) + further
        failing = np.unique(group[mine & problem.online])

        def left(c: CandidatePlacement, counts: IntArray, mine: BoolArray = mine, needed: int = needed) -> int:
            return max(0, int(on(c, counts)[mine].sum()) - needed)

        def gone(c: CandidatePlacement, counts: IntArray, failing: IntArray = failing) -> IntArray:
            return np.bincount(group, taken(c, counts), minlength=int(group.max()) + 1)[failing].astype(np.int64)

        spare = v.new_one(int(mine.sum()), left)
        v.program.row([*terms(powered[mine]), (spare, -1)], needed, needed)
        bound_largest(v, [(terms(lost[mine & (group == one)]), 0) for one in failing.tolist()], spare, gone, k=k)


class SlotRows:
    """Slot-volume rows of every region, with lifted ones; of failures whose nodes are settled, only those that ask for most.

    Parameters
    ----------
    variables
        The program.
    losses, out, peak
        Its variables for what failures leave out, for what leaves nodes and for the peak, where there are any.
    free_slots
        Its variables for whole slots free, by resource, size and node, to which those are added that are not there.
    """

    def __init__(
        self,
        variables: CountVariables,
        losses: Losses | None,
        out: IntArray | None,
        peak: Peak | None,
        free_slots: dict[tuple[int, int, int], int],
    ) -> None:
        self._v, self._losses, self._out, self._peak, self.free_slots = variables, losses, out, peak, free_slots
        self._stated: list[tuple[BoolArray, IntArray, set[int]]] = []
        for mask, mine in regions(variables.problem):
            chosen = thresholds(variables.amount[0][mine])
            if chosen[0] > 1:  # slots of one unit are memory
                self._survive_by_volume(mask, mine, 0)
            for size in chosen:
                self._survive_by_slots(mask, mine, size, 0)
            self._lift(mask, chosen)
            self._stated.append((mask, mine, set(chosen)))
            for resource in range(1, variables.problem.n_firm):
                amounts = variables.amount[resource, mine]
                self._survive_by_volume(mask, mine, resource)
                for size in thresholds(amounts[amounts > 1], _FEW_SIZES):
                    self._survive_by_slots(mask, mine, size, resource)

    def sharpen(self, node_of: IntArray, powered: BoolArray | None, failed: IntArray) -> bool:
        """Exclude a placement by rows for one more slot size; False where slots of no size show that a failure is not survived.

        Parameters
        ----------
        node_of, powered
            A placement that the rows allowed when it was found.
        failed
            The nodes of the failure.
        """
        v = self._v
        counts = v.problem.counts(node_of)
        free = v.free(powered, counts)
        surviving = np.ones(len(free), dtype=bool)
        surviving[failed] = False
        for mask, mine, stated in self._stated:
            others = np.maximum(free[mask & surviving], 0)
            down = counts[np.ix_(mine, failed)].sum(axis=1)
            sizes, down = v.amount[0][mine[down > 0]], down[down > 0]
            missing = {t: int((sizes // t) @ down) - int((others // t).sum()) for t in np.unique(sizes).tolist()}
            size = max(missing, key=lambda t: missing[t] * t, default=0)
            if missing.get(size, 0) <= 0:
                continue
            if not any(missing[t] > 0 for t in stated.intersection(missing)):  # else rows added since exclude it already
                stated.add(size)
                self._survive_by_slots(mask, mine, size, 0)
                self._lift(mask, [size])
            return True
        return False

    def _lift(self, mask: BoolArray, sizes: list[int]) -> None:
        nodes = np.flatnonzero(mask & ~self._v.settled)
        if len(nodes) and self._out is not None:
            _lift_moves(self._v, self.free_slots, nodes, sizes, self._out)
        if len(nodes) and self._peak is not None:
            _lift_peak(self._v, self.free_slots, nodes, sizes, self._peak)

    def _displaced(self, mine: IntArray, node: int, slot: int, resource: int) -> Terms:
        """Whole slots that the classes lose when a node fails."""
        whole = self._v.amount[resource, mine] // slot
        displaced = terms(self._v.n[mine, node], whole)
        return displaced if self._losses is None else [*displaced, *self._losses.of_node(mine, node, -whole)]

    def _survive_by_volume(self, mask: BoolArray, mine: IntArray, resource: int) -> None:
        """Of each failure no more is displaced than is free elsewhere."""
        v, capacity = self._v, self._v.capacity[resource].tolist()
        free = v.new_one(
            sum(v.capacity[resource, mask].tolist()), lambda c, counts: v.free(c.powered, counts, resource)[mask].sum()
        )
        whole: Terms = [(free, 1)]
        constant = 0
        for i in np.flatnonzero(mask).tolist():
            power, own = v.within(i, capacity[i])
            whole += [*v.load(i, resource, lasting=True), *power]
            constant += own
        v.program.row(whole, upper=constant)

        def asked(node: int) -> tuple[Terms, int]:
            displaced = self._displaced(mine, node, 1, resource)
            if not mask[node]:
                return displaced, 0
            power, own = v.within(node, capacity[node])
            return [*displaced, *((x, -c) for x, c in (*v.load(node, resource, lasting=True), *power))], own

        self._limit_failures(mask, mine, 1, resource, free, asked)

    def _survive_by_slots(self, mask: BoolArray, mine: IntArray, size: int, resource: int) -> None:
        """Of each failure no more slots of a size are displaced than are free elsewhere."""
        v, nodes = self._v, np.flatnonzero(mask).tolist()
        self._count_slots(
            size, np.array([i for i in nodes if (resource, size, i) not in self.free_slots], dtype=np.int64), resource
        )
        most = int((v.capacity[resource, mask] // size).sum())
        total = v.new_one(most, lambda c, counts: (v.free(c.powered, counts, resource)[mask] // size).sum())
        v.program.row([*((self.free_slots[resource, size, i], 1) for i in nodes), (total, -1)], 0, 0)

        def asked(node: int) -> tuple[Terms, int]:
            own = [(self.free_slots[resource, size, node], 1)] if mask[node] else []
            return [*self._displaced(mine, node, size, resource), *own], 0

        self._limit_failures(mask, mine, size, resource, total, asked)

    def _count_slots(self, size: int, nodes: IntArray, resource: int) -> None:
        """Variables for the free slots of nodes."""
        v = self._v
        most = v.capacity[resource, nodes] // size
        slots = v.new(most, lambda c, counts: v.free(c.powered, counts, resource)[nodes] // size)
        for i, u in zip(nodes.tolist(), slots.tolist(), strict=True):
            self.free_slots[resource, size, i] = u
            if v.settled[i] and u >= 0:
                v.program.lower[u] = v.program.upper[u] = max(0, int(v.settled_free[resource, i])) // size
            elif u >= 0:
                power, capacity = v.within(i, int(v.capacity[resource, i]))
                v.program.row([*v.load(i, resource, lasting=True), (u, size), *power], upper=capacity)

    def _limit_failures(
        self, mask: BoolArray, mine: IntArray, size: int, resource: int, total: int, asked: Callable[[int], tuple[Terms, int]]
    ) -> None:
        """No k units together ask for more than the total: what they displace, and what is free on them."""
        v, units = self._v, self._asking(mask, mine, size, resource)
        rows = []
        for unit in units:
            v.budget.demand()
            nodes = np.flatnonzero(v.problem.unit == unit).tolist()
            parts = [asked(node) for node in nodes]
            if v.problem.failures > 1 or any(self._displaced(mine, node, size, resource) for node in nodes):
                rows.append(([term for own, _ in parts for term in own], sum(own for _, own in parts)))

        def values(c: CandidatePlacement, counts: IntArray) -> IntArray:
            own = np.where(mask, v.free(c.powered, counts, resource) // size, 0)
            return self._by_unit((v.amount[resource, mine] // size) @ counts[mine] + own)[units]

        bound_largest(v, rows, total, values)

    def _by_unit(self, by_node: IntArray) -> IntArray:
        sums = np.zeros(len(self._v.problem.unit_pool), dtype=np.int64)
        np.add.at(sums, self._v.problem.unit, by_node)
        return sums

    def _asking(self, mask: BoolArray, mine: IntArray, slot: int, resource: int) -> list[int]:
        """Units whose failure needs a row: of those whose contents are settled, the k that ask for most."""
        v, problem = self._v, self._v.problem
        units = np.flatnonzero(problem.unit_pool == problem.signature_pool[v.classes.signature[mine[0]]])
        moving = np.zeros(len(problem.unit_pool), dtype=bool)
        moving[problem.unit[~v.settled]] = True
        settled = units[~moving[units]]
        if not len(settled):
            return units.tolist()
        own = np.where(mask, np.maximum(v.settled_free[resource], 0) // slot, 0)
        asked = self._by_unit((v.amount[resource, mine] // slot) @ v.fixed[mine] + own)
        most = settled[np.argsort(-asked[settled], kind="stable")[: problem.failures]]
        return [*most.tolist(), *units[moving[units]].tolist()]


def _lift_moves(v: CountVariables, slots: FreeSlots, nodes: IntArray, sizes: list[int], out: IntArray) -> None:
    """What free slots cost in memory that leaves a node."""
    room = (v.capacity[0] - v.lasting[0] @ v.now)[nodes]
    nodes, room = nodes[room >= 0], room[room >= 0]
    if not len(nodes):
        return
    kinds, kind = np.unique(np.stack([room, v.capacity[0, nodes]]), axis=1, return_inverse=True)
    for family in lifted(kinds[0], kinds[1], sizes, v.amount[0].tolist()):
        for i, row, free in zip(nodes.tolist(), kind.reshape(-1).tolist(), room.tolist(), strict=True):
            v.budget.demand()
            terms, base = _priced(slots, i, free, sizes, family.slots[row])
            changing = (out[:, i] >= 0) | (v.most[:, i] > v.now[:, i])
            for s in np.flatnonzero(changing & ~v.classes.evictable).tolist():
                leaving, coming = int(family.leaving[row, s]), int(family.coming[row, s])
                # What comes is what is there, less what was, and instead of what left.
                terms += [(int(out[s, i]), leaving - coming), (int(v.n[s, i]), -coming)]
                base -= coming * int(v.now[s, i])
            if any(c for _, c in terms):
                v.program.row(terms, lower=base)


def _lift_peak(v: CountVariables, slots: FreeSlots, nodes: IntArray, sizes: list[int], peak: Peak) -> None:
    """What free slots cost in memory that a node could carry below the peak."""
    capacity, usable = v.capacity[0, nodes], v.problem.usable[nodes].tolist()
    room = np.maximum(capacity - np.array([peak.shares.most(peak.least, c) for c in usable], dtype=np.int64), 0)
    kinds, kind = np.unique(np.stack([room, capacity]), axis=1, return_inverse=True)
    for prices in slot_prices(kinds[0], kinds[1], sizes):
        for i, row, free in zip(nodes.tolist(), kind.reshape(-1).tolist(), room.tolist(), strict=True):
            v.budget.demand()
            terms, base = _priced(slots, i, free, sizes, prices[row])
            whole = int(v.capacity[0, i])
            # A load above the least peak's makes the peak higher by at least as many parts, where parts are whole.
            over = whole if peak.shares.factor(int(v.problem.usable[i])) is None else 1
            terms += [*((x, -c) for x, c in v.load(i, lasting=True)), (peak.variable, over)]
            v.program.row(terms, lower=base + free - whole + over * peak.least)


def _priced(slots: FreeSlots, node: int, room: int, sizes: list[int], prices: IntArray) -> tuple[Terms, int]:
    """Terms and constant of ``sum_t c[t] (floor(room / t) - u[t])``, to be at least: ``terms >= constant``."""
    priced = [(size, price) for size, price in zip(sizes, prices.tolist(), strict=True) if price]
    return [(slots[0, size, node], -price) for size, price in priced], -sum(price * (room // size) for size, price in priced)
