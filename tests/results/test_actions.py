"""What is done in a step, in an order in which it may be done."""

from attrs import evolve

from tests.results.test_migration import PLAN
from vmplace import Guarantee, Status, Step
from vmplace.results.actions import actions, afterwards
from vmplace.results.exposure import Exposure


def test_migrations_come_before_starts() -> None:
    assert [(action.action, *action.operands) for step in PLAN.steps for action in actions(step)] == [
        ("migrate", "b", "n1", "n2"),
        ("migrate", "a", "n0", "n1"),
        ("migrate", "b", "n2", "n0"),
        ("start", "w", "n2"),
    ]


def test_what_is_said_of_the_guarantee_afterwards() -> None:
    assert [*afterwards(PLAN.steps[1])] == ["safe afterwards"]
    assert [*afterwards(Step(1, (), (), None))] == []
    failures = ("n0", "n1", "n2", "\x1b", "x")
    lost = Step(1, (), (), Status.UNSAFE, failures)
    assert [*afterwards(lost)] == ["the guarantee is suspended afterwards: a failure of n0, n1, n2 or 2 others is not survived"]
    worst = Exposure.of([("\x1b", ("a", "b"))], ("\x1b",), Guarantee())
    assert [*afterwards(evolve(lost, worst=worst))] == [
        "the guarantee is suspended afterwards: if \\x1b fails now, 2 VMs cannot restart"
    ]
    assert [*afterwards(Step(1, (), (), Status.UNKNOWN, ("\x1b",)))] == [
        "the guarantee is suspended afterwards: a failure of \\x1b may not be survived"
    ]
