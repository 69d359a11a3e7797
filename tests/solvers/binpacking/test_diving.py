import pytest
from hypothesis import assume, given, settings

from tests.support.bins import assert_packed, cases, fewest_bins, triplets
from vmplace.solvers.binpacking.column_generation import ColumnGeneration
from vmplace.solvers.binpacking.diving import dive
from vmplace.solvers.binpacking.instance import Instance
from vmplace.solvers.binpacking.subset_sum import fill_up
from vmplace.solvers.budget import Budget, OutOfTimeError


def dived(sizes, kinds, n_bins, failures=20):
    instance = Instance.of(sizes, kinds)
    return instance, dive(ColumnGeneration(instance, Budget()), n_bins, failures=failures)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_what_is_found_is_a_packing_and_small_ones_are_found(case):
    sizes, kinds = case
    optimum = fewest_bins(sizes, kinds)
    n_bins = sum(count for _, count in kinds)
    assume(sizes and n_bins)
    instance, loads = dived(sizes, kinds, min(optimum, n_bins))
    if optimum > n_bins:
        assert loads is None
    else:
        assert len(loads) == optimum
        assert_packed(instance, loads, instance.counts, instance.largest(optimum))


@pytest.mark.parametrize(
    ("sizes", "kinds"), [([6, 5, 4, 7, 6], [(15, 1), (14, 1)]), ([14, 14, 6, 8, 16, 9, 15, 7, 12], [(34, 3)])]
)
def test_it_finds_what_filling_up_does_not(sizes, kinds):
    n_bins = sum(count for _, count in kinds)
    instance, loads = dived(sizes, kinds, n_bins)
    assert fill_up(instance, instance.counts, instance.largest(n_bins), budget=Budget()) is None
    assert_packed(instance, loads, instance.counts, instance.largest(n_bins))


def test_a_choice_that_failed_is_undone():
    cases = [triplets(45, seed, capacity=200) for seed in range(40)]
    at_once = [dived(sizes, [(200, 15)], 15, failures=0)[1] is not None for sizes in cases]
    in_the_end = [dived(sizes, [(200, 15)], 15, failures=100)[1] is not None for sizes in cases]
    assert all(late for early, late in zip(at_once, in_the_end, strict=True) if early)
    assert sum(at_once) < sum(in_the_end)


def test_it_is_repeatable():
    sizes = triplets(60, 3)
    assert dived(sizes, [(1000, 20)], 20)[1] == dived(sizes, [(1000, 20)], 20)[1] is not None


def test_it_ends_in_time():
    instance = Instance.of(triplets(60, 1), [(1000, 20)])
    with pytest.raises(OutOfTimeError):
        dive(ColumnGeneration(instance, Budget(0)), 20, failures=5)
