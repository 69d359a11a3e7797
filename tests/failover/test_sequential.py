import json

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.failover.test_certify import FATAL_IN_TURN
from tests.support.brute import World
from tests.support.placements import standing_of, state
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.failover.certify import judge
from vmplace.failover.sequential import decide_any_order_in_turn, survives_in_turn
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

everything = {"placed": "all", "domains": True, "resources": True, "evictable": True, "targets": True}
asked = {"sequences": ("sequential",), "failures": (2, 2, 3)}
planned = st.one_of(
    clusters(max_nodes=4, max_vms=6, rules=False, states=False, pools=False, headroom=False, placed="all", **asked),
    clusters(max_nodes=4, max_vms=6, **asked, **everything),
)
careless = clusters(max_nodes=4, max_vms=5, restart=("any-order",), **asked, **everything)


def pools(now):
    return np.unique(now.scenarios.pool).tolist()


def survives(usable, vms, pool=0, budget=None, **guarantee):
    now = state(usable, vms, **{"failures": 2, "sequence": "sequential", **guarantee})
    return survives_in_turn(now, pool, budget or Budget())


@pytest.fixture
def few_states(monkeypatch):
    """Have hardly any state looked at."""
    monkeypatch.setattr("vmplace.failover.sequential._MOST_PLACES", 8)


# With plans


@settings(max_examples=60, deadline=None)
@given(planned)
def test_whether_plans_survive_what_comes_next(cluster):
    world, now = World(cluster), standing_of(cluster)
    verdict, names = judge(now, budget=Budget()), list(dict.fromkeys(node.pool for node in cluster.nodes))
    for pool in pools(now):
        told = survives_in_turn(now, pool, Budget())
        assert told is world.survives_in_turn(world.now, names[pool]) or verdict.unsafe


@settings(max_examples=40, deadline=None)
@given(planned, st.integers(0, 60))
def test_with_little_effort_it_may_stay_open_but_is_never_told_wrong(cluster, places):
    now = standing_of(cluster)
    with pytest.MonkeyPatch.context() as patch:
        truth = [survives_in_turn(now, pool, Budget()) for pool in pools(now)]
        patch.setattr("vmplace.failover.sequential._MOST_PLACES", places)
        told = [survives_in_turn(now, pool, Budget()) for pool in pools(now)]
    assert all(quick in (None, slow) for quick, slow in zip(told, truth, strict=True))


def test_each_pair_has_a_plan_but_no_first_plan_is_good_for_all_that_may_follow():
    assert survives(*FATAL_IN_TURN) is False
    assert survives((15, 16, 16, 17), FATAL_IN_TURN[1]) is True


def test_it_may_take_another_than_the_first_plan():
    # The 4 fits on n1 and n2; only on n1 is it near enough to where it can go next.
    nodes = [Node("n0", 4), Node("n1", 4), Node("n2", 4), Node("n3", 4)]
    vms = [VM("a", 4, "n0")]
    now = standing_of(Cluster(nodes, vms, [OnlyOn(["a"], ["n0", "n1", "n2"])], Guarantee(failures=2, sequence="sequential")))
    assert survives_in_turn(now, 0, Budget()) is True
    lone = evolve(now.problem, restartable=now.problem.restartable & (np.arange(4) < 2))
    assert survives_in_turn(evolve(now, problem=lone), 0, Budget()) is False


@pytest.mark.parametrize(
    ("hosts", "k", "answer"), [(1, 2, False), (2, 2, False), (3, 2, True), (3, 3, False), (4, 3, True), (4, 9, False)]
)
def test_as_many_as_there_are_leave_nobody_a_node(hosts, k, answer):
    assert survives([9] * hosts, [(3, 0)], failures=k) is answer


def test_a_maintenance_node_fails_as_long_as_it_hosts_somebody():
    nodes = [Node("m", 9, state="maintenance"), Node("n1", 5), Node("n2", 5), Node("n3", 5)]
    asked = Guarantee(failures=2, sequence="sequential")
    assert (
        survives_in_turn(standing_of(Cluster(nodes, [VM("a", 5, "m"), VM("b", 5, "n1")], guarantee=asked)), 0, Budget()) is True
    )
    full = [VM("a", 5, "m"), VM("b", 5, "n1"), VM("c", 1, "n2")]
    assert survives_in_turn(standing_of(Cluster(nodes, full, guarantee=asked)), 0, Budget()) is False


def test_evictable_vms_are_never_in_the_way():
    nodes, asked = [Node(f"n{i}", 5) for i in range(3)], Guarantee(failures=2, sequence="sequential")
    vms = [VM("a", 5, "n0"), VM("e", 5, "n1", evictable=True), VM("f", 3, "n2", evictable=True)]
    assert survives_in_turn(standing_of(Cluster(nodes, vms, guarantee=asked)), 0, Budget()) is True


def test_those_who_need_not_restart_are_gone_once_their_node_is():
    vms = [VM("a", 5, "n0"), VM("u", 5, "n1", protected=False)]
    asked = Guarantee(failures=2, sequence="sequential")
    answers = [
        survives_in_turn(standing_of(Cluster([Node(f"n{i}", 5) for i in range(count)], vms, guarantee=asked)), 0, Budget())
        for count in (3, 4)
    ]
    assert answers == [False, True]


