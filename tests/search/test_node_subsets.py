import numpy as np
import pytest

from vmplace import VM, Apart, Cluster, Node, OnlyOn
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.node_subsets import mend
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate

MOVES = Goal(("moves",), move_running=True)


def mended(cluster, goal=MOVES, seed=0):
    problem = compile_problem(cluster)
    found = mend(problem, goal, budget=Budget(30), seed=seed)
    if found is not None:
        assert found.verdict.safe
        assert goal.allowed(problem, found.node_of)
        assert found.values == goal.values(problem, found.node_of, found.verdict, found.powered)
    return problem, found


def test_a_large_cluster_is_mended_on_a_few_nodes():
    cluster = generate(nodes=100, fill=0.9, profile="flavors", seed=1, placed="worst-fit")
    problem, found = mended(cluster)
    changed = np.flatnonzero(problem.node_of != found.node_of)
    touched = np.union1d(problem.node_of[changed], found.node_of[changed])
    assert len(touched) <= 16
    assert found.values[0] < 512 * 1024


def test_the_same_seed_mends_the_same_way():
    cluster = generate(nodes=24, fill=0.9, profile="flavors", seed=2, placed="worst-fit")
    first, second = (mended(cluster, seed=5)[1] for _ in range(2))
    assert (first.node_of == second.node_of).all()


@pytest.mark.parametrize(
    ("vms", "rules"),
    [
        ([VM("waits", 3)], []),
        ([VM("astray", 3, "n0")], [OnlyOn(["astray"], ["n1", "n2"])]),
        ([VM("a", 2, "n0"), VM("b", 2, "n0")], [Apart(["a", "b"])]),
        ([VM("a", 6, "n0"), VM("b", 5, "n0")], []),
    ],
)
def test_what_cannot_stay_is_placed(vms, rules):
    nodes = [Node(f"n{i}", 10) for i in range(8)]
    _, found = mended(Cluster(nodes, [*vms, *(VM(f"v{i}", 2, f"n{i}") for i in range(3, 8))], rules))
    assert found is not None
    assert (found.node_of >= 0).all()


def test_what_cannot_be_mended_is_not():
    nodes = [Node("n0", 10), Node("n1", 10)]
    assert mended(Cluster(nodes, [VM("a", 6, "n0"), VM("b", 6, "n1")]))[1] is None
    assert mended(Cluster(nodes, [VM("a", 6, "n0", movable=False), VM("b", 5, "n0", movable=False)]))[1] is None
    problem = compile_problem(Cluster(nodes, [VM("a", 6, "n0")]))
    assert mend(problem, MOVES, budget=Budget(0)) is None
