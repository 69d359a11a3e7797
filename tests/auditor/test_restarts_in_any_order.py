"""Restarts in any order: the plans, and the promise."""

import pytest

import vmplace.auditor.restarts_in_any_order
from vmplace.auditor.audit import audit
from vmplace.auditor.effort import WorkLimit
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Guarantee, Node


def told(nodes, vms, plans=None, **guarantee):
    cluster = Cluster(nodes, vms, (), Guarantee(restart="any-order", **guarantee))
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans)]


def hosts(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes, 1)]


FRAGILE = [VM("big", 4, "n1"), VM("small", 1, "n1")]
STORY = "if n1 fails and small restarts on n2, then big is stranded"


def test_a_plan_that_holds_is_no_promise_for_any_order():
    plan = {"n1": {"big": "n2", "small": "n3"}}
    assert told(hosts(5, 4, 1), FRAGILE, plan) == [("unprotected", "n1", STORY)]
    assert told(hosts(5, 5, 1), FRAGILE, plan) == []


def test_plans_must_hold_all_the_same():
    assert [v[:2] for v in told(hosts(5, 5, 5), FRAGILE, {})] == [("unprotected", "n1")] * 2
    assert [v[:2] for v in told(hosts(5, 5, 3), FRAGILE, {"n1": {"big": "n3", "small": "n2"}})] == [("failover", "n1")]


def test_without_plans_the_promise_is_decided_too():
    assert told(hosts(5, 4, 1), FRAGILE) == [("unprotected", "n1", STORY)]
    assert told(hosts(5, 5, 1), FRAGILE) == []


def test_who_fits_nowhere_is_told_so():
    assert told(hosts(5, 3), FRAGILE) == [("unprotected", "n1", "if n1 fails, no survivor can take big")]


def test_two_failures_strand_whom_one_does_not():
    vms = [VM("a", 3, "n1"), VM("b", 2, "n2")]
    assert told(hosts(5, 5, 4), vms) == []
    assert told(hosts(5, 5, 4), vms, failures=2) == [
        ("unprotected", "n1+n2", "if n1+n2 fails and b restarts on n3, then a is stranded")
    ]


def test_a_long_story_is_cut():
    vms = [VM("big", 10, "n1"), *(VM(f"v{i}", 1, "n1", protected=False) for i in range(12))]
    ((_, _, message),) = told(hosts(22, 19), vms)
    assert message.count("restarts on n2") == 8
    assert message.endswith(" and 2 more restart, then big is stranded")


def test_what_is_too_hard_is_unverified(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.restarts_in_any_order, "WorkLimit", lambda: WorkLimit(1))
    vms = [VM(f"v{i}", 7 + i, "n1") for i in range(9)]
    ((kind, subject, message),) = told(hosts(200, 33, 34, 35, 36), vms)
    assert (kind, subject) == ("unverified", "n1")
    assert message == "if n1 fails, whether some order of restarts strands a VM is too hard to tell"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_nothing_to_restart_is_nothing_to_promise(failures):
    assert told(hosts(5, 5), [VM("u", 5, "n1", protected=False)], failures=failures) == []
