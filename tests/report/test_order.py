"""What a report says of the order of migrations."""

from io import StringIO

import pytest
from attrs import evolve

from tests.results.test_migration import PLAN
from vmplace import Guarantee, MigrationPlan, Status
from vmplace.report.drain import order_lines
from vmplace.report.tables import Screen
from vmplace.results.exposure import Exposure

SAFE = evolve(PLAN, steps=tuple(evolve(step, guarantee=Status.SAFE, exposed=()) for step in PLAN.steps))
OPEN = evolve(PLAN, steps=tuple(evolve(step, guarantee=Status.UNSAFE) for step in PLAN.steps))
DOUBTFUL = evolve(PLAN, steps=tuple(evolve(step, guarantee=Status.UNKNOWN) for step in PLAN.steps))
UNASKED = evolve(PLAN, steps=tuple(evolve(step, guarantee=None, exposed=()) for step in PLAN.steps))


@pytest.mark.parametrize(
    ("plan", "first"),
    [
        (PLAN, "In order: 2 steps, safe after every step except 1"),
        (SAFE, "In order: 2 steps, safe after every step"),
        (OPEN, "In order: 2 steps. The guarantee does not hold after any of them"),
        (DOUBTFUL, "In order: 2 steps. The guarantee is not known to hold after any of them"),
        (UNASKED, "In order: 2 steps; no guarantee is asked for (failures: 0)"),
        (evolve(PLAN, status=Status.OPTIMAL), "In order: 2 steps, safe after every step except 1 (proved: no order is better)"),
    ],
)
def test_steps_and_what_holds_after_each(plan, first):
    lines = list(order_lines(plan, Screen(StringIO())))
    assert lines == [first, "VMs that migrate more than once, to make way (1 GiB more): b"]


def test_no_steps_no_words():
    assert list(order_lines(MigrationPlan(status=Status.OPTIMAL), Screen(StringIO()))) == []


def test_who_is_unprotected_on_the_way_is_named():
    worst = Exposure.of([("n2", ("a",)), ("n0", ("a", "b"))], ("n0", "n2"), [Guarantee()])
    steps = tuple(evolve(step, guarantee=Status.UNSAFE, exposed=("n0", "n2"), worst=worst) for step in PLAN.steps)
    lines = list(order_lines(evolve(PLAN, steps=(*steps, *steps)), Screen(StringIO())))
    told = [line for line in lines if line.startswith("  after step")]
    assert told[0] == "  after step 1: if one node fails then, up to 2 VMs cannot restart (worst: n0): a, b"
    assert len(told) == 3  # of four: the last is told with the placement


def test_what_is_assumed_of_drained_nodes_is_told_where_the_guarantee_is_lost():
    (_, one, *_) = order_lines(OPEN, Screen(StringIO()), ("n0",))
    assert one == (
        "From the first step on, restarts on n0 are not counted, as in maintenance mode. "
        "More failures may be survived while it still takes restarts."
    )
    (_, two, *_) = order_lines(PLAN, Screen(StringIO()), ("n0", "n2"))
    assert two.startswith("From the first step on, restarts on n0, n2 are not counted")
    assert two.endswith(" while they still take restarts.")
    assert not any("not counted" in line for line in order_lines(SAFE, Screen(StringIO()), ("n0",)))


def test_what_holds_at_the_end_holds_without_the_nodes_that_are_switched_off():
    (_, one, *_) = order_lines(PLAN, Screen(StringIO()), (), ("n2", "n3"))
    assert one == "Then switch off n2, n3. The verdict after the last step counts no restarts there."


def test_steps_that_follow_each_other_are_told_as_one():
    safe, bad = SAFE.steps[0], OPEN.steps[0]
    steps = tuple(evolve(step, number=number) for number, step in enumerate([safe, bad, bad, bad, safe, bad, safe], 1))
    (first, *_) = order_lines(evolve(PLAN, steps=steps), Screen(StringIO()))
    assert first == "In order: 7 steps, safe after every step except 2 to 4, 6"
