"""Clusters from tables."""

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace.model.columns
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn, Tag, audit, check, place
from vmplace.formats.document import to_document
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.units import format_memory
from vmplace.problem.compile import compile_problem
from vmplace.testing import clusters

NODE_KEYS = ("name", "memory", "reserve", "state", "pool")
VM_KEYS = ("name", "memory", "node", "running", "movable", "protected", "priority", "pool", "overhead", "home", "used")
Make = Callable[[Mapping[str, Any]], Any]


@pytest.fixture(params=["mapping", "pandas", "polars", "pyarrow"])
def make(request: pytest.FixtureRequest) -> Make:
    """What makes a table of a mapping of lists."""
    if request.param == "mapping":
        return dict
    library = pytest.importorskip(request.param)
    return library.table if request.param == "pyarrow" else library.DataFrame


def vms(**more: Any) -> dict[str, Any]:
    return {"name": ["a", "b"], "memory": [1, 2], **more}


def nodes(**more: Any) -> dict[str, Any]:
    return {"name": ["n", "m"], "memory": [9, 8], **more}


def table(things: Any, keys: tuple[str, ...]) -> dict[str, list[Any]]:
    return {key: [getattr(thing, key) for thing in things] for key in keys}


def refused(vm_table: Any, node_table: Any = None, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        Cluster.from_frame(vm_table, nodes() if node_table is None else node_table, **more)
    return [(flaw.place, flaw.message) for flaw in caught.value.flaws]


def test_all_columns(make: Make) -> None:
    hosts = [Node("n", 9, reserve=1, pool="p"), Node("m", 8, state="offline"), Node("o", 7)]
    guests = [
        VM("a", 1, "n", running=False, pool="p"),
        VM("b", 2, None, movable=False, priority=-3),
        VM("c", 3, "m", protected=False, priority=2),
    ]
    cluster = Cluster.from_frame(make(table(guests, VM_KEYS)), make(table(hosts, NODE_KEYS)), guarantee=Guarantee(failures=0))
    assert cluster == Cluster(hosts, guests, (), Guarantee(failures=0))
    assert isinstance(cluster.nodes, NodeColumns)
    assert isinstance(cluster.vms, VMColumns)
    assert cluster.vms[1] == guests[1]
    assert [type(v) for v in attrs.astuple(cluster.vms[2])] == [type(v) for v in attrs.astuple(guests[2])]


def test_only_names_and_memory_are_needed(make: Make) -> None:
    cluster = Cluster.from_frame(make(vms()), make(nodes()))
    assert cluster == Cluster([Node("n", 9), Node("m", 8)], [VM("a", 1), VM("b", 2)])
    assert cluster.guarantee == Guarantee()


@pytest.mark.parametrize(
    ("memory", "mib"),
    [
        (["1GiB", "2048 MiB"], [1024, 2048]),
        ([8192.0, 1.0], [8192, 1]),
        (["1gib", "3MiB"], [1024, 3]),
    ],
)
def test_memory_as_in_documents(make: Make, memory: list[Any], mib: list[int]) -> None:
    assert [vm.memory for vm in Cluster.from_frame(make(vms(memory=memory)), make(nodes())).vms] == mib


def test_text_beside_numbers_in_one_column() -> None:
    assert [vm.memory for vm in Cluster.from_frame(vms(memory=["1GiB", 7.0]), nodes()).vms] == [1024, 7]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float32, ">i4", "U9", object])
def test_any_array(dtype: Any) -> None:
    cluster = Cluster.from_frame(vms(memory=np.array([1, 2]), priority=np.array([3, 4], np.uint8)), nodes())
    if dtype != "U9":
        assert cluster == Cluster.from_frame(vms(memory=np.array([1, 2], dtype), priority=[3, 4]), nodes())
    named = Cluster.from_frame(vms(name=np.array(["a", "b"], "U9"), node=np.array(["n", "m"], object)), nodes())
    assert list(named.vms) == [VM("a", 1, "n"), VM("b", 2, "m")]


