import contextlib
import os
import sys
import threading
import time

import pytest

from tests.solvers.test_cpsat import drawn_out, knapsack
from vmplace.solvers.budget import Budget
from vmplace.solvers.highs import Highs, HighsRun, _command
from vmplace.solvers.program import IntegerProgram, Outcome


def children():
    me = os.getpid()
    return os.popen(f"ps -o pid= --ppid {me} -o args=").read().count("highs_worker")


def test_an_optimum_comes_with_its_bound():
    answer = Highs().solve(knapsack(), budget=Budget(20))
    assert (answer.outcome, answer.bound, answer.by) == (Outcome.OPTIMAL, 11, "highs")
    assert knapsack().holds(answer.values)


def test_what_it_calls_optimal_is():
    """With its presolve, HiGHS calls 3 the optimum."""
    program, none = IntegerProgram(), None
    for most in (1, 2, 7, 9, 3, 3, 3, 3, 7, 9, 3, 19):
        program.variable(0, most)
    program.rows = [
        ([(5, 1), (6, 1), (7, 1), (0, -1), (1, -1)], 0, 0),
        ([(2, 1), (5, -1)], 0, none),
        ([(3, 1), (6, -1)], 0, none),
        ([(2, 1), (3, 1), (4, 1), (0, -1), (1, -1)], 0, 0),
        ([(11, 1), (8, -1), (9, -1), (10, -1)], 0, 0),
        ([(8, 1), (2, 1), (0, -1), (1, -1)], none, 4),
        ([(0, -1), (1, -1), (5, 1), (8, 1), (11, -1)], none, -3),
        ([(9, 1), (3, 1)], none, 9),
        ([(6, 1), (9, 1), (11, -1)], none, 0),
        ([(10, 1), (4, 1)], none, 3),
        ([(7, 1), (10, 1), (11, -1)], none, 0),
    ]
    program.objective = [(0, 1), (1, 1)]
    answer = Highs().solve(program, budget=Budget(20))
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 0)


def test_a_variable_named_twice_counts_twice():
    program = IntegerProgram()
    x, y = program.variable(0, 9), program.variable(0, 9)
    program.row([(x, 1), (y, 1), (x, 1)], lower=8)
    program.objective = [(x, 1), (y, 1), (x, 2)]
    answer = Highs().solve(program, budget=Budget(20))
    assert (answer.outcome, answer.values) == (Outcome.OPTIMAL, (0, 8))


def test_its_word_that_nothing_is_feasible_proves_nothing():
    program = knapsack()
    program.row([(0, 1), (1, 1)], upper=2)
    answer = Highs().solve(program, budget=Budget(20))
    assert (answer.outcome, answer.values) == (Outcome.UNKNOWN, None)


def test_what_floats_cannot_tell_apart_is_refused():
    program = IntegerProgram()
    program.row([(program.variable(0, 2**30), 2**40)], lower=1)
    assert not Highs().takes(program)
    assert Highs().solve(program, budget=Budget(20)).outcome is Outcome.UNKNOWN
    assert not Highs().takes(IntegerProgram())


def test_without_time_nothing_is_started():
    assert Highs().solve(knapsack(), budget=Budget(0)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("how", ["limit", "cancel"])
def test_it_is_killed_when_time_is_up(how):
    cancel = threading.Event()
    budget = Budget(2) if how == "limit" else Budget(60, cancel)
    threading.Timer(2, cancel.set).start()
    start, told = time.monotonic(), []
    answer = Highs().solve(drawn_out(), budget=budget, on_progress=lambda *progress: told.append(progress))
    assert time.monotonic() - start < 4
    assert answer.outcome is not Outcome.OPTIMAL
    assert answer.bound is not None
    assert told
    assert not children()


def test_nothing_of_the_working_directory_or_the_environment_is_run(tmp_path, monkeypatch):
    for module in ("ortools", "json", "numpy", "pickle", "vmplace", "sitecustomize", "usercustomize"):
        folder = tmp_path / module
        folder.mkdir()
        (folder / "__init__.py").write_text(f"open({str(tmp_path / 'run')!r}, 'a').write(__name__)\nraise ImportError\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    assert Highs().solve(knapsack(), budget=Budget(20)).outcome is Outcome.OPTIMAL
    assert not (tmp_path / "run").exists()


def test_what_this_process_imports_from_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), str(tmp_path / "missing")])
    *_, last = _command()
    assert last == str(tmp_path)


def test_ended_by_nodes_it_ends_in_the_same_place():
    first, second = (Highs(nodes=5).solve(drawn_out(), budget=Budget(60)) for _ in range(2))
    assert (first.outcome, first.values, first.bound) == (second.outcome, second.values, second.bound)
    assert first.outcome is Outcome.FEASIBLE


def test_what_a_callback_raises_leaves_no_process_behind():
    class EnoughError(Exception):
        pass

    def tired(value, bound):
        raise EnoughError

    with pytest.raises(EnoughError):
        Highs().solve(drawn_out(), budget=Budget(60), on_progress=tired)
    assert not children()


def test_a_process_killed_before_it_has_read_its_task_is_no_error(monkeypatch):
    def written_late(run, task):
        run._process.wait()
        with contextlib.suppress(BrokenPipeError):
            run._process.stdin.write(task)  # stays in the buffer
            run._process.stdin.flush()

    monkeypatch.setattr(HighsRun, "_converse", written_late)
    with Highs().start(knapsack(), budget=Budget(5)) as run:
        assert run.answer.outcome is Outcome.UNKNOWN
