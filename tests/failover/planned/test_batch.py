import numpy as np
import pytest
from hypothesis import given, settings

from tests.failover.certificates.test_certificates import roomy_placements
from tests.support.brute import World
from tests.support.placements import standing_of, state
from tests.support.plans import backups
from vmplace import VM, Apart, Cluster, Node, NotOn, OnlyOn, Together
from vmplace.failover.planned import batch as lockstep
from vmplace.failover.planned.batch import plan_together
from vmplace.problem.names import Names
from vmplace.testing import clusters


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


bound = clusters(
    max_nodes=6,
    max_vms=8,
    placed="all",
    failures=(1, 1, 2),
    domains=True,
    evictable=True,
    max_vm=True,
    resources=True,
    targets=True,
)


@pytest.mark.parametrize("at_once", [1, 2_000_000])
@settings(deadline=None, max_examples=40)
@given(cluster=bound)
def test_under_rules_and_with_resources_plans_hold_and_break_no_soft_rule(at_once, cluster):
    world, now = World(cluster), standing_of(cluster)
    names, failing = Names(cluster, now.problem), np.flatnonzero((now.asked > 0) & (now.plan >= 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmplace.failover.ruled._AT_ONCE", at_once)
        plans = plan_together(now, failing)
    for number in failing.tolist():
        mine = plans[plans.scenario == number]
        vms, _ = now.displaced_by(np.array([number]))
        assert sorted(mine.vm.tolist()) == sorted(vms.tolist())
        failed = frozenset(names.node(i) for i in now.scenarios.failing(number).tolist())
        parts = world.failures(world.now)[names.scenario(now.scenarios, number)]
        part = next(part for part in parts if part.nodes <= failed)
        restarts = {
            names.vm(vm): names.node(node) for vm, node in zip(mine.vm.tolist(), mine.node.tolist(), strict=True) if node >= 0
        }
        assert world.after(world.now, part).possible(restarts, shoulds=True)


def planned(rooms, rules, vms):
    """Where v0, v1, ... of these sizes restart if f fails, beside n0, n1, ... with so much room and w0, w1, ... on them."""
    nodes = [Node("f", 99), *(Node(f"n{i}", room + 1) for i, room in enumerate(rooms))]
    vms = [*(VM(f"v{i}", size, "f") for i, size in enumerate(vms)), *(VM(f"w{i}", 1, f"n{i}") for i in range(len(rooms)))]
    now = standing_of(Cluster(nodes, vms, rules))
    plans = plan_together(now, np.array([0]))
    pairs = zip(plans.vm.tolist(), plans.node.tolist(), strict=True)
    return dict(sorted((f"v{vm}", f"n{node - 1}" if node > 0 else None) for vm, node in pairs))


def test_vms_under_rules_restart_first_and_the_others_beside_them():
    assert planned([9, 5], [OnlyOn(["v1"], ["n0"])], [5, 4]) == {"v0": "n0", "v1": "n0"}
    assert planned([8, 8], [OnlyOn(["v1"], ["n0"])], [8, 4]) == {"v0": "n1", "v1": "n0"}
    assert planned([9, 9], [Apart(["v0", "w0"])], [4, 4])["v0"] == "n1"
    assert planned([9, 9, 2], [Apart(["v0", "v1", "v2"])], [4, 4, 1]) == {"v0": "n0", "v1": "n1", "v2": "n2"}
    assert planned([9, 9], [Together(["v0", "v2"])], [4, 5, 4]) == {"v0": "n0", "v1": "n1", "v2": "n0"}
    assert planned([9, 9], [Together(["v0", "v1"]), NotOn(["v1"], ["n0"])], [4, 4]) == {"v0": "n1", "v1": "n1"}


def test_one_under_rules_that_finds_no_node_is_left_out():
    assert planned([9, 9], [Apart(["v0", "w0"]), NotOn(["v0"], ["n1"])], [4, 4])["v0"] is None
    assert planned([9, 9], [Together(["v0", "v1", "v2"])], [4, 4, 4]) == {"v0": None, "v1": None, "v2": None}
