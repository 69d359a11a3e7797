"""The auditor: every check finds what it is there for, and nothing else."""

import time
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace.model.columns
from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.model.cluster import Cluster
from vmplace.model.columns import VMColumns
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Tag, Together
from vmplace.model.errors import InputError
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters
from vmplace.testing.strategies import EXTRAS

GIB = 1024


def now(cluster):
    return {vm.name: vm.node for vm in cluster.vms}


def kinds(cluster, placement=None, failover=None, **options):
    """Kind and subject of each violation, of the placement as it stands unless another is given."""
    violations = audit(cluster, now(cluster) if placement is None else placement, failover, **options)
    return [(v.kind, v.subject) for v in violations]


def unwatched(nodes, vms, rules=(), **guarantee):
    """A cluster that need not survive anything, so that only the placement counts."""
    return Cluster(nodes, vms, rules, Guarantee(failures=0, **guarantee))


def three(*vms, rules=(), nodes=(), **guarantee):
    """Three nodes of 10 MiB, or the nodes given."""
    return Cluster(nodes or [Node("n1", 10), Node("n2", 10), Node("n3", 10)], vms, rules, Guarantee(**guarantee))


RING = three(VM("a", 4, "n1"), VM("b", 4, "n2"), VM("c", 4, "n3"))
ROUND = {"n1": {"a": "n2"}, "n2": {"b": "n3"}, "n3": {"c": "n1"}}


def test_a_good_witness_passes():
    assert audit(RING, now(RING), ROUND) == []
    assert audit(RING, [0, 1, 2], [1, 2, 0]) == []
    assert audit(RING, now(RING), np.array([1, 2, 0])) == []
    assert audit(RING, np.array([0, 1, 2], dtype=np.uint8), ROUND) == []


# Memory


@pytest.mark.parametrize(("memory", "violations"), [(8, []), (9, [("overfull", "n1")])])
def test_usable_memory_may_be_used_to_the_last(memory, violations):
    assert kinds(unwatched([Node("n1", 10, reserve=2)], [VM("a", memory, "n1")])) == violations


def test_an_overfull_node_is_told_with_figures():
    full = unwatched([Node("n1", 512 * GIB)], [VM("a", 500 * GIB, "n1"), VM("b", 20 * GIB, "n1")])
    assert [v.message for v in audit(full, now(full))] == ["n1 holds 520 GiB, 8 GiB more than its 512 GiB"]


def test_memory_counts_where_a_vm_is_placed_not_where_it_was():
    moved = unwatched([Node("n1", 10), Node("n2", 10)], [VM("a", 8, "n1"), VM("b", 8, "n1")])
    assert kinds(moved, {"a": "n1", "b": "n2"}) == []


def test_unprotected_vms_take_memory():
    assert kinds(unwatched([Node("n1", 10)], [VM("a", 11, "n1", protected=False)])) == [("overfull", "n1")]


@pytest.mark.parametrize(
    ("usable", "share", "most"),
    [
        (10, 0.1, 9),
        (10, 0.25, 7),
        (10, Fraction(1, 3), 6),
        (3, Fraction(1, 3), 2),
        (100, 0.07, 93),  # in floats, 7 % of 100 are more than 7
        (1000, 0.001, 999),
        (999, 0.001, 998),
        (3, 0.99, 0),
        (64 * GIB * GIB, 0.3, 64 * GIB * GIB - 20132660),
    ],
)
def test_headroom_is_rounded_up_exactly(usable, share, most):
    def with_load(memory):
        return unwatched([Node("n1", usable)], [VM("a", memory, "n1")], headroom=share)

    assert most == 0 or kinds(with_load(most)) == []
    assert kinds(with_load(most + 1)) == [("headroom", "n1")]


def test_headroom_is_of_usable_memory_and_of_any_node():
    nodes = [Node("n1", 20, reserve=10, state="maintenance")]
    assert kinds(unwatched(nodes, [VM("a", 9, "n1")], headroom=0.1)) == []
    assert kinds(unwatched(nodes, [VM("a", 10, "n1")], headroom=0.1)) == [("headroom", "n1")]


def test_an_overfull_node_is_not_blamed_for_its_headroom_too():
    assert kinds(unwatched([Node("n1", 10)], [VM("a", 11, "n1")], headroom=0.1)) == [("overfull", "n1")]


def test_headroom_is_told_with_figures():
    tight = unwatched([Node("n1", 100 * GIB)], [VM("a", 97 * GIB, "n1")], headroom=0.1)
    assert [v.message for v in audit(tight, now(tight))] == ["n1 holds 97 GiB, 7 GiB more than its 90 GiB without headroom"]


def test_a_failover_may_use_the_headroom():
    tight = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 5, "n1"), VM("b", 5, "n2")], (), Guarantee(headroom=0.5))
    assert kinds(tight, None, {"n1": {"a": "n2"}, "n2": {"b": "n1"}}) == []


# Where a VM may be


@pytest.mark.parametrize("nowhere", [{}, {"a": None}, [-1]])
@pytest.mark.parametrize(
    "vm",
    [VM("a", 1, "n1"), VM("a", 1), VM("a", 1, "off"), VM("a", 1, protected=False)],
    ids=["running", "waiting", "on an offline node", "unprotected"],
)
def test_every_vm_that_is_not_stopped_is_placed(vm, nowhere):
    violations = audit(unwatched([Node("n1", 10), Node("off", 10, state="offline")], [vm]), nowhere)
    assert [(v.kind, v.subject, v.message) for v in violations] == [("placement", "a", "a is on no node")]


def test_unknown_names_in_a_placement_are_violations():
    stopped = unwatched([Node("n1", 10)], [VM("a", 1, "n1", running=False)])
    assert kinds(stopped, {"ghost": "n1"}) == [("placement", "ghost")]
    assert kinds(stopped, {"ghost": None}) == [("placement", "ghost")]
    assert kinds(stopped, {"a": "n9"}) == [("placement", "a")]


NODES = [
    Node("n1", 10),
    Node("n2", 10),
    Node("m1", 10, state="maintenance"),
    Node("m2", 10, state="maintenance"),
    Node("off", 10, state="offline"),
    Node("x1", 10, pool="x"),
]


