"""What is done in a step, in an order in which it may be done; as CSV and JSON, with names that come back or are shown."""

import csv
import io
import json

from attrs import evolve

from tests.results.test_migration import PLAN
from vmplace import Guarantee, Migration, MigrationPlan, Start, Status, Step
from vmplace.results.actions import Part, actions, afterwards
from vmplace.results.exposure import Exposure
from vmplace.results.migration import listed

ODD = 'a,"b\n\x1b[2J'


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
    worst = Exposure.of([("\x1b", ("a", "b"))], ("\x1b",), [Guarantee()])
    assert [*afterwards(evolve(lost, worst=worst))] == [
        "the guarantee is suspended afterwards: if \\x1b fails now, 2 VMs cannot restart"
    ]
    assert [*afterwards(Step(1, (), (), Status.UNKNOWN, ("\x1b",)))] == [
        "the guarantee is suspended afterwards: a failure of \\x1b may not be survived"
    ]


def test_a_table_has_a_row_for_each_action() -> None:
    rows = list(csv.DictReader(io.StringIO(PLAN.drawn("csv"))))
    assert [(row["step"], row["action"], row["vm"], row["from"], row["to"], row["memory_mib"]) for row in rows] == [
        ("1", "migrate", "b", "n1", "n2", "1024"),
        ("1", "migrate", "a", "n0", "n1", "2048"),
        ("2", "migrate", "b", "n2", "n0", "1024"),
        ("2", "start", "w", "", "n2", "512"),
    ]
    assert {row["drain"] for row in rows} == {""}


def test_json_has_the_actions_of_each_step_and_the_verdict_after_it() -> None:
    steps = json.loads(PLAN.drawn("json"))["steps"]
    assert [(step["step"], step["guarantee"], step["exposed"]) for step in steps] == [
        (1, "unsafe", ["n0", "n2"]),
        (2, "safe", []),
    ]
    assert steps[1]["actions"] == [
        {"action": "migrate", "vm": "b", "from": "n2", "to": "n0", "memory": 1024},
        {"action": "start", "vm": "w", "from": None, "to": "n2", "memory": 512},
    ]
    assert "migrations" not in steps[0]


def test_strange_names() -> None:
    plan = MigrationPlan(
        status=Status.OPTIMAL, steps=(Step(1, (Migration(ODD, "n", ODD, 1, 1),), (Start(ODD, "n", 1),), Status.SAFE),)
    )
    assert json.loads(plan.drawn("json"))["steps"][0]["actions"][0]["vm"] == ODD
    for form in ("csv", "json"):
        assert "\x1b" not in plan.drawn(form)
    assert next(csv.DictReader(io.StringIO(plan.drawn("csv"))))["vm"] == 'a,"b\\n\\x1b[2J'


def test_several_parts_name_what_they_drain() -> None:
    parts = [PLAN.part(("n1", "n2")), Part((), ("n3",), "time ran out")]
    assert {row["drain"] for row in csv.DictReader(io.StringIO(listed(parts, "csv")))} == {"n1 n2"}
    whole = json.loads(listed(parts, "json"))
    assert whole["steps"][0]["drain"] == ["n1", "n2"]
    assert whole["reason"] == "time ran out"
