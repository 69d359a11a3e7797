"""`explain` against brute force: what is blamed is unsafe and minimal, what is called a remedy makes all safe."""

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.compilations import counted
from tests.support.conjunctions import alone
from vmplace.model.guarantee import guarantee_of
from vmplace.model.what_if import less, what_if
from vmplace.testing import clusters

BOUNDLESS = 10**6
EXAMPLES = Path(__file__).parents[2] / "examples"

plain = st.one_of(
    clusters(min_nodes=2, max_nodes=4, max_vms=5, placed="all"),
    clusters(max_nodes=4, max_vms=5, failures=(1, 2), domains=True, evictable=True, targets=True),
    clusters(min_nodes=2, max_nodes=4, max_vms=5, placed="all", pools=False, states=False, stopped=False, unprotected=False),
    clusters(min_nodes=2, max_nodes=3, max_vms=5, resources=True),
    clusters(min_nodes=2, max_nodes=3, max_vms=4, node_headroom=True, max_vm=True),
)
promised = clusters(
    min_nodes=2,
    max_nodes=3,
    max_vms=4,
    failures=(1, 2),
    restart=("planned", "any-order"),
    sequences=("at-once", "sequential"),
    policies=True,
    pools=False,
)

lists = clusters(max_nodes=4, max_vms=4, placed="all", failures=(0, 1, 1, 2), domains=True, evictable=True, most_guarantees=3)


def failures_of(cluster, blame):
    world = World(cluster)
    return [failure for failure in world.failures(world.now)[blame.subject] if failure.pool == blame.pool]


def failing(cluster, blame):
    return {node for failure in failures_of(cluster, blame) for node in failure.nodes}


def blamed(cluster, blame):
    """A cluster in which what a failure displaces is only what is blamed, under no other must-rules, on boundless nodes else."""
    world, gone = World(cluster), failing(cluster, blame)

    def boundless(node):
        return blame.nodes is not None and node.name not in (*blame.nodes, *gone)

    def less(vm):
        if world.now.get(vm.name) not in gone or vm.evictable or vm.name in blame.vms:
            return vm
        # A VM that is stopped takes nothing, and no rule sees it; one that migrates keeps what it takes on its target.
        return evolve(vm, protected=False) if vm.name in world.target else evolve(vm, running=False)

    nodes = [evolve(node, memory=node.memory + BOUNDLESS) if boundless(node) else node for node in cluster.nodes]
    vms = [less(vm) for vm in cluster.vms]
    rules = [evolve(rule, must=rule.must and i in blame.rules) for i, rule in enumerate(cluster.rules)]
    return evolve(cluster, nodes=nodes, vms=vms, rules=rules)


def survived(changed, cluster, blame):
    """Whether a changed cluster survives what fails in the original: a maintenance node fails there even with nobody left."""
    world = World(changed)
    return all(world._survived(world.now, failure) for failure in failures_of(cluster, blame))


def one_less(cluster, blame):
    """What is blamed but for one VM, rule or node."""
    if blame.nodes is None:
        gone = failing(cluster, blame)
        every = [node.name for node in cluster.nodes if node.state == "online" and node.pool == blame.pool]
        blame = evolve(blame, nodes=tuple(name for name in every if name not in gone))
    for key in ("vms", "rules", "nodes"):
        members = getattr(blame, key)
        for i in range(len(members)):
            yield evolve(blame, **{key: members[:i] + members[i + 1 :]})


def with_more(cluster, blame, amount):
    nodes = [evolve(node, memory=node.memory + amount) if node.name == blame.on else node for node in cluster.nodes]
    return evolve(cluster, nodes=nodes)


