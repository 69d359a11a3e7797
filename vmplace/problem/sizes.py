"""The memory of many VMs, told by size: what sums, slots and ranks need to know of them."""

import numpy as np
from attrs import frozen

from vmplace.model.columns import BoolArray, IntArray

__all__ = ["SizeCounts", "alike", "distinct", "evenly", "ranges", "ranked", "tally"]


@frozen(eq=False)
class SizeCounts:
    """Sizes that occur among some VMs.

    Parameters
    ----------
    values
        In MiB, ascending, shape (n_sizes,).
    counts
        How many VMs have each, shape (n_sizes,).
    """

    values: IntArray
    counts: IntArray

    @classmethod
    def of(cls, memory: IntArray) -> "SizeCounts":
        """The sizes of VMs, shape (n_vms,)."""
        return cls(*tally(memory))

    @property
    def total(self) -> int:
        """All memory, in MiB."""
        return int(self.values @ self.counts)

    @property
    def largest(self) -> int:
        """The largest size in MiB, 0 without VMs."""
        return int(self.values.max(initial=0))

    def slots(self, size: int) -> int:
        """How many whole slots of a size the VMs fill."""
        return int((self.values // size) @ self.counts)

    def every(self, step: int) -> IntArray:
        """The largest VM's size, and that of each `step`-th after it, shape (ceil(n_vms / step),)."""
        until = np.cumsum(self.counts[::-1])
        return self.values[::-1][np.searchsorted(until, np.arange(0, int(self.counts.sum()), step), side="right")]


def ranges(first: IntArray, count: IntArray) -> IntArray:
    """So many numbers from each first one on, one range after the other; shape (sum of counts,)."""
    return np.arange(int(count.sum())) + np.repeat(first - np.cumsum(count) + count, count)


def distinct(numbers: IntArray) -> IntArray:
    """Each of some numbers once, ascending: of millions, a sort takes a tenth of the time of `numpy.unique`, which hashes."""
    ascending = np.sort(numbers)
    new: IntArray = ascending[np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]]
    return new


def ranked(*keys: IntArray) -> IntArray:
    """Indices that sort rows by the first key, then the second, and so on; ties stay in index order.

    Keys and index are packed into one integer where they fit: such a sort takes a tenth of `numpy.lexsort`'s time.

    Parameters
    ----------
    *keys
        Columns of shape (n,).
    """
    count = len(keys[0])
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    lows = [int(key.min()) for key in keys]
    widths = [(int(key.max()) - low).bit_length() for key, low in zip(keys, lows, strict=True)]
    index_width = (count - 1).bit_length()
    if sum(widths) + index_width > 63:
        return np.lexsort(keys[::-1])
    packed = np.zeros(count, dtype=np.int64)
    for key, low, width in zip(keys, lows, widths, strict=True):
        packed <<= width
        packed += key
        packed -= low
    packed <<= index_width
    packed += np.arange(count)
    packed.sort()
    packed &= (1 << index_width) - 1
    return packed


def alike(*keys: IntArray | BoolArray) -> tuple[IntArray, IntArray]:
    """Rows numbered in the order of `ranked`, those of equal keys by one number, shape (n,); and the first row of each number.

    Parameters
    ----------
    *keys
        Columns of shape (n,).
    """
    telling = [key.astype(np.int64) for key in keys if key.strides != (0,) and (key != key[:1]).any()]
    if not telling:
        return np.zeros(len(keys[0]), dtype=np.int64), np.arange(min(1, len(keys[0])))
    order = ranked(*telling)
    new = np.logical_or.reduce([np.diff(key[order], prepend=key[order[:1]] - 1) != 0 for key in telling])
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(new) - 1
    return number, order[new]


def tally(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """The values that occur, ascending, and how often each does."""
    values, counts = np.unique(numbers, return_counts=True)
    return values, counts.astype(np.int64)


def evenly(values: IntArray, most: int) -> IntArray:
    """So many of some values, evenly from the first to the last; all of them where they are no more than that."""
    return values if len(values) <= most else values[np.linspace(0, len(values) - 1, most).astype(np.int64)]