@pytest.mark.parametrize(
    ("source", "destination", "allowed"),
    [
        ("n1", "n1", True),
        ("n1", "n2", True),
        ("n1", "m1", False),
        ("n1", "off", False),
        ("n1", "x1", False),
        ("m1", "m1", True),
        ("m1", "n1", True),
        ("m1", "m2", False),
        ("off", "n1", True),
        ("off", "off", False),
        ("off", "m1", False),
        (None, "n1", True),
        (None, "m1", False),
        (None, "off", False),
        (None, "x1", False),
    ],
)
def test_where_a_vm_may_be(source, destination, allowed):
    cluster = unwatched(NODES, [VM("a", 1, source)])
    assert kinds(cluster, {"a": destination}) == ([] if allowed else [("placement", "a")])


def test_a_vm_of_another_pool_is_found_also_with_more_pools():
    nodes = [Node("n1", 10), Node("x1", 10, pool="x"), Node("y1", 10, pool="y")]
    vms = [VM("a", 1, pool="y"), VM("b", 1, pool="x"), VM("c", 1, pool="z")]
    assert kinds(unwatched(nodes, vms), {"a": "y1", "b": "x1", "c": "n1"}) == [("placement", "c")]
    assert kinds(unwatched(nodes, vms[:2]), {"a": "x1", "b": "y1"}) == [("placement", "a"), ("placement", "b")]


def test_what_is_not_movable_stays():
    cluster = unwatched(NODES, [VM("a", 1, "n1", movable=False), VM("b", 1, "m1", movable=False), VM("c", 1, "n1")])
    assert kinds(cluster, {"a": "n1", "b": "m1", "c": "n2"}) == []
    assert kinds(cluster, {"a": "n2", "b": "n1", "c": "n1"}) == [("placement", "a"), ("placement", "b")]
    assert audit(cluster, {"a": "n2", "b": "m1", "c": "n1"})[0].message == "a is on n2, but must not move from n1"
    assert kinds(cluster, {"b": "m1", "c": "n1"}) == [("placement", "a")]
    assert kinds(unwatched(NODES, [VM("a", 1, "n1", movable=False, running=False)])) == []


def test_what_is_not_movable_but_waits_goes_anywhere():
    cluster = unwatched(NODES, [VM("a", 1, movable=False), VM("b", 1, "off", movable=False)])
    assert kinds(cluster, {"a": "n2", "b": "n1"}) == []


def test_what_is_not_movable_may_leave_a_drained_node():
    cluster = unwatched(NODES, [VM("a", 1, "n1", movable=False), VM("b", 1, "n2", movable=False)])
    assert kinds(cluster, {"a": "n2", "b": "n2"}, drained=["n1"]) == []
    assert kinds(cluster, {"a": "n2", "b": "n1"}, drained=["m1"]) == [("placement", "a"), ("placement", "b")]


def test_what_is_not_movable_still_restarts():
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 1, "n1", movable=False)])
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == []


# Stopped VMs


@pytest.mark.parametrize("node", ["n1", "m1", "off", None])
def test_a_stopped_vm_keeps_its_node(node):
    cluster = unwatched(NODES, [VM("a", 1, node, running=False)])
    assert kinds(cluster, {"a": node}) == kinds(cluster, {}) == kinds(cluster, [-1]) == []
    for other in {"n1", "n2", "m1", "m2", "off"} - {node}:
        assert kinds(cluster, {"a": other}) == [("placement", "a")]


def test_a_stopped_vm_takes_nothing_and_no_rule_sees_it():
    vms = [VM("a", 10, "n1"), VM("b", 10, "n1", running=False), VM("c", 10, "n2")]
    rules = [Apart(["a", "b"]), Together(["b", "c"]), OnlyOn(["b"], ["n2"]), NotOn(["b"], ["n1"])]
    assert kinds(unwatched(NODES, vms, rules)) == []


def test_a_stopped_vm_is_in_no_plan():
    cluster = three(VM("a", 4, "n1", running=False))
    assert kinds(cluster, None, {}) == kinds(cluster, None, [-1]) == kinds(cluster) == []
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == kinds(cluster, {}, {"n1": {"a": "n2"}}) == [("failover", "n1")]
    assert [kind for kind, _ in kinds(cluster, [0], [1])] == ["failover"]


def test_a_stopped_vm_without_a_node_is_missed_by_nobody():
    cluster = unwatched(NODES, [VM("a", 99, running=False)])
    assert kinds(cluster, {}) == kinds(cluster, [-1]) == []
    assert audit(cluster, {"a": "n1"})[0].message == "a is stopped: it must stay on its node, or on none"


# Rules in normal running


def ruled(*rules, placement, **more):
    vms = [VM(name, 1, node, tags=["t"], **more) for name, node in placement.items()]
    return kinds(unwatched([*NODES[:2], Node("n3", 10, tags=["gpu"])], vms, rules))


AB = ["a", "b"]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Apart(AB), {"a": "n1", "b": "n2"}, {"a": "n1", "b": "n1"}),
        (Apart(Tag("t")), {"a": "n1", "b": "n2"}, {"a": "n2", "b": "n2"}),
        (Together(AB), {"a": "n1", "b": "n1"}, {"a": "n1", "b": "n2"}),
        (Together(Tag("t")), {"a": "n1", "b": "n1"}, {"a": "n1", "b": "n2"}),
        (OnlyOn(AB, ["n1", "n2"]), {"a": "n1", "b": "n2"}, {"a": "n1", "b": "n3"}),
        (OnlyOn(Tag("t"), Tag("gpu")), {"a": "n3"}, {"a": "n1"}),
        (NotOn(AB, ["n1", "n2"]), {"a": "n3", "b": "n3"}, {"a": "n3", "b": "n2"}),
        (NotOn(Tag("t"), Tag("gpu")), {"a": "n2"}, {"a": "n3"}),
    ],
    ids=lambda value: f"{value.kind} {type(value.vms).__name__}" if hasattr(value, "kind") else "",
)
def test_a_must_is_kept_and_a_should_need_not_be(rule, good, bad):
    rules = (Apart(["a"]), rule) if "b" not in {**good, **bad} else (Apart(AB, must=False), rule)
    assert ruled(*rules, placement=good) == []
    assert ruled(*rules, placement=bad) == [("rule", "rules[1]")]
    assert ruled(*rules, placement=bad, protected=False) == [("rule", "rules[1]")]
    assert ruled(rules[0], evolve(rule, must=False), placement=bad) == []


