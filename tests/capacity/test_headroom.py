"""How many more VMs: equal to brute force on small clusters of every kind, with a witness that the audit accepts."""

import math
import threading
import time
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vmplace
from tests.laws.test_guarantees import FEATURES
from tests.support.campaigns import Law, both_suites
from tests.support.conjunctions import LISTS, all_planned, world_of
from vmplace import VM, Cluster, Guarantee, InputError, Node
from vmplace.model.what_if import part_of
from vmplace.synthetic import generate
from vmplace.testing import clusters

MOST = 5
"""So many more VMs brute force can bear."""

FEW = {name: 1 for name in FEATURES if name.startswith("in-turn")}
"""What takes brute force long."""


def more(cluster: Cluster, memory: int, times: int, **fields: Any) -> Cluster:
    return evolve(cluster, vms=[*cluster.vms, *(VM(f"more{i}", memory, **fields) for i in range(times))])


def equals_brute_force(cluster: Cluster, memory: int, pool: str, move_running: bool, overhead: int) -> None:
    amounts = {name: 1 for thing in cluster.nodes for name in thing.resources}
    needs: dict[str, Any] = {"overhead": overhead, "resources": amounts}
    found = vmplace.headroom(cluster, memory, **needs, pool=pool, move_running=move_running, time_limit=20)
    part, _ = part_of(cluster, pool)

    def fits(times: int) -> bool:
        world = world_of(more(part, memory, times, pool=pool, **needs))
        return world.optimum("moves", move_running=move_running) is not None

    if found.status == "infeasible":
        assert not fits(0)
        assert found.count == 0
    if found.status in ("optimal", "feasible"):
        assert found.count is not None
        assert found.bound is not None
        assert found.count <= found.bound <= min(found.limits.values())
        assume(found.bound < MOST)
        assert fits(found.count)
        assert not any(fits(times) for times in range(found.bound + 1, MOST + 1))
        accepted(found)
    if all_planned(part):
        assert found.status in ("optimal", "infeasible")


def accepted(found: Any) -> None:
    """The witness has so many more VMs, and holds."""
    assert found.solution.guarantee == "safe"
    asked = found.solution.cluster
    assert len(found.added) == found.count * sum(found.bundle.values()) == sum(found.where.values())
    assert {vm.name for vm in asked.vms} - {vm.name for vm in found.cluster.vms} == set(found.added)
    wrong = vmplace.audit(asked, found.placement, found.failover)
    assert {violation.kind for violation in wrong} <= {"unverified"}
    assert vmplace.audit_result(found.cluster, found).status != "refuted"
    document = found.to_document()
    assert [vm.name for vm in document.vms] == [*(vm.name for vm in found.cluster.vms), *found.added]
    assert all(vm.node == found.placement[vm.name] for vm in document.vms if vm.name in found.placement)


