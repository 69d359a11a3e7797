"""Which sums some of a number of things can have."""

import numpy as np

from vmplace.model.columns import IntArray

__all__ = ["least_sums_above", "subset_sums"]

_WIDEST = 1 << 20


def subset_sums(sizes: list[int], counts: list[int], most: int) -> int:
    """The sums, up to the most, of some of so many things of each size: a number with the bit of each of them set."""
    sums, mask = 1, (1 << (most + 1)) - 1
    for size, count in zip(sizes, counts, strict=True):
        part = 1
        while count > 0:
            sums |= sums << size * min(part, count) & mask
            count -= part
            part *= 2
    return sums


def least_sums_above(floors: IntArray, most: IntArray, sizes: IntArray, counts: IntArray, step: int) -> IntArray:
    """The least sum above each floor; above the sum of all things where it would be more than its most.

    Parameters
    ----------
    floors, most
        Of 0 or more, as long.
    sizes, counts
        How many things there are of each size, a multiple of the step; as long.
    """
    widest, never = int(most.max(initial=0)) // step, int(sizes @ counts) + 1
    if widest > _WIDEST:
        return (floors // step + 1) * step  # no sum in between
    sums = subset_sums((sizes // step).tolist(), counts.tolist(), widest)
    pairs = list(zip(floors.tolist(), most.tolist(), strict=True))
    least = {}
    for floor, limit in set(pairs):
        first = floor // step + 1
        above = sums >> first
        found = (first + (above & -above).bit_length() - 1) * step
        least[floor, limit] = found if above and found <= limit else never
    return np.array([least[pair] for pair in pairs], np.int64)
