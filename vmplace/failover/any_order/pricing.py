"""Pricing by dynamic programming: for any weights of the VMs, the lightest pattern that blocks each node, exactly."""

from collections.abc import Iterator, Sequence
from operator import sub

import numpy as np
from attrs import define, field, frozen

from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.certificates.blocking import NEVER
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.binpacking.instance import Pattern, bundles
from vmplace.solvers.budget import Budget

__all__ = ["HEAVY", "NodeGroup", "Pricing"]

HEAVY = 2**61
"""More than any pattern weighs."""

_MOST_CELLS = 2**24
"""Of all tables, a byte each: more would take too long for each question."""

Window = tuple[tuple[int, int], ...]
"""Sums of some resources, each from least to most."""


@define
class _SumTable:
    """A knapsack table: the lightest choice of some kinds for each sum of some resources, in units, rounded down.

    `demand` is what one of each kind takes, in units (the common divisors, or coarser), shape (len(kinds), n_dimensions); `shape`
    are the numbers of sums that matter.
    """

    kinds: list[int]
    demand: IntArray
    unit: IntArray
    shape: tuple[int, ...]
    _least: IntArray = field(init=False)
    _steps: list[tuple[int, int, list[int], BoolArray]] = field(factory=list, init=False)

    def reach(self, sums: Sequence[int]) -> None:
        """Let sums up to these matter."""
        self.shape = tuple(max(n, most // u + 1) for n, most, u in zip(self.shape, sums, self.unit.tolist(), strict=True))

    def bundles(self, counts: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
        """(kind, how many of it, their demand) that make up all choices."""
        for kind, demand in zip(self.kinds, self.demand.tolist(), strict=True):
            fitting = min((n - 1) // d for n, d in zip(self.shape, demand, strict=True) if d)
            for n in bundles(min(counts[kind], fitting)):
                yield kind, n, [n * d for d in demand]

    def fill(self, counts: Sequence[int], weights: Sequence[int], budget: Budget) -> None:
        """Find the lightest choices; counts and weights are those of all kinds."""
        self._least = np.full(self.shape, HEAVY, dtype=np.int64)
        self._least.flat[0] = 0
        self._steps = []
        for kind, n, demand in self.bundles(counts):
            budget.demand()
            above = self._least[tuple(slice(d, None) for d in demand)]
            joined = self._least[tuple(slice(size - d) for size, d in zip(self.shape, demand, strict=True))]
            joined = joined + n * weights[kind]
            lighter = joined < above
            np.minimum(above, joined, out=above)
            self._steps.append((kind, n, demand, lighter))

    def lightest(self, window: Window) -> tuple[int, tuple[int, ...]]:
        """The least weight of a choice whose sums are in this window, and the sums in units."""
        start = [-(-least // u) for (least, _), u in zip(window, self.unit.tolist(), strict=True)]
        stop = [most // u + 1 for (_, most), u in zip(window, self.unit.tolist(), strict=True)]
        inside = self._least[tuple(map(slice, start, stop))]
        if not inside.size:
            return HEAVY, ()
        at = np.unravel_index(int(inside.argmin()), inside.shape)
        return int(inside[at]), tuple(first + int(k) for first, k in zip(start, at, strict=True))

    def pattern(self, at: tuple[int, ...]) -> Pattern:
        """The lightest choice with these sums."""
        taken: dict[int, int] = {}
        for kind, n, demand, lighter in reversed(self._steps):
            before = tuple(map(sub, at, demand))
            if min(before) >= 0 and lighter[before]:
                taken[kind] = taken.get(kind, 0) + n
                at = before
        return tuple(sorted(taken.items()))


@frozen
class NodeGroup:
    """Nodes that are blocked in the same ways: each by a choice of a table whose sums are in a window.

    Their `zones` are those in each anti-affinity rule between the VM and others.
    """

    nodes: tuple[int, ...]
    ways: tuple[tuple[int, Window], ...]
    zones: tuple[int, ...]


class Pricing:
    """The lightest pattern for every node, by the resource for which it is lightest.

    What truly blocks a node holds such a pattern: of rules among the others it is only looked at whether two of a kind may be on
    one node, and resources beside the blocking one are told so coarsely that there are no more sums than wanted.

    `fine` is how many sums of a resource that does not block are told apart; `complete` whether that tells every resource exactly
    where it matters.
    """

    def __init__(self, blocking: BlockingProblem, fine: int) -> None:
        self._blocking = blocking
        self.complete = True
        self._tables: list[_SumTable] = []
        self._number: dict[tuple[tuple[int, ...], bytes], int] = {}
        demand, free = blocking.problem.kinds.demand, blocking.problem.free[blocking.nodes]
        self._most = np.minimum(free.max(axis=0, initial=0), blocking.fillers @ demand)
        self._exact = np.maximum(1, np.gcd.reduce(demand[blocking.fillers > 0], axis=0, initial=0))
        self._coarse = np.maximum(self._exact, self._most // fine + 1)
        alike: dict[tuple[tuple[tuple[int, Window], ...], tuple[int, ...]], list[int]] = {}
        for at, node in enumerate(blocking.nodes.tolist()):
            ways = tuple(self._way(at, node, r) for r in np.flatnonzero(blocking.cost[at] < NEVER).tolist())
            zones = tuple(int(blocking.problem.apart[rule][1][node]) for rule in blocking.anti_affinity)
            alike.setdefault((ways, zones), []).append(node)
        self.groups = [NodeGroup(tuple(nodes), *key) for key, nodes in alike.items()]

    @property
    def affordable(self) -> bool:
        """Whether filling the tables takes bearable time."""
        counts = self._on_one(self._blocking.fillers.tolist())
        return sum(int(np.prod(table.shape)) * sum(1 for _ in table.bundles(counts)) for table in self._tables) <= _MOST_CELLS

    def _way(self, at: int, node: int, r: int) -> tuple[int, Window]:
        """How a resource blocks a node: by a choice of which table, with sums in which window."""
        blocking, kinds = self._blocking, self._blocking.problem.kinds
        free = blocking.problem.free[node]
        scarce = (blocking.fillers * kinds.fits[:, node]) @ kinds.demand > free
        scarce[r] = False
        self.complete &= not (scarce & (self._coarse > self._exact)).any()
        resources = [r, *np.flatnonzero(scarce & (self._coarse <= self._most)).tolist()]
        window = ((int(blocking.cost[at, r]), int(free[r])), *((0, int(free[s])) for s in resources[1:]))
        return self._table(node, resources, window), window

    def _table(self, node: int, resources: list[int], window: Window) -> int:
        """The table of some resources for a node; a new one where there is none yet."""
        kinds = self._blocking.problem.kinds
        demand = kinds.demand[:, resources]
        # A kind too large for the node is in no sum that fits: such nodes can share a table with larger ones.
        too_large = demand[:, 0] > window[0][1]
        here = (self._blocking.fillers > 0) & (demand[:, 0] > 0) & (kinds.fits[:, node] | too_large)
        table = self._number.setdefault((tuple(resources), here.tobytes()), len(self._tables))
        if table == len(self._tables):
            unit = np.concatenate((self._exact[resources[:1]], self._coarse[resources[1:]]))
            self._tables.append(_SumTable(np.flatnonzero(here).tolist(), demand[here] // unit, unit, (1,) * len(unit)))
        self._tables[table].reach(np.minimum([most for _, most in window], self._most[resources]).tolist())
        return table

    def _on_one(self, counts: Sequence[int]) -> list[int]:
        """How many of each kind may be on one node, of so many."""
        apart = self._blocking.problem.kinds.apart
        return [min(n, 1) if rules else n for n, rules in zip(counts, apart, strict=True)]

    def fill(self, counts: Sequence[int], weights: Sequence[int], budget: Budget) -> None:
        """Price with these weights, of so many of each kind; raises OutOfTimeError if the budget is spent."""
        for table in self._tables:
            table.fill(self._on_one(counts), weights, budget)

    def weight(self, group: NodeGroup) -> int:
        """The lightest pattern's weight for a node of the group; more than all there is if there is none."""
        return min((self._tables[table].lightest(window)[0] for table, window in group.ways), default=HEAVY)

    def pattern(self, group: NodeGroup) -> Pattern:
        """The lightest pattern, where there is one."""
        _, at, table = min((*self._tables[table].lightest(window), table) for table, window in group.ways)
        return self._tables[table].pattern(at)
