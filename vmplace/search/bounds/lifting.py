"""Sequential lifting of slot rows: valid inequalities between slots of several sizes and the memory that leaves a node.

Slot-volume rows alone let a relaxation have half a hole for half the price. A node with `room` MiB free gains its first slot of
t only when ``t - room mod t`` has left it, and what leaves for a large slot also makes the small ones: both are told by rows::

    sum_s w[s] out[s] - sum_s v[s] in[s] >= sum_t c[t] (u[t] - floor(room / t))

with ``u[t] <= floor(free / t)``, ``out`` and ``in`` the counts of VMs of size s that leave and come. They are found by
sequential lifting [1]_: c[t] for one size after another, upward from each start, as large as stays valid for every amount that
can leave; then w as small, and v as large, as stays valid with all that is lifted before.

References
----------
.. [1] L. A. Wolsey, "Facets and strong valid inequalities for integer programs", Operations Research 24 (1976), 367-372.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray

__all__ = ["Lifted", "lifted", "slot_prices"]

_FINEST = 4096
_NEVER, _ALWAYS = -(2**40), 2**40


@frozen(eq=False)
class Lifted:
    """Coefficients of one family of rows, a row for each case (node or kind of node), all whole numbers.

    Parameters
    ----------
    slots
        ``c``, shape (n_cases, n_thresholds).
    leaving, coming
        ``w`` and ``v``, shape (n_cases, n_sizes).
    """

    slots: IntArray
    leaving: IntArray
    coming: IntArray


def lifted(room: IntArray, capacity: IntArray, thresholds: Sequence[int], sizes: Sequence[int]) -> Iterator[Lifted]:
    """Families of lifted slot rows, one for each threshold to start from where that makes a difference.

    Parameters
    ----------
    room
        Free memory that the rows start from, shape (n_cases,), at least 0; all memory in one unit.
    capacity
        Usable memory of each case, shape (n_cases,).
    sizes
        Sizes of VMs. Above a capacity of 4096 units `leaving` stays the size, and `coming` 0: still valid, and less work.
    """
    for slots in slot_prices(room, capacity, thresholds):
        leaving = np.tile(np.array(sizes, dtype=np.int64), (len(room), 1))
        coming = np.zeros_like(leaving)
        if capacity.max() <= _FINEST:
            _lift_sizes(_Gain.of(room, capacity, thresholds, slots), sizes, leaving, coming)
        yield Lifted(slots, leaving, coming)


def slot_prices(room: IntArray, capacity: IntArray, thresholds: Sequence[int]) -> Iterator[IntArray]:
    """The `slots` of each family: ``sum_t c[t] (floor(free / t) - floor(room / t)) <= free - room`` wherever free >= room."""
    seen: set[bytes] = set()
    # Slots of which a node has thousands cost next to nothing.
    least = int(capacity.max(initial=0)) // _FINEST
    for start in range(bisect_right(thresholds, least), len(thresholds)):
        slots = np.zeros((len(room), len(thresholds)), dtype=np.int64)
        slots[:, start:] = _slot_prices(room, capacity, thresholds[start:])
        if slots.any() and slots.tobytes() not in seen:
            seen.add(slots.tobytes())
            yield slots


def _slot_prices(room: IntArray, capacity: IntArray, thresholds: Sequence[int]) -> IntArray:
    """Each threshold's price: as high as all that may leave allows, less what smaller slots charge already."""
    prices = np.zeros((len(room), len(thresholds)), dtype=np.int64)
    # Where what leaves completes a slot; only there can a price be too high.
    leaves = np.zeros((len(room), 0), dtype=np.int64)
    charged = leaves
    for k, size in enumerate(thresholds):
        held = room[:, None] // size
        ends = (held + np.arange(1, int((capacity // size).max()) + 1)) * size - room[:, None]
        before = sum((prices[:, [j]] * _gained(room, ends, small) for j, small in enumerate(thresholds[:k])), np.zeros_like(ends))
        leaves, charged = np.hstack([leaves, ends]), np.hstack([charged, before])
        gained = _gained(room, leaves, size)
        binds = (gained > 0) & (leaves <= (capacity - room)[:, None])
        price = np.where(binds, (leaves - charged) // np.maximum(gained, 1), _ALWAYS).min(axis=1, initial=_ALWAYS)
        prices[:, k] = np.where(binds.any(axis=1), np.maximum(price, 0), 0)
        charged = charged + prices[:, [k]] * gained
    return prices


def _gained(room: IntArray, leaves: IntArray, size: int) -> IntArray:
    return (room[:, None] + leaves) // size - room[:, None] // size


def _lift_sizes(gain: "_Gain", sizes: Sequence[int], leaving: IntArray, coming: IntArray) -> None:
    largest_first = sorted(range(len(sizes)), key=lambda s: -sizes[s])
    for s in largest_first:
        leaving[:, s] = np.minimum(gain.least_leaving(sizes[s]), sizes[s])
        gain.let_leave(sizes[s], leaving[:, s])
    for s in largest_first:
        coming[:, s] = gain.most_coming(sizes[s])
        gain.let_come(sizes[s], coming[:, s])


@frozen(eq=False)
class _Gain:
    """Per case, the most that slots can charge when so much has left in all (less than nothing: has come), the sizes lifted
    so far accounted for by their own prices.

    Parameters
    ----------
    charge
        Shape (n_cases, 2 * top + 1): by memory that leaves, from -top to top.
    """

    charge: IntArray

    @classmethod
    def of(cls, room: IntArray, capacity: IntArray, thresholds: Sequence[int], slots: IntArray) -> "_Gain":
        top = int(capacity.max())
        leaves = np.arange(-top, top + 1)[None, :]
        free = np.minimum(room[:, None] + leaves, capacity[:, None])
        charge = np.zeros_like(free)
        for k, size in enumerate(thresholds):
            charge += slots[:, [k]] * (free // size - room[:, None] // size)
        return cls(np.where(free >= 0, charge, _NEVER))

    @property
    def _top(self) -> int:
        return int(self.charge.shape[1]) // 2

    def _beyond(self) -> IntArray:
        """Of each amount, the most that is charged above what any larger amount weighs."""
        over = self.charge - np.arange(-self._top, self._top + 1)[None, :]
        most: IntArray = np.maximum.accumulate(over[:, ::-1], axis=1)[:, ::-1]
        return most

    def least_leaving(self, size: int) -> IntArray:
        """The least price at which VMs of a size may leave, the others weighing what they are."""
        count = np.arange(1, self._top // size + 1)
        need = self._beyond()[:, self._top + count * size] + count * size
        price: IntArray = np.maximum(-(-need // count), 0).max(axis=1, initial=0)
        return price

    def most_coming(self, size: int) -> IntArray:
        """The most that VMs of a size may be charged for coming."""
        count = np.arange(1, self._top // size + 1)
        spare = count * size - self._beyond()[:, self._top - count * size]
        price: IntArray = np.maximum((spare // count).min(axis=1, initial=size), 0)
        return price

    def let_leave(self, size: int, price: IntArray) -> None:
        """Account for any number of VMs that leave at their price."""
        charge, width = self.charge, self.charge.shape[1]
        for end in range(width, size, -size):
            begin = max(end - size, size)
            target = charge[:, begin - size : end - size]
            np.maximum(target, charge[:, begin:end] - price[:, None], out=target)

    def let_come(self, size: int, price: IntArray) -> None:
        """Account for any number of VMs that come at their price."""
        charge, width = self.charge, self.charge.shape[1]
        for begin in range(size, width, size):
            end = min(begin + size, width)
            np.maximum(charge[:, begin:end], charge[:, begin - size : end - size] + price[:, None], out=charge[:, begin:end])
