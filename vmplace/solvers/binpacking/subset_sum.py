"""Quick packings: best fit decreasing, and bins filled to the brim by exact subset sum.

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
from collections.abc import Iterator, Sequence

from vmplace.solvers.binpacking.instance import Instance, Load, Pattern, bundles, volume
from vmplace.solvers.budget import Budget

__all__ = ["best_fit", "fill_up", "fullest"]


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
    within = (1 << (capacity + 1)) - 1
    pieces = list(_pieces(sizes, counts, capacity))
    layers = [1]
    for _, _, weight in pieces:
        if layers[-1] >> capacity:
            break
        layers.append((layers[-1] | layers[-1] << weight) & within)
    target = layers[-1].bit_length() - 1
    taken: Counter[int] = Counter()
    for before, (j, n, weight) in zip(layers[-2::-1], pieces[len(layers) - 2 :: -1], strict=False):
        if not before >> target & 1:
            taken[j] += n
            target -= weight
    return tuple(sorted(taken.items()))


def _pieces(sizes: Sequence[int], counts: Sequence[int], capacity: int) -> Iterator[tuple[int, int, int]]:
    """Items in bundles that make up any number of them: (index of the size, how many, their sum)."""
    for j, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        for n in bundles(min(count, capacity // size)):
            yield j, n, n * size


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
