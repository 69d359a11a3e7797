import numpy as np
from hypothesis import given, settings

from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.failover.planned.exact import search_all, search_most, search_softest
from vmplace.failover.planned.first_fit import pack_most, soft_cost
from vmplace.failover.restart import RestartProblem
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Outcome
from vmplace.testing import clusters

small = clusters(min_nodes=2, max_nodes=4, max_vms=6, placed="all", pools=False)


def failures(cluster):
    problem = compile_problem(cluster)
    now = PlacementState.of(problem, problem.node_of)
    return Names(cluster, problem), [RestartProblem.of(now, failed) for failed in np.flatnonzero(now.asked).tolist()]


def named(names, restart, packed):
    return {names.vm(vm): names.node(int(restart.nodes[i])) for item, i in packed for vm in item.vms}


def softest(restart):
    _, found = search_all(restart, budget=Budget())
    return search_softest(restart, found, budget=Budget())


def weight(world, failed, plan):
    """What a plan costs in soft rules."""
    binding = [b for b in world.rules if b.rule.during_failover and not b.rule.must]
    return sum(b.rule.weight * b.breaches_by_plan(world.now, {failed}, plan) for b in binding)


@settings(max_examples=20, deadline=None)
@given(small)
def test_a_plan_for_all_is_found_if_there_is_one_and_breaks_the_least(cluster):
    world = World(cluster)
    names, restarts = failures(cluster)
    for restart in restarts:
        failed = names.node(int(names.problem.node_of[restart.vms[0]]))
        weights = [weight(world, failed, p) for p in world.full_plans(world.now, failed, world.displaced(world.now, failed))]
        outcome, found = search_all(restart, budget=Budget())
        assert outcome is (Outcome.OPTIMAL if weights else Outcome.INFEASIBLE)
        if found is not None:
            plan = named(names, restart, found)
            assert len(plan) == len(restart.vms)
            assert world.plan_holds(world.now, failed, plan)
            softest = search_softest(restart, found, budget=Budget())
            assert weight(world, failed, named(names, restart, softest)) == min(weights) == soft_cost(restart, softest)


@settings(max_examples=20, deadline=None)
@given(small)
def test_the_best_partial_plan_is_proved(cluster):
    world = World(cluster)
    names, restarts = failures(cluster)
    for restart in restarts:
        failed = names.node(int(names.problem.node_of[restart.vms[0]]))
        found, proved = search_most(restart, pack_most(restart), budget=Budget())
        plan = named(names, restart, found)
        assert proved
        assert world.plan_holds(world.now, failed, plan)
        left_out = [vm for vm in world.displaced(world.now, failed) if vm.name not in plan]
        assert world.vector(left_out) == world.best_loss(world.now, failed)


def test_without_time_the_plan_to_begin_with_comes_back_unproved():
    _, (restart,) = failures(Cluster([Node("n0", 20), Node("n1", 6)], [VM("a", 4, "n0"), VM("b", 4, "n0")]))
    start = pack_most(restart)
    assert search_most(restart, start, budget=Budget(0)) == (start, False)
    assert search_all(restart, budget=Budget(0)) == (Outcome.UNKNOWN, None)


def test_of_two_rules_that_exclude_each_other_the_heavier_is_kept():
    nodes, vms = [Node("n0", 9), Node("n1", 9), Node("n2", 9)], [VM("a", 2, "n0"), VM("b", 2, "n0")]
    for apart, together in ((1, 5), (5, 1)):
        rules = [Apart(["a", "b"], must=False, weight=apart), Together(["a", "b"], must=False, weight=together)]
        names, (restart,) = failures(Cluster(nodes, vms, rules))
        found = softest(restart)
        assert len(set(named(names, restart, found).values())) == (1 if together > apart else 2)


def test_a_wish_for_nodes_gives_way_to_the_restart():
    wish = OnlyOn(["a", "b"], ["n1"], must=False, weight=10**9)
    names, (restart,) = failures(Cluster([Node("n0", 9), Node("n1", 2), Node("n2", 2)], [VM(v, 2, "n0") for v in "ab"], [wish]))
    found = softest(restart)
    assert set(named(names, restart, found).values()) == {"n1", "n2"}


def test_a_wish_to_stay_away_from_a_survivor_is_kept():
    vms = [VM("a", 2, "n0"), VM("rival", 2, "n1")]
    for free in ((9, 4), (4, 9)):
        nodes = [Node("n0", 9), *(Node(f"n{i}", room) for i, room in enumerate(free, 1))]
        names, (restart, _) = failures(Cluster(nodes, vms, [Apart(["a", "rival"], must=False)]))
        assert named(names, restart, softest(restart)) == {"a": "n2"}


def test_more_memory_of_less_priority_does_not_count():
    vms = [VM("vital", 5, "n0", priority=1), VM("b", 3, "n0"), VM("c", 3, "n0"), VM("d", 1, "n0", priority=-9)]
    names, (restart,) = failures(Cluster([Node("n0", 99), Node("n1", 6)], vms))
    for start in (pack_most(restart), []):
        found, proved = search_most(restart, start, budget=Budget())
        assert (named(names, restart, found), proved) == ({"vital": "n1", "d": "n1"}, True)