@pytest.mark.usefixtures("few_states")
def test_what_is_certified_takes_no_states():
    assert survives((20, 20, 20, 20), ((3, 0), (3, 1), (3, 2))) is True
    assert survives(*FATAL_IN_TURN) is None


def test_without_time_it_stays_open():
    assert survives(*FATAL_IN_TURN, budget=Budget(0)) is None


@pytest.mark.slow
def test_very_many_vms_do_not_nest_too_deep():
    usable, vms = FATAL_IN_TURN
    many = [(1, i) for i in range(4) for _ in range(75)]
    roomy = [1000 * size + 75 * 4 for size in usable]
    assert survives(roomy, [(1000 * size, i) for size, i in vms] + many) is None


# In any order


@settings(max_examples=20, deadline=None)
@given(careless)
def test_whom_some_run_strands(cluster):
    world, now = World(cluster), standing_of(cluster)
    names = Names(cluster, now.problem)
    for number in np.flatnonzero(now.asked).tolist():
        failed = {names.node(i) for i in now.scenarios.failing(number).tolist()}
        parts = world.failures(world.now)[names.scenario(now.scenarios, number)]
        failure = next(part for part in parts if part.nodes <= failed)
        lost = set(world.lost(world.now, failure))
        plan = decide_any_order_in_turn(now, number, budget=Budget())
        assert plan.safe is (not lost)
        assert set(names.vms(plan.loss.vms.tolist()) if plan.loss else ()) == lost
        # A VM that is stranded before the last failure ends the story: the others may be lost later, unless none is left.
        asked = evolve(cluster.guarantee, failures=len(now.scenarios.key(number)) - 1)
        before = World(evolve(cluster, guarantee=asked))
        parts = [part for parts in before.failures(before.now).values() for part in parts if part.nodes <= failed]
        ended = any(True for part in parts for _ in before.lost(before.now, part))
        must = len(list(world.must_restart(world.now, failure)))
        assert plan.loss is None or plan.loss.minimal == (not ended or len(lost) == must)


STRANDED = (
    [Node("n0", 9), Node("n1", 9), Node("n2", 4), Node("n3", 5)],
    [VM("a", 4, "n0"), *(VM(f"b{i}", 1, "n0") for i in range(5))],
)


@pytest.mark.usefixtures("few_states")
def test_who_is_stranded_by_the_first_failure_already_is_so_however_much_is_left_open():
    nodes, vms = STRANDED
    nodes = [nodes[0], Node("n1", 4), *nodes[2:]]
    asked = Guarantee(failures=2, sequence="sequential", restart="any-order")
    plan = decide_any_order_in_turn(standing_of(Cluster(nodes, vms, guarantee=asked)), 0, budget=Budget())
    assert (plan.safe, plan.loss.minimal) == (False, False)
    assert 0 in plan.loss.vms


@pytest.mark.usefixtures("few_states")
def test_what_is_left_open_is_not_safe():
    nodes, vms = STRANDED
    roomy = [evolve(node, memory=90) for node in nodes]
    asked = Guarantee(failures=2, sequence="sequential", restart="any-order")
    assert decide_any_order_in_turn(standing_of(Cluster(roomy, vms, guarantee=asked)), 0, budget=Budget()).safe is None


def test_rules_bind_to_those_that_have_restarted():
    # At once, a and b go to n2 and n3; in turn, a may take n1 first, and b is on none of them.
    nodes = [Node(f"n{i}", 9) for i in range(4)]
    vms = [VM("a", 1, "n0"), VM("b", 1, "n1")]
    asked = Guarantee(failures=2, sequence="sequential", restart="any-order")
    cluster = Cluster(nodes, vms, [Apart(["a", "b"]), OnlyOn(["b"], ["n1", "n2"])], asked)
    told = {
        key: decide_any_order_in_turn(standing_of(cluster), number, budget=Budget()).safe
        for number, key in enumerate(["n0+n1", "n0+n2", "n0+n3", "n1+n2", "n1+n3", "n2+n3"])
    }
    # a may be on n2 by the time n1 fails, which is all that b has left.
    assert told == {"n0+n1": False, "n0+n2": True, "n0+n3": True, "n1+n2": False, "n1+n3": True, "n2+n3": True}


def test_a_group_that_must_stay_together_goes_together_each_time():
    nodes = [Node(f"n{i}", 4) for i in range(4)]
    vms = [VM("a", 2, "n0"), VM("b", 2, "n0"), VM("c", 1, "n1")]
    now = standing_of(
        Cluster(nodes, vms, [Together(["a", "b"])], Guarantee(failures=2, sequence="sequential", restart="any-order"))
    )
    plans = [decide_any_order_in_turn(now, number, budget=Budget()) for number in range(len(now.scenarios))]
    world = World(Cluster(nodes, vms, [Together(["a", "b"])], Guarantee(failures=2, sequence="sequential", restart="any-order")))
    assert [plan.safe for plan in plans] == [not any(loss) for loss in world.losses(world.now).values()]


def test_what_is_lost_in_turn_is_json():
    asked = Guarantee(failures=2, sequence="sequential", restart="any-order")
    found = vmplace.check(Cluster([Node("n0", 8)], [VM("a", 2, "n0"), VM("b", 2, "n0")], (), asked))
    assert json.loads(json.dumps(found.to_dict()))["unprotected"][0]["minimal"] is True
