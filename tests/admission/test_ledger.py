import pytest

from vmplace import VM, Apart, Cluster, InputError, Node, NotOn, Tag, Together
from vmplace.admission.ledger import Ledger

CLUSTER = Cluster(
    [Node("n0", 8), Node("n1", 8, state="offline"), Node("n2", 8)],
    [VM("a", 1, "n0"), VM("b", 1, "n1"), VM("c", 1, "n2", running=False), VM("d", 1)],
    [Apart(["a", "b"]), NotOn(["a"], ["n2"]), Apart(Tag("x"))],
)


def test_who_is_where():
    ledger = Ledger(CLUSTER)
    assert [ledger.host(vm) for vm in ledger.cluster.vms] == ["n0", None, None, None]
    assert [ledger.waits(vm) for vm in ledger.cluster.vms] == [False, True, False, True]
    assert [vm.name for vm in ledger.on("n1")] == ["b"]


def test_changes_are_in_the_cluster():
    ledger = Ledger(CLUSTER)
    ledger.put(VM("e", 2, "n0"))
    ledger.put(VM("b", 3, "n0"))
    ledger.remove("a")
    ledger.set_state("n1", "online")
    assert [(vm.name, vm.memory) for vm in ledger.cluster.vms] == [("b", 3), ("c", 1), ("d", 1), ("e", 2)]
    assert [rule.vms for rule in ledger.cluster.rules] == [("b",), Tag("x")]
    assert ledger.cluster.nodes[1].state == "online"
    assert sorted(vm.name for vm in ledger.on("n0")) == ["b", "e"]


def test_a_name_that_is_back_is_new():
    ledger = Ledger(CLUSTER)
    ledger.remove("a")
    ledger.put(VM("a", 5))
    assert [vm.name for vm in ledger.cluster.vms] == ["b", "c", "d", "a"]
    assert ledger.on("n0") == []


def test_with_a_vm_it_stays_as_it_is_even_if_that_cannot_be():
    ledger = Ledger(Cluster(CLUSTER.nodes, CLUSTER.vms, [Apart(Tag("x")), Together(Tag("x"))]))
    before = ledger.cluster
    cluster, place = ledger.with_vm(VM("e", 2))
    assert cluster.vms[place] == VM("e", 2)
    ledger.put(VM("e", 2, tags=["x"]))
    with pytest.raises(InputError, match="drop one"):
        ledger.with_vm(VM("f", 2, tags=["x"]))
    assert "f" not in ledger
    ledger.remove("e")
    assert ledger.cluster == before


def test_unknown_names_are_told():
    for call in (lambda ledger: ledger.vm("z"), lambda ledger: ledger.node("z"), lambda ledger: ledger.vm(["a"])):
        with pytest.raises(InputError, match="name one"):
            call(Ledger(CLUSTER))
