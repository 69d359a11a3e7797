from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace.solvers.binpacking import least_sum as subsets
from vmplace.solvers.binpacking.least_sum import least_choice, least_sum

items = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(items, st.integers(1, 3), st.integers(0, 30), st.integers(0, 30))
def test_no_other_choice_in_the_window_is_less(items, unit, least, most):
    sizes, counts = [unit * size for size, _ in items], [count for _, count in items]
    sums = [sum(n * size for n, size in zip(ns, sizes, strict=True)) for ns in product(*(range(c + 1) for c in counts))]
    best = min((s for s in sums if least <= s <= most), default=None)
    assert least_sum(sizes, counts, least, most) == best
    choice = least_choice(sizes, counts, least, most)
    assert (choice is None) == (best is None)
    if choice is not None:
        assert sum(sizes[j] * n for j, n in choice) == best
        assert all(0 < n <= counts[j] for j, n in choice)


def test_the_earlier_ones_are_preferred():
    assert least_choice([6, 4, 2], [1, 1, 5], 9, 12) == ((0, 1), (1, 1))


def test_where_there_are_too_many_sums_the_bound_is_all_there_is(monkeypatch):
    monkeypatch.setattr(subsets, "_WIDEST", 5)
    assert least_sum([5, 7], [1, 1], 6, 12) == 6
    assert least_choice([5, 7], [1, 1], 6, 12) is None
    assert least_sum([500, 700], [1, 1], 101, 400) is None
