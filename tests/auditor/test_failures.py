"""What failures leave: the displaced, the survivors, and where each VM may go."""

import pytest

from vmplace.auditor.case import Case
from vmplace.auditor.failures import AuditedFailures, TooHardError, WorkLimit
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, OnlyOn, Together
from vmplace.model.guarantee import Guarantee

NODES = [
    Node("n1", 10, domain="a"),
    Node("n2", 10, domain="a"),
    Node("n3", 10, domain="b"),
    Node("n4", 10),
    Node("m1", 10, state="maintenance"),
    Node("x1", 10, pool="x"),
]
VMS = [
    VM("b", 2, "n1"),
    VM("u", 1, "n1", protected=False),
    VM("e", 1, "n1", evictable=True),
    VM("a", 3, "n2"),
    VM("w", 4, "n3", protected=False),
    VM("d", 4, "n4", evictable=True),
]


def failure(rules=(), key="n1", vms=VMS, **guarantee):
    case = Case(Cluster(NODES, vms, rules, Guarantee(**guarantee)), {vm.name: vm.node for vm in vms}, None, ())
    scenarios = AuditedScenarios.of(case)
    return AuditedFailures(case, scenarios).at_once(scenarios.by_key[key][0])


def nodes_for(found, vm, **restarts):
    index = found.all.case.vm_index
    allowed = found.allowed(index[vm], {index[other]: found.all.case.node_index[node] for other, node in restarts.items()})
    return [found.all.case.nodes[i] for i in found.nodes[allowed].tolist()]


def test_who_is_displaced_and_what_is_left():
    found = failure()
    names = found.all.case.vm.names
    assert [names[v] for v in found.displaced.tolist()] == ["b", "u"]
    assert [names[v] for v in found.musts] == ["b"]
    assert [NODES[i].name for i in found.nodes.tolist()] == ["n2", "n3", "n4"]
    assert found.free.tolist() == [[7, 6, 10]]
    both = failure(key="a", scope="domain")
    assert [names[v] for v in both.displaced.tolist()] == ["b", "u", "a"]
    assert both.free.tolist() == [[6, 10]]


@pytest.mark.parametrize(
    ("rule", "restarts", "nodes"),
    [
        (Apart(["b", "w"]), {}, ["n2", "n4"]),
        (Apart(["b", "d"]), {}, ["n2", "n3", "n4"]),
        (Apart(["b", "u"]), {"u": "n3"}, ["n2", "n4"]),
        (Apart(["b", "a"], scope="domain"), {}, ["n3", "n4"]),
        (Apart(["b", "u"], scope="domain"), {}, ["n2", "n3", "n4"]),
        (Apart(["b", "u"], scope="domain"), {"u": "n2"}, ["n3", "n4"]),
        (Together(["b", "u"]), {}, ["n2", "n3", "n4"]),
        (Together(["b", "u"]), {"u": "n4"}, ["n4"]),
        (Together(["b", "a"]), {}, ["n2", "n3", "n4"]),
        (OnlyOn(["b"], ["n1", "n3"]), {}, ["n3"]),
        (OnlyOn(["u"], ["n1", "n3"]), {}, ["n2", "n3", "n4"]),
        (OnlyOn(["b"], ["n3"], during_failover=False), {}, ["n2", "n3", "n4"]),
        (OnlyOn(["b"], ["n3"], must=False), {}, ["n2", "n3", "n4"]),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_where_rules_let_a_vm_go(rule, restarts, nodes):
    assert nodes_for(failure([rule]), "b", **restarts) == nodes


def test_what_fits_needs_every_resource_that_it_needs_any_of():
    nodes = [Node("n1", 10, resources={"vcpu": 9}), Node("n2", 10), Node("n3", 10, resources={"vcpu": 2})]
    vms = [VM("a", 1, "n1", resources={"vcpu": 2}), VM("b", 1, "n1"), VM("c", 1, "n1", resources={"vcpu": 3})]
    case = Case(Cluster(nodes, vms), {vm.name: "n1" for vm in vms}, None, ())
    found = AuditedFailures(case, AuditedScenarios.of(case)).at_once(0)
    assert [found.fitting(v, found.free, {}).tolist() for v in range(3)] == [[False, True], [True, True], [False, False]]


def test_only_resources_that_bind_restarts_and_are_needed_count():
    nodes = [Node("n1", 9, resources={"soft": 1, "idle": 1, "vcpu": 4}), Node("n2", 9)]
    vms = [
        VM("a", 1, "n1", resources={"soft": 1, "vcpu": 2}),
        VM("e", 1, "n1", evictable=True, resources={"vcpu": 1, "gone": 1}),
    ]
    case = Case(Cluster(nodes, vms, soft_resources=["soft"]), {"a": "n1", "e": "n1"}, None, ())
    failures = AuditedFailures(case, AuditedScenarios.of(case))
    assert [resource.name for resource in failures.resources] == ["", "vcpu"]
    assert failures.demand.tolist() == [[1, 1], [2, 1]]
    assert failures.free.tolist() == [[8, 9], [2, 0]]


# The limit of a search


def test_so_many_states_and_no_more():
    effort = WorkLimit(2)
    effort.spend()
    effort.spend()
    with pytest.raises(TooHardError):
        effort.spend()
    with pytest.raises(TooHardError):
        effort.spend()


def test_survivors_of_another_pool_take_nothing():
    """Even a VM that is on a node of another pool restarts only in its own."""
    vms = [VM("b", 2, "n1"), VM("s", 1, "n1", pool="x")]
    case = Case(Cluster(NODES, [VM("b", 2, "n1"), VM("s", 1, pool="x")]), {vm.name: vm.node for vm in vms}, None, ())
    scenarios = AuditedScenarios.of(case)
    found = AuditedFailures(case, scenarios).at_once(scenarios.by_key["n1"][0])
    assert nodes_for(found, "b") == ["n2", "n3", "n4"]
    assert nodes_for(found, "s") == []
