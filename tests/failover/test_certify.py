import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from tests.support.placements import placements, standing_of, state
from tests.support.plans import backups
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.failover.any_order.decide import decide_any_order
from vmplace.failover.certify import certify, certify_all, judge
from vmplace.failover.check import check
from vmplace.failover.planned.decide import decide
from vmplace.failover.restart import RestartProblem
from vmplace.failover.verdict import METHODS, ScenarioStatus
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

IN_TURN = {"failures": 2, "sequence": "sequential"}

# Any two of these can fail at once, each pair by a plan of its own; but whatever is done when one fails, some next is fatal.
FATAL_IN_TURN = ((14, 16, 16, 16), ((7, 2), (4, 1), (4, 1), (3, 3), (7, 0), (5, 2)))


def certified(usable, vms, budget=None, **guarantee):
    now = state(usable, vms, **guarantee)
    return certify(now.problem, now.node_of, budget=budget or Budget())


def test_failures_at_once_have_no_turns():
    assert certified(*FATAL_IN_TURN, failures=2).turns == {}
    assert certified(*FATAL_IN_TURN, failures=2).safe
    assert certified(*FATAL_IN_TURN, failures=1, sequence="sequential").turns == {}


def test_planned_failures_in_turn_are_judged_by_pool_besides_each_by_itself():
    verdict = certified(*FATAL_IN_TURN, **IN_TURN)
    assert (verdict.fate == ScenarioStatus.SAFE).all()
    assert verdict.turns == {0: ScenarioStatus.UNSAFE}
    assert verdict.unsafe


def test_turns_are_not_looked_into_where_a_failure_by_itself_is_fatal():
    verdict = certified((8, 8, 8), ((5, 0), (5, 1), (5, 2)), **IN_TURN)
    assert verdict.unsafe
    assert verdict.turns == {}


@pytest.mark.parametrize("options", [{"budget": Budget(0)}, {"searching": False}])
def test_without_time_or_a_search_turns_stay_open(options):
    now = state(*FATAL_IN_TURN, **IN_TURN)
    verdict = certify(now.problem, now.node_of, **{"budget": Budget(), **options})
    assert not verdict.safe
    assert not verdict.unsafe


def test_where_room_is_never_short_turns_are_told_without_either():
    now = state((20, 20, 20, 20), ((3, 0), (3, 1), (3, 2)), **IN_TURN)
    verdict = certify(now.problem, now.node_of, budget=Budget(0), searching=False)
    assert verdict.safe
    assert verdict.turns == {0: ScenarioStatus.SAFE}


def test_each_pool_has_its_turns():
    usable, vms = FATAL_IN_TURN
    nodes = [Node(f"{pool}{i}", size, pool=pool) for pool in "ab" for i, size in enumerate(usable)]
    both = [
        VM(f"{pool}v{k}", size if pool == "a" else 1, f"{pool}{i}", pool=pool) for pool in "ab" for k, (size, i) in enumerate(vms)
    ]
    problem = compile_problem(Cluster(nodes, both, guarantee=Guarantee(**IN_TURN)))
    verdict = certify(problem, problem.node_of, budget=Budget())
    assert verdict.turns == {0: ScenarioStatus.UNSAFE, 1: ScenarioStatus.SAFE}
    assert [verdict.of_pool(pool) for pool in (0, 1)] == [ScenarioStatus.UNSAFE, ScenarioStatus.SAFE]


powerable = clusters(max_nodes=4, max_vms=5, placed="all", failures=(1, 2), domains=True, evictable=True, states=False)


@settings(max_examples=50, deadline=None)
@given(powerable)
def test_only_powered_nodes_are_there(cluster):
    world, problem = World(cluster), compile_problem(cluster)
    hosting = np.isin(np.arange(problem.n_nodes), problem.node_of)
    powered = hosting | (np.arange(problem.n_nodes) % 2 == 0)
    verdict = certify(problem, problem.node_of, budget=Budget(), powered=powered)
    names = [node.name for node, on in zip(cluster.nodes, powered.tolist(), strict=True) if on]
    assert verdict.safe == world.powering(names).all_survivable(world.now)


