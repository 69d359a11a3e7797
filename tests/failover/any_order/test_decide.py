import threading

import numpy as np
from hypothesis import given, settings

import vmplace
from tests.support.brute import World
from tests.support.placements import standing_of, state
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.failover.any_order.adversary import Stranding
from vmplace.failover.any_order.decide import decide_any_order
from vmplace.failover.any_order.state import Story, situation_of
from vmplace.failover.policy import decide_policy
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

everything = {"placed": "all", "domains": True, "resources": True, "evictable": True, "targets": True}
careless = clusters(max_nodes=4, max_vms=6, restart=("any-order",), failures=(1, 1, 2), **everything)
by_policy = clusters(max_nodes=4, max_vms=6, policies=True, failures=(1, 1, 2), **everything)
in_turn = clusters(max_nodes=4, max_vms=6, policies=True, failures=(2, 2, 3), sequences=("sequential",), **everything)


def failing(cluster):
    """Each failure that displaces someone who must restart: its number, and the oracle's key and failure."""
    world, now = World(cluster), standing_of(cluster)
    names = Names(cluster, now.problem)
    for number in np.flatnonzero(now.asked).tolist():
        failed = {names.node(i) for i in now.scenarios.failing(number).tolist()}
        key = names.scenario(now.scenarios, number)
        part = next(part for part in world.failures(world.now)[key] if part.nodes <= failed)
        yield world, now, names, number, key, part


def restarts(names, plan):
    return {names.vm(vm): names.node(node) for vm, node in zip(plan.vms.tolist(), plan.nodes.tolist(), strict=True)}


# In any order


@settings(max_examples=60, deadline=None)
@given(careless)
def test_all_who_can_be_stranded_are_told_and_how_one_of_them_is(cluster):
    for world, now, names, number, key, part in failing(cluster):
        lost = set(world._lost_at_once(world.now, part))
        plan = decide_any_order(now, number, budget=Budget())
        assert (plan.safe, plan.loss is None) == (not lost, not lost)
        if not lost:
            continue
        assert set(names.vms(plan.loss.vms.tolist())) == lost
        assert plan.loss.minimal
        state = {names.vm(vm): names.node(node) for vm, node in plan.loss.reason.story}
        assert len(state) == len(plan.loss.reason.story)
        assert world.is_state(world.now, key, state)
        assert world.is_stranded(world.now, key, state, names.vm(plan.loss.reason.vms[0]))
        sure = {vm.name for vm in world.must_restart(world.now, part)} - lost
        others = restarts(names, plan)
        assert set(others) == sure
        assert world.after(world.now, part).possible(others)


@settings(max_examples=40, deadline=None)
@given(careless)
def test_one_who_can_be_stranded_is_enough_where_losses_are_not_wanted(cluster):
    for _, now, _, number, _, _ in failing(cluster):
        whole, one = (decide_any_order(now, number, budget=Budget(), losses=losses) for losses in (True, False))
        assert whole.safe == one.safe
        assert one.safe or (len(one.vms) == 0 and set(one.loss.vms.tolist()) <= set(whole.loss.vms.tolist()))


def test_without_time_it_stays_open():
    now = state([20, 5, 4, 3], [(5, 0), (3, 0), (2, 0), (2, 0)], restart="any-order")
    assert decide_any_order(now, 0, budget=Budget(0)).safe is None


def test_a_story_shows_it_unsafe_though_time_ran_out_over_the_others(monkeypatch):
    now = state([20, 5, 4], [(5, 0), (2, 0), (1, 0)], restart="any-order")
    told, pending = np.array([True, False, False]), np.array([False, True, False])
    found = Stranding((Story(((1, 0),), 0),), told, pending)
    monkeypatch.setattr("vmplace.failover.any_order.decide.strand", lambda *_, **__: found)
    plan = decide_any_order(now, 0, budget=Budget())
    assert plan.safe is False
    # Of the second it is not known: no plan is told for it, and that there is none is not called proved.
    assert (plan.loss.vms.tolist(), plan.loss.minimal) == ([0, 1], False)
    assert plan.vms.tolist() == [2]
    assert plan.loss.reason.story == ((1, 1),)


def test_who_need_not_restart_may_be_in_the_way():
    nodes = [Node("n0", 20), Node("n1", 5), Node("n2", 4)]
    vms = [VM("a", 5, "n0"), VM("u", 1, "n0", protected=False)]
    asked = Guarantee(restart="any-order")
    plan = decide_any_order(standing_of(Cluster(nodes, vms, guarantee=asked)), 0, budget=Budget())
    assert (plan.safe, plan.loss.vms.tolist(), plan.loss.reason.story) == (False, [0], ((1, 1),))
    barred = [OnlyOn(["u"], ["n0", "n2"])]
    assert decide_any_order(standing_of(Cluster(nodes, vms, barred, asked)), 0, budget=Budget()).safe


