"""What no placement can exceed: never below what brute force reaches, and exact where it is plain to see."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.capacity.upper_bounds import count_bounds
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters


def least(cluster: Cluster, *sizes: int, goal: Goal | None = None) -> int:
    problem = compile_problem(cluster)
    bundle = np.array([[size] + [0] * len(problem.resources) for size in sizes])
    pool = int(problem.pool[0]) if problem.n_nodes else 0
    found = count_bounds(problem, goal or Goal(("rules",)), bundle, pool, budget=Budget())[1]
    assert all(bound.most <= bound.by_sum and bound.in_pieces is (bound.most < bound.by_sum) for bound in found)
    return min(bound.most for bound in found)


@pytest.mark.parametrize(
    ("free", "loads", "size", "most"),
    [
        ((10, 10, 10), (), 3, 6),  # three holes of three on each of the two that are left
        ((10, 10, 10), (5,), 3, 4),  # the 5 takes the room of two
        ((10, 10, 10), (), 11, 0),
        ((4, 4, 100), (), 4, 2),  # the large one may fail
    ],
)
def test_slots_beside_the_largest(free, loads, size, most):
    nodes = [Node(f"n{i}", memory) for i, memory in enumerate(free)]
    assert least(Cluster(nodes, [VM(f"v{i}", m, f"n{i}") for i, m in enumerate(loads)]), size) == most


def test_the_displaced_take_room_of_survivors():
    nodes = [Node("n0", 20), Node("n1", 10), Node("n2", 10)]
    both = Cluster(nodes, [VM("a", 9, "n0"), VM("b", 9, "n0")])
    assert least(both, 3) == 0
    assert least(evolve(both, vms=[both.vms[0], evolve(both.vms[1], protected=False)]), 3) == 3


def test_what_is_to_be_in_pairs_counts_as_pairs():
    nodes = [Node(f"n{i}", 12) for i in range(3)]
    assert least(Cluster(nodes), 4, 2) == 4
    assert least(Cluster(nodes, guarantee=Guarantee(failures=0)), 4, 2) == 6


def test_those_that_may_move_are_taken_anew():
    crumbs = Cluster([Node(f"n{i}", 10) for i in range(4)], [VM(f"v{i}", 4, f"n{i}") for i in range(4)])
    assert least(crumbs, 9) == 0
    assert least(crumbs, 9, goal=Goal(("rules",), move_running=True)) == 1


@st.composite
def roomy(draw: Any) -> tuple[Cluster, int]:
    cluster = draw(
        clusters(max_nodes=3, max_vms=3, min_nodes=1, pools=False, failures=(0, 1, 1, 2), evictable=True, targets=True)
    )
    unit = math.gcd(*(vm.memory for vm in cluster.vms)) or 1
    size = unit * draw(st.integers(1, 4))
    nodes = [evolve(node, memory=node.memory + size * draw(st.integers(0, 2))) for node in cluster.nodes]
    return evolve(cluster, nodes=nodes), size


@settings(max_examples=40, deadline=None, derandomize=True)
@given(roomy(), st.booleans())
def test_no_more_are_possible(drawn, move_running):
    cluster, size = drawn
    most = least(cluster, size, goal=Goal(("rules",), move_running=move_running))
    if most < 4:
        more = [VM(f"more{i}", size) for i in range(most + 1)]
        assert World(evolve(cluster, vms=[*cluster.vms, *more])).optimum("moves", move_running=move_running) is None