def test_the_callers_arrays_stay_his() -> None:
    memory, running = np.array([1, 2]), np.array([True, True])
    cluster = Cluster.from_frame(vms(memory=memory, running=running), nodes())
    memory[0], running[0] = 5, False
    assert list(cluster.vms) == [VM("a", 1), VM("b", 2)]
    assert isinstance(cluster.vms, VMColumns)
    for column in (cluster.vms.memory, cluster.vms.running, cluster.vms.node, cluster.vms.pool.code):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_nulls_of_every_kind_are_no_node(make: Make) -> None:
    for node in (["n", None], [None, None]):
        assert [vm.node for vm in Cluster.from_frame(make(vms(node=node)), make(nodes())).vms] == node


def test_nulls_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    for column in (["n", float("nan")], pandas.array(["n", None], "string"), pandas.Categorical(["n", None]), ["n", pandas.NaT]):
        cluster = Cluster.from_frame(pandas.DataFrame(vms(node=column)), nodes())
        assert [vm.node for vm in cluster.vms] == ["n", None]
    assert refused(pandas.DataFrame(vms(memory=pandas.array([1, None], "Int64")))) == [
        ("vms[1].memory", "has no value: fill it in")
    ]


def test_nulls_in_an_arrow_dictionary() -> None:
    arrow = pytest.importorskip("pyarrow")
    cluster = Cluster.from_frame(arrow.table(vms(node=arrow.array(["n", None]).dictionary_encode())), nodes())
    assert [vm.node for vm in cluster.vms] == ["n", None]


def test_what_is_masked_is_null() -> None:
    masked = np.ma.masked_array([1, 2], mask=[False, True])
    assert refused(vms(memory=masked)) == [("vms[1].memory", "has no value: fill it in")]
    assert refused(vms(priority=masked)) == [("vms[1].priority", "has no value: fill it in")]


def test_nothing_at_all(make: Make) -> None:
    nothing = make({"name": [], "memory": []})
    assert Cluster.from_frame(nothing, nothing) == Cluster([], [])


@pytest.mark.parametrize(
    ("column", "place", "said"),
    [
        ({"memory": [1.0, 8192.5]}, "vms[1].memory", "8192.5 is not a whole number of MiB"),
        ({"memory": [0, 1]}, "vms[0].memory", "0 is not above zero"),
        ({"memory": [1, 2**26 + 1]}, "vms[1].memory", "is it in bytes?"),
        ({"memory": ["8GiB", "8G"]}, "vms[1].memory", "'8G' has no known unit: write 8GiB"),
        ({"memory": [True, False]}, "vms[0].memory", "True is not memory"),
        ({"memory": [1, None]}, "vms[1].memory", "has no value: fill it in"),
        ({"name": ["a", "a"]}, "vms[1].name", "'a' is taken by vms[0].name: give each its own name"),
        ({"name": ["a", "b+c"]}, "vms[1].name", "holds '+'"),
        ({"name": [3, 4]}, "vms[0].name", "3 is not a string: quote it"),
        ({"name": ["a", None]}, "vms[1].name", "is not a string: quote it"),
        ({"node": ["n", "x"]}, "vms[1].node", "'x' is not a node of this cluster: name one, or leave it empty"),
        ({"node": [0, 1]}, "vms[0].node", "0 is not a string"),
        ({"running": [1, 0]}, "vms[0].running", "1 is neither true nor false"),
        ({"protected": [True, None]}, "vms[1].protected", "has no value: fill it in"),
        ({"priority": [0, 2**40]}, "vms[1].priority", "write a smaller number"),
        ({"priority": [0.0, 0.5]}, "vms[1].priority", "0.5 is not a whole number"),
        ({"pool": ["default", ""]}, "vms[1].pool", "'' is empty"),
        ({"pool": ["p", "p"], "node": [None, "n"]}, "vms[1].node", "in pool 'default', the VM in 'p': put both in one pool"),
    ],
)
def test_bad_entries(make: Make, column: dict[str, Any], place: str, said: str) -> None:
    ((found, message),) = refused(make(vms(**column)))
    assert found == place
    assert said in message


def test_further_keys(make: Make) -> None:
    guests = [VM("a", 1, overhead=2, home="n", used=3), VM("b", 2, home="gone"), VM("c", 2, used=0)]
    cluster = Cluster.from_frame(make(table(guests, ("name", "memory", "overhead", "home", "used"))), make(nodes()))
    assert list(cluster.vms) == guests
    texts = {"name": ["a", "b"], "memory": [1, 2], "overhead": ["1GiB", "0MiB"], "movable": ["cold", "cold"]}
    assert list(Cluster.from_frame(make(texts), make(nodes())).vms) == [
        VM("a", 1, overhead=1024, movable="cold"),
        VM("b", 2, movable="cold"),
    ]


