from hypothesis import given, settings

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Blame, Cluster, Node, NotOn, Together
from vmplace.diagnosis.faults import faults_now
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.testing import clusters


def faults(cluster):
    return list(faults_now(vmplace.check(cluster), Names(cluster, compile_problem(cluster))))


def nodes(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)]


def test_of_an_overfull_node_as_few_as_are_too_much():
    vms = [VM("a", 3, "n0"), VM("b", 6, "n0"), VM("c", 5, "n0"), VM("d", 1, "n0")]
    (blame,) = faults(Cluster(nodes(9, 20), vms))
    assert blame == Blame(
        "overfull", "n0", "default", "n0 holds 6 MiB more than it has for VMs", ("b", "c"), (), ("n0",), 6, "n0", minimal=True
    )
    # All three are needed for too much of 7, the two largest for no more than 6 of it, and the smallest is not.
    (blame,) = faults(Cluster(nodes(6, 20), [VM("a", 4, "n0"), VM("b", 2, "n0"), VM("c", 2, "n0"), VM("d", 1, "n0")]))
    assert blame.vms == ("a", "b", "c")


def test_rules_broken_now_name_two_that_do_it_together_or_each_that_does():
    vms = [VM("a", 1, "n0"), VM("b", 1, "n1"), VM("c", 1, "n1"), VM("d", 1, "n2"), VM("e", 1, "n1")]
    rules = [Apart(["a", "b", "c"]), Together(["e", "d"]), NotOn(["a", "d"], ["n0", "n2"])]
    found = faults(Cluster(nodes(9, 9, 9), vms, rules))
    assert [(blame.vms, blame.rules) for blame in found] == [
        (("b", "c"), (0,)),
        (("e", "d"), (1,)),
        (("a",), (2,)),
        (("d",), (2,)),
    ]
    assert all(blame.minimal and blame.kind == "rule" for blame in found)


def test_a_rule_broken_across_pools_is_told_of_each():
    hosts = [Node("a", 9, domain="r"), Node("b", 9, domain="r", pool="p")]
    cluster = Cluster(hosts, [VM("x", 1, "a"), VM("y", 1, "b", pool="p")], [Apart(["x", "y"], scope="domain")])
    assert [(blame.pool, blame.vms) for blame in faults(cluster)] == [("default", ("x", "y")), ("p", ("y", "x"))]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(clusters(max_nodes=4, max_vms=6, domains=True, resources=True, evictable=True, targets=True))
def test_all_that_is_wrong_now_is_there_and_nothing_else(cluster):
    world, found = World(cluster), faults(cluster)
    verdict = world.verdict()
    assert {blame.subject for blame in found if blame.kind == "overfull"} == verdict.overfull
    assert {blame.rules[0] for blame in found if blame.kind == "rule"} == verdict.broken_musts
    assert {blame.subject for blame in found if blame.kind == "waiting"} == {n for n in verdict.waiting if world.vms[n].protected}
    for blame in found:
        if blame.kind == "rule":
            only = World(cluster)
            bound = only.rules[blame.rules[0]]
            assert bound.broken({vm: world.now[vm] for vm in blame.vms})
            assert not any(bound.broken({vm: world.now[vm] for vm in blame.vms if vm != gone}) for gone in blame.vms)
