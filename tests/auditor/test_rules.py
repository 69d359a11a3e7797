"""Must-rules under audit: apart by domain, several failures, evictable members."""

import pytest

from vmplace.auditor.audit import audit
from vmplace.auditor.case import Case
from vmplace.auditor.rules import AuditedRule
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Together
from vmplace.model.guarantee import Guarantee

RACKS = [
    Node("a1", 10, domain="a"),
    Node("a2", 10, domain="a"),
    Node("b1", 10, domain="b"),
    Node("b2", 10, domain="b"),
    Node("n1", 10),
    Node("n2", 10),
]


def judge(rules, vms, plans=None, nodes=RACKS, **guarantee):
    guarantee = guarantee or {"failures": int(plans is not None)}
    cluster = Cluster(nodes, vms, rules, Guarantee(**guarantee))
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans or {})]


def there(**node_of):
    return [VM(name, 1, node, protected=False) for name, node in node_of.items()]


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ("a1", "b1", None),
        ("a1", "n1", None),
        ("n1", "n2", None),
        ("a1", "a2", "rules[0] (apart) is broken by x on a1; y on a2"),
        ("a1", "a1", "rules[0] (apart) is broken by x, y on a1"),
        ("n1", "n1", "rules[0] (apart) is broken by x, y on n1"),
    ],
)
def test_apart_by_domain(x, y, told):
    rules = [Apart(["x", "y"], scope="domain")]
    assert judge(rules, there(x=x, y=y)) == ([("rule", "rules[0]", told)] if told else [])


def test_a_domain_holds_apart_over_all_pools():
    nodes = [Node("p1", 10, domain="a", pool="p"), Node("q1", 10, domain="a", pool="q"), Node("q2", 10, pool="q")]
    vms = [VM("x", 1, "p1", pool="p", protected=False), VM("y", 1, "q1", pool="q", protected=False)]
    assert [kind for kind, *_ in judge([Apart(["x", "y"], scope="domain")], vms, nodes=nodes)] == ["rule"]


def test_a_node_without_a_domain_is_its_own_even_if_a_domain_bears_its_name():
    nodes = [Node("n1", 10, domain="n2"), Node("n2", 10)]
    assert judge([Apart(["x", "y"], scope="domain")], there(x="n1", y="n2"), nodes=nodes) == []


@pytest.mark.parametrize(
    ("to", "others", "kept"),
    [
        ("n1", {"y": "b1"}, True),
        ("b2", {"y": "b1"}, False),
        ("b2", {"y": "n1"}, True),
        ("a2", {"y": "b1"}, True),
    ],
)
def test_restarts_stay_out_of_a_standing_members_domain(to, others, kept):
    vms = [VM("x", 1, "a1"), *there(**others)]
    found = judge([Apart(["x", "y"], scope="domain")], vms, {"a1": {"x": to}})
    assert [v[:2] for v in found] == ([] if kept else [("failover", "a1")])
    assert judge([Apart(["x", "y"], scope="domain", during_failover=False)], vms, {"a1": {"x": to}}) == []


def test_restarts_stay_out_of_each_others_domain():
    vms = [VM("x", 1, "a1"), VM("y", 1, "n1")]
    rules = [Apart(["x", "y"], scope="domain")]
    plans = {"a1+n1": {"x": "b1", "y": "n2"}}
    for key in ("a1+a2", "a1+b1", "a1+b2", "a1+n2"):
        plans[key] = {"x": "a2" if key != "a1+a2" else "b1"}
    for key in ("a2+n1", "b1+n1", "b2+n1", "n1+n2"):
        plans[key] = {"y": "b1" if key != "b1+n1" else "b2"}
    assert judge(rules, vms, plans, failures=2) == []
    plans["a1+n1"] = {"x": "b1", "y": "b2"}
    assert judge(rules, vms, plans, failures=2) == [("failover", "a1+n1", "rules[0] (apart) is broken by x on b1; y on b2")]


def test_who_is_displaced_and_does_not_restart_is_nowhere():
    vms = [VM("x", 1, "a1"), *there(y="a2")]
    rules = [Apart(["x", "y"], scope="domain", must=True)]
    nodes = [*RACKS[:3], Node("a3", 10, domain="a", pool="other")]
    found = judge(rules, vms, {"a": {"x": "b1"}}, nodes=nodes, scope="domain")
    assert [kind for kind, *_ in found] == ["rule"]
    found = judge(rules, [vms[0], *there(y="b1")], {"a1+b1": {"x": "b2"}}, failures=2)
    assert ("failover", "a1+b1") not in [v[:2] for v in found]


