from itertools import product
from random import Random

import pytest

from vmplace.admission.incremental.restart_plans import RestartPlan, RestartPlans, find_restart_plan
from vmplace.solvers.budget import Budget


def least_loss(items, rooms):
    """By trying everything: memory lost by priority, highest first."""
    vms = [kind for kind, count in items.items() for _ in range(count)]
    ranks, best = sorted({rank for _, rank in items}, reverse=True), None
    for places in product(range(-1, len(rooms)), repeat=len(vms)):
        left = [room for room, _ in rooms]
        for (size, _), place in zip(vms, places, strict=True):
            if place >= 0:
                left[place] -= size
        if min(left, default=0) >= 0:
            lost = [sum(s for (s, r), p in zip(vms, places, strict=True) if p < 0 and r == rank) for rank in ranks]
            best = lost if best is None else min(best, lost)
    return {rank: amount for rank, amount in zip(ranks, best, strict=True) if amount}


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_least_loss(seed):
    random, ends = Random(seed), set()
    for _ in range(25):
        kinds = [(random.choice((2, 3, 4, 5, 7)), random.choice((0, 0, 1))) for _ in range(random.randint(1, 5))]
        items = {kind: kinds.count(kind) for kind in kinds}
        rooms = sorted(((random.randint(0, 9), node) for node in range(random.randint(0, 3))), reverse=True)
        found, truth = find_restart_plan(items, rooms, budget=Budget(), losses=True), least_loss(items, rooms)
        assert found.proven
        assert dict(found.lost) == truth
        assert all(found.used.get(node, 0) <= room for room, node in rooms)
        wanted = sum(size * count for (size, _), count in items.items())
        assert sum(found.used.values()) == wanted - sum(truth.values())
        hasty = find_restart_plan(items, rooms, budget=Budget(), losses=False)
        assert bool(hasty.lost) == bool(truth)
        ends.add(bool(truth))
    assert ends == {True, False}


def test_without_time_it_is_unknown_where_a_search_would_tell():
    items, rooms = {(7, 0): 2, (5, 0): 2, (3, 0): 1}, [(16, 0), (11, 1)]
    assert find_restart_plan(items, rooms, budget=Budget(0), losses=True) is None
    assert find_restart_plan(items, rooms, budget=Budget(), losses=True).lost


def test_a_plan_is_found_again_by_what_it_takes():
    plans = RestartPlans(4)
    plans.put(0, RestartPlan({1: 5, 2: 3}))
    plans.put(3, RestartPlan({1: 7}))
    assert plans.complete.tolist() == [True, False, False, True]
    assert plans.need.tolist() == [0, 7, 3, 0]
    assert (plans.beyond(1, 7), plans.beyond(1, 5), sorted(plans.beyond(1, 4))) == ([], [3], [0, 3])
    plans.drop(3)
    assert plans.need.tolist() == [0, 5, 3, 0]
    assert 3 not in plans
    plans.put(0, RestartPlan({2: 1}))
    assert plans.need.tolist() == [0, 0, 1, 0]


def test_those_that_leave_somebody_out_are_forgotten_together():
    plans = RestartPlans(3)
    plans.put(0, RestartPlan({1: 5}, {0: 4}))
    plans.put(1, RestartPlan({2: 5}))
    assert (plans[0].lost, plans[1].lost, plans.complete.tolist()) == ({0: 4}, {}, [False, True, False])
    plans.drop_partial()
    assert (0 in plans, 1 in plans, plans.partial) == (False, True, set())
