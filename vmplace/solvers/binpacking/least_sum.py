"""The least that some whole numbers can add up to, past a mark: exact subset sums on big integers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import gcd

from vmplace.solvers.binpacking.instance import Pattern, bundles

__all__ = ["least_choice", "least_sum"]

_WIDEST = 2**22
"""Bits of a set of sums: more would take too long."""


def least_sum(sizes: Sequence[int], counts: Sequence[int], least: int, most: int) -> int | None:
    """The least sum of some of these items that is between `least` and `most`; None if there is none.

    Where there are too many sums to look at, it is `least`, which no sum can be below.

    Parameters
    ----------
    sizes, counts
        Positive sizes, and how often each may be taken.
    """
    search = _LeastSum(sizes, counts, most)
    if search.most > _WIDEST:
        return least
    *_, sums = search.layers()
    return search.first(sums, least)


def least_choice(sizes: Sequence[int], counts: Sequence[int], least: int, most: int) -> Pattern | None:
    """The items of the least sum, the earlier ones preferred; None also where there are too many sums to look at."""
    search = _LeastSum(sizes, counts, most)
    if search.most > _WIDEST:
        return None
    layers = list(search.layers())
    target = search.first(layers[-1], least)
    if target is None:
        return None
    target //= search.unit
    taken: Counter[int] = Counter()
    for before, (j, n, weight) in zip(layers[-2::-1], search.pieces[::-1], strict=True):
        if not before >> target & 1:
            taken[j] += n
            target -= weight
    return tuple(sorted(taken.items()))


class _LeastSum:
    """The sums that bundles of the items reach, in units of the sizes' common divisor."""

    def __init__(self, sizes: Sequence[int], counts: Sequence[int], most: int) -> None:
        self.unit = gcd(*sizes) or 1
        total = sum(size * count for size, count in zip(sizes, counts, strict=True))
        self.most = min(most, total) // self.unit
        units = [size // self.unit for size in sizes]
        self.pieces = [
            (j, n, n * size)
            for j, (size, count) in enumerate(zip(units, counts, strict=True))
            for n in bundles(min(count, self.most // size))
        ]

    def layers(self) -> Iterator[int]:
        """Bit s is set where a sum of s is reached: by nothing, by the first bundle, by the first two, ..."""
        within = (1 << (self.most + 1)) - 1
        sums = 1
        yield sums
        for _, _, weight in self.pieces:
            sums = (sums | sums << weight) & within
            yield sums

    def first(self, sums: int, least: int) -> int | None:
        """The least of these sums that is no less than `least`."""
        start = -(-least // self.unit)
        rest = sums >> start
        return (start + (rest & -rest).bit_length() - 1) * self.unit if rest else None