promises = clusters(
    max_nodes=4,
    max_vms=6,
    placed="all",
    failures=(1, 1, 2, 2, 3),
    domains=True,
    resources=True,
    evictable=True,
    targets=True,
    restart=("planned", "planned", "any-order"),
    policies=True,
)


def judged(now, **options):
    return judge(now, **{"budget": Budget(), **options})


# One by one, and all at once


@settings(deadline=None)
@given(placements())
def test_lockstep_and_single_decisions_agree(drawn):
    now = state(*drawn)
    verdict = judged(now)
    for failed in np.flatnonzero(now.asked).tolist():
        alone = decide(RestartProblem.of(now, failed), budget=Budget())
        assert alone.safe == (verdict.fate[failed] == ScenarioStatus.SAFE)


@settings(deadline=None, max_examples=60)
@given(promises)
def test_array_passes_and_single_decisions_agree(cluster):
    now = standing_of(cluster)
    if now.problem.guarantee.policy is not None:
        return
    quickly = judged(now, searching=False, losses=False)
    for number in np.flatnonzero((now.asked > 0) & (quickly.fate != ScenarioStatus.UNKNOWN)).tolist():
        if now.problem.planned:
            alone = decide(RestartProblem.of(now, number), budget=Budget(), losses=False)
        else:
            alone = decide_any_order(now, number, budget=Budget(), losses=False)
        assert alone.safe == (quickly.fate[number] == ScenarioStatus.SAFE)


@settings(deadline=None)
@given(placements())
def test_plans_hold(drawn):
    now = state(*drawn)
    verdict = judged(now)
    for failed in range(now.problem.n_nodes):
        free = now.free.copy()
        backup_of = backups(verdict.restarts, now.problem.n_vms)
        mine = np.flatnonzero((now.node_of == failed) & (backup_of >= 0))
        np.subtract.at(free, backup_of[mine], now.problem.memory[mine])
        assert (free >= 0).all()
        assert failed not in backup_of[mine]
        assert (verdict.fate[failed] != ScenarioStatus.SAFE) or len(mine) == len(now.displaced_by(np.array([failed]))[0])


@settings(max_examples=25, deadline=None)
@given(promises, st.booleans(), st.booleans(), st.sampled_from([None, 0]))
def test_however_little_is_asked_no_fate_is_told_wrong(cluster, losses, searching, limit):
    now = standing_of(cluster)
    truth, verdict = judged(now), judged(now, losses=losses, searching=searching, budget=Budget(limit))
    assert not (truth.fate == ScenarioStatus.UNKNOWN).any()
    undecided = verdict.fate == ScenarioStatus.UNKNOWN
    assert (undecided | (verdict.fate == truth.fate)).all()
    assert (limit is None and searching) <= (not undecided.any())
    assert [METHODS[how] == "time" for how in verdict.told_by.tolist()] == undecided.tolist()
    early = judged(now, losses=losses, stop_early=True)
    assert (early.unsafe, early.safe) == (truth.unsafe, truth.safe)


@settings(max_examples=25, deadline=None)
@given(promises)
def test_losses_and_plans_share_out_who_must_restart(cluster):
    now = standing_of(cluster)
    verdict = judged(now)
    assert sorted(verdict.losses) == np.flatnonzero(verdict.fate == ScenarioStatus.UNSAFE).tolist()
    restarts = verdict.restarts
    for number in range(len(now.scenarios)):
        displaced = set(now.displaced_by(np.array([number]))[0].tolist())
        planned = restarts.vm[restarts.scenario == number].tolist()
        lost = set(verdict.losses[number].vms.tolist()) if number in verdict.losses else set()
        assert len(planned) == len(set(planned)) == now.restarts[number] - len(lost)
        assert set(planned) | lost == displaced


