"""A platform's own choice of node, simulated."""

import pytest
from hypothesis import given, settings

from tests.auditor.test_any_order import MIXED
from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.auditor.case import Case
from vmplace.auditor.failures import AuditedFailures
from vmplace.auditor.policy import simulate
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, Together
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def simulated(nodes, vms, rules=(), scenario=0, **guarantee):
    """Where the platform restarts VMs in a scenario, the first unless another is asked for."""
    cluster = Cluster(nodes, vms, rules, Guarantee(**guarantee))
    case = Case(cluster, {vm.name: vm.node for vm in vms}, None, ())
    restarts = simulate(AuditedFailures(case, AuditedScenarios.of(case)).at_once(scenario))
    return {case.vm.names[v]: case.nodes[i] for v, i in restarts.items()}


def hosts(*sizes, **more):
    return [Node(f"n{i}", size, **more) for i, size in enumerate(sizes, 1)]


@pytest.mark.parametrize(
    ("policy", "nodes"),
    [("first-fit", "n2 n2 n3"), ("most-free", "n4 n3 n3"), ("best-fit", "n2 n2 n3")],
)
def test_each_policy_chooses_its_node(policy, nodes):
    vms = [VM("a", 3, "n1"), VM("b", 1, "n1"), VM("c", 1, "n1")]
    found = simulated(hosts(9, 4, 6, 7), vms, policy=policy)
    assert " ".join(found[name] for name in "abc") == nodes


def test_of_equals_the_first_in_the_document_is_chosen():
    for policy in ("first-fit", "most-free", "best-fit"):
        assert simulated(hosts(9, 4, 4), [VM("a", 3, "n1")], policy=policy) == {"a": "n2"}


def test_best_fit_passes_by_what_is_too_small():
    assert simulated(hosts(9, 2, 8, 5), [VM("a", 3, "n1")], policy="best-fit") == {"a": "n4"}


@pytest.mark.parametrize(("order", "lost"), [(None, {"c"}), ("as-listed", {"c"}), ("largest-first", {"a"}), ("priority", {"b"})])
def test_each_order_loses_its_own(order, lost):
    """There is room for the first two of the three, whoever they are."""
    vms = [VM("a", 2, "n1"), VM("b", 3, "n1", priority=-1), VM("c", 3, "n1")]
    nodes = hosts(9, 5, 1) if order != "largest-first" else hosts(9, 6, 1)
    found = simulated(nodes, vms, policy="first-fit", order=order)
    assert {"a", "b", "c"} - set(found) == lost


def test_equals_are_taken_in_document_order():
    vms = [VM("b", 3, "n1"), VM("a", 3, "n1")]
    for order in ("largest-first", "priority", "as-listed"):
        assert simulated(hosts(9, 3, 2), vms, policy="first-fit", order=order) == {"b": "n2"}


def test_who_finds_none_is_lost_and_the_others_go_on():
    vms = [VM("a", 9, "n1"), VM("b", 1, "n1"), VM("u", 1, "n1", protected=False), VM("e", 1, "n1", evictable=True)]
    assert simulated(hosts(12, 5), vms, policy="most-free") == {"b": "n2"}


def test_rules_and_resources_bind_and_evictable_vms_count_for_nothing():
    nodes = [Node(f"n{i}", 9, resources={"vcpu": 2}) for i in (1, 2, 3, 4)]
    vms = [
        VM("a", 2, "n1", resources={"vcpu": 2}),
        VM("b", 2, "n1"),
        VM("c", 2, "n1"),
        VM("w", 1, "n2", protected=False, resources={"vcpu": 1}),
        VM("e", 9, "n3", evictable=True, resources={"vcpu": 2}),
    ]
    assert simulated(nodes, vms, policy="first-fit") == {"a": "n3", "b": "n2", "c": "n2"}
    assert simulated(nodes, vms, [Apart(["a", "b"]), Together(["b", "c"])], policy="first-fit") == {
        "a": "n3",
        "b": "n2",
        "c": "n2",
    }
    rules = [NotOn(["b"], ["n2"]), Together(["b", "c"]), Apart(["a", "b", "e"]), Apart(["c", "w"], must=False)]
    assert simulated(nodes, vms, rules, policy="first-fit") == {"a": "n3", "b": "n4", "c": "n4"}
    assert simulated(nodes, vms, [Apart(["b", "w"], during_failover=False)], policy="first-fit")["b"] == "n2"


