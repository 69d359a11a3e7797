from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.search.bounds.lower_bounds import impossible, least
from vmplace.search.goal import Goal
from vmplace.testing import clusters

BALANCE, FEWEST = Goal(("balance",)), Goal(("consolidate",))


def problem(sizes, vms, rules=(), **guarantee):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(sizes)]
    waiting = [VM(f"v{i}", size) for i, size in enumerate(vms)]
    return compile_problem(Cluster(nodes, waiting, rules, Guarantee(**guarantee)))


@settings(max_examples=50, deadline=None)
@given(
    clusters(max_nodes=4, max_vms=5, failures=(1, 0), domains=True), st.sampled_from(["balance", "consolidate"]), st.booleans()
)
def test_no_bound_exceeds_the_optimum_and_nothing_possible_is_refused(cluster, objective, best_effort):
    case, goal = compile_problem(cluster), Goal((objective,), move_running=True, best_effort=best_effort)
    best = World(cluster).optimum(objective, move_running=True, best_effort=best_effort)
    if best is not None:
        broken, value = best.costs
        assert least(case, goal, (objective, 0)) <= value
        assert least(case, goal, ("rules", 0)) <= broken
        assert impossible(case, Goal((objective,), move_running=True, best_effort=best_effort, headroom=best.headroom)) is None


@pytest.mark.parametrize(
    ("sizes", "vms", "bound"),
    [
        ((10, 10), (4, 4), Fraction(2, 5)),
        ((10, 30), (4, 4), Fraction(4, 15)),  # no load in steps of 4 is the mean's fifth
        ((8,) * 4, (4,) * 5 + (1,) * 4, 1),  # two slots of 4 must be free
        ((10, 20), (8,), Fraction(2, 5)),
        ((10, 10), (), 0),
        ((), (), 0),
    ],
)
def test_the_peak_is_at_least_the_mean_and_the_largest_vms_share(sizes, vms, bound):
    assert least(problem(sizes, vms), BALANCE, ("balance", 0)) == bound


def test_a_group_counts_as_one_vm_for_the_peak():
    case = problem((10, 10, 10), (3, 3, 1), [Together(["v0", "v1"])])
    assert least(case, BALANCE, ("balance", 0)) == Fraction(3, 5)


def test_who_may_stay_in_maintenance_is_in_no_bound_on_the_peak():
    nodes = [Node("n0", 10), Node("n1", 10, state="maintenance")]
    case = compile_problem(Cluster(nodes, [VM("a", 9, "n1"), VM("b", 1, "n1")], [Together(["a", "b"])]))
    assert least(case, Goal(("balance",), move_running=True), ("balance", 0)) == 0


@pytest.mark.parametrize(
    ("sizes", "vms", "failures", "fewest"),
    [
        ((8,) * 5, (4, 4, 4, 4), 1, 3),
        ((8,) * 5, (4, 4, 4, 4), 0, 2),
        ((9,) * 5, (5, 5, 5), 0, 3),
        ((9,) * 5, (5, 5, 5), 1, 4),
        ((20, 10, 10), (9, 9), 1, 3),
        ((20, 10, 10), (9, 9), 0, 1),
        ((10, 10), (), 1, 0),
    ],
)
def test_the_fewest_nodes(sizes, vms, failures, fewest):
    assert least(problem(sizes, vms, failures=failures), FEWEST, ("consolidate", 0)) == fewest


def test_a_best_effort_may_do_without_the_spare():
    goal = Goal(("consolidate",), best_effort=True)
    assert least(problem((8, 8), (4,)), goal, ("consolidate", 0)) == 1


def test_each_pool_counts_its_nodes():
    nodes = [Node(f"n{i}", 8, pool=pool) for i, pool in enumerate("aabb")]
    case = compile_problem(Cluster(nodes, [VM("x", 4, pool="a"), VM("y", 4, pool="b", protected=False)]))
    assert least(case, FEWEST, ("consolidate", 0)) == 2 + 1


