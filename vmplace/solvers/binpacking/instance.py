"""A bin-packing instance in the form that all methods take: distinct sizes, kinds of bins, patterns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import gcd

from attrs import frozen

__all__ = ["Instance", "Kinds", "Load", "Pattern", "bundles", "volume"]

Kinds = Sequence[tuple[int, int]]
"""Bins, equal ones together: (capacity, how many there are)."""

Pattern = tuple[tuple[int, int], ...]
"""What one bin holds: (index of a size, how many of it), in the order of the sizes."""

Load = tuple[int, Pattern]
"""A bin in use: the index of its kind, and what it holds."""


@frozen
class Instance:
    """Items by distinct size and bins by kind, in units of the sizes' common divisor.

    Parameters
    ----------
    sizes
        Distinct, largest first.
    counts
        How many items there are of each size.
    kinds
        (capacity, how many), largest first; a capacity is the largest multiple of the unit that is in the bin.
    unit
        The common divisor.
    """

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    kinds: tuple[tuple[int, int], ...]
    unit: int

    @classmethod
    def of(cls, sizes: Iterable[int], kinds: Kinds) -> "Instance":
        """Sort and count items and bins.

        Raises
        ------
        ValueError
            if a size is not positive.
        """
        tally = Counter(sizes)
        if any(size <= 0 for size in tally):
            raise ValueError(f"{min(tally)} is not a size: sizes are positive integers")
        unit = gcd(*tally) or 1
        ordered = sorted(tally, reverse=True)
        bins: Counter[int] = Counter()
        for capacity, count in kinds:
            bins[max(0, capacity) // unit] += count
        return cls(
            tuple(size // unit for size in ordered),
            tuple(tally[size] for size in ordered),
            tuple((capacity, bins[capacity]) for capacity in sorted(bins, reverse=True) if bins[capacity] > 0),
            unit,
        )

    @property
    def volume(self) -> int:
        """Sum of all items."""
        return volume(self.sizes, self.counts)

    @property
    def n_bins(self) -> int:
        """How many bins there are."""
        return sum(count for _, count in self.kinds)

    def largest(self, n_bins: int) -> tuple[int, ...]:
        """How many of each kind are among the `n_bins` largest bins.

        Whatever fits in some `n_bins` bins fits in the largest ones: the fewest bins are looked for among these only.
        """
        taken = []
        for _, count in self.kinds:
            taken.append(min(count, n_bins))
            n_bins -= taken[-1]
        return tuple(taken)

    def waste(self, n_bins: int) -> int:
        """What stays empty when all is in the `n_bins` largest bins; negative if it cannot be."""
        capacities = (capacity for capacity, _ in self.kinds)
        return sum(c * n for c, n in zip(capacities, self.largest(n_bins), strict=True)) - self.volume

    def assign(self, loads: Iterable[Load], sizes: Sequence[int], kinds: Kinds) -> tuple[int, ...]:
        """Bin of each item, as an index into all bins, kinds in their order; `sizes` and `kinds` as the instance was made of."""
        of_kind: dict[int, list[int]] = {capacity: [] for capacity, _ in self.kinds}
        first = 0
        for capacity, count in kinds:
            if count > 0:
                of_kind[max(0, capacity) // self.unit].extend(range(first, first + count))
                first += count
        bins = {capacity: iter(indices) for capacity, indices in of_kind.items()}
        items: dict[int, list[int]] = {size: [] for size in self.sizes}
        for item, size in enumerate(sizes):
            items[size // self.unit].append(item)
        bin_of = [-1] * len(sizes)
        for kind, pattern in loads:
            chosen = next(bins[self.kinds[kind][0]])
            for j, n in pattern:
                for _ in range(n):
                    bin_of[items[self.sizes[j]].pop()] = chosen
        return tuple(bin_of)

    def filling(self, pattern: Pattern) -> int:
        """What a pattern takes of its bin."""
        return sum(self.sizes[j] * n for j, n in pattern)


def volume(sizes: Iterable[int], counts: Iterable[int]) -> int:
    """Sum of `counts` items of `sizes`."""
    return sum(size * count for size, count in zip(sizes, counts, strict=True))


def bundles(count: int) -> Iterator[int]:
    """Numbers 1, 2, 4, ... that make up any number up to `count`."""
    n = 1
    while count > 0:
        n = min(n, count)
        yield n
        count -= n
        n *= 2
