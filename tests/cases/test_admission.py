"""Situations from the field in which admission answered wrongly, each with the right answer."""

import pytest

import vmplace
from tests.cases.pools import BAD_POOL
from vmplace import VM, Admitter, Cluster, ConflictError, Guarantee, Node, NotOn, OnlyOn, Tag

TWELVE = [Node(f"n{i}", 12) for i in range(5)]
RULED = Cluster(
    [Node("n1", "64GiB", tags=["lic"]), Node("n2", "64GiB"), Node("n3", "64GiB")],
    [VM("a", "8GiB", "n2")],
    [OnlyOn(Tag("ora"), Tag("lic")), NotOn(Tag("ora"), ["n1"])],
)


def migrating():
    """A VM that was migrating from n2 to n1 when n2 failed."""
    admitter = Admitter(Cluster(TWELVE, [VM("a", 6, "n2", target="n1")]))
    assert admitter.fail("n2") == ("a",)
    return admitter


@pytest.mark.parametrize("start", ["commit", "move", "reserve", "reserve on a node"])
def test_what_was_migrating_when_its_node_failed_is_charged_once(start):
    admitter = migrating()
    if start.startswith("reserve"):
        admitter.reserve("a", node="n0" if "node" in start else None).commit()
    else:
        assert getattr(admitter, start)("a", "n0").admitted
    assert [(vm.node, vm.target) for vm in admitter.cluster.vms] == [("n0", None)]
    assert admitter.candidates(VM("z", 8))[1].status == "admitted"
    assert vmplace.check(admitter.cluster).status == "safe"


def test_commit_takes_the_node_that_was_admitted():
    admitter = migrating()
    assert admitter.commit(VM("big", 12), "n1").admitted
    assert admitter.commit("a", admitter.admit("a").node).admitted
    assert vmplace.check(admitter.cluster).status == "safe"
    with pytest.raises(ConflictError, match="'a' runs already"):
        admitter.reserve("a")


def test_a_live_migration_ends_when_either_of_its_nodes_fails():
    for node in ("n1", "n2"):
        admitter = Admitter(Cluster(TWELVE, [VM("a", 6, "n2", target="n1")]))
        admitter.fail(node)
        admitter.recover(node)
        assert [(vm.node, vm.target) for vm in admitter.cluster.vms] == [("n2", None)]
    offline = [Node("n0", 12), Node("n1", 12), Node("n2", 12, state="offline")]
    admitter = Admitter(Cluster(offline, [VM("a", 6, "n2", target="n1")]))
    admitter.recover("n2")
    assert [(vm.node, vm.target) for vm in admitter.cluster.vms] == [("n2", None)]
    assert admitter.verdicts() == {key: found.status for key, found in vmplace.check(admitter.cluster).scenarios.items()}


def test_nothing_starts_on_its_own_offline_node():
    admitter = Admitter(Cluster([Node("n0", 10), Node("n1", 10), Node("n2", 10)], [VM("v", 4, "n0")]))
    admitter.fail("n0")
    reason = "n0 is not online: it takes no new VM"
    assert admitter.candidates("v")[0].reason == reason
    for found in (admitter.commit("v", "n0"), admitter.move("v", "n0"), admitter.reserve("v", node="n0").admission):
        assert (found.status, found.reason) == ("refused", reason)
    assert admitter.tickets == {}
    assert admitter.resize("v", 5).admitted  # it takes nothing yet


def test_a_stopped_vm_takes_memory_anew_where_it_starts():
    admitter = Admitter(Cluster([Node("n0", 10), Node("n1", 10)], [VM("off", 4, "n0", running=False), VM("v", 8, "n0")]))
    found = admitter.commit("off", "n0")
    assert (found.status, found.reason) == ("refused", "n0 has 2 MiB free, and off would take 4 MiB")
    assert admitter.commit("off", "n1").status == "refused"  # v restarts there


def test_the_order_in_which_vms_are_asked_for_does_not_matter():
    nodes = [Node("n0", 2), Node("n1", 2, state="offline"), Node("n2", 2)]
    admitter = Admitter(Cluster(nodes, [VM("v0", 2, "n1")]))
    for asked in (["v0", VM("new", 2)], [VM("new", 2), "v0"]):
        assert admitter.admit(asked).admitted
        ticket = admitter.reserve(asked)
        assert ticket.admission.admitted
        ticket.rollback()
        assert [(vm.name, vm.node) for vm in admitter.cluster.vms] == [("v0", "n1")]


