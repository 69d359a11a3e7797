from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace.solvers.binpacking.knapsack import Knapsack
from vmplace.solvers.budget import Budget, OutOfTimeError

items = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(items, st.integers(0, 20), st.integers(0, 25))
def test_the_most_worth_of_each_capacity_and_a_choice_that_is_worth_it(items, capacity, waste):
    waste = min(waste, capacity)
    sizes, counts, worths = ([item[i] for item in items] for i in range(3))
    knapsack = Knapsack(sizes, counts, worths, capacity=capacity, waste=waste, budget=Budget())
    chosen = np.array(list(product(*(range(count + 1) for count in counts))), dtype=np.int64)
    sums, values = chosen @ np.array(sizes, dtype=np.int64), chosen @ np.array(worths, dtype=np.int64)
    for c in range(capacity + 1):
        filling = (sums <= c) & (sums >= c - waste)
        if not filling.any():
            assert knapsack.most[c] < 0
            continue
        assert knapsack.most[c] == values[filling].max()
        pattern = knapsack.pattern(c)
        assert all(0 < n <= counts[j] for j, n in pattern)
        assert sum(n * worths[j] for j, n in pattern) == knapsack.most[c]
        assert c - waste <= sum(n * sizes[j] for j, n in pattern) <= c


def test_it_ends_in_time():
    with pytest.raises(OutOfTimeError):
        Knapsack([1], [1], [1], capacity=3, waste=3, budget=Budget(0))
