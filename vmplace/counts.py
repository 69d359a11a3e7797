"""The compact model: how many VMs of each class on each node, under rows that hold for every placement that is safe.

The variables are ``n[s, i]``, the VMs of class s on node i. The guarantee is first stated by slot-volume rows: for a size t,
with ``u[t, i]`` whole slots of t free on node i, the displaced VMs' whole slots, ``sum_s floor(s / t) n[s, f]``, are at most the
others' ``sum_{i != f} u[t, i]``. They are necessary for every t, and sufficient over all sizes where these divide each other and
no rule binds restarts. Where a candidate fails its exact check all the same, that scenario is written out: ``t[s, i]`` VMs of
class s restart on i.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from vmplace.budget import Budget
from vmplace.columns import IntArray
from vmplace.goal import Candidate, Goal, Stage, losses, priorities
from vmplace.lifting import lifted, slot_prices
from vmplace.problem import Binding, BoolArray, Problem
from vmplace.program import Terms
from vmplace.running import Running
from vmplace.slotbounds import thresholds

__all__ = ["CountModel"]


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
        self._written: set[int] = set()
        self._slots: dict[tuple[int, int], int] = {}
        self._stated: list[tuple[BoolArray, IntArray, set[int]]] = []
        if problem.failures:
            self._survive(slots)
        if goal.worst is not None:
            self._no_worse(goal.worst)

    # The guarantee

    def _survive(self, slots: Iterable[int]) -> None:
        known = {size // self._unit for size in slots if size % self._unit == 0}
        for mask, mine in self._worlds():
            sizes = self._sizes[mine]
            chosen = sorted({*thresholds(sizes), *known.intersection(sizes.tolist())})
            if chosen[0] > 1:  # slots of one unit are memory
                self._survive_by_memory(mask, mine)
            for size in chosen:
                self._survive_by_slots(mask, mine, size)
            self._lift(np.flatnonzero(mask), chosen)
            self._stated.append((mask, mine, set(chosen)))

    def sharpen(self, node_of: IntArray, powered: BoolArray | None, node: int) -> list[int] | None:
        """State slots of a size that shows that a failure is not survived.

        Parameters
        ----------
        node_of, powered
            A placement that the rows so far allow.
        node
            A node whose failure it does not survive.

        Returns
        -------
        list of int or None
            The sizes in MiB that rows were added for; none where rows added since then exclude the placement already. None where
            slots of no size do.
        """
        counts = self._problem.counts(node_of)
        free = np.array(self._usable) - (counts * self._sizes[:, None]).sum(axis=0)
        if powered is not None:
            free = np.where(powered, free, 0)
        for mask, mine, stated in self._stated:
            others = free[mask & (np.arange(len(free)) != node)]
            here = mine[counts[mine, node] > 0]
            missing = {
                size: int((self._sizes[here] // size) @ counts[here, node]) - int((others // size).sum())
                for size in np.unique(self._sizes[here]).tolist()
            }
            size = max(missing, key=lambda t: missing[t] * t, default=0)
            if missing.get(size, 0) <= 0:
                continue
            if any(missing[t] > 0 for t in stated.intersection(missing)):
                return []
            stated.add(size)
            self._survive_by_slots(mask, mine, size)
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

    def _displaced(self, mine: IntArray, node: int, slot: int) -> Terms:
        """Whole slots that the classes lose when a node fails."""
        mine = mine[(self._n[mine, node] >= 0) & (self._sizes[mine] >= slot)]
        whole = [self._size[s] // slot for s in mine.tolist()]
        terms = list(zip(self._n[mine, node].tolist(), whole, strict=True))
        if self._lost is not None:
            terms += [(v, -k) for v, k in zip(self._lost[mine, node].tolist(), whole, strict=True) if v >= 0]
        return terms

    def _survive_by_memory(self, mask: BoolArray, mine: IntArray) -> None:
        nodes = np.flatnonzero(mask).tolist()
        most = np.array([sum(self._usable[i] for i in nodes)])
        free = int(self._new(most, lambda c, counts: self._free(c, counts)[mask].sum(keepdims=True))[0])
        whole: Terms = [(free, 1)]
        constant = 0
        for i in nodes:
            terms, capacity = self._capacity(i, self._usable[i])
            whole += [*self._load(i), *terms]
            constant += capacity
        self.program.row(whole, upper=constant)
        for f in self._failing(mask, mine, 1):
            self._budget.demand()
            displaced = self._displaced(mine, f, 1)
            if not displaced:
                continue
            terms, own = self._capacity(f, self._usable[f]) if mask[f] else ([], 0)
            back = [*((v, -c) for v, c in self._load(f)), *((v, -c) for v, c in terms)] if mask[f] else []
            # free elsewhere = free - (own capacity - own load)
            self.program.row([*displaced, *back, (free, -1)], upper=-own)

    def _survive_by_slots(self, mask: BoolArray, mine: IntArray, size: int) -> None:
        nodes = np.flatnonzero(mask).tolist()
        self._count_slots(size, np.array([i for i in nodes if (size, i) not in self._slots], dtype=np.int64))
        most = np.array([sum(self._usable[i] // size for i in nodes)])
        total = int(self._new(most, lambda c, counts: (self._free(c, counts)[mask] // size).sum(keepdims=True))[0])
        self.program.row([*((self._slots[size, i], 1) for i in nodes), (total, -1)], 0, 0)
        for f in self._failing(mask, mine, size):
            self._budget.demand()
            displaced = self._displaced(mine, f, size)
            if displaced:
                own = [(self._slots[size, f], 1)] if mask[f] else []
                self.program.row([*displaced, *own, (total, -1)], upper=0)

    def _failing(self, mask: BoolArray, mine: IntArray, slot: int) -> list[int]:
        """Nodes whose failure needs a row: of those whose contents are settled, the one that asks for most."""
        settled = np.flatnonzero(self._settled)
        if not len(settled):
            return list(range(self._problem.n_nodes))
        whole = self._sizes[mine] // slot
        asked = (whole[:, None] * self._fixed[np.ix_(mine, settled)]).sum(axis=0)
        asked += np.where(mask[settled], np.maximum(self._settled_free[settled], 0) // slot, 0)
        return [int(settled[asked.argmax()]), *np.flatnonzero(~self._settled).tolist()]

    def _count_slots(self, size: int, nodes: IntArray) -> None:
        """Variables for the free slots of nodes."""
        most = np.array(self._usable, dtype=np.int64)[nodes] // size
        slots = self._new(most, lambda c, counts: self._free(c, counts)[nodes] // size).tolist()
        for i, v in zip(nodes.tolist(), slots, strict=True):
            self._slots[size, i] = v
            if self._settled[i] and v >= 0:
                self.program.lower[v] = self.program.upper[v] = max(0, int(self._settled_free[i])) // size
            elif v >= 0:
                terms, capacity = self._capacity(i, self._usable[i])
                self.program.row([*self._load(i), (v, size), *terms], upper=capacity)

    def _lift(self, nodes: IntArray, sizes: list[int]) -> None:
        """Rows that hold already but that relaxations miss: what slots cost beyond what a node has anyway."""
        nodes = nodes[~self._settled[nodes]]
        if not len(nodes):
            return
        capacity = np.array(self._usable, dtype=np.int64)[nodes]
        if self._out is not None:
            free = capacity - (self._now * self._sizes[:, None]).sum(axis=0)[nodes]
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
                for s in np.flatnonzero((left[:, i] >= 0) | (self._most[:, i] > self._now[:, i])).tolist():
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
                terms += [*((v, -c) for v, c in self._load(i)), (self._peak, over)]
                self.program.row(terms, lower=base + free - self._usable[i] + over * self._least_peak)

    def _slot_terms(self, node: int, room: int, sizes: list[int], prices: IntArray) -> tuple[Terms, int]:
        """Terms and constant of ``sum_t c[t] (floor(room / t) - u[t])``, to be at least: ``terms >= constant``."""
        terms = [(self._slots[size, node], -price) for size, price in zip(sizes, prices.tolist(), strict=True) if price]
        return terms, -sum(price * (room // size) for size, price in zip(sizes, prices.tolist(), strict=True))

    def _free(self, candidate: Candidate, counts: IntArray) -> Any:
        free = np.array(self._usable) - (counts * self._sizes[:, None]).sum(axis=0)
        powered = candidate.powered
        return free if powered is None or self._powered is None else np.where(powered, free, 0)

    def write_out(self, node: int) -> bool:
        """State one scenario exactly; False if it is already."""
        if node in self._written:
            return False
        self._written.add(node)
        problem, classes = self._problem, self._classes
        targets = problem.restartable[classes.signature] & classes.protected[:, None]
        targets[:, node] = False
        most = np.minimum(self._most[:, [node]], problem.usable[None, :] // classes.memory[:, None]) * targets
        restarts = self._new(np.asarray(most), lambda c, counts: self._restarts(c, counts, node))
        for s in np.flatnonzero(classes.protected & (self._n[:, node] >= 0)).tolist():
            lost = [] if self._lost is None else [(int(self._lost[s, node]), 1)]
            self.program.row([*((v, 1) for v in restarts[s].tolist()), *lost, (int(self._n[s, node]), -1)], 0, 0)
        for i in range(problem.n_nodes):
            coming = list(zip(restarts[:, i].tolist(), self._size, strict=True))
            terms, capacity = self._capacity(i, self._usable[i])
            if i != node and any(v >= 0 for v, _ in coming):
                self.program.row([*coming, *self._load(i), *terms], upper=capacity)
        for binding in problem.bindings:
            if binding.must and binding.during_failover:
                self._bind_restarts(binding, node, restarts)
        return True

    def _restarts(self, candidate: Candidate, counts: IntArray, node: int) -> IntArray:
        backup = np.where(candidate.node_of == node, candidate.verdict.backup_of, -1)
        return self._problem.counts(backup)

    def _bind_restarts(self, binding: Binding, node: int, restarts: IntArray) -> None:
        mine = np.unique(self._classes.of[binding.vms])
        if not (restarts[mine] >= 0).any():
            return
        if binding.kind == "apart":
            for i in range(self._problem.n_nodes):
                if i != node:
                    here = [*((int(self._n[s, i]), 1) for s in mine), *((int(restarts[s, i]), 1) for s in mine)]
                    self.program.row(here, upper=1)
        elif binding.kind == "together":
            homes = self._new(
                np.any(restarts[mine] >= 0, axis=0).astype(np.int64),
                lambda c, counts: np.any(self._restarts(c, counts, node)[mine], axis=0),
            )
            self.program.row(((v, 1) for v in homes.tolist()), upper=1)
            for s in mine.tolist():
                for i, home in enumerate(homes.tolist()):
                    if restarts[s, i] >= 0:
                        self.program.row([(int(restarts[s, i]), 1), (home, -int(self._most[s, node]))], upper=0)

    def _no_worse(self, worst: tuple[tuple[int, ...], ...]) -> None:
        """No scenario loses more than it may, in the order of priorities: more of a lower one only for less of a higher one."""
        for node, allowed in enumerate(worst):
            better: list[int] = []
            for rank, (priority, most) in enumerate(zip(priorities(self._problem), allowed, strict=True)):
                lost = self._lost_terms(priority, node)
                whole = sum(c * self.program.upper[v] for v, c in lost)
                self.program.row([*lost, *((b, -whole) for b in better)], upper=most // self._unit)
                better.append(self._less(node, rank, lost, most))

    def _less(self, node: int, rank: int, lost: Terms, most: int) -> int:
        """A variable that may be 1 only if a scenario loses less than `most` MiB of a priority."""
        less = int(
            self._new(np.ones(1, dtype=np.int64), lambda c, _: np.array([losses(self._problem, c.verdict)[node][rank] < most]))[0]
        )
        whole = sum(c * self.program.upper[v] for v, c in lost)
        under = (most - 1) // self._unit
        slack = max(0, whole - under)
        self.program.row([*lost, (less, slack)], upper=under + slack)
        return less

    def _lost_terms(self, priority: int, node: int | None = None) -> Terms:
        assert self._lost is not None
        mine = np.flatnonzero(self._classes.priority == priority)
        nodes = range(self._problem.n_nodes) if node is None else (node,)
        return [(int(self._lost[s, i]), self._size[s]) for s in mine for i in nodes if self._lost[s, i] >= 0]

    def lost(self, values: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Per node, the memory in MiB that its failure leaves out in the model, by priority, highest first."""
        ranks = priorities(self._problem)
        terms = [[self._lost_terms(priority, node) for priority in ranks] for node in range(self._problem.n_nodes)]
        return [tuple(self.program.value(t, values) * self._unit for t in row) for row in terms]

    # Between values and placements

    def objective(self, stage: Stage) -> Terms:
        """What a stage minimises."""
        name, priority = stage
        if name == "lost":
            return self._lost_terms(priority)
        if name == "rules":
            weight = {b.rule: b.weight for b in self._problem.bindings}
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

    def hint(self, candidate: Candidate) -> list[int]:
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
