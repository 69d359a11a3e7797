import time

import numpy as np
from hypothesis import given, settings

from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node, NotOn
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.state import PlacementState
from vmplace.testing import clusters

NODES = [Node("a", 9), Node("off", 9, state="offline"), Node("b", 9)]
VMS = [VM("first", 1, "b"), VM("stopped", 1, "b", running=False), VM("waits", 1, "off"), VM("last", 1, "a")]


def names(cluster):
    return Names(cluster, compile_problem(cluster))


def test_indices_skip_the_stopped():
    found = names(Cluster(NODES, VMS, [NotOn(["last"], ["b"], must=False)]))
    assert [found.vm(i) for i in range(3)] == ["first", "waits", "last"]
    assert found.vms([2, 0]) == ("last", "first")
    assert [found.node(i) for i in range(3)] == ["a", "off", "b"]
    assert [found.rule(b) for b in found.problem.compiled_rules] == ["not-on"]


def test_the_stopped_keep_the_node_they_name_or_none():
    vms = [VM("off", 1, "off", running=False), VM("none", 1, running=False), VM("runs", 1, "a")]
    found = names(Cluster(NODES, vms))
    assert found.vms(range(1)) == ("runs",)
    assert found.hosts(np.array([2])).tolist() == [1, -1, 2]


def test_columns_over_all_vms():
    found = names(Cluster(NODES, VMS))
    assert found.column(np.array([2, 0, 1])).tolist() == [2, -1, 0, 1]
    assert found.hosts(np.array([2, -1, 0])).tolist() == [2, 2, -1, 0]


def test_names_of_columns():
    found = names(Cluster.from_arrays(node_memory=[9, 9], vm_memory=[1, 1], vm_node=[1, -1], vm_names=["x", "y"]))
    assert (found.vm(1), found.node(1)) == ("y", "n1")
    assert found.vms(range(2)) == ("x", "y")
    assert found.hosts(np.array([1, 0])).tolist() == [1, 0]


# Scenarios


def keys(nodes, vms=(), **guarantee):
    """The scenarios' names, in order."""
    found = names(Cluster(nodes, vms, guarantee=Guarantee(**guarantee)))
    scenarios = PlacementState.of(found.problem, found.problem.node_of).scenarios
    return [found.scenario(scenarios, number) for number in found.in_order(scenarios)]


def test_names_of_all_that_fail_are_joined_in_document_order():
    nodes = [Node(name, 9) for name in "cab"]
    assert keys(nodes) == ["c", "a", "b"]
    assert keys(nodes, failures=2) == ["c+a", "c+b", "a+b"]
    assert keys(nodes, failures=5) == ["c+a+b"]
    assert keys(nodes, failures=0) == []


def test_a_shorter_key_comes_before_those_that_begin_like_it():
    nodes = [Node("x", 9, pool="p"), *(Node(name, 9) for name in "ab")]
    assert keys(nodes, failures=2) == ["x", "a+b"]
    racks = [Node("a1", 9, domain="r"), Node("b1", 9, domain="r", pool="p"), Node("a2", 9, domain="s")]
    assert keys(racks, failures=2, scope="domain") == ["r", "r+s"]


def test_domains_stand_where_their_first_node_does_whichever_pool_that_is_in():
    nodes = [
        Node("p1", 9, domain="r2", pool="p"),
        Node("a1", 9, domain="r1"),
        Node("a2", 9),
        Node("a3", 9, domain="r2"),
        Node("p2", 9, domain="r1", pool="p"),
    ]
    assert keys(nodes, scope="domain") == ["r2", "r2", "r1", "r1", "a2"]
    # Of pool p: r2+r1; of the other: r2+r1, r2+a2, r1+a2.
    assert keys(nodes, failures=2, scope="domain") == ["r2+r1", "r2+r1", "r2+a2", "r1+a2"]


def test_a_node_that_is_off_gives_its_domain_its_place():
    nodes = [Node("a", 9, domain="r", state="offline"), Node("b", 9), Node("c", 9, domain="r")]
    assert keys(nodes, scope="domain") == ["r", "b"]


@settings(max_examples=80, deadline=None)
@given(clusters(max_nodes=6, max_vms=5, placed="all", rules=False, failures=(1, 2, 3), domains=True))
def test_keys_and_their_order_are_the_oracles(cluster):
    world = World(cluster)
    told = keys(cluster.nodes, cluster.vms, failures=cluster.guarantee.failures, scope=cluster.guarantee.scope)
    assert list(dict.fromkeys(told)) == world.scenarios(world.now)
    assert told == sorted(told, key=told.index)  # those of one key stand together
    assert len(told) == sum(map(len, world.failures(world.now).values()))


# Halves of migrations


def test_the_half_of_a_migration_bears_its_vms_name_and_is_in_no_column():
    vms = [VM("goes", 1, "a", target="b"), VM("stopped", 1, "b", running=False), VM("stays", 1, "b")]
    found = names(Cluster(NODES, vms))
    assert not found.identical
    assert found.vms(range(3)) == ("goes", "stays", "goes")
    assert found.column(np.array([0, 2, 2])).tolist() == [0, -1, 2]
    assert found.hosts(np.array([0, 2, 2])).tolist() == [0, 2, 2]


def test_a_few_of_very_many_are_named_without_a_look_at_all():
    count = 2_000_000
    found = names(Cluster.from_arrays(node_memory=[9], vm_memory=np.full(count, 1), vm_node=np.zeros(count, dtype=int)))
    start = time.process_time()
    assert all(found.vms([count - 1]) == (f"vm{count - 1}",) for _ in range(1000))
    assert time.process_time() - start < 5


def test_names_become_a_mask():
    assert names(Cluster(NODES)).mask(["b", "off"]).tolist() == [False, True, True]
