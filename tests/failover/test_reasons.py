import pytest

import vmplace
from vmplace import VM, Apart, Cluster, Node, OnlyOn


def reasons(cluster):
    return {left_out.scenario: left_out.reason for left_out in vmplace.check(cluster).unprotected}


def three(*loads, size="120GiB"):
    return [Node(f"n{i}", size) for i in (1, 2, 3)], [VM(f"vm-{i}", load, f"n{i}") for i, load in enumerate(loads, 1) if load]


def test_a_vm_that_no_other_node_has_room_for():
    nodes, vms = three(None, "90GiB", "80GiB")
    found = reasons(Cluster(nodes, [VM("db-1", "64GiB", "n1"), *vms]))
    assert found["n1"] == "db-1 needs 64 GiB; the most that is free on one other node is 40 GiB on n3"


def test_the_sum_of_all():
    nodes, vms = three(None, "100GiB", "100GiB")
    vms += [VM(f"web-{i}", "15GiB", "n1") for i in range(4)]
    assert reasons(Cluster(nodes, vms))["n1"] == "the VMs on n1 need 60 GiB; 40 GiB is free on the other nodes in all"


def test_slots():
    nodes, vms = three(None, "90GiB", "90GiB")
    vms += [VM(f"web-{i}", "20GiB", "n1") for i in range(3)]
    found = reasons(Cluster(nodes, vms))
    assert found["n1"] == "the VMs on n1 fill 3 slots of 20 GiB; the other nodes have 2 such slots free in all"


def test_only_a_search_can_tell():
    # 6 + 5 + 5 + 4 + 4 into 12 + 12 fits in memory and in slots of every size; 7 + 5 | 6 + 6 would, these do not.
    nodes = [Node("n1", 24), Node("n2", 12), Node("n3", 12)]
    vms = [VM(f"vm-{i}", size, "n1") for i, size in enumerate((5, 5, 5, 3, 3, 3))]
    report = vmplace.check(Cluster(nodes, vms))
    assert report.scenarios["n1"].method in ("search", "slots")
    (left_out,) = report.unprotected
    assert left_out.minimal


def test_a_single_node():
    (reason,) = reasons(Cluster([Node("n1", 8)], [VM("a", 4, "n1"), VM("b", 2, "n1")])).values()
    assert reason == "a and b on n1 would have nowhere to restart: a single node can never be N+1"


def test_rules_that_leave_no_node():
    nodes = [Node("n1", 8), Node("n2", 8), Node("n3", 8)]
    found = reasons(Cluster(nodes, [VM("lic", 4, "n1")], [OnlyOn(["lic"], ["n1"])]))
    assert found == {"n1": "lic on n1 may restart on no other node: the rules leave none"}
    group = [VM(f"db-{i}", 1, f"n{i}") for i in (1, 2, 3)]
    found = reasons(Cluster(nodes, group, [Apart([vm.name for vm in group])]))
    assert found["n2"] == "db-2 on n2 may restart on no other node: the rules leave none"


def test_a_node_with_more_room_that_the_rules_exclude_is_not_called_full():
    nodes = [Node("n1", 64), Node("n2", 100), Node("n3", 40)]
    found = reasons(Cluster(nodes, [VM("db", 64, "n1"), VM("rival", 1, "n2")], [Apart(["db", "rival"])]))
    assert found["n1"] == "db needs 64 MiB; the most that is free on one other node that the rules allow is 40 MiB on n3"


def test_few_vms_use_few_nodes_whatever_is_free_on_the_rest():
    for size in (12, 19):  # n1 itself is full, or the freest
        nodes = [Node("n1", size), Node("n2", 6), Node("n3", 5), Node("n4", 5)]
        found = reasons(Cluster(nodes, [VM("a", 6, "n1"), VM("b", 6, "n1")]))
        assert found["n1"] == "the VMs on n1 need 12 MiB; any 2 other nodes have at most 11 MiB free"
    nodes = [Node("n1", 100), Node("n2", 8), *(Node(f"n{i}", 7) for i in (3, 4, 5))]
    found = reasons(Cluster(nodes, [VM("a", 8, "n1"), VM("b", 8, "n1"), VM("c", 4, "n1")]))
    assert found["n1"] == "the VMs on n1 fill 2 slots of 8 MiB; any 3 other nodes have at most 1 such slots free"


@pytest.mark.parametrize(
    ("sizes", "vms", "told"),
    [
        ((8, 8, 8), (9,), "needs 9 MiB; the most that an allowed node can hold is 8 MiB"),
        ((8, 8), (6, 6), "the protected VMs need 12 MiB; if the largest node fails, 8 MiB is left"),
        ((8, 8), (6, 6, 6), "the VMs need 18 MiB; the nodes have 16 MiB for them in all"),
        ((9, 9, 9), (5, 5, 5), "the protected VMs fill 3 slots of 5 MiB; if the largest node fails, 2 are left"),
        ((9, 5, 5), (7,), "vm-0 needs 7 MiB; no node but the largest has that much, and it may fail"),
        ((8,), (2,), "a single node can never be N+1"),
    ],
)
def test_why_no_placement_exists(sizes, vms, told):
    cluster = Cluster([Node(f"n{i}", size) for i, size in enumerate(sizes)], [VM(f"vm-{i}", size) for i, size in enumerate(vms)])
    solution = vmplace.place(cluster)
    assert solution.status == "infeasible"
    assert told in solution.reason
