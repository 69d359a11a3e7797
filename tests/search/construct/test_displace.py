"""Room made by smaller VMs."""

import numpy as np

from vmplace import VM, Apart, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.construct.displace import displace
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget

GOAL = Goal(("moves",), move_running=True)


def displaced(usable, vms, rules=(), movable=True):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    cluster = Cluster(nodes, [VM(f"v{k}", m, node, movable=movable) for k, (m, node) in enumerate(vms)], rules)
    problem = compile_problem(cluster)
    bound = np.isin(np.arange(problem.n_vms), [vm for b in problem.compiled_rules for vm in b.vms])
    found = displace(problem, problem.node_of, GOAL.limits(problem), GOAL.free(problem) & ~bound, budget=Budget())
    return None if found is None else found.tolist()


def test_who_fits_goes_where_it_fits_tightest():
    assert displaced([10, 10, 10], [(4, "n0"), (5, "n1"), (5, None)]) == [0, 1, 1]


def test_the_least_makes_way():
    assert displaced([10, 10, 10], [(4, "n0"), (3, "n1"), (4, "n2"), (8, None), (4, "n0")]) == [0, 2, 2, 1, 0]


def test_several_make_way_where_no_one_is_enough():
    found = displaced([8, 8, 2, 2], [(2, "n0"), (2, "n0"), (7, "n1"), (8, None)])
    assert found[3] == 0
    assert sorted(found[:2]) == [2, 3]


def test_who_makes_way_may_be_made_way_for():
    assert displaced([8, 6, 3], [(5, "n0"), (2, "n1"), (7, None)]) == [1, 2, 0]


def test_none_where_no_room_can_be_made():
    assert displaced([8, 8], [(8, "n0"), (8, "n1"), (1, None)]) is None
    assert displaced([8, 8, 8], [(3, "n0"), (3, "n1"), (3, "n2"), (7, None)], movable=False) is None


def test_who_is_bound_to_others_neither_makes_way_nor_is_placed():
    assert displaced([8, 8], [(3, "n0"), (7, None), (1, "n1")], [Apart(("v1", "v2"))]) is None
    assert displaced([8, 4], [(3, "n0"), (7, None), (1, "n1")], [Apart(("v0", "v2"))]) is None
