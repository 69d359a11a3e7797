import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings

from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.failover.planned.decide import decide
from vmplace.failover.restart import RestartProblem, _kinds
from vmplace.problem.compile import compile_problem
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters


def state(cluster):
    problem = compile_problem(cluster)
    return PlacementState.of(problem, problem.node_of)


def restart(cluster, failed=0):
    return RestartProblem.of(state(cluster), failed)


def on_all_nodes(now, failed):
    """The same failure, without leaving any node or rule out of consideration."""
    short = RestartProblem.of(now, failed)
    nodes = now.freest(int(now.scenarios.pool[failed]))
    nodes = nodes[~np.isin(nodes, now.scenarios.failing(failed))]
    open_to = now.problem.restartable[now.problem.signature[short.vms]][:, nodes]
    rules = tuple(b for b in now.problem.compiled_rules if b.during_failover and np.isin(b.vms, short.vms).any())
    stay = [now.node_of[b.vms[~np.isin(b.vms, short.vms)]] for b in rules]
    zones = [np.arange(now.problem.n_nodes) if b.zone is None else b.zone for b in rules]
    standing = tuple(
        (zone[nodes][:, None] == zone[hosts[hosts >= 0]]).sum(axis=1) for zone, hosts in zip(zones, stay, strict=True)
    )
    return evolve(short, open_to=open_to, nodes=nodes, room=now.spare[nodes], rules=rules, standing=standing)


def lost(problem, plan):
    """Memory left out, by priority."""
    vms = [] if plan.loss is None else plan.loss.vms.tolist()
    return {p: sum(int(problem.memory[v]) for v in vms if problem.priority[v] == p) for p in set(problem.priority.tolist())}


@settings(max_examples=50, deadline=None)
@given(clusters(min_nodes=4, max_nodes=7, max_vms=7, placed="all", pools=False, domains=True, resources=True))
def test_leaving_nodes_out_of_consideration_changes_no_verdict(cluster):
    now = state(cluster)
    for failed in np.flatnonzero(now.asked).tolist():
        few, many = (decide(r, budget=Budget()) for r in (RestartProblem.of(now, failed), on_all_nodes(now, failed)))
        assert few.safe is many.safe
        assert lost(now.problem, few) == lost(now.problem, many)


def test_no_more_nodes_than_vms_are_considered_of_each_kind():
    nodes = [Node(f"n{i}", 20 + i, tags=["gpu"] if i % 2 else []) for i in range(9)]
    plain = restart(Cluster(nodes, [VM("a", 1, "n0"), VM("b", 1, "n0")]))
    assert set(plain.nodes[:2]) == {8, 7}
    assert len(plain.nodes) <= 3
    ruled = restart(Cluster(nodes, [VM("a", 1, "n0"), VM("b", 1, "n3")], [Apart(["a", "b"])]))
    assert ruled.nodes.tolist() == [8, 3]
    assert ruled.standing[0].tolist() == [0, 1]


def test_nodes_short_of_something_else_stand_in_for_nobody():
    nodes = [Node("n0", 99, resources={"vcpu": 9}), *(Node(f"n{i}", 20 - i, resources={"vcpu": i % 3}) for i in range(1, 9))]
    vms = [VM("a", 1, "n0", resources={"vcpu": 1}), VM("b", 1, "n0", resources={"vcpu": 1})]
    found = restart(Cluster(nodes, vms))
    assert found.nodes.tolist() == [1, 2, 3, 4, 5]  # 2 and 5 have enough for both


def test_domains_matter_to_those_that_others_can_meet():
    nodes = [Node(f"n{i}", 20 - i, domain=f"rack-{i // 3}") for i in range(9)]
    vms = [VM("a", 1, "n0"), VM("b", 1, "n0"), VM("c", 1, "n8")]
    one = restart(Cluster(nodes, vms, [Apart(["a", "c"], scope="domain")]))
    assert one.nodes.tolist() == [1, 2, 6, 7]
    both = restart(Cluster(nodes, vms, [Apart(["a", "b", "c"], scope="domain", must=False)]))
    assert both.nodes.tolist() == [1, 2, 3, 4, 6, 7]


