"""Bounds: those that sums reach are verified, others are listed."""

import json

import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node


@pytest.mark.parametrize(("bound", "listed"), [(0.4, False), (0.3, False), (0.5, True)])
def test_a_bound_above_what_sums_show_is_listed(bound, listed):
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 4, "n1"), VM("b", 1, "n1")])
    document = vmplace.place(cluster).to_dict()
    document |= {"status": "feasible", "objective": {"name": "balance", "value": 0.5, "bound": bound, "gap": (0.5 - bound) / 0.5}}
    audit = vmplace.audit_result(cluster, document)
    assert [v for v in audit.violations if v.subject.startswith("objective")] == []
    assert any(left.claim == "objective.bound" for left in audit.unchecked) is listed


SPREAD = Cluster([Node(f"n{i}", 64) for i in range(4)], [VM(f"v{i}", 8 + i, f"n{i % 2}") for i in range(8)])


@pytest.mark.parametrize("objective", [(("balance", 0.3), "moves"), ("balance", "<=60%"), (("moves", 0.5), "balance")])
def test_an_optimum_with_slack_is_confirmed(objective):
    result = vmplace.place(SPREAD, objective=objective, move_running=True)
    document = json.loads(json.dumps(result.to_dict()))
    audit = vmplace.audit_result(SPREAD, document)
    assert (result.status, audit.status, audit.violations) == ("optimal", "confirmed", ())
    assert any(left.claim == "objective.allowed" for left in audit.unchecked)


@pytest.mark.parametrize("allowed", [None, [0.3, None], [None, 99], [None, None]])
def test_what_is_worse_than_its_bound_is_optimal_only_within_its_slack(allowed):
    document = vmplace.place(SPREAD, objective=(("balance", 0.3), "moves"), move_running=True).to_dict()
    assert document["objective"]["value"][0] > document["objective"]["bound"][0]
    document["objective"]["allowed"] = allowed
    audit = vmplace.audit_result(SPREAD, document)
    assert [violation.subject for violation in audit.violations] == ["status"]


@pytest.mark.parametrize("claim", [{"bound": 7}, {"value": 7}, {"gap": 0.5}, {"name": "nobody"}])
def test_an_objective_without_a_placement_is_refuted_or_listed(claim):
    cluster = Cluster([Node("n1", 10), Node("n2", 8)], [VM("a", 5, "n1"), VM("b", 5, "n1"), VM("c", 2, "n2")])
    document = vmplace.place(cluster).to_dict()
    assert document["placement"] is None
    document["objective"] |= claim
    audit = vmplace.audit_result(cluster, document)
    told = {left.claim for left in audit.unchecked} | {violation.subject for violation in audit.violations}
    assert told & {"objective.bound", "objective.value", "objective.name"}


@pytest.mark.parametrize("gap", [0.0, 0.25])
def test_without_a_bound_there_is_no_gap(gap):
    document = vmplace.place(SPREAD).to_dict() | {"status": "feasible"}
    document["objective"] |= {"bound": None, "gap": None}
    assert vmplace.audit_result(SPREAD, document).violations == ()
    document["objective"]["gap"] = gap
    assert [violation.subject for violation in vmplace.audit_result(SPREAD, document).violations] == ["objective.gap"]
