from vmplace.admission.incremental.plan_store import RestartPlans
from vmplace.admission.incremental.restart_plans import RestartPlan


def test_a_refuge_is_found_again_by_what_it_takes():
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
    assert (plans.lost(0), plans.lost(1), plans.complete.tolist()) == ({0: 4}, {}, [False, True, False])
    plans.drop_partial()
    assert (0 in plans, 1 in plans, plans.partial) == (False, True, {})
