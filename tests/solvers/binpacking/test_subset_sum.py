from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bins import assert_packed, cases, fewest_bins
from vmplace.solvers.binpacking import subset_sum
from vmplace.solvers.binpacking.instance import Instance
from vmplace.solvers.binpacking.subset_sum import best_fit, fill_up, fullest, least_choice, least_sum
from vmplace.solvers.budget import Budget, OutOfTimeError

NOW = Budget()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), max_size=4), st.integers(0, 30))
def test_no_choice_fills_a_bin_more(items, capacity):
    sizes, counts = [size for size, _ in items], [count for _, count in items]
    chosen = dict(fullest(sizes, counts, capacity))
    assert all(0 < n <= counts[j] for j, n in chosen.items())
    sums = [sum(n * size for n, size in zip(ns, sizes, strict=True)) for ns in product(*(range(c + 1) for c in counts))]
    assert sum(n * sizes[j] for j, n in chosen.items()) == max(s for s in sums if s <= capacity)


def test_the_larger_ones_are_taken_where_both_fill():
    assert fullest([6, 4, 2], [1, 1, 5], 10) == ((0, 1), (1, 1))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_what_is_packed_is_packed_well_and_what_fits_one_bin_each_is_packed(case):
    sizes, kinds = case
    instance = Instance.of(sizes, kinds)
    limits = instance.largest(instance.n_bins)
    for loads in (best_fit(instance, budget=NOW), fill_up(instance, instance.counts, limits, budget=NOW)):
        if loads is None:
            assert len(sizes) > 1 or fewest_bins(sizes, kinds) > instance.n_bins
        else:
            assert_packed(instance, loads, instance.counts, limits)


@pytest.mark.parametrize(
    ("sizes", "kinds", "best", "full"),
    [
        ([4, 4, 3, 5, 3, 3], [(11, 2)], None, 2),  # 5 + 4 leaves a crumb, 5 + 3 + 3 does not
        ([11, 9, 5, 13, 4], [(26, 1), (17, 1)], None, 2),
        ([3, 4, 3, 6, 7, 7, 2, 8, 7], [(16, 3)], 3, None),  # the first bins take the small ones that the last needs
        ([4, 2, 4, 3, 2, 2, 3], [(10, 1), (5, 2)], 3, None),
    ],
)
def test_either_way_finds_what_the_other_misses(sizes, kinds, best, full):
    instance = Instance.of(sizes, kinds)
    by_best, by_full = best_fit(instance, budget=NOW), fill_up(instance, instance.counts, instance.largest(9), budget=NOW)
    assert (by_best and len(by_best), by_full and len(by_full)) == (best, full)


def test_the_fullest_bin_that_takes_an_item_takes_it():
    instance = Instance.of([7, 6, 3, 4], [(10, 2)])
    assert best_fit(instance, budget=NOW) == ((0, ((0, 1), (3, 1))), (0, ((1, 1), (2, 1))))


def test_they_end_in_time():
    instance = Instance.of([1], [(1, 1)])
    with pytest.raises(OutOfTimeError):
        best_fit(instance, budget=Budget(0))
    with pytest.raises(OutOfTimeError):
        fill_up(instance, (1,), (1,), budget=Budget(0))


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


def test_of_the_least_sum_the_earlier_ones_are_preferred():
    assert least_choice([6, 4, 2], [1, 1, 5], 9, 12) == ((0, 1), (1, 1))


def test_where_there_are_too_many_sums_the_bound_is_all_there_is(monkeypatch):
    monkeypatch.setattr(subset_sum, "_WIDEST", 5)
    assert least_sum([5, 7], [1, 1], 6, 12) == 6
    assert least_choice([5, 7], [1, 1], 6, 12) is None
    assert least_sum([500, 700], [1, 1], 101, 400) is None