def test_a_broken_rule_names_who_is_where():
    vms = [VM("a", 1, "n1"), VM("b", 1, "n1"), VM("c", 1, "n2")]
    cluster = unwatched(NODES, vms, [Apart(AB), Together(["b", "c"])])
    assert [v.message for v in audit(cluster, now(cluster))] == [
        "rules[0] (apart) is broken by a, b on n1",
        "rules[1] (together) is broken by b on n1; c on n2",
    ]


def test_a_vm_that_is_nowhere_breaks_no_rule():
    rules = [Apart(AB), OnlyOn(["a"], ["n1"])]
    assert kinds(unwatched(NODES, [VM("a", 1), VM("b", 1)], rules), {}) == [("placement", "a"), ("placement", "b")]
    assert kinds(unwatched(NODES, [VM("a", 1), VM("b", 1, "n1")], [Together(AB)]), {"b": "n1"}) == [("placement", "a")]


def test_rules_see_where_vms_are_placed_not_where_they_were():
    cluster = unwatched(NODES, [VM("a", 1, "n1"), VM("b", 1)], [Together(AB)])
    assert kinds(cluster, {"a": "n2", "b": "n2"}) == []
    assert kinds(cluster, {"a": "n1", "b": "n2"}) == [("rule", "rules[0]")]


# Failure scenarios


def test_every_protected_vm_on_a_node_that_may_fail_restarts():
    assert kinds(RING, None, {}) == [("unprotected", "n1"), ("unprotected", "n2"), ("unprotected", "n3")]
    assert kinds(RING, None, {**ROUND, "n2": {}}) == [("unprotected", "n2")]
    assert kinds(RING, None, {**ROUND, "n2": {"b": None}}) == [("unprotected", "n2")]
    assert kinds(RING, None, [1, -1, 0]) == [("unprotected", "n2")]
    assert audit(RING, now(RING), [1, -1, 0])[0].message == "if n2 fails, b restarts nowhere"


def test_the_scenarios_follow_the_placement():
    assert kinds(RING, {"a": "n1", "b": "n1", "c": "n2"}, {"n1": {"a": "n3", "b": "n3"}, "n2": {"c": "n3"}}) == []


def test_waiting_vms_once_placed_restart_too():
    cluster = three(VM("a", 4), VM("b", 4, "off"), nodes=[*three().nodes, Node("off", 9, state="offline")])
    assert kinds(cluster, {"a": "n1", "b": "n2"}, {}) == [("unprotected", "n1"), ("unprotected", "n2")]
    assert kinds(cluster, {"a": "n1", "b": "n2"}, {"n1": {"a": "n3"}, "n2": {"b": "n3"}}) == []


def test_a_maintenance_node_that_hosts_vms_fails_like_any_other():
    cluster = three(VM("a", 4, "m1"), nodes=[Node("n1", 10), Node("m1", 10, state="maintenance")])
    assert kinds(cluster, None, {}) == [("unprotected", "m1")]
    assert kinds(cluster, None, {"m1": {"a": "n1"}}) == []


def test_empty_and_offline_nodes_need_no_plan_and_may_have_an_empty_one():
    nodes = [Node("n1", 10), Node("n2", 10), Node("m1", 10, state="maintenance"), Node("off", 10, state="offline")]
    cluster = three(VM("a", 4, "n1"), VM("b", 4, "m1", running=False), nodes=nodes)
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == []
    assert kinds(cluster, None, {"n1": {"a": "n2"}, "n2": {}, "m1": {}, "off": {}}) == []


def test_no_failures_no_scenarios():
    cluster = three(VM("a", 4, "n1"), failures=0)
    assert kinds(cluster) == kinds(cluster, None, {}) == kinds(cluster, None, [-1]) == []
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == kinds(cluster, None, [1]) == [("failover", "n1")]
    cluster = three(VM("a", 4, "n1"), failures=0, scope="domain")
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == [("failover", "n1")]


def test_unprotected_vms_need_no_plan_and_have_none():
    cluster = three(VM("a", 4, "n1", protected=False))
    assert kinds(cluster) == kinds(cluster, None, {}) == kinds(cluster, None, {"n1": {"a": None}}) == []
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == kinds(cluster, None, [1]) == [("failover", "n1")]


@pytest.mark.parametrize(
    ("plan", "violations"),
    [
        ({"n1": {"ghost": "n2", "a": "n2"}}, [("failover", "n1")]),
        ({"n1": {"a": "n9"}}, [("failover", "n1"), ("unprotected", "n1")]),
        ({"n1": {"a": "n2", "b": "n3"}}, [("failover", "n1")]),
        ({"n1": {"a": "n2", "b": None}}, [("failover", "n1")]),
        ({"n1": {"a": "n1"}}, [("failover", "n1")]),
        ({"n1": {"a": "n2"}, "n9": {}}, [("failover", "n9")]),
        ({"n1": {"a": "n2"}, "n1+n2": {"a": "n3"}}, [("failover", "n1+n2"), ("failover", "n1+n2")]),
    ],
)
def test_names_and_scenarios_in_a_plan(plan, violations):
    rest = {"n2": ROUND["n2"], "n3": ROUND["n3"]}
    assert kinds(RING, None, {**plan, **rest}) == violations


def test_a_plan_that_names_a_vm_of_another_node_does_not_replace_its_own():
    assert kinds(RING, None, {**ROUND, "n1": {"a": "n2", "b": "n1"}}) == [("failover", "n1")]
    assert kinds(RING, None, {"n3": {"c": "n1", "a": "n2"}, "n2": {"b": "n3"}}) == [("failover", "n3"), ("unprotected", "n1")]


