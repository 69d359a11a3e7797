import threading

import numpy as np
import pytest
from hypothesis import given, settings

import vmplace
from tests.support.any_order import Possible, any_order_problem, any_order_problems
from tests.support.brute import World
from tests.support.placements import standing_of, state
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.failover.any_order import decide
from vmplace.failover.any_order.decide import Stranding, decide_any_order, strand
from vmplace.failover.any_order.state import Story
from vmplace.failover.any_order.state import any_order_problem as compiled
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


# Who can be stranded


def assert_right(case, *, every):
    possible = Possible(case)
    lost = possible.stranded()
    found = strand(case, budget=Budget(), every=every)
    assert found.survived is (not lost)
    assert all(possible.tells(story) for story in found.stories)
    if every:
        assert set(np.flatnonzero(found.lost).tolist()) == lost
        assert {case.likeness[story.stranded] for story in found.stories} == set(case.likeness[sorted(lost)].tolist())
        assert not found.open.any()
    else:
        assert len(found.stories) == bool(lost)
        assert set(np.flatnonzero(found.lost).tolist()) <= lost


@settings(max_examples=60, deadline=None)
@given(any_order_problems())
def test_it_is_found_who_can_be_stranded_and_how(case):
    assert_right(case, every=True)
    assert_right(case, every=False)


@settings(max_examples=40, deadline=None)
@given(any_order_problems(rules=False, resources=1, max_vms=7))
def test_memory_alone(case):
    assert_right(case, every=True)


def nothing_certified(problem):
    return np.zeros(problem.n_vms, dtype=bool)


def test_it_does_not_depend_on_the_certificate(monkeypatch):
    monkeypatch.setattr(decide, "certified", nothing_certified)

    @settings(max_examples=100, deadline=None)
    @given(any_order_problems())
    def holds(case):
        assert_right(case, every=True)

    holds()


def test_without_the_quick_ways_the_search_finds_the_same(monkeypatch):
    monkeypatch.setattr(decide, "certified", nothing_certified)
    monkeypatch.setattr(decide, "attack", lambda blocking: None)
    monkeypatch.setattr(decide, "cover", lambda blocking, budget: (decide.Outcome.UNKNOWN, None))

    @settings(max_examples=60, deadline=None)
    @given(any_order_problems())
    def holds(case):
        assert_right(case, every=True)

    holds()


def test_a_vm_without_any_room_is_stranded_from_the_start():
    found = strand(any_order_problem([3], [2, 1]), budget=Budget())
    assert found.stories == (Story((), 0),)
    assert found.lost.all()


@pytest.mark.parametrize(("displaced", "free"), [([5, 5], [6, 7]), ([5], [1, 7]), ([4], [1, 6])])
def test_three_nodes_of_eleven_survive_each_failure_in_any_order(displaced, free):
    assert strand(any_order_problem(displaced, free), budget=Budget()).survived


def test_the_story_tells_how_the_nodes_are_filled():
    found = strand(any_order_problem([4, 2, 2], [5, 4]), budget=Budget())
    (story,) = found.stories
    assert sorted(node for _, node in story.placed) == [0, 1]
    assert story.stranded == 0
    assert found.lost.tolist() == [True, False, False]


def test_who_need_not_restart_may_be_in_the_way_but_is_not_stranded():
    case = any_order_problem([4, 2, 2], [5, 4], must=[True, False, False])
    assert strand(case, budget=Budget(), every=True).lost.tolist() == [True, False, False]
    assert strand(any_order_problem([4, 2, 2], [5, 4], must=[False, True, True]), budget=Budget()).survived


def test_a_resource_that_a_vm_does_not_need_never_blocks_it():
    assert strand(any_order_problem([(2, 0), (1, 3)], [(4, 3)]), budget=Budget()).survived
    found = strand(any_order_problem([(2, 1), (1, 3)], [(4, 3)]), budget=Budget(), every=True)
    assert found.lost.all()


