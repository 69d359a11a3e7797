"""The oracle itself: known cases, and what it finds by stopping early against going through everything."""

import math
from collections.abc import Iterable
from itertools import combinations, product

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import Failure, World, takes
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Tag, Together
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters
from vmplace.testing.strategies import EXTRAS

OBJECTIVES = ("balance", "moves", "consolidate", ("moves", "balance"), ("consolidate", "moves"))
EVERYTHING = {
    "failures": (1, 1, 2, 0),
    **dict.fromkeys(EXTRAS, True),
    "restart": ("planned", "any-order"),
    "policies": True,
    "sequences": ("at-once", "sequential"),
}


def world(capacities, vms, **rest):
    return World(Cluster([Node(f"n{i}", c) for i, c in enumerate(capacities)], [VM(*vm) for vm in vms], **rest))


def test_a_partial_plan_restarts_the_most():
    w = world([9, 5, 3], [("a", 4, "n0"), ("b", 3, "n0"), ("c", 2, "n0")])
    assert w.best_loss(w.now, "n0") == (2,)
    assert not w.survivable(w.now, "n0")


def test_higher_priorities_come_first():
    cluster = Cluster([Node("n0", 9), Node("n1", 5)], [VM("a", 2, "n0", priority=1), VM("b", 5, "n0")])
    w = World(cluster)
    assert w.best_loss(w.now, "n0") == (0, 5)


def test_apart_keeps_restarts_off_survivors():
    w = world([4, 4], [("a", 1, "n0"), ("b", 1, "n1")], rules=[Apart(["a", "b"])])
    assert w.verdict().losses == {"n0": (1,), "n1": (1,)}


def test_together_restarts_on_one_survivor():
    w = world([4, 2, 2], [("a", 2, "n0"), ("b", 2, "n0")], rules=[Together(["a", "b"])])
    assert w.best_loss(w.now, "n0") == (2,)


def test_the_optimum_is_lexicographic():
    w = world([10, 10, 10], [("a", 4), ("b", 4), ("c", 2)], rules=[Together(["a", "c"], must=False)])
    best = w.optimum(("consolidate", "balance"))
    assert best is not None
    assert best.costs[:2] == (0, 2)


def test_nothing_to_place():
    assert World(Cluster([])).optimum("consolidate").costs == (0, 0)
    assert World(Cluster([Node("n0", 4)], [VM("a", 1)])).optimum() is None


def test_fewer_nodes_may_be_enough_where_all_are_not():
    """A policy that does not look at memory sends a VM to the third node, which is too small, if it is on."""
    w = world([6, 6, 1], [("a", 2, "n0"), ("b", 2, "n0")], guarantee=Guarantee(policy="fewest-vms"))
    assert w.optimum("balance") is None
    assert w.optimum("consolidate").costs == (0, 2)
    assert w.optimum(("balance", "consolidate"), prune=False).costs == w.optimum(("balance", "consolidate")).costs
    assert vmplace.place(w.cluster, objective="consolidate").powered == ("n0", "n1")


def test_best_effort_places_all_the_same():
    best = World(Cluster([Node("n0", 4)], [VM("a", 1)], guarantee=Guarantee(headroom=0.9))).optimum(best_effort=True)
    assert (best.lost, best.headroom) == ((1,), False)


# Scenarios


def test_two_of_three_nodes_fail():
    w = world([4, 4, 4], [("a", 2, "n0"), ("b", 2, "n1"), ("c", 3, "n2")], guarantee=Guarantee(failures=2))
    assert w.verdict().losses == {"n0+n1": (4,), "n0+n2": (3,), "n1+n2": (3,)}
    assert [vm.name for vm in w.displaced(w.now, "n0+n2")] == ["a", "c"]
    assert not w.may_restart(w.vms["a"], w.nodes["n2"], "n0+n2")
    assert w.plan_holds(w.now, "n0+n2", {"a": "n1"})


@pytest.mark.parametrize(("failures", "keys"), [(0, []), (1, ["n0", "n1"]), (2, ["n0+n1"]), (3, ["n0+n1"])])
def test_all_hosts_fail_where_there_are_no_more(failures, keys):
    nodes = [
        Node("n0", 4),
        Node("n1", 4, state="maintenance"),
        Node("n2", 4, state="maintenance"),
        Node("n3", 4, state="offline"),
    ]
    w = World(Cluster(nodes, [VM("a", 1, "n1")], guarantee=Guarantee(failures=failures)))
    assert w.scenarios(w.now) == keys