def test_further_keys_of_nodes() -> None:
    more = {"headroom": [None, "2MiB"], "max_vm": [{"memory": "4MiB"}, {}]}
    cluster = Cluster.from_frame(vms(movable=[False, "cold"]), nodes(**more))
    assert list(cluster.nodes) == [Node("n", 9, max_vm={"memory": 4}), Node("m", 8, headroom=2)]
    assert list(cluster.vms) == [VM("a", 1, movable=False), VM("b", 2, movable="cold")]
    assert refused(vms(), nodes(headroom=[9, 9])) == [("nodes[1].headroom", "9MiB is more than the 8MiB for VMs: write less")]
    assert refused(vms(movable=[True, "warm"])) == [
        ("vms[1].movable", "'warm' is not one of true, false, 'cold': write one of these")
    ]


def test_bad_entries_that_only_lists_can_hold() -> None:
    assert [place for place, _ in refused(vms(memory=["1MiB", True]))] == ["vms[1].memory"]
    assert [place for place, _ in refused(vms(memory=[1, True]))] == ["vms[1].memory"]
    assert [place for place, _ in refused(vms(memory=[1, [2]]))] == ["vms[1].memory"]
    assert [place for place, _ in refused(vms(running=[True, 1]))] == ["vms[1].running"]


def test_bad_nodes(make: Make) -> None:
    assert refused(make(vms()), make(nodes(reserve=[1, 8]))) == [
        ("nodes[1].reserve", "8MiB leaves nothing of 8MiB: write less than the memory")
    ]
    assert refused(make(vms()), make(nodes(state=["online", "up"], reserve=[-1, 0]))) == [
        ("nodes[1].state", "'up' is not one of online, maintenance, offline: write one of these"),
        ("nodes[0].reserve", "-1 is negative: write a whole number of MiB, or a string such as '8GiB', or 0"),
    ]


def test_unknown_and_missing_columns(make: Make) -> None:
    assert refused(make({"name": ["a"], "memoire": [1], "tags": ["x"], "cpu": [2]})) == [
        ("vms", "unknown column 'memoire'; did you mean 'memory'?"),
        ("vms", "the column 'tags' cannot be in a table: leave it out, or give each as a VM"),
        ("vms", "unknown column 'cpu': leave it out"),
        ("vms", "the column 'memory' is missing: add it"),
    ]


def test_what_is_no_table() -> None:
    for odd in ("vms.csv", None, 5, [{"name": "a", "memory": 1}]):
        ((place, message),) = refused(odd)
        assert place == "vms"
        assert message.endswith("is not a table: give a dataframe, or a mapping of columns")
    assert refused(vms(memory=[1])) == [("vms.memory", "1 entries for 2 names: give one for each")]
    assert refused(vms(memory=5)) == [("vms.memory", "is not a column: give an entry for each row")]
    assert refused(vms(memory=np.array([[1], [2]]))) == [("vms.memory", "is not a column: give an entry for each row")]


def test_columns_that_stand_twice() -> None:
    pandas = pytest.importorskip("pandas")
    twice = pandas.DataFrame([["a", 1, 1]], columns=["name", "memory", "memory"])
    assert refused(twice) == [("vms", "the column 'memory' stands twice: keep one")]


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_table_that_is_not_in_memory() -> None:
    polars = pytest.importorskip("polars")
    found = refused(polars.LazyFrame(vms()))
    assert [place for place, _ in found] == ["vms.name", "vms.memory"]
    assert all(message.endswith("give a table in memory") for _, message in found)


def test_rules_name_vms_of_tables() -> None:
    tables = vms(node=["n", "m"]), nodes()
    rules = [Apart(["a", "b"]), OnlyOn(["a"], ["n"])]
    cluster = Cluster.from_frame(*tables, rules=rules)
    assert cluster == Cluster(list(cluster.nodes), list(cluster.vms), rules)
    assert refused(*tables, rules=[OnlyOn(["a"], Tag("gpu"))])[0][0] == "rules[0]"