def test_members_of_a_rule_to_be_apart_block_whole_zones():
    zones = [0, 0, 1, 1]
    assert strand(any_order_problem([1, 1], [9] * 4, apart=[([0, 1], zones)]), budget=Budget()).survived
    found = strand(any_order_problem([1, 1, 1], [9] * 4, apart=[([0, 1, 2], zones)]), budget=Budget())
    assert {zones[node] for _, node in found.stories[0].placed} == {0, 1}


def test_the_first_of_those_to_be_together_may_choose_a_node_too_small_for_the_second():
    assert strand(any_order_problem([1, 3], [2, 4], together=[[0, 1]]), budget=Budget()).stories == (Story(((0, 0),), 1),)
    assert strand(any_order_problem([1, 3], [4, 4], together=[[0, 1]]), budget=Budget()).survived


def test_without_time_all_that_is_not_certain_stays_open():
    case = any_order_problem([4, 2, 2, 1], [5, 4])
    found = strand(case, budget=Budget(0), every=True)
    assert found.survived is None
    assert found.open.tolist() == [True, True, True, False]
    assert not found.stories


def test_it_can_be_cancelled():
    cancel = threading.Event()
    cancel.set()
    assert strand(any_order_problem([4, 2, 2], [5, 4]), budget=Budget(None, cancel)).survived is None


SIZES = {
    "powers": [2, 4, 8, 12, 16, 32, 64],
    "odd": [3, 5, 7, 11, 13, 17, 29],
    "MiB": [1740, 2048, 3840, 7680, 15360, 30720, 61440],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_failures_of_a_real_size_are_decided_without_the_search(monkeypatch, sizes):
    def never(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr(decide, "search", never)
    rng = np.random.default_rng(1)
    demand = rng.choice(sizes, size=60, p=np.array([7, 6, 5, 4, 3, 2, 1]) / 28)
    share = rng.dirichlet(np.full(31, 50.0))

    def scaled(times):
        return any_order_problem(demand.tolist(), (share * demand.sum() * times).astype(int).tolist())

    found = [(case, strand(case, budget=Budget())) for case in (scaled(times) for times in np.arange(1.5, 6, 0.15))]
    verdicts = [stranding.survived for _, stranding in found]
    assert verdicts == sorted(verdicts)
    assert set(verdicts) == {False, True}
    case, stranding = found[verdicts.index(True) - 1]
    assert Possible(case).tells(*stranding.stories)


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
    who, where, failure = compiled(now, np.array([0]), now.node_of)
    assert who.tolist() == [0, 1, 3]
    assert where.tolist() == [1, 3]
    # On n3 the half of a migration takes 2; of vCPU there is none left, nor less than none.
    assert failure.free.tolist() == [[6, 2], [7, 0]]
    assert failure.demand.tolist() == [[5, 1], [3, 0], [2, 0]]
    assert failure.must.tolist() == [True, False, True]
    assert failure.allowed.tolist() == [[False, True], [False, True], [True, True]]
    assert [(vms.tolist(), zone.tolist()) for vms, zone in failure.apart] == [([0], [1, 3]), ([1, 2], [1, 3]), ([2], [1, 3])]


def test_elsewhere_than_now():
    now = state([9, 9, 9], [(3, 0), (4, 1)], failures=2, sequence="sequential", restart="any-order")
    who, where, failure = compiled(now, np.array([0, 1]), np.array([1, 1]))
    assert (who.tolist(), where.tolist(), failure.free.tolist()) == ([0, 1], [2], [[9]])
    assert compiled(now, np.array([0]), np.array([2, 1]))[2].free.tolist() == [[5], [6]]


def test_many_units_in_turn_take_no_more_time_than_there_is(monkeypatch):
    cancel, followed = threading.Event(), []

    def follow(now, _):
        cancel.set()
        followed.append(now)
        return now.node_of, now.node_of[:0], None

    monkeypatch.setattr("vmplace.failover.policy._follow", follow)
    nodes = [Node(f"n{i}", 9) for i in range(8)]
    asked = Guarantee(failures=7, policy="first-fit", sequence="sequential")
    vmplace.check(Cluster(nodes, [VM("v", 1, "n0")], guarantee=asked), cancel=cancel)
    assert len(followed) < 5040
