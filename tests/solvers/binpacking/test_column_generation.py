from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.bins import cases, fewest_bins, triplets
from vmplace.solvers.binpacking.bounds import fewest
from vmplace.solvers.binpacking.column_generation import Cover, Patterns, Remainder
from vmplace.solvers.binpacking.instance import Stock
from vmplace.solvers.budget import Budget, OutOfTimeError


def cover(sizes, kinds, n_bins):
    stock = Stock.of(sizes, kinds)
    return Patterns(stock, Budget()).cover(Remainder.of(stock, n_bins))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_what_fits_is_covered_and_in_no_bins_is_proved_impossible(case):
    sizes, kinds = case
    assume(sizes)
    stock = Stock.of(sizes, kinds)
    patterns, optimum = Patterns(stock, Budget()), fewest_bins(sizes, kinds)
    for n_bins in range(stock.n_bins, 0, -1):  # one relaxation for all
        found = patterns.cover(Remainder.of(stock, n_bins))
        if n_bins >= optimum:
            assert found is Cover.FULL
            assert_covers(patterns, stock, n_bins)
        elif n_bins < fewest(sizes, kinds):
            assert found is Cover.NONE


def assert_covers(patterns, stock, n_bins):
    covered, used = [0.0] * len(stock.sizes), [0.0] * len(stock.kinds)
    for part, (kind, pattern) in patterns.parts():
        used[kind] += part
        assert 0 <= stock.kinds[kind][0] - stock.filling(pattern) <= stock.waste(n_bins)
        for j, n in pattern:
            covered[j] += part * n
    assert all(c > n - 1e-4 for c, n in zip(covered, stock.counts, strict=True))
    assert all(u < limit + 1e-4 for u, limit in zip(used, stock.largest(n_bins), strict=True))


@pytest.mark.parametrize(
    ("sizes", "kinds", "n_bins"),
    [([6, 7, 1, 6, 6, 4], [(15, 2)], 2), ([8, 10, 11, 13, 8], [(28, 1), (22, 1)], 2)],
)
def test_it_proves_what_the_bounds_without_search_do_not(sizes, kinds, n_bins):
    assert fewest(sizes, kinds) == n_bins < fewest_bins(sizes, kinds)
    assert cover(sizes, kinds, n_bins) is Cover.NONE


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_whatever_the_floats_say_nothing_that_fits_is_called_impossible(case, random):
    sizes, kinds = case
    optimum = fewest_bins(sizes, kinds)
    stock = Stock.of(sizes, kinds)
    assume(sizes and optimum <= stock.n_bins)

    def nonsense(_relaxation, _budget):
        duals = [random.uniform(-1, 3) for _ in stock.sizes]
        return 1.0, duals, [random.uniform(-1, 3) for _ in stock.kinds]

    with mock.patch("vmplace.solvers.binpacking.column_generation._Relaxation.solve", nonsense):
        assert Patterns(stock, Budget()).cover(Remainder.of(stock, optimum)) is Cover.SHORT


def test_where_nothing_fills_a_bin_far_enough_there_is_no_packing():
    assert cover([7, 5, 4, 4], [(10, 2)], 2) is Cover.NONE


def test_a_solver_that_gives_up_proves_nothing():
    with mock.patch("vmplace.solvers.binpacking.column_generation._Relaxation.solve", return_value=None):
        assert cover([2, 2, 2], [(3, 3)], 3) is Cover.SHORT


def test_what_remains_of_bins_and_waste():
    stock = Stock.of([5, 3, 3, 2], [(8, 1), (6, 1)])
    whole = Remainder.of(stock, 2)
    assert whole == Remainder((1, 2, 1), (1, 1), 1)
    assert whole.less(stock, (0, ((0, 1), (1, 1)))) == Remainder((0, 1, 1), (0, 1), 1)
    assert whole.less(stock, (0, ((0, 1), (2, 1)))) == Remainder((0, 2, 0), (0, 1), 0)
    assert whole.less(stock, (0, ((0, 1),))) is None  # too much waste
    assert whole.less(stock, (0, ((2, 4),))) is None
    assert whole.less(stock, (0, ((1, 1), (0, 1)))).less(stock, (0, ((1, 1), (0, 1)))) is None


def test_kinds_that_are_used_up_are_left_out():
    stock = Stock.of([10, 6, 4], [(20, 1), (10, 2)])
    patterns = Patterns(stock, Budget())
    assert patterns.cover(Remainder((1, 1, 1), (0, 2), 0)) is Cover.FULL
    assert {kind for kind, _ in patterns.loads} == {1}
    assert patterns.cover(Remainder((1, 1, 1), (1, 0), 0)) is Cover.FULL
    assert patterns.cover(Remainder((1, 1, 1), (0, 1), 0)) is Cover.NONE


def test_a_pattern_is_taken_once():
    patterns = Patterns(Stock.of([3], [(8, 1)]), Budget())
    assert patterns.add((0, ((0, 1),)))
    assert not patterns.add((0, ((0, 1),)))
    assert patterns.loads == [(0, ((0, 1),))]


def test_it_ends_in_time():
    stock = Stock.of(triplets(60, 1), [(1000, 20)])
    with pytest.raises(OutOfTimeError):
        Patterns(stock, Budget(0)).cover(Remainder.of(stock, 20))


def test_tables_beyond_measure_are_not_made():
    assert Patterns.affordable(Stock.of([500_001, 70_000], [(520_000, 4)]))
    assert not Patterns.affordable(Stock.of(range(10**6, 10**6 + 300), [(10**7, 400)]))
