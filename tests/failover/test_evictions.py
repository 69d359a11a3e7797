import numpy as np
from hypothesis import given, settings

from tests.support.brute import World
from tests.support.placements import standing_of
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.failover.certify import judge
from vmplace.failover.evictions import with_evictions
from vmplace.failover.planned.columns import RestartColumns
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

give_way = clusters(
    min_nodes=2,
    max_nodes=5,
    max_vms=7,
    placed="all",
    evictable=True,
    failures=(1, 1, 2),
    domains=True,
    resources=True,
    targets=True,
)


def settled(cluster):
    """By scenario: the oracle's failure, the restarts of those who must, and all that becomes of VMs, by name."""
    world, now = World(cluster), standing_of(cluster)
    names, verdict = Names(cluster, now.problem), judge(now, budget=Budget())
    whole = with_evictions(now, verdict.restarts, np.arange(len(now.scenarios)))

    def named(restarts, number):
        mine = restarts[restarts.scenario == number]
        nodes = [None if node < 0 else names.node(node) for node in mine.node.tolist()]
        return list(zip(names.vms(mine.vm.tolist()), nodes, strict=True))

    for number in range(len(now.scenarios)):
        failed = {names.node(i) for i in now.scenarios.failing(number).tolist()}
        parts = world.failures(world.now)[names.scenario(now.scenarios, number)]
        failure = next(part for part in parts if part.nodes <= failed)
        yield world, failure, dict(named(verdict.restarts, number)), named(whole, number)


def plan(cluster, scenario=0):
    """What becomes of VMs when the first node fails."""
    return dict(list(settled(cluster))[scenario][3])


@settings(max_examples=20, deadline=None)
@given(give_way)
def test_what_becomes_of_evictable_vms_holds_and_costs_the_others_nothing(cluster):
    for world, failure, restarts, told in settled(cluster):
        whole = dict(told)
        assert len(told) == len(whole)
        assert restarts.items() <= whole.items()
        assert {vm for vm in whole if vm not in restarts} <= world.evictable
        displaced = {vm.name: vm for vm in world.on(world.now, failure)}
        assert {name for name, vm in displaced.items() if vm.evictable and vm.protected} <= set(whole)
        assert world._part_holds(world.now, failure, whole, False)


@settings(max_examples=20, deadline=None)
@given(give_way)
def test_nobody_is_stopped_in_vain(cluster):
    for world, failure, _, told in settled(cluster):
        whole = dict(told)
        on = {vm.name for vm in world.on(world.now, failure)}
        for vm, node in told:
            if node is None and vm not in on:
                assert not world._part_holds(world.now, failure, {v: n for v, n in told if v != vm}, False)
            elif node is None and world.vms[vm].protected and vm not in world.target:
                hosts = (other.name for other in cluster.nodes)
                assert not any(world._part_holds(world.now, failure, {**whole, vm: host}, False) for host in hosts)


# By hand


def hosts(*memory, **more):
    return [Node(f"n{i}", size, **more) for i, size in enumerate(memory)]


def test_only_so_many_are_stopped_as_make_room_the_least_important_first():
    vms = [VM("a", 4, "n0"), *(VM(f"e{p}", 3, "n1", evictable=True, priority=p) for p in (2, 0, 1))]
    assert plan(Cluster(hosts(9, 9), vms)) == {"a": "n1", "e0": None, "e1": None}
    assert plan(Cluster(hosts(9, 10), vms)) == {"a": "n1", "e0": None}
    assert plan(Cluster(hosts(9, 13), vms)) == {"a": "n1"}


def test_of_equal_importance_the_smallest_that_is_enough_is_stopped():
    vms = [VM("a", 4, "n0"), *(VM(f"e{size}", size, "n1", evictable=True) for size in (1, 3, 5))]
    assert plan(Cluster(hosts(9, 9), vms)) == {"a": "n1", "e5": None}
    assert plan(Cluster(hosts(9, 11), vms)) == {"a": "n1", "e3": None}
    assert plan(Cluster(hosts(9, 12), vms)) == {"a": "n1", "e1": None}


def test_a_displaced_one_restarts_where_it_harms_nobody():
    vms = [VM("a", 4, "n0"), VM("e", 3, "n0", evictable=True), VM("u", 1, "n0", evictable=True, protected=False)]
    assert plan(Cluster(hosts(9, 7), vms)) == {"a": "n1", "e": "n1"}
    assert plan(Cluster(hosts(9, 6), vms)) == {"a": "n1", "e": None}


def test_an_unprotected_one_on_a_survivor_may_be_stopped_too():
    vms = [VM("a", 4, "n0"), VM("u", 6, "n1", evictable=True, protected=False)]
    assert plan(Cluster(hosts(9, 9), vms)) == {"a": "n1", "u": None}


