import math
import os
import signal
import threading
import time

import pytest

from vmplace import InputError, Progress
from vmplace.solvers.budget import Budget, OutOfTimeError


def test_time_passes():
    budget = Budget(0.05)
    assert 0 < budget.left <= 0.05
    budget.demand()
    time.sleep(0.06)
    assert (budget.left, budget.spent) == (0.0, True)
    assert budget.elapsed > 0.05
    with pytest.raises(OutOfTimeError):
        budget.demand()


def test_no_time_and_all_the_time():
    assert Budget(0).spent
    assert not Budget().spent
    assert Budget().share(0.5).left == math.inf


def test_the_clock_changes_no_share_of_the_work():
    first = Budget(10)
    time.sleep(0.02)
    assert first.share(0.5).work == Budget(20).share(0.5).share(0.5).work == first.work / 2
    assert first.share(0.5).left < 5
    assert Budget().share(0.9).work == math.inf


@pytest.mark.parametrize("odd", [-1, math.nan, "5", True, [1]])
def test_what_is_no_time(odd):
    with pytest.raises(InputError, match="time_limit"):
        Budget(odd)


def test_progress_is_told_in_all_shares():
    heard = []
    budget = Budget(10, progress=heard.append)
    budget.share(0.5).tell("search", value=3, bound=2)
    assert isinstance(heard[0], Progress)
    assert (heard[0].phase, heard[0].done, heard[0].value, heard[0].bound) == ("search", None, 3, 2)
    Budget(10).tell("check")


def test_ctrl_c_cancels_and_the_default_comes_back():
    budget = Budget(10)
    with budget.interruptible() as same:
        assert same is budget
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert budget.spent
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_default_comes_back_after_an_error():
    with pytest.raises(KeyError), Budget(10).interruptible():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_callers_own_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("caller"))
    try:
        budget = Budget(10)
        with budget.interruptible():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        assert (heard, budget.spent) == (["caller"], False)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_signals_are_left_alone():
    heard = []

    def work():
        with Budget(10).interruptible():
            heard.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [signal.default_int_handler]


def test_a_silent_budget_has_the_same_time_and_tells_nobody():
    heard = []
    budget = Budget(20, progress=heard.append)
    inner = budget.silent()
    inner.tell("search", value=1.0, bound=0.0)
    assert heard == []
    assert inner.work == budget.work
    assert inner.left == pytest.approx(budget.left, abs=0.1)
    budget.cancel.set()
    assert inner.spent


def test_progress_is_logged_for_those_who_ask(caplog):
    with caplog.at_level("DEBUG", logger="vmplace"):
        Budget(5).tell("search", done=1, total=2, value=3, bound=2)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["search, done 1 of 2, value 3, bound 2"]