# What is told at a glance


def test_list_order_is_not_enough():
    # 6 + 3 + 2 fill 11 and 4 + 3 fit in 9; first-fit in list order strands the 6.
    usable = [100, 20, 20]
    vms = [(2, 0), (3, 0), (3, 0), (4, 0), (6, 0), (9, 1), (11, 2)]
    assert judged(state(usable, vms)).fate[0] == ScenarioStatus.SAFE


def test_without_time_what_takes_a_search_is_unknown():
    now = state([30, 16, 11], [(7, 0), (7, 0), (5, 0), (5, 0), (3, 0)])
    verdict = judged(now, budget=Budget(0))
    assert (ScenarioStatus(verdict.fate[0]), verdict.method(0)) == (ScenarioStatus.UNKNOWN, "time")
    assert not verdict.safe
    assert not verdict.unsafe
    assert ScenarioStatus(judged(now).fate[0]) != ScenarioStatus.UNKNOWN


@pytest.mark.parametrize("stop_early", [True, False])
def test_stopping_early_is_never_wrong(stop_early):
    now = state([8, 8, 8], [(6, 0), (6, 1), (3, 2)])
    verdict = judged(now, stop_early=stop_early)
    assert verdict.unsafe
    assert not verdict.safe


@pytest.mark.parametrize(
    ("usable", "vms", "guarantee"),
    [
        ([20, 4, 4], [(6, 0)], {}),
        ([20, 4, 4], [(3, 0), (3, 0), (3, 0)], {}),
        ([9, 9, 9, 9], [(5, 0), (5, 1), (5, 2), (5, 3)], {"failures": 2}),
        ([9, 9, 9, 9], [(6, 0), (4, 2), (4, 3)], {"failures": 2, "restart": "any-order"}),
        ([9, 9, 9, 9], [(6, 0), (4, 2), (4, 3)], {"failures": 2, "policy": "best-fit", "sequence": "sequential"}),
    ],
)
def test_what_is_hopeless_is_seen_without_time_where_one_unsafe_failure_is_enough(usable, vms, guarantee):
    now = state(usable, vms, **guarantee)
    assert judged(now, budget=Budget(0), losses=False, stop_early=True).unsafe
    assert judged(now, losses=False, stop_early=True).unsafe


def test_who_fits_nowhere_is_lost_whatever_the_priorities():
    nodes = [Node("n0", 40), *(Node(f"n{i}", 8) for i in (1, 2, 3))]
    vms = [VM("low", 9, "n0", priority=-1), VM("high", 10, "n0", priority=5), VM("fits", 8, "n0"), VM("too", 4, "n0", priority=1)]
    now = standing_of(Cluster(nodes, vms))
    verdict = judged(now, budget=Budget(0))  # no time to look at any failure by itself
    assert sorted(verdict.losses[0].vms.tolist()) == [0, 1]
    assert verdict.losses[0].minimal
    assert (backups(verdict.restarts, now.problem.n_vms)[[2, 3]] >= 1).all()


@pytest.mark.parametrize(
    ("usable", "vms", "guarantee", "methods"),
    [
        ([9, 9, 9], [(3, 0), (3, 1)], {}, ["certificate", "certificate", "empty"]),
        ([30, 8, 8, 3, 3, 3], [(8, 0), (4, 0), (4, 0), (1, 0), (1, 0)], {}, ["slots", *["empty"] * 5]),
        ([20, 5, 3], [(5, 0), (3, 0)], {}, ["packing", "empty", "empty"]),
        ([20, 5, 3], [(5, 0), (3, 0)], {"restart": "any-order"}, ["adversary", "empty", "empty"]),
        ([20, 5, 3], [(5, 0), (3, 0)], {"policy": "most-free"}, ["policy", "empty", "empty"]),
        ([9, 9, 9, 9], [(3, 0), (3, 1)], {"failures": 2}, [*["certificate"] * 5, "empty"]),
        ([9, 4, 4, 4], [(5, 0), (4, 1)], {"failures": 2}, ["sums", "sums", "sums", "certificate", "certificate", "empty"]),
    ],
)
def test_what_tells(usable, vms, guarantee, methods):
    verdict = judged(state(usable, vms, **guarantee))
    assert [verdict.method(number) for number in range(len(methods))] == methods


