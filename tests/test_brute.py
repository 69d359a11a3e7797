"""The oracle itself: known cases, and its early stops against going through everything."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.brute import World
from vmplace.cluster import Cluster
from vmplace.model import VM, Apart, Guarantee, Node, Together
from vmplace.testing import clusters

OBJECTIVES = ("balance", "moves", "consolidate", ("moves", "balance"), ("consolidate", "moves"))


def world(capacities, vms, **rest):
    return World(Cluster([Node(f"n{i}", c) for i, c in enumerate(capacities)], [VM(*vm) for vm in vms], **rest))


def test_a_partial_plan_restarts_the_most():
    w = world([9, 5, 3], [("a", 4, "n0"), ("b", 3, "n0"), ("c", 2, "n0")])
    assert w.best_loss(w.now, "n0") == (2,)
    assert not w.survivable(w.now, "n0")


def test_higher_priorities_come_first():
    cluster = Cluster([Node("n0", 9), Node("n1", 5)], [VM("a", 2, "n0", priority=1), VM("b", 5, "n0")])
    w = World(cluster)
    assert w.best_loss(w.now, "n0") == (0, 5)


def test_apart_keeps_restarts_off_survivors():
    w = world([4, 4], [("a", 1, "n0"), ("b", 1, "n1")], rules=[Apart(["a", "b"])])
    assert w.verdict().losses == {"n0": (1,), "n1": (1,)}


def test_together_restarts_on_one_survivor():
    w = world([4, 2, 2], [("a", 2, "n0"), ("b", 2, "n0")], rules=[Together(["a", "b"])])
    assert w.best_loss(w.now, "n0") == (2,)


def test_the_optimum_is_lexicographic():
    w = world([10, 10, 10], [("a", 4), ("b", 4), ("c", 2)], rules=[Together(["a", "c"], must=False)])
    best = w.optimum(("consolidate", "balance"))
    assert best is not None
    assert best.costs[:2] == (0, 2)


def test_nothing_to_place():
    assert World(Cluster([])).optimum("consolidate").costs == (0, 0)
    assert World(Cluster([Node("n0", 4)], [VM("a", 1)])).optimum() is None


def test_best_effort_places_all_the_same():
    best = World(Cluster([Node("n0", 4)], [VM("a", 1)], guarantee=Guarantee(headroom=0.9))).optimum(best_effort=True)
    assert (best.lost, best.headroom) == ((1,), False)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(clusters(max_nodes=3, max_vms=4, failures=(1, 1, 0)), st.sampled_from(OBJECTIVES), st.booleans(), st.booleans())
def test_stopping_early_changes_nothing(cluster, objective, move_running, best_effort):
    w = World(cluster)
    asked = {"move_running": move_running, "best_effort": best_effort, "max_moves": 2}
    early, late = w.optimum(objective, **asked), w.optimum(objective, **asked, prune=False)
    assert (early is None) == (late is None)
    if early is not None:
        assert (early.lost, early.costs, early.headroom, early.no_worse) == (late.lost, late.costs, late.headroom, late.no_worse)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(clusters(max_nodes=4, max_vms=5, placed="all"))
def test_plans_are_all_plans(cluster):
    w = World(cluster)
    for failed in w.scenarios(w.now):
        displaced = w.displaced(w.now, failed)
        losses = []
        for places in product([None, *w.nodes], repeat=len(displaced)):
            plan = {vm.name: place for vm, place in zip(displaced, places, strict=True) if place}
            if w.plan_holds(w.now, failed, plan):
                losses.append(w.vector([vm for vm in displaced if vm.name not in plan]))
        assert min(losses) == w.best_loss(w.now, failed)
        assert w.survivable(w.now, failed) == (not any(min(losses)))