@st.composite
def asked(draw: Any, **knobs: Any) -> tuple[Cluster, int, str, bool, int]:
    """A cluster with room for a few VMs more of the size asked about, or of nearly none."""
    cluster = draw(clusters(max_nodes=3, max_vms=3, min_nodes=1, **knobs))
    unit = math.gcd(*(vm.memory for vm in cluster.vms)) or 1
    memory = unit * draw(st.sampled_from((1, 2, 3, 4, 5, 8)))
    extra = [draw(st.sampled_from((0, 0, 1, 2, 3))) * memory // draw(st.sampled_from((1, 2))) for _ in cluster.nodes]
    hosts = [evolve(node, memory=node.memory + more) for node, more in zip(cluster.nodes, extra, strict=True)]
    pools = sorted({thing.pool for thing in (*hosts, *cluster.vms)})
    overhead = draw(st.sampled_from((0, 0, 1, unit)))
    return evolve(cluster, nodes=hosts), memory, draw(st.sampled_from(pools)), draw(st.booleans()), overhead


def judged(drawn: Any) -> None:
    equals_brute_force(*drawn)


LAWS = {
    "plain": Law(judged, 30, {"drawn": asked()}),
    **{name: Law(judged, FEW.get(name, 7), {"drawn": asked(**knobs)}) for name, knobs in {**FEATURES, **LISTS}.items()},
}
test_the_number_is_that_of_brute_force = both_suites(LAWS, 10)


TIGHT = Cluster(
    [Node(f"n{i}", "64GiB", resources={"vcpu": 8}) for i in range(3)], [VM("a", "16GiB", "n0", resources={"vcpu": 4})]
)


def test_the_resource_that_binds_is_told():
    found = vmplace.headroom(TIGHT, "8GiB", resources={"vcpu": 4})
    assert (found.status, found.count, found.binding) == ("optimal", 3, "vcpu")
    assert found.limits == {"memory": 14, "vcpu": 3}
    assert "vcpu" in found.reason
    roomy = vmplace.headroom(TIGHT, "8GiB")
    assert (roomy.count, roomy.binding, dict(roomy.limits)) == (14, "memory", {"memory": 14})


def test_overhead_comes_on_top_of_each_vm_and_is_no_part_of_its_size():
    limited = evolve(TIGHT, nodes=[evolve(node, max_vm={"memory": "16GiB"}) for node in TIGHT.nodes])
    found = vmplace.headroom(limited, "16GiB", overhead="2GiB")
    assert (found.count, found.overhead) == (vmplace.headroom(TIGHT, "18GiB").count, 2048)
    assert found.to_dict()["overhead"] == 2048
    assert {vm.overhead for vm in found.to_document().vms if vm.name in found.added} == {2048}
    accepted(found)
    assert vmplace.headroom(limited, "18GiB").count == 0
    (row,) = vmplace.headroom_table(limited, ["16GiB"], overhead="2GiB").rows
    assert (row.count, row.overhead) == (found.count, 2048)


def test_a_mix_comes_as_one():
    found = vmplace.headroom(TIGHT, {"8GiB": 2, 16384: 1})
    assert found.count == 3
    assert dict(found.bundle) == {16384: 1, 8192: 2}
    assert len(found.added) == 9
    accepted(found)


def test_vms_may_make_room_if_they_may_move():
    crowded = Cluster([Node(f"n{i}", 10) for i in range(4)], [VM(f"v{i}", 4, f"n{i}") for i in range(4)])
    staying, moving = (vmplace.headroom(crowded, 9, move_running=moving) for moving in (False, True))
    assert (staying.status, staying.count, moving.status, moving.count) == ("optimal", 0, "optimal", 1)
    assert moving.solution.migrations
    accepted(moving)


def test_a_cluster_that_is_unsafe_has_no_room_and_it_is_told_why():
    unsafe = Cluster([Node("n0", 10), Node("n1", 10), Node("n2", 10)], [VM("a", 8, "n0"), VM("b", 4, "n1"), VM("c", 4, "n2")])
    found = vmplace.headroom(unsafe, 1)
    assert (found.status, found.count, found.solution, found.placement) == ("infeasible", 0, None, None)
    assert "n0: a needs 8 MiB" in found.reason
    assert found.to_dict()["placement"] is None
    with pytest.raises(ValueError, match="infeasible"):
        found.to_document()


def test_another_pool_that_is_unsafe_does_not_matter():
    nodes = [*TIGHT.nodes, Node("m", 8, pool="lone")]
    both = Cluster(nodes, [*TIGHT.vms, VM("b", 4, "m", pool="lone")])
    found = vmplace.headroom(both, "8GiB", pool="default")
    assert (found.status, found.count) == ("optimal", 14)
    assert {vm.name for vm in found.to_document().vms} == {"a", "b", *found.added}
    assert vmplace.headroom(both, 1, pool="lone").status == "infeasible"


def test_in_no_time_nothing_is_claimed():
    found = vmplace.headroom(TIGHT, 1, time_limit=0)
    assert (found.status, found.count, found.solution, found.gap) == ("unknown", None, None, None)


def test_cancelled_it_returns_what_it_has():
    cancel = threading.Event()
    cancel.set()
    assert vmplace.headroom(TIGHT, 1, cancel=cancel).status == "unknown"


def test_the_limit_of_time_is_kept_and_progress_told():
    cluster = vmplace.place(generate(nodes=32, fill=0.9, profile="azure", seed=1), method="greedy").to_document()
    told: list[vmplace.Progress] = []
    start = time.monotonic()
    found = vmplace.headroom(cluster, "1GiB", time_limit=2, progress=told.append)
    assert time.monotonic() - start < 4
    assert (found.status, found.gap < 0.05) == ("feasible", True)
    assert told[-1].phase == "search"
    accepted(found)


@pytest.mark.parametrize("nodes", [0, 1])
def test_a_cluster_without_enough_nodes_takes_none(nodes):
    found = vmplace.headroom(Cluster([Node("n", 8)][:nodes]), 1)
    assert (found.status, found.count) == ("optimal", 0)


def test_where_nothing_is_to_be_survived_all_room_counts():
    free = evolve(TIGHT, guarantee=Guarantee(failures=0))
    assert vmplace.headroom(free, "64GiB").count == 2


def test_the_table_has_a_row_for_each_size():
    table = vmplace.headroom_table(TIGHT, ["8GiB", "64GiB", "1TiB"])
    assert [row.count for row in table.rows] == [14, 1, 0]
    assert table.status == "optimal"
    assert [row["objective"]["value"] for row in table.to_dict()["rows"]] == [14, 1, 0]
    assert [next(iter(row.bundle)) for row in vmplace.headroom_table(TIGHT, time_limit=5).rows] == [1024 * 2**i for i in range(9)]
    assert vmplace.headroom_table(TIGHT, ["1GiB"], time_limit=0).status == "unknown"


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"memory": "8G"}, "memory"),
        ({"memory": {}}, "memory"),
        ({"memory": {"8GiB": 0}}, "memory['8GiB']"),
        ({"memory": 1, "resources": {"vcpu": -1}}, "resources.vcpu"),
        ({"memory": 1, "resources": {"memory": 1}}, "resources.memory"),
        ({"memory": 1, "overhead": "1GB"}, "overhead"),
        ({"memory": 1, "pool": "x"}, "pool"),
        ({"memory": 1, "method": "magic"}, "method"),
        ({"memory": 1, "seed": -1}, "seed"),
        ({"memory": 1, "time_limit": -1}, "time_limit"),
    ],
)
def test_a_wrong_argument_is_named(arguments, place):
    with pytest.raises(InputError) as refused:
        vmplace.headroom(TIGHT, **arguments)
    assert refused.value.flaws[0].place == place


