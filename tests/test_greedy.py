from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.budget import Budget
from vmplace.fill import Filling
from vmplace.generate import generate
from vmplace.goal import Goal
from vmplace.greedy import construct
from vmplace.problem import compile_problem
from vmplace.relocate import loosen
from vmplace.testing import clusters

BALANCE, MOVES = Goal(("balance",)), Goal(("moves",), move_running=True)


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=5, max_vms=10), st.booleans())
def test_filling_keeps_caps_and_must_rules(cluster, pack):
    problem = compile_problem(cluster)
    filling = Filling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
    filling.place_all()
    new = np.flatnonzero((problem.node_of < 0) & (filling.node_of >= 0))
    filled = np.unique(filling.node_of[new])
    assert (problem.load(filling.node_of)[filled] <= problem.limit[filled]).all()
    assert problem.reachable[problem.signature[new], filling.node_of[new]].all()
    assert problem.online[filling.node_of[new]].all()


@pytest.mark.parametrize("pack", [False, True])
def test_rules_are_kept_while_filling(pack):
    nodes = [Node(f"n{i}", 16) for i in range(4)]
    vms = [VM(f"vm{i}", 4) for i in range(8)]
    rules = [Apart(["vm0", "vm1", "vm2"]), Together(["vm3", "vm4"]), OnlyOn(["vm5"], ["n3"]), OnlyOn(["vm6"], ["n2"], must=False)]
    problem = compile_problem(Cluster(nodes, vms, rules))
    filling = Filling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
    filling.place_all()
    on = filling.node_of
    assert filling.complete
    assert len(set(on[:3])) == 3
    assert on[3] == on[4]
    assert (on[5], on[6]) == (3, 2)


def test_spreading_levels_and_packing_fills():
    problem = compile_problem(Cluster([Node(f"n{i}", 16) for i in range(4)], [VM(f"vm{i}", 2) for i in range(8)]))
    loads = []
    for pack in (False, True):
        filling = Filling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
        filling.place_all()
        loads.append(sorted(problem.load(filling.node_of).tolist()))
    assert loads == [[4, 4, 4, 4], [0, 0, 0, 16]]


def test_loosening_takes_the_least_that_brings_a_node_down():
    vms = [VM("a", 8, "n0"), VM("b", 3, "n0"), VM("c", 2, "n0"), VM("d", 5, "n1", movable=False)]
    problem = compile_problem(Cluster([Node("n0", 16), Node("n1", 16)], vms))
    kept = loosen(problem, MOVES, np.array([[11], [2]]))
    assert kept.tolist() == [0, 0, -1, 1]


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform", "big-vms"])
@pytest.mark.parametrize("mixed", [False, True])
def test_large_clusters_are_placed_safely(profile, mixed):
    cluster = generate(nodes=300, fill=0.9, profile=profile, mixed=mixed, seed=5)
    solution = vmplace.place(cluster, method="greedy")
    assert solution.guarantee == "safe"
    assert vmplace.audit(cluster, solution.node_of, solution.backup_of) == []
    assert solution.bound <= solution.objective <= 1


def test_spread_alone_is_not_safe_and_holes_are():
    problem = compile_problem(generate(nodes=20, fill=0.9, profile="flavors", seed=1))
    filling = Filling(problem, problem.node_of, BALANCE.limits(problem), pack=False)
    filling.place_all()
    free = np.sort(problem.usable - problem.load(filling.node_of))
    assert free[-1] < problem.memory.max()
    assert construct(problem, BALANCE, budget=Budget()).verdict.safe


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform"])
@pytest.mark.parametrize(("nodes", "fill"), [(32, 0.9), (32, 0.95), (48, 0.95), (100, 0.95), (128, 0.8)])
def test_the_peak_is_within_a_hundredth_of_its_bound(profile, nodes, fill):
    solution = vmplace.place(generate(nodes=nodes, fill=fill, profile=profile, seed=2), method="greedy")
    assert solution.guarantee == "safe"
    assert solution.bound <= solution.objective <= solution.bound * Fraction(101, 100)


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform"])
def test_nearly_full_clusters_are_placed(profile):
    assert all(
        vmplace.place(generate(nodes=nodes, fill=0.995, profile=profile, seed=seed), method="greedy").guarantee == "safe"
        for nodes in (16, 50, 200)
        for seed in range(3)
    )


@pytest.mark.parametrize(("nodes", "profile", "most"), [(64, "azure", 131), (128, "flavors", 88), (1000, "big-vms", 600)])
def test_few_vms_move_where_few_must(nodes, profile, most):
    cluster = generate(nodes=nodes, fill=0.9 if nodes == 128 else 0.97, profile=profile, seed=1, placed="worst-fit")
    solution = vmplace.repair(cluster, method="greedy")
    assert solution.guarantee == "safe"
    assert solution.bound <= solution.objective <= most * 1024
    assert len(solution.migrations) < 40


def test_within_a_limit_on_moves_the_local_repair_counts_too():
    cluster = generate(nodes=32, fill=0.9, profile="flavors", seed=1, placed="worst-fit")
    solution = vmplace.place(cluster, method="greedy", move_running=True, max_moves=5)
    assert solution.guarantee == "safe"
    assert len(solution.migrations) <= 5
