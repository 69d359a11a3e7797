import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from tests.support.placements import standing_of
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.failover.certificates_several import survived_unblocked
from vmplace.problem.names import Names
from vmplace.testing import clusters

unruled = clusters(
    max_nodes=5, max_vms=6, placed="all", rules=False, failures=(1, 2), domains=True, evictable=True, targets=True, resources=True
)


@settings(max_examples=60, deadline=None)
@given(unruled, st.booleans())
def test_it_is_sound(cluster, any_order):
    cluster = evolve(cluster, guarantee=evolve(cluster.guarantee, restart="any-order" if any_order else "planned"))
    world, now = World(cluster), standing_of(cluster)
    names = Names(cluster, now.problem)
    told = survived_unblocked(now, now.may_return if any_order else now.must_return)
    for number in np.flatnonzero(told & now.unbound & (now.asked > 0)).tolist():
        failed = frozenset(names.node(i) for i in now.scenarios.failing(number).tolist())
        parts = world.failures(world.now)[names.scenario(now.scenarios, number)]
        part = next(part for part in parts if part.nodes <= failed)
        assert not set(world.lost(world.now, part))


def machines(*rooms):
    """A node that fails with two VMs of 4 MiB and 2 vCPUs each, beside nodes with so much free of both."""
    nodes = [Node("f", 8, resources={"vcpu": 4}), *(Node(f"n{i}", m, resources={"vcpu": c}) for i, (m, c) in enumerate(rooms))]
    return Cluster(nodes, [VM(f"v{i}", 4, "f", resources={"vcpu": 2}) for i in range(2)])


@pytest.mark.parametrize(
    ("rooms", "survived"),
    [
        # To block a node takes half of one resource: four nodes take no more than there is of two.
        ([(4, 2), (4, 2)], False),
        ([(4, 2), (4, 2), (4, 2), (4, 2)], False),
        ([(4, 2), (4, 2), (4, 2), (4, 2), (4, 2)], True),
        # A node with much memory is blocked by its processors, and one with too few is no node.
        ([(40, 2)] * 4, False),
        ([(40, 20)], True),
        ([(40, 1)] * 9, False),
    ],
)
def test_what_blocks_nodes_is_the_scarcer_resource(rooms, survived):
    now = standing_of(machines(*rooms))
    assert survived_unblocked(now, now.must_return)[0] == survived


@pytest.mark.parametrize("failures", [1, 2])
def test_in_parts_it_tells_the_same(failures, monkeypatch):
    rooms = [(16 + i % 3, 8) for i in range(12)]
    cluster = machines(*rooms)
    more = [VM(f"w{i}", 1 + i, f"n{i}", resources={"vcpu": 1 + i % 5}) for i in range(12)]
    now = standing_of(evolve(cluster, vms=[*cluster.vms, *more], guarantee=Guarantee(failures=failures)))
    whole = survived_unblocked(now, now.must_return)
    assert 0 < whole.sum() < len(whole)
    monkeypatch.setattr("vmplace.failover.certificates_several._AT_ONCE", 30)
    assert survived_unblocked(now, now.must_return).tolist() == whole.tolist()
