import numpy as np

from vmplace import VM, Cluster, Node, NotOn
from vmplace.naming import Names
from vmplace.problem import compile_problem

NODES = [Node("a", 9), Node("off", 9, state="offline"), Node("b", 9)]
VMS = [VM("first", 1, "b"), VM("stopped", 1, "b", running=False), VM("waits", 1, "off", running=False), VM("last", 1, "a")]


def names(cluster):
    return Names(cluster, compile_problem(cluster))


def test_indices_skip_the_stopped():
    found = names(Cluster(NODES, VMS, [NotOn(["last"], ["b"], must=False)]))
    assert [found.vm(i) for i in range(3)] == ["first", "waits", "last"]
    assert found.vms([2, 0]) == ("last", "first")
    assert [found.node(i) for i in range(3)] == ["a", "off", "b"]
    assert [found.rule(b) for b in found.problem.bindings] == ["not-on"]


def test_columns_over_all_vms():
    found = names(Cluster(NODES, VMS))
    assert found.column(np.array([2, 0, 1])).tolist() == [2, -1, 0, 1]
    assert found.hosts(np.array([2, -1, 0])).tolist() == [2, 2, -1, 0]


def test_names_of_columns():
    found = names(Cluster.from_arrays(node_memory=[9, 9], vm_memory=[1, 1], vm_node=[1, -1], vm_names=["x", "y"]))
    assert (found.vm(1), found.node(1)) == ("y", "n1")
    assert found.vms(range(2)) == ("x", "y")
    assert found.hosts(np.array([1, 0])).tolist() == [1, 0]
