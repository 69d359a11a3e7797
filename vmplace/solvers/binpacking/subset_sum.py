"""Exact subset sums by dynamic programming on big integers, and packings that fill each bin by them; best fit decreasing.

Sets of sums are Python's big integers: bit s is set where a sum of s can be reached, and adding an item to all sums at once is a
shift. Opening each bin with the largest item left and filling the rest as far as any choice can is the "minimum bin slack" idea
of [1]_ with the choice made by dynamic programming.

References
----------
.. [1] J. Gupta, J. Ho. A new heuristic algorithm for the one-dimensional bin-packing problem. Production Planning & Control 10,
       1999.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from math import gcd

from vmplace.solvers.binpacking.instance import Instance, Load, Pattern, bundles, volume
from vmplace.solvers.budget import Budget

__all__ = ["best_fit", "fill_up", "fullest", "least_choice", "least_sum"]

_WIDEST = 2**22
"""Bits of a set of sums: more would take too long."""


def fill_up(instance: Instance, counts: Sequence[int], limits: Sequence[int], *, budget: Budget) -> tuple[Load, ...] | None:
    """Pack into bins filled one by one, each with the largest item left and the fullest rest.

    Parameters
    ----------
    instance
        Sizes and capacities.
    counts
        How many items of each size are to be packed.
    limits
        How many bins of each kind there are; the largest come first.

    Returns
    -------
    tuple of Load or None
        The bins in use; None if they do not suffice.

    Raises
    ------
    OutOfTimeError
        if the budget is spent first.
    """
    left = list(counts)
    loads: list[Load] = []
    waste = sum(c * limit for (c, _), limit in zip(instance.kinds, limits, strict=True)) - volume(instance.sizes, counts)
    for kind, limit in enumerate(limits):
        capacity = instance.kinds[kind][0]
        for _ in range(limit):
            budget.demand()
            first = next((j for j, n in enumerate(left) if n), None)
            if first is None:
                return tuple(loads)
            # With too much wasted so far, the bins to come do not suffice whatever is in them.
            if instance.sizes[first] > capacity or waste < 0:
                return None
            left[first] -= 1
            tally = Counter(dict(fullest(instance.sizes, left, capacity - instance.sizes[first])))
            for j, n in tally.items():
                left[j] -= n
            tally[first] += 1
            loads.append((kind, tuple(sorted(tally.items()))))
            waste -= capacity - instance.filling(loads[-1][1])
    return None if any(left) else tuple(loads)


def fullest(sizes: Sequence[int], counts: Sequence[int], capacity: int) -> Pattern:
    """What fills a bin most, larger items preferred.

    Parameters
    ----------
    sizes, counts
        The items to choose from; the earlier ones are preferred.
    """
    sums = _SubsetSums(sizes, counts, capacity)
    layers = sums.layers(until=sums.most)
    return sums.choice(layers, layers[-1].bit_length() - 1)


def least_sum(sizes: Sequence[int], counts: Sequence[int], least: int, most: int) -> int | None:
    """The least sum of some of these items that is between `least` and `most`; None if there is none.

    Where there are too many sums to look at, it is `least`, which no sum can be below.

    Parameters
    ----------
    sizes, counts
        Positive sizes, and how often each may be taken.
    """
    sums = _SubsetSums(sizes, counts, most)
    if sums.most > _WIDEST:
        return least
    found = sums.first(sums.layers()[-1], least)
    return None if found is None else found * sums.unit


def least_choice(sizes: Sequence[int], counts: Sequence[int], least: int, most: int) -> Pattern | None:
    """The items of the least sum, the earlier ones preferred; None also where there are too many sums to look at."""
    sums = _SubsetSums(sizes, counts, most)
    if sums.most > _WIDEST:
        return None
    layers = sums.layers()
    found = sums.first(layers[-1], least)
    return None if found is None else sums.choice(layers, found)


class _SubsetSums:
    """The sums up to `most` that items reach, bundle by bundle: 1, 2, 4, ... of a size; in units of their common divisor."""

    def __init__(self, sizes: Sequence[int], counts: Sequence[int], most: int) -> None:
        self.unit = gcd(*sizes) or 1
        self.most = min(most, volume(sizes, counts)) // self.unit
        self._bundles = [
            (j, n, n * size // self.unit)
            for j, (size, count) in enumerate(zip(sizes, counts, strict=True))
            for n in bundles(min(count, self.most * self.unit // size))
        ]

    def layers(self, until: int | None = None) -> list[int]:
        """The sums reached by nothing, by the first bundle, by the first two, ...; no further than `until` is reached."""
        within = (1 << (self.most + 1)) - 1
        layers = [1]
        for _, _, weight in self._bundles:
            if until is not None and layers[-1] >> until:
                break
            layers.append((layers[-1] | layers[-1] << weight) & within)
        return layers

    def first(self, sums: int, least: int) -> int | None:
        """The least of these sums, in units, that is at least `least`."""
        start = -(-least // self.unit)
        rest = sums >> start
        return start + (rest & -rest).bit_length() - 1 if rest else None

    def choice(self, layers: list[int], target: int) -> Pattern:
        """Items that add up to a sum of the last layer, traced back."""
        taken: Counter[int] = Counter()
        for before, (j, n, weight) in zip(layers[-2::-1], self._bundles[len(layers) - 2 :: -1], strict=False):
            if not before >> target & 1:
                taken[j] += n
                target -= weight
        return tuple(sorted(taken.items()))


def best_fit(instance: Instance, *, budget: Budget) -> tuple[Load, ...] | None:
    """Best fit decreasing: each item into the fullest bin in use that takes it, else into the next largest empty one.

    Returns
    -------
    tuple of Load or None
        The bins in use; None if they do not suffice.

    Raises
    ------
    OutOfTimeError
        if the budget is spent first.
    """
    spare = (kind for kind, (_, count) in enumerate(instance.kinds) for _ in range(count))
    kinds: list[int] = []
    contents: list[Counter[int]] = []
    room: list[tuple[int, int]] = []  # (free, bin), sorted
    for j, (size, count) in enumerate(zip(instance.sizes, instance.counts, strict=True)):
        budget.demand()
        while count:
            at = bisect_left(room, (size, -1))
            if at == len(room):
                kind = next(spare, None)
                if kind is None or instance.kinds[kind][0] < size:
                    return None
                room.append((instance.kinds[kind][0], len(kinds)))
                kinds.append(kind)
                contents.append(Counter())
            free, chosen = room.pop(at)
            # The fullest bin that takes one stays the fullest that takes the next, as long as it does.
            n = min(count, free // size)
            contents[chosen][j] += n
            count -= n
            insort(room, (free - n * size, chosen))
    return tuple((kind, tuple(content.items())) for kind, content in zip(kinds, contents, strict=True))
