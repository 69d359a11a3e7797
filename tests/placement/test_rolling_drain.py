"""Every node drained once: each group against the oracle, the number of groups against all divisions."""

from itertools import combinations

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings

import vmplace
from tests.support.brute import World
from tests.support.compilations import counted
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn, Status, rolling_drain
from vmplace.placement.rolling_drain import fewest_groups, lonely
from vmplace.problem.compile import compile_problem
from vmplace.testing import clusters

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def even(n_nodes, n_vms, rules=(), size=100, memory=20):
    nodes = [Node(f"n{i}", size) for i in range(n_nodes)]
    return Cluster(nodes, [VM(f"v{k}", memory, f"n{k % n_nodes}") for k in range(n_vms)], rules)


def kept(cluster, found):
    """Each group is drained from what the one before leaves, and the others are safe without it."""
    for group in found.groups:
        world = World(cluster, drained=group.drained)
        node_of = {vm: node for vm, node in group.placement.items() if not world.stopped(world.vms[vm])}
        assert world.right(node_of)
        assert world.all_survivable(node_of)
        assert vmplace.audit(cluster, group.placement, group.failover, drained=group.drained) == []
        cluster = evolve(group.to_document(), nodes=cluster.nodes)
    drained = [name for group in found.nodes for name in group]
    assert len(set(drained)) == len(drained)
    assert sorted([*drained, *found.undrained]) == sorted(n.name for n in cluster.nodes if n.state != "offline")
    assert found.to_document(cluster) == cluster


def test_as_many_at_once_as_the_memory_allows():
    cluster = even(6, 12)  # 240 of 600: three nodes are enough for the VMs, and one more for N+1
    found = rolling_drain(cluster)
    kept(cluster, found)
    assert (found.status, len(found.groups), found.bound) == (Status.OPTIMAL, 3, 3)
    assert found.to_dict()["groups"][0]["nodes"] == list(found.nodes[0])
    assert found.migrated == sum(m["memory"] for g in found.to_dict()["groups"] for m in g["solution"]["migrations"])


def test_the_cluster_is_compiled_once(monkeypatch):
    cluster, compiled = even(12, 24), counted(monkeypatch)
    found = rolling_drain(cluster, time_limit=None)
    assert (found.status, len(compiled)) == (Status.OPTIMAL, 1)
    kept(cluster, found)


def test_nodes_that_rules_need_together_are_in_different_groups():
    rules = [OnlyOn(("v0",), ("n0", "n1", "n2")), Apart(("v1", "v2"))]
    cluster = even(6, 6, rules, memory=5)
    found = rolling_drain(cluster)
    kept(cluster, found)
    assert found.status is Status.OPTIMAL
    for group in found.nodes:
        assert len({"n0", "n1", "n2"} & set(group)) <= 1
    assert found.bound == len(found.groups) == 3


def test_a_node_that_cannot_be_drained_is_named_and_the_others_are_drained():
    cluster = evolve(even(4, 4), vms=[VM("fixed", 10, "n1", movable=False), VM("v0", 10, "n0")])
    found = rolling_drain(cluster)
    kept(cluster, found)
    assert (found.status, dict(found.undrained)) == (Status.INFEASIBLE, {"n1": "fixed on n1 is not movable"})
    assert sorted(name for group in found.nodes for name in group) == ["n0", "n2", "n3"]


def test_where_none_can_be_drained_all_are_named():
    found = rolling_drain(even(2, 2))
    assert (found.status, found.groups, list(found.undrained)) == (Status.INFEASIBLE, (), ["n0", "n1"])
    assert all(found.undrained.values())


def test_nothing_to_drain():
    found = rolling_drain(Cluster([Node("off", 4, state="offline")]))
    assert (found.status, found.groups, found.bound) == (Status.OPTIMAL, (), 0)
    alone = rolling_drain(Cluster([Node("n0", 4)]))
    assert (alone.status, alone.nodes) == (Status.OPTIMAL, (("n0",),))


def test_maintenance_stays_maintenance():
    cluster = evolve(even(4, 4), nodes=[*(Node(f"n{i}", 100) for i in range(3)), Node("n3", 100, state="maintenance")])
    found = rolling_drain(cluster)
    assert found.status is Status.OPTIMAL
    assert [node.state for node in found.to_document(cluster).nodes] == ["online"] * 3 + ["maintenance"]


def test_without_time_nothing_is_claimed():
    found = rolling_drain(even(4, 4), time_limit=0)
    assert (found.status, found.groups) == (Status.UNKNOWN, ())
    assert set(found.undrained) == {"n0", "n1", "n2", "n3"}


@pytest.mark.parametrize("options", [{"best_effort": True}, {"method": "odd"}, {"time_limit": "x"}, {"max_moves": -1}])
def test_wrong_options_are_named(options):
    with pytest.raises(InputError) as error:
        rolling_drain(even(2, 0), **options)
    assert error.value.flaws[0].place in options


