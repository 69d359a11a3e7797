"""The baseline of `greedy`: plain best-fit decreasing without any promise, by bisection over all nodes' free memory."""

from bisect import bisect_left, insort
from collections.abc import Sequence

__all__ = ["best_fit_decreasing"]

_INDEX_BITS = 20


def best_fit_decreasing(memory: Sequence[int], usable: Sequence[int]) -> list[int]:
    """The node of each VM, in the order of decreasing memory; raises IndexError where a VM fits nowhere.

    Free memory and node are packed into one integer, so that a sorted list of integers is all there is.
    """
    free = sorted((c << _INDEX_BITS) | i for i, c in enumerate(usable))
    chosen = []
    for size in sorted(memory, reverse=True):
        best = free.pop(bisect_left(free, size << _INDEX_BITS))
        chosen.append(best & ((1 << _INDEX_BITS) - 1))
        insort(free, best - (size << _INDEX_BITS))
    return chosen
