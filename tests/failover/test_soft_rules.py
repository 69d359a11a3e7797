"""Soft rules that failover plans break, in words; and a plan breaks as little as it can."""

import pytest

import vmplace
from vmplace import VM, Apart, Cluster, Node, NotOn, OnlyOn, Together

NODES = [Node("n1", 64, domain="r"), Node("n2", 64, domain="r"), Node("n3", 64, domain="s")]


def warned(rules, vms, nodes=NODES):
    return [line for line in vmplace.check(Cluster(nodes, vms, rules)).warnings if "failover plan" in line]


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        (Apart(["a", "b", "c"], must=False, name="sql"), "soft rule sql (apart): a, c share n3"),
        (Apart(["a", "c"], must=False, scope="domain", name="sql"), "soft rule sql (apart): a, c share s"),
        (Apart(["a", "b", "c"], must=False), "soft rule 0 (apart): a, c share n3"),
        (OnlyOn(["a", "b"], ["n1"], must=False), "soft rule 0 (only-on): a on n3"),
        (NotOn(["a"], ["n2", "n3"], must=False), "soft rule 0 (not-on): a on n3"),
        (Apart(["a", "b", "c"], must=False, during_failover=False), ""),
    ],
)
def test_what_the_plan_of_a_failure_breaks(rule, where):
    # Only n3 has room for a.
    vms = [VM("a", 8, "n1"), VM("b", 8, "n2"), VM("c", 8, "n3"), VM("big", 50, "n2")]
    found = [line for line in warned([rule], vms) if line.startswith("If n1 fails")]
    assert found == ([f"If n1 fails, its failover plan breaks {where}"] if where else [])


def test_those_that_should_restart_together():
    nodes = [Node("n1", 64), Node("n2", 8), Node("n3", 8), Node("n4", 8)]
    vms = [VM(name, 8, "n1") for name in "abc"]
    (line,) = warned([Together(["a", "b", "c"], must=False)], vms, nodes)
    assert line.startswith("If n1 fails, its failover plan breaks soft rule 0 (together): ")
    assert all(f"{vm} on n" in line for vm in "abc")


def test_five_that_should_be_apart_restart_two_by_two():
    nodes = [Node("n0", 64), *(Node(f"n{i}", 64) for i in (1, 2, 3))]
    vms = [VM(f"k{i}", 4, "n0") for i in range(5)]
    report = vmplace.check(Cluster(nodes, vms, [Apart([vm.name for vm in vms], must=False)]))
    plan = list(report.failover["n0"].values())
    assert sorted(plan.count(node) for node in ("n1", "n2", "n3")) == [1, 2, 2]
    (line,) = report.warnings
    assert line.startswith("If n0 fails, its failover plan breaks soft rule 0 (apart): k")
    assert line.count(" share ") == 2


def test_many_places_are_not_all_listed():
    nodes = [Node("n0", 64), *(Node(f"n{i}", 2) for i in range(1, 9))]
    vms = [VM(f"v{i}", 2, "n0") for i in range(8)]
    (line,) = warned([OnlyOn([vm.name for vm in vms], ["n0"], must=False)], vms, nodes)
    assert line.count(" on n") == 5
    assert line.endswith("; 3 more")


def test_a_rule_none_of_whose_vms_restarts_breaks_no_plan():
    vms = [VM("v", 2, "n1"), VM("w", 2, "n2", protected=False)]
    assert warned([OnlyOn(["w"], ["n1"], must=False)], vms) == []