def test_scenarios_of_pools_are_in_document_order():
    nodes = [Node("p0", 4), Node("q0", 4, pool="q"), Node("p1", 4), Node("q1", 4, pool="q"), Node("p2", 4)]
    assert World(Cluster(nodes, guarantee=Guarantee(failures=2))).scenarios({}) == ["p0+p1", "p0+p2", "q0+q1", "p1+p2"]
    assert World(Cluster(nodes), powered=["p2", "q0", "p0"], drained=["p0"]).scenarios({}) == ["q0", "p2"]


def test_domains_fail_as_one():
    nodes = [
        Node("n0", 4, domain="rack"),
        Node("n1", 4),
        Node("n2", 4, domain="rack"),
        Node("n3", 4, domain="rack", state="offline"),
    ]
    w = World(Cluster(nodes, [VM("a", 3, "n0"), VM("b", 2, "n2")], guarantee=Guarantee(scope="domain")))
    assert w.verdict().losses == {"rack": (2,), "n1": (0,)}


def test_a_domain_in_two_pools_fails_in_each_by_itself():
    nodes = [Node("p0", 4, domain="d"), Node("q0", 4, domain="d", pool="q"), Node("q1", 4, pool="q"), Node("p1", 4)]
    vms = [VM("a", 3, "p0"), VM("b", 3, "q0", pool="q"), VM("c", 2, "q1", pool="q")]
    w = World(Cluster(nodes, vms, guarantee=Guarantee(scope="domain")))
    assert w.verdict().losses == {"d": (3,), "q1": (2,), "p1": (0,)}
    assert w.verdict().pools == {"default": "safe", "q": "unsafe"}
    assert w.plan_holds(w.now, "d", {"a": "p1"})
    assert not w.survivable(w.now, "d")


def test_a_key_of_one_pool_is_none_of_another():
    nodes = [Node("p0", 4, domain="d"), Node("q0", 4, domain="d", pool="q"), Node("q1", 4, pool="q"), Node("q2", 4, pool="q")]
    w = World(Cluster(nodes, [VM("b", 1, "q0", pool="q")], guarantee=Guarantee(failures=2, scope="domain")))
    assert w.scenarios(w.now) == ["d", "d+q1", "d+q2", "q1+q2"]
    assert w.displaced(w.now, "d") == []
    assert [vm.name for vm in w.displaced(w.now, "d+q1")] == ["b"]


# Rules on domains


def test_apart_on_domains():
    nodes = [Node("n0", 4, domain="d"), Node("n1", 4, domain="d"), Node("n2", 4, domain="e"), Node("n3", 4, pool="q", domain="e")]
    rule = Apart(["a", "b"], scope="domain")
    w = World(Cluster(nodes, [VM("a", 1, "n0"), VM("b", 1, "n3", pool="q")], [rule]))
    assert w.plan_holds(w.now, "n0", {"a": "n1"})
    assert not w.plan_holds(w.now, "n0", {"a": "n2"})
    assert not w.broken(w.now, must=True)
    assert w.broken({"a": "n2", "b": "n3"}, must=True)


def test_a_rule_broken_across_pools_condemns_those_it_is_broken_in():
    nodes = [Node("n0", 4, domain="d"), Node("n1", 4, pool="q", domain="d"), Node("n2", 4, pool="r", domain="e")]
    vms = [VM("a", 1, "n0"), VM("b", 1, "n1", pool="q"), VM("c", 1, "n2", pool="r")]
    verdict = World(Cluster(nodes, vms, [Apart(["a", "b", "c"], scope="domain")], Guarantee(failures=0))).verdict()
    assert verdict.status == "unsafe"
    assert verdict.pools == {"default": "unsafe", "q": "unsafe", "r": "safe"}


def test_displaced_members_that_stay_down_are_nowhere():
    rule = Apart(["a", "b"], scope="domain")
    nodes = [Node("n0", 4), Node("n1", 4, domain="d"), Node("n2", 4, domain="d")]
    w = World(Cluster(nodes, [VM("a", 1, "n0"), VM("b", 1, "n1", protected=False)], [rule], Guarantee(failures=2)))
    assert w.survivable(w.now, "n0+n1")
    assert not w.survivable(w.now, "n0+n2")


# Further resources


