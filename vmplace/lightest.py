"""The lightest choice of VMs that blocks each node, for any weights: an exact dynamic program over sums of demands."""

from collections.abc import Sequence

import numpy as np
from attrs import define, field, frozen

from vmplace.anyorder import NEVER, Blockade
from vmplace.budget import Budget
from vmplace.columns import BoolArray, IntArray
from vmplace.stock import Pattern, bundles

__all__ = ["Group", "Lightest"]

_HEAVY = 2**61
"""More than any choice weighs."""


@define
class _Table:
    """Choices of some kinds by their sum of one resource, in units of the demands' common divisor.

    Parameters
    ----------
    kinds, demand
        Who may be chosen, and what each takes.
    unit
        The common divisor.
    capacity
        The largest sum that matters.
    """

    kinds: list[int]
    demand: list[int]
    unit: int
    capacity: int = 0
    _least: IntArray = field(init=False)
    _steps: list[tuple[int, int, int, BoolArray]] = field(factory=list, init=False)

    @classmethod
    def of(cls, kinds: IntArray, demand: IntArray) -> "_Table":
        """A table of kinds with their demands, in MiB or another resource's measure."""
        unit = int(np.gcd.reduce(demand))
        return cls(kinds.tolist(), (demand // unit).tolist(), unit)

    def cells(self, counts: Sequence[int]) -> int:
        """How large the table is."""
        pairs = zip(self.kinds, self.demand, strict=True)
        return self.capacity * sum(min(counts[kind], self.capacity // size).bit_length() for kind, size in pairs)

    def fill(self, counts: Sequence[int], weights: Sequence[int], budget: Budget) -> None:
        """Find the lightest choices; counts and weights are those of all kinds."""
        self._least = np.full(self.capacity + 1, _HEAVY, dtype=np.int64)
        self._least[0] = 0
        self._steps = []
        for kind, size in zip(self.kinds, self.demand, strict=True):
            for n in bundles(min(counts[kind], self.capacity // size)):
                budget.demand()
                joined = self._least[: -n * size] + n * weights[kind]
                lighter = joined < self._least[n * size :]
                np.minimum(self._least[n * size :], joined, out=self._least[n * size :])
                self._steps.append((kind, n, n * size, lighter))

    def lightest(self, least: int, most: int) -> tuple[int, int]:
        """The least weight of a choice whose sum is in this window, and that sum in units."""
        start = -(-least // self.unit)
        window = self._least[start : most // self.unit + 1]
        if not len(window):
            return _HEAVY, start
        at = int(window.argmin())
        return int(window[at]), start + at

    def pattern(self, at: int) -> Pattern:
        """The lightest choice of this sum."""
        taken: dict[int, int] = {}
        for kind, n, size, lighter in reversed(self._steps):
            if at >= size and lighter[at - size]:
                taken[kind] = taken.get(kind, 0) + n
                at -= size
        return tuple(sorted(taken.items()))


@frozen
class Group:
    """Nodes that are blocked in the same ways: by choices of a table whose sum is in a window, (table, least, most)."""

    nodes: tuple[int, ...]
    ways: tuple[tuple[int, int, int], ...]


class Lightest:
    """The lightest choices for all nodes of a blockade, each by the resource for which it is lightest.

    Other resources and rules are not looked at: what truly blocks a node holds such a choice.

    Attributes
    ----------
    groups : list of Group
        The nodes.
    """

    def __init__(self, blockade: Blockade) -> None:
        kinds, free = blockade.situation.kinds, blockade.situation.free
        self._tables: list[_Table] = []
        self._counts = blockade.others.tolist()
        number: dict[tuple[int, bytes], int] = {}
        alike: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
        for at, node in enumerate(blockade.nodes.tolist()):
            ways = []
            for r in np.flatnonzero(blockade.cost[at] < NEVER).tolist():
                demand, most = kinds.demand[:, r], int(free[node, r])
                # Who is too large for the node is in no sum that fits: such nodes can share a table with larger ones.
                here = (blockade.others > 0) & (demand > 0) & (kinds.fits[:, node] | (demand > most))
                table = number.setdefault((r, here.tobytes()), len(number))
                if table == len(self._tables):
                    self._tables.append(_Table.of(np.flatnonzero(here), demand[here]))
                self._tables[table].capacity = max(self._tables[table].capacity, most // self._tables[table].unit)
                ways.append((table, int(blockade.cost[at, r]), most))
            alike.setdefault(tuple(ways), []).append(node)
        self.groups = [Group(tuple(nodes), ways) for ways, nodes in alike.items()]

    @property
    def cells(self) -> int:
        """The size of all tables."""
        return sum(table.cells(self._counts) for table in self._tables)

    def fill(self, counts: Sequence[int], weights: Sequence[int], budget: Budget) -> None:
        """Ask with these weights, of so many of each kind; raises OutOfTimeError if the budget is spent."""
        for table in self._tables:
            table.fill(counts, weights, budget)

    def weight(self, group: Group) -> int:
        """What the lightest choice for a node of the group weighs; more than all there is if there is none."""
        return min((self._tables[table].lightest(least, most)[0] for table, least, most in group.ways), default=_HEAVY)

    def pattern(self, group: Group) -> Pattern:
        """The lightest choice, where there is one."""
        choices = [(*self._tables[table].lightest(least, most), table) for table, least, most in group.ways]
        _, at, table = min(choices)
        return self._tables[table].pattern(at)
