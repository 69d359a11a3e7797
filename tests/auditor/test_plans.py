"""Failover plans: scenarios of several units, evictions, migrations under way and further resources."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.auditor.plans import sums_by_key
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def judge(nodes, vms, plans, *, soft=(), overcommit=None, **guarantee):
    """Kind and subject of each violation of the placement as it stands."""
    cluster = Cluster(nodes, vms, (), Guarantee(**guarantee), soft_resources=soft, overcommit=overcommit or {})
    return [(v.kind, v.subject) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans)]


def hosts(*sizes, **more):
    return [Node(f"n{i}", size, **more) for i, size in enumerate(sizes, 1)]


# Several units


FOUR = hosts(10, 10, 10, 10)
SPREAD = [VM("a", 4, "n1"), VM("b", 4, "n2"), VM("c", 4, "n3")]
PAIRS = {
    "n1+n2": {"a": "n3", "b": "n4"},
    "n1+n3": {"a": "n2", "c": "n4"},
    "n1+n4": {"a": "n2"},
    "n2+n3": {"b": "n1", "c": "n4"},
    "n2+n4": {"b": "n3"},
    "n3+n4": {"c": "n1"},
}


def test_plans_for_two_failures_at_once():
    assert judge(FOUR, SPREAD, PAIRS, failures=2) == []
    assert judge(FOUR, SPREAD, dict(reversed(PAIRS.items())), failures=2) == []


@pytest.mark.parametrize(
    ("change", "violations"),
    [
        ({"n1+n2": {"a": "n3"}}, [("unprotected", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": None}}, [("unprotected", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": "n1"}}, [("failover", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": "n4", "c": "n4"}}, [("failover", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": "n4", "c": None}}, [("failover", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": "n4", "ghost": None}}, [("failover", "n1+n2")]),
        ({"n1+n2": {"a": "n3", "b": "ghost"}}, [("failover", "n1+n2"), ("unprotected", "n1+n2")]),
        ({"n2+n1": {}}, [("failover", "n2+n1")]),
        ({"n1": {}}, [("failover", "n1")]),
        ({"n1+n2+n3": {}}, [("failover", "n1+n2+n3")]),
        ({"n1+n1": {}}, [("failover", "n1+n1")]),
        ({"": {}}, [("failover", "")]),
        ({"n2+n1": {"a": "n3"}}, [("failover", "n2+n1"), ("failover", "n2+n1")]),
    ],
)
def test_what_a_plan_for_two_failures_breaks(change, violations):
    assert judge(FOUR, SPREAD, {**PAIRS, **change}, failures=2) == violations


def test_a_scenario_left_out_has_an_empty_plan():
    plans = {key: plan for key, plan in PAIRS.items() if key not in ("n1+n2", "n2+n4")}
    assert judge(FOUR, SPREAD, plans, failures=2) == [("unprotected", "n1+n2")] * 2 + [("unprotected", "n2+n4")]


def test_restarts_from_two_nodes_add_up():
    nodes, vms = hosts(10, 10, 10), [VM("a", 6, "n1"), VM("b", 5, "n2")]
    cluster = Cluster(nodes, vms, (), Guarantee(failures=2))
    told = audit(cluster, {"a": "n1", "b": "n2"}, {"n1+n2": {"a": "n3", "b": "n3"}, "n1+n3": {"a": "n2"}, "n2+n3": {"b": "n1"}})
    assert [(v.subject, v.message) for v in told] == [
        ("n1+n2", "if n1+n2 fails, n3 would hold 11 MiB, 1 MiB more than its 10 MiB"),
        ("n1+n3", "if n1+n3 fails, n2 would hold 11 MiB, 1 MiB more than its 10 MiB"),
        ("n2+n3", "if n2+n3 fails, n1 would hold 11 MiB, 1 MiB more than its 10 MiB"),
    ]


def test_where_fewer_are_than_fail_nothing_is_left():
    vms = [VM("a", 1, "n1"), VM("u", 1, "n2", protected=False)]
    assert judge(hosts(10, 10), vms, {}, failures=3) == [("unprotected", "n1+n2")]
    assert judge(hosts(10, 10), vms, {"n1+n2": {"a": "n2"}}, failures=3) == [("failover", "n1+n2")]
    assert judge(hosts(10, 10), [VM("u", 1, "n2", protected=False)], {}, failures=3) == []


def test_a_column_does_not_tell_plans_for_several_failures():
    cluster = Cluster(FOUR, SPREAD, (), Guarantee(failures=2))
    with pytest.raises(
        InputError, match=r"^failover: one node for each VM cannot describe plans for 2 failures: give VM to node by scenario"
    ):
        audit(cluster, [0, 1, 2], [3, 3, 3])


# Domains


RACKS = [Node("n1", 10, domain="a"), Node("n2", 10, domain="a"), Node("n3", 10, domain="b"), Node("n4", 10)]


def test_plans_for_domains():
    vms = [VM("v", 4, "n1"), VM("w", 4, "n2"), VM("x", 4, "n3")]
    plans = {"a": {"v": "n3", "w": "n4"}, "b": {"x": "n1"}}
    assert judge(RACKS, vms, plans, scope="domain") == []
    assert judge(RACKS, vms, {**plans, "a": {"v": "n2", "w": "n4"}}, scope="domain") == [("failover", "a")]
    assert judge(RACKS, vms, {"b": {"x": "n1"}, "a": {"v": "n3"}}, scope="domain") == [("unprotected", "a")]
    assert judge(RACKS, vms, {**plans, "n1": {}}, scope="domain") == [("failover", "n1")]
    assert judge(RACKS, vms, {**plans, "n4": {}}, scope="domain") == []
    columns = Cluster(RACKS, vms, (), Guarantee(scope="domain"))
    assert audit(columns, [0, 1, 2], [2, 3, 0]) == []
    assert [v.subject for v in audit(columns, [0, 1, 2], [1, 3, 2])] == ["a", "b"]


def test_an_empty_domain_may_have_an_empty_plan():
    nodes = [Node("n1", 10, domain="a", state="offline"), Node("n2", 10)]
    assert judge(nodes, [], {"a": {}}, scope="domain") == []
    assert judge(nodes, [VM("v", 1, "n2")], {"a": {"v": None}, "n2": {}}, scope="domain") == [
        ("failover", "a"),
        ("unprotected", "n2"),
    ]


def test_one_key_for_a_domain_in_two_pools_joins_two_plans():
    nodes = [Node(f"{pool}{i}", 10, domain=domain, pool=pool) for pool in "pq" for i, domain in enumerate("ab", 1)]
    vms = [VM("v", 4, "p1", pool="p"), VM("w", 4, "q1", pool="q"), VM("x", 7, "q2", pool="q")]
    plans = {"a": {"v": "p2", "w": "q2"}, "b": {"x": "q1"}}
    assert judge(nodes, [*vms[:2], VM("x", 6, "q2", pool="q")], plans, scope="domain") == []
    assert judge(nodes, vms, plans, scope="domain") == [("failover", "a"), ("failover", "b")]
    assert judge(nodes, vms[:2], {"a": {"v": "q2", "w": "q2"}}, scope="domain") == [("failover", "a")]
    assert judge(nodes, vms[:2], {"a": {"v": "p2"}}, scope="domain") == [("unprotected", "a")]
    assert judge(nodes, vms[:2], {"a": {"v": "p2", "w": "q2", "x": "q1"}}, scope="domain") == [("failover", "a")]


# Further resources


def test_every_resource_binds_restarts():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": 4}) for i in (1, 2, 3)]
    vms = [VM("a", 1, "n1", resources={"vcpu": 3}), VM("b", 1, "n2", resources={"vcpu": 2})]
    cluster = Cluster(nodes, vms)
    assert audit(cluster, [0, 1], [2, 2]) == []
    (told,) = audit(cluster, [0, 1], {"n1": {"a": "n2"}, "n2": {"b": "n3"}})
    assert (told.kind, told.subject) == ("failover", "n1")
    assert told.message == "if n1 fails, n2 would hold 5 vcpu, 1 more than its 4"
    assert judge(nodes, vms, {"n1": {"a": "n2"}, "n2": {"b": "n3"}}, overcommit={"vcpu": 1.25}) == []
    assert judge(nodes, vms, {"n1": {"a": "n2"}, "n2": {"b": "n3"}}, soft=["vcpu"]) == []


def test_a_node_that_lacks_a_resource_takes_who_needs_none():
    nodes = [Node("n1", 10), Node("n2", 10), Node("n3", 10, resources={"vcpu": 1})]
    vms = [VM("a", 1, "n1"), VM("u", 1, "n2", protected=False, resources={"vcpu": 1})]
    assert judge(nodes, vms, {"n1": {"a": "n2"}}) == [("overfull", "n2")]
    vms = [VM("a", 1, "n3", resources={"vcpu": 1})]
    assert judge(nodes, vms, {"n3": {"a": "n2"}}) == [("failover", "n3")]


# Evictions


CROWDED = [VM("a", 6, "n1"), VM("e", 6, "n2", evictable=True)]


@pytest.mark.parametrize(
    ("plans", "violations"),
    [
        ({"n1": {"a": "n2", "e": None}}, []),
        ({"n1": {"a": "n2"}}, [("failover", "n1")]),
        ({"n1": {"a": "n2", "e": "n2"}}, [("failover", "n1"), ("failover", "n1")]),
        ({"n1": {"a": "n2", "e": None}, "n2": {"e": None}}, []),
        ({"n1": {"a": "n2", "e": None}, "n2": {"e": "n1"}}, [("failover", "n2")]),
        ({"n1": {"a": "n2", "e": None}, "n2": {"e": "n1", "a": None}}, [("failover", "n2"), ("failover", "n2")]),
        ({"n1": {"a": None, "e": None}}, [("unprotected", "n1")]),
        ({"n1": {"a": None}}, [("unprotected", "n1")]),
    ],
)
def test_an_evictable_vm_makes_room_if_it_is_listed_as_null(plans, violations):
    assert judge(hosts(10, 10), CROWDED, plans) == violations


def test_an_evictable_vm_that_is_displaced_may_restart_where_it_does_no_harm():
    vms = [VM("a", 4, "n1"), VM("e", 4, "n1", evictable=True), VM("b", 2, "n2")]
    for plan in ({"a": "n2"}, {"a": "n2", "e": None}, {"a": "n2", "e": "n2"}):
        assert judge(hosts(10, 10), vms, {"n1": plan, "n2": {"b": "n1"}}) == []
    assert judge(hosts(10, 9), vms, {"n1": {"a": "n2", "e": "n2"}, "n2": {"b": "n1"}}) == [("failover", "n1")]
    assert judge(hosts(10, 10), vms, {"n1": {"a": "n2", "e": "n1"}, "n2": {"b": "n1"}}) == [("failover", "n1")]


def test_an_unprotected_evictable_vm_may_be_stopped_but_does_not_restart():
    vms = [VM("a", 6, "n1"), VM("e", 6, "n2", evictable=True, protected=False)]
    assert judge(hosts(10, 10), vms, {"n1": {"a": "n2", "e": None}, "n2": {"e": None}}) == []
    assert judge(hosts(20, 10), vms, {"n1": {"a": "n2", "e": None}, "n2": {"e": "n1"}}) == [("failover", "n2")]


def test_an_eviction_counts_in_its_scenario_alone():
    vms = [VM("a", 6, "n1"), VM("b", 6, "n2"), VM("e", 6, "n3", evictable=True)]
    stopped = {"n1": {"a": "n3", "e": None}, "n2": {"b": "n3", "e": None}}
    assert judge(hosts(10, 10, 10), vms, stopped) == []
    assert judge(hosts(10, 10, 10), vms, {**stopped, "n2": {"b": "n3"}}) == [("failover", "n2")]
    assert judge(hosts(10, 10, 10, 10), vms, {"n1+n2": {"a": "n3", "b": "n4", "e": None}}, failures=2)[:3] == [
        ("unprotected", "n1+n3"),
        ("unprotected", "n1+n4"),
        ("unprotected", "n2+n3"),
    ]


def test_in_columns_whoever_is_evictable_gives_way():
    cluster = Cluster(hosts(10, 10), CROWDED)
    assert audit(cluster, [0, 1], [1, -1]) == []
    assert [v.kind for v in audit(Cluster(hosts(11, 10), [VM("a", 11, "n1"), CROWDED[1]]), [0, 1], [1, -1])] == ["failover"]
    vms = [VM("a", 4, "n1"), VM("e", 7, "n1", evictable=True)]
    assert [v.kind for v in audit(Cluster(hosts(11, 10), vms), [0, 0], [1, 1])] == ["failover"]


def test_a_stopped_vm_that_is_evictable_is_in_no_plan():
    vms = [VM("a", 6, "n1"), VM("e", 6, "n2", evictable=True, running=False)]
    assert judge(hosts(10, 10), vms, {"n1": {"a": "n2", "e": None}}) == [("failover", "n1")]


# Migrations under way


def test_the_charge_on_a_target_stays_whatever_fails():
    vms = [VM("m", 4, "n1", target="n2"), VM("b", 6, "n3", protected=False)]
    assert judge(hosts(10, 8, 10), vms, {"n1": {"m": "n2"}}) == []
    assert judge(hosts(10, 7, 10), vms, {"n1": {"m": "n2"}}) == [("failover", "n1")]
    assert judge(hosts(10, 7, 10), vms, {"n1": {"m": "n3"}}) == []
    vms = [VM("m", 4, "n1", target="n2"), VM("b", 6, "n3")]
    assert judge(hosts(10, 9, 10), vms, {"n1": {"m": "n3"}, "n3": {"b": "n2"}}) == [("failover", "n3")]
    assert judge(hosts(10, 10, 10), vms, {"n1": {"m": "n3"}, "n3": {"b": "n2"}}) == []


def test_the_charge_on_a_target_that_fails_is_gone_and_displaces_nobody():
    vms = [VM("m", 4, "n1", target="n2")]
    assert judge(hosts(10, 10), vms, {"n1": {"m": "n2"}, "n2": {}}) == []
    assert judge(hosts(10, 10), vms, {"n1": {"m": "n2"}, "n2": {"m": "n1"}}) == [("failover", "n2")]
    assert judge(hosts(10, 10, 10), vms, {"n1+n2": {"m": "n3"}, "n1+n3": {"m": "n2"}}, failures=2) == []


@pytest.mark.parametrize("protected", [True, False])
def test_stopping_an_evictable_vm_frees_its_target_too(protected):
    m = VM("m", 4, "n1", target="n2", evictable=True, protected=protected)
    vms = [m, VM("b", 8, "n3")]
    assert judge(hosts(10, 10, 10), vms, {"n3": {"b": "n2", "m": None}}) == []
    assert judge(hosts(10, 10, 10), vms, {"n3": {"b": "n1", "m": None}}) == []
    assert judge(hosts(10, 10, 10), vms, {"n3": {"b": "n2"}}) == [("failover", "n3")]
    assert audit(Cluster(hosts(10, 10, 10), vms), [0, 2], [-1, 1]) == []
    for plan in ({"b": "n2"}, {"b": "n2", "m": None}):  # displaced, it is stopped unless it restarts
        assert judge(hosts(20, 10, 20), [m, VM("b", 8, "n1")], {"n1": plan}) == []


def test_an_evictable_vm_that_restarts_keeps_its_target():
    vms = [VM("m", 4, "n1", target="n2", evictable=True), VM("b", 7, "n1")]
    assert judge(hosts(20, 10, 10), vms, {"n1": {"b": "n2", "m": "n3"}}) == [("failover", "n1")]
    assert judge(hosts(20, 11, 10), vms, {"n1": {"b": "n2", "m": "n3"}}) == []
    cluster = Cluster(hosts(20, 10, 10), vms)
    assert [v.kind for v in audit(cluster, [0, 0], [2, 1])] == ["failover"]
    assert audit(cluster, [0, 0], [-1, 1]) == []


# Columns and sums


@settings(max_examples=40, deadline=None)
@given(clusters(placed="all", failures=(1, 1, 0), domains=True, resources=True, evictable=True, targets=True))
def test_a_column_is_a_plan_that_stops_every_evictable_vm(cluster):
    world = World(cluster)
    plans = {
        key: next(iter(world.full_plans(world.now, key, world.displaced(world.now, key))), {})
        for key in world.scenarios(world.now)
    }
    stopped = {key: {**dict.fromkeys(world.evictable.intersection(world.now)), **plan} for key, plan in plans.items()}
    to = {vm: node for plan in plans.values() for vm, node in plan.items() if node is not None}
    index = {node.name: i for i, node in enumerate(cluster.nodes)} | {None: -1}
    column = np.array([index[to.get(vm.name)] for vm in cluster.vms], dtype=np.int64)
    assert audit(cluster, world.now, column) == audit(cluster, world.now, stopped)


@pytest.mark.parametrize("far", [0, 2**62])
def test_amounts_are_summed_by_key_whether_or_not_they_fit_one_number(far):
    keys, amounts = np.array([3 + far, 1, 3 + far, 0]), np.array([9, 8, 7, 2**20])
    found, total = sums_by_key(keys, amounts)
    assert found.tolist() == [0, 1, 3 + far]
    assert total.tolist() == [2**20, 8, 16]


def test_nothing_sums_up_to_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    assert [part.tolist() for part in sums_by_key(nothing, nothing)] == [[], []]


# Without plans


def told(nodes, vms, soft=(), **guarantee):
    cluster = Cluster(nodes, vms, (), Guarantee(**guarantee), soft_resources=soft)
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms})]


NODES = [Node("n1", 10), Node("n2", 10), Node("n3", 10)]


@pytest.mark.parametrize(("memory", "kind"), [(5, "unverified"), (6, "unprotected")])
def test_two_failures_leave_what_is_free_elsewhere(memory, kind):
    vms = [VM("a", memory, "n1"), VM("b", 3, "n2"), VM("u", 2, "n3", protected=False)]
    found = told(NODES, vms, failures=2)
    assert found[0] == (kind, "n1+n2", f"if n1+n2 fails, {memory + 3} MiB must restart; the other nodes have 8 MiB free")
    assert [v[:2] for v in found[1:]] == [("unverified", "n1+n3"), ("unverified", "n2+n3")]


def test_a_resource_that_is_short_is_named():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": 4}) for i in (1, 2)]
    vms = [VM("a", 2, "n1", resources={"vcpu": 3}), VM("b", 2, "n2", resources={"vcpu": 2})]
    assert told(nodes, vms) == [
        ("unprotected", "n1", "if n1 fails, 3 vcpu must restart; the other nodes have 2 vcpu free"),
        ("unprotected", "n2", "if n2 fails, 2 vcpu must restart; the other nodes have 1 vcpu free"),
    ]
    assert {kind for kind, *_ in told(nodes, vms, soft=["vcpu"])} == {"unverified"}
    assert told(nodes, [VM("a", 9, "n1", resources={"vcpu": 3}), VM("b", 2, "n2", resources={"vcpu": 2})])[0][2] == (
        "if n1 fails, 9 MiB must restart; the other nodes have 8 MiB free"
    )


def test_evictable_vms_take_no_room_and_need_none():
    vms = [VM("a", 9, "n1"), VM("e", 9, "n2", evictable=True)]
    assert [v[:2] for v in told(NODES[:2], vms)] == [("unverified", "n1")]


def test_a_migration_takes_room_on_its_target():
    vms = [VM("a", 6, "n1", target="n2")]
    assert told(NODES[:2], vms) == [("unprotected", "n1", "if n1 fails, 6 MiB must restart; the other nodes have 4 MiB free")]


def test_domains_of_one_pool_take_all_their_room_with_them():
    nodes = [Node("n1", 10, domain="a"), Node("n2", 10, domain="a"), Node("n3", 5, domain="b"), Node("p", 99, pool="p")]
    found = told(nodes, [VM("a", 6, "n1")], scope="domain")
    assert found == [("unprotected", "a", "if a fails, 6 MiB must restart; the other nodes have 5 MiB free")]
