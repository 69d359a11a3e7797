"""Plain entries become columns; what is odd is told as if there were none."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace.formats import structure
from vmplace.formats.structure import from_document, plain_columns
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Apart, Node
from vmplace.model.errors import Flaw, InputError

NODES = [{"name": "n1", "memory": "8GiB"}, {"name": "n2", "memory": 4096.0}]
VMS = [
    {"name": "a", "memory": 1024},
    {"name": "b", "memory": "1.5GiB", "node": "n2", "running": True},
    {"memory": 512, "node": None, "name": "c"},
]
NODE_THINGS = [Node("n1", 8192), Node("n2", 4096)]
VM_THINGS = [VM("a", 1024), VM("b", 1536, "n2"), VM("c", 512)]


def odd_or(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    odd = st.sampled_from([None, True, False, 0, -3, 1.5, "", "a+b", "n1", "8G", "\ud800", [], {}, ["n1"], float("nan"), 2**70])
    return st.integers(0, 11).flatmap(lambda number: good if number else odd)


def entries(good: dict[str, st.SearchStrategy[Any]], more: dict[str, Any]) -> st.SearchStrategy[Any]:
    keys = {key: odd_or(value) for key, value in good.items()}
    plain = st.fixed_dictionaries(keys, optional={key: odd_or(value) for key, value in more.items()})
    return st.lists(odd_or(plain), max_size=3)


NAMES = st.sampled_from("abcdef")
HOSTS = st.sampled_from(["n1", "n2", "n3"])
ALSO = {"node": HOSTS | st.none(), "running": st.just(True), "tags": st.just([])}
MEMORY = st.sampled_from([1, 1024, "8GiB", 2048.0])
DOCUMENTS = st.fixed_dictionaries(
    {
        "nodes": entries({"name": HOSTS, "memory": MEMORY}, {}),
        "vms": entries({"name": NAMES, "memory": MEMORY}, ALSO),
    }
)


def told(document: dict[str, Any]) -> Cluster | Sequence[Flaw]:
    try:
        return from_document(document)
    except InputError as error:
        return error.flaws


@given(DOCUMENTS)
def test_the_same_as_one_by_one(document: dict[str, Any]) -> None:
    with patch.object(structure, "plain_columns", lambda nodes, vms: None):
        one_by_one = told(document)
    assert told(document) == one_by_one


def test_columns_of_plain_entries() -> None:
    cluster = from_document({"nodes": NODES, "vms": VMS})
    assert isinstance(cluster.nodes, NodeColumns)
    assert isinstance(cluster.vms, VMColumns)
    assert cluster == Cluster(NODE_THINGS, VM_THINGS)


def test_rules_are_beside_columns() -> None:
    cluster = from_document({"nodes": NODES, "vms": VMS, "rules": [{"kind": "apart", "vms": ["a", "b"]}]})
    assert cluster == Cluster(NODE_THINGS, VM_THINGS, [Apart(["a", "b"])])
    strange = from_document({"nodes": NODES, "vms": VMS, "rules": [{"kind": "apart", "vms": ["a", "z"]}]})
    assert strange == Cluster(NODE_THINGS, VM_THINGS, [Apart(["a", "z"])])


@pytest.mark.parametrize(
    "vm", [{"running": False}, {"running": 1}, {"tags": []}, {"node": "n3"}, {"node": ["n1"]}, {"name": "a"}, {"memory": True}]
)
def test_not_plain(vm: dict[str, Any]) -> None:
    assert plain_columns(NODES, [VMS[0], {"name": "x", "memory": 5, **vm}]) is None


@pytest.mark.parametrize("node", [{"reserve": 5}, {"state": "online"}, {"name": "n1"}, {"memory": 0}])
def test_node_not_plain(node: dict[str, Any]) -> None:
    assert plain_columns([NODES[0], {"name": "x", "memory": 5, **node}], []) is None
