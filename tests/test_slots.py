from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.brute import World
from vmplace import VM, Cluster, Node, OnlyOn
from vmplace.generate import generate
from vmplace.goal import Goal
from vmplace.problem import compile_problem
from vmplace.slots import Slots
from vmplace.testing import clusters

MOVES = Goal(("moves",), move_running=True)
ALIKE = {"rules": False, "states": False, "pools": False, "unprotected": False, "stopped": False, "headroom": False}


def slots_of(cluster, pool=0):
    problem = compile_problem(cluster)
    return Slots(problem, MOVES, problem.node_of, pool)


def counted(slots):
    """What is lacking of each row, counted anew from the placement, size by size."""
    problem = slots.problem
    free = np.where(problem.online, np.maximum(problem.usable - problem.load(slots.node_of), 0), 0)
    lacking = []
    for size, nodes in zip(slots.sizes.tolist(), slots.nodes, strict=True):
        held = [int(free[i]) // size if nodes[i] else 0 for i in range(problem.n_nodes)]
        filled = [0] * problem.n_nodes
        for vm, node in enumerate(slots.node_of.tolist()):
            if node >= 0 and problem.protected[vm]:
                filled[node] += int(problem.memory[vm]) // size
        lacking.append(max(h + d for h, d in zip(held, filled, strict=True)) - sum(held))
    return lacking


@settings(max_examples=60, deadline=None)
@given(clusters(min_nodes=2, max_nodes=5, max_vms=8, placed="all", **ALIKE), st.randoms(use_true_random=False))
def test_what_is_lacking_is_kept_up_to_date(cluster, random):
    slots = slots_of(cluster)
    assert slots.lacking.tolist() == counted(slots)
    for _ in range(4):
        if not slots.problem.n_vms:
            return
        vm = random.randrange(slots.problem.n_vms)
        slots.lift(vm)
        onto = np.arange(slots.problem.n_nodes)
        told, worst = slots.lacking_after(vm, onto), [slots.worst(row) for row in range(len(slots.sizes))]
        node = random.randrange(slots.problem.n_nodes)
        slots.put(vm, node)
        assert slots.lacking.tolist() == counted(slots)
        for row, lacking in enumerate(slots.lacking.tolist()):
            # Told on the safe side only where the node's own failure was the worst.
            assert told[row, node] == lacking or (worst[row][node] and told[row, node] > lacking)


@settings(max_examples=80, deadline=None)
@given(clusters(min_nodes=2, max_nodes=4, max_vms=6, placed="all", **ALIKE))
def test_a_lacking_slot_is_a_failure_that_is_not_survived(cluster):
    slots, world = slots_of(cluster), World(cluster)
    if world.overfull(world.now):
        return
    sizes = sorted({vm.memory for vm in cluster.vms})
    lacking = bool(np.any(slots.lacking > 0))
    survived = world.all_survivable(world.now)
    assert not (lacking and survived)
    if all(large % small == 0 for small, large in pairwise(sizes)):
        assert survived != lacking


def test_a_shortfall_that_leaves_is_one_more_slot():
    slots = slots_of(generate(nodes=8, fill=0.9, profile="flavors", seed=1, placed="worst-fit"))
    for row, size in enumerate(slots.sizes.tolist()):
        shortfall, before = slots.shortfall(row), slots.free // size
        assert ((slots.free + shortfall) // size == before + 1).all()
        assert ((slots.free + shortfall - 1) // size == before).all()
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
    assert slots.free.tolist() == [3, 10, 0]
    assert slots.room[2] == -1
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
