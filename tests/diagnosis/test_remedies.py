"""Remedies: what is found is as small as can be, and nothing is found where nothing helps."""

from fractions import Fraction

import pytest
from hypothesis import given, settings

import vmplace
from tests.diagnosis.test_failures import crumbs
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.diagnosis.oracle import RemedyOracle
from vmplace.diagnosis.remedies import (
    each_needed,
    fewer_rules,
    fewer_vms,
    finished,
    less_headroom,
    less_own_headroom,
    less_promised,
    more_nodes,
    one_vm_less,
    returned,
)
from vmplace.diagnosis.results import Remedy, ranked
from vmplace.diagnosis.variants import unprotected
from vmplace.failover.certify import certify
from vmplace.placement.options import PlaceOptions
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget


def nodes(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)]


def on(*sizes):
    """VMs, each on the node of its number."""
    return [VM(f"v{i}", size, f"n{i}") for i, size in enumerate(sizes)]


def oracle_of(cluster, pool="", moving=False, budget=None):
    options = PlaceOptions(objective="moves", deterministic=True)
    return RemedyOracle(Names(cluster, compile_problem(cluster, several=True)), pool, options, moving, budget or Budget())


def tried(way, cluster, *rest, moving=False, pool=""):
    oracle = oracle_of(cluster, pool, moving)
    found = list(way(oracle, *rest))
    for remedy in found:
        report = vmplace.check(remedy.cluster)
        assert (report.pools[pool] if pool else report.status) == "safe"
    return found


def told(way, cluster, *rest, **options):
    return [remedy.action for remedy in tried(way, cluster, *rest, **options)]


def test_a_new_node_is_as_small_as_can_be():
    (remedy,) = tried(more_nodes, Cluster(nodes(9, 9, 9), on(7, 7, 7)))
    assert (remedy.action, remedy.bought, remedy.least) == ("add a node of 7 MiB", 7, True)


def test_with_headroom_a_new_node_is_larger():
    cluster = Cluster(nodes(10, 10), [VM("a", 9, "n0"), VM("b", 9)], guarantee=Guarantee(headroom=Fraction(1, 10)))
    (remedy,) = tried(more_nodes, cluster)
    # 9 must fit once it is full: it runs on n1, and the new node takes over either.
    assert remedy.bought == 9


def test_several_nodes_where_one_is_too_few_and_none_where_they_do_not_help():
    cluster = Cluster(nodes(9), [VM("a", 9, "n0")], guarantee=Guarantee(failures=2))
    assert told(more_nodes, cluster) == ["add 2 nodes of 9 MiB each"]
    ruled = Cluster(nodes(9, 9), [VM("a", 1, "n0")], [OnlyOn(["a"], ["n0"])])
    assert told(more_nodes, ruled) == []


def test_new_nodes_have_what_the_others_have_and_are_where_it_is_needed():
    hosts = [Node(f"n{i}", 9, resources={"vcpu": 4}, pool="p") for i in range(2)]
    vms = [VM(f"v{i}", 8, f"n{i}", resources={"vcpu": 4}, pool="p") for i in range(2)]
    (remedy,) = tried(more_nodes, Cluster([Node("other", 3), *hosts], vms), pool="p")
    assert remedy.action == "add a node of 8 MiB in pool p, with 4 vcpu"
    assert remedy.cluster.nodes[-1] == Node("new-1", 8, pool="p", resources={"vcpu": 4})


def test_nodes_come_back_one_or_all():
    away = [Node("m0", 9, state="maintenance"), Node("m1", 9, state="offline")]
    assert told(returned, Cluster([*nodes(9, 9), *away], on(9, 9))) == [
        f"bring {name} back into service" for name in ("m0", "m1")
    ]
    two = Cluster([*nodes(9, 9), *away], on(9, 9), guarantee=Guarantee(failures=2))
    assert told(returned, two) == ["bring m0, m1 back into service"]


def test_a_migration_that_ends_makes_room():
    cluster = Cluster(nodes(9, 9), [VM("a", 5, "n0", target="n1"), VM("b", 4, "n1")])
    assert vmplace.check(cluster).status == "unsafe"
    assert told(finished, cluster) == ["wait until the migration under way is done"]


