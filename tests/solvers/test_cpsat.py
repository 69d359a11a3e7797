import threading
import time
from random import Random

import pytest

from vmplace.model.errors import InputError
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat, together
from vmplace.solvers.program import Answer, IntegerProgram, Outcome


def knapsack():
    program = IntegerProgram()
    x, y = program.variable(0, 10), program.variable(0, 10)
    program.row([(x, 3), (y, 5)], lower=17)
    program.objective = [(x, 2), (y, 3)]
    return program


def market_split(seed, size=20, rows=3):
    """Halve several budgets at once."""
    program, chance = IntegerProgram(), Random(seed)
    xs = [program.variable(0, 1) for _ in range(size)]
    for _ in range(rows):
        weights = [chance.randrange(100) for _ in xs]
        over, under = program.variable(0, 5000), program.variable(0, 5000)
        half = sum(weights) // 2
        program.row([*zip(xs, weights, strict=True), (over, -1), (under, 1)], half, half)
        program.objective += [(over, 1), (under, 1)]
    return program


def drawn_out():
    """Solutions come at once, a proof in hours."""
    return market_split(1, 50, 6)


def test_an_optimum_comes_with_its_bound():
    answer = CpSat().solve(knapsack(), budget=Budget(10))
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 11)
    assert knapsack().value(knapsack().objective, answer.values) == 11


def test_infeasible():
    program = knapsack()
    program.row([(0, 1), (1, 1)], upper=2)
    assert CpSat().solve(program, budget=Budget(10)).outcome is Outcome.INFEASIBLE
    empty = IntegerProgram()
    empty.row([], lower=1)
    assert CpSat().solve(empty, budget=Budget(10)).outcome is Outcome.INFEASIBLE


def test_no_variable_no_term():
    program = IntegerProgram()
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
    answer = CpSat().solve(drawn_out(), budget=budget)
    assert 0.4 < time.monotonic() - start < 3
    assert answer.outcome is Outcome.FEASIBLE


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


def test_work_instead_of_time_ends_every_run_in_the_same_place():
    runs = []
    for _ in range(2):
        engine = CpSat(deterministic=True)
        runs.append((engine.solve(drawn_out(), budget=Budget(4)), engine.spent))
    assert runs[0] == runs[1]
    assert runs[0][0].outcome is Outcome.FEASIBLE


def test_work_is_counted_over_all_searches():
    engine = CpSat(deterministic=True)
    engine.spent = Budget(4).work
    assert engine.solve(drawn_out(), budget=Budget(4)).outcome is not Outcome.OPTIMAL
    assert engine.spent < Budget(4).work + 0.01


def test_what_a_callback_raises_ends_the_search():
    class EnoughError(Exception):
        pass

    def tired(value, bound):
        raise EnoughError

    before = threading.active_count()
    with pytest.raises(EnoughError):
        CpSat().solve(drawn_out(), budget=Budget(60), on_progress=tired)
    assert threading.active_count() == before


def test_progress_and_solutions_are_told():
    progress, solutions = [], []
    program = drawn_out()
    answer = CpSat().solve(
        program, budget=Budget(1), on_solution=solutions.append, on_progress=lambda *told: progress.append(told)
    )
    values = [program.value(program.objective, solution) for solution in solutions]
    assert values == sorted(values, reverse=True)
    assert min(values) == program.value(program.objective, answer.values)
    assert progress
    assert all(bound <= value and value in values for value, bound in progress)


def test_a_hint_that_is_the_optimum_is_taken_and_one_that_is_wrong_does_no_harm():
    for hint in ([4, 1], [0, 0], [99, -5]):
        answer = CpSat().solve(knapsack(), budget=Budget(10), hint=hint)
        assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 11)


def test_numbers_too_large_are_an_error_and_not_an_answer():
    program = IntegerProgram()
    v = program.variable(0, 2**40)
    program.row([(v, 2**40)], lower=1)
    with pytest.raises(OverflowError, match="too large"):
        CpSat().solve(program, budget=Budget(10))


@pytest.mark.parametrize("bits", [19, 20, 22, 30])
def test_rows_whose_sums_exceed_32_bits_have_the_right_optimum(bits):
    """Which share is the highest, of a node's units in use: 5 of 3,073 on the last, if the others take the rest."""
    program, whole, usable = IntegerProgram(), 2**bits, (3584, 2560, 4097, 3073)
    six, five, two = ([program.variable(0, 1) for _ in nodes] for nodes in ((0, 2, 3), (0, 1, 2, 3), (0, 2)))
    for homes in (six, five, two):
        program.row([(home, 1) for home in homes], 1, 1)
    peak = program.variable(-(-3072 * whole // 4097), whole)
    loads = [[(six[0], 6), (five[0], 5), (two[0], 2)], [(five[1], 5)], [(six[1], 6), (five[2], 5), (two[1], 2)]]
    for load, node in zip([*loads, [(six[2], 6), (five[3], 5)]], usable, strict=True):
        program.row(load, upper=node // 512)
        program.row([*((home, units * 512 * whole) for home, units in load), (peak, -node)], upper=0)
    program.objective = [(peak, 1)]
    answer = CpSat().solve(program, budget=Budget(10))
    least = -(-5 * 512 * whole // 3073)
    assert (answer.outcome, answer.bound, answer.values[peak]) == (Outcome.OPTIMAL, least, least)


def test_two_searches_establish_what_either_does():
    program = IntegerProgram()
    program.variable(0, 9)
    program.objective = [(0, 1)]
    found, nothing = Answer(Outcome.FEASIBLE, (5,), 3), Answer(Outcome.UNKNOWN, None, None)
    for first, second, both in [
        (nothing, found, found),
        (found, Answer(Outcome.UNKNOWN, None, 4), Answer(Outcome.FEASIBLE, (5,), 4)),
        (found, Answer(Outcome.UNKNOWN, None, 2), found),
        (found, Answer(Outcome.UNKNOWN, None, 5), Answer(Outcome.OPTIMAL, (5,), 5)),
        (found, Answer(Outcome.FEASIBLE, (4,), 1), Answer(Outcome.FEASIBLE, (4,), 3)),
        (found, Answer(Outcome.OPTIMAL, (3,), 3), Answer(Outcome.OPTIMAL, (3,), 3)),
        (nothing, Answer(Outcome.INFEASIBLE, None, None), Answer(Outcome.INFEASIBLE, None, None)),
    ]:
        assert together(program, first, second) == both
        assert together(program, second, first) == both
