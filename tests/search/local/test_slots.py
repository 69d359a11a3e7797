from collections import Counter
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node, OnlyOn
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.local.slots import Slots
from vmplace.synthetic import generate
from vmplace.testing import clusters

MOVES = Goal(("moves",), move_running=True)
MORE = {"failures": (1, 2, 3), "domains": True, "resources": True, "evictable": True, "targets": True}
ALIKE = {"rules": False, "states": False, "pools": False, "unprotected": False, "stopped": False, "headroom": False}


def slots_of(cluster, pool=0):
    problem = compile_problem(cluster)
    return Slots(problem, MOVES.limits(problem), problem.node_of, pool)


def counted(slots):
    """What is lacking of each row, counted anew from the placement, size by size and failure by failure."""
    problem = slots.problem
    kept = np.where(problem.evictable, -1, slots.node_of)
    free = np.where(problem.online[:, None], np.maximum(problem.capacity - problem.loads(kept), 0), 0)
    lacking = []
    for size, resource, nodes in zip(slots.sizes.tolist(), slots.resource.tolist(), slots.nodes, strict=True):
        held = [int(free[i, resource]) // size if nodes[i] else 0 for i in range(problem.n_nodes)]
        asked = Counter(dict.fromkeys(problem.unit.tolist(), 0))
        for i, unit in enumerate(problem.unit.tolist()):
            asked[unit] += held[i]
        for vm, node in enumerate(slots.node_of.tolist()):
            if node >= 0 and problem.protected[vm]:
                asked[int(problem.unit[node])] += int(problem.demand[vm, resource]) // size
        lacking.append(sum(n for _, n in asked.most_common(problem.failures)) - sum(held))
    return lacking


@settings(max_examples=60, deadline=None)
@given(clusters(min_nodes=2, max_nodes=6, max_vms=9, placed="all", **ALIKE, **MORE), st.randoms(use_true_random=False))
def test_what_is_lacking_is_kept_up_to_date(cluster, random):
    slots = slots_of(cluster)
    problem = slots.problem
    assert slots.lacking.tolist() == counted(slots)
    for _ in range(4):
        if not problem.n_vms:
            return
        vm = random.randrange(problem.n_vms)
        slots.lift(vm)
        onto = np.arange(problem.n_nodes)
        told, worst = slots.lacking_after(vm, onto), [slots.worst(row) for row in range(len(slots.sizes))]
        node = random.randrange(problem.n_nodes)
        slots.put(vm, node)
        assert slots.lacking.tolist() == counted(slots)
        assert (MOVES.limits(problem) - problem.loads(slots.node_of) == slots.room.T).all()
        for row, lacking in enumerate(slots.lacking.tolist()):
            # Told on the safe side only where the node's own failure was one of the worst.
            assert told[row, node] == lacking or (worst[row][node] and told[row, node] > lacking)


@settings(max_examples=40, deadline=None)
@given(clusters(min_nodes=2, max_nodes=4, max_vms=6, placed="all", **ALIKE, **MORE))
def test_a_lacking_slot_is_a_failure_that_is_not_survived(cluster):
    slots, world = slots_of(cluster), World(cluster)
    if world.overfull(world.now):
        return
    lacking = bool(np.any(slots.lacking > 0))
    survived = world.all_survivable(world.now)
    assert not (lacking and survived)
    sizes = sorted({vm.memory for vm in cluster.vms})
    if slots.problem.n_firm == 1 and all(large % small == 0 for small, large in pairwise(sizes)):
        assert survived != lacking


def test_two_failures_need_what_the_two_worst_do():
    nodes = [Node(f"n{i}", 8) for i in range(4)]
    vms = [VM("a", 4, "n0"), VM("b", 4, "n0"), VM("c", 4, "n1"), VM("d", 4, "n2")]
    # Of seven slots of 4 in all, n0 fills two, n1 and n2 one, and have none, one and one left.
    assert [slots_of(Cluster(nodes, vms, guarantee=Guarantee(failures=k))).lacking.tolist() for k in (0, 1, 2, 3)] == [
        [-4],
        [-2],
        [0],
        [2],
    ]


def test_nodes_of_a_domain_need_slots_together():
    nodes = [Node(f"n{i}", 8, domain=domain) for i, domain in enumerate("aabb")]
    vms = [VM("a", 4, "n0"), VM("b", 4, "n1"), VM("c", 8, "n2")]
    slots = slots_of(Cluster(nodes, vms, guarantee=Guarantee(scope="domain")))
    assert dict(zip(slots.sizes.tolist(), slots.lacking.tolist(), strict=True)) == {8: 1, 4: 0}
    assert slots.worst(0).tolist() == [False, False, True, True]
    assert slots.deficit(0) == 1
    slots.want_more(np.array([2]))
    assert slots.deficit(0) == 2


def test_evictable_vms_make_slots_but_no_room():
    nodes = [Node("n0", 8), Node("n1", 8)]
    slots = slots_of(Cluster(nodes, [VM("a", 6, "n0", evictable=True), VM("b", 5, "n1")]))
    assert slots.free.tolist() == [[8, 3]]
    assert slots.room.tolist() == [[2, 3]]
    assert slots.lacking.tolist() == [0]
    assert slots.frees(0).tolist() == [0, 5]
    assert slots.fits(1).tolist() == [False, False]


def test_each_resource_that_binds_in_a_failover_has_slots():
    nodes = [Node(f"n{i}", 8, resources={"vcpu": 4, "disk": 1}) for i in range(2)]
    vms = [VM("a", 2, "n0", resources={"vcpu": 3}), VM("b", 2, "n1", resources={"vcpu": 2, "disk": 1})]
    slots = slots_of(Cluster(nodes, vms, soft_resources=["disk"]))
    rows = zip(slots.resource.tolist(), slots.sizes.tolist(), slots.lacking.tolist(), strict=True)
    assert list(rows) == [(0, 2, -2), (1, 3, 1), (1, 2, 1)]
    assert slots.shortfall(1).tolist() == [2, 1]
    assert slots.frees(1).tolist() == [3, 2]
    slots.lift(1)
    assert slots.fits(1).tolist() == [False, True]


def test_a_shortfall_that_leaves_is_one_more_slot():
    slots = slots_of(generate(nodes=8, fill=0.9, profile="flavors", seed=1, placed="worst-fit"))
    for row, size in enumerate(slots.sizes.tolist()):
        shortfall, before = slots.shortfall(row), slots.free[0] // size
        assert ((slots.free[0] + shortfall) // size == before + 1).all()
        assert ((slots.free[0] + shortfall - 1) // size == before).all()
    whole = slots_of(Cluster([Node("n0", 6), Node("n1", 6)], [VM("a", 4, "n0")]))
    assert whole.shortfall(0).tolist() == [2, 7]  # n1 is empty, and too small for two


def test_vms_that_rules_hem_in_have_rows_of_their_own():
    nodes = [Node(f"n{i}", 10) for i in range(4)]
    vms = [VM("a", 4, "n0"), VM("b", 4, "n2"), VM("c", 9, "n1")]
    free = slots_of(Cluster(nodes, vms))
    hemmed = slots_of(Cluster(nodes, vms, [OnlyOn(["a"], ["n0", "n1"])]))
    assert free.lacking.max() <= 0
    assert [int(size) for size, lacking in zip(hemmed.sizes, hemmed.lacking, strict=True) if lacking > 0] == [4]


def test_many_sizes_are_rounded_up_and_more_may_be_wanted():
    slots = slots_of(generate(nodes=20, fill=0.5, profile="uniform", seed=1, placed="worst-fit"))
    problem = slots.problem
    assert len(slots.sizes) < len(np.unique(problem.memory))
    assert slots.sizes[0] == problem.memory.max()
    before = slots.lacking
    slots.want_more(np.array([int(problem.memory.argmax())]))
    assert (slots.lacking - before).tolist() == (slots.sizes[0] // slots.sizes).tolist()


@pytest.mark.parametrize("state", ["maintenance", "offline"])
def test_slots_are_on_online_nodes_only(state):
    nodes = [Node("n0", 10), Node("n1", 10), Node("n2", 10, state=state)]
    slots = slots_of(Cluster(nodes, [VM("a", 4, "n0"), VM("b", 3, "n0")]))
    assert slots.free[0].tolist() == [3, 10, 0]
    assert slots.room[0, 2] == -1
    assert not slots.nodes[:, 2].any()
    assert slots.deficit(0) == 0


def test_turning_to_a_placement_and_back():
    slots = slots_of(generate(nodes=6, fill=0.9, profile="azure", seed=3, placed="worst-fit"))
    before, lacking = slots.node_of.copy(), slots.lacking
    random = Random(1)
    slots.turn_to(np.array([random.randrange(6) for _ in before]))
    assert slots.lacking.tolist() == counted(slots)
    slots.turn_to(before)
    assert slots.lacking.tolist() == lacking.tolist()
    assert (slots.node_of == before).all()
