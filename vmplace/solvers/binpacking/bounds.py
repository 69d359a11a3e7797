"""Lower bounds on the number of bins by dual feasible functions, in integers throughout.

Each function f here maps sizes to worths so that

* f is nondecreasing and f(x) + f(y) <= f(x + y): a bin of capacity c holds a worth of f(c) at most, whatever is in it;
* hence n bins hold at most the sum of f over the n largest capacities, and n is too few while that is less than the worth of
  all items. It holds for unequal bins as for equal ones, as long as f has both properties up to the largest capacity C.

References
----------
.. [1] S. Fekete, J. Schepers. New classes of fast lower bounds for bin packing problems. Mathematical Programming 91, 2001.
.. [2] S. Martello, P. Toth. Lower bounds and reduction procedures for the bin packing problem. Discrete Applied Mathematics
       28, 1990.
.. [3] J. Carlier, F. Clautiaux, A. Moukrim. New reduction procedures and lower bounds for the two-dimensional bin packing problem
       with fixed orientation. Computers & Operations Research 34, 2007.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.solvers.binpacking.instance import Instance

__all__ = ["cover", "dual_feasible", "lower_bound"]

Worth = Callable[[IntArray], IntArray]

_MOST_PARAMETERS = 128
"""Of each family of functions, as many members are tried."""


def lower_bound(instance: Instance) -> int:
    """A lower bound on the number of bins that hold all items; one more than there are bins where that is proved impossible."""
    if not instance.sizes:
        return 0
    if not instance.kinds or instance.sizes[0] > instance.kinds[0][0]:
        return instance.n_bins + 1
    sizes = np.array(instance.sizes, dtype=np.int64)
    capacities = np.array([capacity for capacity, _ in instance.kinds], dtype=np.int64)
    limits = [count for _, count in instance.kinds]
    best = 0
    for worth in dual_feasible(instance.sizes, instance.kinds[0][0]):
        need = sum(w * n for w, n in zip(worth(sizes).tolist(), instance.counts, strict=True))
        best = max(best, cover(need, worth(capacities).tolist(), limits))
    return best


def cover(need: int, worths: Sequence[int], limits: Sequence[int]) -> int:
    """The fewest bins that hold a worth of `need`; one more than there are if all do not.

    Parameters
    ----------
    need
        Worth of all items.
    worths
        The most that a bin of each kind holds, most first.
    limits
        How many bins there are of each kind.
    """
    used = 0
    for worth, limit in zip(worths, limits, strict=True):
        if need <= 0 or worth <= 0:
            break
        taken = min(limit, -(-need // worth))
        used += taken
        need -= taken * worth
    return used if need <= 0 else sum(limits) + 1


def dual_feasible(sizes: Sequence[int], capacity: int) -> Iterator[Worth]:
    """The functions f to try, for bins up to this capacity, with parameters that suit the sizes."""
    thresholds = _some(sorted({size for size in sizes if 2 * size <= capacity}))
    yield lambda x: x
    for size in _some(sorted(set(sizes))):
        yield lambda x, size=size: x // size  # type: ignore[misc]
    for k in range(1, _MOST_PARAMETERS):
        yield lambda x, k=k: _rounded(x, capacity, k)  # type: ignore[misc]
    for threshold in thresholds:
        yield lambda x, threshold=threshold: _without_small(x, capacity, threshold)  # type: ignore[misc]
        yield lambda x, threshold=threshold: _mirrored(x, capacity, threshold)  # type: ignore[misc]


def _rounded(x: IntArray, capacity: int, k: int) -> IntArray:
    """u^(k) of [1]_, times k C: shares (k + 1) x / C rounded down to an integer, where they are none.

    Write (k + 1) x / C = a + alpha with a its integer part, and so for y: b + beta. If both fractions are 0 or their sum is not
    1, f(x) + f(y) <= f(x + y) is plain. If their sum is 1, f(x + y) = (a + b + 1) / (k + 1) and that is (a + b) / k or more,
    because a + b + 1 <= k + 1 in any bin. If one is 0, f(x) + f(y) = a / (k + 1) + b / k <= (a + b) / k.

    u^(1) counts what is larger than half a bin: together with f0 it gives L2 of [2]_, which is
    the larger of that count and, over all thresholds, the bound by f0.
    """
    shares = (k + 1) * x
    whole = shares // capacity
    return np.where(whole * capacity == shares, k * x, whole * capacity)


def _without_small(x: IntArray, capacity: int, threshold: int) -> IntArray:
    """f0 of [2]_, times C: what is smaller than the threshold counts nothing, what leaves less than that a full bin.

    If x leaves less than the threshold, whatever joins it counts nothing; otherwise f grows by no more than x does.
    """
    return np.where(x > capacity - threshold, capacity, np.where(x < threshold, 0, x))


def _mirrored(x: IntArray, capacity: int, step: int) -> IntArray:
    """CCM1 of [3]_: twice x in whole steps below half a bin; above, what the rest of the bin leaves over.

    For x above the half, f(x) = 2 floor(C / j) - 2 floor((C - x) / j), and floor(y / j) + floor((C - x - y) / j) is at most
    floor((C - x) / j); for two below it whose sum is above, the same with three terms; at the half, f is between the two.
    """
    whole = capacity // step
    return np.where(2 * x < capacity, 2 * (x // step), np.where(2 * x == capacity, whole, 2 * (whole - (capacity - x) // step)))


def _some(values: Sequence[int]) -> Sequence[int]:
    """Up to so many, evenly spread."""
    if len(values) <= _MOST_PARAMETERS:
        return values
    return [values[i * (len(values) - 1) // (_MOST_PARAMETERS - 1)] for i in range(_MOST_PARAMETERS)]
