from vmplace.admission.incremental.plan_store import Refuges
from vmplace.admission.incremental.restart_plans import Refuge


def test_a_refuge_is_found_again_by_what_it_takes():
    refuges = Refuges(4)
    refuges.put(0, Refuge({1: 5, 2: 3}))
    refuges.put(3, Refuge({1: 7}))
    assert refuges.complete.tolist() == [True, False, False, True]
    assert refuges.need.tolist() == [0, 7, 3, 0]
    assert (refuges.beyond(1, 7), refuges.beyond(1, 5), sorted(refuges.beyond(1, 4))) == ([], [3], [0, 3])
    refuges.drop(3)
    assert refuges.need.tolist() == [0, 5, 3, 0]
    assert 3 not in refuges
    refuges.put(0, Refuge({2: 1}))
    assert refuges.need.tolist() == [0, 0, 1, 0]


def test_those_that_leave_somebody_out_are_forgotten_together():
    refuges = Refuges(3)
    refuges.put(0, Refuge({1: 5}, {0: 4}))
    refuges.put(1, Refuge({2: 5}))
    assert (refuges.lost(0), refuges.lost(1), refuges.complete.tolist()) == ({0: 4}, {}, [False, True, False])
    refuges.drop_partial()
    assert (0 in refuges, 1 in refuges, refuges.partial) == (False, True, {})
