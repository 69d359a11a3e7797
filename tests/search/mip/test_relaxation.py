from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_properties import PLAIN
from tests.search.bounds.test_slots import spread
from tests.support.brute import World
from tests.support.campaigns import often
from vmplace import VM, Cluster, Node, NotOn
from vmplace.problem.compile import compile_problem
from vmplace.search.bounds.slots import least_moved
from vmplace.search.goal import Goal
from vmplace.search.mip.relaxation import CoarseModel
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.program import Outcome
from vmplace.testing import clusters

MOVES = Goal(("moves",), move_running=True)
CRUMBS = spread((8,) * 4, [(4, 1)] * 4)

tight = clusters(min_nodes=3, max_nodes=4, max_vms=6, placed="all", **PLAIN)
alike = st.one_of(tight, clusters(min_nodes=2, max_nodes=4, max_vms=6, **{**PLAIN, "states": True, "immovable": True}))
anything = st.one_of(
    tight,
    clusters(min_nodes=2, max_nodes=4, max_vms=6, pools=False, rules=False, headroom=False),
    clusters(max_nodes=4, max_vms=5, pools=False),
)


def applies(cluster, goal=MOVES):
    return CoarseModel.applies(compile_problem(cluster), goal)


def fewest(cluster):
    """The model's least migrated memory in MiB; None where it is infeasible."""
    model = CoarseModel(compile_problem(cluster), MOVES, Budget())
    answer = CpSat().solve(model.program, budget=Budget(20))
    assert answer.outcome in (Outcome.OPTIMAL, Outcome.INFEASIBLE)
    return None if answer.values is None else model.program.value(model.program.objective, answer.values) * model.unit


def truly_fewest(cluster):
    best = World(cluster).optimum("moves", move_running=True)
    return None if best is None else best.costs[0]


def dividing(cluster):
    sizes = sorted({vm.memory for vm in cluster.vms})
    return all(large % small == 0 for small, large in pairwise(sizes))


def assert_relaxed(cluster, *, sizes=True):
    """The model asks for no more than the best placement, and with rows of all `sizes` for no less than the closed-form bound."""
    best = truly_fewest(cluster) if applies(cluster) else None
    if best is not None:
        least, asked = least_moved(compile_problem(cluster)), fewest(cluster)
        assert max(least, asked) <= best
        assert least <= asked or not sizes


@often(30, 2240)
def test_it_asks_for_no_more_than_the_best_placement(examples):
    @settings(max_examples=examples, deadline=None)
    @given(anything)
    def law(cluster):
        assert_relaxed(cluster)

    law()


@often(15, 1120)
@pytest.mark.parametrize("sizes", [1, 2])
def test_nor_does_it_with_groups_of_several_sizes(monkeypatch, sizes, examples):
    monkeypatch.setattr("vmplace.search.mip.relaxation._SIZES", sizes)

    @settings(max_examples=examples, deadline=None)
    @given(anything)
    def law(cluster):
        assert_relaxed(cluster, sizes=False)

    law()


@often(20, 1680)
def test_where_sizes_divide_each_other_and_vms_are_alike_it_is_exact(examples):
    @settings(max_examples=examples, deadline=None)
    @given(alike.filter(lambda cluster: dividing(cluster) and applies(cluster)))
    def law(cluster):
        assert fewest(cluster) == truly_fewest(cluster)

    law()


@pytest.mark.parametrize(
    ("cluster", "least", "coarse", "best"),
    [
        (CRUMBS, 2, 2, 2),
        # Who waits takes part of a hole.
        (spread((8,) * 4, [(4, 1), (4, 1), (4, 1), (1, 1, 1), (4,)]), 1, 2, 2),
        (spread((8,) * 3, [(7, 3), (1,), (4,)]), 2, 3, 3),
        (spread((8,) * 4, [(2, 4), (1, 4), (4,), (8,)]), 4, 5, 5),
        (spread((16, 14, 8, 8), [(8, 1, 1), (5, 2), (2, 2, 1, 1), (4, 1)]), 1, 2, 2),
        # 3 + 3 are as much as 5 + 1, but no two threes fit where a five does.
        (spread((5, 5, 7, 7), [(3,), (3,), (5,), ()]), 0, 0, 0),
    ],
)
def test_it_tells_more_than_sums_of_slots(cluster, least, coarse, best):
    assert (least_moved(compile_problem(cluster)), fewest(cluster), truly_fewest(cluster)) == (least, coarse, best)


