import threading
import time
from io import StringIO
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.solvers.test_cpsat import drawn_out, knapsack, market_split
from tests.solvers.test_highs import children
from tests.support.campaigns import CAMPAIGN, often
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.highs import Highs
from vmplace.solvers.highs_worker import _solve
from vmplace.solvers.portfolio import Portfolio
from vmplace.solvers.program import Answer, IntegerProgram, Outcome


@st.composite
def programs(draw):
    """A few whole variables, rows, and an objective; now and then nothing is feasible."""
    program = IntegerProgram()
    coefficient = st.integers(-4, 6)
    for _ in range(draw(st.integers(1, 4))):
        low = draw(st.integers(-2, 2))
        program.variable(low, low + draw(st.integers(0, 4)))
    variable = st.integers(0, len(program.lower) - 1)
    terms = st.lists(st.tuples(variable, coefficient), min_size=1, max_size=5)
    for _ in range(draw(st.integers(0, 4))):
        low, high = draw(st.sampled_from([(1, None), (None, 3), (2, 5), (0, 0), (-3, 4), (7, None)]))
        program.row(draw(terms), low, high)
    program.objective = [(v, c) for v, c in draw(terms) if c]
    return program


def least(program):
    """By trying everything; None if nothing is feasible."""
    ranges = [range(low, high + 1) for low, high in zip(program.lower, program.upper, strict=True)]
    return min((program.value(program.objective, values) for values in product(*ranges) if program.holds(values)), default=None)


def least_split(program):
    """The optimum of a market split, from its rows."""
    weights = np.array([[dict(terms).get(v, 0) for v in range(12)] for terms, _, _ in program.rows])
    halves = np.array([low for _, low, _ in program.rows])
    choices = np.array(list(product((0, 1), repeat=weights.shape[1])))
    return int(np.abs(choices @ weights.T - halves).sum(axis=1).min())


@pytest.fixture
def racing(monkeypatch):
    """CP-SAT hardly begins alone."""
    monkeypatch.setattr("vmplace.solvers.portfolio._ALONE", 1e-9)


@pytest.fixture
def scripted(monkeypatch, racing):
    """HiGHS says what it is told to: a function that sets what its runs are like."""

    class Script:
        bound, ended, answer = None, False, Answer(Outcome.UNKNOWN, None, None, "highs")
        entered = left = 0

        def __init__(self, nodes=None):
            pass

        def takes(self, program):
            return True

        def start(self, program, **_):
            return self

        def __enter__(self):
            Script.entered += 1
            return self

        def __exit__(self, *_):
            Script.left += 1

    monkeypatch.setattr("vmplace.solvers.portfolio.Highs", Script)
    return Script


def alone(monkeypatch):
    """HiGHS must not be asked."""

    def start(*_, **__):
        raise AssertionError

    monkeypatch.setattr("vmplace.solvers.portfolio.Highs.start", start)
    monkeypatch.setattr("vmplace.solvers.portfolio.Highs.solve", start)


# The optimum


@often(30, 2240)
def test_cp_sat_alone_finds_the_optimum(monkeypatch, examples):
    alone(monkeypatch)

    @settings(max_examples=examples, deadline=None)
    @given(programs(), st.booleans())
    def law(program, deterministic):
        assert_optimum(program, Portfolio(deterministic=deterministic).solve(program, budget=Budget(20)))

    law()


def assert_optimum(program, answer):
    best = least(program)
    assert (answer.outcome, answer.by) == (Outcome.INFEASIBLE if best is None else Outcome.OPTIMAL, "cp-sat")
    if best is not None:
        assert program.holds(answer.values)
        assert program.value(program.objective, answer.values) == best
        assert answer.bound == (best if program.objective else None)


@often(30, 2240)
def test_highs_alone_finds_the_optimum(examples):
    @settings(max_examples=examples, deadline=None)
    @given(programs().filter(lambda program: least(program) is not None), st.sampled_from(["nothing", "lower", "upper"]))
    def law(program, end):
        hint = None if end == "nothing" else getattr(program, end)  # feasible or not
        lists = (program.lower, program.upper, program.rows, program.objective)
        said = _solve(StringIO(), lists, hint, 20, None)  # what its process does
        values, best = [round(value) for value in said["values"]], least(program)
        assert program.holds(values)
        assert program.value(program.objective, values) == best >= said["bound"] > best - 1

    law()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_both_find_the_same(racing, seed):
    program = market_split(seed, size=12)
    best = least_split(program)
    for answer in (
        CpSat().solve(program, budget=Budget(30)),
        Highs().solve(program, budget=Budget(30)),
        Portfolio(seed).solve(program, budget=Budget(30)),
        Portfolio(seed, deterministic=True).solve(program, budget=Budget(80)),
    ):
        assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, best)
        assert program.holds(answer.values)
        assert program.value(program.objective, answer.values) == best


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10 * CAMPAIGN))
def test_a_race_finds_the_optimum(racing, seed):
    program = market_split(seed, size=12, rows=1 + seed % 4)
    answer = Portfolio(seed).solve(program, budget=Budget(30))
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, least_split(program))


@pytest.mark.parametrize("deterministic", [False, True])
def test_nothing_feasible_is_said_by_cp_sat(racing, deterministic):
    program = IntegerProgram()  # nine pigeons, eight holes
    at = np.array([[program.variable(0, 1) for _ in range(8)] for _ in range(9)])
    for row in at.tolist():
        program.row([(v, 1) for v in row], 1, 1)
    for column in at.T.tolist():
        program.row([(v, 1) for v in column], None, 1)
    program.objective = [(0, 1)]
    answer = Portfolio(deterministic=deterministic).solve(program, budget=Budget(60))
    assert (answer.outcome, answer.values, answer.by) == (Outcome.INFEASIBLE, None, "cp-sat")