@pytest.mark.parametrize(
    ("target", "why"), [("n1", "failed"), ("m1", "closed"), ("off", "closed"), ("x1", "other pool"), ("n2", None)]
)
def test_where_a_vm_may_restart(target, why):
    cluster = Cluster(NODES, [VM("a", 1, "n1")])
    index = [node.name for node in NODES].index(target)
    for failover in ({"n1": {"a": target}}, [index]):
        violations = audit(cluster, now(cluster), failover)
        assert [(v.kind, v.subject) for v in violations] == ([("failover", "n1")] if why else [])
        assert all(v.message == f"if n1 fails, a cannot restart on {target}: {why}" for v in violations)


def test_nothing_restarts_on_the_maintenance_node_it_is_on():
    cluster = Cluster(NODES, [VM("a", 1, "m1")])
    assert kinds(cluster, None, {"m1": {"a": "m1"}}) == [("failover", "m1")]


def test_a_wrong_restart_takes_no_memory_and_breaks_no_rule():
    nodes = [*NODES[:2], Node("m1", 1, state="maintenance")]
    cluster = Cluster(nodes, [VM("a", 5, "n1"), VM("b", 5, "n1")], [NotOn(["a"], ["m1"])])
    assert kinds(cluster, None, {"n1": {"a": "m1", "b": "n2"}}) == [("failover", "n1")]
    vms = [VM("a", 4, "n1"), VM("u", 6, "n1", protected=False), VM("w", 1, "n2", protected=False)]
    cluster = three(*vms, rules=[NotOn(["u"], ["n2"])])
    assert kinds(cluster, None, {"n1": {"a": "n2", "u": "n2"}}) == [("failover", "n1")]


@pytest.mark.parametrize(("memory", "violations"), [(100, []), (101, [("failover", "n1")])])
def test_an_exact_fit_is_a_fit(memory, violations):
    cluster = Cluster([Node("n1", 200), Node("n2", 150, reserve=20)], [VM("a", memory, "n1"), VM("b", 30, "n2", protected=False)])
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == violations


def test_restarts_add_up_and_are_told_with_figures():
    nodes = [Node("n1", 512 * GIB), Node("n2", 512 * GIB), Node("n3", 512 * GIB)]
    vms = [VM("a", 16 * GIB, "n1"), VM("b", 8 * GIB, "n1"), VM("c", 496 * GIB, "n3", protected=False)]
    cluster = Cluster(nodes, vms)
    assert kinds(cluster, None, {"n1": {"a": "n3", "b": "n2"}}) == kinds(cluster, None, {"n1": {"a": "n2", "b": "n3"}}) == []
    violations = audit(cluster, now(cluster), {"n1": {"a": "n3", "b": "n3"}})
    assert [v.to_dict() for v in violations] == [
        {
            "kind": "failover",
            "subject": "n1",
            "message": "if n1 fails, n3 would hold 520 GiB, 8 GiB more than its 512 GiB",
        }
    ]


def test_restarts_after_different_failures_do_not_add_up():
    cluster = three(VM("a", 10, "n1"), VM("b", 10, "n2"))
    assert kinds(cluster, None, {"n1": {"a": "n3"}, "n2": {"b": "n3"}}) == []


def test_unprotected_survivors_keep_their_memory_and_unprotected_victims_ask_for_none():
    cluster = three(VM("a", 4, "n1"), VM("u", 6, "n1", protected=False), VM("w", 7, "n2", protected=False))
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == [("failover", "n1")]
    assert kinds(cluster, None, {"n1": {"a": "n3"}}) == []


def test_restarts_do_not_excuse_an_overfull_survivor():
    cluster = three(VM("a", 1, "n1"), VM("w", 11, "n2", protected=False))
    assert kinds(cluster, None, {"n1": {"a": "n3"}}) == [("overfull", "n2")]
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == [("overfull", "n2"), ("failover", "n1")]


# Rules in a failover


FOUR = [Node("n1", 10), Node("n2", 10), Node("n3", 10), Node("n4", 10)]


def restarted(rule, plan, *others):
    """Two members a and b restart from n1, others stand elsewhere unprotected."""
    vms = [VM("a", 1, "n1"), VM("b", 1, "n1"), *others]
    return kinds(Cluster(FOUR, vms, [rule]), None, {"n1": plan})


def state(name, node):
    return VM(name, 1, node, protected=False)


BROKEN_ALREADY = [("rule", "rules[0]")]


