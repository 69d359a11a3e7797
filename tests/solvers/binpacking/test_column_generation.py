from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.bins import cases, fewest_bins, triplets
from vmplace.solvers.binpacking.bounds import lower_bound
from vmplace.solvers.binpacking.column_generation import ColumnGeneration, Residual
from vmplace.solvers.binpacking.instance import Instance
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Outcome


def relaxed(sizes, kinds, n_bins):
    instance = Instance.of(sizes, kinds)
    return ColumnGeneration(instance, Budget()).solve(Residual.of(instance, n_bins))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_what_fits_is_covered_and_in_no_bins_is_proved_impossible(case):
    sizes, kinds = case
    assume(sizes)
    instance = Instance.of(sizes, kinds)
    columns, optimum = ColumnGeneration(instance, Budget()), fewest_bins(sizes, kinds)
    for n_bins in range(instance.n_bins, 0, -1):  # one relaxation for all
        found = columns.solve(Residual.of(instance, n_bins))
        if n_bins >= optimum:
            assert found is Outcome.FEASIBLE
            assert_covers(columns, instance, n_bins)
        elif n_bins < lower_bound(Instance.of(sizes, kinds)):
            assert found is Outcome.INFEASIBLE


def assert_covers(columns, instance, n_bins):
    covered, used = [0.0] * len(instance.sizes), [0.0] * len(instance.kinds)
    for part, (kind, pattern) in columns.fractions():
        used[kind] += part
        assert 0 <= instance.kinds[kind][0] - instance.filling(pattern) <= instance.waste(n_bins)
        for j, n in pattern:
            covered[j] += part * n
    assert all(c > n - 1e-4 for c, n in zip(covered, instance.counts, strict=True))
    assert all(u < limit + 1e-4 for u, limit in zip(used, instance.largest(n_bins), strict=True))


@pytest.mark.parametrize(
    ("sizes", "kinds", "n_bins"),
    [([6, 7, 1, 6, 6, 4], [(15, 2)], 2), ([8, 10, 11, 13, 8], [(28, 1), (22, 1)], 2)],
)
def test_it_proves_what_the_bounds_without_search_do_not(sizes, kinds, n_bins):
    assert lower_bound(Instance.of(sizes, kinds)) == n_bins < fewest_bins(sizes, kinds)
    assert relaxed(sizes, kinds, n_bins) is Outcome.INFEASIBLE


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_whatever_the_floats_say_nothing_that_fits_is_called_impossible(case, random):
    sizes, kinds = case
    optimum = fewest_bins(sizes, kinds)
    instance = Instance.of(sizes, kinds)
    assume(sizes and optimum <= instance.n_bins)

    def nonsense(_relaxation, _budget):
        duals = [random.uniform(-1, 3) for _ in instance.sizes]
        return 1.0, duals, [random.uniform(-1, 3) for _ in instance.kinds]

    with mock.patch("vmplace.solvers.binpacking.column_generation._MasterProblem.solve", nonsense):
        assert ColumnGeneration(instance, Budget()).solve(Residual.of(instance, optimum)) is Outcome.UNKNOWN


def test_where_nothing_fills_a_bin_far_enough_there_is_no_packing():
    assert relaxed([7, 5, 4, 4], [(10, 2)], 2) is Outcome.INFEASIBLE


def test_a_solver_that_gives_up_proves_nothing():
    with mock.patch("vmplace.solvers.binpacking.column_generation._MasterProblem.solve", return_value=None):
        assert relaxed([2, 2, 2], [(3, 3)], 3) is Outcome.UNKNOWN


def test_what_remains_of_bins_and_waste():
    instance = Instance.of([5, 3, 3, 2], [(8, 1), (6, 1)])
    whole = Residual.of(instance, 2)
    assert whole == Residual((1, 2, 1), (1, 1), 1)
    assert whole.less(instance, (0, ((0, 1), (1, 1)))) == Residual((0, 1, 1), (0, 1), 1)
    assert whole.less(instance, (0, ((0, 1), (2, 1)))) == Residual((0, 2, 0), (0, 1), 0)
    assert whole.less(instance, (0, ((0, 1),))) is None  # too much waste
    assert whole.less(instance, (0, ((2, 4),))) is None
    assert whole.less(instance, (0, ((1, 1), (0, 1)))).less(instance, (0, ((1, 1), (0, 1)))) is None


def test_kinds_that_are_used_up_are_left_out():
    instance = Instance.of([10, 6, 4], [(20, 1), (10, 2)])
    columns = ColumnGeneration(instance, Budget())
    assert columns.solve(Residual((1, 1, 1), (0, 2), 0)) is Outcome.FEASIBLE
    assert {kind for kind, _ in columns.loads} == {1}
    assert columns.solve(Residual((1, 1, 1), (1, 0), 0)) is Outcome.FEASIBLE
    assert columns.solve(Residual((1, 1, 1), (0, 1), 0)) is Outcome.INFEASIBLE


def test_a_pattern_is_taken_once():
    columns = ColumnGeneration(Instance.of([3], [(8, 1)]), Budget())
    assert columns.add((0, ((0, 1),)))
    assert not columns.add((0, ((0, 1),)))
    assert columns.loads == [(0, ((0, 1),))]


def test_it_ends_in_time():
    instance = Instance.of(triplets(60, 1), [(1000, 20)])
    with pytest.raises(OutOfTimeError):
        ColumnGeneration(instance, Budget(0)).solve(Residual.of(instance, 20))


def test_tables_beyond_measure_are_not_made():
    assert ColumnGeneration.affordable(Instance.of([500_001, 70_000], [(520_000, 4)]))
    assert not ColumnGeneration.affordable(Instance.of(range(10**6, 10**6 + 300), [(10**7, 400)]))
