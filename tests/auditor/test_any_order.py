"""The adversary finds whoever can be stranded, and nobody else."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace.auditor.any_order
from tests.support.brute import World
from vmplace.auditor.any_order import find_counterexample, least_sums_above, subset_sums
from vmplace.auditor.audit import audit
from vmplace.auditor.case import Case
from vmplace.auditor.failures import AuditedFailures, TooHardError, WorkLimit
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, OnlyOn, Together
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def failures_of(cluster):
    case = Case(cluster, {vm.name: vm.node for vm in cluster.vms if vm.node}, None, ())
    return AuditedFailures(case, AuditedScenarios.of(case))


def stranded(nodes, vms, rules=(), effort=1000, **guarantee):
    """Who is stranded, and where others restart before, in the first scenario."""
    failures = failures_of(Cluster(nodes, vms, rules, Guarantee(**guarantee)))
    found = find_counterexample(failures.at_once(0), WorkLimit(effort))
    names = failures.case.vm.names
    return found and (names[found.vm], {names[v]: failures.case.nodes[i] for v, i in found.restarts.items()})


def hosts(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes, 1)]


def test_a_small_vm_in_the_wrong_place_strands_a_large_one():
    vms = [VM("big", 4, "n1"), VM("small", 1, "n1")]
    assert stranded(hosts(5, 4, 1), vms) == ("big", {"small": "n2"})
    assert stranded(hosts(5, 5, 1), vms) is None
    assert stranded(hosts(5, 4, 4), vms) is None


def test_who_fits_nowhere_needs_nobody_to_be_stranded():
    assert stranded(hosts(5, 4), [VM("big", 5, "n1")]) == ("big", {})
    assert stranded(hosts(5), [VM("big", 5, "n1")]) == ("big", {})
    assert stranded(hosts(5), [VM("u", 5, "n1", protected=False)]) is None


def test_unprotected_vms_strand_and_are_not_stranded():
    vms = [VM("a", 3, "n1"), VM("u", 3, "n1", protected=False)]
    assert stranded(hosts(6, 5), vms) == ("a", {"u": "n2"})
    assert stranded(hosts(6, 6), vms) is None


def test_sums_that_no_vms_have_close_nothing():
    """Two VMs of 3 cannot hold exactly 2 on each of two nodes of 5."""
    vms = [VM("a", 4, "n1"), VM("b", 3, "n1"), VM("c", 3, "n1", protected=False)]
    assert stranded(hosts(10, 5, 5, 5), vms) is None
    assert stranded(hosts(10, 5, 5), vms) == ("a", {"b": "n2", "c": "n3"})


def test_a_drawn_vm_is_stranded_where_its_mate_is():
    vms = [VM("a", 3, "n1"), VM("b", 3, "n1"), VM("c", 1, "n1")]
    assert stranded(hosts(7, 6, 9), vms, [Together(["a", "b"])]) == ("a", {"b": "n2", "c": "n2"})
    assert stranded(hosts(7, 9, 6), vms, [Together(["a", "b"])]) == ("a", {"b": "n3", "c": "n3"})
    assert stranded(hosts(7, 7, 7), vms, [Together(["a", "b"])]) is None
    assert stranded(hosts(7, 3, 9), vms, [Together(["a", "b"])])[0] == "a"


def test_a_mate_bars_its_whole_domain():
    nodes = [Node("n1", 9), Node("n2", 9, domain="r"), Node("n3", 9, domain="r")]
    vms = [VM("a", 3, "n1"), VM("b", 3, "n1", protected=False)]
    assert stranded(nodes, vms, [Apart(["a", "b"], scope="domain")])[0] == "a"
    assert stranded(nodes, vms, [Apart(["a", "b"])]) is None
    assert stranded([*nodes, Node("n4", 3)], vms, [Apart(["a", "b"], scope="domain")]) is None
    assert stranded([*nodes, Node("n4", 2)], vms, [Apart(["a", "b"], scope="domain")])[0] == "a"


def test_a_mate_bars_its_domain_from_where_it_may_be():
    nodes = [Node("n1", 9), Node("n2", 9, domain="r"), Node("n3", 9, domain="r")]
    vms = [VM("a", 3, "n1"), VM("b", 3, "n1", protected=False)]
    rules = [Apart(["a", "b"], scope="domain"), OnlyOn(["b"], ["n1", "n3"])]
    assert stranded(nodes, vms, rules) == ("a", {"b": "n3"})


def test_nodes_of_different_domains_are_not_alike():
    """b bars two nodes in the domain, or one outside of it; c closes one more."""
    nodes = [Node("n1", 9), Node("n2", 4, domain="r"), Node("n3", 4, domain="r"), Node("n4", 4)]
    vms = [VM("a", 3, "n1"), VM("c", 2, "n1", protected=False), VM("b", 2, "n1", protected=False)]
    who, restarts = stranded(nodes, vms, [Apart(["a", "b"], scope="domain")])
    assert (who, restarts["b"] in ("n2", "n3"), restarts["c"]) == ("a", True, "n4")


def test_a_bound_vm_may_be_stranded_where_a_larger_free_one_is_not():
    vms = [VM("a", 1, "n1"), VM("b", 2, "n1")]
    assert stranded(hosts(3, 2, 9, 9), vms, [OnlyOn(["a"], ["n1", "n2"])]) == ("a", {"b": "n2"})


def test_it_gives_up_after_so_many_states(monkeypatch):
    vms = [VM(f"v{i}", 7 + i, "n1") for i in range(9)]
    nodes = hosts(200, 33, 34, 35, 36)
    with pytest.raises(TooHardError):
        stranded(nodes, vms, effort=1)
    monkeypatch.setattr(vmplace.auditor.any_order, "_MOST_COUNTS", 100)
    with pytest.raises(TooHardError):
        stranded(nodes, vms)


MIXED = {"max_nodes": 5, "placed": "all", "failures": (1, 1, 2, 3), "domains": True, "resources": True, "evictable": True}
"""Clusters of all kinds, placed, in which one to three nodes fail at once."""
any_order = clusters(**MIXED, targets=True, restart=("any-order",))


@settings(max_examples=50, deadline=None)
@given(any_order)
def test_it_finds_a_story_if_and_only_if_there_is_one(cluster):
    world, failures = World(cluster), failures_of(cluster)
    names, nodes = failures.case.vm.names, failures.case.nodes
    for key in world.scenarios(world.now):
        found = [find_counterexample(failures.at_once(s), WorkLimit()) for s in failures.scenarios.by_key[key]]
        assert any(found) == (not world.survivable(world.now, key))
        for stranding in filter(None, found):
            state = {names[v]: nodes[i] for v, i in stranding.restarts.items()}
            assert world.is_state(world.now, key, state)
            assert world.is_stranded(world.now, key, state, names[stranding.vm])


# The audit


def told(nodes, vms, plans=None, **guarantee):
    cluster = Cluster(nodes, vms, (), Guarantee(restart="any-order", **guarantee))
    return [(v.kind, v.subject, v.message) for v in audit(cluster, {vm.name: vm.node for vm in vms}, plans)]


FRAGILE = [VM("big", 4, "n1"), VM("small", 1, "n1")]
STORY = "if n1 fails and small restarts on n2, then big is stranded"


def test_a_plan_that_holds_is_no_promise_for_any_order():
    plan = {"n1": {"big": "n2", "small": "n3"}}
    assert told(hosts(5, 4, 1), FRAGILE, plan) == [("unprotected", "n1", STORY)]
    assert told(hosts(5, 5, 1), FRAGILE, plan) == []


def test_plans_must_hold_all_the_same():
    assert [v[:2] for v in told(hosts(5, 5, 5), FRAGILE, {})] == [("unprotected", "n1")] * 2
    assert [v[:2] for v in told(hosts(5, 5, 3), FRAGILE, {"n1": {"big": "n3", "small": "n2"}})] == [("failover", "n1")]


def test_without_plans_the_promise_is_decided_too():
    assert told(hosts(5, 4, 1), FRAGILE) == [("unprotected", "n1", STORY)]
    assert told(hosts(5, 5, 1), FRAGILE) == []


def test_who_fits_nowhere_is_told_so():
    assert told(hosts(5, 3), FRAGILE) == [("unprotected", "n1", "if n1 fails, no survivor can take big")]


def test_two_failures_strand_whom_one_does_not():
    vms = [VM("a", 3, "n1"), VM("b", 2, "n2")]
    assert told(hosts(5, 5, 4), vms) == []
    assert told(hosts(5, 5, 4), vms, failures=2) == [
        ("unprotected", "n1+n2", "if n1+n2 fails and b restarts on n3, then a is stranded")
    ]


def test_a_long_story_is_cut():
    vms = [VM("big", 10, "n1"), *(VM(f"v{i}", 1, "n1", protected=False) for i in range(12))]
    ((_, _, message),) = told(hosts(22, 19), vms)
    assert message.count("restarts on n2") == 8
    assert message.endswith(" and 2 more restart, then big is stranded")


def test_what_is_too_hard_is_unverified(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.any_order, "WorkLimit", lambda: WorkLimit(1))
    vms = [VM(f"v{i}", 7 + i, "n1") for i in range(9)]
    ((kind, subject, message),) = told(hosts(200, 33, 34, 35, 36), vms)
    assert (kind, subject) == ("unverified", "n1")
    assert message == "if n1 fails: too hard to decide whether some order of restarts strands a VM"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_nothing_to_restart_is_nothing_to_promise(failures):
    assert told(hosts(5, 5), [VM("u", 5, "n1", protected=False)], failures=failures) == []


# Subset sums


things = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=4)


def all_sums(sizes, counts):
    return {
        sum(size * n for size, n in zip(sizes, some, strict=True)) for some in product(*(range(count + 1) for count in counts))
    }


@given(things, st.integers(0, 40))
def test_every_sum_up_to_the_most_has_its_bit(things, most):
    sizes, counts = [size for size, _ in things], [count for _, count in things]
    bits = subset_sums(sizes, counts, most)
    assert {i for i in range(bits.bit_length()) if bits >> i & 1} == {s for s in all_sums(sizes, counts) if s <= most}


@given(things, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4), st.sampled_from([1, 3]))
def test_the_least_sum_above_a_floor(things, limits, step):
    sizes, counts = [step * size for size, _ in things], [count for _, count in things]
    sums = all_sums(sizes, counts)
    columns = [np.array(part, dtype=np.int64) for part in ([f for f, _ in limits], [m for _, m in limits], sizes, counts)]
    found = least_sums_above(*columns, step).tolist()
    for (floor, most), least in zip(limits, found, strict=True):
        right = [s for s in sums if floor < s <= most]
        assert least == min(right) if right else least > max(sums)


def test_what_is_too_wide_is_rounded(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.any_order, "_WIDEST", 10)
    columns = [np.array(part) for part in ([7], [50], [9], [2])]
    assert least_sums_above(*columns, 1).tolist() == [8]
    assert least_sums_above(*columns, 9).tolist() == [9]


def test_vms_that_are_apart_close_every_node_without_memory():
    cluster = Cluster(
        [Node(f"n{i}", 100) for i in range(4)],
        [VM(f"a{i}", 4, f"n{i}") for i in range(3)],
        [Apart(["a0", "a1", "a2"])],
        Guarantee(failures=2, restart="any-order"),
    )
    found = audit(cluster, {vm.name: vm.node for vm in cluster.vms})
    assert {violation.subject for violation in found} == {f"n{i}+n{j}" for j in range(4) for i in range(j)}
