import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.failover.planned.decide import decide
from vmplace.failover.restart import RestartProblem
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters


def state(cluster):
    problem = compile_problem(cluster)
    return PlacementState.of(problem, problem.node_of)


def first_fails(sizes, free, rules=(), others=()):
    """The failure of n0, which holds VMs v0, v1, ... of these sizes; n1, n2, ... have so much free."""
    nodes = [Node("n0", 1000), *(Node(f"n{i}", room) for i, room in enumerate(free, 1))]
    vms = [*(VM(f"v{i}", size, "n0") for i, size in enumerate(sizes)), *others]
    return RestartProblem.of(state(Cluster(nodes, vms, rules)), 0)


@pytest.mark.parametrize(
    ("sizes", "free", "method", "safe"),
    [
        ((4, 4), (4, 4), "packing", True),
        ((4,), (), "sums", False),
        ((4,), (3, 3), "sums", False),
        ((3, 3, 3), (4, 4), "sums", False),
        ((3, 3, 3), (5, 5), "slots", False),
        ((5, 5, 4, 4, 4, 2), (12, 12), "packing", True),
        ((7, 7, 5, 5, 3), (16, 11), "search", False),
    ],
)
def test_what_tells(sizes, free, method, safe):
    plan = decide(first_fails(sizes, free), budget=Budget())
    assert (plan.method, plan.safe) == (method, safe)
    assert (plan.loss is None) == safe


def test_rules_tell_too():
    apart = [Apart(["v0", "other"])]
    alone = decide(first_fails((4,), (9,), apart, [VM("other", 1, "n1")]), budget=Budget())
    assert (alone.method, alone.loss.reason.kind, alone.loss.minimal) == ("rules", "rules", True)
    barred = decide(first_fails((4,), (9, 3), apart, [VM("other", 1, "n1")]), budget=Budget())
    assert (barred.method, barred.loss.reason.kind) == ("rules", "barred")
    assert (barred.loss.reason.need, barred.loss.reason.free, barred.loss.reason.node) == (4, 3, 2)


@settings(max_examples=50, deadline=None)
@given(clusters(min_nodes=2, max_nodes=5, max_vms=6, placed="all", pools=False, domains=True, resources=True))
def test_a_plan_breaks_no_more_of_what_is_no_must_than_it_has_to(cluster):
    world = World(cluster)
    now = state(cluster)
    names = Names(cluster, now.problem)
    wishes = [bound for bound in world.rules if bound.rule.during_failover and not bound.rule.must]
    for number in np.flatnonzero(now.asked).tolist():
        key = names.scenario(now.scenarios, number)
        failed = {names.node(node) for node in now.scenarios.failing(number).tolist()}
        plan = decide(RestartProblem.of(now, number), budget=Budget())
        if plan.safe:
            found = dict(zip(names.vms(plan.vms.tolist()), map(names.node, plan.nodes.tolist()), strict=True))
            plans = world.full_plans(world.now, key, world.displaced(world.now, key))
            costs = [
                sum(bound.rule.weight * bound.breaches_by_plan(world.now, failed, one) for bound in wishes)
                for one in [found, *plans]
            ]
            assert costs[0] == min(costs[1:])


def test_without_time_only_what_shows_at_a_glance_is_known():
    plan = decide(first_fails((7, 7, 5, 5, 3), (16, 11)), budget=Budget(0))
    assert (plan.safe, plan.method, plan.loss) == (None, "time", None)
    assert decide(first_fails((3, 3, 3), (5, 5)), budget=Budget(0)).safe is False
    assert decide(first_fails((4, 4), (4, 4)), budget=Budget(0)).safe is True


def test_without_time_a_partial_plan_is_not_called_minimal():
    restart = first_fails((6, 5, 5), (10, 4))
    assert not decide(restart, budget=Budget(0)).loss.minimal
    best = decide(restart, budget=Budget()).loss
    assert (best.minimal, restart.demand[np.isin(restart.vms, best.vms), 0].sum()) == (True, 6)


def test_a_rule_that_is_no_must_never_costs_a_plan():
    rules = [Together(["v0", "v1", "v2"], must=False), OnlyOn(["v0", "v1"], ["n1"], must=False)]
    restart = first_fails((2, 2, 2), (2, 4), rules)
    for limit in (None, 0):
        plan = decide(restart, budget=Budget(limit))
        assert (plan.safe, len(plan.vms)) == (True, 3)


def test_a_loss_is_told_only_where_it_is_asked_for():
    plan = decide(first_fails((4,), (3, 3)), budget=Budget(), losses=False)
    assert (plan.safe, plan.loss, len(plan.vms)) == (False, None, 0)


@settings(max_examples=40, deadline=None)
@given(clusters(min_nodes=2, max_nodes=6, max_vms=8, placed="all", pools=False))
def test_reasons_give_true_figures(cluster):
    world, now = World(cluster), state(cluster)
    names = Names(cluster, now.problem)
    loads = world.loads(world.now)
    for failed in np.flatnonzero(now.asked).tolist():
        plan = decide(RestartProblem.of(now, failed), budget=Budget())
        assert plan.safe is world.survivable(world.now, names.scenario(now.scenarios, failed))
        if plan.safe:
            continue
        others = [n for n in cluster.nodes if world.may_restart(world.vms[names.vm(0)], n, names.scenario(now.scenarios, failed))]
        free = sorted((max(0, n.usable - loads[n.name]) for n in others), reverse=True)
        reason = plan.loss.reason
        sizes = [world.vms[names.vm(vm)].memory for vm in reason.vms]
        if reason.among:
            assert reason.among <= len(free)
        told = free[: reason.among] if reason.among else free
        if reason.kind in ("sums", "search"):
            assert (reason.need, reason.free) == (sum(sizes), sum(told))
            assert (reason.need > reason.free) == (reason.kind == "sums")
        if reason.kind == "slots":
            assert reason.need > reason.free == sum(room // reason.size for room in told)
        if reason.kind == "size":
            assert reason.need == sum(sizes) > reason.free == max(free)
        if reason.kind == "barred":
            assert reason.need == sum(sizes) > reason.free < max(free)
        assert (reason.kind == "alone") == (not free)