def test_who_is_in_the_way_of_a_rule_is_stopped_and_frees_its_memory():
    vms = [VM("a", 4, "n0"), VM("e", 4, "n1", evictable=True), VM("f", 2, "n1", evictable=True, priority=-1)]
    assert plan(Cluster(hosts(9, 8), vms, [Apart(["a", "e"])])) == {"a": "n1", "e": None}
    assert plan(Cluster(hosts(9, 8), vms, [Apart(["a", "e"], must=False)])) == {"a": "n1", "f": None}
    assert plan(Cluster(hosts(9, 8), vms, [Apart(["a", "e"], during_failover=False)])) == {"a": "n1", "f": None}


def test_domains_keep_apart_from_those_that_give_way_too():
    nodes = [Node("n0", 9, domain="r"), Node("n1", 4, domain="s"), Node("n2", 9, domain="s")]
    vms = [VM("a", 4, "n0"), VM("e", 1, "n2", evictable=True)]
    assert plan(Cluster(nodes, vms, [Apart(["a", "e"], scope="domain")]))["e"] is None


def test_rules_bind_a_displaced_one_that_restarts():
    vms = [VM("a", 1, "n0"), VM("e", 1, "n0", evictable=True), VM("b", 1, "n1")]
    assert plan(Cluster(hosts(9, 9, 9), vms, [Apart(["e", "b"]), Apart(["a", "e"])]))["e"] in ("n2", None)
    assert plan(Cluster(hosts(9, 9, 9), vms, [OnlyOn(["e"], ["n0", "n2"])]))["e"] == "n2"
    together = plan(Cluster(hosts(9, 2, 9), vms, [Together(["a", "e"])]))
    assert together["e"] == together["a"]
    assert plan(Cluster(hosts(9, 2), vms, [Together(["a", "e"])])) == {"a": "n1", "e": None}


def test_a_further_resource_is_made_room_in_by_those_who_have_some():
    nodes = hosts(9, 20, resources={"vcpu": 4})
    vms = [
        VM("a", 2, "n0", resources={"vcpu": 2}),
        VM("large", 9, "n1", evictable=True),
        VM("busy", 1, "n1", evictable=True, resources={"vcpu": 3}),
    ]
    assert plan(Cluster(nodes, vms)) == {"a": "n1", "busy": None}
    assert plan(Cluster(nodes, vms, soft_resources=["vcpu"])) == {"a": "n1"}


def test_what_a_restart_needs_nothing_of_costs_nobody_a_stop():
    nodes = hosts(9, 20, resources={"vcpu": 2})
    vms = [VM("a", 2, "n0"), VM("b", 1, "n1", resources={"vcpu": 3}), VM("e", 1, "n1", evictable=True, resources={"vcpu": 1})]
    assert plan(Cluster(nodes, vms)) == {"a": "n1"}


def test_stopping_a_vm_on_its_way_frees_both_its_nodes():
    nodes = hosts(9, 9, 9)
    vms = [VM("a", 6, "n0"), VM("b", 6, "n1"), VM("e", 3, "n1", target="n2", evictable=True), VM("c", 2, "n2")]
    assert plan(Cluster(nodes, vms)) == {"a": "n2", "e": None}
    # Its own node fails: it could restart on n0, but what it takes on its target, it would keep.
    assert plan(Cluster(nodes, vms), 1) == {"b": "n2", "e": None}


def test_one_on_its_way_restarts_beside_what_it_takes_there():
    vms = [VM("a", 2, "n0"), VM("e", 3, "n0", target="n1", evictable=True)]
    assert plan(Cluster(hosts(9, 8), vms)) == {"a": "n1", "e": "n1"}
    assert plan(Cluster(hosts(9, 7), vms)) == {"a": "n1", "e": None}


def test_a_failure_that_displaces_nobody_stops_nobody():
    now = standing_of(Cluster(hosts(9, 9), [VM("e", 4, "n1", evictable=True)]))
    whole = with_evictions(now, RestartColumns.joined([]), np.arange(len(now.scenarios)))
    assert (whole.scenario.tolist(), whole.node.tolist()) == ([1], [0])


def test_plans_are_listed_by_scenario():
    vms = [VM(f"v{i}", 3, f"n{i}") for i in range(3)] + [VM(f"e{i}", 6, f"n{i}", evictable=True) for i in range(3)]
    now = standing_of(Cluster(hosts(9, 9, 9), vms, guarantee=Guarantee()))
    whole = with_evictions(now, judge(now, budget=Budget()).restarts, np.arange(len(now.scenarios)))
    assert (np.diff(whole.scenario) >= 0).all()
    assert {(s, v) for s, v in zip(whole.scenario.tolist(), whole.vm.tolist(), strict=True)} >= {(i, i) for i in range(3)}