def fewest(cluster, names):
    """The fewest groups, by all divisions: any set that leaves some safe placement is one."""
    free = {
        frozenset(group)
        for size in range(1, len(names) + 1)
        for group in combinations(names, size)
        if World(cluster, drained=group).optimum("moves", move_running=True) is not None
    }
    best = {frozenset(): 0}
    for count in range(len(names)):
        for done in [done for done, groups in best.items() if groups == count]:
            for group in free:
                best.setdefault(done | group, count + 1)
    return best.get(frozenset(names))


def judged(cluster):
    found = rolling_drain(cluster, time_limit=30)
    kept(cluster, found)
    assert found.status is not Status.UNKNOWN
    drained = [name for group in found.nodes for name in group]
    for name in found.undrained:
        stuck = any(vm.node == name and (not vm.movable or vm.target) for vm in cluster.vms)
        settled = any(World(cluster).waits(vm) and not vm.movable for vm in cluster.vms)
        assert stuck or settled or World(cluster, drained=[name]).optimum("moves", move_running=True) is None
    if drained:
        least = fewest(cluster, drained)
        assert found.bound <= least <= len(found.groups)


@settings(max_examples=15, **QUIET)
@given(
    clusters(min_nodes=1, max_vms=4, immovable=False) | clusters(min_nodes=3, max_vms=4, rules=False, states=False, pools=False)
)
def test_groups_against_all_divisions(cluster):
    judged(cluster)


@pytest.mark.slow
@settings(max_examples=150, **QUIET)
@given(
    clusters(min_nodes=2, max_vms=5, failures=(0, 1, 1), domains=True)
    | clusters(min_nodes=3, max_vms=4, states=False, pools=False)
)
def test_many_groups_against_all_divisions(cluster):
    judged(cluster)


def test_who_waits_and_is_not_movable_starts_on_a_node_that_stays():
    cluster = Cluster([Node(f"n{i}", 4) for i in range(3)], [VM("v", 1, "n0"), VM("w", 1, movable=False)])
    found = rolling_drain(cluster)
    kept(cluster, found)
    assert found.status is Status.INFEASIBLE
    (name, reason) = next(iter(found.undrained.items()))
    assert found.groups[0].placement["w"] == name
    assert "w" in reason


def test_what_only_the_drains_before_forbid_is_not_proved():
    # Each node can be drained by itself with one move, but not n1 once it has taken in what was on n0.
    nodes = [Node("n0", 4), Node("n1", 4), Node("n2", 4)]
    cluster = Cluster(nodes, [VM("a", 1, "n0"), VM("b", 1, "n1")])
    found = rolling_drain(cluster, max_moves=1)
    kept(cluster, found)
    assert found.status in (Status.OPTIMAL, Status.FEASIBLE, Status.UNKNOWN)


def bound(usable, memory, states=None, **guarantee):
    states = states or ["online"] * len(usable)
    nodes = [Node(f"n{i}", size, state=state) for i, (size, state) in enumerate(zip(usable, states, strict=True))]
    problem = compile_problem(Cluster(nodes, [VM(f"v{k}", m) for k, m in enumerate(memory)], (), Guarantee(**guarantee)))
    return fewest_groups(problem, np.ones(len(nodes), dtype=bool))


@pytest.mark.parametrize(
    ("usable", "memory", "groups"),
    [
        ([10] * 4, [], 1),
        ([10] * 6, [10, 10], 2),
        ([10] * 6, [10, 10, 10], 3),
        ([10] * 4, [6, 6], 4),  # slots: two of 6 need two nodes besides the one that fails
        ([10] * 4, [10, 10, 10], 1),  # not even one: nothing is said
        ([20, 10, 10, 10], [10], 2),
    ],
)
def test_groups(usable, memory, groups):
    assert bound(usable, memory) == groups


def test_without_failures_all_that_is_left_counts():
    assert bound([10] * 4, [10, 10], failures=0) == 2
    assert bound([10] * 4, [10], failures=2) == 4


def test_those_in_maintenance_do_not_count():
    assert bound([10] * 4, [10, 10], ["online"] * 3 + ["maintenance"]) == 3


@pytest.mark.parametrize(
    ("allowed", "failures", "found"), [(("n0",), 1, 0), (("n0", "n1"), 1, None), (("n0", "n1"), 2, 0), (("n0",), 0, None)]
)
def test_a_vm_with_too_few_places_is_found(allowed, failures, found):
    nodes = [Node(f"n{i}", 10) for i in range(4)]
    cluster = Cluster(nodes, [VM("v", 1), VM("w", 1)], [OnlyOn(("v",), allowed)], Guarantee(failures=failures))
    assert lonely(compile_problem(cluster)) == found


def test_who_may_stay_in_maintenance_needs_one_place_less():
    nodes = [Node("n0", 10, state="maintenance"), Node("n1", 10), Node("n2", 10)]
    rules = [OnlyOn(("v",), ("n0", "n1"))]
    assert lonely(compile_problem(Cluster(nodes, [VM("v", 1, "n0")], rules))) is None
    assert lonely(compile_problem(Cluster(nodes, [VM("v", 1, "n1")], rules))) == 0
