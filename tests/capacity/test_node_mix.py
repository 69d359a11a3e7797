"""The cheapest numbers of nodes by bounds: never above what a packing needs, and better by what is taken out."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bins import fits
from vmplace.capacity.node_mix import Demand, NodeKinds, NodeMix
from vmplace.solvers.budget import Budget


def mix(capacities, prices, sizes, *, failures=1, most=9, protected=None, limits=None, monotone=True, alike=True):
    capacity = np.array(capacities).reshape(len(prices), -1)
    kinds = NodeKinds(
        capacity=capacity,
        limit=capacity if limits is None else np.array(limits).reshape(capacity.shape),
        price=tuple(prices),
        most=(most,) * len(prices),
        alike=alike,
    )
    amounts = np.array(sizes).reshape(-1, capacity.shape[1])
    asks = np.ones(len(amounts), dtype=bool) if protected is None else np.array(protected)
    return NodeMix(kinds, Demand(amounts, capacity.shape[1], [(failures, asks)], monotone))


def cheapest(made, **options):
    answer = made.cheapest(budget=Budget(), **options)
    return None if answer.values is None else (answer.bound, answer.values[: len(made.kinds.price)])


def test_one_kind_needs_a_packing_and_as_many_more_as_may_fail():
    assert cheapest(mix([10], [1], [6, 6, 6])) == (4, (4,))
    assert cheapest(mix([10], [1], [6, 6, 6], failures=2)) == (5, (5,))
    assert cheapest(mix([10], [1], [6, 6, 6], failures=0)) == (3, (3,))
    assert cheapest(mix([10], [1], [6, 6, 6], protected=[True, False, False])) == (3, (3,))
    assert cheapest(mix([10], [1], [6, 6, 6], limits=[6])) == (4, (4,))
    assert cheapest(mix([5], [1], [6])) is None
    assert cheapest(mix([10], [1], [6] * 20)) is None


def test_what_fails_is_what_has_most():
    # One large node holds all, but then another large one must be there for it.
    assert cheapest(mix([30, 10], [5, 2], [6, 6, 6])) == (8, (0, 4))
    assert cheapest(mix([30, 10], [3, 2], [6, 6, 6])) == (6, (2, 0))


def test_each_resource_counts():
    assert cheapest(mix([[10, 4], [10, 1]], [3, 1], [[2, 1]] * 4, failures=0)) == (3, (1, 0))
    assert cheapest(mix([[10, 1]], [1], [[2, 1]] * 4, failures=1)) == (5, (5,))


def test_what_is_taken_out_takes_along_what_is_no_better():
    made = mix([20, 10], [3, 2], [1], failures=1)
    assert cheapest(made) == (4, (0, 2))
    made.exclude((0, 2))
    assert cheapest(made)[0] == 5
    made.exclude((2, 0))  # and so one of each, and two small ones
    assert cheapest(made) == (6, (0, 3))
    other = mix([20, 10], [3, 2], [1], failures=1, monotone=False)
    other.exclude((2, 0))
    assert cheapest(other) == (4, (0, 2))
    other.exclude((0, 2))
    assert cheapest(other) == (5, (1, 1))


def test_more_than_needed_and_less_than_a_price_can_be_asked_for():
    made = mix([10], [1], [10] * 4)
    assert cheapest(made, stretch=512) == (7, (7,))
    assert cheapest(made, below=6) == (5, (5,))
    assert cheapest(made, below=5) is None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 8), max_size=6), st.integers(8, 12), st.integers(6, 20), st.integers(1, 3), st.integers(0, 2))
def test_no_set_that_does_is_cheaper(sizes, small, large, price, failures):
    capacities = (small, large)
    costs = []
    for numbers in product(range(5), repeat=2):
        bins = sorted((c for c, n in zip(capacities, numbers, strict=True) for _ in range(n)), reverse=True)[failures:]
        if fits(sorted(sizes, reverse=True), bins):
            costs.append(2 * numbers[0] + price * numbers[1])
    found = cheapest(mix(capacities, [2, price], sizes, failures=failures, most=4))
    if costs:
        assert found is not None
        assert found[0] <= min(costs)
