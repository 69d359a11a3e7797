"""Normal running under audit: further resources, and migrations under way."""

import pytest

from vmplace.auditor.audit import audit, audit_running
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node
from vmplace.model.guarantee import Guarantee


def found(nodes, vms, placement=None, **options):
    """Kind, subject and message of what the placement breaks in normal running."""
    cluster = Cluster(nodes, vms, (), Guarantee(failures=0, headroom=options.pop("headroom", 0)), **options)
    placement = {vm.name: vm.node for vm in cluster.vms} if placement is None else placement
    violations = audit_running(cluster, placement)
    assert violations == audit(cluster, placement)
    return [(v.kind, v.subject, v.message) for v in violations]


def host(**resources):
    return [Node("n1", 10, resources=resources), Node("n2", 10)]


def guest(name, node="n1", **resources):
    return VM(name, 1, node, resources=resources)


def test_a_node_is_overfull_in_any_resource():
    vms = [guest("a", vcpu=30, gpu=1), guest("b", vcpu=10)]
    assert found(host(vcpu=40, gpu=1), vms) == []
    assert found(host(vcpu=32, gpu=1), vms) == [("overfull", "n1", "n1 holds 40 vcpu, 8 more than its 32")]
    assert found(host(vcpu=32), vms) == [
        ("overfull", "n1", "n1 holds 1 gpu, 1 more than its 0"),
        ("overfull", "n1", "n1 holds 40 vcpu, 8 more than its 32"),
    ]


@pytest.mark.parametrize(("ratio", "most"), [(4, 12), (1.5, 4), (0.1, 0), (0.7, 2), (1.1, 3)])
def test_overcommit_is_exact_and_rounded_down(ratio, most):
    for more in (0, 1):
        vms = [guest("a", vcpu=most + more)]
        assert bool(found(host(vcpu=3), vms, overcommit={"vcpu": ratio})) == bool(more)


def test_soft_resources_bind_in_normal_running_too():
    assert found(host(vcpu=1), [guest("a", vcpu=2)], soft_resources=["vcpu"])[0][:2] == ("overfull", "n1")


def test_headroom_is_of_memory_alone():
    assert found(host(vcpu=4), [guest("a", vcpu=4)], headroom=0.5) == []


def test_resources_count_where_a_vm_is_placed():
    assert found([Node("n1", 10), Node("n2", 10, resources={"vcpu": 2})], [guest("a", vcpu=2)], {"a": "n2"}) == []


def moving(*vms, states=("online", "online", "online")):
    return found([Node(f"n{i}", 10, state=state) for i, state in enumerate(states, 1)], vms)


def test_a_migration_is_charged_on_both_nodes():
    on_its_way = VM("a", 6, "n1", target="n2")
    assert moving(on_its_way, VM("b", 4, "n2")) == []
    assert moving(on_its_way, VM("b", 5, "n2")) == [("overfull", "n2", "n2 holds 11 MiB, 1 MiB more than its 10 MiB")]
    assert moving(on_its_way, VM("b", 5, "n1")) == [("overfull", "n1", "n1 holds 11 MiB, 1 MiB more than its 10 MiB")]
    assert moving(on_its_way, VM("b", 5, "n2"), states=("maintenance", "maintenance", "online"))[0][:2] == ("overfull", "n2")
    cpus = [VM("a", 1, "n1", target="n2", resources={"vcpu": 1}), VM("b", 1, "n2", resources={"vcpu": 2})]
    assert found([Node("n1", 10, resources={"vcpu": 2}), Node("n2", 10, resources={"vcpu": 2})], cpus)[0][:2] == (
        "overfull",
        "n2",
    )


def test_a_migration_counts_as_load_for_headroom():
    vms = [VM("a", 4, "n1", target="n2"), VM("b", 2, "n2")]
    assert [kind for kind, *_ in found([Node("n1", 10), Node("n2", 10)], vms, headroom=0.5)] == ["headroom"]


@pytest.mark.parametrize(
    "vm",
    [
        VM("a", 6, "n1", target="off"),
        VM("a", 6, "n1", target="n1"),
        VM("a", 6, "n1", target="n2", running=False),
        VM("a", 6, "off", target="n2"),
    ],
    ids=["to an offline node", "to its own", "stopped", "from an offline node"],
)
def test_a_target_that_means_nothing(vm):
    nodes = [Node("n1", 10), Node("n2", 10), Node("off", 10, state="offline")]
    cluster = Cluster(nodes, [vm, VM("b", 10, "n2")], (), Guarantee(failures=0))
    assert audit(cluster, {"a": "n1", "b": "n2"}) == []


@pytest.mark.parametrize("drained", [(), ("n1",)])
def test_who_is_being_migrated_stays(drained):
    nodes = [Node("n1", 10), Node("n2", 10), Node("n3", 10)]
    cluster = Cluster(nodes, [VM("a", 2, "n1", target="n2", movable=False)], (), Guarantee(failures=0))
    for node in ("n2", "n3"):
        (violation,) = audit(cluster, {"a": node}, drained=drained)
        told = f"a is on {node}, but must stay on n1 while its migration is under way"
        assert (violation.kind, violation.subject, violation.message) == ("placement", "a", told)
    assert [v.message for v in audit(cluster, {"a": "n1"}, drained=drained)] == [
        "a is on n1, which is offline, drained or not powered" for _ in drained
    ]


@pytest.mark.parametrize(("listed", "wrong"), [("n1", True), ("n2", False), (None, False)])
def test_a_stopped_vm_stays_where_it_is(listed, wrong):
    """The first node's index is 0: it is a node as well."""
    vms = [VM("s", 1, "n2", running=False)]
    told = found(host(), vms, {"s": listed})
    assert [kind for kind, *_ in told] == ["placement"] * wrong
