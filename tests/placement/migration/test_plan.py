"""Plans of migrations against a simulator and against all plans there are."""

from itertools import islice
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.transits import Journey, guaranteed, replay
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn, Status, Together, plan_moves
from vmplace.placement.migration import ordering
from vmplace.testing import clusters

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def cluster_of(usable, vms, rules=(), **guarantee):
    """From {vm: (memory, node or None)}."""
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    return Cluster(nodes, [VM(name, size, node) for name, (size, node) in vms.items()], rules, Guarantee(**guarantee))


def moves(plan):
    return [[(m.vm, m.source, m.destination) for m in step.migrations] for step in plan.steps]


# By hand


def test_a_move_waits_for_the_one_that_makes_room():
    cluster = cluster_of([10, 10, 10], {"a": (6, "n0"), "b": (6, "n1")}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n2"})
    assert plan.status is Status.OPTIMAL
    assert moves(plan) == [[("b", "n1", "n2")], [("a", "n0", "n1")]]


def test_moves_that_need_nothing_of_each_other_are_made_at_the_same_time():
    cluster = cluster_of([10, 10, 10, 10], {"a": (6, "n0"), "b": (6, "n1")}, failures=0)
    assert len(plan_moves(cluster, {"a": "n2", "b": "n3"}).steps) == 1
    assert len(plan_moves(cluster, {"a": "n2", "b": "n3"}, parallel=1).steps) == 2


def test_a_limit_by_node_counts_both_ends():
    cluster = cluster_of([20, 20, 20], {"a": (2, "n0"), "b": (2, "n0"), "c": (2, "n1")}, failures=0)
    assert len(plan_moves(cluster, {"a": "n1", "b": "n2", "c": "n2"}, parallel_per_node=1).steps) == 3
    assert len(plan_moves(cluster, {"a": "n1", "b": "n2", "c": "n2"}, parallel_per_node=2).steps) == 1


def test_two_that_change_places_need_a_stop_over_of_the_smaller():
    cluster = cluster_of([10, 10, 10], {"a": (7, "n0"), "b": (6, "n1")}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n0"})
    assert plan.status is Status.OPTIMAL
    assert (plan.extra, plan.stopovers) == (6, ("b",))
    replay(cluster, plan, {"a": "n1", "b": "n0"})


def test_a_bystander_makes_way_and_comes_back():
    cluster = cluster_of([8, 8, 5], {"a": (6, "n0"), "b": (6, "n1"), "c": (2, "n2"), "d": (2, "n0"), "e": (1, "n1")}, failures=0)
    assert plan_moves(cluster, {"a": "n1", "b": "n0"}).status is Status.INFEASIBLE
    roomy = cluster_of([8, 8, 7], {"a": (6, "n0"), "b": (6, "n1"), "c": (2, "n2")}, failures=0)
    plan = plan_moves(roomy, {"a": "n1", "b": "n0"})
    replay(roomy, plan, {"a": "n1", "b": "n0", "c": "n2"})
    assert plan.status is Status.OPTIMAL
    assert plan.extra == 6 + 2 * 2


def test_who_is_larger_than_all_that_is_free_can_never_move():
    cluster = cluster_of([10, 10], {"a": (8, "n0"), "b": (8, "n1")}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n0"})
    assert plan.status is Status.INFEASIBLE
    assert plan.reason == "a can never move: that takes 8 MiB free on one node; 4 MiB is free on all together"
    assert plan.steps == ()


def test_what_is_out_of_reach_is_told_by_trying_all():
    cluster = cluster_of([8, 8], {"a": (5, "n0"), "b": (5, "n1"), "c": (1, "n1")}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n0"})
    assert plan.status is Status.INFEASIBLE
    assert "can be reached" in plan.reason


def test_the_guarantee_decides_which_goes_first():
    vms = {"a": (4, "n0"), "b": (4, "n1"), "c": (4, "n2"), "d": (4, "n2")}
    cluster = cluster_of([8, 8, 8, 4], vms)
    assert vmplace.check(cluster).status is Status.SAFE
    plan = plan_moves(cluster, {"a": "n3", "d": "n0"}, parallel=1)
    replay(cluster, plan, {**{vm: node for vm, (_, node) in vms.items()}, "a": "n3", "d": "n0"}, parallel=1)
    guaranteed(cluster, plan)


def test_those_that_must_be_together_go_at_the_same_time():
    cluster = cluster_of([9, 9], {"a": (4, "n0"), "b": (4, "n0")}, [Together(("a", "b"))], failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n1"}, parallel=1)
    assert moves(plan) == [[("a", "n0", "n1"), ("b", "n0", "n1")]]


def test_those_that_must_be_apart_never_share_a_node():
    cluster = cluster_of([9, 9, 9], {"a": (2, "n0"), "b": (2, "n1")}, [Apart(("a", "b"))], failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n0"})
    assert plan.extra == 2
    replay(cluster, plan, {"a": "n1", "b": "n0"})
    two = cluster_of([9, 9], {"a": (2, "n0"), "b": (2, "n1")}, [Apart(("a", "b"))], failures=0)
    assert plan_moves(two, {"a": "n1", "b": "n0"}).status is Status.INFEASIBLE


def test_who_waits_is_started_as_soon_as_there_is_room():
    cluster = cluster_of([10, 10, 10], {"a": (6, "n0"), "b": (6, "n1"), "w": (8, None), "v": (4, None)}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n2", "w": "n0", "v": "n1"})
    assert [(number, start.vm) for number, start in plan.starts] == [(1, "v"), (3, "w")]
    replay(cluster, plan, {"a": "n1", "b": "n2", "w": "n0", "v": "n1"})


def test_headroom_is_kept_on_the_way_where_it_can_be():
    cluster = cluster_of([10, 10, 10, 10], {"a": (5, "n0"), "b": (5, "n1")}, failures=0, headroom=0.2)
    plan = plan_moves(cluster, {"a": "n1", "b": "n2"})
    assert not any(step.crowded for step in plan.steps)
    tight = cluster_of([10, 10], {"a": (5, "n0"), "b": (4, "n1"), "c": (1, "n1")}, failures=0, headroom=0.2)
    plan = plan_moves(tight, {"a": "n1", "b": "n0"})
    assert [step.crowded for step in plan.steps if step.crowded]


def test_limits_on_migrations_count_stop_overs():
    cluster = cluster_of([10, 10, 10], {"a": (7, "n0"), "b": (6, "n1")}, failures=0)
    target = {"a": "n1", "b": "n0"}
    assert plan_moves(cluster, target, max_moves=1).status is Status.INFEASIBLE
    assert plan_moves(cluster, target, max_moves=2).status is Status.UNKNOWN
    assert plan_moves(cluster, target, max_moves=3).status is Status.OPTIMAL
    assert plan_moves(cluster, target, max_migrated=18).status is Status.INFEASIBLE
    assert plan_moves(cluster, target, max_migrated=19).status is Status.OPTIMAL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"movable": False}, "a would have to leave n0, but must not move"),
        ({"target": "n1"}, "a would have to leave n0, but is being migrated already"),
    ],
)
def test_who_cannot_move_is_named(change, words):
    cluster = Cluster([Node(f"n{i}", 10) for i in range(3)], [VM("a", 2, "n0", **change)])
    plan = plan_moves(cluster, {"a": "n2"})
    assert (plan.status, plan.reason) == (Status.INFEASIBLE, words)


def test_a_target_that_cannot_be_is_refused_with_the_reason():
    nodes = [Node("n0", 10), Node("n1", 4), Node("n2", 10, state="maintenance"), Node("n3", 10, pool="other"), Node("n4", 10)]
    vms = [VM("a", 6, "n0"), VM("b", 2, "n4"), VM("c", 2, "n0")]
    cluster = Cluster(nodes, vms, [OnlyOn(("b",), ("n4", "n1")), Apart(("a", "b"))])
    for target, words in [
        ({"a": "n1"}, "n1 would be overfull at the end"),
        ({"a": "n2"}, "a may not go to n2: its pool, the node's state or the rules forbid it"),
        ({"a": "n3"}, "a may not go to n3: its pool, the node's state or the rules forbid it"),
        ({"b": "n0"}, "b may not go to n0: its pool, the node's state or the rules forbid it"),
        ({"a": "n4"}, "rules[1] (apart) would be broken at the end"),
    ]:
        plan = plan_moves(cluster, target)
        assert (plan.status, plan.reason) == (Status.INFEASIBLE, words)


@pytest.mark.parametrize(
    ("target", "options", "place"),
    [
        ({"z": "n1"}, {}, "placement['z']"),
        ({"a": "zz"}, {}, "placement['a']"),
        ({"s": "n1"}, {}, "placement['s']"),
        ([1], {}, "placement"),
        ([1, 7], {}, "placement[1]"),
        ({}, {"parallel": 0}, "parallel"),
        ({}, {"parallel_per_node": 1.5}, "parallel_per_node"),
        ({}, {"max_moves": -1}, "max_moves"),
        ({}, {"max_migrated": "8G"}, "max_migrated"),
        ({}, {"seed": -1}, "seed"),
        ({}, {"time_limit": -1}, "time_limit"),
    ],
)
def test_what_is_wrong_is_named(target, options, place):
    cluster = Cluster([Node("n0", 10), Node("n1", 10)], [VM("a", 2, "n0"), VM("s", 2, "n0", running=False)])
    with pytest.raises(InputError) as error:
        plan_moves(cluster, target, **options)
    assert error.value.flaws[0].place == place


def test_nothing_to_do_is_a_plan_of_no_steps():
    for cluster in (Cluster([]), Cluster([Node("n0", 4)]), cluster_of([4, 4], {"a": (2, "n0")})):
        plan = plan_moves(cluster, {})
        assert (plan.status, plan.steps) == (Status.OPTIMAL, ())


def test_without_time_nothing_is_claimed():
    cluster = cluster_of([10, 10, 10], {"a": (6, "n0"), "b": (6, "n1")}, failures=0)
    plan = plan_moves(cluster, {"a": "n1", "b": "n2"}, time_limit=0)
    assert (plan.status, plan.steps, plan.reason) == (Status.UNKNOWN, (), "no order was found before time ran out")


def test_a_step_is_safe_where_only_the_search_for_an_order_had_no_time_to_know(monkeypatch):
    monkeypatch.setattr(ordering, "_CERTIFY_SHARE", 0)
    cluster = cluster_of([10, 10, 10], {"a": (3, "n0"), "b": (2, "n1")}, failures=2, sequence="sequential", policy="fewest-vms")
    plan = plan_moves(cluster, {"a": "n2", "b": "n1"})
    assert [(step.guarantee, step.exposed, step.suspended) for step in plan.steps] == [(Status.SAFE, (), False)]


# Against all plans


@st.composite
def tasks(draw, **features):
    """A cluster and a placement that it could have."""
    cluster = draw(clusters(max_nodes=3, max_vms=5, **features))
    world = World(cluster)
    choice = list(islice(world.placements(move_running=True, headroom=False), 60))
    final = dict(draw(st.sampled_from(choice))) if choice else dict(world.now)
    return cluster, final, draw(st.sampled_from([None, None, 1, 2]))


def judged(task):
    cluster, final, parallel = task
    plan, journey = plan_moves(cluster, final, parallel=parallel, parallel_per_node=None), Journey(cluster, final)
    least = journey.least()
    assert (plan.status is Status.INFEASIBLE) == (least is None)
    if least is None:
        return
    assert plan.status in (Status.OPTIMAL, Status.FEASIBLE)
    replay(cluster, plan, final, parallel=parallel)
    guaranteed(cluster, plan)
    assert plan.extra == least - journey.direct()
    if not plan.extra and not plan.starts:
        assert plan.status is Status.OPTIMAL
        assert len(plan.exposed) == journey.least_exposed(parallel)


FEATURES = {"domains": True, "resources": True, "evictable": True, "targets": True}


@settings(max_examples=40, **QUIET)
@given(tasks(**FEATURES) | tasks(rules=False, states=False, immovable=False, placed="all"))
def test_plans_against_all_plans(task):
    judged(task)


@pytest.mark.slow
@settings(max_examples=600, **QUIET)
@given(tasks(**FEATURES) | tasks(failures=(0, 1, 2), rules=False, states=False, immovable=False, placed="all"))
def test_many_plans_against_all_plans(task):
    judged(task)


# Random pairs of placements, nearly full


def pair(seed):
    """A cluster from 85 to 97 % full, and another placement of its VMs; None where chance found no two."""
    random = Random(seed)
    n_nodes, size, fill = random.choice([4, 6, 8, 12, 16]), random.choice([128, 256, 512]), random.uniform(0.85, 0.97)
    palette = random.choice([(2, 4, 8, 16, 32), (4, 8, 16), (3, 5, 7, 11, 16), (2, 4, 8, 16, 32, 64)])
    memory = []
    while sum(memory) + (drawn := random.choice([m for m in palette if 3 * m <= size])) <= fill * n_nodes * size:
        memory.append(drawn)
    ends = [_packed(random, [size] * n_nodes, memory) for _ in range(2)]
    if None in ends:
        return None
    return Cluster.from_arrays(node_memory=[size] * n_nodes, vm_memory=memory, vm_node=ends[0]), np.array(ends[1])


def _packed(random, free, memory):
    node_of = [0] * len(memory)
    for vm in sorted(range(len(memory)), key=lambda vm: (-memory[vm], random.random())):
        room = [node for node, left in enumerate(free) if left >= memory[vm]]
        if not room:
            return None
        node_of[vm] = random.choice(room) if random.random() < 0.7 else max(room, key=free.__getitem__)
        free[node_of[vm]] -= memory[vm]
    return node_of


def replayed(seeds):
    """How many pairs have which status, all plans replayed."""
    found = {}
    for seed in seeds:
        task = pair(seed)
        if task is None:
            continue
        cluster, final = task
        plan = plan_moves(cluster, final, time_limit=2)
        found[plan.status] = found.get(plan.status, 0) + 1
        if plan.status in (Status.OPTIMAL, Status.FEASIBLE):
            names = [node.name for node in cluster.nodes]
            replay(cluster, plan, {vm.name: names[node] for vm, node in zip(cluster.vms, final.tolist(), strict=True)})
        else:
            assert not plan.steps
    return found


def test_random_pairs_of_full_placements():
    found = replayed([9, 13])
    assert found.get(Status.UNKNOWN, 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_random_pairs_of_full_placements(part):
    found = replayed(range(130 * part, 130 * (part + 1)))
    assert sum(found.values()) >= 125
    assert found.get(Status.UNKNOWN, 0) <= 2


def test_one_migration_a_node_at_a_time_unless_asked():
    cluster = Cluster([Node(n, 64) for n in ("n0", "n1", "n2", "n3")], [VM(f"v{i}", 8, "n0") for i in range(3)])
    to = {"v0": "n1", "v1": "n2", "v2": "n3"}
    assert [len(step.migrations) for step in plan_moves(cluster, to).steps] == [1, 1, 1]
    assert [len(step.migrations) for step in plan_moves(cluster, to, parallel_per_node=None).steps] == [3]


def test_how_long_it_takes():
    vms = [VM("a", 2000, "n0"), VM("b", 1000, "n0"), VM("c", 500, "n2")]
    cluster = Cluster([Node(n, 8000) for n in ("n0", "n1", "n2", "n3")], vms)
    to = {"a": "n1", "b": "n3", "c": "n3"}
    alone = plan_moves(cluster, to, bandwidth="100MiB/s")
    assert {m.vm: m.seconds for m in alone.migrations} == {"a": 20, "b": 10, "c": 5}
    assert alone.seconds == 30  # c while a or b is on its way
    shared = plan_moves(cluster, to, parallel_per_node=None, bandwidth="100MiB/s")
    assert [step.seconds for step in shared.steps] == [30]  # a and b share what n0 can send
    untold = plan_moves(cluster, to)
    assert untold.seconds is None
    assert "seconds" not in untold.to_dict() | untold.to_dict()["steps"][0]["migrations"][0]
    written = alone.to_dict()
    assert (written["seconds"], written["steps"][0]["seconds"]) == (30, alone.steps[0].seconds)
    assert any(", about " in line for line in alone.drawn().splitlines())
    assert {row.rpartition(",")[2] for row in alone.drawn("csv").splitlines()[1:]} == {"20.0", "10.0", "5.0"}


@pytest.mark.parametrize("bandwidth", ["10", 10, "0Gbit", "fast"])
def test_what_is_not_a_bandwidth_is_named(bandwidth):
    with pytest.raises(InputError, match=r"bandwidth: .+ is not a bandwidth: write it like 10Gbit"):
        plan_moves(Cluster([Node("n", 8)]), {}, bandwidth=bandwidth)
