"""Lists of guarantees that must all hold, in placements."""

import json

import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, Tag
from vmplace.cli import main
from vmplace.results.values import Status

GIB = 1024


def racks(**asked):
    """Five nodes in three racks; db is by far the largest, and may lose its whole rack."""
    nodes = [Node(f"n{i}", 64 * GIB, domain="abc"[i // 2]) for i in range(5)]
    sizes = {"db": (40, "n0"), "b": (24, "n1"), "c": (24, "n1"), "d": (24, "n2"), "e": (16, "n3"), "f": (8, "n4")}
    vms = [VM(name, memory * GIB, node, tags=["db"] if name == "db" else []) for name, (memory, node) in sizes.items()]
    each = [Guarantee(restart="any-order"), Guarantee(scope="domain", vms=Tag("db"))]
    return Cluster(nodes, vms, guarantee=each, **asked)


def two_failures_for_one():
    """Any node may fail, and for v0 any two: it is safe under the first, but not under the second."""
    nodes = [Node(f"n{i}", memory) for i, memory in enumerate((5, 9, 6, 8))]
    vms = [VM("v0", 3, "n2"), VM("v1", 4, "n0"), VM("v2", 5, "n3"), VM("v3", 2, "n3"), VM("v4", 1, "n3")]
    return Cluster(nodes, vms, guarantee=[Guarantee(), Guarantee(failures=2, vms=["v0"])])


def test_a_placement_keeps_all(tmp_path, capsys):
    cluster = racks()
    found = vmplace.place(cluster, move_running=True)
    assert (found.status, found.guarantee) == (Status.OPTIMAL, Status.SAFE)
    assert [report.guarantee for report in found.guarantees] == [Status.SAFE] * 2
    assert {key.startswith("2++") for key in found.scenarios} == {True, False}
    assert set(found.failover["2++a"]) == {"db"}
    assert vmplace.check(found.to_document()).status is Status.SAFE
    assert vmplace.audit(cluster, found.placement, found.failover) == []
    path, result = tmp_path / "c.json", tmp_path / "r.json"
    vmplace.dump(cluster, path)
    assert main(["place", str(path), "--move-running"]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "SAFE: 2 of 2 guarantees hold",
        "guarantee 1: SAFE: any single node can fail and every VM restarts, in any order and on any node with room",
        "guarantee 2: SAFE: any single failure domain can fail and every VM that the guarantee names restarts (planned restarts)",
    ]
    assert main(["place", str(path), "--move-running", "--json"]) == 0
    result.write_text(capsys.readouterr().out)
    assert json.loads(result.read_text())["guarantees"] == [{"status": "safe", "pools": {"default": "safe"}}] * 2
    assert main(["audit", str(path), str(result)]) == 0


def test_what_one_guarantee_alone_would_leave_where_it_is_is_repaired_for_another():
    cluster = two_failures_for_one()
    first, second = (vmplace.repair(one) for one in cluster.one_by_one())
    both = vmplace.repair(cluster)
    assert first.objective == 0
    assert both.objective == second.objective > 0
    assert (both.status, both.guarantee) == (Status.OPTIMAL, Status.SAFE)


def test_steps_are_exposed_to_the_failures_of_all(tmp_path):
    cluster = two_failures_for_one()
    target = vmplace.repair(cluster).node_of
    back = vmplace.plan_moves(evolve(cluster, vms=evolve(cluster.vms, node=target)), cluster.vms.node)
    exposed = back.steps[-1].exposed
    assert exposed
    assert all(key.startswith("2++") for key in exposed)
    assert (back.steps[-1].guarantee, back.steps[-1].worst.number) == (Status.UNSAFE, 2)


def test_which_of_them_is_impossible_is_told():
    cluster = Cluster([Node("n0", 8), Node("n1", 8), Node("n2", 8)], [VM("a", 6, "n0"), VM("b", 6, "n1")])
    found = vmplace.place(evolve(cluster, guarantee=[Guarantee(), Guarantee(failures=2)]), move_running=True)
    assert found.status is Status.INFEASIBLE
    assert found.reason.startswith("guarantee 2: the protected VMs ")
    assert vmplace.audit_result(found.cluster, found).status == "confirmed"
    effort = vmplace.place(found.cluster, move_running=True, best_effort=True)
    assert [report.guarantee for report in effort.guarantees] == [Status.SAFE, Status.UNSAFE]
    assert effort.suspended.startswith("guarantee 2 cannot hold: ")
    assert {loss.scenario[:3] for loss in effort.unprotected} == {"2++"}
    assert effort.exposure.number == 2


def test_each_alone_may_be_possible_and_both_not():
    nodes = [Node("n0", 4), Node("n1", 7), Node("n2", 7)]
    asked = [Guarantee(vms=["v1", "v2"], restart="any-order"), Guarantee(failures=2, vms=["v0"])]
    cluster = Cluster(nodes, [VM("v0", 2), VM("v1", 3), VM("v2", 5)], guarantee=asked)
    assert [vmplace.place(one).status for one in cluster.one_by_one()] == [Status.OPTIMAL] * 2
    both = vmplace.place(cluster)
    assert both.status is Status.INFEASIBLE
    assert both.conflict.vms == ("v0", "v1", "v2")
    effort = vmplace.place(cluster, best_effort=True)
    assert effort.suspended.startswith("all guarantees at once cannot hold: every placement was tried")
    assert Status.SAFE in {report.guarantee for report in effort.guarantees}


def test_no_column_tells_the_plans_of_several():
    found = vmplace.place(racks())
    with pytest.raises(ValueError, match="by scenario"):
        _ = found.backup_of


def test_next_steps_are_those_of_all(tmp_path, capsys):
    path = tmp_path / "c.json"
    vmplace.dump(two_failures_for_one(), path)
    assert main(["check", str(path)]) == 1
    assert "Next: vmplace repair, with the same options, makes it safe by migrating " in capsys.readouterr().out


def test_a_drain_keeps_all_or_says_which_it_suspends(tmp_path, capsys):
    cluster = racks()
    found = vmplace.drain(cluster, "n4")
    assert (found.status, found.guarantee, found.suspended) == (Status.OPTIMAL, Status.SAFE, "")
    assert [report.guarantee for report in found.guarantees] == [Status.SAFE] * 2
    tight = vmplace.drain(cluster, ["n2", "n3"])
    assert (tight.guarantee, [report.guarantee for report in tight.guarantees]) == (Status.UNSAFE, [Status.UNSAFE, Status.SAFE])
    assert tight.suspended.startswith("guarantee 1 cannot hold while n2 and n3 are out: ")
    vmplace.dump(cluster, path := str(tmp_path / "c.json"))
    assert main(["drain", path, "n2", "n3"]) == 4
    assert capsys.readouterr().out.startswith("UNSAFE: guarantee 1 cannot hold while n2 and n3 are out: ")
    assert main(["drain", path, "n2", "n3", "--strict"]) == 1


def test_all_nodes_are_drained_in_groups_that_keep_all():
    found = vmplace.rolling_drain(racks(), time_limit=20)
    assert (found.status, found.guarantee) == (Status.OPTIMAL, Status.SAFE)
    assert all(len(group.guarantees) == 2 for group in found.groups)
    one = vmplace.rolling_drain(evolve(racks(), guarantee=racks().guarantees[1]), time_limit=20)
    assert len(found.groups) >= len(one.groups)


def test_how_many_more_and_how_many_nodes_are_told_for_all(tmp_path, capsys):
    cluster = racks()
    both, alone = vmplace.headroom(cluster, "8GiB"), [vmplace.headroom(one, "8GiB") for one in cluster.one_by_one()]
    assert both.status is Status.OPTIMAL
    assert both.count <= min(found.count for found in alone)
    assert len(both.solution.guarantees) == 2
    assert vmplace.audit_result(cluster, both).status == "confirmed"
    nodes, fewest = vmplace.size(cluster, "64GiB"), [vmplace.size(one, "64GiB") for one in cluster.one_by_one()]
    assert nodes.status is Status.OPTIMAL
    assert nodes.objective >= max(found.objective for found in fewest)
    vmplace.dump(cluster, path := str(tmp_path / "c.json"))
    assert main(["headroom", path, "8GiB"]) == 0
    assert main(["size", path, "--node-memory", "64GiB"]) == 0


def test_new_vms_are_not_among_those_that_a_guarantee_names():
    cluster = Cluster([Node("n0", 10), Node("n1", 10)], [VM("a", 1, "n0")], guarantee=Guarantee(vms=["a"]))
    assert (vmplace.headroom(cluster, 9).count, vmplace.headroom(cluster, 9).status) == (2, Status.OPTIMAL)
    assert vmplace.headroom(evolve(cluster, guarantee=[cluster.guarantee, Guarantee()]), 9).count == 1


def test_which_guarantee_allows_no_more_is_told():
    cluster = Cluster([Node(f"n{i}", 10) for i in range(4)], [VM("a", 4, "n0")], guarantee=[Guarantee(), Guarantee(failures=2)])
    found = vmplace.headroom(cluster, 7)
    assert (found.count, found.status) == (1, Status.OPTIMAL)
    assert found.reason.startswith("with one more, a failure of ")
    assert "(guarantee 2)" in found.reason
