import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Apart, Cluster, Node, NotOn, Together
from vmplace.goal import Goal, broken_bindings
from vmplace.problem import compile_problem
from vmplace.relocate import loosen
from vmplace.testing import clusters

FEW = Goal(("moves",), move_running=True)


def loosened(nodes, vms, rules=(), cap=None, goal=FEW):
    problem = compile_problem(Cluster(nodes, vms, rules))
    return loosen(problem, goal, problem.limit if cap is None else np.array(cap)).tolist()


@settings(max_examples=120, deadline=None)
@given(clusters(min_nodes=1, max_nodes=4, max_vms=8), st.data())
def test_nodes_come_under_their_caps_and_nobody_moves_in_vain(cluster, data):
    problem = compile_problem(cluster)
    cap = np.array([data.draw(st.integers(0, usable)) for usable in problem.usable.tolist()], dtype=np.int64)
    node_of = loosen(problem, FEW, cap)
    free = FEW.free(problem)
    stays = node_of >= 0
    assert (node_of[stays] == problem.node_of[stays]).all()
    assert (stays | free).all()
    fixed = problem.load(np.where(free, -1, problem.node_of))
    assert (problem.load(node_of) <= np.maximum(cap, fixed)).all()
    for binding in broken_bindings(problem, node_of):
        assert not binding.must or not free[binding.vms[node_of[binding.vms] >= 0]].all()
    if not cluster.rules:
        left = problem.node_of[~stays & (problem.node_of >= 0)]
        assert (problem.load(problem.node_of) > cap)[left].all()


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
