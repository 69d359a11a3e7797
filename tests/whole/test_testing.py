"""The strategies: what they promise, and that they reach the corners they are made for."""

import subprocess
import sys

import pytest
from attrs import evolve
from hypothesis import Phase, find, given, settings

from tests.support.brute import World
from vmplace.model.cluster import Cluster
from vmplace.model.entities import Apart, Tag
from vmplace.model.guarantee import Guarantee
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


@settings(max_examples=40, deadline=None, derandomize=True)
@given(clusters())
def test_what_is_not_asked_for_is_not_there(cluster):
    assert cluster.guarantee == Guarantee(headroom=cluster.guarantee.headroom)
    assert not cluster.overcommit
    assert not cluster.soft_resources
    assert not any(node.domain or node.resources for node in cluster.nodes)
    assert not any(vm.target or vm.evictable or vm.resources for vm in cluster.vms)
    assert all(rule.scope == "node" for rule in cluster.rules if isinstance(rule, Apart))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(clusters(failures=(2, 3), restart=("any-order",), sequences=("sequential",)))
def test_guarantees_are_drawn_from_what_is_given(cluster):
    asked = cluster.guarantee
    assert asked.failures in (2, 3)
    assert (asked.scope, asked.restart, asked.sequence, asked.policy) == ("node", "any-order", "sequential", None)


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
    return any(world.loads({**world.now, **plan})[n] == world.capacity(n) for plan in plans for n in plan.values())


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


PLAIN = dict.fromkeys(OFF, False) | {"placed": "all"}
RULED = {**PLAIN, "rules": True, "domains": True}
TWO = {**PLAIN, "failures": (2,)}
DOMAINS = {**PLAIN, "domains": True}
RESOURCES = {**PLAIN, "resources": True}
EVICTABLE = {**PLAIN, "evictable": True}
TARGETS = {**PLAIN, "targets": True}
ANY_ORDER = {**PLAIN, "restart": ("any-order",)}
POLICIES = {**PLAIN, "policies": True}
IN_TURN = {**TWO, "sequences": ("sequential",)}

ASKED_FOR = {
    "overhead": ({"overhead": True}, lambda c: any(vm.overhead > vm.memory for vm in c.vms)),
    "two fail, exact fit": (TWO, full_to_the_last),
    "two fail, survived": (TWO, lambda c: fails(c) and not loses(c)),
    "one may fail, not two": (TWO, lambda c: loses(c) and not loses(asking(c, failures=1))),
    "three fail, survived": ({**TWO, "failures": (3,)}, lambda c: fails(c) and not loses(c)),
    "as many fail as there are": (TWO, lambda c: len(c.nodes) == 2 and loses(c)),
    "no node and two failures": (TWO, lambda c: not c.nodes),
    "a domain fails, survived": (DOMAINS, lambda c: by_domain(c) and fails(c) and not loses(c)),
    "a domain fails, exact fit": (DOMAINS, lambda c: by_domain(c) and full_to_the_last(c)),
    "nodes may fail, not domains": (DOMAINS, lambda c: loses(c) and not loses(asking(c, scope="node"))),
    "two domains fail, survived": ({**DOMAINS, "failures": (2,)}, lambda c: by_domain(c) and fails(c) and not loses(c)),
    "one domain is all": (DOMAINS, lambda c: by_domain(c) and len(c.nodes) > 1 and len(World(c).scenarios(World(c).now)) == 1),
    "a domain in two pools": ({**DOMAINS, "pools": True}, lambda c: any(len(f) > 1 for f in World(c).failures({}).values())),
    "apart on domains costs the guarantee": (RULED, lambda c: loses(c) and not loses(apart_on_nodes(c))),
    "a further resource binds": (RESOURCES, lambda c: loses(c) and not loses(without(c, "resources"))),
    "a further resource fits": (RESOURCES, lambda c: any(vm.resources for vm in c.vms) and fails(c) and not loses(c)),
    "memory binds, no other resource": (
        RESOURCES,
        lambda c: loses(c) and not loses(roomy(c)) and any(v.resources for v in c.vms),
    ),
    "a resource is overfull now": (RESOURCES, lambda c: any(r for _, r in World(c).excesses(World(c).now))),
    "overcommit is rounded": (
        RESOURCES,
        lambda c: any((n.resources.get(r, 0) * q) % 1 for n in c.nodes for r, q in c.overcommit.items()),
    ),
    "softness is needed": (RESOURCES, lambda c: not loses(c) and loses(evolve(c, soft_resources=()))),
    "evictions are needed": (EVICTABLE, lambda c: not loses(c) and loses(without(c, "evictable"))),
    "evictions are not enough": (EVICTABLE, lambda c: loses(c) and total_loss(c) < total_loss(without(c, "evictable"))),
    "a target costs the guarantee": (TARGETS, lambda c: loses(c) and not loses(without(c, "target"))),
    "a target charged, survived": (TARGETS, lambda c: World(c).target and fails(c) and not loses(c)),
    "a target means nothing": (TARGETS, lambda c: len(World(c).target) < sum(vm.target is not None for vm in c.vms)),
    "an evicted VM's target is needed": (
        {**TARGETS, "evictable": True},
        lambda c: not loses(c) and loses(without(c, "evictable")),
    ),
    "survived in any order": (ANY_ORDER, lambda c: crowded(c) and not loses(c)),
    "survived by a plan, not in any order": (ANY_ORDER, lambda c: loses(c) and not loses(asking(c, restart="planned"))),
    "the unprotected strand": ({**ANY_ORDER, "unprotected": True}, lambda c: loses(c) and not loses(protected_only(c))),
    "two fail in any order, survived": ({**ANY_ORDER, "failures": (2,)}, lambda c: crowded(c) and not loses(c)),
    "an order may save a policy": (POLICIES, lambda c: loses(c) and any(not loses(asking(c, order=o)) for o in ORDERS)),
    "a plan may save where a policy does not": (POLICIES, lambda c: loses(c) and not loses(asking(c, policy=None))),
    "another policy may save": (POLICIES, lambda c: loses(c) and any(not loses(asking(c, policy=p)) for p in CHOICES)),
    "two fail at once, not in turn": (IN_TURN, lambda c: unsafe(c) and not unsafe(asking(c, sequence="at-once"))),
    "two fail in turn, survived": (IN_TURN, lambda c: crowded(c) and not unsafe(c)),
}
ORDERS = ("largest-first", "priority", "as-listed")
CHOICES = ("first-fit", "most-free", "best-fit")