def test_survivors_free_memory_is_listed_from_the_freest_on():
    found = restart(Cluster([Node("n0", 9), Node("n1", 5), Node("n2", 7)], [VM("a", 4, "n0"), VM("b", 3, "n0")]))
    assert (found.nodes.tolist(), found.free.tolist()) == ([2, 1], [7, 5])
    assert found.vms.tolist() == [0, 1]


def test_what_must_be_together_restarts_as_one():
    nodes = [Node("n0", 90), *(Node(f"n{i}", 20) for i in (1, 2, 3))]
    vms = [VM(name, size, "n0", priority=size) for name, size in (("a", 1), ("b", 2), ("c", 4), ("d", 8), ("e", 16))]
    rules = [Together(["a", "b"]), Together(["b", "c"]), Together(["c", "d"], must=False)]
    found = restart(Cluster(nodes, vms, rules))
    assert [(item.memory, item.priority) for item in found.joint_items()] == [(16, 16), (8, 8), (7, 4)]
    assert [item.memory for item in found.joint_items(soft=True)] == [16, 15]
    assert [item.memory for item in found.single_items] == [16, 8, 4, 2, 1]
    assert found.has_soft


def test_equal_vms_are_alike_unless_rules_differ():
    nodes = [Node(f"n{i}", 90) for i in range(3)]
    vms = [VM(name, 2, "n0") for name in "abc"]
    found = restart(Cluster(nodes, vms, [OnlyOn(["c"], ["n0", "n1"])]))
    kinds = {item.vms[0]: item.likeness for item in found.single_items}
    assert kinds[0] == kinds[1] != kinds[2]
    allowed = {item.vms[0]: found.nodes[item.allowed].tolist() for item in found.single_items}
    assert allowed == {0: [1, 2], 1: [1, 2], 2: [1]}


def test_an_unprotected_member_that_vanishes_keeps_nobody_away():
    nodes = [Node(f"n{i}", 10) for i in range(3)]
    vms = [VM("a", 2, "n0"), VM("gone", 2, "n0", protected=False), VM("stays", 2, "n1", protected=False)]
    found = restart(Cluster(nodes, vms, [Apart(["a", "gone", "stays"])]))
    (item,) = found.single_items
    assert found.nodes[item.allowed].tolist() == [2]


def test_kinds_tell_apart_whatever_some_pattern_does():
    first, second = np.array([0, 1, 2, 2, 0]), np.array([2, 1, 0, 1, 2])
    assert _kinds([first, second]).tolist() == [0, 1, 2, 3, 0]
    assert len(np.unique(_kinds([np.array([True, False, True]), np.array([1, 1, 0])]))) == 3


@pytest.mark.parametrize(("room", "least"), [(6, 0), (5, 1)])
def test_a_soft_rule_that_one_node_can_just_keep_need_not_be_broken(room, least):
    nodes = [Node("n1", 10), Node("n2", room), Node("n3", 5)]
    cluster = Cluster(nodes, [VM("a", 3, "n1"), VM("b", 3, "n1")], [Together(["a", "b"], must=False)])
    assert [broken for _, broken in restart(cluster)._least_breaches] == [least]


def test_a_soft_rule_of_another_kind_is_not_taken_for_together():
    nodes = [Node("n1", 10), Node("n2", 10), Node("n3", 2)]
    cluster = Cluster(nodes, [VM("a", 3, "n1"), VM("b", 3, "n1")], [Apart(["a", "b"], must=False)])
    assert [broken for _, broken in restart(evolve(cluster, rules=[Apart(["a", "b"], must=False)]))._least_breaches] == [1]
