"""The MIP's variables: integer counts of interchangeable VMs on each node and which nodes stay on, with their warm start."""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import IntegerProgram, Terms, terms

__all__ = ["CountVariables", "Hint"]

Hint = Callable[[CandidatePlacement, IntArray], Any]
"""The values of some variables in a candidate, given its counts of VMs, shape (n_classes, n_nodes)."""


class CountVariables:
    """An integer program in ``n[s, i]``, the VMs of class s on node i, to which others add rows and variables of their own.

    Parameters
    ----------
    problem, goal, budget, onto, stoppable
        As for `vmplace.search.mip.model.CountModel`.

    Attributes
    ----------
    unit : int
        The VMs' common divisor in MiB. All memory of the program is in units: small numbers make short searches.
    amount, lasting : IntArray
        What a VM of each class takes, shape (n_resources, n_classes), and what it keeps in a failover: nothing if evictable.
    capacity : IntArray
        What each node has, shape (n_resources, n_nodes).
    total : IntArray
        VMs of each class, shape (n_classes,).
    now, fixed, yielding, most : IntArray
        Present counts, those of VMs that stay, of these the ones that may be stopped, and upper bounds, shape (n_classes,
        n_nodes).
    settled, settled_free
        Nodes whose contents are known and need no rows, and what would be free on each node with the fixed VMs alone.
    n, stopped, powered : IntArray
        Indices of variables, -1 for none; `stopped` are the VMs of each class that are on no node; `powered` is None where all
        nodes stay on.
    """

    def __init__(
        self, problem: Problem, goal: Goal, budget: Budget, onto: BoolArray | None, stoppable: BoolArray | None = None
    ) -> None:
        self.problem, self.goal, self.budget = problem, goal, budget
        self.program = IntegerProgram()
        self._hints: list[tuple[IntArray, Hint]] = []
        classes = self.classes = problem.classes
        self.unit = max(1, int(np.gcd.reduce(classes.memory))) if len(classes) else 1
        units = np.array([self.unit, *([1] * len(problem.resources))])
        self.amount, self.capacity = (classes.demand // units).T, (problem.capacity // units).T
        self.lasting: IntArray = np.where(classes.evictable, 0, self.amount)
        self.total = np.bincount(classes.of, minlength=len(classes))
        self.now = problem.counts(problem.node_of)
        self.fixed = problem.counts(problem.node_of, ~goal.free(problem))
        self.most = self._most(onto)
        self.settled = np.all(self.most == self.fixed, axis=0) & (not goal.consolidates and not goal.best_effort)
        self.settled_free: IntArray = self.capacity - self.lasting @ self.fixed
        self._stoppable = np.zeros(problem.n_vms, dtype=bool) if stoppable is None else stoppable
        self.stopped: IntArray = np.full(len(classes), -1, dtype=np.int64)
        self.yielding = np.zeros_like(self.now)
        self.n = self._counts()
        self.powered = self._power() if goal.consolidates else None

    def _most(self, onto: BoolArray | None) -> IntArray:
        problem, classes = self.problem, self.classes
        most = self.fixed + (self.total - self.fixed.sum(axis=1))[:, None]
        for limit, amount in zip(self.goal.limits(problem).T, classes.demand.T, strict=True):
            most = np.where(amount[:, None] > 0, np.minimum(most, limit[None, :] // np.maximum(amount, 1)[:, None]), most)
        most = most * problem.online
        most = np.where(problem.maintenance[None, :], self.now, most) * problem.reachable[classes.signature]
        if onto is not None:
            most = np.where(onto[None, :], most, np.minimum(most, self.fixed))
        return most.astype(np.int64)

    def _counts(self) -> IntArray:
        n = self.new(self.most, lambda _, counts: counts)
        away = self._stops() if self._stoppable.any() else np.full_like(n, -1)
        for s, i in zip(*np.nonzero(self.fixed), strict=True):
            if away[s, i] >= 0:
                self.program.row([(int(n[s, i]), 1), (int(away[s, i]), 1)], lower=int(self.fixed[s, i]))
            elif n[s, i] >= 0 and self.fixed[s, i] <= self.most[s, i]:
                self.program.lower[n[s, i]] = int(self.fixed[s, i])
            else:
                self.program.row([], 1, None)  # a VM that must stay where it may not be
        for row, stopped, total in zip(n, self.stopped.tolist(), self.total.tolist(), strict=True):
            self.budget.demand()
            self.program.row([*terms(row), (stopped, 1)], total, total)
        return n

    def _stops(self) -> IntArray:
        """Variables for the VMs of each class that are stopped on each node instead of staying there as they must."""
        problem, of, stoppable = self.problem, self.classes.of, self._stoppable
        bound = stoppable & ~self.goal.free(problem)

        def stopped(candidate: CandidatePlacement, _: IntArray) -> IntArray:
            return np.bincount(of[candidate.node_of < 0], minlength=len(self.classes))

        def left(candidate: CandidatePlacement, _: IntArray) -> IntArray:
            return problem.counts(problem.node_of, bound & (candidate.node_of < 0))

        self.stopped = self.new(np.bincount(of[stoppable], minlength=len(self.classes)), stopped)
        self.yielding = problem.counts(problem.node_of, bound)
        away = self.new(self.yielding, left)
        for s in np.flatnonzero((away >= 0).any(axis=1)).tolist():
            self.program.row([(int(self.stopped[s]), 1), *terms(away[s], -1)], lower=0)
        return away

    def _power(self) -> IntArray:
        problem = self.problem
        powered = self.new(
            (problem.online | problem.maintenance).astype(np.int64),
            lambda candidate, counts: (counts.sum(axis=0) > 0) if candidate.powered is None else candidate.powered,
        )
        for first, second in self._twins():
            self.program.row([(int(powered[first]), 1), (int(powered[second]), -1)], lower=0)
        return powered

    def _twins(self) -> Iterator[tuple[int, int]]:
        """Symmetric nodes, each with the next one: empty ones that nothing tells apart."""
        problem, last = self.problem, dict[bytes, int]()
        domains = any(part.guarantee.scope == "domain" or part.guarantee.domains for part in problem.each)
        limit = self.goal.limit(problem)
        for i in np.flatnonzero(problem.online & (self.now.sum(axis=0) == 0)).tolist():
            rules = [b.nodes[i] for b in problem.compiled_rules if b.nodes is not None]
            # Nodes of failure domains are alike only within one.
            rules += [b.zone[i] for b in problem.compiled_rules if b.zone is not None and len(np.unique(b.zone)) < len(b.zone)]
            place = [problem.pool[i], problem.domain[i] if domains else -1, limit[i]]
            key = np.array([*place, *problem.capacity[i], *problem.reachable[:, i], *problem.restartable[:, i], *rules])
            if key.tobytes() in last:
                yield last[key.tobytes()], i
            last[key.tobytes()] = i

    def under(self, problem: Problem) -> "CountVariables":
        """The same variables of the same program, for rows of one of the guarantees."""
        alone = copy(self)
        alone.problem, alone.classes = problem, problem.classes
        return alone

    def new(self, upper: IntArray, hint: Hint) -> IntArray:
        """Variables from 0 to `upper`, as `IntegerProgram.variables`, with their values in a candidate."""
        self.budget.demand()
        index = self.program.variables(upper)
        self.hint_of(index, hint)
        return index

    def hint_of(self, index: IntArray, hint: Hint) -> None:
        """Give variables that others made their values in a candidate."""
        self._hints.append((index, hint))

    def new_one(self, upper: int, hint: Hint) -> int:
        """One variable; the hint is a number."""
        return int(self.new(np.array([upper]), lambda c, counts: np.array([hint(c, counts)]))[0])

    def load(self, node: int, resource: int = 0, *, lasting: bool = False) -> Terms:
        """What is in use of a resource on a node; with `lasting`, without what evictable VMs take."""
        return terms(self.n[:, node], (self.lasting if lasting else self.amount)[resource])

    def within(self, node: int, capacity: int) -> tuple[Terms, int]:
        """Terms and constant of a node's capacity, which is 0 when it is off: ``load + terms <= constant``."""
        if self.powered is None or self.powered[node] < 0:
            return [], capacity
        return [(int(self.powered[node]), -capacity)], 0

    def free(self, powered: BoolArray | None, counts: IntArray, resource: int = 0) -> IntArray:
        """What counts of VMs leave free for restarts on each node, shape (n_nodes,)."""
        free: IntArray = self.capacity[resource] - self.lasting[resource] @ counts
        return free if powered is None or self.powered is None else np.where(powered, free, 0)

    def hint(self, candidate: CandidatePlacement) -> list[int]:
        """A candidate as values of all variables, for a warm start."""
        counts = self.problem.counts(candidate.node_of)
        values = [0] * len(self.program.lower)
        for index, hint in self._hints:
            for v, value in zip(index.ravel().tolist(), np.asarray(hint(candidate, counts)).ravel().tolist(), strict=True):
                if v >= 0:
                    values[v] = min(max(int(value), self.program.lower[v]), self.program.upper[v])
        return values

    def placement(self, values: tuple[int, ...]) -> tuple[IntArray, BoolArray | None]:
        """Values as a placement and its powered nodes: VMs stay where their class still has room for them."""
        found = np.array([*values, 0])  # index -1, no variable, is 0
        node_of = _deal(self.problem, self.goal, found[self.n], self._stoppable)
        return node_of, None if self.powered is None else found[self.powered] > 0


def _deal(problem: Problem, goal: Goal, counts: IntArray, stoppable: BoolArray) -> IntArray:
    """Nodes for the VMs of each class, so many on each, -1 for those that are left; VMs stay where they are if they can, those
    that must first."""
    left = counts.copy()
    node_of = np.full(problem.n_vms, -1, dtype=np.int64)
    of, now, free = problem.classes.of.tolist(), problem.node_of.tolist(), np.asarray(goal.free(problem))
    for vm in np.lexsort((stoppable, free)).tolist():
        s, i = of[vm], now[vm]
        if i >= 0 and left[s, i] > 0:
            left[s, i] -= 1
            node_of[vm] = i
    open_ = [np.repeat(np.arange(problem.n_nodes), row).tolist()[::-1] for row in left]
    homeless = np.flatnonzero((node_of < 0) & free)
    for vm in homeless[np.argsort(stoppable[homeless], kind="stable")].tolist():
        if open_[of[vm]]:
            node_of[vm] = open_[of[vm]].pop()
    return node_of