def test_overcommit_is_floored():
    cluster = Cluster([Node("n0", 9, resources={"vcpu": 3})], [VM("a", 1, "n0", resources={"vcpu": 5})], overcommit={"vcpu": 1.5})
    w = World(cluster)
    assert w.capacity("n0", resource="vcpu") == 4
    assert w.excesses(w.now) == {("n0", "vcpu")}
    assert w.verdict().overfull == {"n0"}
    assert not w.right(w.now)


@pytest.mark.parametrize(("soft", "loss", "degraded"), [((), (2,), set()), (("vcpu",), (0,), {("n1", "vcpu")})])
def test_soft_resources_do_not_bind(soft, loss, degraded):
    nodes = [Node("n0", 9, resources={"vcpu": 2}), Node("n1", 9, resources={"vcpu": 2})]
    w = World(
        Cluster(nodes, [VM("a", 2, "n0", resources={"vcpu": 2}), VM("b", 1, "n1", resources={"vcpu": 1})], soft_resources=soft)
    )
    assert w.losses(w.now) == {"n0": loss, "n1": (1,) if not soft else (0,)}
    assert w.degraded(w.now, "n0", {"a": "n1"} if soft else {}) == degraded


def test_what_a_vm_needs_nothing_of_does_not_keep_it_away():
    nodes = [Node("n0", 9), Node("n1", 9)]
    w = World(Cluster(nodes, [VM("a", 2, "n0"), VM("b", 1, "n1", resources={"disk": 1})]))
    assert w.survivable(w.now, "n0")
    assert not w.survivable(w.now, "n1")


# Evictable VMs


def test_evictable_vms_make_room():
    nodes = [Node("n0", 4), Node("n1", 4)]
    w = World(Cluster(nodes, [VM("a", 3, "n0"), VM("e", 2, "n1", evictable=True)], [Apart(["a", "e"])]))
    assert w.verdict().losses == {"n0": (0,), "n1": (0,)}
    assert list(w.full_plans(w.now, "n0", w.displaced(w.now, "n0"))) == [{"a": "n1", "e": None}]
    assert w.plan_holds(w.now, "n0", {"a": "n1", "e": None})
    assert not w.plan_holds(w.now, "n0", {"a": "n1"})
    assert not w.plan_holds(w.now, "n0", {"a": "n1", "e": "n1"})
    assert w.flawless(w.now, {"n0": {"a": "n1", "e": None}})
    assert w.flawless(w.now, {"n0": {"a": "n1", "e": None}, "n1": {"e": None}})
    assert not w.flawless(w.now, {"n0": {"a": None, "e": None}})


def test_only_needed_evictions_are_planned():
    vms = [VM("a", 2, "n0"), VM("e", 1, "n1", evictable=True), VM("f", 2, "n1", evictable=True, protected=False)]
    w = World(Cluster([Node("n0", 4), Node("n1", 4)], vms))
    plans = list(w.full_plans(w.now, "n0", w.displaced(w.now, "n0")))
    assert plans in ([{"a": "n1", "e": None}], [{"a": "n1", "f": None}])


def test_who_must_not_be_stopped():
    vms = [
        VM("a", 1, "n0"),
        VM("b", 1, "n1"),
        VM("e", 1, "n0", evictable=True),
        VM("u", 1, "n0", evictable=True, protected=False),
    ]
    w = World(Cluster([Node("n0", 4), Node("n1", 4)], vms))
    holds = {vm: w.plan_holds(w.now, "n0", {"a": "n1", vm: None}) for vm in ("a", "b", "e", "u", "ghost")}
    assert holds == {"a": True, "b": False, "e": True, "u": True, "ghost": False}
    assert w.plan_holds(w.now, "n0", {"e": "n1"})
    assert not w.plan_holds(w.now, "n0", {"u": "n1"})


def test_evictable_vms_that_are_displaced_are_no_loss():
    w = World(Cluster([Node("n0", 4)], [VM("e", 1, "n0", evictable=True)]))
    assert w.verdict().status == "safe"


def test_a_restarted_evictable_vm_keeps_rules():
    nodes, rule = [Node("n0", 4), Node("n1", 4), Node("n2", 4)], Apart(["a", "e"])
    w = World(Cluster(nodes, [VM("a", 1, "n1"), VM("e", 1, "n0", evictable=True)], [rule]))
    assert w.plan_holds(w.now, "n0", {"e": "n2"})
    assert not w.plan_holds(w.now, "n0", {"e": "n1"})