def test_several_fail_at_once():
    vms = [VM("a", 2, "n1"), VM("b", 3, "n2"), VM("c", 1, "n3")]
    assert simulated(hosts(4, 4, 4, 4), vms, policy="first-fit", failures=2) == {"a": "n3", "b": "n4"}
    assert simulated(hosts(4, 4, 4, 4), vms, policy="best-fit", failures=2, order="largest-first") == {"b": "n3", "a": "n4"}


def told(vms, plans=None, nodes=None, **guarantee):
    cluster = Cluster(nodes or hosts(9, 4, 4), vms, (), Guarantee(policy="first-fit", **guarantee))
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans)]


def test_a_plan_is_what_the_platform_does():
    vms = [VM("a", 3, "n1")]
    assert told(vms, {"n1": {"a": "n2"}}) == told(vms) == []
    assert told(vms, {"n1": {"a": "n3"}}) == [("failover", "n1", "if n1 fails, first-fit restarts a on n2, the plan on n3")]
    for plans in ({}, {"n1": {"a": None}}):
        assert told(vms, plans) == [("failover", "n1", "if n1 fails, first-fit restarts a on n2, the plan nowhere")]
    assert told(vms, {"n1": {"a": "n2"}}, restart="any-order") == []


@pytest.mark.parametrize("plans", [None, {"n1": {"a": "n2"}}, {"n1": {"a": "n2", "b": None}}])
def test_whom_the_platform_loses_is_unprotected(plans):
    vms = [VM("a", 2, "n1"), VM("b", 4, "n1"), VM("c", 1, "n3", protected=False)]
    assert told(vms, plans) == [("unprotected", "n1", "if n1 fails, first-fit finds no node for b")]


def test_a_platform_that_loses_nobody_by_a_better_plan_is_not_forgiven():
    vms = [VM("a", 2, "n1"), VM("b", 4, "n1"), VM("c", 1, "n3", protected=False)]
    assert [v[:2] for v in told(vms, {"n1": {"a": "n3", "b": "n2"}})] == [("failover", "n1"), ("unprotected", "n1")]


def test_evictions_and_extra_restarts_are_judged_like_any_plan():
    vms = [VM("a", 3, "n1"), VM("e", 3, "n2", evictable=True)]
    assert told(vms, {"n1": {"a": "n2", "e": None}, "n2": {"e": "n1"}}) == []
    assert [v[:2] for v in told(vms, {"n1": {"a": "n2"}})] == [("failover", "n1")]
    assert [v[:2] for v in told(vms, {"n1": {"a": "n2", "e": None}, "n2": {"e": "n2"}})] == [("failover", "n2")]


@settings(max_examples=40, deadline=None)
@given(clusters(**MIXED, targets=True, policies=True).filter(lambda cluster: cluster.guarantee.policy))
def test_it_does_what_the_oracle_does(cluster):
    world, case = World(cluster), Case(cluster, World(cluster).now, None, ())
    scenarios = AuditedScenarios.of(case)
    failures = AuditedFailures(case, scenarios)
    for key, parts in world.failures(world.now).items():
        found = {}
        for s in scenarios.by_key[key]:
            found |= {case.vm.names[v]: case.nodes[i] for v, i in simulate(failures.at_once(s)).items()}
        assert found == {vm: node for part in parts for vm, node in world.simulated(world.now, part).items()}
