"""What sums tell without plans."""

import pytest

from vmplace.auditor.audit import audit
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Guarantee, Node


def told(nodes, vms, soft=(), **guarantee):
    cluster = Cluster(nodes, vms, (), Guarantee(**guarantee), soft_resources=soft)
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms})]


NODES = [Node("n1", 10), Node("n2", 10), Node("n3", 10)]


@pytest.mark.parametrize(("memory", "kind"), [(5, "unverified"), (6, "unprotected")])
def test_two_failures_leave_what_is_free_elsewhere(memory, kind):
    vms = [VM("a", memory, "n1"), VM("b", 3, "n2"), VM("u", 2, "n3", protected=False)]
    found = told(NODES, vms, failures=2)
    assert found[0] == (kind, "n1+n2", f"if n1+n2 fails, {memory + 3} MiB must restart, 8 MiB are free elsewhere")
    assert [v[:2] for v in found[1:]] == [("unverified", "n1+n3"), ("unverified", "n2+n3")]


def test_a_resource_that_is_short_is_named():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": 4}) for i in (1, 2)]
    vms = [VM("a", 2, "n1", resources={"vcpu": 3}), VM("b", 2, "n2", resources={"vcpu": 2})]
    assert told(nodes, vms) == [
        ("unprotected", "n1", "if n1 fails, 3 vcpu must restart, 2 vcpu are free elsewhere"),
        ("unprotected", "n2", "if n2 fails, 2 vcpu must restart, 1 vcpu are free elsewhere"),
    ]
    assert {kind for kind, *_ in told(nodes, vms, soft=["vcpu"])} == {"unverified"}
    assert told(nodes, [VM("a", 9, "n1", resources={"vcpu": 3}), VM("b", 2, "n2", resources={"vcpu": 2})])[0][2] == (
        "if n1 fails, 9 MiB must restart, 8 MiB are free elsewhere"
    )


def test_evictable_vms_take_no_room_and_need_none():
    vms = [VM("a", 9, "n1"), VM("e", 9, "n2", evictable=True)]
    assert [v[:2] for v in told(NODES[:2], vms)] == [("unverified", "n1")]


def test_a_migration_takes_room_on_its_target():
    vms = [VM("a", 6, "n1", target="n2")]
    assert told(NODES[:2], vms) == [("unprotected", "n1", "if n1 fails, 6 MiB must restart, 4 MiB are free elsewhere")]


def test_domains_of_one_pool_take_all_their_room_with_them():
    nodes = [Node("n1", 10, domain="a"), Node("n2", 10, domain="a"), Node("n3", 5, domain="b"), Node("p", 99, pool="p")]
    found = told(nodes, [VM("a", 6, "n1")], scope="domain")
    assert found == [("unprotected", "a", "if a fails, 6 MiB must restart, 5 MiB are free elsewhere")]
