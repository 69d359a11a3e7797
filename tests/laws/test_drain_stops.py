"""VMs that a drain stops: none that could run, the fewest by enumeration, and all of them run again afterwards."""

from itertools import chain, combinations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, Status, Together

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@st.composite
def crowded(draw):
    """A cluster with little room, many of whose VMs may be stopped."""
    nodes = [Node(f"n{i}", draw(st.integers(2, 6))) for i in range(draw(st.integers(2, 3)))]
    left, vms = {node.name: node.memory for node in nodes}, []
    for i in range(draw(st.integers(2, 6))):
        memory = draw(st.integers(1, 4))
        fits = [name for name, room in left.items() if room >= memory]
        if fits:
            node = draw(st.sampled_from(fits))
            left[node] -= memory
            movable = draw(st.sampled_from([True, True, True, False, "cold"]))
            evictable, priority = draw(st.booleans()), draw(st.integers(0, 2))
            vms.append(VM(f"v{i}", memory, node, movable=movable, evictable=evictable, priority=priority))
    cluster, names, rules = Cluster(nodes, vms), [vm.name for vm in vms], []
    if len(vms) > 1 and draw(st.booleans()):
        pair = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
        rules = [draw(st.sampled_from([Apart(pair), Together(pair), NotOn(pair[:1], ["n0"])]))]
    guarantee = Guarantee(failures=draw(st.sampled_from([0, 1, 1])), headroom=draw(st.sampled_from([0, 0.3])))
    return evolve(cluster, rules=rules, guarantee=guarantee), draw(st.sampled_from(nodes)).name


def stopped(cluster, names):
    """The cluster with some VMs stopped."""
    return evolve(cluster, vms=[evolve(vm, running=vm.name not in names) for vm in cluster.vms])


def weight(cluster, names):
    """What stops cost: memory by priority, the highest first, then their number."""
    vms = [vm for vm in cluster.vms if vm.name in names]
    return (*(sum(vm.memory for vm in vms if vm.priority == p) for p in (2, 1, 0)), len(vms))


def drains(cluster, names, node):
    """Whether a node can be emptied with some VMs stopped, the guarantee aside."""
    if any(vm.node == node and not vm.movable and vm.name not in names for vm in cluster.vms):
        return False
    calm = stopped(evolve(cluster, guarantee=evolve(cluster.guarantee, failures=0)), names)
    return World(calm, drained=[node] if node else []).optimum("moves", move_running=True, best_effort=True) is not None


def enough(cluster, node):
    """All sets of VMs that are enough to be stopped, with what they cost; none but the empty one for what is wrong already."""
    may = [vm.name for vm in cluster.vms if vm.evictable]
    sets = list(chain.from_iterable(combinations(may, count) for count in range(len(may) + 1)))
    sets = sets if drains(cluster, (), None) else [()]
    return {names: weight(cluster, names) for names in sets if drains(cluster, names, node)}


def least(cluster, names, node):
    """The least unprotected, and the least migrated then, with some VMs stopped."""
    best = World(stopped(cluster, names), drained=[node]).optimum("moves", move_running=True, best_effort=True)
    return best.lost, best.costs


def judged(cluster, node):
    solution, sets = vmplace.drain(cluster, node, time_limit=20), enough(cluster, node)
    assert (solution.status is Status.INFEASIBLE) == (not sets)
    if not sets:
        assert solution.blockers
        return
    names, fewest = {stop.vm for stop in solution.stopped}, min(sets.values())
    assert weight(cluster, names) == fewest
    assert all(stop.node == next(vm.node for vm in cluster.vms if vm.name == stop.vm) for stop in solution.stopped)
    assert vmplace.audit_result(cluster, solution).violations == ()
    strict = vmplace.drain(cluster, node, strict=True, time_limit=20)
    assert strict.stopped == ()
    if not names:
        assert solution.afterwards is None
        return
    assert strict.status is Status.INFEASIBLE
    assert solution.stats["stops_proved"]
    if solution.plan is not None and solution.plan.steps:
        assert sorted(stop.vm for step in solution.plan.steps for stop in step.stops if stop.vm in names) == sorted(names)
    if solution.status is Status.OPTIMAL:
        assert solution.held
        assert solution.objective == min(least(cluster, each, node) for each in sets if sets[each] == fewest)[1][0]
    if solution.afterwards.status in (Status.OPTIMAL, Status.FEASIBLE):
        assert {start.vm for _, start in solution.afterwards.starts} == names


@settings(max_examples=40, **QUIET)
@given(crowded())
def test_the_fewest_stop_where_not_all_can_run(task):
    judged(*task)


@pytest.mark.slow
@settings(max_examples=600, **QUIET)
@given(crowded())
def test_many_drains_that_stop_vms(task):
    judged(*task)


@settings(max_examples=15, **QUIET)
@given(crowded())
def test_between_two_groups_all_vms_run(task):
    cluster, _ = task
    found = vmplace.rolling_drain(cluster, time_limit=20)
    assert vmplace.audit_result(cluster, found).violations == ()
    if all(plan is None or plan.status in (Status.OPTIMAL, Status.FEASIBLE) for plan in found.returns):
        assert all(vm.running and vm.node for vm in found.to_document(cluster).vms)
    for group in found.groups:
        assert not group.stopped or len(group.drained) == 1
