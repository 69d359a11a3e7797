"""The bounded knapsack problem by dynamic programming, for all capacities at once, in exact integers."""

from collections.abc import Sequence

import numpy as np

from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.binpacking.instance import Pattern, bundles
from vmplace.solvers.budget import Budget

__all__ = ["Knapsack"]

_NEVER = -(2**62)


class Knapsack:
    """The most worth that a bin can hold: a table over capacities, and the steps that lead back from it to a pattern.

    Parameters
    ----------
    sizes, counts
        The items to choose from.
    worths
        What one item of each size is worth, not negative.
    capacity
        The largest bin's.
    waste
        How much of a bin may stay empty.
    budget
        Asked before each item.

    Attributes
    ----------
    most : IntArray
        The most worth in a bin of each capacity that is filled but for the waste, shape (capacity + 1,); negative where no choice
        fills it so far.

    Raises
    ------
    OutOfTimeError
        if the budget is spent.
    """

    def __init__(
        self, sizes: Sequence[int], counts: Sequence[int], worths: Sequence[int], *, capacity: int, waste: int, budget: Budget
    ) -> None:
        self.most: IntArray = np.full(capacity + 1, _NEVER, dtype=np.int64)
        # What stays empty is put in first: then exactly full bins are all there is to look for.
        self.most[: waste + 1] = 0
        self._sizes = sizes
        # Where any waste will do, nobody asks for what is worth nothing.
        wanted = [j for j, worth in enumerate(worths) if worth or waste < capacity]
        self._steps: list[tuple[int, int, BoolArray]] = []
        for j, n in ((k, n) for k in wanted for n in bundles(min(counts[k], capacity // sizes[k]))):
            budget.demand()
            weight = n * sizes[j]
            joined = self.most[:-weight] + n * worths[j]
            better = joined > self.most[weight:]
            np.maximum(self.most[weight:], joined, out=self.most[weight:])
            self._steps.append((j, n, better))

    def pattern(self, capacity: int) -> Pattern:
        """The items that are worth `most` in a bin of this capacity."""
        taken: dict[int, int] = {}
        for j, n, better in reversed(self._steps):
            start = capacity - n * self._sizes[j]
            if start >= 0 and better[start]:
                taken[j] = taken.get(j, 0) + n
                capacity = start
        return tuple(sorted(taken.items()))