def test_one_rule_or_as_few_as_it_takes():
    cluster = Cluster(nodes(9, 9), on(2, 2), [OnlyOn(["v0"], ["n0", "n1"]), Apart(["v0", "v1"])])
    assert told(fewer_rules, cluster, {0, 1}) == ["make rules[1] (apart) a preference (must: false)"]
    both = Cluster(nodes(9, 9, 9), on(2, 2), [OnlyOn(["v0"], ["n0"]), OnlyOn(["v1"], ["n1"]), Apart(["v0", "v1"])])
    assert told(fewer_rules, both, {0, 1, 2}) == ["make rules[0] (only-on) and rules[1] (only-on) preferences (must: false)"]


def test_as_much_headroom_as_can_be_kept():
    cluster = Cluster(nodes(100, 100, 100), [VM("a", 60), VM("b", 60)], guarantee=Guarantee(headroom=Fraction(1, 2)))
    (remedy,) = tried(less_headroom, cluster, moving=True)
    assert (remedy.action, remedy.least) == ("keep a headroom of 40 % instead of 50 %", True)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Fraction(1, 2), "guarantees 1 and 2: keep a headroom of 40 % instead of 50 %"),
        (Fraction(9, 20), "guarantees 1 and 2: keep a headroom of 40 % instead of 50 % and 45 %"),
        (Fraction(2, 5), "guarantee 1: keep a headroom of 40 % instead of 50 %"),
        (Fraction(0), "guarantee 1: keep a headroom of 40 % instead of 50 %"),
    ],
)
def test_every_guarantee_that_keeps_too_much_free_keeps_less(other, told):
    asked = [Guarantee(headroom=Fraction(1, 2)), Guarantee(headroom=other, quorum=2)]
    (remedy,) = tried(less_headroom, Cluster(nodes(100, 100, 100), [VM("a", 60), VM("b", 60)], guarantee=asked), moving=True)
    assert (remedy.action, remedy.least) == (told, True)
    assert [one.headroom for one in remedy.cluster.guarantees] == [Fraction(2, 5), min(other, Fraction(2, 5))]


@pytest.mark.parametrize(
    ("headroom", "told"), [(4, "2 MiB on {} instead of 4 MiB"), (Fraction(2, 5), "20 % on {} instead of 40 %")]
)
def test_a_node_may_keep_less_than_its_own_headroom(headroom, told):
    hosts = [Node(f"n{i}", 10, headroom=headroom) for i in range(3)]
    cluster = Cluster(hosts, [*on(4, 4, 4), VM("d", 4)], guarantee=Guarantee(headroom=Fraction(1, 2)))
    found = tried(less_own_headroom, cluster, moving=True)
    assert [(remedy.kind, remedy.action, remedy.least) for remedy in found] == [
        ("headroom", f"keep a headroom of {told.format(node)}", True) for node in ("n0", "n1", "n2")
    ]
    assert [remedy.cluster.nodes[i].headroom for i, remedy in enumerate(found)] == [2 if headroom == 4 else Fraction(1, 5)] * 3


def test_no_more_nodes_than_it_takes_keep_no_headroom():
    hosts = [Node(f"n{i}", 10, headroom=4) for i in range(4)]
    cluster = Cluster(hosts, [*on(4, 4, 4, 4), VM("d", 4), VM("e", 4)])
    (remedy,) = tried(less_own_headroom, cluster, moving=True)
    assert (remedy.action, remedy.least) == ("keep no headroom on n2 and n3 (headroom: 0)", True)
    assert told(less_own_headroom, Cluster(nodes(10, 10), [*on(9), VM("d", 9)])) == []


def test_of_several_guarantees_one_is_weakened_and_all_hold_then():
    asked = [Guarantee(failures=2, vms=["v0"]), Guarantee(headroom=Fraction(2, 5)), Guarantee(failures=2)]
    cluster = Cluster(nodes(9, 9, 9), on(4, 4, 4), guarantee=asked)
    assert told(less_promised, cluster) == ["guarantee 3: guarantee no more than 1 failure at the same time (failures: 1)"]
    full = Cluster(nodes(10, 10, 10), [VM("a", 6, "n0"), VM("b", 6)], guarantee=[Guarantee(), Guarantee(headroom=Fraction(1, 2))])
    assert told(less_headroom, full, moving=True) == ["guarantee 2: keep a headroom of 40 % instead of 50 %"]
    alone = Cluster(nodes(9, 9), on(5, 5), guarantee=[Guarantee(failures=0), Guarantee(), Guarantee(vms=["v0"], failures=0)])
    assert told(less_promised, alone) == ["give up guarantee 2"]
    assert told(less_promised, Cluster(nodes(9, 9), on(5, 5), guarantee=[Guarantee(), Guarantee(vms=["v0"])])) == []


