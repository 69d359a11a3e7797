import threading
import time
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bins import cases, fewest_bins, triplets
from vmplace.solvers.binpacking.pack import pack
from vmplace.solvers.budget import Budget


def assert_holds(packing, sizes, kinds):
    """All items are in bins that are there, and no bin holds more than it can."""
    room = [capacity for capacity, count in kinds for _ in range(count)]
    assert len(packing.bin_of) == len(sizes)
    for size, chosen in zip(sizes, packing.bin_of, strict=True):
        assert chosen >= 0
        room[chosen] -= size
        assert room[chosen] >= 0
    assert packing.n_bins == len(set(packing.bin_of))
    assert packing.bound <= packing.n_bins


@settings(max_examples=150, deadline=None)
@given(cases())
def test_small_cases_are_packed_best_or_proved_impossible(case):
    sizes, kinds = case
    packing, optimum = pack(sizes, kinds, budget=Budget(20)), fewest_bins(sizes, kinds)
    if optimum > sum(count for _, count in kinds):
        assert (packing.bin_of, packing.n_bins, packing.bound, packing.infeasible) == (None, None, optimum, True)
        assert not packing.optimal
    else:
        assert_holds(packing, sizes, kinds)
        assert (packing.n_bins, packing.bound, packing.infeasible, packing.optimal) == (optimum, optimum, False, True)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_without_patterns_the_arc_flow_model_decides(case):
    sizes, kinds = case
    with mock.patch("vmplace.solvers.binpacking.pack.ColumnGeneration.affordable", return_value=False):
        packing, optimum = pack(sizes, kinds, budget=Budget(20)), fewest_bins(sizes, kinds)
    assert packing.bound == optimum
    assert packing.infeasible == (optimum > sum(count for _, count in kinds))
    assert not set(packing.method.split("+")) & {"patterns", "diving"}


def test_the_arc_flow_model_proves():
    with mock.patch("vmplace.solvers.binpacking.pack.ColumnGeneration.affordable", return_value=False):
        assert pack([6, 7, 1, 6, 6, 4], [(15, 3)], budget=Budget(20)).method == "best-fit+arc-flow"


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.002, 0.01]))
def test_what_is_said_in_little_time_is_true(case, limit):
    sizes, kinds = case
    packing, optimum = pack(sizes, kinds, budget=Budget(limit)), fewest_bins(sizes, kinds)
    assert packing.bound <= optimum
    assert packing.infeasible <= (optimum > sum(count for _, count in kinds))
    if packing.bin_of is not None:
        assert_holds(packing, sizes, kinds)
        assert packing.n_bins >= optimum


@pytest.mark.parametrize(
    ("sizes", "kinds", "method"),
    [
        ([4, 4, 2], [(5, 3)], "best-fit+bounds"),
        ([4, 4, 3, 5, 3, 3], [(11, 2)], "subset-sum+bounds"),
        ([14, 14, 6, 8, 16, 9, 15, 7, 12], [(34, 3)], "diving+bounds"),
        ([6, 7, 1, 6, 6, 4], [(15, 3)], "best-fit+patterns"),
        ([6, 7, 1, 6, 6, 4], [(15, 2)], "patterns"),
        ([6], [(5, 2)], "bounds"),
        ([], [(5, 2)], "best-fit+bounds"),
        (triplets(60, 0), [(1000, 20)], "arc-flow+bounds"),
    ],
)
def test_the_method_says_what_found_and_what_proved_it(sizes, kinds, method):
    packing = pack(sizes, kinds, budget=Budget(30))
    assert packing.method == method
    assert packing.infeasible or packing.optimal


def test_exact_fits_and_equal_items():
    assert pack([100], [(100, 1)], budget=Budget()).bin_of == (0,)
    assert pack([3] * 12, [(9, 4)], budget=Budget()).n_bins == 4
    assert pack([3] * 12, [(8, 5)], budget=Budget()).infeasible
    assert pack([3, 9], [(4, 1), (9, 1)], budget=Budget()).bin_of == (0, 1)
    assert pack([3, 3], [(4, 2), (6, 1)], budget=Budget()).bin_of == (2, 2)


def test_bins_that_are_not_there_do_not_shift_the_others():
    assert pack([5], [(4, 2), (9, 0), (2, -1), (5, 1)], budget=Budget()).bin_of == (2,)
    assert pack([5], [(-7, 2), (5, 1)], budget=Budget()).bin_of == (2,)


def test_a_size_is_positive():
    with pytest.raises(ValueError, match="is not a size"):
        pack([3, 0], [(5, 1)], budget=Budget())


def test_triplets_of_two_kinds():
    sizes = [*triplets(60, 2), *(2 * size for size in triplets(30, 3))]
    packing = pack(sizes, [(1000, 20), (2000, 10)], budget=Budget(30))
    assert packing.optimal
    assert packing.n_bins == 30
    assert_holds(packing, sizes, [(1000, 20), (2000, 10)])


def test_the_same_answer_again():
    sizes = triplets(90, 5)
    first, second = (pack(sizes, [(1000, 40)], budget=Budget(30)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("limit", [0.05, 0.4])
def test_time_is_kept(limit):
    sizes = triplets(240, 4, capacity=20_000)
    pack(triplets(60, 0), [(1000, 20)], budget=Budget(30))  # loads the solvers
    start = time.monotonic()
    packing = pack(sizes, [(20_000, 100)], budget=Budget(limit))
    assert time.monotonic() - start < limit + 0.5  # 0.05 where nothing else runs
    assert packing.bound == 80


def test_it_can_be_cancelled():
    cancel = threading.Event()
    cancel.set()
    packing = pack([4, 4, 3, 5, 3, 3], [(11, 9)], budget=Budget(None, cancel))
    assert (packing.bin_of, packing.n_bins, packing.bound, packing.infeasible) == (None, None, 2, False)