# Repeatability


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, 6])
def test_measured_in_work_two_runs_end_the_same(racing, seconds):
    ends = []
    for _ in range(2):
        engine, found = Portfolio(3, deterministic=True), []
        answer = engine.solve(market_split(2, 40, 4), budget=Clock(seconds), on_solution=found.append)
        ends.append((answer.outcome, answer.values, answer.bound, answer.by, engine.spent, found))
    assert ends[0] == ends[1]
    assert ends[0][0] is Outcome.FEASIBLE
    assert 0 < ends[0][4] < 1.5 * Budget(seconds).work


class Clock(Budget):
    """Work as for a few seconds, but time enough."""

    def __init__(self, seconds):
        super().__init__(60)
        self.work = Budget(seconds).work


# The end of a race


def test_it_ends_when_a_value_meets_the_other_engines_bound(scripted):
    scripted.bound = 150
    scripted.answer = Answer(Outcome.UNKNOWN, None, 150, "highs")
    program, start = drawn_out(), time.monotonic()
    answer = Portfolio().solve(program, budget=Budget(60))
    assert time.monotonic() - start < 20
    assert (answer.outcome, answer.bound, answer.by) == (Outcome.OPTIMAL, 150, "highs")
    assert program.value(program.objective, answer.values) <= 150
    assert scripted.entered == scripted.left == 1


def test_it_ends_when_the_other_engine_has_proved(scripted):
    program = drawn_out()
    best = CpSat().run(program, budget=Budget(1)).values
    value = program.value(program.objective, best)
    scripted.ended, scripted.bound = True, value
    scripted.answer = Answer(Outcome.OPTIMAL, best, value, "highs")
    start = time.monotonic()
    answer = Portfolio().solve(program, budget=Budget(60))
    assert time.monotonic() - start < 5
    assert (answer.outcome, answer.bound, answer.by) == (Outcome.OPTIMAL, value, "highs")
    assert program.value(program.objective, answer.values) <= value
    assert scripted.entered == scripted.left == 1


def test_where_the_other_engine_ends_without_a_word_it_goes_on(scripted):
    scripted.ended = True
    answer = Portfolio().solve(market_split(1), budget=Budget(30))
    assert (answer.outcome, answer.by) == (Outcome.OPTIMAL, "cp-sat")
    start = time.monotonic()
    assert Portfolio().solve(drawn_out(), budget=Budget(1)).outcome is Outcome.FEASIBLE
    assert 0.9 < time.monotonic() - start < 3


def test_a_bound_of_the_other_engine_is_told_even_where_nothing_is_proved(scripted):
    scripted.bound, told = 7, []
    scripted.answer = Answer(Outcome.UNKNOWN, None, 7, "highs")
    answer = Portfolio().solve(drawn_out(), budget=Budget(1.5), on_progress=lambda *now: told.append(now))
    assert (answer.outcome, answer.bound, answer.by) == (Outcome.FEASIBLE, 7, "highs")
    bounds = [bound for _, bound in told]
    assert bounds == sorted(bounds)
    assert bounds[-1] == 7
    assert all(value >= bound for value, bound in told)


@pytest.mark.parametrize("deterministic", [False, True])
def test_cancelled_it_leaves_nothing_behind(racing, deterministic):
    threads, cancel, start = threading.active_count(), threading.Event(), time.monotonic()
    timer = threading.Timer(1.2, cancel.set)
    timer.start()
    answer = Portfolio(deterministic=deterministic).solve(drawn_out(), budget=Budget(60, cancel))
    assert time.monotonic() - start < 4
    assert answer.outcome is (Outcome.UNKNOWN if answer.values is None else Outcome.FEASIBLE)
    timer.join()
    assert not children()
    assert threading.active_count() == threads


def test_what_a_callback_raises_leaves_nothing_behind(racing):
    def tired(value, bound):
        raise InterruptedError

    threads = threading.active_count()
    with pytest.raises(InterruptedError):
        Portfolio().solve(drawn_out(), budget=Budget(60), on_progress=tired)
    assert not children()
    assert threading.active_count() == threads


# Whom it asks


def test_what_floats_cannot_tell_apart_is_for_cp_sat_alone(monkeypatch, racing):
    alone(monkeypatch)
    program = knapsack()
    wide = program.variable(0, 3)
    program.row([(wide, 2**30), (0, -1)], lower=2**30 - 4)
    program.objective = [*program.objective, (wide, 1)]
    answer = Portfolio().solve(program, budget=Budget(20))
    assert (answer.outcome, answer.bound, answer.by) == (Outcome.OPTIMAL, 12, "cp-sat")


def test_where_nothing_is_minimised_cp_sat_is_enough(monkeypatch, racing):
    alone(monkeypatch)
    program = market_split(1)
    program.objective = []
    answer = Portfolio().solve(program, budget=Budget(20))
    assert program.holds(answer.values)
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, None)


@pytest.mark.parametrize("deterministic", [False, True])
def test_an_effort_ends_it_early_and_alone(monkeypatch, deterministic):
    alone(monkeypatch)
    engine, start = Portfolio(deterministic=deterministic, effort=0.05), time.monotonic()
    answer = engine.solve(drawn_out(), budget=Budget(60))
    assert time.monotonic() - start < 5
    assert (answer.outcome, answer.by) == (Outcome.FEASIBLE, "cp-sat")
    assert 0 < engine.spent < 0.15
    assert Portfolio(effort=0.05).solve(market_split(0, 12), budget=Budget(20)).outcome is Outcome.OPTIMAL


def test_without_time_nothing_is_known(monkeypatch):
    alone(monkeypatch)
    assert Portfolio().solve(knapsack(), budget=Budget(0)).outcome is Outcome.UNKNOWN