# Migrations under way


def migrating(**vm):
    nodes = [Node("n0", 4), Node("n1", 4), Node("n2", 4, state="offline")]
    return World(Cluster(nodes, [VM("a", 2, "n0", **{"target": "n1", **vm}), VM("b", 1, "n1")]))


def test_a_target_is_charged():
    w = migrating()
    assert w.loads(w.now) == {"n0": 2, "n1": 3}
    assert w.losses(w.now) == {"n0": (2,), "n1": (0,)}
    assert w.choices(w.vms["a"], move_running=True) == ["n0"]
    assert World(w.cluster, drained=["n0"]).choices(w.vms["a"], move_running=True) == []


@pytest.mark.parametrize("vm", [{"target": "n2"}, {"target": "n0"}, {"target": None}, {"running": False}])
def test_a_target_that_means_nothing(vm):
    assert migrating(**vm).loads(migrating(**vm).now)["n1"] == 1


def test_the_charge_of_an_evictable_vm_is_freed_with_it():
    w = World(
        Cluster([Node("n0", 4), Node("n1", 4), Node("n2", 4)], [VM("e", 3, "n0", target="n1", evictable=True), VM("b", 2, "n2")])
    )
    assert w.plan_holds(w.now, "n2", {"b": "n1", "e": None})
    assert not w.plan_holds(w.now, "n2", {"b": "n1"})
    assert w.losses(w.now)["n2"] == (0,)


# Restarts in any order


def anyhow(capacities, vms, rules=(), **guarantee):
    return world(capacities, vms, rules=rules, guarantee=Guarantee(restart="any-order", **guarantee))


def test_small_vms_strand_a_large_one():
    w = anyhow([7, 4, 3], [("a", 4, "n0"), ("b", 2, "n0"), ("c", 1, "n0")])
    assert w.eased().survivable(w.now, "n0")
    assert not w.survivable(w.now, "n0")
    assert w.losses(w.now)["n0"] == (4,)
    assert w.is_state(w.now, "n0", {"b": "n1"})
    assert w.is_stranded(w.now, "n0", {"b": "n1"}, "a")
    assert not w.is_stranded(w.now, "n0", {"b": "n2"}, "a")
    assert not w.is_state(w.now, "n0", {"a": "n2"})
    assert not w.is_stranded(w.now, "n0", {"b": "n1"}, "b")
    assert ({"b": "n1", "c": "n1"}, "a") in list(w.stories(w.now, "n0"))


def test_what_is_safe_though_no_sum_says_so():
    w = anyhow([11, 11, 11], [("a", 4, "n2"), ("b", 5, "n0"), ("c", 5, "n0"), ("d", 5, "n1")])
    assert w.verdict().status == "safe"


def test_an_empty_node_is_not_enough_for_two_failures_in_any_order():
    vms = [("a", 5), ("b", 3), ("c", 2)]
    assert anyhow([6] * 4, vms, failures=2).optimum() is None
    assert world([6] * 4, vms, guarantee=Guarantee(failures=2)).optimum() is not None


def test_the_unprotected_restart_too():
    nodes, vms = [Node("n0", 9), Node("n1", 3)], [VM("a", 3, "n0"), VM("u", 1, "n0", protected=False)]
    cluster = Cluster(nodes, vms, guarantee=Guarantee(restart="any-order"))
    assert World(cluster).losses(World(cluster).now) == {"n0": (3,), "n1": (0,)}
    stopped = World(evolve(cluster, vms=[vms[0], evolve(vms[1], evictable=True)]))
    assert stopped.losses(stopped.now) == {"n0": (0,), "n1": (0,)}


def test_a_member_draws_the_others_after_it():
    w = anyhow([9, 1, 4], [("a", 1, "n0"), ("b", 3, "n0")], [Together(["a", "b"])])
    assert list(w.stories(w.now, "n0")) == [({"a": "n1"}, "b")]


# Policies


def simulated(policy, order, vms=(("a", 1, "n0"), ("b", 3, "n0"), ("c", 2, "n0")), rooms=(9, 4, 3, 5)):
    w = world(rooms, vms, guarantee=Guarantee(policy=policy, order=order))
    return w.simulated(w.now, Failure("default", (frozenset({"n0"}),)))


