import numpy as np
from hypothesis import given, settings

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.problem.compile import compile_problem
from vmplace.problem.state import PlacementState
from vmplace.testing import clusters

NODES = [Node("a", 10), Node("b", 10, state="maintenance"), Node("c", 10, state="maintenance"), Node("d", 10, state="offline")]


def state(cluster, **options):
    problem = compile_problem(cluster)
    return PlacementState.of(problem, problem.node_of, **options)


def test_scenarios_are_online_nodes_and_maintenance_nodes_with_vms():
    now = state(Cluster(NODES, [VM("v", 4, "b", protected=False), VM("w", 3, "a")]))
    assert now.scenarios.nodes.ravel().tolist() == [0, 1]
    assert now.target.tolist() == [True, False, False, False]
    assert now.free.tolist() == [7, 0, 0, 0]
    assert now.displaced.tolist() == [3, 0, 0, 0]


def test_without_a_guarantee_nothing_fails():
    assert not len(state(Cluster(NODES, [VM("v", 4, "a")], guarantee=Guarantee(failures=0))).scenarios)


def test_only_powered_nodes_are_there():
    nodes = [Node(name, 10) for name in "abc"]
    now = state(Cluster(nodes, [VM("v", 4, "a")]), powered=np.array([True, True, False]))
    assert now.target.tolist() == [True, True, False]
    assert now.scenarios.nodes.ravel().tolist() == [0, 1]
    assert now.freest(0).tolist() == [1, 0]


def test_an_overfull_node_has_nothing_free():
    assert state(Cluster([Node("a", 10), Node("b", 10)], [VM("v", 8, "a"), VM("w", 8, "a")])).free.tolist() == [0, 10]


def test_who_is_displaced_largest_first():
    vms = [VM("s", 2, "a"), VM("l", 5, "a"), VM("u", 9, "b", protected=False), VM("m", 3, "a"), VM("w", 4)]
    now = state(Cluster([Node("a", 20), Node("b", 20)], vms))
    assert now.displaced_by(np.array([0]))[0].tolist() == [1, 3, 0]
    assert now.displaced_by(np.array([1]))[0].tolist() == []
    assert [column.tolist() for column in now.displaced_by(np.array([1, 0]))] == [[1, 3, 0], [0, 3]]


def test_rules_that_bind_restarts_make_a_node_less_than_plain():
    nodes = [Node(name, 10) for name in "abcd"]
    vms = [VM("x", 1, "a"), VM("y", 1, "b"), VM("lic", 1, "c"), VM("z", 1, "d"), VM("u", 1, "d", protected=False)]
    rules = [
        Apart(["x", "y", "u"], must=False),  # u need not restart
        OnlyOn(["lic"], ["c", "d"]),
        Apart(["z", "u"], must=False, during_failover=False),
    ]
    assert state(Cluster(nodes, vms, rules)).plain.tolist() == [False, False, False, True]


@settings(max_examples=60, deadline=None)
@given(clusters(placed="all", failures=(1, 0)))
def test_scenarios_and_their_memory_as_counted_by_hand(cluster):
    world, now = World(cluster), state(cluster)
    names = [node.name for node in cluster.nodes]
    assert [names[i] for i in now.scenarios.nodes.ravel().tolist()] == world.scenarios(world.now)
    for number, failed in enumerate(world.scenarios(world.now)):
        displaced = sum(vm.memory for vm in world.displaced(world.now, failed))
        assert now.asked[number] == now.displaced[names.index(failed)] == displaced


def test_the_refuge_is_the_freest_other_target_of_the_pool():
    nodes = [Node("a", 10), Node("b", 9), Node("c", 12, state="maintenance"), Node("d", 8, pool="p")]
    now = state(Cluster(nodes, [VM("v", 1, "c"), VM("w", 3, "a")]))
    assert now.plan.tolist() == [1, 0, 1, -1]
    assert now.room_elsewhere.tolist() == [9, 7, 9, 0]


def test_who_is_larger_than_a_size():
    vms = [VM("s", 2, "a"), VM("l", 5, "a"), VM("u", 9, "b", protected=False), VM("w", 4)]
    now = state(Cluster([Node("a", 20), Node("b", 20)], vms))
    assert now.larger_than(2).tolist() == [1]
