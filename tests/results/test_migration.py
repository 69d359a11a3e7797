"""Plans as values."""

import json

import pytest

from vmplace import InputError, Migration, MigrationPlan, Start, Status, Step

HOPS = (Migration("b", "n1", "n2", 1024, 1), Migration("a", "n0", "n1", 2048, 1))
PLAN = MigrationPlan(
    status=Status.FEASIBLE,
    steps=(
        Step(1, HOPS, (), Status.UNSAFE, ("n0", "n2")),
        Step(2, (Migration("b", "n2", "n0", 1024, 2),), (Start("w", "n2", 512),), Status.SAFE),
    ),
    extra=1024,
    reason="another order might migrate less to make way",
)


def test_what_a_plan_tells():
    assert [m.vm for m in PLAN.migrations] == ["b", "a", "b"]
    assert PLAN.starts == ((2, Start("w", "n2", 512)),)
    assert PLAN.exposed == (1,)
    assert PLAN.stopovers == ("b",)


def test_a_plan_is_json():
    written = PLAN.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written["steps"][0]["migrations"][0] == {"vm": "b", "from": "n1", "to": "n2", "memory": 1024, "step": 1, "cold": False}
    assert written["steps"][1]["starts"] == [{"vm": "w", "node": "n2", "memory": 512}]
    assert (written["exposed"], written["stopovers"], written["extra"]) == ([1], ["b"], 1024)
    assert PLAN.parts() == written
    assert "migrations" not in PLAN.outline()["steps"][0]


def test_a_plan_can_be_drawn():
    assert PLAN.drawn().startswith("#!/bin/sh\n")
    assert PLAN.drawn("csv").startswith("drain,step,action")
    assert PLAN.drawn("json").startswith("{")
    assert PLAN.drawn("dot").startswith("digraph")
    assert PLAN.drawn("svg").startswith("<svg")
    with pytest.raises(InputError, match="'pdf' is not one of sh, csv, json, dot, svg"):
        PLAN.drawn("pdf")