def right_blame(cluster, blame, decided):
    """Whether it is true of a failure, and what is called minimal is."""
    assert not survived(blamed(cluster, blame), cluster, blame)
    assert blame.minimal or not decided
    if blame.minimal:
        assert all(survived(blamed(cluster, less), cluster, blame) for less in one_less(cluster, blame))
    if blame.shortfall is not None:
        assert survived(with_more(cluster, blame, blame.shortfall), cluster, blame)
        assert not survived(with_more(cluster, blame, blame.shortfall - 1), cluster, blame)


def impossible(cluster, obstacle, conflict):
    part = less(cluster, {vm.name for vm in cluster.vms if vm.pool != obstacle.pool}) if obstacle.pool else cluster
    worlds = [World(one) for one in alone(narrowed(part, conflict))]
    if len(worlds) == 1:
        return worlds[0].optimum(move_running=True) is None
    ways = worlds[0].placements(move_running=True)
    return not any(all(world.right(way) and world.all_survivable(way) for world in worlds) for way in ways)


def narrowed(cluster, conflict):
    """A cluster that has nothing but what a conflict names."""
    rules = [evolve(rule, must=rule.must and i in conflict.rules) for i, rule in enumerate(cluster.rules)]
    return what_if(evolve(cluster, rules=rules), remove_vms={vm.name for vm in cluster.vms} - set(conflict.vms))


def right_obstacle(cluster, obstacle):
    """Whether no placement exists, and what is called minimal is."""
    conflict = obstacle.conflict
    assert impossible(cluster, obstacle, conflict)
    for key in ("vms", "rules") if conflict.minimal else ():
        members = getattr(conflict, key)
        for i in range(len(members)):
            assert not impossible(cluster, obstacle, evolve(conflict, **{key: members[:i] + members[i + 1 :]}))


def holds_true(cluster):
    found = vmplace.explain(cluster, time_limit=None, deterministic=True)
    parts = alone(cluster)
    worlds = [World(part) for part in parts]
    verdicts, decided = [world.verdict() for world in worlds], all(world.planned and not world.in_turn for world in worlds)
    if found.status == "unknown":
        assert not decided
        return
    assert (found.status == "safe") == all(verdict.status == "safe" for verdict in verdicts)
    if found.status == "safe":
        assert not found.blames
        assert not found.remedies
        return
    assert found.blames
    unsafe = {pool for verdict in verdicts for pool, status in verdict.pools.items() if status == "unsafe"}
    assert {blame.pool for blame in found.blames} == unsafe
    for blame in found.blames:
        if blame.kind == "failure":
            number, key = guarantee_of(blame.subject)
            right_blame(parts[number], evolve(blame, subject=key), worlds[number].planned and not worlds[number].in_turn)
    if decided:
        assert (found.status == "infeasible") == bool(found.obstacles)
        # A best effort for several failures at once may find nothing.
        assert not found.unfinished or any(asked.failures > 1 for asked in cluster.guarantees)
    for obstacle in found.obstacles:
        right_obstacle(cluster, obstacle)
        assert obstacle.conflict.minimal or not decided
    for remedy in found.remedies:
        then = [World(part).verdict() for part in alone(remedy.cluster)]
        assert all((verdict.pools[remedy.pool] if remedy.pool else verdict.status) == "safe" for verdict in then)
    assert vmplace.audit_result(cluster, found.to_dict()).status != "refuted"


@settings(max_examples=16, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(plain)
def test_what_is_told_of_plans_is_true(cluster):
    holds_true(cluster)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(promised)
def test_what_is_told_of_other_promises_is_true(cluster):
    holds_true(cluster)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(lists)
def test_what_is_told_of_several_guarantees_is_true(cluster):
    holds_true(cluster)


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(plain, promised, lists))
def test_what_is_told_is_true_of_many_more(cluster):
    holds_true(cluster)


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.*") if path.suffix in (".json", ".yaml")))
def test_the_cluster_is_compiled_once(example, monkeypatch):
    cluster, compiled = vmplace.load(EXAMPLES / example), counted(monkeypatch)
    vmplace.explain(cluster)
    assert len(compiled) == 1