def test_the_next_weaker_promise():
    cluster = Cluster(nodes(9, 9, 9), on(4, 4, 4), guarantee=Guarantee(failures=2))
    assert told(less_promised, cluster) == ["guarantee no more than 1 failure at the same time (failures: 1)"]
    any_order = Cluster(
        nodes(10, 6, 6), [VM(f"v{i}", m, "n0") for i, m in enumerate((4, 3, 3))], guarantee=Guarantee(restart="any-order")
    )
    assert told(less_promised, any_order) == ["restart VMs by a plan after a failure (restart: planned)"]


def test_one_vm_that_gives_way_in_each_way():
    found = tried(one_vm_less, Cluster(nodes(9, 9), on(7, 5)), {"v0"}, None)
    assert [(remedy.action, remedy.forgone) for remedy in ranked(found)] == [
        ("shrink v0 (7 MiB) to 4 MiB", 3),
        ("shrink v1 (5 MiB) to 2 MiB", 3),
        ("shut down v1 (5 MiB)", 5),
        ("shut down v0 (7 MiB)", 7),
    ]


def test_without_a_suspect_changed_nothing_is_tried():
    oracle = oracle_of(Cluster(nodes(9, 9), on(7, 5)))
    assert list(one_vm_less(oracle, {"v0"}, set())) == []
    assert oracle.tries == 0


@pytest.mark.parametrize(("kind", "field"), [("unprotect", "protected"), ("stop", "running")])
def test_several_vms_no_more_than_it_takes(kind, field):
    cluster = Cluster(nodes(9, 9, 2), [*on(8, 8), VM("v2", 1, "n2")])
    (remedy,) = tried(fewer_vms, cluster, {"v0", "v1", "v2"}, None, kind)
    changed = {vm.name for vm in remedy.cluster.vms if not getattr(vm, field)}
    assert changed == set(remedy.given_up) == ({"v0", "v1"} if kind == "unprotect" else {"v1"})


def test_what_is_known_to_be_needed_is_not_tried_again():
    cluster = Cluster(nodes(9, 9, 9, 9), on(8, 8, 8, 8))
    names, tries = {"v0", "v1", "v2", "v3"}, []
    for needed in ((), names):
        oracle = oracle_of(cluster)
        (remedy,) = fewer_vms(oracle, names, None, "unprotect", needed)
        assert (set(remedy.given_up), remedy.least) == (names, True)
        tries.append(oracle.tries)
    assert tries[1] == 1 < tries[0]


@given(crumbs())
@settings(max_examples=40, deadline=None)
def test_without_one_that_is_needed_the_others_are_not_enough(cluster):
    report, names = vmplace.check(cluster), Names(cluster, compile_problem(cluster))
    lost = {vm for loss in report.unprotected for vm in loss.vms}
    assert lost or report.violations or report.safe
    for vm in each_needed(names, report):
        spared = [number for number, other in enumerate(cluster.vms) if other.name in lost - {vm}]
        problem = unprotected(names, spared).problem
        assert certify(problem, problem.node_of, budget=Budget()).unsafe


def test_who_waits_is_done_without():
    cluster = Cluster(nodes(9, 9), [*on(4, 4), VM("w", 8)])
    found = tried(one_vm_less, cluster, {"w"}, None)
    assert {remedy.kind for remedy in found} == {"shrink", "stop"}  # that it need not restart does not make it run
    (gone,) = [remedy for remedy in found if remedy.kind == "stop"]
    assert gone.action == "do not start w (8 MiB)"
    assert [vm.running for vm in gone.cluster.vms] == [True, True, False]


def test_out_of_time_nothing_is_told_and_that_is_counted():
    oracle = oracle_of(Cluster(nodes(9, 9, 9), on(7, 7, 7)), budget=Budget(0))
    assert list(more_nodes(oracle)) == []
    assert oracle.undecided == oracle.tries > 0


def test_the_least_intrusive_comes_first_and_several_vms_last():
    def remedy(kind, *vms, moved=0):
        return Remedy(kind, "", "", Cluster([]), moved=moved, given_up=vms)

    some = [remedy("stop", "a"), remedy("unprotect", "a", "b"), remedy("node"), remedy("move", moved=1), remedy("stop", "a", "b")]
    assert [(r.kind, len(r.given_up)) for r in ranked(some)] == [
        ("move", 0),
        ("node", 0),
        ("stop", 1),
        ("unprotect", 2),
        ("stop", 2),
    ]