def without_tags(cluster: Cluster) -> Cluster:
    """What columns can hold of a cluster."""
    rules = [rule for rule in cluster.rules if not isinstance(rule.vms, Tag) and not isinstance(getattr(rule, "nodes", ()), Tag)]
    hosts = [evolve(node, tags=()) for node in cluster.nodes]
    return evolve(cluster, nodes=hosts, vms=[evolve(vm, tags=()) for vm in cluster.vms], rules=rules)


@st.composite
def twins(draw: Any) -> tuple[Cluster, Cluster]:
    """A cluster of objects and the same from tables of some library, which may have memory as text and columns left out."""
    objects = without_tags(draw(clusters()))
    vm_table, node_table = table(objects.vms, VM_KEYS), table(objects.nodes, NODE_KEYS)
    for columns, default in ((vm_table, VM("x", 1)), (node_table, Node("x", 1))):
        if draw(st.booleans()):
            columns["memory"] = [format_memory(mib) for mib in columns["memory"]]
        for key in list(columns)[2:]:
            if draw(st.booleans()) and set(columns[key]) <= {getattr(default, key)}:
                del columns[key]
    make = draw(st.sampled_from(MAKERS))
    return objects, Cluster.from_frame(make(vm_table), make(node_table), rules=objects.rules, guarantee=objects.guarantee)


def _makers() -> list[Make]:
    makers: list[Make] = [dict]
    for name, kind in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")):
        try:
            makers.append(getattr(__import__(name), kind))
        except ImportError:
            continue
    return makers


MAKERS = _makers()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if attrs.has(type(one)):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in attrs.fields(type(one)))
    return bool(one == other)


@settings(max_examples=40, deadline=None)
@given(twins())
def test_tables_and_objects_are_one(twin: tuple[Cluster, Cluster]) -> None:
    objects, tables = twin
    assert objects == tables
    assert tables == objects
    assert hash(objects) == hash(tables)
    assert list(tables.vms) == list(objects.vms)
    assert [tables.nodes[i] for i in range(len(tables.nodes))] == list(objects.nodes)
    assert same(compile_problem(objects), compile_problem(tables))
    assert to_document(objects) == to_document(tables)


def told(result: Any) -> dict[str, Any]:
    return {key: value for key, value in result.to_dict().items() if key != "stats"}


@settings(max_examples=25, deadline=None)
@given(twins())
def test_tables_and_objects_are_judged_alike(twin: tuple[Cluster, Cluster]) -> None:
    objects, tables = map(check, twin)
    assert told(objects) == told(tables)
    assert objects.nodes == tables.nodes


@settings(max_examples=60, deadline=None)
@given(twins(), st.randoms(use_true_random=False))
def test_tables_and_objects_are_audited_alike(twin: tuple[Cluster, Cluster], random: Any) -> None:
    objects, tables = twin
    placement, failover = ([random.randrange(-1, len(objects.nodes)) for _ in objects.vms] for _ in range(2))
    columns = np.array(placement, np.int64), np.array(failover, np.int64)
    assert audit(objects, *columns) == audit(tables, *columns)
    assert audit(objects, columns[0]) == audit(tables, columns[0])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(twins())
def test_tables_and_objects_are_placed_alike(twin: tuple[Cluster, Cluster]) -> None:
    objects, tables = (place(cluster, method="greedy") for cluster in twin)
    assert told(objects) == told(tables)
    if objects.node_of is not None:
        assert tables.to_document() == objects.to_document()


def test_a_million_rows_make_no_object_each(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 300_000
    monkeypatch.delattr(vmplace.model.columns._Columns, "_objects")
    hosts = {"name": [f"n{i}" for i in range(1000)], "memory": ["512GiB"] * 1000}
    guests = {
        "name": [f"v{i}" for i in range(count)],
        "memory": np.full(count, 1024),
        "node": np.array([f"n{i}" for i in range(1000)], object)[np.arange(count) % 1000],
        "protected": np.arange(count) % 2 == 0,
    }
    start = time.process_time()
    cluster = Cluster.from_frame(guests, hosts, rules=[Apart(["v0", "v1"])])
    problem = compile_problem(cluster)
    assert time.process_time() - start < 2
    assert problem.n_vms == count
    assert Fraction(int(problem.protected.sum()), count) == Fraction(1, 2)
