"""Shares of nodes as whole numbers: the peak that `balance` minimises, for solvers that know integers only."""

from fractions import Fraction
from math import gcd, lcm

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem

__all__ = ["Shares"]

_FINEST = 2**20


@frozen(eq=False)
class Shares:
    """Shares of usable memory in parts of `whole`, for loads in whole units.

    Parameters
    ----------
    unit
        MiB that all loads are multiples of.
    usable
        Of the online nodes, in MiB.
    whole
        Parts of a full node: the least number that expresses every share, or 2**20 where that is more.
    """

    unit: int
    usable: IntArray
    whole: int

    @classmethod
    def of(cls, problem: Problem, unit: int) -> "Shares":
        """Of a problem's online nodes."""
        usable = problem.usable[problem.online]
        whole = lcm(*(int(c) // gcd(int(c), unit) for c in np.unique(usable))) if len(usable) else 1
        return cls(unit, usable, min(whole, _FINEST))

    def factor(self, usable: int) -> int | None:
        """Parts that a unit of load is on a node; None where that is no whole number."""
        parts, rest = divmod(self.unit * self.whole, usable)
        return None if rest else parts

    def most(self, parts: int, usable: int) -> int:
        """The most units that a node may carry within a share."""
        return parts * usable // (self.whole * self.unit)

    def ceil(self, share: Fraction) -> int:
        """A share in parts, rounded up."""
        return -(-share.numerator * self.whole // share.denominator)

    def above(self, parts: int) -> Fraction:
        """The least share above this one that some node can have."""
        kinds = np.unique(self.usable).tolist()
        return min((Fraction((self.most(parts, c) + 1) * self.unit, c) for c in kinds), default=Fraction(0))
