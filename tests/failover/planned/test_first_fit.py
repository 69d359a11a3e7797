import numpy as np
from hypothesis import given, settings

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.failover.planned.first_fit import pack_all, pack_most, pack_softest, soft_cost
from vmplace.failover.restart import RestartProblem
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.state import PlacementState
from vmplace.testing import clusters


def failures(cluster):
    problem = compile_problem(cluster)
    now = PlacementState.of(problem, problem.node_of)
    return Names(cluster, problem), [RestartProblem.of(now, failed) for failed in np.flatnonzero(now.asked).tolist()]


def named(names, restart, packed):
    return {names.vm(vm): names.node(int(restart.nodes[i])) for item, i in packed for vm in item.vms}


def weight(world, failed, plan):
    """What a plan costs in soft rules."""
    wishes = [b for b in world.rules if b.rule.during_failover and not b.rule.must]
    return sum(b.rule.weight * b.breaches_by_plan(world.now, {failed}, plan) for b in wishes)


@settings(max_examples=80, deadline=None)
@given(clusters(max_nodes=5, max_vms=6, placed="all"))
def test_what_is_packed_keeps_memory_and_rules(cluster):
    world = World(cluster)
    names, restarts = failures(cluster)
    for restart in restarts:
        failed = names.node(int(names.problem.node_of[restart.vms[0]]))
        plans = world.full_plans(world.now, failed, world.displaced(world.now, failed))
        least = min((weight(world, failed, other) for other in plans), default=0)
        assert restart.least_soft_cost <= least or pack_all(restart) is None
        for packed in (pack_all(restart), pack_all(restart, soft=True), pack_softest(restart)):
            if packed is not None:
                plan = named(names, restart, packed)
                assert len(plan) == len(restart.vms)
                assert world.plan_holds(world.now, failed, plan)
                assert weight(world, failed, plan) == soft_cost(restart, packed) >= least


@settings(max_examples=30, deadline=None)
@given(clusters(max_nodes=5, max_vms=7, placed="all"))
def test_nobody_left_out_could_still_be_added(cluster):
    world = World(cluster)
    names, restarts = failures(cluster)
    for restart in restarts:
        failed = names.node(int(names.problem.node_of[restart.vms[0]]))
        plan = named(names, restart, pack_most(restart))
        assert world.plan_holds(world.now, failed, plan)
        for vm in world.displaced(world.now, failed):
            if vm.name not in plan:
                assert not any(world.plan_holds(world.now, failed, {**plan, vm.name: node}) for node in world.nodes)


def test_the_important_come_first_then_the_large():
    vms = [VM("large", 6, "n0"), VM("vital", 2, "n0", priority=1), VM("medium", 4, "n0")]
    names, (restart,) = failures(Cluster([Node("n0", 20), Node("n1", 6)], vms))
    assert named(names, restart, pack_most(restart)) == {"vital": "n1", "medium": "n1"}


def test_the_scarce_may_have_to_come_first():
    # Largest first, one of the 5s takes n1, the only node without a rival of the 4.
    nodes = [Node("n0", 20), Node("n1", 5), Node("n2", 6), Node("n3", 6)]
    vms = [VM("x", 5, "n0"), VM("y", 5, "n0"), VM("z", 4, "n0"), VM("rival-2", 1, "n2"), VM("rival-3", 1, "n3")]
    names, restarts = failures(Cluster(nodes, vms, [Apart(["z", "rival-2", "rival-3"])]))
    assert named(names, restarts[0], pack_all(restarts[0])) == {"x": "n2", "y": "n3", "z": "n1"}


def test_a_rule_that_is_no_must_is_kept_on_demand_only():
    nodes = [Node("n0", 20), Node("n1", 5), Node("n2", 4)]
    vms = [VM("a", 2, "n0"), VM("b", 2, "n0"), VM("c", 5, "n0")]
    names, (restart,) = failures(Cluster(nodes, vms, [Apart(["a", "b"], must=False)]))
    assert pack_all(restart, soft=True) is None
    assert named(names, restart, pack_all(restart)) == {"a": "n2", "b": "n2", "c": "n1"}


def test_a_rule_that_no_plan_keeps_binds_nobody():
    nodes = [Node("n0", 20, domain="r0"), Node("n1", 4, domain="r1"), Node("n2", 4, domain="r2")]
    vms = [*(VM(name, 2, "n0") for name in "abc"), VM("rival", 1, "n1")]
    too_many = [
        Together(["a", "b", "c"], must=False),
        Apart(["a", "b", "c"], must=False),
        Apart(["a", "b", "rival"], must=False, scope="domain"),
        OnlyOn(["a", "b", "c"], ["n0"], must=False),
    ]
    names, (restart, _) = failures(Cluster(nodes, vms, [*too_many, Apart(["b", "c"], must=False)]))
    plan = named(names, restart, pack_all(restart, soft=True))
    assert len(plan) == 3
    assert plan["b"] != plan["c"]


def test_two_that_are_apart_part_though_they_are_on_one_node_now():
    nodes, vms = [Node("n0", 9), Node("n1", 9), Node("n2", 9)], [VM("a", 2, "n0"), VM("b", 2, "n0"), VM("c", 2, "n0")]
    names, (restart,) = failures(Cluster(nodes, vms, [Apart(["a", "b"])]))
    plan = named(names, restart, pack_all(restart))
    assert len(plan) == 3
    assert plan["a"] != plan["b"]
    names, (restart,) = failures(Cluster(nodes[:2], vms, [Apart(["a", "b"])]))
    assert pack_all(restart) is None
    assert len(pack_most(restart)) == 2


def test_of_a_group_those_restart_that_fit_on_one_node():
    vms = [VM("a", 3, "n0"), VM("b", 3, "n0"), VM("c", 2, "n0")]
    names, (restart,) = failures(Cluster([Node("n0", 9), Node("n1", 6), Node("n2", 4)], vms, [Together(["a", "b", "c"])]))
    assert named(names, restart, pack_most(restart)) == {"a": "n2"}  # the tightest, where b and c then have no room
    names, (restart,) = failures(Cluster([Node("n0", 9), Node("n1", 9)], vms, [Together(["a", "b", "c"])]))
    assert set(named(names, restart, pack_most(restart))) == {"a", "b", "c"}
