"""What is under audit, as columns."""

import numpy as np
import pytest

from vmplace.auditor.case import Case, sums
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError
from vmplace.model.labels import Labels

GIB = 1024


def test_amounts_are_spelled_in_their_own_unit():
    nodes = [Node("n1", 64 * GIB, resources={"vcpu": 3})]
    case = Case(Cluster(nodes, [VM("a", 16 * GIB, "n1")], overcommit={"vcpu": 1.5}), {"a": "n1"}, None, ())
    memory, vcpu = case.resources
    assert (memory.spell(16 * GIB), vcpu.spell(3)) == ("16 GiB", "3 vcpu")
    assert memory.excess(80 * GIB, 64 * GIB) == "80 GiB, 16 GiB more than its 64 GiB"
    assert vcpu.excess(5, 4) == "5 vcpu, 1 more than its 4"
    assert (memory.capacity.tolist(), vcpu.capacity.tolist()) == ([64 * GIB, 0], [4, 0])


def test_every_resource_counts_and_soft_ones_do_not_bind():
    nodes, vms = [Node("n1", 1, resources={"d": 1, "b": 1, "a": 1, "c": 1})], [VM("a", 1, "n1", resources={"c": 1})]
    case = Case(Cluster(nodes, vms, overcommit={"b": 2}, soft_resources=["a", "c"]), {"a": "n1"}, None, ())
    assert [(resource.name, resource.binding) for resource in case.resources] == [
        ("", True),
        ("a", False),
        ("b", True),
        ("c", False),
        ("d", True),
    ]


def test_what_evictable_vms_hold_is_load_but_not_fixed():
    nodes = [Node("n1", 10), Node("n2", 10)]
    vms = [
        VM("a", 1, "n1"),
        VM("e", 2, "n1", evictable=True),
        VM("m", 4, "n1", target="n2"),
        VM("x", 8, "n2", target="n1", evictable=True),
        VM("off", 16, "n1", running=False, evictable=True),
    ]
    case = Case(Cluster(nodes, vms), {vm.name: vm.node for vm in vms}, None, ())
    assert case.memory.load.tolist() == [15, 12, 0]
    assert case.memory.fixed.tolist() == [5, 4, 0]
    assert case.must.tolist() == [True, False, True, False, False]


def test_nodes_by_domain():
    nodes = NodeColumns(np.full(4, 9), ["n1", "n2", "n3", "n4"], domain=Labels.of(["a", "", "a", ""]))
    vms = VMColumns(np.zeros(0, np.int64), np.zeros(0, np.int64), [], nodes.names)
    place = Case(Cluster(nodes, vms), {}, None, ()).by_domain.tolist()
    assert place[0] == place[2]
    assert len(set(place[:-1])) == 3
    assert place[-1] == -1


def test_sums_by_group():
    assert sums(np.array([2, 0, 2]), np.array([5, 7, 1]), 3).tolist() == [7, 0, 6]


@pytest.mark.parametrize("column", [[0, 2], [-2, 0], [2, 2], [0], [[0, 0]], [0.5, 0]])
def test_a_column_of_nodes_has_an_index_for_each_vm(column):
    cluster = Cluster([Node("n1", 4), Node("n2", 4)], [VM("a", 1), VM("b", 1)])
    with pytest.raises(InputError, match="give 2 whole numbers from -1 to 1"):
        Case(cluster, column, None, ())
    assert Case(cluster, [-1, 1], None, ()).at.tolist() == [-1, 1]
