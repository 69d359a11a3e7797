from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.goal import Goal
from vmplace.holes import dedicated, holes, ladder
from vmplace.problem import compile_problem
from vmplace.testing import clusters

BALANCE = Goal(("balance",))


def waiting(node_sizes, vm_sizes, **guarantee):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(node_sizes)]
    vms = [VM(f"v{i}", size) for i, size in enumerate(vm_sizes)]
    return compile_problem(Cluster(nodes, vms, guarantee=Guarantee(**guarantee)))


def listed(found):
    return [reserved[:, 0].tolist() for reserved in found]


def test_ever_fewer_and_larger():
    assert listed(holes(waiting((16,) * 8, (4,) * 26), BALANCE)) == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [4, 4, 4, 4, 0, 0, 0, 0],
        [8, 8, 0, 0, 0, 0, 0, 0],
        [16, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_rungs_are_holes_for_the_largest_that_a_node_will_have():
    # Dealt out by size, three nodes get 8, 8, 5 and then 3, 3, 3; they have 6 free, or 2 each, before there are holes.
    rungs, guess = ladder(waiting((12,) * 3, (8, 3, 8, 3, 5, 3)), BALANCE)
    assert listed(rungs[: guess + 1]) == [[0, 0, 0], [8, 8, 0], [8, 8, 3]]
    assert listed(rungs[guess + 1 :]) == [[12, 0, 0]]


def test_a_guess_of_no_hole_where_every_node_has_room_for_the_largest():
    rungs, guess = ladder(waiting((16,) * 4, (2,) * 8), BALANCE)
    assert guess == 0
    assert not rungs[0].any()


def test_without_a_guarantee_there_are_none():
    problem = waiting((16, 16), (8, 8), failures=0)
    assert listed(holes(problem, BALANCE)) == listed(dedicated(problem, BALANCE)) == [[0, 0]]
    assert [listed(part) if isinstance(part, list) else part for part in ladder(problem, BALANCE)] == [[[0, 0]], 0]


def test_a_dedicated_spare_is_the_roomiest_node():
    assert listed(dedicated(waiting((8, 16, 8), (4,)), BALANCE)) == [[0, 0, 0], [0, 16, 0]]


def test_each_pool_has_its_own():
    nodes = [Node("a", 8), Node("b", 9), Node("c", 20, pool="other"), Node("d", 90, state="maintenance")]
    problem = compile_problem(Cluster(nodes, [VM("v", 8)]))
    assert listed(dedicated(problem, BALANCE))[-1] == [0, 9, 20, 0]


def test_headroom_is_part_of_the_hole():
    # Two nodes of 8 with 2 kept free: 6 in normal running. A node's worth of 6 needs a hole of 6, 2 of which are free anyway.
    assert listed(holes(waiting((8, 8), (3, 3), headroom=0.25), BALANCE))[-1] == [4, 0]


@settings(max_examples=60, deadline=None)
@given(clusters(), st.sampled_from([BALANCE, Goal(("moves",), move_running=True)]))
def test_the_last_holes_are_a_spare_node_in_each_pool(cluster, goal):
    problem = compile_problem(cluster)
    sets = [reserved[:, 0] for reserved in holes(problem, goal)]
    assert all(not reserved[~problem.online].any() for reserved in sets)
    assert all((one > 0).sum() >= (two > 0).sum() for one, two in pairwise(sets) if one.any())
    for pool in np.unique(problem.pool[problem.online]):
        inside = problem.online & (problem.pool == pool)
        kept_free = sets[-1] + problem.usable - problem.limit
        assert kept_free[inside].max() >= problem.limit[inside].max()