@pytest.mark.parametrize(
    ("policy", "order", "restarts"),
    [
        ("first-fit", None, {"a": "n1", "b": "n1", "c": "n2"}),
        ("first-fit", "largest-first", {"b": "n1", "c": "n2", "a": "n1"}),
        ("most-free", "as-listed", {"a": "n3", "b": "n1", "c": "n3"}),
        ("best-fit", "as-listed", {"a": "n2", "b": "n1", "c": "n2"}),
    ],
)
def test_a_policy_is_simulated(policy, order, restarts):
    assert simulated(policy, order) == restarts


def test_priorities_restart_first():
    vms = [VM("a", 1, "n0"), VM("b", 3, "n0", priority=1)]
    w = World(Cluster([Node("n0", 9), Node("n1", 3)], vms, guarantee=Guarantee(policy="first-fit", order="priority")))
    assert w.losses(w.now)["n0"] == (0, 1)


def test_who_finds_no_node_is_lost_and_the_others_go_on():
    assert simulated("first-fit", None, [("a", 2, "n0"), ("b", 4, "n0"), ("c", 3, "n0")], [9, 4, 3]) == {"a": "n1", "c": "n2"}


def test_ties_go_to_the_first_node():
    assert simulated("most-free", None, [("a", 2, "n0")], [9, 4, 4]) == simulated("best-fit", None, [("a", 2, "n0")], [9, 4, 4])


# Failures one after the other


def in_turn(w, **guarantee):
    return World(evolve(w.cluster, guarantee=evolve(w.cluster.guarantee, sequence="sequential", **guarantee)))


def test_a_plan_does_not_know_what_fails_next():
    vms = [("a", 3, "n1"), ("b", 5, "n1"), ("c", 4, "n0"), ("d", 3, "n0"), ("e", 5, "n3"), ("f", 4, "n3")]
    at_once = world([14, 13, 11, 13], vms, guarantee=Guarantee(failures=2))
    assert at_once.verdict().status == "safe"
    w = in_turn(at_once)
    assert w.verdict().status == "unsafe"
    assert w.verdict().losses == at_once.verdict().losses
    assert not w.all_survivable(w.now)
    assert w.survives(w.now, "default", 1)


def test_in_any_order_who_is_first_is_restarted_first():
    """At once, b takes the last room that a could have; in turn, x keeps b from it until a is back."""
    nodes = [Node("n0", 9, domain="d"), Node("n1", 4), Node("n2", 4, domain="d"), Node("n3", 5), Node("n4", 1)]
    vms = [VM("a", 4, "n0"), VM("x", 1, "n0"), VM("b", 4, "n1")]
    rules = [Apart(["x", "b"], scope="domain"), OnlyOn(["x"], ["n0", "n4"]), OnlyOn(["a"], ["n0", "n2"])]
    at_once = World(Cluster(nodes, vms, rules, Guarantee(failures=2, restart="any-order")))
    assert not at_once.survivable(at_once.now, "n0+n1")
    assert in_turn(at_once).survivable(at_once.now, "n0+n1")


def test_restarted_vms_are_displaced_again():
    w = in_turn(world([3, 3, 3], [("a", 2, "n0"), ("b", 1, "n1")], guarantee=Guarantee(failures=2)))
    assert w.verdict().status == "safe"
    for kind in ({"restart": "any-order"}, {"policy": "first-fit"}):
        assert in_turn(w, **kind).verdict().losses == {"n0+n1": (0,), "n0+n2": (0,), "n1+n2": (0,)}
    then, where = w.next_stage(w.now, {"n0"}, {"a": "n1"})
    assert where == {"a": "n1", "b": "n1"}
    assert then.hosts(where) == {"default": {"n1": {"n1"}, "n2": {"n2"}}}


def test_all_nodes_fail_in_turn_where_there_are_no_more():
    w = in_turn(world([3, 3], [("a", 2, "n0")], guarantee=Guarantee(failures=3)))
    assert w.verdict().losses == {"n0+n1": (2,)}
    assert not w.survives(w.now, "default", 3)
    assert in_turn(world([3], [], guarantee=Guarantee(failures=3))).verdict().status == "safe"


