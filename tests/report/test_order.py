"""What a report says of the order of migrations."""

from io import StringIO

import pytest
from attrs import evolve

from tests.results.test_migration import PLAN
from vmplace import MigrationPlan, Status
from vmplace.report.drain import order_lines
from vmplace.report.tables import Screen

SAFE = evolve(PLAN, steps=tuple(evolve(step, guarantee=Status.SAFE, exposed=()) for step in PLAN.steps))
OPEN = evolve(PLAN, steps=tuple(evolve(step, guarantee=Status.UNSAFE) for step in PLAN.steps))


@pytest.mark.parametrize(
    ("plan", "first"),
    [
        (PLAN, "In order: 2 steps, safe after every step except 1"),
        (SAFE, "In order: 2 steps, safe after every step"),
        (OPEN, "In order: 2 steps, not known to be safe after any step"),
        (evolve(PLAN, status=Status.OPTIMAL), "In order: 2 steps, safe after every step except 1 (proved: no order is better)"),
    ],
)
def test_steps_and_what_holds_after_each(plan, first):
    lines = list(order_lines(plan, Screen(StringIO())))
    assert lines == [first, "VMs that stop over on another node to make way (1 GiB more): b"]


def test_no_steps_no_words():
    assert list(order_lines(MigrationPlan(status=Status.OPTIMAL), Screen(StringIO()))) == []
