"""Deletion filter: shrinks a set that has a property, such as being infeasible, to an irreducible subset that has it [1]_.

With "infeasible" as the property, what is left is an irreducible infeasible subset (IIS). The oracle that decides the property is
handed in. Where the property is monotone (a superset of a set that has it has it, too), an element that was needed once is
needed in the end, so that one pass is enough. Otherwise `DeletionFilter.settle` goes on until no single element can be dropped.

References
----------
.. [1] J. W. Chinneck, E. W. Dravnieks, "Locating minimal infeasible constraint sets in linear programs", ORSA Journal on
       Computing 3 (1991), 157-168.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from vmplace.solvers.budget import Budget

__all__ = ["DeletionFilter"]

T = TypeVar("T", bound=Hashable)


@define
class DeletionFilter(Generic[T]):
    """A set that has a property, and what is needed for that.

    Parameters
    ----------
    kept
        The set; it shrinks.
    holds
        The oracle: whether a subset still has the property; None if that is undecided. Elements stay where it is undecided.
    irreducible
        Whether it is proved of each element considered and kept that it is needed.
    """

    kept: frozenset[T]
    holds: Callable[[frozenset[T]], bool | None]
    budget: Budget = field(factory=Budget)
    irreducible: bool = True

    def drop_each(self, elements: Sequence[T]) -> None:
        """Drop one element after the other where the rest still has the property."""
        for element in elements:
            self.drop([[element]])

    def drop(self, groups: Sequence[Sequence[T]], *, needed: bool = False) -> None:
        """Drop as many groups as possible: all at once, or by halves; of a group of interchangeable elements, by bisection.

        The result is that of one after the other if the property is monotone. `needed`: it is known that not all can go.
        """
        if not groups:
            return
        if self.budget.spent:
            self.irreducible = False
            return
        if not needed:
            rest = self.kept.difference(*groups)
            holds = self.holds(rest)
            if holds:
                self.kept = rest
                return
            needed = holds is False
        if len(groups) == 1:
            self._bisect(groups[0], needed)
            return
        half = len(groups) // 2
        rest = self.kept.difference(*groups[:half])
        self.drop(groups[:half])
        self.drop(groups[half:], needed=needed and self.kept == rest)

    def _bisect(self, group: Sequence[T], needed: bool) -> None:
        """Keep the first few of interchangeable elements with which the property still holds; `needed`: none are too few."""
        few, many, whole = 0, max(1, len(group)), self.kept
        while many - few > 1:
            middle = (few + many) // 2
            rest = whole.difference(group[middle:])
            holds = self.holds(rest)
            if holds:
                many, self.kept = middle, rest
            else:
                few, needed = middle, holds is False
        self.irreducible = self.irreducible and needed

    def settle(self, elements: Sequence[T]) -> None:
        """Go on until no single one of the elements can be dropped, for a property that is not monotone."""
        left, told = [element for element in elements if element in self.kept], list[bool | None]()
        while len(told) < len(left):
            if self.budget.spent:
                self.irreducible = False
                return
            told.append(self.holds(self.kept - {left[len(told)]}))
            if told[-1]:
                self.kept -= {left.pop(len(told) - 1)}
                told.clear()
        self.irreducible = None not in told