# Against going through everything


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.one_of(clusters(max_nodes=3, max_vms=4, failures=(1, 1, 0)), clusters(max_nodes=3, max_vms=4, **EVERYTHING)),
    st.sampled_from(OBJECTIVES),
    st.booleans(),
    st.booleans(),
)
def test_stopping_early_changes_nothing(cluster, objective, move_running, best_effort):
    w = World(cluster)
    asked = {"move_running": move_running, "best_effort": best_effort, "max_moves": 2}
    early, late = w.optimum(objective, **asked), w.optimum(objective, **asked, prune=False)
    assert (early is None) == (late is None)
    if early is not None:
        assert (early.lost, early.costs, early.headroom, early.no_worse) == (late.lost, late.costs, late.headroom, late.no_worse)


def takes_vm(node, vm):
    """Whether a node's limits on the size of a VM allow one."""
    return all((vm.memory if what == "memory" else vm.resources.get(what, 0)) <= most for what, most in node.max_vm.items())


class Naive:
    """What can restart after a failure, by the letter: all restarts at once are looked at, and nothing is left out early."""

    def __init__(self, w, node_of, failed, gone=frozenset()):
        self.w, self.node_of, self.cluster = w, node_of, w.cluster
        dead = {*failed, *gone, *w.drained}
        self.survivors = [n for n in self.cluster.nodes if n.state == "online" and n.name in w.powered and n.name not in dead]
        self.displaced = [vm for vm in self.cluster.vms if node_of.get(vm.name) in failed and not vm.evictable]
        self.must = {vm.name for vm in self.displaced if vm.protected}
        self.stay = {vm: node for vm, node in node_of.items() if node not in failed and not w.vms[vm].evictable}

    def states(self):
        for nodes in product([None, *self.survivors], repeat=len(self.displaced)):
            restarts = {vm.name: node.name for vm, node in zip(self.displaced, nodes, strict=True) if node}
            if self.possible(restarts):
                yield restarts

    def possible(self, restarts):
        pools = all(self.w.nodes[node].pool == self.w.vms[vm].pool for vm, node in restarts.items())
        taken = all(takes_vm(self.w.nodes[node], self.w.vms[vm]) for vm, node in restarts.items())
        return pools and taken and all(self.fits(node, restarts) for node in self.survivors) and all(self.keeps(restarts))

    def fits(self, node, restarts):
        charged = [vm for vm, target in self.w.target.items() if target == node.name and not self.w.vms[vm].evictable]
        here, comers = ([vm for vm, at in places.items() if at == node.name] for places in (self.stay, restarts))
        hard = {r for vm in self.cluster.vms for r in vm.resources} - set(self.cluster.soft_resources)
        rooms = {r: math.floor(node.resources.get(r, 0) * self.cluster.overcommit.get(r, 1)) for r in hard} | {None: node.usable}
        return all(
            not any(self.amount(vm, r) for vm in comers) or sum(self.amount(vm, r) for vm in [*charged, *here, *comers]) <= room
            for r, room in rooms.items()
        )

    def amount(self, vm, resource):
        return takes(self.w.vms[vm]) if resource is None else self.w.vms[vm].resources.get(resource, 0)

    def keeps(self, restarts):
        for rule in self.cluster.rules:
            if rule.must and rule.during_failover:
                members = named(rule.vms, self.cluster.vms)
                comers = {vm: node for vm, node in restarts.items() if vm in members}
                if isinstance(rule, OnlyOn | NotOn):
                    nodes = named(rule.nodes, self.cluster.nodes)
                    yield all((node in nodes) == isinstance(rule, OnlyOn) for node in comers.values())
                elif isinstance(rule, Together):
                    yield len(set(comers.values())) < 2
                else:
                    there = {vm: node for vm, node in self.stay.items() if vm in members} | comers
                    pairs = [(a, b) for a, b in combinations(there, 2) if a in comers or b in comers]
                    yield all(self.place(rule, there[a]) != self.place(rule, there[b]) for a, b in pairs)

    def place(self, rule, node):
        domain = self.w.nodes[node].domain if rule.scope == "domain" else None
        return ("node", node) if domain is None else ("domain", domain)

    def stranded(self):
        found = set()
        for state in self.states():
            for vm in self.must.difference(state):
                if not any(self.possible({**state, vm: node.name}) for node in self.survivors):
                    found.add(vm)
        return found

    def least(self):
        plans = [state for state in self.states() if self.must.issuperset(state)]
        return min(self.w.vector([self.w.vms[vm] for vm in self.must.difference(plan)]) for plan in plans)


