"""Where VMs start: against the plainest way to write it down, and within their rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace.synthetic import PLACED, generate
from vmplace.synthetic.placing import Item, Stage

METHODS = ["worst-fit", "best-fit"]


@pytest.mark.parametrize("placed", METHODS)
def test_placing_is_largest_first_one_at_a_time(placed):
    """Against the plainest way to write it down."""
    cluster = generate(nodes=5, node_memory="64GiB", fill=2.0, profile="uniform", seed=9, placed=placed, mixed=True)
    free = cluster.nodes.memory.tolist()
    expected = [-1] * len(cluster.vms)
    for vm in sorted(range(len(expected)), key=lambda vm: (-cluster.vms.memory[vm], vm)):
        size = int(cluster.vms.memory[vm])
        fitting = [node for node in range(5) if free[node] >= size]
        if fitting:
            sign = -1 if placed == "worst-fit" else 1
            expected[vm] = min(fitting, key=lambda node: (sign * free[node], node))
            free[expected[vm]] -= size
    assert cluster.vms.node.tolist() == expected
    assert -1 in expected


@st.composite
def crowds(draw):
    """Nodes with processors in step with their memory, and VMs of a few kinds, many or one of each, that ask for any."""
    memory = np.array(draw(st.lists(st.integers(4, 24), min_size=1, max_size=6)))
    capacity = np.column_stack([memory, np.maximum(1, memory * draw(st.integers(1, 3)) // 2)])
    kinds = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 6)), min_size=1, max_size=12))
    vms = draw(st.lists(st.sampled_from(kinds), max_size=24))
    return capacity, np.array(vms, dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize("placed", METHODS)
@settings(deadline=None)
@given(crowds())
def test_the_scarcer_resource_says_which_node_is_next(placed, crowd):
    capacity, demand = crowd
    free, expected = capacity.copy(), [-1] * len(demand)
    for vm in sorted(range(len(demand)), key=lambda vm: (-demand[vm, 0], -demand[vm, 1], vm)):
        room = np.minimum(free[:, 0], free[:, 1] * capacity[:, 0] // capacity[:, 1])
        fitting = [node for node in range(len(free)) if (free[node] >= demand[vm]).all()]
        if fitting:
            sign = -1 if placed == "worst-fit" else 1
            expected[vm] = min(fitting, key=lambda node, room=room, sign=sign: (sign * room[node], node))
            free[expected[vm]] -= demand[vm]
    assert PLACED[placed](capacity, demand).tolist() == expected


@pytest.mark.parametrize("placed", METHODS)
@settings(max_examples=50, deadline=None)
@given(crowds(), st.data())
def test_items_keep_what_they_say_and_no_node_is_overfull(placed, crowd, data):
    capacity, demand = crowd
    nodes, vms = range(len(capacity)), list(range(len(demand)))
    zone = [node // 2 for node in nodes]
    stages, left = [], data.draw(st.permutations(vms))
    while left:
        take = data.draw(st.integers(1, 4))
        group, left = left[:take], left[take:]
        on = data.draw(st.sets(st.sampled_from(nodes), min_size=1))
        if data.draw(st.booleans()):
            stages.append(Stage(sorted(on), [Item(group, data.draw(st.sampled_from([None, zone, nodes])))]))
    where = PLACED[placed](capacity, demand, stages)
    for stage in stages:
        for item in stage.items:
            hosts = where[item.vms]
            if item.zone is None:
                assert len(set(hosts)) == 1
            placed_on = hosts[hosts >= 0].tolist()
            assert set(placed_on) <= set(stage.nodes)
            zones = placed_on if item.zone is None else [item.zone[node] for node in placed_on]
            assert len(zones) == len(set(zones)) or item.zone is None
    for resource in range(2):
        used = np.bincount(where[where >= 0], demand[where >= 0, resource], len(capacity))
        assert (used <= capacity[:, resource]).all()
    assert (PLACED["none"](capacity, demand, stages) == -1).all()


@pytest.mark.parametrize(("placed", "expected"), [("worst-fit", [0, 2, 1]), ("best-fit", [3, 1, 2])])
def test_a_node_that_one_group_bars_is_the_next_one_s(placed, expected):
    stage = Stage(range(4), [Item([0, 1], zone=[0, 0, 1, 1]), Item([2])])
    assert PLACED[placed](np.array([16, 14, 12, 10]), np.array([3, 3, 12]), [stage]).tolist() == expected


def test_what_need_not_be_together_is_placed_alone():
    capacity, sizes = np.array([4, 4]), np.array([3, 3])
    assert PLACED["worst-fit"](capacity, sizes, [Stage(range(2), [Item([0, 1])])]).tolist() == [-1, -1]
    assert PLACED["worst-fit"](capacity, sizes, [Stage(range(2), [Item([0, 1], must=False)])]).tolist() == [0, 1]
    zone = [0, 0]
    assert PLACED["worst-fit"](capacity, sizes, [Stage(range(2), [Item([0, 1], zone)])]).tolist() == [0, -1]
    assert PLACED["worst-fit"](capacity, sizes, [Stage(range(2), [Item([0, 1], zone, must=False)])]).tolist() == [0, 1]
