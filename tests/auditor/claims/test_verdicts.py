"""Claims about failures: verdicts, VMs without a restart, pools and the guarantee."""

import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node
from vmplace.model.guarantee import Guarantee

RACKS = [Node("n1", 9, domain="a"), Node("n2", 9, domain="a"), Node("n3", 9)]
PLACED = [VM("v", 1, "n1"), VM("w", 1, "n3")]


def claims(scenario, *vms, plan=None, **guarantee):
    """What is wrong with a result that lists these VMs as unprotected."""
    cluster = Cluster(RACKS, PLACED, (), Guarantee(**guarantee))
    document = {
        "placement": {"v": "n1", "w": "n3"},
        "failover": {scenario: plan or {}},
        "unprotected": [{"scenario": scenario, "vms": list(vms), "reason": "", "minimal": False}],
    }
    return [v.message for v in vmplace.audit_result(cluster, document).violations if "listed as unprotected" in v.message]


@pytest.mark.parametrize(
    ("scenario", "vm", "guarantee", "right"),
    [
        ("n1", "v", {}, True),
        ("n2", "v", {"failures": 0}, False),
        ("n1+n3", "v", {"failures": 2}, True),
        ("n2+n3", "v", {"failures": 2}, False),
        ("n2+n3", "w", {"failures": 2}, True),
        ("a", "v", {"scope": "domain"}, True),
        ("a", "w", {"scope": "domain"}, False),
        ("a+n3", "w", {"scope": "domain", "failures": 2}, True),
    ],
)
def test_who_is_unprotected_is_displaced(scenario, vm, guarantee, right):
    told = [] if right or not guarantee.get("failures", 1) else [f"{vm} is listed as unprotected, but is not on {scenario}"]
    assert claims(scenario, vm, **guarantee)[:1] == told


@pytest.mark.parametrize(
    ("guarantee", "wrong"),
    [
        ({}, "the plan restarts it on n2"),
        ({"policy": "first-fit"}, "the plan restarts it on n2"),
        ({"policy": "first-fit", "restart": "any-order"}, "the plan restarts it on n2"),
        ({"sequence": "sequential"}, "the plan restarts it on n2"),
        ({"restart": "any-order"}, "restarts in any order"),
        ({"sequence": "sequential", "failures": 2, "restart": "any-order"}, None),
    ],
)
def test_who_restarts_by_the_plan_is_protected_where_a_plan_is_all_that_counts(guarantee, wrong):
    scenario = "n1+n3" if guarantee.get("failures") else "n1"
    told = [f"v is listed as unprotected, but {wrong}"] if wrong else []
    assert claims(scenario, "v", plan={"v": "n2"}, **guarantee) == told


def test_a_plan_may_say_that_a_vm_stays_down():
    assert claims("n1", "v", plan={"v": None}) == []


FULL = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 6, "n1"), VM("b", 6, "n2")])


def kinds(cluster, **changed):
    document = vmplace.check(cluster).to_dict()
    return [(v.kind, v.subject) for v in vmplace.audit_result(cluster, {**document, **changed}).violations]


def test_an_unsafe_verdict_with_a_plan_for_all_is_refuted():
    """Told apart from a plan that the search did not find: the auditor finds one of its own."""
    safe = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 6, "n1"), VM("b", 4, "n2")])
    scenario = {"status": "unsafe", "method": "search", "displaced": 6}
    document = vmplace.check(safe).to_dict()
    document["scenarios"]["n1"] = scenario
    document |= {"status": "unsafe", "guarantee": "unsafe", "pools": {"default": "unsafe"}}
    document["failover"]["n1"] = {}
    document["unprotected"] = [{"scenario": "n1", "vms": ["a"], "reason": "", "minimal": True}]
    found = vmplace.audit_result(safe, document)
    assert [v.message for v in found.violations] == ["n1 is called unsafe, but every VM that must restart can"]


def test_a_result_that_says_unsafe_and_is_right_is_confirmed():
    assert kinds(FULL) == []
    assert vmplace.audit_result(FULL, vmplace.check(FULL)).says == "unsafe"


@pytest.mark.parametrize("restart", ["planned", "any-order"])
def test_a_quorum_that_is_lost_is_no_plan_s_fault(restart):
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 1, "n1")], (), Guarantee(quorum=2, restart=restart))
    assert kinds(cluster) == []
    assert kinds(cluster, unprotected=[]) != []


@pytest.mark.parametrize("evictable", [True, False])
@pytest.mark.parametrize("protected", [True, False])
def test_a_waiting_vm_counts_where_it_is_protected(protected, evictable):
    cluster = Cluster([Node("n1", 4), Node("n2", 4)], [VM("v", 1, protected=protected, evictable=evictable)])
    document = vmplace.check(cluster).to_dict()
    assert document["pools"] == {"default": "unsafe" if protected else "safe"}
    assert vmplace.audit_result(cluster, document).violations == ()
    document["pools"] = {"default": "safe" if protected else "unsafe"}
    assert "pools" in [v.subject for v in vmplace.audit_result(cluster, document).violations]


@pytest.mark.parametrize("restart", ["planned", "any-order"])
def test_without_a_quorum_whoever_must_restart_is_unprotected(restart):
    cluster = Cluster(RACKS, PLACED, (), Guarantee(quorum=3, restart=restart))
    found = vmplace.check(cluster)
    assert {loss.scenario: loss.vms for loss in found.unprotected} == {"n1": ("v",), "n3": ("w",)} | {"n2": ()}
    assert vmplace.audit_result(cluster, found).status == "confirmed"