# By a policy


@settings(max_examples=25, deadline=None)
@given(by_policy.filter(lambda cluster: cluster.guarantee.policy is not None))
def test_the_plan_is_what_the_policy_does(cluster):
    for world, now, names, number, _, part in failing(cluster):
        plan = decide_policy(now, number, budget=Budget())
        does = world.simulated(world.now, part)
        assert restarts(names, plan) == does
        lost = {vm.name for vm in world.must_restart(world.now, part)} - set(does)
        assert (plan.safe, set(names.vms(plan.loss.vms.tolist())) if plan.loss else set()) == (not lost, lost)


@settings(max_examples=25, deadline=None)
@given(in_turn.filter(lambda cluster: cluster.guarantee.policy is not None))
def test_in_turn_it_must_do_in_whichever_order_units_fail(cluster):
    for world, now, names, number, _, part in failing(cluster):
        plan = decide_policy(now, number, budget=Budget())
        lost = set(world.lost(world.now, part))
        assert plan.safe == (not lost)
        assert lost == (set() if plan.safe else set(names.vms(plan.loss.vms.tolist())))


def test_in_turn_there_is_a_plan_though_quick_packing_finds_none():
    # 6 + 3 + 3 and 4 + 4 + 4, as listed: the largest first find neither.
    nodes = [Node("n0", 1), Node("n1", 24), *(Node(f"n{i}", 12) for i in (2, 3, 4))]
    vms = [VM(f"v{i}", size, "n1") for i, size in enumerate((6, 3, 3, 4, 4, 4))]
    cluster = Cluster(nodes, vms, guarantee=Guarantee(failures=2, policy="first-fit", sequence="sequential"))
    report = vmplace.check(cluster)
    assert report.status == "safe"
    assert len(report.failover["n1+n2"]) == 6
    assert vmplace.place(cluster).status == "optimal"


# The failure as arrays


def test_who_may_restart_and_what_is_left_to_them():
    nodes = [
        Node("n0", 30, resources={"vcpu": 9}),
        Node("n1", 10, resources={"vcpu": 4}),
        Node("shut", 10, state="maintenance"),
        Node("n3", 10, resources={"vcpu": 1}),
        Node("other", 10, pool="p"),
    ]
    vms = [
        VM("a", 5, "n0", resources={"vcpu": 1}),
        VM("u", 3, "n0", protected=False),
        VM("e", 3, "n0", evictable=True),
        VM("b", 2, "n0", target="n3"),
        VM("stays", 4, "n1", resources={"vcpu": 2}),
        VM("gives-way", 4, "n1", evictable=True),
        VM("over", 1, "n3", resources={"vcpu": 3}),
        VM("s", 1, "shut"),
    ]
    rules = [Apart(["a", "stays"]), OnlyOn(["u"], ["n0", "n3"]), Apart(["b", "u"]), Apart(["b", "gives-way"])]
    now = standing_of(Cluster(nodes, vms, rules, Guarantee(restart="any-order")))
    who, where, any_order = situation_of(now, np.array([0]), now.node_of)
    assert who.tolist() == [0, 1, 3]
    assert where.tolist() == [1, 3]
    # On n3 the half of a migration takes 2; of vCPU there is none left, nor less than none.
    assert any_order.free.tolist() == [[6, 2], [7, 0]]
    assert any_order.demand.tolist() == [[5, 1], [3, 0], [2, 0]]
    assert any_order.must.tolist() == [True, False, True]
    assert any_order.allowed.tolist() == [[False, True], [False, True], [True, True]]
    assert [(vms.tolist(), zone.tolist()) for vms, zone in any_order.apart] == [([0], [1, 3]), ([1, 2], [1, 3]), ([2], [1, 3])]


def test_elsewhere_than_now():
    now = state([9, 9, 9], [(3, 0), (4, 1)], failures=2, sequence="sequential", restart="any-order")
    who, where, any_order = situation_of(now, np.array([0, 1]), np.array([1, 1]))
    assert (who.tolist(), where.tolist(), any_order.free.tolist()) == ([0, 1], [2], [[9]])
    assert situation_of(now, np.array([0]), np.array([2, 1]))[2].free.tolist() == [[5], [6]]


def test_many_units_in_turn_take_no_more_time_than_there_is(monkeypatch):
    cancel, followed = threading.Event(), []

    def follow(now, _):
        cancel.set()
        followed.append(now)
        return now.node_of, now.order[:0]

    monkeypatch.setattr("vmplace.failover.policy._follow", follow)
    nodes = [Node(f"n{i}", 9) for i in range(8)]
    asked = Guarantee(failures=7, policy="first-fit", sequence="sequential")
    vmplace.check(Cluster(nodes, [VM("v", 1, "n0")], guarantee=asked), cancel=cancel)
    assert len(followed) < 5040
