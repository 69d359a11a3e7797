import numpy as np

from vmplace.admission.incremental.failures import LiveFailures
from vmplace.admission.incremental.restart_plans import RestartPlan
from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.solvers.budget import Budget


def failures(usable, *items):
    room = np.array(usable, dtype=np.int64)
    made = LiveFailures(LiveState(room, room, np.ones(len(usable), dtype=bool)))
    for node, size in items:
        made.put(node, LiveVM(size))
    return made


def test_a_node_that_is_back_has_what_it_had():
    made = failures((10, 10, 10), (0, 6), (1, 6))
    made.close(1)
    assert made.losses(budget=Budget()) == {}
    made.open(1, [LiveVM(6)], online=True)
    assert made.state.load.tolist() == [6, 6, 0]
    assert made.losses(budget=Budget()) == {}
    made.put(2, LiveVM(5))
    assert made.losses(budget=Budget()) == {0: {0: 6}, 1: {0: 6}, 2: {0: 5}}


def test_what_takes_a_search_is_unknown_without_time_and_kept_with_it():
    made = failures((100, 16, 11), *((0, size) for size in (7, 7, 5, 5)))
    assert made.loss(0, Budget()) == {}
    made.put(0, LiveVM(3))
    assert made.loss(0, Budget(0)) is None
    assert made.loss(0, Budget()) == {0: 3}
    assert made.loss(0, Budget(0)) == {0: 3}


def test_a_plan_that_was_foreseen_is_taken_if_that_comes_next():
    made, item = failures((10, 10, 10), (0, 6)), LiveVM(3)
    plan = RestartPlan({1: 9})
    made.foresee(0, item, plan)
    made.put(0, item)
    assert made.plans[0] is plan
    made.foresee(0, item, plan)
    made.put(1, LiveVM(2))
    made.put(0, item)
    assert 0 not in made.plans or made.plans[0] is not plan


def test_the_freest_survivors_come_first():
    made = failures((10, 9, 12), (0, 2), (0, 3))
    assert made.rooms(0) == [(12, 2), (9, 1)]
    assert made.rooms(0, node=2, free=1) == [(9, 1), (1, 2)]
