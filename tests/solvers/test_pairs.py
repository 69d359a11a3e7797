"""Pairs that share a place, counted by rows: the least cost of each way to come is what counting pairs by hand tells."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.pairs import count_pairs, taken_steps
from vmplace.solvers.program import IntegerProgram

crowds = st.lists(st.integers(0, 4), min_size=1, max_size=4)


def pairs_by_hand(coming, standing):
    return sum(
        sum(1 for one, other in combinations(range(new + old), 2) if one < new or other < new)
        for new, old in zip(coming, standing, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(crowds, st.data())
def test_the_least_cost_is_the_number_of_pairs(coming, data):
    standing = data.draw(st.just([0] * len(coming)) | st.lists(st.integers(0, 3), min_size=len(coming), max_size=len(coming)))
    program = IntegerProgram()
    here = program.variables(np.full(len(coming), 4))
    steps, cost = count_pairs(program, [[(int(v), 1)] for v in here], sum(coming), standing=standing)
    for v, count in zip(here.tolist(), coming, strict=True):
        program.row([(v, 1)], count, count)
    program.objective = cost
    answer = CpSat().solve(program, budget=Budget())
    assert program.value(cost, answer.values) == pairs_by_hand(coming, standing)
    # The steps that this takes are such a solution, and no worse.
    values = list(answer.values)
    for v, taken in zip(steps.ravel().tolist(), taken_steps(steps, np.array(coming)).ravel().tolist(), strict=True):
        if v >= 0:
            values[v] = taken
    assert program.holds(values)
    assert program.value(cost, values) == pairs_by_hand(coming, standing)


def test_few_to_keep_apart_take_one_variable_for_all_places():
    program = IntegerProgram()
    here = program.variables(np.full(100, 1))
    steps, _ = count_pairs(program, [[(int(v), 2)] for v in here], 2)
    assert len(np.unique(steps[steps >= 0])) == 1
