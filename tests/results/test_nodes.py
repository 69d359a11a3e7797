"""The rows of nodes: load and the worst that the failure of each does."""

import pytest
from hypothesis import given, settings

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, Status
from vmplace.testing import clusters

RACKS = [Node("n1", 100, domain="r"), Node("n2", 100, domain="r"), Node("n3", 100), Node("n4", 100)]


def fates(report):
    return {row.name: (row.scenario, row.status, row.lost) for row in report.nodes}


def test_a_node_fails_with_its_domain():
    cluster = Cluster(RACKS, [VM("a", 90, "n1"), VM("b", 90, "n3")], guarantee=Guarantee(scope="domain"))
    assert fates(vmplace.check(cluster)) == {
        "n1": ("r", Status.SAFE, 0),
        "n2": ("r", Status.SAFE, 0),
        "n3": ("n3", Status.SAFE, 0),
        "n4": ("n4", Status.SAFE, 0),
    }


def test_of_several_guarantees_the_worst_counts():
    vms = [VM("a", 60, "n1", tags=["hana"]), VM("b", 60, "n2"), VM("c", 60, "n3"), VM("d", 60, "n4", tags=["hana"])]
    first = Guarantee(vms={"tag": "hana"}, failures=2)
    found = vmplace.check(Cluster(RACKS, vms, guarantee=[first, Guarantee()]))
    assert fates(found) == {name: (f"2++{name}", Status.UNSAFE, 1) for name in ("n1", "n2", "n3", "n4")}
    found = vmplace.check(Cluster(RACKS, vms, guarantee=[Guarantee(vms={"tag": "hana"}), Guarantee()]))
    assert fates(found)["n2"] == ("2++n2", Status.UNSAFE, 1)


@pytest.mark.parametrize("failures", [0, 2])
def test_nodes_that_do_not_fail_alone_have_no_scenario(failures):
    found = vmplace.check(Cluster(RACKS, [VM("a", 10, "n1")], guarantee=Guarantee(failures=failures)))
    assert set(fates(found).values()) == {(None, None, 0)}


def test_a_migration_under_way_counts_on_both_nodes():
    found = vmplace.check(Cluster(RACKS, [VM("a", 10, "n1", target="n2"), VM("off", 50, "n1", running=False)]))
    assert [(row.used, row.free, row.vms) for row in found.nodes][:2] == [(10, 90, 1), (10, 90, 0)]


def test_the_nodes_of_a_solution_are_those_of_its_document():
    cluster = Cluster(RACKS, [VM("a", 60, "n1"), VM("b", 30), VM("c", 20, "n1")])
    solution = vmplace.place(cluster)
    assert solution.nodes == vmplace.check(solution.to_document()).nodes
    assert vmplace.place(Cluster(RACKS, [VM("huge", 1000)])).nodes == ()


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_rows_add_up(cluster):
    report = vmplace.check(cluster, time_limit=1)
    offline = {node.name for node in cluster.nodes if node.state == "offline"}
    for row, node in zip(report.nodes, cluster.nodes, strict=True):
        mine = [vm for vm in cluster.vms if vm.running and vm.node == node.name and node.name not in offline]
        coming = [
            vm
            for vm in cluster.vms
            if vm.running and vm.target == node.name != vm.node and not {vm.node, vm.target} & {None, *offline}
        ]
        assert (row.name, row.memory, row.usable) == (node.name, node.memory, node.usable)
        assert row.used == sum(vm.charged for vm in [*mine, *coming]) == row.usable - row.free
        assert row.vms == len(mine)
        assert 0 <= row.headroom <= row.usable
        if row.scenario is not None:
            assert row.name not in offline
            assert row.status == report.scenarios[row.scenario].status
            assert (row.lost > 0) <= (row.status is not Status.SAFE)
