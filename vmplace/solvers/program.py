"""An integer linear program as plain lists, which any solver can take."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from fractions import Fraction

import numpy as np
from attrs import field, frozen

from vmplace.model.columns import IntArray

__all__ = ["Answer", "IntegerProgram", "Outcome", "Terms", "terms", "weighted"]

Terms = list[tuple[int, int]]
"""A linear expression: (variable, coefficient) pairs."""


def terms(variables: IntArray, coefficients: IntArray | int = 1) -> Terms:
    """An expression of variables in order, with coefficients of their shape or broadcast to it; without index -1 and 0."""
    if isinstance(coefficients, int):
        return [(v, coefficients) for v in variables.ravel().tolist() if v >= 0]
    factors = np.zeros_like(variables) + coefficients
    return [(v, c) for v, c in zip(variables.ravel().tolist(), factors.ravel().tolist(), strict=True) if v >= 0 and c]


def weighted(expressions: Iterable[tuple[Terms, int]]) -> Terms:
    """The sum of some expressions, each times its weight; every variable comes once."""
    total = Counter[int]()
    for expression, weight in expressions:
        for v, c in expression:
            total[v] += c * weight
    return [(v, c) for v, c in total.items() if c]


class IntegerProgram:
    """Integer variables with bounds, linear rows with bounds, and an objective to minimise.

    Attributes
    ----------
    lower, upper : list of int
        Bounds of each variable.
    rows : list of (Terms, int or None, int or None)
        Each row's terms and its bounds; None for no bound.
    objective : Terms
        What `solve` minimises.
    gap : Fraction
        As a share of the value: a search may end once incumbent and bound are this close.
    """

    def __init__(self) -> None:
        self.lower: list[int] = []
        self.upper: list[int] = []
        self.rows: list[tuple[Terms, int | None, int | None]] = []
        self.objective: Terms = []
        self.gap = Fraction(0)

    def variable(self, lower: int, upper: int) -> int:
        """A new variable's index."""
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.lower) - 1

    def variables(self, upper: IntArray) -> IntArray:
        """New variables from 0 to `upper`, as indices in its shape; -1 where `upper` is 0 or less: no variable."""
        index = np.full(upper.shape, -1, dtype=np.int64)
        some = upper > 0
        index[some] = len(self.lower) + np.arange(int(some.sum()))
        self.lower += [0] * int(some.sum())
        self.upper += [int(bound) for bound in upper[some]]
        return index

    def row(self, terms: Iterable[tuple[int, int]], lower: int | None = None, upper: int | None = None) -> None:
        """Add ``lower <= sum(coefficient * variable) <= upper``; terms of variable -1 (no variable) are left out."""
        self.rows.append(([(v, c) for v, c in terms if v >= 0 and c], lower, upper))

    def close(self, value: float, bound: float) -> bool:
        """Whether an incumbent's value is as close to a bound as is asked for."""
        return value <= bound or (math.isfinite(value) and math.isfinite(bound) and value - bound <= self.gap * abs(value))

    def done(self, answer: "Answer") -> bool:
        """Whether a search need not go on from an answer."""
        if answer.settled or answer.values is None or answer.bound is None:
            return answer.settled
        return self.close(self.value(self.objective, answer.values), answer.bound)

    def value(self, terms: Terms, values: Sequence[int]) -> int:
        """The expression at these values."""
        return sum(c * values[v] for v, c in terms)

    def holds(self, values: Sequence[int]) -> bool:
        """Whether these values keep all bounds and rows."""
        within = all(low <= v <= high for v, low, high in zip(values, self.lower, self.upper, strict=True))
        return within and all(
            (low is None or total >= low) and (high is None or total <= high)
            for total, low, high in ((self.value(terms, values), low, high) for terms, low, high in self.rows)
        )

    @property
    def largest(self) -> int:
        """The largest coefficient or finite row bound."""
        rows = (abs(c) for terms, _, _ in self.rows for _, c in terms)
        ends = (abs(end) for _, low, high in self.rows for end in (low, high) if end is not None)
        return max([*rows, *ends, *(abs(c) for _, c in self.objective)], default=0)


class Outcome(Enum):
    """The status of a program after a search."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@frozen
class Answer:
    """What a solver established about a program.

    Parameters
    ----------
    outcome
        Its status.
    values
        The incumbent: the values of the best solution; None without one.
    bound
        The dual bound, the least the objective can be; None where nothing is known.
    by
        The solver that gave outcome and bound.
    """

    outcome: Outcome
    values: tuple[int, ...] | None
    bound: int | None
    by: str = field(default="cp-sat", eq=False)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be found."""
        return self.outcome in (Outcome.OPTIMAL, Outcome.INFEASIBLE)