# Pools, and the fate of all


def two_pools(**guarantee):
    nodes = [Node(f"{pool}{i}", 9, pool=pool) for pool in "ab" for i in range(3)]
    vms = [VM("x", 3, "a0", pool="a"), VM("y", 9, "b0", pool="b"), VM("z", 1, "b1", pool="b"), VM("w", 1, "b2", pool="b")]
    return standing_of(Cluster(nodes, vms, guarantee=Guarantee(**guarantee)))


def test_each_pool_has_its_own_fate():
    verdict = judged(two_pools())
    assert [verdict.of_pool(pool) for pool in (0, 1)] == [ScenarioStatus.SAFE, ScenarioStatus.UNSAFE]
    assert verdict.of_pools == ScenarioStatus.UNSAFE


def test_unsafe_outranks_unknown_and_unknown_outranks_safe():
    verdict = judged(two_pools())
    verdict.fate[0] = int(ScenarioStatus.UNKNOWN)
    assert [verdict.of_pool(pool) for pool in (0, 1)] == [ScenarioStatus.UNKNOWN, ScenarioStatus.UNSAFE]
    assert verdict.of_pools == ScenarioStatus.UNSAFE
    verdict.fate[verdict.fate == ScenarioStatus.UNSAFE] = int(ScenarioStatus.SAFE)
    assert verdict.of_pools == ScenarioStatus.UNKNOWN
    verdict.turns[0] = ScenarioStatus.UNSAFE
    assert verdict.of_pools == verdict.of_pool(0) == ScenarioStatus.UNSAFE


@pytest.mark.parametrize("guarantee", [{}, {"failures": 0}, {"failures": 2, "sequence": "sequential"}, {"restart": "any-order"}])
def test_of_nothing_nothing_is_lost(guarantee):
    verdict = judged(state([], [], **guarantee))
    assert verdict.safe
    assert len(verdict.restarts.vm) == len(verdict.failover.vm) == 0


# Plans made late