def test_who_may_not_move_does_not():
    crumbs = spread((8,) * 4, [(4, 1), (4, 1), (4, 2), (4, 2)])
    assert fewest(crumbs) == truly_fewest(crumbs) == 2
    fixed = evolve(crumbs, vms=[evolve(vm, movable=vm.memory > 1) for vm in crumbs.vms])
    assert fewest(fixed) == truly_fewest(fixed) == 4
    nobody = evolve(CRUMBS, vms=[evolve(vm, movable=False) for vm in CRUMBS.vms])
    assert fewest(nobody) is truly_fewest(nobody) is None


def test_what_is_overfull_leaves_and_nobody_comes_to_a_node_in_maintenance():
    nodes = [Node("m", 8, state="maintenance"), *(Node(f"n{i}", 8) for i in range(3))]
    vms = [VM("a", 4, "n0"), VM("b", 4, "n0"), VM("c", 1, "n0"), VM("d", 4, "n1"), VM("e", 4, "m")]
    cluster = Cluster(nodes, vms)
    assert fewest(cluster) == truly_fewest(cluster) == 1
    crowded = Cluster(nodes, [*vms, VM("f", 8, "n2")])
    assert fewest(crowded) is truly_fewest(crowded) is None
    full = Cluster(nodes[:3], [VM("a", 8, "m"), VM("b", 1, "m"), VM("c", 1, "n0")])  # overfull: nobody comes, but one must leave
    assert fewest(full) == truly_fewest(full) == 1


def test_the_unprotected_take_memory_but_no_slot():
    vms = [evolve(vm, protected=vm.memory == 4) for vm in CRUMBS.vms]
    assert fewest(evolve(CRUMBS, vms=vms)) == truly_fewest(evolve(CRUMBS, vms=vms)) == 2
    vms = [evolve(vm, protected=vm.memory == 1) for vm in CRUMBS.vms]
    assert fewest(evolve(CRUMBS, vms=vms)) == truly_fewest(evolve(CRUMBS, vms=vms)) == 0


def test_rules_are_left_out():
    away = evolve(CRUMBS, rules=[NotOn(["v0-0"], ["n0"])])
    assert (fewest(away), truly_fewest(away)) == (2, 6)


@pytest.mark.parametrize(
    "goal",
    [
        Goal(("balance",), move_running=True),
        Goal(("balance", "moves"), move_running=True),
        Goal(("consolidate", "moves"), move_running=True),
        Goal(("moves",)),
        Goal(("moves",), move_running=True, best_effort=True),
    ],
)
def test_it_is_no_use_for_other_goals(goal):
    assert not applies(CRUMBS, goal)


def test_it_is_for_one_pool_whose_nodes_may_fail():
    assert applies(CRUMBS)
    assert applies(CRUMBS, Goal(("moves", "balance"), move_running=True, max_moves=3))
    assert not applies(spread((8,) * 4, [(4, 1)] * 4, failures=0))
    assert not applies(evolve(CRUMBS, vms=[]))
    assert not applies(Cluster([], [VM("a", 1)]))
    assert not applies(evolve(CRUMBS, nodes=[*CRUMBS.nodes, Node("b", 8, pool="b")]))
    assert not applies(evolve(CRUMBS, nodes=[evolve(node, state="maintenance") for node in CRUMBS.nodes]))


def test_it_takes_no_more_time_than_there_is():
    with pytest.raises(OutOfTimeError):
        CoarseModel(compile_problem(CRUMBS), MOVES, Budget(0))
