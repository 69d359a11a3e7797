import pytest
from hypothesis import given, settings

from tests.support.any_order import Possible, any_order_problem, any_order_problems
from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.any_order.covering import cover
from vmplace.failover.any_order.heuristic import attack
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Outcome


def stranded_alone(case, kind):
    """Whether some state strands a VM of the kind, without any of those that affinity binds it to."""
    possible, vm = Possible(case), int(case.kinds.vms[kind][0])
    partners = {v for vms in case.together if vm in vms for v in vms.tolist()} - {vm}
    return any(home[vm] < 0 and all(home[v] < 0 for v in partners) and not possible.open(home, vm) for home in possible.states())


@settings(max_examples=60, deadline=None)
@given(any_order_problems())
def test_a_no_is_right_and_a_yes_is_a_state(case):
    for kind in range(len(case.kinds)):
        outcome, story = cover(BlockingProblem.alone(case, kind), budget=Budget())
        if outcome is Outcome.INFEASIBLE:
            assert not stranded_alone(case, kind)
        assert (story is not None) == (outcome is Outcome.OPTIMAL)
        if story is not None:
            assert story.stranded == case.kinds.vms[kind][0]
            assert Possible(case).tells(story) or not case.must[story.stranded]


def test_what_sums_leave_open_is_refuted():
    # Each of three nodes takes the 4 or two of the 3s: 12 of 13, but there are not enough of either.
    case = any_order_problem([5, 4, 3, 3, 3], [8, 8, 8])
    blocking = BlockingProblem.alone(case, 0).sharp
    assert not blocking.impossible
    assert cover(blocking, budget=Budget()) == (Outcome.INFEASIBLE, None)


def test_what_quick_attempts_miss_is_found():
    case = any_order_problem([6, 5, 5, 4, 4, 3, 3, 1], [9, 11, 13, 12])
    blocking = BlockingProblem.alone(case, 0)
    assert attack(blocking) is None
    outcome, story = cover(blocking, budget=Budget())
    assert outcome is Outcome.OPTIMAL
    assert Possible(case).tells(story)


def test_it_ends_in_time():
    with pytest.raises(OutOfTimeError):
        cover(BlockingProblem.alone(any_order_problem([4, 2, 2], [5, 4]), 0), budget=Budget(0))


def test_a_program_that_the_solver_gives_up_says_nothing(monkeypatch, capfd):
    monkeypatch.setattr("vmplace.failover.any_order.covering._CoveringProgram.solve", lambda *_: None)
    blocking = BlockingProblem.alone(any_order_problem([5, 4, 3, 3, 3], [8, 8, 8]), 0)
    assert cover(blocking, budget=Budget()) == (Outcome.UNKNOWN, None)
    assert capfd.readouterr().err == ""
