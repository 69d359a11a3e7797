"""VMs that move by being stopped and started: when, and for how long they are down."""

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from tests.support.transits import guaranteed, replay
from vmplace import VM, Apart, Cluster, Guarantee, Node, Status, Together, plan_moves
from vmplace.testing import clusters

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
NONE = Guarantee(failures=0)


def nodes(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)]


def told(plan):
    """Who is stopped, moves cold, moves live and starts, step by step."""
    return [
        (
            [s.vm for s in step.stops],
            [m.vm for m in step.migrations if m.cold],
            [m.vm for m in step.migrations if not m.cold],
            [s.vm for s in step.starts],
        )
        for step in plan.steps
    ]


def test_it_has_a_step_of_its_own_when_all_others_are_done():
    cluster = Cluster(nodes(64, 64, 64), [VM("ct", 16, "n0", movable="cold"), VM("v", 16, "n0"), VM("w", 8)], guarantee=NONE)
    plan = plan_moves(cluster, {"ct": "n1", "v": "n2", "w": "n0"})
    assert told(plan) == [([], [], ["v"], ["w"]), (["ct"], ["ct"], [], [])]
    replay(cluster, plan, {"ct": "n1", "v": "n2", "w": "n0"})
    assert [m.cold for m in plan.migrations] == [False, True]
    assert plan.to_dict()["steps"][1]["stops"] == [{"vm": "ct", "node": "n0", "memory": 16}]


def test_two_may_change_places_that_no_live_migration_could():
    cluster = Cluster(nodes(10, 10), [VM("a", 10, "n0", movable="cold"), VM("b", 10, "n1", movable="cold")], guarantee=NONE)
    plan = plan_moves(cluster, {"a": "n1", "b": "n0"})
    assert told(plan) == [(["a", "b"], ["a", "b"], [], [])]
    replay(cluster, plan, {"a": "n1", "b": "n0"})
    live = evolve(cluster, vms=[VM("a", 10, "n0"), VM("b", 10, "n1", movable="cold")])
    plan = plan_moves(live, {"a": "n1", "b": "n0"})
    assert told(plan) == [(["b"], [], ["a"], []), ([], ["b"], [], [])]
    replay(live, plan, {"a": "n1", "b": "n0"})


def test_it_stays_up_until_its_room_is_needed():
    vms = [VM("c", 10, "n1", movable="cold"), VM("x", 5, "n0"), VM("y", 5, "n2"), VM("z", 10, "n3")]
    cluster = Cluster(nodes(10, 10, 10, 10), vms, guarantee=NONE)
    final = {"x": "n2", "z": "n1", "c": "n3"}
    plan = plan_moves(cluster, final, parallel=1)
    replay(cluster, plan, {"y": "n2", **final}, parallel=1)
    stopped = next(step.number for step in plan.steps if step.stops)
    started = next(step.number for step in plan.steps if any(m.cold for m in step.migrations))
    assert started - stopped <= 1


@pytest.mark.parametrize("rule", [Together(("c", "v")), Apart(("c", "x"))])
def test_rules_hold_while_it_moves(rule):
    vms = [VM("c", 4, "n0", movable="cold"), VM("v", 4, "n0"), VM("x", 4, "n1")]
    cluster = Cluster(nodes(12, 12, 12), vms, [rule], NONE)
    final = {"c": "n1", "v": "n1", "x": "n0"} if isinstance(rule, Apart) else {"c": "n2", "v": "n2", "x": "n1"}
    plan = plan_moves(cluster, final)
    assert plan.steps
    replay(cluster, plan, final)


def test_nodes_that_are_crowded_meanwhile_are_told():
    vms = [VM("c", 40, "n0", movable="cold"), VM("v", 50, "n1")]
    cluster = Cluster(nodes(100, 100, 100), vms, guarantee=Guarantee(failures=0, headroom=0.2))
    plan = plan_moves(cluster, {"c": "n1"})
    assert [step.crowded for step in plan.steps] == [("n1",)]


def test_cold_moves_take_no_time_of_the_network():
    cluster = Cluster(nodes(100, 100), [VM("c", 40, "n0", movable="cold"), VM("v", 50, "n0")], guarantee=NONE)
    plan = plan_moves(cluster, {"c": "n1", "v": "n1"}, bandwidth="8Mbit")
    assert [m.seconds is None for m in plan.migrations] == [False, True]


def test_what_is_being_migrated_already_does_not_move_cold_either():
    cluster = Cluster(nodes(10, 10, 10), [VM("c", 1, "n0", target="n1", movable="cold")])
    plan = plan_moves(cluster, {"c": "n2"})
    assert (plan.status, "is being migrated already" in plan.reason) == (Status.INFEASIBLE, True)


@st.composite
def trips(draw):
    """Two placements of one cluster, in which some VMs move cold."""
    cluster = draw(clusters(min_nodes=2, max_nodes=4, max_vms=5, immovable=False))
    cold = draw(st.sets(st.sampled_from(range(len(cluster.vms))), max_size=3)) if len(cluster.vms) else set()
    cluster = evolve(cluster, vms=[evolve(vm, movable="cold") if i in cold else vm for i, vm in enumerate(cluster.vms)])
    world = World(cluster)
    options = list(world.placements(move_running=True, headroom=False)) if len(cluster.vms) else []
    return cluster, draw(st.sampled_from(options)) if options else {}


def judged(trip):
    cluster, final = trip
    plan = plan_moves(cluster, final, time_limit=10)
    if plan.steps:
        replay(cluster, plan, final)
        if cluster.guarantee.failures:
            guaranteed(cluster, plan)
    elif plan.status in (Status.OPTIMAL, Status.FEASIBLE):
        assert all(World(cluster).now.get(vm, node) == node for vm, node in final.items())


@settings(max_examples=40, **QUIET)
@given(trips())
def test_plans_with_cold_moves_replayed(trip):
    judged(trip)


@pytest.mark.slow
@settings(max_examples=600, **QUIET)
@given(trips())
def test_many_plans_with_cold_moves_replayed(trip):
    judged(trip)
