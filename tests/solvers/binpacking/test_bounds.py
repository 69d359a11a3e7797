import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bins import cases, fewest_bins
from vmplace.solvers.binpacking.bounds import cover, dual_feasible, lower_bound
from vmplace.solvers.binpacking.instance import Instance


@settings(max_examples=120, deadline=None)
@given(cases())
def test_no_bound_exceeds_the_optimum(case):
    assert lower_bound(Instance.of(*case)) <= fewest_bins(*case)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_each_function_grows_and_a_whole_is_worth_its_parts(capacity, sizes):
    x = np.arange(capacity + 1)
    for worth in dual_feasible(sizes, capacity):
        f = worth(x)
        assert f[0] == 0
        assert np.all(np.diff(f) >= 0)
        for size in range(1, capacity):
            assert np.all(f[size] + f[: capacity - size + 1] <= f[size:])


@pytest.mark.parametrize(
    ("sizes", "kinds", "bound"),
    [
        ([5, 5, 5, 5, 5], [(10, 9)], 3),  # the sum
        ([22, 17, 26, 23], [(27, 2), (18, 4)], 7),  # slots: three that need one of two bins
        ([3, 2, 11, 15, 7], [(19, 9)], 3),  # shares rounded down
        ([6, 6, 12, 11], [(15, 2), (10, 4)], 4),
        ([12, 21, 9, 7], [(26, 4)], 3),  # small ones count nothing
        ([11, 5, 21, 19], [(22, 2), (15, 4)], 4),
        ([14, 15, 25, 6, 7, 7], [(25, 6)], 4),  # above the half by the rest
        ([9, 18, 7, 16, 21, 25], [(29, 2), (22, 6)], 5),
    ],
)
def test_each_family_is_good_for_something(sizes, kinds, bound):
    """But for the sum, which the others repeat, no other reaches these bounds, each of which is the optimum."""
    assert lower_bound(Instance.of(sizes, kinds)) == bound == fewest_bins(sizes, kinds)


def test_corners():
    assert lower_bound(Instance.of([], [])) == lower_bound(Instance.of([], [(4, 2)])) == 0
    assert lower_bound(Instance.of([3], [])) == 1
    assert lower_bound(Instance.of([5], [(4, 10)])) == 11
    assert lower_bound(Instance.of([4, 4], [(4, 2)])) == 2
    assert lower_bound(Instance.of([2**20] * 1000, [(2**26, 100)])) == 16


def test_cover_takes_the_best_bins_first():
    assert cover(0, [3], [2]) == 0
    assert cover(7, [3, 1], [2, 5]) == 3
    assert cover(6, [3, 1], [2, 5]) == 2
    assert cover(12, [3, 1], [2, 5]) == 8
    assert cover(7, [3, 0], [2, 5]) == 8