@settings(max_examples=40, deadline=None)
@given(promises, st.sampled_from([1, 4]))
def test_too_many_restarts_to_keep_are_planned_one_failure_at_a_time(cluster, most):
    now = standing_of(cluster)
    whole = judged(now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmplace.failover.verdict.MOST_RESTARTS", most)
        parted = judged(now)
        assert parted.countable == (now.restarts.sum() <= most)
        assert (parted.fate == whole.fate).all()
        memory, protected = now.problem.memory, now.problem.protected
        for number in range(len(now.scenarios)):
            single, mine = parted.failover_in(number), whole.restarts[whole.restarts.scenario == number]
            back = single.vm[(single.scenario == number) & protected[single.vm] & (single.node >= 0)]
            assert memory[back].sum() == memory[mine.vm].sum()
            assert len(back) == len(np.unique(back))


def test_what_becomes_of_evictable_vms_is_told_of_the_failure_that_is_asked_for():
    nodes = [Node(f"n{i}", 9) for i in range(3)]
    verdict = judged(standing_of(Cluster(nodes, [VM("a", 4, "n0"), VM("e", 4, "n1", evictable=True)])))
    assert verdict.failover_in(0).scenario.tolist() == [0]


def test_a_failure_survived_in_any_order_is_planned_when_asked_for():
    now = state([20, 9, 9], [(3, 0), (3, 0), (3, 0)], restart="any-order")
    verdict = judged(now)
    assert not len(verdict.planned.vm)
    assert sorted(verdict.restarts.vm.tolist()) == [0, 1, 2]


def test_rules_keep_a_failure_from_being_told_by_sums_alone():
    nodes, vms = [Node(f"n{i}", 9) for i in range(3)], [VM("a", 1, "n0"), VM("b", 1, "n1"), VM("c", 1, "n2")]
    verdict = judged(standing_of(Cluster(nodes, vms, [Apart(["a", "b"]), OnlyOn(["c"], ["n2"])])))
    assert [(ScenarioStatus(fate), verdict.method(n)) for n, fate in enumerate(verdict.fate.tolist())] == [
        (ScenarioStatus.SAFE, "certificate"),
        (ScenarioStatus.SAFE, "certificate"),
        (ScenarioStatus.UNSAFE, "rules"),
    ]


def test_a_second_resource_is_looked_at_failure_by_failure():
    nodes = [Node(f"n{i}", 9, resources={"vcpu": 2}) for i in range(3)]
    vms = [
        VM("a", 1, "n0", resources={"vcpu": 2}),
        VM("b", 1, "n1", resources={"vcpu": 1}),
        VM("c", 1, "n2", resources={"vcpu": 1}),
    ]
    cluster = Cluster(nodes, vms)
    verdict = judged(standing_of(cluster))
    assert [ScenarioStatus(fate) for fate in verdict.fate.tolist()] == [
        ScenarioStatus.UNSAFE,
        ScenarioStatus.SAFE,
        ScenarioStatus.SAFE,
    ]
    assert verdict.losses[0].reason.resource == 1
    soft = judged(standing_of(evolve(cluster, soft_resources=["vcpu"])))
    assert soft.safe


def test_in_any_order_those_that_need_not_restart_take_room_too():
    """Planned restarts leave the unprotected VM down; a manager that takes no orders may start it first."""
    vms = [VM("a", 4, "n1"), VM("u", 4, "n1", protected=False)]
    for order, safe in (("planned", True), ("any-order", False)):
        problem = compile_problem(Cluster([Node("n1", 8), Node("n2", 4)], vms, (), Guarantee(restart=order)))
        assert certify(problem, problem.node_of, budget=Budget()).safe is safe


def test_plans_name_who_is_stopped_though_not_all_may_be():
    vms = [VM("a", 6, "n1"), VM("e", 6, "n2", evictable=True), VM("k", 4, "n2")]
    report = check(Cluster([Node("n1", 10), Node("n2", 10)], vms))
    assert report.failover["n1"] == {"a": "n2", "e": None}


@settings(max_examples=60)
@given(clusters(most_guarantees=3, failures=(0, 1, 2), domains=True, restart=("planned", "any-order"), quorums=True))
def test_several_guarantees_hold_if_each_does(cluster):
    problem, each = compile_problem(cluster, several=True), [compile_problem(one) for one in cluster.one_by_one()]
    verdicts = [certify(one, one.node_of, budget=Budget()) for one in each]
    joint = certify_all(problem, problem.node_of, budget=Budget())
    assert [part.fate.tolist() for part in joint.parts] == [verdict.fate.tolist() for verdict in verdicts]
    assert joint.safe == all(verdict.safe for verdict in verdicts)
    assert joint.unsafe == any(verdict.unsafe for verdict in verdicts)
    assert joint.decided
    early = certify_all(problem, problem.node_of, budget=Budget(), stop_early=True)
    assert (early.safe, early.unsafe) == (joint.safe, joint.unsafe)


def test_without_time_several_guarantees_are_undecided():
    cluster = Cluster([Node(name, 7) for name in "abc"], [VM(f"v{i}", 3, "abc"[i % 3]) for i in range(4)])
    cluster = evolve(cluster, guarantee=[Guarantee(failures=0), Guarantee(restart="any-order", failures=2)])
    joint = certify_all(compile_problem(cluster, several=True), np.array([0, 1, 2, 0]), budget=Budget(0), searching=False)
    assert not joint.decided
    assert (joint.safe, joint.unsafe) == (False, False)
