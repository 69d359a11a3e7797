import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Apart, Cluster, Node, NotOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.problem.rules import kept
from vmplace.search.goal import Goal
from vmplace.search.local.removal import loosen
from vmplace.testing import clusters

FEW = Goal(("moves",), move_running=True)


def loosened(nodes, vms, rules=(), cap=None, goal=FEW):
    problem = compile_problem(Cluster(nodes, vms, rules))
    return loosen(problem, goal, goal.limits(problem) if cap is None else np.array(cap).reshape(len(nodes), -1)).tolist()


@settings(max_examples=60, deadline=None)
@given(clusters(min_nodes=1, max_nodes=4, max_vms=8, domains=True, resources=True, evictable=True, targets=True), st.data())
def test_nodes_come_under_their_caps_and_nobody_moves_in_vain(cluster, data):
    problem = compile_problem(cluster)
    cap = np.array(
        [[data.draw(st.integers(0, amount)) for amount in row] for row in problem.capacity.tolist()], dtype=np.int64
    ).reshape(problem.capacity.shape)
    node_of = loosen(problem, FEW, cap)
    free = FEW.free(problem)
    stays = node_of >= 0
    assert (node_of[stays] == problem.node_of[stays]).all()
    assert (stays | free).all()
    fixed = problem.loads(np.where(free, -1, problem.node_of))
    assert (problem.loads(node_of) <= np.maximum(cap, fixed)).all()
    for binding in (b for b in problem.compiled_rules if not kept(b, node_of)):
        assert not binding.must or not free[binding.vms[node_of[binding.vms] >= 0]].all()
    if not cluster.rules:
        left = problem.node_of[~stays & (problem.node_of >= 0)]
        assert (problem.loads(problem.node_of) > cap)[left].any(axis=1).all()


def test_nobody_moves_where_running_vms_stay():
    assert loosened([Node("n0", 4)], [VM("a", 4, "n0"), VM("b", 4, "n0"), VM("c", 1)], goal=Goal(("balance",))) == [0, 0, -1]


@pytest.mark.parametrize(
    ("cap", "left"), [(14, [0, 0, 0]), (13, [0, 0, -1]), (10, [0, -1, 0]), (8, [-1, 0, 0]), (4, [-1, 0, -1]), (0, [-1, -1, -1])]
)
def test_the_smallest_that_does_it_or_else_the_largest_and_on(cap, left):
    assert loosened([Node("n0", 99)], [VM("a", 7, "n0"), VM("b", 4, "n0"), VM("c", 3, "n0")], cap=[cap]) == left


def test_an_overfull_node_in_maintenance_is_relieved_of_the_least():
    nodes = [Node("m", 10, state="maintenance"), Node("n1", 20)]
    assert loosened(nodes, [VM("a", 9, "m"), VM("b", 2, "m")]) == [0, -1]


def test_of_two_that_are_apart_the_one_that_must_or_the_larger_stays():
    nodes = [Node("n0", 20), Node("n1", 20)]
    vms = [VM("a", 2, "n0"), VM("b", 5, "n0"), VM("c", 1, "n0", movable=False)]
    assert loosened(nodes, vms[:2], [Apart(["a", "b"])]) == [-1, 0]
    assert loosened(nodes, vms, [Apart(["a", "b", "c"])]) == [-1, -1, 0]
    assert loosened(nodes, vms, [Apart(["a", "b", "c"], must=False)]) == [0, 0, 0]


def test_a_split_group_gathers_where_most_of_it_is_if_there_is_room():
    nodes = [Node("n0", 8), Node("n1", 8), Node("n2", 9, state="maintenance")]
    pair = [VM("a", 2, "n0"), VM("b", 5, "n1")]
    assert loosened(nodes, pair, [Together(["a", "b"])]) == [-1, 1]
    assert loosened(nodes, [*pair, VM("c", 2, "n1")], [Together(["a", "b"])]) == [0, -1, 1]
    assert loosened(nodes, [*pair, VM("c", 2, "n1"), VM("d", 2, "n0")], [Together(["a", "b"])]) == [-1, -1, 1, 0]
    # Room that one group will take is not there for the next.
    two = [VM("c", 1, "n0"), VM("d", 1, "n1")]
    assert loosened(nodes, [*pair, *two], [Together(["a", "b"]), Together(["c", "d"])]) == [-1, 1, 0, -1]
    assert loosened(nodes, [VM("a", 2, "n0"), VM("b", 5, "n2")], [Together(["a", "b"])]) == [0, -1]


