"""The cluster as a whole."""

import copy
import pickle
import time
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Apart, Node
from vmplace.model.errors import InputError, NotFoundError
from vmplace.model.guarantee import Guarantee
from vmplace.model.labels import Labels


def small(**more: Any) -> Cluster:
    return Cluster([Node("n", 9, resources={"vcpu": 4})], [VM("a", 1, "n"), VM("b", 1)], [Apart(["a", "b"])], **more)


def test_defaults() -> None:
    cluster = Cluster([])
    assert (cluster.nodes, cluster.vms, cluster.rules, cluster.guarantee) == ((), (), (), Guarantee())
    assert (cluster.overcommit, cluster.soft_resources, cluster.date, cluster.meta) == ({}, (), None, {})


def test_any_iterable_becomes_columns() -> None:
    cluster = Cluster(iter([Node("n", 9)]), (vm for vm in [VM("a", 1)]), iter([Apart(["a"])]))  # type: ignore[arg-type]
    assert cluster == Cluster([Node("n", 9)], [VM("a", 1)], [Apart(["a"])])
    assert isinstance(cluster.nodes, NodeColumns)
    assert cluster.nodes == (Node("n", 9),)
    assert [*cluster.vms] == [VM("a", 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"nodes": [VM("a", 1)]}, "is not a Node"),
        ({"nodes": ["n"]}, "'n' is not a Node"),
        ({"vms": [Node("n", 9)]}, "is not a VM"),
        ({"rules": [VM("a", 1)]}, "is not a"),
        ({"guarantee": {"failures": 1}}, "is not a Guarantee"),
        ({"guarantee": None}, "None is not a Guarantee"),
    ],
)
def test_parts_of_another_kind_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Cluster(**{"nodes": [], **arguments})


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"overcommit": {"vcpu": 0}}, "overcommit.vcpu"),
        ({"overcommit": [1]}, "overcommit"),
        ({"soft_resources": "vcpu"}, "soft_resources"),
        ({"soft_resources": ["a", "a"]}, "soft_resources[1]"),
        ({"date": "soon"}, "date"),
        ({"meta": {"a": {"b": float("nan")}}}, "meta.a.b"),
    ],
)
def test_flaws_are_placed(arguments: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as caught:
        small(**arguments)
    assert [flaw.place for flaw in caught.value.flaws] == [place]


def test_overcommit_is_exact() -> None:
    assert small(overcommit={"vcpu": 1.1}).overcommit == {"vcpu": Fraction(11, 10)}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, attrs.evolve, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_equal(copied: Any) -> None:
    cluster = small(meta={"a": [1]}, date="2026-11-23", overcommit={"vcpu": 2})
    twin = copied(cluster)
    assert twin == cluster
    assert hash(twin) == hash(cluster)


def test_columns_beside_objects() -> None:
    columns = Cluster.from_arrays(node_memory=[9, 9], vm_memory=[1], vm_node=[1])
    mixed = attrs.evolve(columns, vms=[VM("a", 1, "n1")], rules=[Apart(["a"])])
    assert isinstance(mixed.nodes, NodeColumns)
    with pytest.raises(InputError, match=r"vms\[0\].node: 'n2' is not a node"):
        attrs.evolve(columns, vms=[VM("a", 1, "n2")])
    assert attrs.evolve(columns, rules=[Apart(["a"])]).rules == (Apart(["a"]),)  # which names nobody


def test_columns_made_for_other_nodes_are_checked() -> None:
    columns = Cluster.from_arrays(node_memory=[9], vm_memory=[1])
    with pytest.raises(InputError, match=r"vms\[0\].node: 'x' is not a node"):
        attrs.evolve(columns, vms=VMColumns.of([1], [0], None, ["x"]))


def test_pools_of_columns_made_together_are_checked() -> None:
    columns = Cluster.from_frame({"name": ["a", "b"], "memory": [1, 1], "node": ["n", None]}, {"name": ["n"], "memory": [9]})
    for part, pools in (("nodes", ["p"]), ("vms", ["p", "p"]), ("vms", ["p", "default"])):
        changed: dict[str, Any] = {part: attrs.evolve(getattr(columns, part), pool=Labels.of(pools))}
        with pytest.raises(InputError) as caught:
            attrs.evolve(columns, **changed)
        assert [flaw.place for flaw in caught.value.flaws] == ["vms[0].node"]
    fine: Any = columns.vms
    assert attrs.evolve(columns, vms=attrs.evolve(fine, pool=Labels.of(["default", "p"]))) != columns


def test_many_vms_are_checked_quickly() -> None:
    nodes = [Node(f"n{i}", 9) for i in range(100)]
    vms = [VM(f"v{i}", 1, f"n{i % 100}") for i in range(50_000)]
    start = time.process_time()
    Cluster(nodes, vms)
    Cluster.from_arrays(node_memory=[9] * 100, vm_memory=np.ones(10**6, np.int64))
    assert time.process_time() - start < 2


@pytest.mark.parametrize("columns", [True, False])
def test_columns_keep_their_nodes_names_where_the_nodes_are_others(columns: bool) -> None:
    cluster = Cluster.from_arrays(node_memory=[9, 9, 9], vm_memory=[1, 2], vm_node=[1, 2])
    other = Cluster.from_arrays(node_memory=[8, 8], node_names=["n2", "n1"], vm_memory=[]).nodes
    moved = attrs.evolve(cluster, nodes=other if columns else list(other))
    assert [vm.node for vm in moved.vms] == ["n1", "n2"]
    assert vmplace.check(moved).placement == {"vm0": "n1", "vm1": "n2"}
    assert vmplace.place(moved).to_document() == moved
    with pytest.raises(InputError, match="'n2' is not a node"):
        attrs.evolve(cluster, nodes=other[1:])


def test_pools_as_they_come() -> None:
    cluster = Cluster([Node("n", 9, pool="b"), Node("m", 9, pool="a")], [VM("v", 1, pool="c"), VM("w", 1, pool="a")])
    assert cluster.pools == ("b", "a", "c")
    assert Cluster([]).pools == ()


def test_nodes_and_vms_are_found_by_name() -> None:
    cluster = Cluster([Node("node1", 9), Node("node2", 8)], [VM("db", 1)])
    assert cluster.node("node2") == Node("node2", 8)
    assert cluster.vm("db") == VM("db", 1)
    with pytest.raises(NotFoundError, match="did you mean"):
        cluster.node("nod1")
    with pytest.raises(LookupError, match="name: 'x' is not a VM of this cluster: name one"):
        cluster.vm("x")
    with pytest.raises(NotFoundError):
        cluster.vm(3)  # type: ignore[arg-type]
    assert cluster == Cluster([Node("node1", 9), Node("node2", 8)], [VM("db", 1)])
