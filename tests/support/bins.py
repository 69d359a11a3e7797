"""Small cases of bin packing, and the oracle that tries everything; shares no code with the package."""

from collections import Counter

from hypothesis import strategies as st

__all__ = ["assert_packed", "cases", "fewest_bins", "triplets"]


def fewest_bins(sizes, kinds):
    """The fewest bins that hold all items; one more than there are where none do."""
    bins = sorted((capacity for capacity, count in kinds for _ in range(count)), reverse=True)
    return next((n for n in range(len(bins) + 1) if fits(sorted(sizes, reverse=True), bins[:n])), len(bins) + 1)


def fits(sizes, room):
    """Whether these items, one after the other, fit in this room."""
    if not sizes:
        return True
    size, *others = sizes
    return any(
        free >= size and fits(others, [*room[:i], free - size, *room[i + 1 :]])
        for i, free in enumerate(room)
        if free not in room[:i]  # an empty bin like one before it
    )


@st.composite
def cases(draw, max_items=9):
    """(sizes, kinds): bins of one to three kinds, and items that fill some of them exactly, nearly, or just not."""
    kinds = draw(st.lists(st.tuples(st.integers(3, 24), st.integers(0, 3)), min_size=1, max_size=3))
    scale = draw(st.sampled_from([1, 1, 1, 2, 7]))
    least = draw(st.integers(1, 6))
    sizes = []
    for capacity in [capacity for capacity, count in kinds for _ in range(count)]:
        free = capacity
        while free >= least and len(sizes) < max_items:
            size = draw(st.integers(least, free))
            sizes.append(size)
            free -= size
    if sizes and draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] += 1
    dropped = draw(st.integers(0, len(sizes)))
    off = draw(st.integers(0, scale - 1))  # what the common divisor rounds off
    return [size * scale for size in sizes[: len(sizes) - dropped // 3]], [(c * scale + off, count) for c, count in kinds]


def triplets(n_items, seed, capacity=1000):
    """Three items for each bin, which they fill exactly [1]_.

    .. [1] E. Falkenauer. A hybrid grouping genetic algorithm for bin packing. Journal of Heuristics 2, 1996.
    """
    from random import Random

    random = Random(seed)
    sizes = []
    for _ in range(n_items // 3):
        first = random.randint(capacity * 38 // 100, capacity * 49 // 100)
        second = random.randint(capacity // 4, capacity - first - capacity // 4)
        sizes += [first, second, capacity - first - second]
    return sizes


def assert_packed(instance, loads, counts, limits):
    """All items, and no more, are in bins that are there, and fit."""
    packed = Counter()
    for kind, pattern in loads:
        assert sum(instance.sizes[j] * n for j, n in pattern) <= instance.kinds[kind][0]
        for j, n in pattern:
            assert n > 0
            packed[j] += n
    assert [packed[j] for j in range(len(instance.sizes))] == list(counts)
    used = Counter(kind for kind, _ in loads)
    assert all(used[kind] <= limit for kind, limit in enumerate(limits))
