"""Nodes and VMs held as columns."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.from_arrays(node_memory=[9, 8], vm_memory=[1, 2, 3], vm_node=[1, -1, 0])


def test_views(cluster: Cluster) -> None:
    assert list(cluster.nodes) == [Node("n0", 9), Node("n1", 8)]
    assert list(cluster.vms) == [VM("vm0", 1, "n1"), VM("vm1", 2), VM("vm2", 3, "n0")]
    assert cluster.vms[-1] == VM("vm2", 3, "n0")
    assert cluster.vms[1:] == [VM("vm1", 2), VM("vm2", 3, "n0")]
    assert cluster.nodes[:1] == [Node("n0", 9)]
    with pytest.raises(IndexError):
        cluster.vms[3]


def test_equal_to_tuples_both_ways_with_equal_hashes(cluster: Cluster) -> None:
    plain = Cluster(tuple(cluster.nodes), tuple(cluster.vms))
    assert cluster == plain
    assert plain == cluster
    assert hash(cluster) == hash(plain)
    assert isinstance(cluster.vms, VMColumns)
    assert cluster.vms == list(cluster.vms)


@pytest.mark.parametrize(
    "other",
    [
        {"node_memory": [9, 7]},
        {"node_memory": [9, 8, 1]},
        {"vm_memory": [1, 2, 4]},
        {"vm_node": [1, -1, 1]},
        {"vm_node": None},
        {"node_names": ["n0", "x"]},
        {"vm_names": ["vm0", "vm1", "x"]},
    ],
)
def test_unequal(cluster: Cluster, other: dict[str, Any]) -> None:
    changed = Cluster.from_arrays(**{"node_memory": [9, 8], "vm_memory": [1, 2, 3], "vm_node": [1, -1, 0], **other})
    assert changed != cluster
    assert Cluster(tuple(changed.nodes), tuple(changed.vms)) != cluster


def test_named_as_by_default_is_equal(cluster: Cluster) -> None:
    named = Cluster.from_arrays(
        node_memory=[9, 8], vm_memory=[1, 2, 3], vm_node=[1, -1, 0], node_names=["n0", "n1"], vm_names=["vm0", "vm1", "vm2"]
    )
    assert named == cluster
    assert hash(named) == hash(cluster)


def test_vms_on_nodes_of_other_names_in_another_order_are_compared_by_name() -> None:
    one = VMColumns.of([1], [0], None, ["a", "b"])
    other = VMColumns.of([1], [1], None, ["b", "a"])
    assert one == other


def test_never_equal_to_what_is_no_sequence(cluster: Cluster) -> None:
    assert cluster.vms != 5
    assert cluster.nodes != {"n0": 9}


@pytest.fixture
def described() -> Cluster:
    """A cluster whose nodes and VMs say more than what has always been said."""
    return Cluster(
        [Node("n", 9, headroom=2, max_vm={"memory": 4}), Node("m", 9, headroom=0.5), Node("o", 9)],
        [
            VM("a", 1, "n", movable="cold", overhead=2, home="m", used=0),
            VM("b", 1, movable=False, home="gone"),
            VM("c", 1, "m", used=7),
            VM("d", 1),
        ],
    )


def test_what_is_described_comes_back(described: Cluster) -> None:
    assert [node.headroom for node in described.nodes] == [2, 0.5, None]
    assert [node.max_vm for node in described.nodes] == [{"memory": 4}, {}, {}]
    assert [vm.movable for vm in described.vms] == ["cold", False, True, True]
    assert [vm.movable for vm in described.vms[1:]] == [False, True, True]
    assert [(vm.overhead, vm.home, vm.used) for vm in described.vms] == [
        (2, "m", 0),
        (0, "gone", None),
        (0, None, 7),
        (0, None, None),
    ]
    assert described.vms.movable.tolist() == [False, False, True, True]
    assert described.vms.cold.tolist() == [True, False, False, False]
    assert pickle.loads(pickle.dumps(described)) == described == Cluster(list(described.nodes), list(described.vms))
    assert described.vms[2:].followed_by(described.vms[:2]) == [*described.vms[2:], *described.vms[:2]]


@pytest.mark.parametrize(
    "other",
    [VM("v", 1, overhead=1), VM("v", 1, home="n"), VM("v", 1, used=0), VM("v", 1, movable=False), VM("v", 1, movable="cold")],
)
def test_what_is_said_more_makes_a_difference(other: VM) -> None:
    cluster = Cluster([Node("n", 9)], [other])
    assert cluster != Cluster([Node("n", 9)], [VM("v", 1)])
    assert cluster.vms == [other]


def test_overhead_from_arrays() -> None:
    cluster = Cluster.from_arrays(node_memory=[9], vm_memory=[1, 2], vm_overhead=np.array([0, 3], np.uint8))
    assert list(cluster.vms) == [VM("vm0", 1), VM("vm1", 2, overhead=3)]
    for bad, place in (([0, -1], "vm_overhead[1]"), ([0], "vm_overhead"), ([0.5, 1], "vm_overhead")):
        with pytest.raises(InputError) as caught:
            Cluster.from_arrays(node_memory=[9], vm_memory=[1, 2], vm_overhead=bad)
        assert [flaw.place for flaw in caught.value.flaws] == [place]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_equal(cluster: Cluster, copied: Any) -> None:
    twin = copied(cluster)
    assert twin == cluster
    assert isinstance(twin.vms, VMColumns)
    assert isinstance(twin.nodes, NodeColumns)


def test_arrays_are_copied_and_frozen() -> None:
    memory = np.array([1, 2])
    cluster = Cluster.from_arrays(node_memory=[9], vm_memory=memory)
    memory[0] = 5
    assert [vm.memory for vm in cluster.vms] == [1, 2]
    assert isinstance(cluster.vms, VMColumns)
    with pytest.raises(ValueError, match="read-only"):
        cluster.vms.memory[0] = 7


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.int64, ">i4"])
def test_any_whole_numbers(dtype: Any) -> None:
    cluster = Cluster.from_arrays(node_memory=np.array([9], dtype), vm_memory=np.array([3], dtype), vm_node=np.array([0], dtype))
    assert list(cluster.vms) == [VM("vm0", 3, "n0")]
    assert type(cluster.vms[0].memory) is int


def test_nothing_at_all() -> None:
    cluster = Cluster.from_arrays(node_memory=[], vm_memory=[])
    assert (len(cluster.nodes), len(cluster.vms)) == (0, 0)
    assert cluster == Cluster([], [])


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        ({"node_memory": [9, 0]}, ["node_memory[1]"]),
        ({"node_memory": [2**26 + 1]}, ["node_memory[0]"]),
        ({"node_memory": [1.5]}, ["node_memory"]),
        ({"node_memory": [True]}, ["node_memory"]),
        ({"node_memory": ["9"]}, ["node_memory"]),
        ({"node_memory": [2**70]}, ["node_memory"]),
        ({"node_memory": np.array([2**64 - 1], np.uint64)}, ["node_memory[0]"]),
        ({"node_memory": [[9]]}, ["node_memory"]),
        ({"node_memory": [[9], [9, 9]]}, ["node_memory"]),
        ({"node_memory": 9}, ["node_memory"]),
        ({"vm_memory": [1, -1]}, ["vm_memory[1]"]),
        ({"vm_memory": [None]}, ["vm_memory"]),
        ({"vm_node": [0]}, ["vm_node"]),
        ({"vm_node": [0, 2]}, ["vm_node[1]"]),
        ({"vm_node": [0, -2]}, ["vm_node[1]"]),
        ({"vm_node": np.array([0, 2**64 - 1], np.uint64)}, ["vm_node[1]"]),
        ({"vm_node": [0.0, 1.0]}, ["vm_node"]),
        ({"node_names": ["a"]}, ["node_names"]),
        ({"node_names": "ab"}, ["node_names"]),
        ({"node_names": ["a", "a"]}, ["node_names[1]"]),
        ({"vm_names": ["a+", ""]}, ["vm_names[0]", "vm_names[1]"]),
        ({"vm_names": [1, "a", "a"]}, ["vm_names[0]", "vm_names[2]", "vm_names"]),
    ],
)
def test_refused(columns: dict[str, Any], places: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Cluster.from_arrays(**{"node_memory": [9, 9], "vm_memory": [1, 2], **columns})
    assert [flaw.place for flaw in caught.value.flaws] == places


def test_names_may_be_any_iterable() -> None:
    cluster = Cluster.from_arrays(node_memory=[9], vm_memory=[1, 2], vm_names=np.array(["x", "y"]))
    assert [type(vm.name) for vm in cluster.vms] == [str, str]


NODES = [
    Node("a", 9, tags=["gpu"], price=0.5, resources={"vcpu": 4, "disk": 0}, meta={"rack": [1]}),
    Node("b", 8, reserve=1, state="maintenance", domain="r1", pool="p"),
    Node("c", 8, price=2, meta={"on": 1}),
    Node("d", 8, meta={"on": True}),
]
VMS = [
    VM("x", 1, "a", target="c", tags=["db", "web"], resources={"vcpu": 1}, meta={"owner": {"id": 7}}),
    VM("y", 2, "b", running=False, movable=False, priority=-3, pool="p", evictable=True),
    VM("z", 2, protected=False, tags=["db"], resources={"vcpu": 0}),
]


def test_objects_come_back_as_they_were() -> None:
    cluster = Cluster(NODES, VMS)
    assert list(cluster.nodes) == NODES
    assert list(cluster.vms) == VMS
    assert [repr(node) for node in cluster.nodes] == list(map(repr, NODES))
    assert repr(cluster.vms) == repr(tuple(VMS))
    assert pickle.loads(pickle.dumps(cluster)) == cluster
    assert list(cluster.vms[::-2]) == [VMS[2], VMS[0]]
    assert cluster.nodes[1:3] == (NODES[1], NODES[2])


def test_what_is_made_of_columns_is_as_if_it_were_constructed() -> None:
    made = Cluster(NODES, VMS).vms[0]
    assert type(made) is VM
    assert hash(made) == hash(VMS[0])
    assert evolve(made, memory="2MiB") == evolve(VMS[0], memory=2)


@given(st.lists(st.integers(0, 2), max_size=5), st.lists(st.integers(0, 2), max_size=5))
def test_rows_and_what_follows(first: list[int], second: list[int]) -> None:
    columns = Cluster(NODES, VMS).vms
    one, other = (columns.rows(np.array(chosen, dtype=np.int64)) for chosen in (first, second))
    assert list(one) == [VMS[i] for i in first]
    both = one.followed_by(other)
    assert both == [VMS[i] for i in [*first, *second]]
    assert both == VMColumns.holding([VMS[i] for i in [*first, *second]]).on(both.node_names)


def test_vms_may_follow_on_nodes_that_were_not_named() -> None:
    columns = VMColumns.holding([VM("x", 1, "a")]).followed_by([VM("y", 1, "b", target="a"), VM("w", 1)])
    assert [(vm.node, vm.target) for vm in columns] == [("a", None), ("b", "a"), (None, None)]
    assert columns.node_names == ("a", "b")


def test_names_under_which_rows_come_again() -> None:
    again = Cluster(NODES, VMS).vms.rows(np.array([0, 0]), ["p", "q"])
    assert list(again) == [evolve(VMS[0], name="p"), evolve(VMS[0], name="q")]


def test_amounts_and_tags() -> None:
    cluster = Cluster(NODES, VMS)
    assert {name: amounts.tolist() for name, amounts in cluster.nodes.amounts().items()} == {
        "vcpu": [4, 0, 0, 0],
        "disk": [0] * 4,
    }
    assert cluster.vms.tagged("db").tolist() == [0, 2]
    assert cluster.vms.tagged("none").tolist() == []


def test_what_is_large_is_shown_in_short() -> None:
    cluster = Cluster.from_arrays(node_memory=[9] * 1000, vm_memory=[])
    assert repr(cluster.nodes) == "<1000 Nodes, 'n0' to 'n999'>"
    assert repr(cluster.vms) == "()"