def test_columns_are_as_good_as_objects():
    held = vmplace.place(generate(nodes=6, fill=0.7, profile="flavors", seed=2), method="greedy").to_document()
    plain = Cluster(tuple(held.nodes), tuple(held.vms), meta=held.meta)
    first, second = (vmplace.headroom(cluster, "24GiB") for cluster in (held, plain))
    assert (first.status, first.count) == (second.status, second.count) == ("optimal", first.bound)
    assert first.to_document() == second.to_document()


def by_sums(cluster: Cluster, size: int) -> int:
    """How many more fit as if all that is free were in one piece, in normal running and after each failure."""
    loads = {node.name: sum(vm.memory for vm in cluster.vms if vm.node == node.name) for node in cluster.nodes}
    free = {node.name: node.usable - loads[node.name] for node in cluster.nodes}
    left = [sum(free.values()), *(sum(free.values()) - free[name] - loads[name] for name in free)]
    return max(0, min(left)) // size


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_what_is_too_little_in_all_and_what_is_in_pieces_are_told_apart(data):
    pieces = data.draw(st.lists(st.integers(2, 12), min_size=2, max_size=4))
    loads = [data.draw(st.integers(0, room // 3)) for room in pieces]
    nodes = [Node(f"n{i}", room) for i, room in enumerate(pieces)]
    cluster = Cluster(nodes, [VM(f"v{i}", load, f"n{i}") for i, load in enumerate(loads) if load])
    size = data.draw(st.integers(1, 7))
    found = vmplace.headroom(cluster, size)
    assert found.by_sum["memory"] == by_sums(cluster, size)
    if found.status == "optimal":
        assert ("in pieces" in found.reason) is (found.count < by_sums(cluster, size))
        assert ("too little memory" in found.reason) is (found.count == by_sums(cluster, size))


def test_by_sum_is_the_least_of_all_guarantees():
    hosts = [Node("n0", 4, domain="x"), Node("n1", 4, domain="x"), Node("n2", 6, domain="y")]
    asked = [Guarantee(), Guarantee(scope="domain")]
    found = vmplace.headroom(Cluster(hosts, [VM("v", 2, "n2")], guarantee=asked), 3)
    assert (found.status, found.count, found.by_sum) == ("optimal", 1, {"memory": 1})
    assert found.reason.endswith(" (guarantee 2) would leave too little memory in all")


@pytest.mark.parametrize(
    ("free", "size", "count", "reason"),
    [
        ((40, 40, 40, 40), 64, 0, "the nodes have enough memory in all, but in pieces that are too small for one more"),
        ((64, 64, 24, 24), 64, 1, "with one more, a failure of n0 would leave too little memory in all"),
        ((64, 64, 40, 40), 64, 1, "with one more, a failure of n0 would leave enough memory in all, but in pieces"),
        ((10, 10), 16, 0, "with one more, a failure of n0 would leave too little memory in all"),
    ],
)
def test_a_row_names_what_limits_it(free, size, count, reason):
    cluster = Cluster([Node(f"n{i}", room) for i, room in enumerate(free)])
    (row,) = vmplace.headroom_table(cluster, [size]).rows
    assert (row.count, row.reason[: len(reason)]) == (count, reason)
    assert vmplace.headroom(cluster, size).reason == row.reason
