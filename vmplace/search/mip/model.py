"""The compact model: how many VMs of each class on each node, under rows that hold for every placement that is safe.

The variables are ``n[s, i]``, the VMs of class s on node i. The guarantee is first stated by slot-volume rows: for a size t,
with ``u[t, i]`` whole slots of t free on node i, the displaced VMs' whole slots, ``sum_s floor(s / t) n[s, f]``, are at most the
others' ``sum_{i != f} u[t, i]``. They are necessary for every t, and sufficient over all sizes where these divide each other and
no rule binds restarts. Where a candidate fails its exact check all the same, that scenario is written out: ``t[s, i]`` VMs of
class s restart on i.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, CompiledRule, Problem
from vmplace.search.bounds.lifting import lifted, slot_prices
from vmplace.search.bounds.slots import thresholds
from vmplace.search.goal import CandidatePlacement, Goal, Stage
from vmplace.search.mip.running import Hint, Running
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Terms

__all__ = ["CountModel"]

_FEW_SIZES = 12
"""Slot sizes of a further resource that get rows."""

_ANY = 2**40


class CountModel(Running):
    """A problem and a goal as an integer program; making it raises OutOfTimeError once the budget is spent.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        The time there is.
    onto
        Nodes whose contents may change, shape (n_nodes,); None means all. VMs whose node is open must be able to stay on these.
    least_peak
        A lower bound on ``balance``.
    slots
        Sizes in MiB that are worth rows of their own, besides those chosen here.

    Attributes
    ----------
    program : Program
        What engines take.
    stages : list of Stage
        What to minimise, in order.
    """

    def __init__(
        self,
        problem: Problem,
        goal: Goal,
        budget: Budget,
        *,
        onto: BoolArray | None = None,
        least_peak: int | Fraction = 0,
        slots: Iterable[int] = (),
    ) -> None:
        super().__init__(problem, goal, budget, onto, Fraction(least_peak))
        self.stages = goal.stages(problem)
        self._written: set[tuple[int, ...]] = set()
        self._slots: dict[tuple[int, int, int], int] = {}
        self._stated: list[tuple[BoolArray, IntArray, set[int]]] = []
        if problem.failures:
            self._survive(slots)

    # The guarantee

    def _survive(self, slots: Iterable[int]) -> None:
        known = {size // self._unit for size in slots if size % self._unit == 0}
        for mask, mine in self._worlds():
            sizes = self._sizes[mine]
            chosen = sorted({*thresholds(sizes), *known.intersection(sizes.tolist())})
            if chosen[0] > 1:  # slots of one unit are memory
                self._survive_by_volume(mask, mine, 0)
            for size in chosen:
                self._survive_by_slots(mask, mine, size, 0)
            self._lift(np.flatnonzero(mask), chosen)
            self._stated.append((mask, mine, set(chosen)))
            for resource in range(1, self._problem.n_firm):
                amounts = self._amount[resource, mine]
                self._survive_by_volume(mask, mine, resource)
                for size in thresholds(amounts[amounts > 1], _FEW_SIZES):
                    self._survive_by_slots(mask, mine, size, resource)

    def sharpen(self, node_of: IntArray, powered: BoolArray | None, failed: IntArray) -> list[int] | None:
        """State slots of a size that shows that a failure is not survived.

        Parameters
        ----------
        node_of, powered
            A placement that the rows so far allow.
        failed
            The nodes of a failure that it does not survive.

        Returns
        -------
        list of int or None
            The sizes in MiB that rows were added for; none where rows added since then exclude the placement already. None where
            slots of no size do.
        """
        counts = self._problem.counts(node_of)
        free = self._free(powered, counts)
        surviving = np.ones(len(free), dtype=bool)
        surviving[failed] = False
        for mask, mine, stated in self._stated:
            others = np.maximum(free[mask & surviving], 0)
            down = counts[np.ix_(mine, failed)].sum(axis=1)
            here, down = mine[down > 0], down[down > 0]
            missing = {
                size: int((self._sizes[here] // size) @ down) - int((others // size).sum())
                for size in np.unique(self._sizes[here]).tolist()
            }
            size = max(missing, key=lambda t: missing[t] * t, default=0)
            if missing.get(size, 0) <= 0:
                continue
            if any(missing[t] > 0 for t in stated.intersection(missing)):
                return []
            stated.add(size)
            self._survive_by_slots(mask, mine, size, 0)
            self._lift(np.flatnonzero(mask), [size])
            return [size * self._unit]
        return None

    def _worlds(self) -> Iterator[tuple[BoolArray, IntArray]]:
        """Sets of nodes, each with the protected classes that restart within it."""
        problem, classes = self._problem, self._classes
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

    def _displaced(self, mine: IntArray, node: int, slot: int, resource: int) -> Terms:
        """Whole slots that the classes lose when a node fails."""
        amount = self._amount[resource]
        mine = mine[(self._n[mine, node] >= 0) & (amount[mine] >= slot)]
        whole = (amount[mine] // slot).tolist()
        terms = list(zip(self._n[mine, node].tolist(), whole, strict=True))
        if self._lost is not None:
            terms += [(v, -k) for v, k in zip(self._lost[mine, node].tolist(), whole, strict=True) if v >= 0]
        return terms

    def _survive_by_volume(self, mask: BoolArray, mine: IntArray, resource: int) -> None:
        """Of each failure no more is displaced than is free elsewhere."""
        nodes, capacity = np.flatnonzero(mask).tolist(), self._capacity_of[resource].tolist()
        most = np.array([sum(capacity[i] for i in nodes)])
        free = int(self._new(most, lambda c, counts: self._free(c.powered, counts, resource)[mask].sum(keepdims=True))[0])
        whole: Terms = [(free, 1)]
        constant = 0
        for i in nodes:
            terms, own = self._capacity(i, capacity[i])
            whole += [*self._load(i, resource, lasting=True), *terms]
            constant += own
        self.program.row(whole, upper=constant)

        def asked(node: int) -> tuple[Terms, int]:
            displaced = self._displaced(mine, node, 1, resource)
            if not mask[node]:
                return displaced, 0
            terms, own = self._capacity(node, capacity[node])
            back = [*self._load(node, resource, lasting=True), *terms]
            return [*displaced, *((v, -c) for v, c in back)], own

        self._limit_failures(mask, mine, 1, resource, free, asked)

    def _survive_by_slots(self, mask: BoolArray, mine: IntArray, size: int, resource: int) -> None:
        """Of each failure no more slots of a size are displaced than are free elsewhere."""
        nodes = np.flatnonzero(mask).tolist()
        fresh = [i for i in nodes if (resource, size, i) not in self._slots]
        self._count_slots(size, np.array(fresh, dtype=np.int64), resource)
        most = np.array([int((self._capacity_of[resource, mask] // size).sum())])
        total = int(
            self._new(most, lambda c, counts: (self._free(c.powered, counts, resource)[mask] // size).sum(keepdims=True))[0]
        )
        self.program.row([*((self._slots[resource, size, i], 1) for i in nodes), (total, -1)], 0, 0)

        def asked(node: int) -> tuple[Terms, int]:
            own = [(self._slots[resource, size, node], 1)] if mask[node] else []
            return [*self._displaced(mine, node, size, resource), *own], 0

        self._limit_failures(mask, mine, size, resource, total, asked)

    def _limit_failures(
        self, mask: BoolArray, mine: IntArray, size: int, resource: int, total: int, asked: Callable[[int], tuple[Terms, int]]
    ) -> None:
        """No k units together ask for more than the total: what they displace, and what is free on them."""
        k, units = self._problem.failures, self._asking(mask, mine, size, resource)
        rows = []
        for unit in units:
            self._budget.demand()
            nodes = np.flatnonzero(self._problem.unit == unit).tolist()
            parts = [asked(node) for node in nodes]
            if k > 1 or any(self._displaced(mine, node, size, resource) for node in nodes):
                rows.append(([term for own, _ in parts for term in own], sum(own for _, own in parts)))
        self._bound_largest(rows, total, lambda c, counts: self._asked_of(c, counts, mask, mine, size, resource)[units])

    def _bound_largest(self, rows: list[tuple[Terms, int]], total: int, values: Hint) -> None:
        """No k of some expressions together exceed a variable; `values` tells what they are in a candidate.

        The sum of the k largest of e is at most U just where ``k x + sum(max(0, e - x)) <= U`` for some x, the k-th largest.
        """
        k = self._problem.failures
        if k == 1 or not rows:
            for terms, constant in rows:
                self.program.row([*terms, (total, -1)], upper=-constant)
            return
        highest = [
            max(0, constant + sum(c * self.program.upper[v] for v, c in terms if v >= 0 and c > 0)) for terms, constant in rows
        ]

        def kth(c: CandidatePlacement, counts: IntArray) -> Any:
            e = np.sort(values(c, counts))[::-1]
            return np.maximum(e[min(k, len(e)) - 1 : min(k, len(e))], 0)

        level = int(self._new(np.array([max(highest)]), kth)[0])
        above = self._new(np.array(highest), lambda c, counts: np.maximum(values(c, counts) - kth(c, counts), 0))
        for (terms, constant), v in zip(rows, above.tolist(), strict=True):
            self.program.row([*terms, (level, -1), (v, -1)], upper=-constant)
        self.program.row([(level, k), *((v, 1) for v in above.tolist()), (total, -1)], upper=0)

    def _asked_of(
        self, candidate: CandidatePlacement, counts: IntArray, mask: BoolArray, mine: IntArray, size: int, resource: int
    ) -> IntArray:
        """What each unit asks for in a candidate, shape (n_units,)."""
        own = np.where(mask, self._free(candidate.powered, counts, resource) // size, 0)
        asked = np.zeros(len(self._problem.unit_pool), dtype=np.int64)
        np.add.at(asked, self._problem.unit, (self._amount[resource, mine] // size) @ counts[mine] + own)
        return asked

    def _asking(self, mask: BoolArray, mine: IntArray, slot: int, resource: int) -> list[int]:
        """Units whose failure needs a row: of those whose contents are settled, the k that ask for most."""
        problem = self._problem
        pool = problem.signature_pool[self._classes.signature[mine[0]]]
        units = np.flatnonzero(problem.unit_pool == pool)
        moving = np.zeros(len(problem.unit_pool), dtype=bool)
        moving[problem.unit[~self._settled]] = True
        settled = units[~moving[units]]
        if not len(settled):
            return [int(unit) for unit in units]
        asked = np.zeros(len(problem.unit_pool), dtype=np.int64)
        whole = (self._amount[resource, mine] // slot) @ self._fixed[mine]
        whole += np.where(mask, np.maximum(self._settled_free[resource], 0) // slot, 0)
        np.add.at(asked, problem.unit, whole)
        most = settled[np.argsort(-asked[settled], kind="stable")[: problem.failures]]
        return [int(unit) for unit in (*most, *units[moving[units]])]

    def _count_slots(self, size: int, nodes: IntArray, resource: int) -> None:
        """Variables for the free slots of nodes."""
        most = self._capacity_of[resource, nodes] // size
        slots = self._new(most, lambda c, counts: self._free(c.powered, counts, resource)[nodes] // size).tolist()
        for i, v in zip(nodes.tolist(), slots, strict=True):
            self._slots[resource, size, i] = v
            if self._settled[i] and v >= 0:
                self.program.lower[v] = self.program.upper[v] = max(0, int(self._settled_free[resource, i])) // size
            elif v >= 0:
                terms, capacity = self._capacity(i, int(self._capacity_of[resource, i]))
                self.program.row([*self._load(i, resource, lasting=True), (v, size), *terms], upper=capacity)

    def _lift(self, nodes: IntArray, sizes: list[int]) -> None:
        """Rows that hold already but that relaxations miss: what slots cost beyond what a node has anyway."""
        nodes = nodes[~self._settled[nodes]]
        if not len(nodes):
            return
        capacity = np.array(self._usable, dtype=np.int64)[nodes]
        if self._out is not None:
            free = capacity - (self._lasting_size @ self._now)[nodes]
            fits = free >= 0
            if fits.any():
                self._lift_moves(self._out, nodes[fits], capacity[fits], free[fits], sizes)
        if self._peak >= 0:
            usable = self._problem.usable[nodes].tolist()
            most = np.array([self._shares.most(self._least_peak, c) for c in usable], dtype=np.int64)
            self._lift_peak(nodes, capacity, np.maximum(capacity - most, 0), sizes)

    def _lift_moves(self, left: IntArray, nodes: IntArray, capacity: IntArray, room: IntArray, sizes: list[int]) -> None:
        kinds, kind = np.unique(np.stack([room, capacity]), axis=1, return_inverse=True)
        for family in lifted(kinds[0], kinds[1], sizes, self._size):
            for i, row, free in zip(nodes.tolist(), kind.reshape(-1).tolist(), room.tolist(), strict=True):
                self._budget.demand()
                terms, base = self._slot_terms(i, free, sizes, family.slots[row])
                changing = (left[:, i] >= 0) | (self._most[:, i] > self._now[:, i])
                for s in np.flatnonzero(changing & ~self._classes.evictable).tolist():
                    out, come = int(family.leaving[row, s]), int(family.coming[row, s])
                    # What comes is what is there, less what was, and instead of what left.
                    terms += [(int(left[s, i]), out - come), (int(self._n[s, i]), -come)]
                    base -= come * int(self._now[s, i])
                if any(c for _, c in terms):
                    self.program.row(terms, lower=base)

    def _lift_peak(self, nodes: IntArray, capacity: IntArray, room: IntArray, sizes: list[int]) -> None:
        kinds, kind = np.unique(np.stack([room, capacity]), axis=1, return_inverse=True)
        for prices in slot_prices(kinds[0], kinds[1], sizes):
            for i, row, free in zip(nodes.tolist(), kind.reshape(-1).tolist(), room.tolist(), strict=True):
                self._budget.demand()
                terms, base = self._slot_terms(i, free, sizes, prices[row])
                # A load above the least peak's makes the peak higher by at least as many parts, where parts are whole.
                whole = self._shares.factor(int(self._problem.usable[i])) is not None
                over = 1 if whole else self._usable[i]
                terms += [*((v, -c) for v, c in self._load(i, lasting=True)), (self._peak, over)]
                self.program.row(terms, lower=base + free - self._usable[i] + over * self._least_peak)

    def _slot_terms(self, node: int, room: int, sizes: list[int], prices: IntArray) -> tuple[Terms, int]:
        """Terms and constant of ``sum_t c[t] (floor(room / t) - u[t])``, to be at least: ``terms >= constant``."""
        terms = [(self._slots[0, size, node], -price) for size, price in zip(sizes, prices.tolist(), strict=True) if price]
        return terms, -sum(price * (room // size) for size, price in zip(sizes, prices.tolist(), strict=True))

    @cached_property
    def _lasting_size(self) -> IntArray:
        """Memory in units of each class that it keeps in a failover, shape (n_classes,)."""
        return np.where(self._classes.evictable, 0, self._sizes)

    def _free(self, powered: BoolArray | None, counts: IntArray, resource: int = 0) -> IntArray:
        """What is free for restarts on each node, shape (n_nodes,)."""
        free: IntArray = self._capacity_of[resource] - np.where(self._classes.evictable, 0, self._amount[resource]) @ counts
        return free if powered is None or self._powered is None else np.where(powered, free, 0)

    def write_out(self, units: tuple[int, ...]) -> bool:
        """State one scenario exactly; False if it is already."""
        if units in self._written:
            return False
        self._written.add(units)
        problem, classes = self._problem, self._classes
        down = np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        targets = problem.restartable[classes.signature] & classes.protected[:, None] & ~down
        firm = slice(problem.n_firm)  # what may be exceeded in a failover limits no restart
        holds = _holds(self._capacity_of[firm], self._amount[firm])
        most = np.minimum(self._most[:, failed].sum(axis=1)[:, None], holds) * targets
        restarts = self._new(np.asarray(most), lambda c, counts: self._restarts(c, units))
        for s in np.flatnonzero(classes.protected & (self._n[:, failed] >= 0).any(axis=1)).tolist():
            gone = [(int(v), -1) for v in self._n[s, failed]]
            lost = [] if self._lost is None else [(int(v), 1) for v in self._lost[s, self._lost_in(units)]]
            self.program.row([*((v, 1) for v in restarts[s].tolist()), *lost, *gone], 0, 0)
        for i in np.flatnonzero(~down).tolist():
            for resource in range(problem.n_firm):
                coming = list(zip(restarts[:, i].tolist(), self._amount[resource].tolist(), strict=True))
                terms, capacity = self._capacity(i, int(self._capacity_of[resource, i]))
                if any(v >= 0 and c for v, c in coming):
                    self.program.row([*coming, *self._load(i, resource, lasting=True), *terms], upper=capacity)
        for binding in problem.compiled_rules:
            if binding.must and binding.during_failover:
                self._bind_restarts(binding, units, restarts)
        return True

    def _restarts(self, candidate: CandidatePlacement, units: tuple[int, ...]) -> IntArray:
        """VMs of each class that restart on each node in a scenario, shape (n_classes, n_nodes)."""
        number = candidate.verdict.state.scenarios.number.get(units)
        restarts = candidate.verdict.restarts
        mine = restarts[restarts.scenario == (-1 if number is None else number)]
        counts = np.zeros_like(self._n)
        np.add.at(counts, (self._classes.of[mine.vm], mine.node), 1)
        return counts

    def _bind_restarts(self, binding: CompiledRule, units: tuple[int, ...], restarts: IntArray) -> None:
        mine = np.unique(self._classes.of[binding.vms])
        if not (restarts[mine] >= 0).any():
            return
        down = np.isin(self._problem.unit, units)
        lasting = mine[~self._classes.evictable[mine]]
        if binding.zone is not None:
            for here in (np.flatnonzero((binding.zone == zone) & ~down) for zone in np.unique(binding.zone[~down])):
                staying, coming = self._n[np.ix_(lasting, here)], restarts[np.ix_(mine, here)]
                if (coming >= 0).any():
                    self.program.row([(v, 1) for v in (*staying.ravel().tolist(), *coming.ravel().tolist())], upper=1)
        elif binding.kind == "together":
            homes = self._new(
                np.any(restarts[mine] >= 0, axis=0).astype(np.int64),
                lambda c, counts: np.any(self._restarts(c, units)[mine], axis=0),
            )
            self.program.row(((v, 1) for v in homes.tolist()), upper=1)
            for s in mine.tolist():
                most = int(self._most[s, down].sum())
                for i, home in enumerate(homes.tolist()):
                    if restarts[s, i] >= 0:
                        self.program.row([(int(restarts[s, i]), 1), (home, -most)], upper=0)

    # Between values and placements

    def objective(self, stage: Stage) -> Terms:
        """What a stage minimises."""
        name, priority = stage
        if name == "lost":
            return self._lost_terms(priority)
        if name == "rules":
            weight = {b.index: b.weight for b in self._problem.compiled_rules}
            return [(v, weight[rule]) for rule, v in self._broken.items() if v >= 0]
        if name == "moves":
            assert self._out is not None
            return [(int(v), size) for row, size in zip(self._out, self._size, strict=True) for v in row if v >= 0]
        if name == "consolidate":
            assert self._powered is not None
            return [(int(v), 1) for v in self._powered if v >= 0]
        return [(self._peak, 1)]

    def bound(self, stage: Stage, bound: int) -> int | Fraction:
        """A bound on a stage's terms as a bound on its value."""
        name, _ = stage
        if name in ("lost", "moves"):
            return bound * self._unit
        if name != "balance":
            return bound
        return self._shares.above(bound - 1)

    def hold(self, stage: Stage, value: int | Fraction, *, strictly: bool = False) -> None:
        """Demand that a stage is no worse than this value, or better."""
        name, _ = stage
        if name == "balance":
            for i in np.flatnonzero(self._problem.online).tolist():
                most = value * int(self._problem.usable[i]) / self._unit
                upper = int(most) - (1 if strictly and most == int(most) else 0)
                self.program.row(self._load(i), upper=upper)
            return
        units = int(value) // (self._unit if name in ("lost", "moves") else 1)
        self.program.row(self.objective(stage), upper=units - int(strictly))

    def hint(self, candidate: CandidatePlacement) -> list[int]:
        """A candidate as values of all variables."""
        counts = self._problem.counts(candidate.node_of)
        values = [0] * len(self.program.lower)
        for index, hint in self._hints:
            for v, value in zip(index.ravel().tolist(), np.asarray(hint(candidate, counts)).ravel().tolist(), strict=True):
                if v >= 0:
                    values[v] = min(max(int(value), self.program.lower[v]), self.program.upper[v])
        return values

    def placement(self, values: tuple[int, ...]) -> tuple[IntArray, BoolArray | None]:
        """Values as a placement and its powered nodes: VMs stay where their class still has room for them."""
        counts = np.zeros_like(self._n)
        for place, v in np.ndenumerate(self._n):
            counts[place] = values[v] if v >= 0 else 0
        node_of = _deal(self._problem, self._goal, counts)
        if self._powered is None:
            return node_of, None
        return node_of, np.array([v >= 0 and values[v] > 0 for v in self._powered.tolist()], dtype=bool)


def _deal(problem: Problem, goal: Goal, counts: IntArray) -> IntArray:
    """Nodes for the VMs of each class, so many on each; who is there stays, those who must first."""
    left = counts.copy()
    node_of = np.full(problem.n_vms, -1, dtype=np.int64)
    of, now, free = problem.classes.of.tolist(), problem.node_of.tolist(), goal.free(problem)
    for vm in np.argsort(free, kind="stable").tolist():
        s, i = of[vm], now[vm]
        if i >= 0 and left[s, i] > 0:
            left[s, i] -= 1
            node_of[vm] = i
    open_ = [np.repeat(np.arange(problem.n_nodes), row).tolist()[::-1] for row in left]
    for vm in np.flatnonzero(node_of < 0).tolist():
        node_of[vm] = open_[of[vm]].pop()
    return node_of


def _holds(capacity: IntArray, amount: IntArray) -> IntArray:
    """How many VMs of each class each node has room for when empty, shape (n_classes, n_nodes)."""
    each = [
        np.where(a[:, None] > 0, c[None, :] // np.maximum(a, 1)[:, None], _ANY) for c, a in zip(capacity, amount, strict=True)
    ]
    return np.asarray(np.min(each, axis=0))
