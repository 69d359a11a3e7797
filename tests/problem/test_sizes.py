import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace import VM, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.sizes import SizeCounts, evenly, ranked, tally


@given(st.lists(st.integers(1, 9)), st.integers(1, 5))
def test_sizes_tell_what_the_list_tells(memory, step):
    sizes = SizeCounts.of(np.array(memory, dtype=np.int64))
    assert sizes.total == sum(memory)
    assert sizes.largest == max(memory, default=0)
    assert sizes.slots(step) == sum(size // step for size in memory)
    assert sizes.every(step).tolist() == sorted(memory, reverse=True)[::step]


def test_of_a_pool_of_the_protected_and_of_those_that_need_not_stay():
    nodes = [Node("a", 9), Node("m", 9, state="maintenance"), Node("b", 9, pool="p")]
    vms = [VM("v", 1, "a"), VM("w", 2, "m"), VM("x", 3, "a", protected=False), VM("y", 4, "b", pool="p"), VM("z", 5)]
    problem = compile_problem(Cluster(nodes, vms))
    asked = [{}, {"protected": True}, {"staying": False}, {"protected": True, "staying": False}]
    assert [problem.sizes(0, **how).values.tolist() for how in asked] == [[1, 2, 3, 5], [1, 2, 5], [1, 3, 5], [1, 5]]
    assert [problem.sizes(1, **how).values.tolist() for how in asked] == [[4]] * 4


whole = st.integers(-(2**40), 2**40)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), whole), max_size=30))
def test_rows_are_sorted_by_key_after_key_and_ties_stay(rows):
    keys = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    assert ranked(*keys).tolist() == sorted(range(len(rows)), key=lambda row: (*rows[row], row))


@pytest.mark.parametrize("width", [20, 30, 31, 62])
def test_keys_too_wide_for_one_integer_are_sorted_all_the_same(width):
    one, other = np.array([2**width, 0, 2**width, 7]), np.array([2**width, 1, 0, 2**width])
    assert ranked(one, other).tolist() == [1, 3, 2, 0]


def test_keys_are_left_as_they_were():
    key = np.array([3, 1, 2])
    ranked(key)
    assert key.tolist() == [3, 1, 2]


@given(st.lists(st.integers(0, 5)))
def test_a_tally_counts_each_value(numbers):
    values, counts = tally(np.array(numbers, dtype=np.int64))
    assert values.tolist() == sorted(set(numbers))
    assert counts.tolist() == [numbers.count(value) for value in sorted(set(numbers))]


def test_some_values_are_taken_evenly_with_both_ends():
    values = np.arange(10, 110, 10)
    assert evenly(values, 4).tolist() == [10, 40, 70, 100]
    assert evenly(values, 10).tolist() == evenly(values, 99).tolist() == values.tolist()
