import json

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Node
from vmplace.cli import main
from vmplace.placement.pools import bounds_with, linked_pools, solved_apart
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.testing import clusters

NODES = [Node(f"{pool}{i}", 8, pool=pool, domain=f"rack{i}") for pool in "abc" for i in range(3)]
VMS = [VM(f"{pool}-vm", 8, f"{pool}0", pool=pool) for pool in "abc"]
BAD = VM("a-large", 9, pool="a")
WAITS = VM("b-new", 2, pool="b")


def groups(*rules):
    problem = compile_problem(Cluster(NODES, VMS, rules))
    return [[VMS[i].pool for i in np.flatnonzero(group)] for group in linked_pools(problem)]


def test_rules_link_pools():
    assert groups() == [["a"], ["b"], ["c"]]
    assert groups(Apart(["a-vm", "c-vm"], scope="domain")) == [["a", "c"], ["b"]]
    chain = (Apart(["a-vm", "b-vm"], scope="domain"), Apart(["b-vm", "c-vm"], scope="domain", must=False))
    assert groups(*chain) == [["a", "b", "c"]]


def test_bounds_hold_with_what_stays_as_it_is():
    assert bounds_with(("balance", "moves", "consolidate"), (0.5, 8, 2), (0.4, 6, 2), (0.5, 8, 5)) == (0.4, 6, 5)
    assert bounds_with(("balance",), (0.5,), (0.4,), (0.9,)) == (0.9,)


@pytest.mark.parametrize("options", [{}, {"move_running": True}, {"best_effort": True}, {"objective": "consolidate"}])
def test_a_pool_without_a_placement_does_not_condemn_another(options):
    found = vmplace.place(Cluster(NODES, [*VMS, BAD, WAITS]), **options)
    assert (found.status, list(found.unsolved)) == ("infeasible", ["a"])
    assert found.reason == f"pool a: {found.unsolved['a']}"
    assert found.conflict.vms == ("a-large",)
    assert (found.waiting, found.placement["b-new"][0], found.placement["a-vm"]) == (("a-large",), "b", "a0")
    assert (found.pools["a"], found.pools["b"]) == ("unsafe", "safe")
    assert found.to_dict()["unsolved"] == dict(found.unsolved)
    if found.powered:
        assert {"a0", "a1", "a2"} <= set(found.powered)
        assert found.objective == len(found.powered)


def test_linked_pools_are_solved_together():
    rule = Apart(["a-large", "b-new"], scope="domain")
    found = vmplace.place(Cluster(NODES, [*VMS, BAD, WAITS], [rule]))
    assert list(found.unsolved) == ["a", "b"]
    assert found.placement == {"a-vm": "a0", "b-vm": "b0", "c-vm": "c0"}


def test_where_all_pools_are_bad_nothing_is_placed():
    vms = [BAD, evolve(BAD, name="b-large", pool="b")]
    found = vmplace.place(Cluster(NODES[:6], vms))
    assert (found.status, found.placement, list(found.unsolved)) == ("infeasible", None, ["a", "b"])


def test_where_time_ends_before_a_pool_is_refuted_the_guarantee_is_unknown():
    cluster = Cluster(NODES[:6], VMS[:2])
    refused = evolve(vmplace.place(Cluster(NODES[:6], [BAD])), cluster=cluster)
    undecided = evolve(refused, status="unknown", guarantee="unknown")
    names = Names(cluster, compile_problem(cluster))
    for found, right in ((undecided, "unknown"), (refused, "unsafe")):
        told, _ = solved_apart(names, refused, lambda group, found=found: found)
        assert (told.status, told.guarantee) == ("unknown" if right == "unknown" else "infeasible", right)


def test_a_limit_that_pools_share_is_no_pools_fault():
    nodes = [Node(f"{pool}{i}", 8, pool=pool) for pool in "ab" for i in range(3)]
    homes = ((5, 0), (5, 1), (2, 2), (2, 2))
    vms = [VM(f"{pool}{i}", size, f"{pool}{home}", pool=pool) for pool in "ab" for i, (size, home) in enumerate(homes)]
    assert vmplace.place(Cluster(nodes, vms), move_running=True, objective="moves", max_moves=2).status == "optimal"
    found = vmplace.place(Cluster(nodes, vms), move_running=True, objective="moves", max_moves=1)
    assert (found.status, found.placement, found.unsolved) == ("infeasible", None, {})


def test_the_command_writes_what_was_done_and_ends_with_one(tmp_path, capsys):
    path, out = tmp_path / "cluster.json", tmp_path / "out.json"
    vmplace.dump(Cluster(NODES, [*VMS, BAD, WAITS]), path)
    assert main(["place", str(path), "-o", str(out)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("INFEASIBLE: pool a: a-large needs 9 MiB; ")
    assert "The other pools are done: b (safe), c (safe); VMs of pool a stay as they are." in told
    assert [vm.node is None for vm in vmplace.load(out).vms] == [False, False, False, True, False]


def part(cluster, pool):
    nodes = [node for node in cluster.nodes if node.pool == pool]
    return evolve(cluster, nodes=nodes, vms=[vm for vm in cluster.vms if vm.pool == pool])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(clusters(max_nodes=4, max_vms=6, rules=False), st.sampled_from(("balance", "moves", ("moves", "balance"))))
def test_each_pool_is_solved_if_it_can_be(cluster, objective):
    pools = {vm.pool for vm in cluster.vms}
    found = vmplace.place(cluster, objective=objective, move_running=True, ordered=False, time_limit=None)
    if len(pools) < 2:
        assert not found.unsolved
        return
    bad = {pool for pool in pools if World(part(cluster, pool)).optimum(objective, move_running=True) is None}
    assert set(found.unsolved) == bad
    assert (found.placement is None) == (bad == pools)
    if found.placement is None:
        return
    world = World(cluster)
    node_of = {vm.name: found.placement[vm.name] for vm in world.charged if vm.name in found.placement}
    assert all(node_of.get(vm) == world.now.get(vm) for vm in node_of if world.vms[vm].pool in bad)
    worth = {"balance": world.balance, "moves": world.migrated}
    names = [objective] if isinstance(objective, str) else objective
    values = tuple(worth[name](node_of) for name in names)
    assert found.objective == found.bound == (values if len(values) > 1 else values[0])


def test_the_audit_of_a_saved_result_knows_pools_without_a_placement(tmp_path, capsys):
    path, saved = tmp_path / "cluster.json", tmp_path / "result.json"
    vmplace.dump(Cluster(NODES, [*VMS, BAD, WAITS]), path)
    result = vmplace.place(vmplace.load(path), objective="consolidate").to_dict()
    saved.write_text(json.dumps(result))
    assert main(["audit", str(path), str(saved)]) == 0
    result["placement"]["a-vm"] = "a1"
    saved.write_text(json.dumps(result))
    assert main(["audit", str(path), str(saved)]) == 1
    assert "'a-vm' of pool 'a' does not stay where it is" in capsys.readouterr().out