def test_who_is_in_two_split_groups_gathers_with_neither():
    nodes = [Node(f"n{i}", 20) for i in range(3)]
    vms = [VM("a", 2, "n0"), VM("b", 5, "n1"), VM("c", 7, "n2")]
    assert loosened(nodes, vms, [Together(["a", "b"]), Together(["b", "c"])]) == [-1, -1, 2]


def test_a_split_group_is_gathered_and_the_misplaced_leave():
    nodes = [Node("n0", 20), Node("n1", 20)]
    vms = [VM("a", 2, "n0", movable=False), VM("b", 5, "n1"), VM("c", 1, "n1"), VM("d", 1, "n0")]
    assert loosened(nodes, vms, [Together(["a", "b"]), NotOn(["c"], ["n1"])]) == [0, -1, -1, 0]


def test_a_node_comes_down_in_each_resource_by_the_smallest_that_do_it():
    nodes = [Node("n0", 20, resources={"vcpu": 8, "disk": 9})]
    vms = [VM("a", 6, "n0", resources={"vcpu": 1}), VM("b", 3, "n0", resources={"vcpu": 4}), VM("c", 2, "n0")]
    vms += [VM("d", 4, "n0", resources={"vcpu": 3, "disk": 9}), VM("e", 5, "n0", resources={"vcpu": 3})]
    assert loosened(nodes, vms) == [0, -1, 0, 0, 0]
    assert loosened(nodes, vms, cap=[15, 8, 9]) == [0, 0, 0, 0, -1]
    assert loosened(nodes, vms, cap=[20, 4, 9]) == [0, -1, 0, -1, 0]
    assert loosened(nodes, vms, cap=[20, 11, 0]) == [0, 0, 0, -1, 0]


def test_a_split_group_gathers_where_every_resource_has_room():
    nodes = [Node("n0", 9, resources={"vcpu": 4}), Node("n1", 9, resources={"vcpu": 1})]
    vms = [VM("a", 2, "n0", resources={"vcpu": 1}), VM("b", 5, "n1")]
    assert loosened(nodes, vms, [Together(["a", "b"])]) == [-1, 1]
    busy = [*vms, VM("c", 1, "n1", resources={"vcpu": 1})]
    assert loosened(nodes, busy, [Together(["a", "b"])]) == [0, -1, 1]


def test_of_two_in_one_domain_that_are_to_be_apart_one_leaves():
    nodes = [Node("n0", 20, domain="a"), Node("n1", 20, domain="a"), Node("n2", 20, domain="b")]
    vms = [VM("a", 2, "n0"), VM("b", 5, "n1"), VM("c", 9, "n2")]
    assert loosened(nodes, vms, [Apart(["a", "b", "c"], scope="domain")]) == [-1, 1, 2]
    assert loosened(nodes, vms, [Apart(["a", "b", "c"])]) == [0, 1, 2]


def test_where_soft_rules_come_first_what_breaks_them_goes_too():
    asked = Goal(("rules",), move_running=True)
    nodes = [Node(f"n{i}", 9) for i in range(3)]
    vms = [VM("a", 1, "n0", home="n2"), VM("b", 2, "n0"), VM("c", 1, "n1")]
    rules = [Apart(["a", "b"], must=False), NotOn(["c"], ["n1"], must=False), Together(["b", "c"], must=False)]
    assert loosened(nodes, vms, rules) == [0, 0, 1]
    assert loosened(nodes, vms, rules[:1], goal=asked) == [-1, 0, 1]
    assert loosened(nodes, vms, rules[1:2], goal=asked) == [-1, 0, -1]
    assert loosened(nodes, vms, rules[2:], goal=asked) == [-1, 0, -1]
    assert loosened(nodes, vms, goal=Goal(("rules",))) == [0, 0, 1]