def named(members: tuple[str, ...] | Tag, things: Iterable[Node] | Iterable[VM]) -> set[str]:
    return {thing.name for thing in things if members.tag in thing.tags} if isinstance(members, Tag) else set(members)


def parts(w):
    return [(key, failure) for key, failures in w.failures(w.now).items() for failure in failures]


drawn = clusters(max_nodes=4, max_vms=5, placed="all", **EVERYTHING)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn)
def test_partial_plans_are_the_best(cluster):
    w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, restart="planned", policy=None)))
    for key, failure in parts(w):
        naive = Naive(w, w.now, failure.nodes)
        assert w.loss(w.now, failure) == naive.least()
        plan = next(w.full_plans(w.now, key, w.displaced(w.now, key)), None)
        assert (plan is not None) == w.survivable(w.now, key) == (not any(w.losses(w.now)[key]))
        assert plan is None or w.plan_holds(w.now, key, plan)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn)
def test_stories_are_all_that_strand(cluster):
    w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, restart="any-order", policy=None, sequence="at-once")))
    for key, failure in parts(w):
        naive = Naive(w, w.now, failure.nodes)
        assert set(w.lost(w.now, failure)) == naive.stranded()
        assert all(w.is_state(w.now, key, state) for state in naive.states())
        assert all(w.is_state(w.now, key, state) and w.is_stranded(w.now, key, state, vm) for state, vm in w.stories(w.now, key))


def naive_in_turn(w, node_of, units, gone=frozenset()):
    """Whom some order of the failures and of the restarts strands."""
    lost = set()
    for unit in units:
        naive, rest = Naive(w, node_of, unit, gone), [other for other in units if other != unit]
        lost |= naive.stranded()
        for state in naive.states() if rest else ():
            if naive.must.issubset(state):
                then = {vm: node for vm, node in node_of.items() if node not in unit} | state
                lost |= naive_in_turn(w, then, rest, gone | unit)
    return lost


def naive_survives(w, node_of, hosts, failures, gone=frozenset()):
    """Whether there are plans for so many failures in turn, whatever fails next."""
    if failures == 0:
        return True
    for host in hosts:
        naive, rest = Naive(w, node_of, host, gone), [other for other in hosts if other != host]
        stay = {vm: node for vm, node in node_of.items() if node not in host}
        plans = [plan for plan in naive.states() if set(plan) == naive.must]
        if not any(naive_survives(w, stay | plan, rest, failures - 1, gone | host) for plan in plans):
            return False
    return True


@settings(max_examples=30, deadline=None, derandomize=True)
@given(clusters(max_nodes=4, max_vms=4, placed="all", **{**EVERYTHING, "failures": (2, 2, 3), "sequences": ("sequential",)}))
def test_failures_in_turn(cluster):
    w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, restart="any-order", policy=None)))
    for _, failure in parts(w):
        assert set(w.lost(w.now, failure)) == naive_in_turn(w, w.now, failure.units)
    w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, restart="planned", policy=None)))
    for pool, units in w.hosts(w.now).items():
        failures = cluster.guarantee.failures
        assert w.survives_in_turn(w.now, pool) == naive_survives(w, w.now, list(units.values()), failures)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn)
def test_what_survives_one_way_survives_another(cluster):
    """In any order at once, then in turn, then planned in turn, then planned at once: each asks less if no VM binds another."""
    cluster = evolve(cluster, rules=[rule for rule in cluster.rules if isinstance(rule, OnlyOn | NotOn)])

    def survives(policy=None, **guarantee):
        w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, policy=policy, **guarantee)))
        return w.all_survivable(w.now)

    orders = [("any-order", "at-once"), ("any-order", "sequential"), ("planned", "sequential"), ("planned", "at-once")]
    safe = [survives(restart=restart, sequence=sequence) for restart, sequence in orders]
    assert safe == sorted(safe)
    assert survives("best-fit", sequence="at-once") <= safe[-1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn, st.sampled_from(["first-fit", "most-free", "best-fit"]))
def test_a_policy_loses_only_whom_nobody_can_take(cluster, policy):
    w = World(evolve(cluster, guarantee=evolve(cluster.guarantee, policy=policy, sequence="at-once")))
    for key, failure in parts(w):
        restarts = w.simulated(w.now, failure)
        assert w.is_state(w.now, key, restarts)
        assert all(w.is_stranded(w.now, key, restarts, vm) for vm in w.lost(w.now, failure))
