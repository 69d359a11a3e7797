"""Tables and failover plans as dataframes of pandas and polars."""

import pickle
from importlib import import_module

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, InputError, MigrationTable, Node, NodeTable
from vmplace.results import tables

NODES = [Node("n1", "64GiB", reserve="4GiB"), Node("n2", "64GiB", headroom="3GiB"), Node("n3", "64GiB", state="offline")]
CLUSTER = Cluster(
    NODES,
    [VM("a", "40GiB", "n1"), VM("b", "8GiB", "n1"), VM("c", "20GiB", "n2"), VM("w", "1GiB")],
    guarantee=Guarantee(headroom=0.05),
)
REPORT = vmplace.check(CLUSTER)
KEYS = [
    *("name", "state", "pool", "memory", "usable", "used", "free", "overhead", "headroom", "vms"),
    *("scenario", "status", "displaced", "lost"),
]
LIBRARIES = pytest.mark.parametrize("library", ["pandas", "polars"])


def lists(frame, library):
    """The columns as lists of Python's own values."""
    if library == "polars":
        return frame.to_dict(as_series=False)
    return {key: [None if entry is import_module("pandas").NA else entry for entry in frame[key].tolist()] for key in frame}


@LIBRARIES
def test_nodes_with_what_their_failure_does(library):
    frame = REPORT.nodes.to_frame(library)
    assert type(frame).__module__.startswith(library)
    columns = lists(frame, library)
    assert list(columns) == KEYS
    assert columns["name"] == ["n1", "n2", "n3"]
    assert columns["used"] == [48 * 1024, 20 * 1024, 0]
    assert columns["free"] == [12 * 1024, 44 * 1024, 64 * 1024]
    assert columns["headroom"] == [3 * 1024, 3 * 1024, 3277]  # 5 % of 64 GiB is 3276.8 MiB
    assert columns["vms"] == [2, 1, 0]
    assert columns["scenario"] == ["n1", "n2", None]
    assert columns["status"] == ["unsafe", "unsafe", None]
    assert columns["displaced"] == [48 * 1024, 20 * 1024, 0]
    assert columns["lost"] == [1, 1, 0]
    assert columns == {key: [row.to_dict()[key] for row in REPORT.nodes] for key in KEYS}


@LIBRARIES
def test_migrations_with_the_keys_of_json(library):
    solution = vmplace.drain(Cluster(NODES[:2], [VM("a", "8GiB", "n1"), VM("b", "4GiB", "n2")]), "n1")
    (entry,) = solution.to_dict()["migrations"]
    columns = lists(solution.migrations.to_frame(library), library)
    assert columns == {**{key: [value] for key, value in entry.items()}, "seconds": [None]}
    assert lists(solution.plan.migrations.to_frame(library), library)["to"] == ["n2"]
    timed = vmplace.drain(solution.cluster, "n1", bandwidth="10Gbit").migrations.to_frame(library)
    assert lists(timed, library)["seconds"] == [timed["seconds"][0]] != [None]


@LIBRARIES
def test_a_row_for_each_restart(library):
    columns = lists(REPORT.failover.to_frame(library), library)
    rows = list(zip(columns["scenario"], columns["vm"], columns["node"], strict=True))
    assert rows == [(key, vm, node) for key, plan in REPORT.failover.items() for vm, node in plan.items()]
    assert ("n1", "a", "n2") in rows


@LIBRARIES
def test_a_vm_that_gives_way_has_no_node(library):
    vms = [VM("a", "60GiB", "n1"), VM("spare", "60GiB", "n2", protected=False, evictable=True)]
    plans = vmplace.check(Cluster(NODES[:2], vms)).failover
    columns = lists(plans.to_frame(library), library)
    assert dict(zip(columns["vm"], columns["node"], strict=True))["spare"] is None


@LIBRARIES
def test_columns_have_their_types_even_without_rows(library):
    empty = MigrationTable().to_frame(library)
    full = vmplace.drain(Cluster(NODES[:2], [VM("a", "8GiB", "n1")]), "n1").migrations.to_frame(library)
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)
    assert list(NodeTable().to_frame(library).columns) == KEYS


def test_a_table_is_a_tuple():
    nodes = REPORT.nodes
    assert nodes == tuple(nodes)
    assert hash(nodes) == hash(tuple(nodes))
    assert pickle.loads(pickle.dumps(nodes)) == nodes
    assert type(pickle.loads(pickle.dumps(nodes))) is NodeTable
    assert vmplace.place(CLUSTER).migrations == ()


def test_the_library_that_is_there_is_taken(monkeypatch):
    def only(*present):
        def load(name):
            if name not in present:
                raise ImportError(name)
            return import_module(name)

        monkeypatch.setattr(tables, "import_module", load)

    assert type(REPORT.nodes.to_frame()).__module__.startswith("pandas")
    only("polars")
    assert type(REPORT.nodes.to_frame()).__module__.startswith("polars")
    with pytest.raises(InputError, match=r"library: pandas is not installed: pip install 'vmplace\[pandas\]'"):
        REPORT.nodes.to_frame("pandas")
    only()
    with pytest.raises(InputError, match=r"dataframes need pandas or polars: pip install 'vmplace\[pandas\]'"):
        REPORT.failover.to_frame()
    with pytest.raises(InputError, match="library: 'dask' is not one of pandas, polars"):
        REPORT.nodes.to_frame("dask")
