"""Column generation for bin packing: a master problem over patterns, with an exact knapsack as the pricing problem.

Gilmore and Gomory's [1]_ relaxation, asked as a question of feasibility: cover as much as possible with the given bins. That
takes unequal bins as it takes equal ones, and needs no optimum: it ends as soon as everything is covered. Patterns waste no more
than all bins together may, which makes the relaxation stronger, the tighter the bins are.

The linear program works in floats and is trusted in nothing. A "no" is proved in integers: give each size j the worth w_j (any
integers will do; these are the rounded duals), let W_k be the most worth in a bin of kind k by an exact knapsack; n_j items and
u_k bins with sum(w_j n_j) > sum(W_k u_k) cannot be packed. (Farley's [2]_ argument, with the limits of the kinds in it.)

References
----------
.. [1] P. Gilmore, R. Gomory. A linear programming approach to the cutting-stock problem. Operations Research 9, 1961.
.. [2] A. Farley. A note on bounding a class of linear programming problems, including cutting stock problems. Operations Research
       38, 1990.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

from attrs import define, field, frozen

from vmplace.solvers.binpacking.instance import Instance, Load
from vmplace.solvers.binpacking.knapsack import Knapsack
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Outcome

__all__ = ["ColumnGeneration", "Residual"]

_SCALE = 2**40
"""Duals are below 1, and so is a bin's worth, nearly: their integer images and sums stay below 2**62."""

_COVERED = 1e-7
"""Share of a bin that may stay uncovered, in floats: it is not a cover that counts in the end, but a packing."""

_GAIN = 2**20
"""By how much a pattern must be worth more than its bin costs: about 1e-6 bins."""

_MOST_CELLS = 2**27
"""Of a knapsack's table, a byte each: more would take seconds for each pattern."""


@frozen
class Residual:
    """The residual problem: what is still to be packed.

    Parameters
    ----------
    counts
        Items of each size.
    limits
        Bins of each kind that are to take them.
    waste
        How much of these bins stays empty then.
    """

    counts: tuple[int, ...]
    limits: tuple[int, ...]
    waste: int

    @classmethod
    def of(cls, instance: Instance, n_bins: int) -> "Residual":
        """All items, and the largest bins."""
        return cls(instance.counts, instance.largest(n_bins), instance.waste(n_bins))

    def less(self, instance: Instance, load: Load) -> "Residual | None":
        """What remains when this is packed, or None where it cannot be."""
        kind, pattern = load
        counts = list(self.counts)
        for j, n in pattern:
            counts[j] -= n
        limits = [limit - (k == kind) for k, limit in enumerate(self.limits)]
        waste = self.waste - (instance.kinds[kind][0] - instance.filling(pattern))
        if min(*counts, *limits, waste) < 0:
            return None
        return Residual(tuple(counts), tuple(limits), waste)