def test_a_stopped_evictable_member_is_seen_by_no_rule_in_its_scenario():
    vms = [VM("x", 1, "a1"), VM("y", 1, "b1", evictable=True, protected=False)]
    rules = [Apart(["x", "y"], scope="domain")]
    assert [v[:2] for v in judge(rules, vms, {"a1": {"x": "b2"}})] == [("failover", "a1")]
    assert judge(rules, vms, {"a1": {"x": "b2", "y": None}}) == []
    assert audit(Cluster(RACKS, vms, rules), [0, 2], [3, -1]) == []


def test_an_evictable_member_that_restarts_is_seen():
    vms = [VM("x", 1, "a1"), VM("y", 1, "a1", evictable=True)]
    rules = [Together(["x", "y"])]
    assert judge(rules, vms, {"a1": {"x": "b2", "y": "b2"}}) == []
    assert [v[:2] for v in judge(rules, vms, {"a1": {"x": "b2", "y": "b1"}})] == [("failover", "a1")]
    assert judge(rules, vms, {"a1": {"x": "b2", "y": None}}) == []


@pytest.mark.parametrize("rule", [OnlyOn(["x", "y"], ["a1", "a2", "b1"]), NotOn(["x", "y"], ["n1", "n2", "b2"])])
def test_nodes_are_named_in_failures_of_several_too(rule):
    vms = [VM("x", 1, "a1"), VM("y", 1, "a2")]
    plans = {"a": {"x": "b1", "y": "b1"}}
    assert judge([rule], vms, plans, scope="domain") == []
    told = judge([rule], vms, {"a": {"x": "b1", "y": "b2"}}, scope="domain")
    assert told == [("failover", "a", f"rules[0] ({rule.kind}) is broken by y on b2")]


def test_the_target_of_a_migration_is_seen_by_no_rule():
    vms = [VM("x", 1, "a1", target="b1", protected=False), *there(y="b1")]
    rules = [Apart(["x", "y"]), OnlyOn(["x"], ["a1"]), NotOn(["x"], ["b1"])]
    assert judge(rules, vms) == judge(rules, vms, {"a1": {}}) == []


def test_pools_that_share_a_domain_fail_each_by_itself():
    """A member in the other pool's part of the domain stays where it is."""
    nodes = [
        Node("p1", 10, domain="a", pool="p"),
        Node("p2", 10, domain="b", pool="p"),
        Node("q1", 10, domain="a", pool="q"),
        Node("q2", 10, domain="b", pool="q"),
    ]
    vms = [VM("x", 1, "p1", pool="p"), VM("y", 1, "q2", pool="q")]
    rules = [Apart(["x", "y"], scope="domain")]
    found = judge(rules, vms, {"a": {"x": "p2"}, "b": {"y": "q1"}}, nodes=nodes, scope="domain")
    assert [v[:2] for v in found] == [("failover", "a"), ("failover", "b")]
    evictable = [VM("x", 1, "p1", pool="p"), VM("y", 1, "q2", pool="q", evictable=True)]
    assert judge(rules, evictable, {"a": {"x": "p2", "y": None}}, nodes=nodes, scope="domain") == []
    both = {"a+b": {"x": None, "y": None}}
    assert {v[:2] for v in judge(rules, evictable, both, nodes=nodes, scope="domain", failures=2)} == {("unprotected", "a+b")}


def test_a_rule_of_vms_bans_no_node_not_even_none():
    cluster = Cluster(RACKS, [VM("a", 1, "a1"), VM("b", 1, "a2")], [Apart(["a", "b"]), OnlyOn(["a"], ["a1"])])
    case = Case(cluster, {"a": "a1", "b": "a2"}, None, ())
    apart, only_on = (AuditedRule.of(case, number, rule) for number, rule in enumerate(cluster.rules))
    assert apart.banned.tolist() == [False] * (len(RACKS) + 1)
    assert only_on.banned.tolist() == [False] + [True] * len(RACKS)
