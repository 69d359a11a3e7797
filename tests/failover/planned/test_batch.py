import numpy as np
import pytest
from hypothesis import given, settings

from tests.failover.test_certificates import roomy_placements
from tests.support.placements import state
from tests.support.plans import backups
from vmplace.failover.planned import batch as lockstep
from vmplace.failover.planned.batch import plan_together


@pytest.mark.parametrize("at_once", [1, 4096 * 128])
@settings(deadline=None, max_examples=60)
@given(drawn=roomy_placements())
def test_plans_hold_and_leave_out_only_who_is_named(at_once, drawn):
    now = state(*drawn)
    failing = np.flatnonzero((now.asked > 0) & (now.plan >= 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lockstep, "_AT_ONCE", at_once)
        plans = plan_together(now, failing)
    backup_of = backups(plans, now.problem.n_vms)
    for failed in failing.tolist():
        free = now.free.copy()
        free[failed] = 0
        vms, _ = now.displaced_by(np.array([failed]))
        assert sorted(plans.vm[plans.scenario == failed].tolist()) == sorted(vms.tolist())
        placed = vms[backup_of[vms] >= 0]
        np.subtract.at(free, backup_of[placed], now.problem.memory[placed])
        assert (free >= 0).all()
        # Who is left out came when no room was left for it: nor is there in the end.
        assert all(size > free.max() for size in now.problem.memory[vms[backup_of[vms] < 0]])


def test_only_failures_asked_for_are_planned():
    now = state([10, 10, 10], [(4, 0), (4, 1), (4, 2)])
    plans = plan_together(now, np.array([1]))
    assert (plans.scenario.tolist(), plans.vm.tolist(), plans.node.tolist()) == ([1], [1], [0])


def test_what_does_not_fit_one_to_a_node_is_packed():
    now = state([20, 8, 3], [(5, 0), (3, 0), (3, 0)])
    plans = plan_together(now, np.array([0]))
    backup_of = backups(plans, 3).tolist()
    assert backup_of[0] == 1
    assert sorted(backup_of[1:]) == [1, 2]