def test_what_is_over_already_is_no_reason_to_refuse():
    nodes = [Node("n0", 100, resources={"vcpu": 4}), *(Node(f"n{i}", 100, resources={"vcpu": 9}) for i in (1, 2))]
    busy = Admitter(Cluster(nodes, [VM(name, 10, "n0", resources={"vcpu": 3}) for name in "ab"]))
    assert busy.resize("a", 11).admitted
    nodes = [Node("n0", 10), Node("n1", 100), Node("n2", 100)]
    full = Admitter(Cluster(nodes, [VM("a", 6, "n1", target="n0"), VM("b", 6, "n0")]))
    assert full.move("a", "n0").admitted  # its memory is charged there already
    nodes, vms = [Node(f"n{i}", 10) for i in range(3)], [VM("a", 4, "n1", target="n0"), VM("b", 6, "n0")]
    crowded = Admitter(Cluster(nodes, vms, guarantee=Guarantee(failures=0, headroom=0.2)))
    assert crowded.move("a", "n0").admitted


def test_a_larger_vm_must_fit_where_it_migrates_to_as_well():
    nodes = [Node("n0", 10), Node("n1", 100), Node("n2", 100)]
    admitter = Admitter(Cluster(nodes, [VM("a", 6, "n1", target="n0"), VM("b", 4, "n0")]))
    found = admitter.resize("a", 7)
    assert (found.status, found.reason) == ("refused", "n0 has 0 MiB free, and a would take 1 MiB more")


def test_verdicts_are_named_as_in_check():
    nodes = [Node("n0", 10, domain="ra"), Node("n1", 10, domain="rb")]
    cluster = Cluster(nodes, [VM("v", 4, "n0")], guarantee=Guarantee(scope="domain"))
    assert Admitter(cluster).verdicts() == {"ra": "safe", "rb": "safe"}
    mixed = Cluster([Node("a0", 8), Node("b0", 8, pool="b"), Node("a1", 8)])
    assert list(Admitter(mixed).verdicts()) == list(vmplace.check(mixed).scenarios) == ["a0", "b0", "a1"]


def test_sizes_are_not_remembered_because_they_were_asked_about():
    cluster = Cluster([Node(f"n{i}", "512GiB") for i in range(4)], [VM(f"v{i}", "64GiB", f"n{i % 4}") for i in range(8)])
    admitter = Admitter(cluster)
    pool = admitter._state.guarantees[0].live._parts["default"].pool
    for k in range(1, 100):
        assert admitter.candidates(VM("new", 1024 * k))[0].status == "admitted"
        admitter.admit([VM("new", 1024 * k), VM("other", 1)])
    assert len(pool.state.row) <= 2 + 2 + 16
    assert admitter.cluster == cluster


def test_what_rules_forbid_is_refused_with_that_reason():
    cluster, vm = RULED, VM("w", "8GiB", tags=["ora"])
    found = vmplace.admit(cluster, vm)
    assert found.status == "refused"
    assert "excluded by the rules: rules[1] leaves 'w' no node of the pool together with rules[0]" in found.reason
    admitter = Admitter(cluster)
    assert [candidate.status for candidate in admitter.candidates(vm)] == ["refused"] * 3
    assert admitter.commit(vm, "n2").status == "refused"
    assert admitter.admit([vm, VM("x", 1)]).status == "refused"
    assert vmplace.admit(cluster, vm, make_room=True).status == "refused"


@pytest.mark.parametrize("call", [vmplace.place, vmplace.repair])
def test_a_bad_pool_does_not_keep_another_from_being_placed(call):
    found = call(BAD_POOL)
    assert (found.status, found.placement["w"][:2], list(found.unsolved)) == ("infeasible", "g2", ["g1"])
    assert found.reason == "pool g1: the protected VMs need 80 GiB; if the largest node fails, 64 GiB is left"
    assert {vm: found.placement[vm] for vm in "xyz"} == {"x": "g1a", "y": "g1b", "z": "g2a"}


def test_a_bad_pool_does_not_keep_room_from_being_made_in_another():
    found = vmplace.admit(BAD_POOL, VM("new", "56GiB", pool="g2"), make_room=True)
    assert found.admitted
    assert found.node.startswith("g2")
    assert vmplace.admit(BAD_POOL, VM("new", "40GiB", pool="g1"), make_room=True).status == "refused"
