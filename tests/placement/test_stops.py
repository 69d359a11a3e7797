"""Who may be stopped for a drain, and the cluster without, and with them again."""

import numpy as np
import pytest

from vmplace import VM, Cluster, Node, drain
from vmplace.placement.blockers import fixed_on
from vmplace.placement.options import PlaceOptions
from vmplace.placement.stops import least_stops, may_stop, restarting, stops_of, with_stopped, yields
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget

CLUSTER = Cluster(
    [Node("n0", 10), Node("n1", 10), Node("m0", 10, pool="other")],
    [
        VM("fixed", 2, "n0", movable=False),
        VM("local", 2, "n0", movable=False, evictable=True),
        VM("moving", 2, "n0", target="n1", evictable=True),
        VM("down", 2, "n0", running=False, evictable=True),
        VM("new", 2, evictable=True),
        VM("job", 5, "n1", evictable=True),
        VM("far", 5, "m0", evictable=True, pool="other"),
    ],
)
NAMES = Names(CLUSTER, compile_problem(CLUSTER))


def test_those_may_stop_that_run_and_do_not_migrate():
    assert [NAMES.vm(vm) for vm in np.flatnonzero(may_stop(NAMES))] == ["local", "job", "far"]


def test_only_who_may_stop_yields():
    told = {blocker.vms: yields(NAMES, blocker) for blocker in fixed_on(NAMES, ["n0"])}
    assert told == {("fixed",): False, ("local",): True, ("moving",): False}


def test_other_pools_stop_nothing():
    cluster = Cluster(CLUSTER.nodes, [VM("a", 6, "n0"), VM("local", 1, "n0", movable=False, evictable=True), *CLUSTER.vms[5:]])
    names = Names(cluster, compile_problem(cluster))
    chosen = least_stops(names, ("n0",), PlaceOptions.for_drain({}, strict=False), Budget(None))
    assert [stop.vm for stop in stops_of(names, chosen.vms)] == ["local", "job"]
    assert (chosen.proved, chosen.moved) == (True, 6)
    after = with_stopped(names, chosen.vms)
    assert [vm.name for vm in after.cluster.vms if not vm.running] == ["local", "job"]
    assert after.vms(range(after.problem.n_vms)) == ("a", "far")


def test_once_the_node_is_back_they_wait():
    cluster = Cluster(CLUSTER.nodes[:2], [VM("a", 6, "n0"), VM("job", 5, "n1", evictable=True)])
    solution = drain(cluster, "n0")
    after = restarting(Names(cluster, compile_problem(cluster)), solution)
    assert [(vm.name, vm.node, vm.running) for vm in after.cluster.vms] == [("a", "n1", True), ("job", None, True)]
    assert after.problem.node_of.tolist() == [1, -1]
    assert {node.state for node in after.cluster.nodes} == {"online"}


@pytest.mark.parametrize("movable", [True, False])
def test_without_time_to_find_out_who_stops_nothing_is_called_impossible(movable):
    cluster = Cluster(CLUSTER.nodes[:2], [VM("a", 6, "n0", movable=movable, evictable=True), VM("job", 5, "n1", evictable=True)])
    assert drain(cluster, "n0").stopped
    assert drain(cluster, "n0", time_limit=0).status == "unknown"
    assert drain(cluster, "n0", time_limit=0, strict=True).status == "infeasible"


def test_what_is_wrong_in_another_pool_stays_as_it_is_when_vms_start_again():
    nodes = [Node("n0", 1), Node("m0", 1, pool="other")]
    vms = [VM("lone", 1, "n0"), VM("waiting", 1), VM("local", 1, "m0", pool="other", evictable=True)]
    found = drain(Cluster(nodes, vms), "m0")
    assert [stop.vm for stop in found.stopped] == ["local"]
    assert found.pools == {"default": "unsafe", "other": "safe"}
    assert [(start.vm, start.node) for step in found.afterwards.steps for start in step.starts] == [("local", "m0")]


def test_a_vm_that_waits_is_started_in_the_place_of_its_like_and_never_stopped():
    vms = [VM("waits", 1, evictable=True), VM("runs", 1, "n1", evictable=True), VM("stays", 1, "n1")]
    found = drain(Cluster([Node("n0", 1), Node("n1", 2)], vms), "n0")
    assert [(stop.vm, stop.node) for stop in found.stopped] == [("runs", "n1")]
    assert (found.placement["waits"], found.placement["stays"]) == ("n1", "n1")
