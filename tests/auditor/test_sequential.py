"""Failures one after the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace.auditor.sequential
from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.auditor.failures import WorkLimit
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, OnlyOn, Together
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def told(nodes, vms, plans=None, rules=(), **guarantee):
    cluster = Cluster(nodes, vms, rules, Guarantee(**{"failures": 2, "sequence": "sequential", **guarantee}))
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans)]


def hosts(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes, 1)]


def plans_for(nodes, vms, rules=()):
    """Plans for two failures at once."""
    world = World(Cluster(nodes, vms, rules, Guarantee(failures=2)))
    return {key: next(world.full_plans(world.now, key, world.displaced(world.now, key))) for key in world.scenarios(world.now)}


def test_a_plan_does_not_know_what_fails_next():
    """If n1 fails, a takes n2, which b needs if n4 is next, or n3, which c needs if n5 is next; at once it takes the other."""
    vms = [VM("a", 4, "n1"), VM("b", 4, "n4"), VM("c", 4, "n5")]
    rules = [OnlyOn(["a"], ["n1", "n2", "n3"]), OnlyOn(["b"], ["n4", "n2", "n1"]), OnlyOn(["c"], ["n5", "n3", "n1"])]
    nodes = hosts(8, 4, 4, 4, 4)
    message = "if n1 fails, however the VMs restart, some further failure is not survived"
    assert told(nodes, vms, plans_for(nodes, vms, rules), rules) == [("unprotected", "n1", message)]
    assert told(nodes, vms, plans_for(nodes, vms, rules), rules, sequence="at-once") == []
    nodes = hosts(8, 8, 4, 4, 4)
    assert told(nodes, vms, plans_for(nodes, vms, rules), rules) == []


def test_with_one_host_or_one_failure_it_is_the_same_as_at_once():
    vms = [VM("a", 4, "n1")]
    assert told(hosts(4, 4), vms, {"n1": {"a": "n2"}}, failures=1) == []
    assert told(hosts(4), [VM("u", 4, "n1", protected=False)], {}) == []
    assert [v[:2] for v in told(hosts(4), vms, {"n1": {}})] == [("unprotected", "n1"), ("unprotected", "n1")]
    assert told(hosts(4, 4), vms, {"n1": {"a": "n2"}}, failures=1, policy="first-fit") == []
    assert [v[0] for v in told(hosts(4, 4, 4), vms, {"n1": {"a": "n3"}}, failures=1, policy="first-fit")] == ["failover"]


def test_what_holds_in_any_order_at_once_holds_in_turn(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.sequential, "WorkLimit", lambda *_: WorkLimit(0))
    vms = [VM("a", 2, "n1"), VM("b", 2, "n2")]
    plans = plans_for(hosts(6, 6, 6, 6), vms)
    for how in ({}, {"restart": "any-order"}, {"policy": "best-fit"}):
        assert told(hosts(6, 6, 6, 6), vms, plans, **how) == []


@pytest.mark.parametrize("how", [{}, {"restart": "any-order"}, {"policy": "best-fit"}])
def test_what_is_too_hard_is_unverified(how, monkeypatch):
    monkeypatch.setattr(vmplace.auditor.sequential, "WorkLimit", lambda *_: WorkLimit(0))
    vms, nodes = [VM("a", 3, "n1"), VM("b", 2, "n2"), VM("c", 1, "n2")], hosts(3, 3, 4, 3)
    message = "too hard to decide whether pool default survives 2 failures one after the other"
    assert told(nodes, vms, plans_for(nodes, vms), **how) == [("unverified", "default", message)]


def test_a_policy_may_survive_at_once_and_not_in_turn():
    """At once a goes from n1 and n2 to n4; in turn it goes to n1 first, and d to n4, where a would have to go then."""
    vms, nodes = [VM("a", 4, "n2"), VM("d", 1, "n2")], hosts(6, 5, 2, 4)
    assert told(nodes, vms, policy="most-free", sequence="at-once") == []
    assert told(nodes, vms, plans_for(nodes, vms), policy="most-free") == [
        ("unprotected", "n1+n2", "if n2 and then n1 fails, most-free finds no node for a")
    ]


def test_a_policy_may_survive_in_turn_and_not_at_once():
    vms, nodes = [VM("a", 2, "n4"), VM("b", 3, "n4"), VM("d", 3, "n1")], hosts(6, 5, 4, 5)
    assert told(nodes, vms, policy="best-fit", sequence="at-once") == [
        ("unprotected", "n1+n4", "if n1+n4 fails, best-fit finds no node for d")
    ]
    assert told(nodes, vms, policy="best-fit") == told(nodes, vms, plans_for(nodes, vms), policy="best-fit") == []


def test_whom_a_policy_loses_in_turn_is_told():
    vms = [VM("a", 2, "n1"), VM("b", 3, "n2")]
    found = told(hosts(2, 3, 3, 2), vms, policy="first-fit")
    assert found == [("unprotected", "n1+n2", "if n1 and then n2 fails, first-fit finds no node for b")]


def test_whom_some_order_strands_in_turn_is_told():
    vms = [VM("a", 2, "n1"), VM("b", 3, "n2")]
    found = told(hosts(2, 3, 3, 2), vms, restart="any-order")
    assert found == [("unprotected", "n1+n2", "if n1 and then n2 fails, no survivor can take b")]
    found = told(hosts(5, 4, 1), [VM("big", 4, "n1"), VM("small", 1, "n1")], restart="any-order")
    assert found == [("unprotected", "n1", "if n1 fails and small restarts on n2, then big is stranded")]


def test_planned_restarts_need_plans_to_be_judged_in_turn():
    found = told(hosts(4, 4, 4), [VM("a", 4, "n1")])
    assert [v[:2] for v in found] == [("unverified", "n1+n2"), ("unverified", "n1+n3")]


def test_who_need_not_restart_may_all_the_same():
    """In any order u may take n3 when n1 fails, and then a has none when n2 fails next; a policy leaves u where it fell."""
    vms, nodes = [VM("u", 2, "n1", protected=False), VM("a", 2, "n2")], hosts(4, 2, 2)
    assert told(nodes, vms, policy="first-fit") == told(nodes, vms, plans_for(nodes, vms)) == []
    found = told(nodes, vms, restart="any-order")
    assert found == [("unprotected", "n1+n2", "if n1 and then n2 fails, no survivor can take a")]


def test_who_cannot_restart_and_need_not_stays_down():
    vms = [VM("u", 9, "n1", protected=False), VM("a", 2, "n1"), VM("b", 2, "n2")]
    found = told(hosts(11, 2, 2), vms, restart="any-order")
    assert found == [("unprotected", "n1+n2", "if n1 and then n2 fails, no survivor can take b")]


def test_twins_may_share_a_node():
    vms = [VM("a", 2, "n1"), VM("b", 2, "n1"), VM("x", 1, "n2"), VM("y", 1, "n2")]
    rules = [Together(["x", "y"])]  # which the arithmetic leaves open
    assert told(hosts(6, 6, 6), vms, plans_for(hosts(6, 6, 6), vms, rules), rules) == []


@pytest.mark.parametrize("how", [{}, {"restart": "any-order"}, {"policy": "most-free"}])
def test_rules_hold_at_every_stage(how):
    vms, rules, nodes = [VM("a", 1, "n1"), VM("b", 1, "n2")], [Apart(["a", "b"])], hosts(9, 9, 9, 9)
    assert told(nodes, vms, plans_for(nodes, vms, rules), rules, **how) == []
    (*_, found) = told(nodes[:3], vms, {}, rules, **how)
    assert found[:2] == ("unprotected", "n1+n2" if how else "n1")


@settings(max_examples=30, deadline=None)
@given(
    clusters(
        max_nodes=4,
        max_vms=5,
        placed="all",
        failures=(2, 2, 3),
        domains=True,
        resources=True,
        evictable=True,
        targets=True,
        restart=("planned", "any-order"),
        policies=True,
        sequences=("sequential",),
    ),
    st.booleans(),
)
def test_it_agrees_with_the_oracle(cluster, with_plans):
    world = World(cluster)
    if not world.right(world.now):
        return
    plans = {
        key: next(iter(world.full_plans(world.now, key, world.displaced(world.now, key))), {})
        for key in world.scenarios(world.now)
    }
    found = [v for v in audit(cluster, world.now, plans if with_plans else None) if v.kind != "placement"]
    if with_plans or not world.planned:
        assert (found == []) == world.all_survivable(world.now)
        assert {v.kind for v in found} <= {"unprotected"}
