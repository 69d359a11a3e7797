"""Arc-flow formulation of bin packing, solved by CP-SAT: exact, and the last resort.

In it [1]_ the nodes are sums, an item of size s is an arc from w to w + s, a bin is a path from 0 to what fills it, and all
bins together are one flow. Items come in order of size along a path, so few sums are reachable; and only those count from which
a bin can still be filled up to the waste that all bins together may have. Where bins are tight, few arcs are left.

References
----------
.. [1] J. M. Valério de Carvalho. Exact solution of bin-packing problems using column generation and branch-and-bound. Annals of
       Operations Research 86, 1999.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice

from attrs import define, field

from vmplace.solvers.binpacking.instance import Instance, Load, bundles
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.program import IntegerProgram, Outcome, Terms

__all__ = ["ArcFlow", "flow"]

_MOST_ARCS = 40_000
"""More than this takes CP-SAT too long."""


def flow(instance: Instance, n_bins: int, *, budget: Budget) -> tuple[Outcome, tuple[Load, ...] | None]:
    """Pack into the `n_bins` largest bins, or prove that it cannot be.

    Returns
    -------
    outcome : Outcome
        ``INFEASIBLE`` is a proof; ``UNKNOWN`` where time ran out or the model is too large.
    loads : tuple of Load or None
        The bins in use.

    Raises
    ------
    OutOfTimeError
        if the budget is spent before the search begins.
    """
    if instance.waste(n_bins) < 0:
        return Outcome.INFEASIBLE, None
    arcs = list(islice(_arcs(instance, n_bins, budget), _MOST_ARCS + 1))
    if len(arcs) > _MOST_ARCS:
        return Outcome.UNKNOWN, None
    model = ArcFlow.of(instance, n_bins, arcs)
    answer = CpSat().solve(model.program, budget=budget)
    return answer.outcome, None if answer.values is None else model.loads(answer.values)


@define
class ArcFlow:
    """The model, and the way back from its flow to bins.

    Parameters
    ----------
    instance
        Sizes and kinds of bins.
    program
        One integer variable for each arc.
    items
        Arcs as (index of a size, where it starts, variable).
    ends
        Last arcs as (index of a kind, what is filled, variable).
    """

    instance: Instance
    program: IntegerProgram = field(factory=IntegerProgram)
    items: list[tuple[int, int, int]] = field(factory=list)
    ends: list[tuple[int, int, int]] = field(factory=list)

    @classmethod
    def of(cls, instance: Instance, n_bins: int, arcs: list[tuple[int, int]]) -> "ArcFlow":
        """The model of these arcs: (index of a size, where it starts)."""
        model, limits = cls(instance), instance.largest(n_bins)
        demand, supply, balance = defaultdict[int, Terms](list), defaultdict[int, Terms](list), defaultdict[int, Terms](list)
        for j, start in arcs:
            variable = model.program.variable(0, instance.counts[j])
            model.items.append((j, start, variable))
            demand[j].append((variable, 1))
            balance[start].append((variable, -1))
            balance[start + instance.sizes[j]].append((variable, 1))
        for kind, full in _ends(instance, n_bins):
            variable = model.program.variable(0, limits[kind])
            model.ends.append((kind, full, variable))
            supply[kind].append((variable, 1))
            balance[full].append((variable, -1))
        balance.pop(0, None)
        for j, count in enumerate(instance.counts):
            model.program.row(demand[j], count, count)
        for kind, limit in enumerate(limits):
            model.program.row(supply[kind], None, limit)
        for terms in balance.values():
            model.program.row(terms, 0, 0)
        return model

    def loads(self, values: tuple[int, ...]) -> tuple[Load, ...]:
        """The flow taken apart into paths, from the ends back."""
        into: dict[int, Counter[int]] = {}
        for j, start, variable in self.items:
            if values[variable]:
                into.setdefault(start + self.instance.sizes[j], Counter())[j] = values[variable]
        return tuple((kind, self._path(full, into)) for kind, full, variable in self.ends for _ in range(values[variable]))

    def _path(self, full: int, into: dict[int, Counter[int]]) -> tuple[tuple[int, int], ...]:
        taken: Counter[int] = Counter()
        while full:
            j = next(iter(+into[full]))
            into[full][j] -= 1
            taken[j] += 1
            full -= self.instance.sizes[j]
        return tuple(sorted(taken.items()))


def _ends(instance: Instance, n_bins: int) -> Iterator[tuple[int, int]]:
    """Kinds with the sums that fill a bin of that kind far enough."""
    waste = instance.waste(n_bins)
    for kind, limit in enumerate(instance.largest(n_bins)):
        if limit:
            capacity = instance.kinds[kind][0]
            for full in range(max(1, capacity - waste), capacity + 1):
                yield kind, full


def _arcs(instance: Instance, n_bins: int, budget: Budget) -> Iterator[tuple[int, int]]:
    """(index of a size, where it starts), for each arc on a path from 0 to a full bin with items in order of size.

    Sets of sums are big integers, as in `vmplace.solvers.binpacking.subset_sum`.
    """
    after = _completable(instance, n_bins, budget)
    capacity = instance.kinds[0][0]
    within = (1 << (capacity + 1)) - 1
    reached = 1
    for j, (size, count) in enumerate(zip(instance.sizes, instance.counts, strict=True)):
        budget.demand()
        starts = reached
        for n in bundles(min(count, capacity // size) - 1):
            starts |= starts << n * size & within
        # Behind the arc more of this size may follow, and smaller ones.
        for start in _bits(starts & after[j] >> size):
            yield j, start
        reached |= starts | starts << size & within


def _completable(instance: Instance, n_bins: int, budget: Budget) -> list[int]:
    """For each index j of a size, the sums that items from j on can bring to a full bin."""
    goal = 0
    for _, full in _ends(instance, n_bins):
        goal |= 1 << full
    after = []
    for size, count in zip(reversed(instance.sizes), reversed(instance.counts), strict=True):
        budget.demand()
        for n in bundles(min(count, instance.kinds[0][0] // size)):
            goal |= goal >> n * size
        after.append(goal)
    return after[::-1]


def _bits(sums: int) -> Iterator[int]:
    """The members of a set of sums."""
    while sums:
        lowest = sums & -sums
        yield lowest.bit_length() - 1
        sums ^= lowest