def test_a_wish_that_no_node_can_fulfil_is_broken_in_any_case():
    rules = [Together(["v0", "v1"], must=False, weight=4), Together(["v1", "v2"], must=False, weight=2)]
    assert least(problem((10, 10), (6, 6, 3), rules), BALANCE, ("rules", 0)) == 4


def test_a_wish_for_more_places_than_there_are_is_broken_in_any_case():
    wishes = [Apart(["v0", "v1", "v2"], must=False, weight=4), Apart(["v0", "v1"], must=False, weight=2)]
    assert least(problem((10, 10), (1, 1, 1), wishes), BALANCE, ("rules", 0)) == 4
    racks = [Node("n0", 9, domain="a"), Node("n1", 9, domain="a"), Node("n2", 9, pool="b"), Node("n3", 9, pool="b")]
    vms = [VM("x", 1), VM("y", 1), VM("z", 1, pool="b")]
    for names, broken in ((["x", "y"], 1), (["x", "z"], 0)):
        case = compile_problem(Cluster(racks, vms, [Apart(names, must=False, scope="domain")]))
        assert least(case, BALANCE, ("rules", 0)) == broken


@pytest.mark.parametrize(
    ("racks", "most"), [(("a", "a", "b"), 2), (("a", "b", "c"), 2), (("a", "b", None), 2), (("a", "a", "a"), 1)]
)
def test_a_rack_of_several_nodes_is_a_place_still_when_one_of_them_fails(racks, most):
    nodes = [Node(f"n{i}", 9, domain=rack) for i, rack in enumerate(racks)]
    vms = [VM(f"v{i}", 1) for i in range(3)]
    for count in (2, 3):
        case = compile_problem(Cluster(nodes, vms, [Apart([vm.name for vm in vms[:count]], scope="domain")]))
        assert (impossible(case, BALANCE) is None) == (count <= most)


@pytest.mark.parametrize(
    ("case", "kind", "need", "free"),
    [
        (problem((8, 9), (10,)), "size", 10, 9),
        (problem((8, 8), (9, 9), [Together(["v0", "v1"])], headroom=0.5), "size", 9, 4),
        (problem((8, 8, 8), (5, 5), [Together(["v0", "v1"])]), "group", 10, 8),
        (problem((8, 8), (6, 6, 6)), "capacity", 18, 16),
        (problem((8, 8, 8), (6, 6), headroom=0.25), "slots", 2, 2),
        (problem((8, 8), (5, 5)), "sums", 10, 8),
        (problem((9, 9, 9), (5, 5, 5)), "slots", 3, 2),
        (problem((8,), (1,)), "alone", 1, 0),
        (problem((), (1,)), "rules", 1, -1),
    ],
)
def test_why_it_is_impossible(case, kind, need, free):
    reason = impossible(case, BALANCE)
    if (kind, need, free) == ("slots", 2, 2):  # 6 + 6 fit into two nodes of 6: possible
        assert reason is None
        return
    assert (reason.kind, reason.need, reason.free) == (kind, need, free)


def test_figures_are_of_nodes_that_the_vm_may_be_on():
    nodes = [Node("large", 100), Node("small", 8, pool="b"), Node("closed", 50, pool="b", state="maintenance")]
    case = compile_problem(Cluster(nodes, [VM("x", 9, pool="b")]))
    reason = impossible(case, BALANCE)
    assert (reason.kind, reason.need, reason.free) == ("size", 9, 8)
    only = compile_problem(Cluster(nodes, [VM("y", 1, pool="b")], [OnlyOn(["y"], ["closed"])]))
    assert impossible(only, BALANCE).kind == "rules"


@pytest.mark.parametrize("memory", [2**26, 2**26 - 1])
def test_absurd_memory_does_not_overflow(memory):
    case = compile_problem(Cluster.from_arrays(node_memory=np.full(1000, memory), vm_memory=np.full(998, memory)))
    assert impossible(case, BALANCE) is None
    assert least(case, BALANCE, ("balance", 0)) == 1
    assert least(case, FEWEST, ("consolidate", 0)) == 999
    full = compile_problem(Cluster.from_arrays(node_memory=np.full(1000, memory), vm_memory=np.full(1000, memory)))
    assert impossible(full, BALANCE).kind == "sums"
