"""What a saved result claims of VMs without a restart, against its plans and the cluster."""

import pytest

from vmplace.auditor.claims import false_claims
from vmplace.formats.result import SavedResult
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Guarantee, Node

NODES = [Node("n1", 9, domain="a"), Node("n2", 9, domain="a"), Node("n3", 9)]
VMS = [VM("v", 1, "n1"), VM("w", 1, "n3")]


def claims(scenario, *vms, plan=None, **guarantee):
    cluster = Cluster(NODES, VMS, (), Guarantee(**guarantee))
    saved = SavedResult(
        placement={"v": "n1", "w": "n3"},
        failover={scenario: plan or {}},
        unprotected=[{"scenario": scenario, "vms": list(vms)}],
    )
    return [v.message for v in false_claims(cluster, saved.placement, saved.failover, saved.unprotected)]


@pytest.mark.parametrize(
    ("scenario", "vm", "guarantee", "right"),
    [
        ("n1", "v", {}, True),
        ("n2", "v", {}, False),
        ("n1+n3", "v", {"failures": 2}, True),
        ("n2+n3", "v", {"failures": 2}, False),
        ("n2+n3", "w", {"failures": 2}, True),
        ("a", "v", {"scope": "domain"}, True),
        ("a", "w", {"scope": "domain"}, False),
        ("a+n3", "w", {"scope": "domain", "failures": 2}, True),
        ("a", "v", {}, False),
    ],
)
def test_who_is_unprotected_is_displaced(scenario, vm, guarantee, right):
    told = [] if right else [f"{vm} is listed as unprotected, but is not on {scenario}"]
    assert claims(scenario, vm, **guarantee) == told


@pytest.mark.parametrize(
    ("guarantee", "wrong"),
    [
        ({}, True),
        ({"policy": "first-fit"}, True),
        ({"policy": "first-fit", "restart": "any-order"}, True),
        ({"sequence": "sequential"}, True),
        ({"restart": "any-order"}, False),
        ({"sequence": "sequential", "failures": 2}, False),
    ],
)
def test_who_restarts_by_the_plan_is_protected_where_a_plan_is_all_that_counts(guarantee, wrong):
    scenario = "n1+n3" if guarantee.get("failures") else "n1"
    told = ["v is listed as unprotected, but the plan restarts it on n2"] if wrong else []
    assert claims(scenario, "v", plan={"v": "n2"}, **guarantee) == told


def test_a_plan_may_say_that_a_vm_stays_down_or_is_stopped():
    assert claims("n1", "v", plan={"v": None, "w": None}) == []
    assert claims("n1", "ghost") == ["'ghost', listed as unprotected, is no VM of this cluster"]
