import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.search.consolidate import spare_packing
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

FEWEST = Goal(("consolidate",), move_running=True)
PLAIN = {"rules": False, "pools": False, "unprotected": False, "immovable": False, "priorities": False, "headroom": False}


def packed(nodes, vms, goal=FEWEST, rules=(), **guarantee):
    problem = compile_problem(Cluster(nodes, vms, rules, Guarantee(**guarantee)))
    return problem, spare_packing(problem, goal, budget=Budget(20))


def cluster_of(sizes, vms):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)], [VM(f"v{i}", size) for i, size in enumerate(vms)]


@settings(max_examples=30, deadline=None)
@given(clusters(max_nodes=4, max_vms=6, failures=(1, 0), states=False, **PLAIN))
def test_it_is_the_optimum_and_certified(cluster):
    problem = compile_problem(cluster)
    found = spare_packing(problem, FEWEST, budget=Budget(20))
    best = World(cluster).optimum("consolidate", move_running=True)
    assert found is not None
    assert found.infeasible == (best is None)
    if best is None:
        assert found.node_of is None
        assert found.powered is None
        assert found.bound > problem.n_nodes
    else:
        assert found.bound == found.powered.sum() == best.costs[-1]
        assert FEWEST.allowed(problem, found.node_of)
        assert found.powered[found.node_of].all()
        assert certify(problem, found.node_of, budget=Budget(), powered=found.powered).safe


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(clusters(max_nodes=4, max_vms=5, failures=(1, 0)), st.booleans())
def test_where_it_answers_at_all_it_is_right(cluster, move_running):
    problem, goal = compile_problem(cluster), Goal(("consolidate",), move_running=move_running)
    found = spare_packing(problem, goal, budget=Budget(20))
    assume(found is not None)
    best = World(cluster).optimum("consolidate", move_running=move_running)
    assert found.infeasible == (best is None)
    assert best is None or found.bound == found.powered.sum() == best.costs[-1]


@pytest.mark.parametrize(
    ("sizes", "vms", "powered"),
    [
        ((10, 10, 10), (), []),
        ((), (), []),
        ((10,), (), []),
        ((10, 12), (10,), [0, 1]),
        ((10, 10, 20), (9, 9), [0, 1, 2]),  # the large one is the spare
        ((20, 10, 20, 10), (9, 9), [0, 2]),  # of two large ones, the first
        ((8, 9, 30, 20, 9), (9, 9, 2), [2, 3]),
    ],
)
def test_the_largest_node_is_the_spare(sizes, vms, powered):
    _, found = packed(*cluster_of(sizes, vms))
    assert np.flatnonzero(found.powered).tolist() == powered
    assert found.bound == len(powered)


@pytest.mark.parametrize(
    ("sizes", "vms", "bound"),
    [
        ((), (1,), 1),
        ((10,), (1,), 2),
        ((10, 20), (11,), 3),
        ((10, 10, 10), (6, 6, 6), 4),
    ],
)
def test_without_room_it_is_infeasible(sizes, vms, bound):
    problem, found = packed(*cluster_of(sizes, vms))
    assert (found.node_of, found.powered, found.infeasible) == (None, None, True)
    assert found.bound == bound == problem.n_nodes + 1


def test_without_failures_there_is_no_spare():
    _, found = packed(*cluster_of((10,), (4, 6)), failures=0)
    assert (found.node_of.tolist(), found.powered.tolist(), found.bound) == ([0, 0], [True], 1)


def test_nothing_goes_on_an_offline_node():
    nodes, vms = cluster_of((10, 10), (4, 6))
    _, found = packed([*nodes, Node("off", 50, state="offline")], vms)
    assert found.powered.tolist() == [True, True, False]


def test_no_time_is_no_answer():
    nodes, vms = cluster_of((10, 10, 10), (6, 6))
    found = spare_packing(compile_problem(Cluster(nodes, vms)), FEWEST, budget=Budget(0))
    assert (found.node_of, found.powered, found.infeasible, found.bound) == (None, None, False, 3)


NODES = [Node(name, 10) for name in "abc"]
VMS = [VM("v", 4, "a"), VM("w", 4)]


@pytest.mark.parametrize(
    ("nodes", "vms", "rules", "goal", "guarantee"),
    [
        (NODES, VMS, (), Goal(("consolidate",)), {}),  # v stays
        (NODES, VMS, (), Goal(("consolidate",), move_running=True, best_effort=True), {}),
        (NODES, VMS, (), Goal(("consolidate",), move_running=True, max_moves=3), {}),
        (NODES, VMS, (), Goal(("consolidate",), move_running=True, max_migrated=30), {}),
        (NODES, VMS, (), FEWEST, {"headroom": 0.1}),
        (NODES, VMS, [Apart(["v", "w"])], FEWEST, {}),
        (NODES, VMS, [Apart(["v", "w"], must=False)], FEWEST, {}),
        (NODES, VMS, [NotOn(["w"], ["b"])], FEWEST, {}),
        (NODES, VMS, [NotOn(["w"], ["b"], during_failover=False)], FEWEST, {}),
        ([*NODES, Node("m", 10, state="maintenance")], VMS, (), FEWEST, {}),
        ([*NODES, Node("p", 10, pool="other")], VMS, (), FEWEST, {}),
        (NODES, [*VMS, VM("x", 1, pool="other")], (), FEWEST, {}),
        (NODES, [*VMS, VM("x", 1, protected=False)], (), FEWEST, {}),
        (NODES, [*VMS, VM("x", 1, "a", movable=False)], (), FEWEST, {}),
    ],
)
def test_where_more_is_asked_it_does_not_answer(nodes, vms, rules, goal, guarantee):
    assert packed(NODES, VMS)[1] is not None
    assert packed(nodes, vms, goal, rules, **guarantee)[1] is None