@define
class ColumnGeneration:
    """The restricted master problem with its patterns, kept from one question to the next.

    Parameters
    ----------
    instance
        Sizes and kinds of bins.
    budget
        OutOfTimeError is raised when it is spent.
    """

    instance: Instance
    budget: Budget
    loads: list[Load] = field(factory=list, init=False)
    _known: set[Load] = field(factory=set, init=False)
    _master: "_MasterProblem" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._master = _MasterProblem(self.instance)

    @staticmethod
    def affordable(instance: Instance) -> bool:
        """Whether the table of the pricing problem is of bearable size."""
        capacity = instance.kinds[0][0]
        bundles = sum(min(n, capacity // size).bit_length() for size, n in zip(instance.sizes, instance.counts, strict=True))
        return bundles * capacity <= _MOST_CELLS

    def add(self, load: Load) -> bool:
        """Take a pattern into the master problem; whether it is new."""
        if load in self._known:
            return False
        self._known.add(load)
        self.loads.append(load)
        self._master.add(load)
        return True

    def solve(self, residual: Residual) -> Outcome:
        """Whether the relaxation packs what is left.

        Returns
        -------
        Outcome
            ``FEASIBLE`` if it does, in fractions of bins (see `fractions`); ``INFEASIBLE`` if it is proved that no packing does;
            ``UNKNOWN`` where something is left over, but the proof is lost in rounding.

        Raises
        ------
        OutOfTimeError
            if the budget is spent first.
        """
        if residual.waste < 0:
            return Outcome.INFEASIBLE
        self._master.restrict(residual, [self._fits(load, residual) for load in self.loads])
        while True:
            self.budget.demand()
            solved = self._master.solve(self.budget)
            if solved is None:
                return Outcome.UNKNOWN
            uncovered, duals, prices = solved
            if uncovered < _COVERED:
                return Outcome.FEASIBLE
            worths = [round(min(max(0.0, dual), 1.0) * _SCALE) for dual in duals]
            knapsack = self._knapsack(residual, worths)
            if _proved(self.instance, residual, worths, knapsack):
                return Outcome.INFEASIBLE
            if not self._price(residual, knapsack, prices):
                return Outcome.UNKNOWN

    def fractions(self) -> list[tuple[float, Load]]:
        """How many bins the last solution fills by each pattern, where it does."""
        return [(part, load) for part, load in zip(self._master.fractions(), self.loads, strict=True) if part > _COVERED]

    def _fits(self, load: Load, residual: Residual) -> bool:
        kind, pattern = load
        wasted = self.instance.kinds[kind][0] - self.instance.filling(pattern)
        return residual.limits[kind] > 0 and wasted <= residual.waste and all(n <= residual.counts[j] for j, n in pattern)

    def _knapsack(self, residual: Residual, worths: Sequence[int]) -> Knapsack:
        capacity = max(c for (c, _), limit in zip(self.instance.kinds, residual.limits, strict=True) if limit)
        waste = min(residual.waste, capacity)
        return Knapsack(self.instance.sizes, residual.counts, worths, capacity=capacity, waste=waste, budget=self.budget)

    def _price(self, residual: Residual, knapsack: Knapsack, prices: Sequence[float]) -> bool:
        """Add the pattern of most negative reduced cost for each kind of bin; whether there is any."""
        found = False
        for kind, ((capacity, _), limit) in enumerate(zip(self.instance.kinds, residual.limits, strict=True)):
            if limit and knapsack.most[capacity] > prices[kind] * _SCALE + _GAIN:
                found |= self.add((kind, knapsack.pattern(capacity)))
        return found


def _proved(instance: Instance, residual: Residual, worths: Sequence[int], knapsack: Knapsack) -> bool:
    """Whether the worth of all items is more than the bins can hold."""
    need = sum(worth * n for worth, n in zip(worths, residual.counts, strict=True))
    for (capacity, _), limit in zip(instance.kinds, residual.limits, strict=True):
        if limit:
            # Where nothing fills a bin far enough this is far below 0, and there is no packing.
            need -= int(knapsack.most[capacity]) * limit
    return need > 0


class _MasterProblem:
    """The master problem as a linear program for GLOP, changed in place: each solve starts from the last one's basis."""

    def __init__(self, instance: Instance) -> None:
        from ortools.linear_solver import pywraplp  # slow to import: only when first solving

        self._solver: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._optimal = pywraplp.Solver.OPTIMAL
        self._demand = [self._solver.Constraint(0, self._solver.infinity()) for _ in instance.sizes]
        self._supply = [self._solver.Constraint(0, 0) for _ in instance.kinds]
        self._parts: list[Any] = []
        objective = self._solver.Objective()
        objective.SetMinimization()
        whole = max(instance.sizes[0], instance.kinds[0][0])
        for row, size in zip(self._demand, instance.sizes, strict=True):
            missing = self._solver.NumVar(0, self._solver.infinity(), "")
            row.SetCoefficient(missing, 1)
            objective.SetCoefficient(missing, size / whole)

    def add(self, load: Load) -> None:
        kind, pattern = load
        part = self._solver.NumVar(0, self._solver.infinity(), "")
        self._supply[kind].SetCoefficient(part, 1)
        for j, n in pattern:
            self._demand[j].SetCoefficient(part, n)
        self._parts.append(part)

    def restrict(self, residual: Residual, fitting: Sequence[bool]) -> None:
        for row, count in zip(self._demand, residual.counts, strict=True):
            row.SetLb(count)
        for row, limit in zip(self._supply, residual.limits, strict=True):
            row.SetUb(limit)
            row.SetLb(-self._solver.infinity())
        for part, fits in zip(self._parts, fitting, strict=True):
            part.SetUb(self._solver.infinity() if fits else 0)

    def solve(self, budget: Budget) -> tuple[float, list[float], list[float]] | None:
        """What stays uncovered, in bins, and the duals of sizes and kinds; None where the solver gives up."""
        if budget.left < inf:
            self._solver.SetTimeLimit(max(1, int(1000 * budget.left)))
        if self._solver.Solve() != self._optimal:
            budget.demand()
            return None
        return (
            self._solver.Objective().Value(),
            [row.dual_value() for row in self._demand],
            [-row.dual_value() for row in self._supply],
        )

    def fractions(self) -> list[float]:
        return [part.solution_value() for part in self._parts]
