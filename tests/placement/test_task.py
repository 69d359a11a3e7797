"""What a placement that is not proved best says of others."""

import numpy as np
import pytest
from attrs import evolve

from vmplace import VM, Cluster, Node
from vmplace.placement.options import PlaceOptions
from vmplace.placement.task import PlacementTask
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.search.evaluate import Evaluator
from vmplace.search.mip.search import Finding
from vmplace.solvers.budget import Budget

CLUSTER = Cluster([Node(f"n{i}", 10) for i in range(2)], [VM(f"v{i}", 8, f"n{i}") for i in range(2)])


@pytest.mark.parametrize(
    ("priority", "bounds", "told"),
    [
        (0, (12, 0), "the search ended before a proof; another placement could leave 25.0% less unprotected at most"),
        (0, (0, 0), "the search ended before a proof"),
        # Of the lower priority nothing is known: all of it might be protected.
        (1, (6, 0, 0), "the search ended before a proof"),
    ],
)
def test_how_much_better_another_may_be_is_told_only_of_one_priority(priority, bounds, told):
    names = Names(CLUSTER, compile_problem(CLUSTER))
    problem = evolve(names.problem, priority=np.array([0, priority]))
    goal = evolve(PlaceOptions(objective="moves", best_effort=True).goal, best_effort=True)
    task = PlacementTask(Names(CLUSTER, problem), PlaceOptions(objective="moves", best_effort=True), goal, Budget())
    best = Evaluator(problem, goal, Budget(), searching=True).candidate(problem.node_of)
    assert sum(best.values) == 16
    assert task.solution(Finding(best, bounds, False, {}, ("bounds",) * len(bounds)), "exact").reason == told
