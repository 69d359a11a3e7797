"""The arithmetic of restarts in any order: hand-computed borders, and never a wrong yes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace.auditor.scenarios
from tests.auditor.test_any_order import any_order, failures_of
from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.auditor.certificate import caps, closing, doubtful_pools, doubtful_scenarios, resistance
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Together
from vmplace.model.guarantee import Guarantee


def doubts(nodes, vms, rules=(), **guarantee):
    found = failures_of(Cluster(nodes, vms, rules, Guarantee(**guarantee)))
    return [found.scenarios.keys[s] for s in doubtful_scenarios(found).tolist()]


def hosts(*sizes, **more):
    return [Node(f"n{i}", size, **more) for i, size in enumerate(sizes, 1)]


def test_what_closes_a_node():
    """Of 3 MiB in whole multiples of 2, one VM of 2 fits; others must hold 2 to close it, and 0 to close one of 1 MiB."""
    assert closing(np.array([[3, 1, 8, -5]]), np.array([2]), np.array([2])).tolist() == [[2, 0, 8, 0]]


def test_caps_are_distinct_and_the_most_comes_first():
    assert [cap.tolist() for cap in caps(np.array([[3, 7, 3, 0]]))] == [[7], [3], [0]]
    assert [cap.tolist() for cap in caps(np.array([[3, 7], [1, 0]]))] == [[7, 1]]
    assert [cap.tolist() for cap in caps(np.zeros((1, 0), dtype=np.int64))] == []
    many = [cap[0] for cap in caps(np.arange(1000)[None])]
    assert len(many) == 16
    assert (many[0], many[-1]) == (999, 0)


def test_shares_of_several_resources_err_on_the_safe_side():
    least = np.array([[2, 9, 0], [3, 9, 5]])
    held, limit = resistance(least, np.array([4, 6]))
    assert limit % 2 == 0
    assert held.tolist() == [limit // 4, limit + 1, 0]


@pytest.mark.parametrize(("free", "safe"), [(4, True), (3, False)])
def test_the_border_of_one_failure(free, safe):
    """Sizes 3, 2 and 1 are displaced: the others, 3 in all, close two nodes of 3 to the first, but not two of 4."""
    vms = [VM("a", 3, "n1"), VM("b", 2, "n1"), VM("c", 1, "n1")]
    assert doubts(hosts(6, free, free), vms) == ([] if safe else ["n1"])


def test_the_divisor_of_the_sizes_counts():
    """A node of 6 is closed to the 4 by 3 or more, which takes 4 in twos: of 6 that is not enough for two nodes."""
    assert doubts(hosts(10, 6, 6), [VM(f"v{i}", size, "n1") for i, size in enumerate((4, 2, 2, 2))]) == []
    assert doubts(hosts(10, 6, 6), [VM(f"v{i}", size, "n1") for i, size in enumerate((4, 2, 2, 1, 1))]) == ["n1"]


def test_what_is_larger_than_needed_is_cut_down():
    """Two VMs of 9 can close no more than two nodes, though three take 2 MiB each to close."""
    vms = [VM("a", 9, "n1"), VM("b", 9, "n1"), VM("c", 9, "n1")]
    assert doubts(hosts(27, 10, 10, 10), vms) == []
    assert doubts(hosts(27, 10, 10), vms) == ["n1"]


def test_unprotected_vms_restart_too():
    vms = [VM("a", 4, "n1"), VM("u", 4, "n1", protected=False)]
    assert doubts(hosts(8, 7), vms) == ["n1"]
    assert doubts(hosts(8, 8), vms) == []
    assert doubts(hosts(8, 7), vms[1:]) == []
    assert doubts(hosts(8, 7), [vms[0], VM("e", 4, "n1", evictable=True)]) == []


def test_a_resource_that_closes_no_node_is_left_out():
    held, limit = resistance(np.array([[9, 9], [1, 2]]), np.array([8, 2]))
    assert (held.tolist(), limit) == ([1, 2], 2)
    held, limit = resistance(np.array([[9, 9], [3, 3]]), np.array([8, 2]))
    assert held.sum() > limit


def test_several_failures_displace_more_and_leave_less():
    vms = [VM("a", 2, "n1"), VM("b", 2, "n2")]
    assert doubts(hosts(4, 4, 4), vms) == []
    assert doubts(hosts(4, 4, 4), vms, failures=2) == []
    assert doubts(hosts(4, 4, 3), vms, failures=2) == ["n1+n2"]


def test_further_resources_close_nodes():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": v}) for i, v in ((1, 4), (2, 2), (3, 2))]
    vms = [VM("a", 1, "n1", resources={"vcpu": 2}), VM("b", 1, "n1", resources={"vcpu": 1}), VM("c", 1, "n1")]
    assert doubts(nodes, vms) == []
    vms[2] = VM("c", 1, "n1", resources={"vcpu": 1})
    assert doubts(nodes, vms) == ["n1"]
    assert doubts([nodes[0], nodes[1], Node("n3", 10, resources={"vcpu": 4})], vms) == []


def test_the_largest_vm_does_not_speak_for_others_that_need_more_of_something_else():
    nodes = [Node("n1", 20, resources={"vcpu": 2}), Node("n2", 20, resources={"vcpu": 1})]
    big, small = VM("big", 9, "n1"), VM("small", 1, "n1", resources={"vcpu": 1})
    assert doubts(nodes, [big, small]) == []
    assert doubts(nodes, [big, small, VM("u", 1, "n1", protected=False, resources={"vcpu": 1})]) == ["n1"]


@pytest.mark.parametrize(
    ("rule", "safe"),
    [
        (OnlyOn(["a"], ["n1", "n2"]), False),
        (OnlyOn(["a"], ["n1", "n2", "n3"]), True),
        (NotOn(["a"], ["n2"]), False),
        (NotOn(["a"], ["n1", "n4"]), True),
        (NotOn(["a"], ["n2"], during_failover=False), True),
        (NotOn(["a"], ["n2"], must=False), True),
        (NotOn(["b"], ["n2"]), False),
        (NotOn(["b"], ["n5"]), True),
        (Apart(["a", "u"]), False),
        (Apart(["a", "w"]), True),
        (Apart(["a", "e"]), True),
        (Apart(["a", "b"]), False),
        (Apart(["a", "u"], scope="domain"), False),
        (Together(["a", "b"]), False),
        (Together(["a", "u"]), True),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_rules_leave_fewer_nodes(rule, safe):
    """A 3 needs both n2 and n3, since the other 3 can close one of them."""
    vms = [VM("a", 3, "n1"), VM("b", 3, "n1"), VM("u", 1, "n2", protected=False), VM("w", 1, "n4", protected=False)]
    nodes = [Node("n1", 6), Node("n2", 5), Node("n3", 4), Node("n4", 1), Node("n5", 1)]
    vms += [VM("e", 1, "n3", evictable=True)]
    assert doubts(nodes, vms, [rule]) == ([] if safe else ["n1"])


def test_a_peer_that_fails_too_bars_its_best_place():
    """Two of the three other nodes are enough for a, so it may lose one to b, but not a rack of two."""
    nodes = [Node("n1", 9), *(Node(f"n{i}", 9, domain="rack" if i < 4 else None) for i in (2, 3, 4))]
    vms = [VM("a", 4, "n1"), VM("b", 4, "n1", protected=False)]
    assert doubts(nodes, vms, [Apart(["a", "b"])]) == []
    assert doubts(nodes, vms, [Apart(["a", "b"], scope="domain")]) == []
    assert doubts(nodes[:3], vms, [Apart(["a", "b"], scope="domain")]) == ["n1"]


def crowded(nodes, vms, monkeypatch, rules=(), most=1, **asked):
    monkeypatch.setattr(vmplace.auditor.scenarios, "MOST_SCENARIOS", most)
    found = failures_of(Cluster(nodes, vms, rules, Guarantee(failures=2, **(asked or {"restart": "any-order"}))))
    return [found.case.pools[pool] for pool in doubtful_pools(found)]


def test_a_pool_of_too_many_scenarios_is_judged_by_its_worst(monkeypatch):
    vms = [VM(f"v{i}", 2, f"n{i}") for i in (1, 2, 3, 4)]
    assert crowded(hosts(6, 6, 6, 6), vms, monkeypatch) == []
    assert crowded(hosts(4, 4, 4, 4), vms, monkeypatch) == []
    assert crowded(hosts(3, 3, 3, 3), vms, monkeypatch) == ["default"]
    assert crowded(hosts(6, 6, 6, 6), vms, monkeypatch, [Together(["v1", "v2"])]) == ["default"]
    assert crowded(hosts(3, 3, 3, 3), vms, monkeypatch, most=6) == []
    unbound = [VM(f"v{i}", 2, f"n{i}", protected=False) for i in (1, 2, 3, 4)]
    assert crowded(hosts(3, 3, 3, 3), unbound, monkeypatch) == []


def test_a_policy_that_does_not_look_at_memory_is_not_judged_by_sums(monkeypatch):
    vms = [VM(f"v{i}", 2, f"n{i}") for i in (1, 2, 3, 4)]
    assert crowded(hosts(6, 6, 6, 6), vms, monkeypatch, policy="most-free") == []
    assert crowded(hosts(6, 6, 6, 6), vms, monkeypatch, policy="fewest-vms") == ["default"]


@settings(max_examples=50, deadline=None)
@given(any_order)
def test_what_it_shows_is_survived(cluster):
    world, found = World(cluster), failures_of(cluster)
    doubtful = {found.scenarios.keys[s] for s in doubtful_scenarios(found).tolist()}
    assert doubtful >= {key for key in world.scenarios(world.now) if not world.survivable(world.now, key)}


@settings(max_examples=30, deadline=None)
@given(any_order, st.sampled_from([1, 10]))
def test_what_it_shows_of_a_whole_pool_is_survived(cluster, most):
    world = World(cluster)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vmplace.auditor.scenarios, "MOST_SCENARIOS", most)
        found = failures_of(cluster)
        doubtful = {found.case.pools[pool] for pool in doubtful_pools(found)}
        judged = {found.case.pools[int(found.scenarios.pool[hosts[0]])] for hosts in found.scenarios.crowded}
    assert doubtful <= judged
    assert judged & world.bad_pools(world.now) <= doubtful


@pytest.mark.parametrize("guarantee", [{"restart": "any-order"}, {"policy": "first-fit"}])
def test_vms_under_different_size_limits_are_told_apart(guarantee):
    """Of the node that is left, one limit is kept by all, and another forbids it to one."""
    limits = [{}, {"memory": 1}, {"vcpu": 0}]
    nodes = [Node(f"n{i}", 6, resources={"vcpu": 1}, max_vm=most) for i, most in enumerate(limits)]
    vms = [VM("a", 2, "n0"), VM("b", 1, "n0", resources={"vcpu": 1})]
    cluster = Cluster(nodes, vms, (), Guarantee(failures=2, **guarantee))
    found = audit(cluster, {"a": "n0", "b": "n0"})
    assert {v.subject for v in found if v.kind == "unprotected"} == {"n0+n1", "n0+n2"}
