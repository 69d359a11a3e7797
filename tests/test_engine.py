import threading
import time

import pytest

from vmplace.budget import Budget
from vmplace.engine import CpSat, Outcome
from vmplace.errors import InputError
from vmplace.program import Program


def knapsack():
    program = Program()
    x, y = program.variable(0, 10), program.variable(0, 10)
    program.row([(x, 3), (y, 5)], lower=17)
    program.objective = [(x, 2), (y, 3)]
    return program


def pigeons(holes=11):
    """One pigeon too many, each row by itself harmless: no quick refutation."""
    program = Program()
    places = [[program.variable(0, 1) for _ in range(holes)] for _ in range(holes + 1)]
    for row in places:
        program.row([(v, 1) for v in row], lower=1)
    for column in zip(*places, strict=True):
        for i, a in enumerate(column):
            for b in column[:i]:
                program.row([(a, 1), (b, 1)], upper=1)
    return program


def test_an_optimum_comes_with_its_bound():
    answer = CpSat().solve(knapsack(), budget=Budget(10))
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 11)
    assert knapsack().value(knapsack().objective, answer.values) == 11


def test_infeasible():
    program = knapsack()
    program.row([(0, 1), (1, 1)], upper=2)
    assert CpSat().solve(program, budget=Budget(10)).outcome is Outcome.INFEASIBLE
    empty = Program()
    empty.row([], lower=1)
    assert CpSat().solve(empty, budget=Budget(10)).outcome is Outcome.INFEASIBLE


def test_no_variable_no_term():
    program = Program()
    program.row([(-1, 5)], upper=0)
    assert program.rows == [([], None, 0)]


def test_without_time_nothing_is_known():
    assert CpSat().solve(knapsack(), budget=Budget(0)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("how", ["limit", "cancel"])
def test_a_search_stops_when_told(how):
    cancel = threading.Event()
    budget = Budget(0.5) if how == "limit" else Budget(60, cancel)
    threading.Timer(0.5, cancel.set).start()
    start = time.monotonic()
    answer = CpSat().solve(pigeons(), budget=budget)
    assert time.monotonic() - start < 3
    assert answer.outcome in (Outcome.UNKNOWN, Outcome.INFEASIBLE)


def test_shares_of_a_budget():
    budget = Budget(10)
    assert 4.9 < budget.share(0.5).left <= 5
    budget.cancel.set()
    assert budget.spent
    assert budget.share(0.5).spent
    assert Budget().left == float("inf")
    for odd in (-1, "5", True, float("nan")):
        with pytest.raises(InputError, match="time_limit"):
            Budget(odd)