@pytest.mark.parametrize(
    ("rule", "plan", "others", "kept"),
    [
        (Together(AB), {"a": "n2", "b": "n2"}, [], True),
        (Together(AB), {"a": "n2", "b": "n3"}, [], False),
        (OnlyOn(AB, ["n1", "n2"]), {"a": "n2", "b": "n2"}, [], True),
        (OnlyOn(AB, ["n1", "n2"]), {"a": "n2", "b": "n3"}, [], False),
        (NotOn(AB, ["n3"]), {"a": "n2", "b": "n4"}, [], True),
        (NotOn(AB, ["n3"]), {"a": "n3", "b": "n4"}, [], False),
        (Apart(["a", "c"]), {"a": "n3", "b": "n2"}, [state("c", "n2")], True),
        (Apart(["a", "c"]), {"a": "n2", "b": "n3"}, [state("c", "n2")], False),
        (Apart(["a", "c"]), {"a": "n2", "b": "n3"}, [VM("c", 1, "n2", running=False)], True),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_a_must_binds_restarts_unless_it_says_not(rule, plan, others, kept):
    assert restarted(rule, plan, *others) == ([] if kept else [("failover", "n1")])
    assert restarted(evolve(rule, during_failover=False), plan, *others) == []
    assert restarted(evolve(rule, must=False), plan, *others) == []


def test_apart_keeps_restarts_apart_though_it_was_broken_before():
    together = {"a": "n2", "b": "n2"}
    assert restarted(Apart(AB), {"a": "n2", "b": "n3"}) == BROKEN_ALREADY
    assert restarted(Apart(AB), together) == [*BROKEN_ALREADY, ("failover", "n1")]
    assert restarted(Apart(AB, during_failover=False), together) == BROKEN_ALREADY


def test_apart_minds_no_standing_members_of_other_nodes():
    others = [state("c", "n2"), state("d", "n2")]
    assert restarted(Apart(["a", "c", "d"]), {"a": "n3", "b": "n2"}, *others) == BROKEN_ALREADY


def test_together_restarts_wherever_other_members_are():
    rule = Together(["a", "b", "c"])
    assert restarted(rule, {"a": "n3", "b": "n3"}, state("c", "n2")) == BROKEN_ALREADY
    assert restarted(rule, {"a": "n2", "b": "n3"}, state("c", "n2")) == [*BROKEN_ALREADY, ("failover", "n1")]


def test_rules_do_not_join_the_restarts_of_different_failures():
    vms = [VM("a", 1, "n1"), VM("b", 1, "n2")]
    assert kinds(Cluster(FOUR, vms, [Apart(AB)]), None, {"n1": {"a": "n3"}, "n2": {"b": "n3"}}) == []


def test_a_partial_plan_binds_those_that_restart():
    assert restarted(Together(AB), {"a": "n2", "b": None}) == [("unprotected", "n1")]


def test_a_broken_rule_in_a_failover_names_who_comes_where():
    cluster = Cluster(FOUR, [VM("a", 1, "n1"), VM("c", 1, "n2", protected=False)], [Apart(["a", "c"])])
    assert [(v.subject, v.message) for v in audit(cluster, now(cluster), {"n1": {"a": "n2"}})] == [
        ("n1", "rules[0] (apart) is broken by a on n2")
    ]


# Powered and drained


def test_a_node_that_is_not_powered_hosts_nothing_takes_nothing_and_does_not_fail():
    cluster = three(VM("a", 4, "n1"), VM("b", 4, "n2"))
    plans = {"n1": {"a": "n2"}, "n2": {"b": "n1"}}
    assert kinds(cluster, None, plans, powered=["n1", "n2"]) == []
    assert kinds(cluster, None, {**plans, "n1": {"a": "n3"}}, powered=["n1", "n2"]) == [("failover", "n1")]
    assert kinds(cluster, {"a": "n1", "b": "n1"}, {"n1": {"a": "n3", "b": "n3"}}, powered=iter(["n1", "n3"])) == []
    assert kinds(cluster, None, {"n1": {"a": "n3"}}, powered=["n1", "n3"]) == [("placement", "b")]
    assert kinds(cluster, None, plans, powered=["n1", "n3"]) == [("placement", "b"), ("failover", "n2"), ("failover", "n1")]
    assert kinds(cluster, None, {}, powered=[]) == [("placement", "a"), ("placement", "b")]


def test_a_drained_node_hosts_nothing_takes_nothing_and_does_not_fail():
    cluster = three(VM("a", 4, "n1"), VM("b", 4, "n2"))
    empty = {"a": "n1", "b": "n1"}
    assert kinds(cluster, empty, {"n1": {"a": "n3", "b": "n3"}}, drained=["n2"]) == []
    assert kinds(cluster, empty, {"n1": {"a": "n3", "b": "n2"}}, drained=["n2"]) == [("failover", "n1")]
    assert kinds(cluster, None, {"n1": {"a": "n3"}}, drained=["n2"]) == [("placement", "b")]
    assert kinds(cluster, empty, {"n1": {"a": "n2", "b": "n3"}}, powered=["n1", "n2", "n3"], drained=["n2"]) == [
        ("failover", "n1")
    ]


def test_a_maintenance_node_counts_as_powered_only_if_named():
    cluster = three(VM("a", 4, "m1"), nodes=[Node("n1", 10), Node("m1", 10, state="maintenance")])
    assert kinds(cluster, None, {"m1": {"a": "n1"}}, powered=["n1", "m1"]) == []
    assert kinds(cluster, None, {}, powered=["n1"]) == [("placement", "a")]


def test_what_is_stopped_on_a_drained_node_stays_there():
    cluster = three(VM("a", 4, "n1", running=False))
    assert kinds(cluster, None, {}, drained=["n1"]) == kinds(cluster, None, {}, powered=["n2"]) == []


def test_what_runs_on_a_node_not_powered_still_comes_from_there():
    cluster = three(VM("a", 4, "n1", movable=False), VM("b", 4, "m1"), nodes=[*FOUR, Node("m1", 10, state="maintenance")])
    assert kinds(cluster, {"a": "n2", "b": "n2"}, {"n2": {"a": "n3", "b": "n3"}}, powered=["n2", "n3"]) == [("placement", "a")]


@pytest.mark.parametrize("option", ["powered", "drained"])
def test_unknown_nodes_powered_or_drained_are_violations(option):
    names = ["n1", "n2", "n3", "n9"] if option == "powered" else ["n9"]
    assert kinds(RING, None, ROUND, **{option: names}) == [("placement", "n9")]


# Without plans


def test_without_plans_what_needs_one_is_unverified():
    violations = audit(RING, now(RING))
    assert [(v.kind, v.subject) for v in violations] == [("unverified", "n1"), ("unverified", "n2"), ("unverified", "n3")]
    assert violations[0].message == "if n1 fails, 4 MiB must restart; the other nodes have 12 MiB free"
    assert kinds(RING, {"a": "n1", "b": "n1", "c": "n1"}) == [("overfull", "n1"), ("unverified", "n1")]


def test_without_plans_what_protects_nothing_is_good():
    assert kinds(three(VM("a", 4, "n1", protected=False), VM("b", 4, "n2", running=False))) == []
    assert kinds(RING, None, None, powered=["n1", "n2", "n3"], drained=["n3"]) == [
        ("placement", "c"),
        ("unverified", "n1"),
        ("unverified", "n2"),
    ]


@pytest.mark.parametrize(("memory", "kind"), [(5, "unverified"), (6, "unprotected")])
def test_sums_alone_may_tell_that_there_is_no_plan(memory, kind):
    """Two MiB on n2 and three on n3 are free; n4, m1 and x1 have none to give."""
    nodes = [
        Node("n1", 20),
        Node("n2", 10),
        Node("n3", 12, reserve=2),
        Node("n4", 10),
        Node("m1", 10, state="maintenance"),
        Node("x1", 10, pool="x"),
        Node("off", 10, state="offline"),
    ]
    fillers = [VM("w2", 8, "n2", protected=False), VM("w3", 7, "n3", protected=False), VM("w4", 15, "n4", protected=False)]
    cluster = Cluster(nodes, [VM("a", memory, "n1"), VM("u", 9, "n1", protected=False), *fillers])
    assert kinds(cluster) == [("overfull", "n4"), (kind, "n1")]


def test_one_node_is_never_enough():
    alone = Cluster([Node("n1", 10), Node("m1", 10, state="maintenance")], [VM("a", 1, "n1")])
    assert [v.message for v in audit(alone, now(alone))] == ["if n1 fails, 1 MiB must restart; the other nodes have 0 MiB free"]
    assert kinds(alone) == kinds(alone, None, {}) == [("unprotected", "n1")]


# What makes no difference


def test_what_makes_no_difference_is_not_minded():
    nodes = [Node(name, 10, domain="rack", price=2, resources={"vcpu": 4}, meta={"x": 1}) for name in ("n1", "n2", "n3")]
    guarantee = Guarantee(headroom=0.1, meta={"why": "because"})
    cluster = Cluster(nodes, RING.vms, (), guarantee, overcommit={"vcpu": 4}, soft_resources=["vcpu"])
    assert kinds(cluster, None, ROUND) == []


# The forms of placements and plans


@pytest.mark.parametrize(
    "column",
    [
        [0, 1],
        [0, 1, 2, 0],
        [[0, 1, 2]],
        0,
        [0, 1, 3],
        [0, 1, -2],
        [0.0, 1.0, 2.0],
        [True, False, True],
        ["n1", "n2", "n3"],
        [0, 1, None],
        [0, 1, 2**70],
        np.array([0, 1, 2**64 - 1], dtype=np.uint64),
        "n1",
    ],
    ids=repr,
)
def test_a_column_of_the_wrong_form_is_refused(column):
    with pytest.raises(InputError, match=r"^placement: .*give 3 whole numbers from -1 to 2$"):
        audit(RING, column)
    with pytest.raises(InputError, match=r"^failover: .*give 3 whole numbers from -1 to 2$"):
        audit(RING, now(RING), column)


def test_no_placement_is_refused():
    with pytest.raises(InputError, match="placement: None"):
        audit(RING, None)


def test_columns_given_are_left_as_they_were():
    placement, failover = np.array([0, 1, 2]), np.array([0, 1, 2])
    assert len(audit(RING, placement, failover)) == 3
    assert placement.tolist() == failover.tolist() == [0, 1, 2]


def test_odd_names_do_no_harm():
    cluster = Cluster([Node("no node", 10), Node("{to}", 10)], [VM("{vm}", 4, "no node"), VM("w", 4)])
    placement = {"{vm}": "no node", "w": "{to}"}
    assert kinds(cluster, placement, {"no node": {"{vm}": "{to}"}, "{to}": {"w": "no node"}}) == []
    assert kinds(cluster, {"{vm}": "no node"}, {"no node": {"w": "{to}", "{vm}": "{to}"}}) == [
        ("placement", "w"),
        ("failover", "no node"),
    ]
    assert audit(cluster, placement, {"no node": {"{vm}": "no node"}})[1].message == (
        "if no node fails, {vm} cannot restart on no node: failed"
    )


def test_nothing_is_nothing():
    none = np.array([], dtype=np.int64)
    assert audit(Cluster([]), {}, {}) == audit(Cluster([]), none, none) == audit(Cluster([]), {}) == []
    assert audit(Cluster([Node("n1", 10)]), {}, {"n1": {}}) == audit(Cluster([Node("n1", 10)]), none, none) == []
    assert kinds(Cluster([], [VM("a", 1)]), {}, {}) == kinds(Cluster([], [VM("a", 1)]), [-1], [-1]) == [("placement", "a")]


# Clusters in columns


def columns(n_nodes=3, n_vms=3, **more):
    return Cluster.from_arrays(
        node_memory=np.full(n_nodes, 10), vm_memory=np.full(n_vms, 4), vm_node=np.arange(n_vms) % n_nodes, **more
    )


def test_clusters_in_columns_are_judged_alike():
    cluster = columns()
    assert audit(cluster, [0, 1, 2], [1, 2, 0]) == []
    assert (
        audit(cluster, {"vm0": "n0", "vm1": "n1", "vm2": "n2"}, {"n0": {"vm0": "n1"}, "n1": {"vm1": "n2"}, "n2": {"vm2": "n0"}})
        == []
    )
    assert kinds(cluster, [0, 0, 0], [1, 1, 2]) == [("overfull", "n0")]
    assert kinds(cluster, [0, 0, -1], [1, 2, -1]) == [("placement", "vm2")]
    assert kinds(cluster, [0, 1, 2], [1, 0, 2]) == [("failover", "n2")]
    assert kinds(columns(guarantee=Guarantee(headroom=0.7)), [0, 1, 2], [1, 0, 1]) == [("headroom", f"n{i}") for i in range(3)]


def test_vms_in_columns_may_meet_nodes_in_another_order():
    vms = VMColumns.of([3, 3, 3], [0, 1, -1], None, ["n1", "n2"])
    cluster = Cluster([Node("n2", 10), Node("n1", 10, state="maintenance"), Node("n3", 10)], vms)
    assert kinds(cluster, {"vm0": "n1", "vm1": "n2", "vm2": "n3"}, [2, 2, 0]) == []
    assert kinds(cluster, {"vm0": "n1", "vm1": "n1", "vm2": "n3"}, [2, 2, 0]) == [("placement", "vm1")]


def test_large_work_is_quick_and_makes_no_object_per_vm(monkeypatch):
    made = Counter()

    def counting(kind):
        def make(*args, **kwargs):
            made[kind] += 1
            return kind(*args, **kwargs)

        return make

    n_nodes, n_vms = 10_000, 320_000
    home = np.arange(n_vms) % n_nodes
    cluster = Cluster.from_arrays(node_memory=np.full(n_nodes, 33), vm_memory=np.ones(n_vms, dtype=int), vm_node=home)
    backup = (home + 1 + np.arange(n_vms) // n_nodes) % n_nodes
    monkeypatch.setattr(vmplace.model.columns, "VM", counting(VM))
    monkeypatch.setattr(vmplace.model.columns, "Node", counting(Node))
    start = time.perf_counter()
    assert audit(cluster, home, backup) == []
    assert time.perf_counter() - start < 2
    assert made.total() < 20
    backup[7] = backup[n_nodes + 7]
    assert kinds(cluster, home, backup) == [("failover", "n7")]


# Where others err


THREE_SIZES = [("a", 2), ("b", 3), ("c", 3), ("d", 4), ("e", 6)]


@pytest.mark.parametrize(
    ("on_n2", "violations"),
    [("dce", None), ("bde", [("failover", "n1")]), ("cb", [("failover", "n1")]), ("ace", []), ("abe", [])],
)
def test_a_packing_that_list_order_misses(on_n2, violations):
    """11 MiB are free on n2, 9 on n3."""
    vms = [*(VM(name, size, "n1") for name, size in THREE_SIZES), VM("f", 9, "n2"), VM("g", 11, "n3")]
    cluster = Cluster([Node("n1", 100), Node("n2", 20), Node("n3", 20)], vms)
    plan = {name: "n2" if name in on_n2 else "n3" for name, _ in THREE_SIZES}
    rest = {"n2": {"f": "n1"}, "n3": {"g": "n1"}}
    found = kinds(cluster, None, {"n1": plan, **rest})
    assert found == ([("failover", "n1")] if violations is None else violations)


def test_only_one_of_four_failures_is_not_survivable():
    nodes = [Node(name, 4096) for name in "ABCD"]
    vms = [VM(f"{name}{i}", 1000, name) for name in "ABD" for i in range(3)]
    cluster = Cluster(nodes, [*vms, VM("big", 3000, "C")])
    plans = {f: {f"{f}{i}": to for i, to in enumerate(others)} for f, others in (("A", "BCD"), ("B", "ACD"), ("D", "ABC"))}
    assert kinds(cluster, None, plans) == [("unprotected", "C")]
    for target in "ABD":
        assert kinds(cluster, None, {**plans, "C": {"big": target}}) == [("failover", "C")]


def test_an_average_does_not_hide_a_node_too_big_to_fail():
    cluster = Cluster([Node("s1", 16), Node("s2", 16), Node("big", 384)], [VM(f"v{i}", 8, "big") for i in range(10)])
    assert kinds(cluster) == [("unprotected", "big")]


def test_an_apart_group_as_large_as_the_cluster_survives_nothing():
    cluster = evolve(RING, rules=[Apart(["a", "b", "c"])])
    for backup in ([1, 2, 0], [2, 0, 1], [1, 0, 0]):
        assert kinds(cluster, None, backup) == [("failover", "n1"), ("failover", "n2"), ("failover", "n3")]


def test_a_bad_pool_does_not_condemn_another():
    nodes = [Node("n1", 10), Node("n2", 10), Node("x1", 10, pool="x")]
    cluster = Cluster(nodes, [VM("a", 4, "n1"), VM("c", 4, "x1", pool="x")])
    assert kinds(cluster) == [("unverified", "n1"), ("unprotected", "x1")]
    assert kinds(cluster, None, {"n1": {"a": "n2"}}) == [("unprotected", "x1")]


# Against a naive reading of the rules


def naive(world, placement, failover):
    """Kind and subject of all that is wrong, VM by VM and name by name."""
    cluster, nodes, found = world.cluster, world.nodes, Counter()
    open_nodes = {n for n in nodes if n in world.powered and n not in world.drained and nodes[n].state != "offline"}
    at = {}
    for name, node in placement.items():
        if name not in world.vms or (node is not None and node not in nodes):
            found["placement", name] += 1
        elif node is not None:
            at[name] = node
    for vm in cluster.vms:
        home, old = at.get(vm.name), world.now.get(vm.name)
        if world.stopped(vm):
            found["placement", vm.name] += home not in (None, vm.node)
            at.pop(vm.name, None)
        elif home is None:
            found["placement", vm.name] += 1
        else:
            found["placement", vm.name] += home not in open_nodes
            found["placement", vm.name] += home in open_nodes and nodes[home].state == "maintenance" and home != old
            found["placement", vm.name] += nodes[home].pool != vm.pool
            found["placement", vm.name] += not vm.movable and old not in (None, home, *world.drained)
    over = world.overfull(at)
    found.update(("overfull", node) for node in over)
    found.update(("headroom", node) for node in world.overfull(at, headroom=True) - over)
    found.update(("rule", f"rules[{i}]") for i in world.broken(at, must=True))
    found.update(naive_failover(world, open_nodes, at, failover))
    return +found


def naive_failover(world, open_nodes, at, failover):
    scenarios = set(world.scenarios(at)) & open_nodes
    for failed, plan in failover.items():
        if failed not in world.nodes:
            yield "failover", failed
        for name, node in plan.items():
            if at.get(name) != failed or (node is not None and node not in world.nodes):
                yield "failover", failed
    for failed in world.nodes:
        plan = {vm: n for vm, n in failover.get(failed, {}).items() if at.get(vm) == failed and n in world.nodes}
        right = {}
        for vm in [world.vms[name] for name, node in at.items() if node == failed]:
            needed = failed in scenarios and vm.protected
            node = world.nodes.get(plan.get(vm.name))
            if node is None:
                if needed:
                    yield "unprotected", failed
            elif needed and node.name != failed and node.state == "online" and node.name in open_nodes and node.pool == vm.pool:
                right[vm.name] = node.name
            else:
                yield "failover", failed
        for node, arriving in world.loads(right).items():
            if world.loads(at)[node] + arriving > world.capacity(node):
                yield "failover", failed
        for bound in world.rules:
            if bound.rule.must and bound.rule.during_failover and bound.broken_by_plan(at, [failed], right):
                yield "failover", failed


@st.composite
def cases(draw, ghosts):
    """A cluster with a placement and plans, some good, some by chance; with or without names that are none."""
    cluster = draw(clusters(failures=(1, 1, 1, 0)))
    nodes, vms = [node.name for node in cluster.nodes], [vm.name for vm in cluster.vms]
    places = st.sampled_from([*nodes, None, *(["ghost"] if ghosts else [])])
    placement = {vm.name: vm.node for vm in cluster.vms}
    if draw(st.booleans()):
        placement |= draw(st.dictionaries(st.sampled_from([*vms, *(["ghost"] if ghosts else [])]), places)) if vms else {}
    failover = {}
    for vm in vms:
        if placement.get(vm) in nodes:
            failover.setdefault(placement[vm], {})[vm] = draw(places)
    if ghosts and draw(st.booleans()):
        odd = st.dictionaries(st.sampled_from([*vms, "ghost"]), places, max_size=2)
        for failed, plan in draw(st.dictionaries(st.sampled_from([*nodes, "ghost"]), odd, max_size=2)).items():
            failover.setdefault(failed, {}).update(plan)
    some = st.lists(st.sampled_from(nodes), unique=True) if nodes else st.just([])
    options = {"powered": draw(st.none() | some), "drained": draw(st.just([]) | some)}
    return cluster, placement, failover, options


@settings(max_examples=100, deadline=None)
@given(cases(ghosts=True))
def test_it_finds_what_a_naive_reading_finds(case):
    cluster, placement, failover, options = case
    assert Counter(kinds(cluster, placement, failover, **options)) == naive(World(cluster, **options), placement, failover)


@settings(max_examples=50, deadline=None)
@given(cases(ghosts=False))
def test_names_and_columns_are_judged_alike(case):
    cluster, placement, failover, options = case
    index = {node.name: i for i, node in enumerate(cluster.nodes)} | {None: -1}
    at = np.array([index[placement.get(vm.name)] for vm in cluster.vms], dtype=np.int64)
    to = np.array([index[failover.get(placement.get(vm.name), {}).get(vm.name)] for vm in cluster.vms], dtype=np.int64)
    assert audit(cluster, at, **options) == audit(cluster, placement, **options)
    world = World(cluster, **options)
    planned = {vm for plan in failover.values() for vm in plan}
    if not any(world.stopped(vm) for vm in cluster.vms if vm.name in planned):  # they are named differently
        assert audit(cluster, at, to, **options) == audit(cluster, placement, failover, **options)


# Against the oracle, with every kind of guarantee


EVERYTHING = {**dict.fromkeys(EXTRAS, True), "failures": (0, 1, 1, 2, 2, 3)}
FREE = {"states": False, "pools": False, "stopped": False, "headroom": False, "failures": (1, 1, 2)}
"""Clusters that are mostly placed rightly, so that the failures decide."""


def planned(draw, world, key):
    """A plan that the guarantee asks for, if there is one, or anything like it."""
    plan = {}
    if world.cluster.guarantee.policy and not in_turn(world.cluster):
        plan = dict.fromkeys(world.evictable.intersection(world.now))
        for failure in world.failures(world.now)[key]:
            plan |= world.simulated(world.now, failure)
    else:
        plan |= next(iter(world.full_plans(world.now, key, world.displaced(world.now, key))), {})
    if world.vms and draw(st.integers(0, 5)) == 0:
        plan |= draw(st.dictionaries(st.sampled_from([*world.vms]), st.sampled_from([*world.nodes, None]), max_size=2))
    return plan


def in_turn(cluster):
    return cluster.guarantee.sequence == "sequential" and cluster.guarantee.failures > 1


def as_simulated(world, plans):
    return all(
        plans[key].get(vm.name) == world.simulated(world.now, failure).get(vm.name)
        for key, failures in world.failures(world.now).items()
        for failure in failures
        for vm in world.must_restart(world.now, failure)
    )


@st.composite
def guaranteed(draw, clusters_of):
    """A cluster with its placement and, mostly, good plans for each scenario."""
    world = World(draw(clusters_of))
    return world, {key: planned(draw, world, key) for key in world.scenarios(world.now)}


@settings(max_examples=80, deadline=None)
@given(
    guaranteed(
        st.one_of(
            clusters(max_nodes=5, placed="all", **EVERYTHING),
            clusters(max_nodes=4, placed="all", policies=True, **EVERYTHING),
            clusters(max_nodes=4, placed="all", quorums=True, **EVERYTHING),
            clusters(max_nodes=4, placed="all", restart=("any-order",), **EVERYTHING),
            clusters(min_nodes=3, max_nodes=5, placed="all", rules=False, restart=("any-order",), resources=True, **FREE),
            clusters(min_nodes=3, max_nodes=5, placed="all", restart=("any-order",), domains=True, **FREE),
            clusters(
                max_nodes=4,
                max_vms=5,
                placed="all",
                policies=True,
                restart=("planned", "any-order"),
                sequences=("sequential",),
                **EVERYTHING | {"failures": (2, 2, 3)},
            ),
        )
    )
)
def test_it_finds_nothing_wrong_if_and_only_if_nothing_is(case):
    world, plans = case
    good = world.flawless(world.now, plans)
    if in_turn(world.cluster):
        good = good and world.all_survivable(world.now)
    elif world.cluster.guarantee.policy:
        good = good and as_simulated(world, plans)
    assert (audit(world.cluster, world.now, plans) == []) == good


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        clusters(max_nodes=5, placed="all", **EVERYTHING),
        clusters(max_nodes=4, placed="all", restart=("any-order",), **EVERYTHING),
        clusters(max_nodes=4, placed="all", policies=True, **EVERYTHING),
    )
)
def test_without_plans_it_tells_what_needs_none(cluster):
    world = World(cluster)
    said = Counter(kinds(cluster, world.now))
    unprotected = {key for kind, key in said if kind == "unprotected"}
    unverified = {key for kind, key in said if kind == "unverified"}
    lost = {key for key in world.scenarios(world.now) if not world.survivable(world.now, key)}
    if world.planned:
        assert unprotected <= lost
        assert unprotected | unverified == {key for key in world.scenarios(world.now) if world.displaced(world.now, key)}
    else:
        assert (unprotected, unverified) == (lost, set())
