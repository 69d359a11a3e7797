import numpy as np
from attrs import evolve

from vmplace import VM, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.neighbourhood import restricted


def test_only_the_chosen_move_and_what_the_others_moved_is_spent():
    nodes = [Node(f"n{i}", 20) for i in range(3)]
    vms = [VM("a", 4, "n0"), VM("b", 3, "n0"), VM("c", 2, "n1"), VM("waits", 1), VM("fixed", 1, "n2", movable=False)]
    problem = compile_problem(Cluster(nodes, vms))
    goal = Goal(("moves",), move_running=True, max_moves=5, max_migrated=10)
    now = np.array([1, 0, 2, 2, 2])  # a and c have moved
    part, aim = restricted(problem, goal, now, np.array([2, 4]))
    assert part.node_of.tolist() == [1, 0, 1, 2, 2]
    assert goal.free(part).tolist() == [False, False, True, False, False]
    assert (aim.max_moves, aim.max_migrated) == (4, 6)
    part, aim = restricted(problem, evolve(goal, max_moves=None, max_migrated=None), now, np.array([3]))
    assert goal.free(part).tolist() == [False, False, False, True, False]
    assert (aim.max_moves, aim.max_migrated) == (None, None)