def asking(cluster, **guarantee):
    return evolve(cluster, guarantee=evolve(cluster.guarantee, **guarantee))


def without(cluster, field):
    blank = {"resources": {}, "evictable": False, "target": None}[field]
    return evolve(cluster, vms=[evolve(vm, **{field: blank}) for vm in cluster.vms])


def protected_only(cluster):
    return evolve(cluster, vms=[vm for vm in cluster.vms if vm.protected])


def roomy(cluster):
    return evolve(cluster, nodes=[evolve(node, memory=16 * node.memory) for node in cluster.nodes])


def apart_on_nodes(cluster):
    return evolve(cluster, rules=[evolve(r, scope="node") if isinstance(r, Apart) else r for r in cluster.rules])


def by_domain(cluster):
    """Whether some domain of several nodes fails as one."""
    world = World(cluster)
    return any(len(unit) > 1 for parts in world.failures(world.now).values() for part in parts for unit in part.units)


def fails(cluster):
    world = World(cluster)
    return any(world.displaced(world.now, key) for key in world.scenarios(world.now))


def crowded(cluster):
    """Whether some failure displaces several VMs."""
    world = World(cluster)
    return any(len(world.displaced(world.now, key)) > 1 for key in world.scenarios(world.now))


def total_loss(cluster):
    world = World(cluster)
    return sum(world.total_loss(world.now))


def unsafe(cluster):
    return World(cluster).verdict().status == "unsafe"


def loses(cluster):
    return any(any(loss) for loss in World(cluster).verdict().losses.values())


def without_rules(cluster):
    return Cluster(cluster.nodes, cluster.vms, (), cluster.guarantee)


@pytest.mark.slow
@pytest.mark.parametrize("corner", CORNERS)
def test_the_corners_are_reached(corner):
    unshrunk = settings(max_examples=3000, derandomize=True, database=None, phases=[Phase.generate])
    find(clusters(), CORNERS[corner], settings=unshrunk)


@pytest.mark.slow
@pytest.mark.parametrize("corner", ASKED_FOR)
def test_the_corners_of_what_is_asked_for_are_reached(corner):
    asked, reached = ASKED_FOR[corner]
    unshrunk = settings(max_examples=3000, derandomize=True, database=None, phases=[Phase.generate])
    find(clusters(**asked), reached, settings=unshrunk)


def test_the_package_does_not_import_hypothesis():
    program = "import sys, vmplace; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
