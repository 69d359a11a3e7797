"""Normal running as rows: how many VMs of each class are on each node, what moves, what is lost, which rules are broken.

The variables are ``n[s, i]``, the VMs of class s on node i.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from vmplace.failover.regression import Key, LostMemory
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, CompiledRule, Problem, kept
from vmplace.search.bounds.shares import Shares
from vmplace.search.goal import CandidatePlacement, Goal, losses, priorities
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import IntegerProgram, Terms

__all__ = ["Running"]

Hint = Callable[[CandidatePlacement, IntArray], Any]


class Running:
    """Variables and rows that do not concern failures; `vmplace.search.mip.model.CountModel` adds those that do.

    Parameters
    ----------
    problem, goal, budget, onto, least_peak
        As for `vmplace.search.mip.model.CountModel`.
    """

    def __init__(self, problem: Problem, goal: Goal, budget: Budget, onto: BoolArray | None, least_peak: Fraction) -> None:
        self.program = IntegerProgram()
        self._budget = budget
        self._problem, self._goal = problem, goal
        self._classes = problem.classes
        # All memory in the VMs' common divisor: small numbers make short searches.
        self._unit = max(1, int(np.gcd.reduce(self._classes.memory))) if len(self._classes) else 1
        self._sizes = self._classes.memory // self._unit
        self._size = self._sizes.tolist()
        self._usable = (problem.usable // self._unit).tolist()
        # By resource: what a VM of each class takes, and what each node has; memory in units.
        units = np.array([self._unit, *([1] * len(problem.resources))])
        self._amount = (self._classes.demand // units).T
        self._capacity_of = (problem.capacity // units).T
        self._hints: list[tuple[IntArray, Hint]] = []
        self._now = problem.counts(problem.node_of)
        self._fixed = problem.counts(problem.node_of, ~goal.free(problem))
        self._place(np.ones(problem.n_nodes, dtype=bool) if onto is None else onto)
        self._powered = self._power() if goal.consolidates else None
        self._bound_loads()
        self._lost = self._lose() if goal.best_effort else None
        if goal.worst is not None:
            self._no_worse(goal.worst)
        self._out = self._migrate()
        self._broken = {b.index: self._bind(b) for b in problem.compiled_rules}
        self._shares = Shares.of(problem, self._unit)
        self._peak = self._level(least_peak) if "balance" in goal.objectives else -1

    def _new(self, upper: IntArray, hint: Hint) -> IntArray:
        self._budget.demand()
        index = self.program.variables(upper)
        self._hints.append((index, hint))
        return index

    def _place(self, onto: BoolArray) -> None:
        problem, goal = self._problem, self._goal
        reachable = problem.reachable[self._classes.signature]
        total = np.bincount(self._classes.of, minlength=len(self._classes))
        open_ = total - self._fixed.sum(axis=1)
        most = self._fixed + open_[:, None]
        for limit, amount in zip(goal.limits(problem).T, self._classes.demand.T, strict=True):
            most = np.where(amount[:, None] > 0, np.minimum(most, limit[None, :] // np.maximum(amount, 1)[:, None]), most)
        most = most * problem.online
        most = np.where(problem.maintenance[None, :], self._now, most) * reachable
        self._most = np.where(onto[None, :], most, np.minimum(most, self._fixed)).astype(np.int64)
        # What these carry is known: no rows of their own.
        self._settled = np.all(self._most == self._fixed, axis=0) & (not goal.consolidates and not goal.best_effort)
        self._settled_free = self._capacity_of - (self._amount * ~self._classes.evictable) @ self._fixed
        self._n = self._new(self._most, lambda _, counts: counts)
        for s, i in zip(*np.nonzero(self._fixed), strict=True):
            if self._n[s, i] >= 0 and self._fixed[s, i] <= self._most[s, i]:
                self.program.lower[self._n[s, i]] = int(self._fixed[s, i])
            else:
                self.program.row([], 1, None)  # a VM that must stay where it may not be
        for s in range(len(self._classes)):
            self._budget.demand()
            self.program.row(((v, 1) for v in self._n[s].tolist()), int(total[s]), int(total[s]))

    def _load(self, node: int, resource: int = 0, *, lasting: bool = False) -> Terms:
        """What is in use of a resource on a node; with `lasting`, without what evictable VMs take."""
        counted = (self._n[:, node] >= 0) & (self._amount[resource] > 0)
        if lasting:
            counted &= ~self._classes.evictable
        mine = np.flatnonzero(counted)
        return list(zip(self._n[mine, node].tolist(), self._amount[resource, mine].tolist(), strict=True))

    def _power(self) -> IntArray:
        problem = self._problem
        powered = self._new(
            (problem.online | problem.maintenance).astype(np.int64),
            lambda candidate, counts: (counts.sum(axis=0) > 0) if candidate.powered is None else candidate.powered,
        )
        for first, second in self._twins():
            self.program.row([(int(powered[first]), 1), (int(powered[second]), -1)], lower=0)
        return powered

    def _twins(self) -> Iterator[tuple[int, int]]:
        """Neighbours among empty nodes that nothing tells apart."""
        problem, last = self._problem, dict[bytes, int]()
        limit = self._goal.limit(problem)
        for i in np.flatnonzero(problem.online & (self._now.sum(axis=0) == 0)).tolist():
            rules = [b.nodes[i] for b in problem.compiled_rules if b.nodes is not None]
            # Nodes of failure domains are alike only within one.
            rules += [b.zone[i] for b in problem.compiled_rules if b.zone is not None and len(np.unique(b.zone)) < len(b.zone)]
            place = [problem.pool[i], problem.unit[i] if problem.guarantee.scope == "domain" else -1, limit[i]]
            key = np.array([*place, *problem.capacity[i], *problem.reachable[:, i], *problem.restartable[:, i], *rules])
            if key.tobytes() in last:
                yield last[key.tobytes()], i
            last[key.tobytes()] = i

    def _capacity(self, node: int, capacity: int) -> tuple[Terms, int]:
        """Terms and constant of a node's capacity on a row's left side: ``load + terms <= constant``."""
        if self._powered is None or self._powered[node] < 0:
            return [], capacity
        return [(int(self._powered[node]), -capacity)], 0

    def _bound_loads(self) -> None:
        limits = self._goal.limits(self._problem).T.copy()
        limits[0] //= self._unit
        crowded = (self._amount @ self._fixed > limits).any(axis=0)
        for i in np.flatnonzero(~self._settled | crowded).tolist():
            self._budget.demand()
            for resource in range(len(limits)):
                terms, constant = self._capacity(i, int(limits[resource, i]))
                self.program.row([*self._load(i, resource), *terms], upper=constant)

    def _lose(self) -> IntArray:
        protected = self._classes.protected[:, None]
        lost = self._new(self._most * protected, self._lost_counts)
        for s, i in zip(*np.nonzero(lost >= 0), strict=True):
            self.program.row([(int(lost[s, i]), 1), (int(self._n[s, i]), -1)], upper=0)
        return lost

    def _lost_counts(self, candidate: CandidatePlacement, counts: IntArray) -> IntArray:
        lost = np.zeros_like(counts)
        for loss in candidate.verdict.losses.values():
            np.add.at(lost, (self._classes.of[loss.vms], candidate.node_of[loss.vms]), 1)
        return lost

    def _no_worse(self, worst: Mapping[Key, LostMemory]) -> None:
        """No scenario loses more than it may, in the order of priorities: more of a lower one only for less of a higher one."""
        for units, allowed in worst.items():
            better: list[int] = []
            for rank, priority in enumerate(priorities(self._problem)):
                most = allowed.get(priority, 0)
                lost = self._lost_terms(priority, units)
                whole = sum(c * self.program.upper[v] for v, c in lost)
                self.program.row([*lost, *((b, -whole) for b in better)], upper=most // self._unit)
                better.append(self._less(units, rank, lost, most))

    def _less(self, units: tuple[int, ...], rank: int, lost: Terms, most: int) -> int:
        """A variable that may be 1 only if a scenario loses less than `most` MiB of a priority."""

        def loses_less(c: CandidatePlacement, _: IntArray) -> IntArray:
            number = c.verdict.state.scenarios.number.get(units)
            return np.array([number is None or losses(self._problem, c.verdict)[number][rank] < most])

        less = int(self._new(np.ones(1, dtype=np.int64), loses_less)[0])
        whole = sum(c * self.program.upper[v] for v, c in lost)
        under = (most - 1) // self._unit
        slack = max(0, whole - under)
        self.program.row([*lost, (less, slack)], upper=under + slack)
        return less

    def _lost_terms(self, priority: int, units: tuple[int, ...] | None = None) -> Terms:
        """Memory that is lost; where one unit fails at a time, a VM is lost in one failure only."""
        assert self._lost is not None
        mine = np.flatnonzero(self._classes.priority == priority)
        columns = range(self._lost.shape[1]) if units is None else self._lost_in(units)
        return [(int(self._lost[s, i]), self._size[s]) for s in mine for i in columns if self._lost[s, i] >= 0]

    def _lost_in(self, units: tuple[int, ...]) -> list[int]:
        """Which columns of `_lost` are what a failure leaves out."""
        return np.flatnonzero(np.isin(self._problem.unit, units)).tolist()

    def lost(self, values: tuple[int, ...], units: tuple[int, ...]) -> tuple[int, ...]:
        """The memory in MiB that a failure leaves out in the model, by priority, highest first."""
        terms = (self._lost_terms(priority, units) for priority in priorities(self._problem))
        return tuple(self.program.value(t, values) * self._unit for t in terms)

    def _migrate(self) -> IntArray | None:
        goal = self._goal
        if "moves" not in goal.objectives and goal.max_moves is None and goal.max_migrated is None:
            return None
        out = self._new(self._now - self._fixed, lambda _, counts: np.maximum(self._now - counts, 0))
        for s, i in zip(*np.nonzero(out >= 0), strict=True):
            self.program.row([(int(self._n[s, i]), 1), (int(out[s, i]), 1)], lower=int(self._now[s, i]))
        moved = [(int(out[s, i]), self._size[s]) for s, i in zip(*np.nonzero(out >= 0), strict=True)]
        if goal.max_migrated is not None:
            self.program.row(moved, upper=goal.max_migrated // self._unit)
        if goal.max_moves is not None:
            self.program.row([(v, 1) for v, _ in moved], upper=goal.max_moves)
        return out

    def _bind(self, binding: CompiledRule) -> int:
        """A rule in normal running; the variable that tells it is broken, -1 for a must."""
        mine = np.unique(self._classes.of[binding.vms])
        broken = -1
        if not binding.must:
            broken = int(self._new(np.ones(1, dtype=np.int64), lambda c, _: np.array([not kept(binding, c.node_of)]))[0])
        size = len(binding.vms)
        if binding.zone is not None:
            for here in (np.flatnonzero(binding.zone == zone) for zone in np.unique(binding.zone)):
                self.program.row([*((v, 1) for v in self._n[np.ix_(mine, here)].ravel().tolist()), (broken, -size)], upper=1)
        elif binding.kind == "together":
            self._bind_together(binding, mine, broken)
        elif binding.nodes is not None:
            outside = [(int(self._n[s, i]), 1) for s in mine for i in np.flatnonzero(~binding.nodes)]
            self.program.row([*outside, (broken, -size)], upper=0)
        return broken

    def _bind_together(self, binding: CompiledRule, mine: IntArray, broken: int) -> None:
        n_nodes = self._problem.n_nodes
        home = self._new(
            np.ones(n_nodes, dtype=np.int64),
            lambda c, _: np.arange(n_nodes) == np.bincount(c.node_of[binding.vms]).argmax(),
        )
        self.program.row(((v, 1) for v in home.tolist()), 1, 1)
        total = np.bincount(self._classes.of, minlength=len(self._classes))
        for s in mine.tolist():
            for i, here in enumerate(home.tolist()):
                count = int(total[s])
                self.program.row([(int(self._n[s, i]), 1), (here, -count), (broken, -count)], upper=0)

    def _level(self, least_peak: Fraction) -> int:
        """The peak: the highest share of an online node, in parts of `Shares.whole`."""
        problem, shares = self._problem, self._shares
        self._least_peak = shares.ceil(least_peak)
        peak = int(self._new(np.array([max(shares.whole, self._least_peak)]), self._level_of)[0])
        self.program.lower[peak] = self._least_peak
        for i in np.flatnonzero(problem.online).tolist():
            usable = int(problem.usable[i])
            factor = shares.factor(usable)
            if factor is None:
                scaled = [(v, c * self._unit * shares.whole) for v, c in self._load(i)]
                self.program.row([*scaled, (peak, -usable)], upper=0)
            else:
                self.program.row([*((v, c * factor) for v, c in self._load(i)), (peak, -1)], upper=0)
        return peak

    def _level_of(self, _: CandidatePlacement, counts: IntArray) -> Any:
        load = (counts * self._sizes[:, None]).sum(axis=0)[self._problem.online]
        usable = self._problem.usable[self._problem.online]
        return (-(-load * self._unit * self._shares.whole // usable)).max(keepdims=True, initial=0)
