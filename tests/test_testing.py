"""The strategies: what they promise, and that they reach the corners they are made for."""

import subprocess
import sys

import pytest
from hypothesis import Phase, find, given, settings

from tests.brute import World
from vmplace.cluster import Cluster
from vmplace.model import Tag
from vmplace.testing import clusters, nodes

OFF = ("rules", "states", "pools", "unprotected", "immovable", "priorities", "stopped", "headroom")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(clusters(min_nodes=1, max_nodes=3, max_vms=4, placed="all", **dict.fromkeys(OFF, False)))
def test_knobs_turn_features_off(cluster):
    assert 1 <= len(cluster.nodes) <= 3
    assert len(cluster.vms) <= 4
    assert not cluster.rules
    assert cluster.guarantee.headroom == 0
    assert {node.state for node in cluster.nodes} == {"online"}
    assert {node.pool for node in cluster.nodes} == {"default"}
    assert all(vm.node and vm.protected and vm.movable and vm.running and vm.priority == 0 for vm in cluster.vms)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(clusters(placed="none"))
def test_nothing_is_placed_where_nothing_should_be(cluster):
    assert all(vm.node is None for vm in cluster.vms)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(nodes(max_memory=4, states=False))
def test_nodes_have_some_usable_memory(node):
    assert 1 <= node.usable <= node.memory <= 4
    assert node.state == "online"


def full_to_the_last(cluster):
    world = World(cluster)
    plans = (next(world.full_plans(world.now, f, world.displaced(world.now, f)), {}) for f in world.scenarios(world.now))
    return any(world.loads(world.now)[n] + world.loads(plan)[n] == world.capacity(n) for plan in plans for n in plan.values())


CORNERS = {
    "no node": lambda c: not c.nodes and c.vms,
    "no VM": lambda c: c.nodes and not c.vms,
    "one node": lambda c: len(c.nodes) == 1 and World(c).now,
    "exact fit": full_to_the_last,
    "one huge VM": lambda c: len(c.vms) > 2 and 2 * max(vm.memory for vm in c.vms) == sum(vm.memory for vm in c.vms),
    "unequal nodes": lambda c: len({node.usable for node in c.nodes}) > 2,
    "safe": lambda c: len(World(c).now) > 2 and World(c).verdict().status == "safe",
    "unsafe, though it need not be": lambda c: loses(c) and World(c).optimum(move_running=True),
    "two pools": lambda c: {vm.pool for vm in c.vms} == {"default", "second"},
    "a VM on an offline node": lambda c: any(World(c).waits(vm) and vm.node for vm in c.vms),
    "a VM on a maintenance node": lambda c: any(World(c).nodes[n].state == "maintenance" for n in World(c).now.values()),
    "a must broken": lambda c: World(c).broken(World(c).now, must=True),
    "a rule by tag": lambda c: any(isinstance(rule.vms, Tag) for rule in c.rules) and any(vm.tags for vm in c.vms),
    "a rule that costs the guarantee": lambda c: loses(c) and not loses(without_rules(c)),
}


def loses(cluster):
    return any(any(loss) for loss in World(cluster).verdict().losses.values())


def without_rules(cluster):
    return Cluster(cluster.nodes, cluster.vms, (), cluster.guarantee)


@pytest.mark.parametrize("corner", CORNERS)
def test_the_corners_are_reached(corner):
    unshrunk = settings(max_examples=3000, derandomize=True, database=None, phases=[Phase.generate])
    find(clusters(), CORNERS[corner], settings=unshrunk)


def test_the_package_does_not_import_hypothesis():
    program = "import sys, vmplace; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
