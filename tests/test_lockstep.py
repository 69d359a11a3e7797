import numpy as np
import pytest
from hypothesis import given, settings

from tests.test_certificates import roomy_placements
from tests.test_certify import standing
from vmplace import lockstep
from vmplace.lockstep import plan_together


@pytest.mark.parametrize("at_once", [1, 4096])
@settings(deadline=None, max_examples=150)
@given(drawn=roomy_placements())
def test_plans_hold_and_leave_out_only_who_is_named(at_once, drawn):
    now = standing(*drawn)
    failing = np.flatnonzero((now.displaced > 0) & (now.refuge >= 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lockstep, "_AT_ONCE", at_once)
        plans = plan_together(now, failing)
    lost = set(plans.lost.tolist())
    for failed in failing.tolist():
        free = now.free.copy()
        free[failed] = 0
        vms = now.displaced_by(failed)
        assert lost.intersection(vms.tolist()) == set(vms[plans.backup_of[vms] < 0].tolist())
        placed = vms[plans.backup_of[vms] >= 0]
        np.subtract.at(free, plans.backup_of[placed], now.problem.memory[placed])
        assert (free >= 0).all()
        # Who is left out came when no room was left for it: nor is there in the end.
        assert all(size > free.max() for size in now.problem.memory[vms[plans.backup_of[vms] < 0]])


def test_only_failures_asked_for_are_planned():
    now = standing([10, 10, 10], [(4, 0), (4, 1), (4, 2)])
    assert plan_together(now, np.array([1])).backup_of.tolist() == [-1, 0, -1]


def test_what_does_not_fit_one_to_a_node_is_packed():
    now = standing([20, 8, 3], [(5, 0), (3, 0), (3, 0)])
    plans = plan_together(now, np.array([0]))
    assert plans.backup_of.tolist()[0] == 1
    assert sorted(plans.backup_of.tolist()[1:]) == [1, 2]
    assert not len(plans.lost)
