"""A report on groups."""

from io import StringIO

from attrs import evolve

from vmplace import VM, Apart, Cluster, Node, OnlyOn, RollingDrain, Status, rolling_drain
from vmplace.report.drain import rolling_report
from vmplace.report.tables import Screen

CLUSTER = Cluster([Node(f"n{i}", "100GiB") for i in range(5)], [VM(f"v{i}", "20GiB", f"n{i}") for i in range(5)])


def lines_of(found):
    screen = Screen(StringIO())
    return [line.rstrip() for line in screen.render(rolling_report(found, screen)).splitlines()]


def test_each_group_has_a_line():
    found = rolling_drain(CLUSTER)
    lines = lines_of(found)
    assert lines[0].startswith("DONE: every node once, in 3 groups (proved: fewer are impossible); ")
    assert lines[1].split() == ["Group", "Nodes", "Migrated", "Steps"]
    assert len(lines) == 3 + len(found.groups)
    assert lines_of(evolve(found, status=Status.FEASIBLE, bound=1))[0].startswith(
        "DONE: every node once, in 3 groups (at least 1"
    )


def test_nodes_in_no_group_are_named_with_the_reason():
    found = RollingDrain(status=Status.INFEASIBLE, undrained={"n1": "a is not movable"})
    assert lines_of(found) == [
        "INFEASIBLE: 1 node cannot be drained; no group was found",
        "Not in any group:",
        "  n1: a is not movable",
    ]
    assert lines_of(evolve(found, status=Status.UNKNOWN))[0] == "UNKNOWN: 1 node is not in any group; no group was found"


def test_long_lists_are_shortened():
    found = RollingDrain(status=Status.UNKNOWN, undrained=dict.fromkeys((f"n{i}" for i in range(20)), "not decided in time"))
    assert lines_of(found)[-1].endswith("8 more (--all lists them)")
    screen = Screen(StringIO(), True)
    assert "n19" in screen.render(rolling_report(found, screen))


def test_when_the_guarantee_is_suspended_is_told_with_who_is_unprotected():
    found = rolling_drain(Cluster(CLUSTER.nodes[:2], CLUSTER.vms[:2]))
    lines = lines_of(found)
    assert "; the guarantee is suspended during all of them; " in lines[0]
    section = next(number for number, line in enumerate(lines) if line.startswith("Guarantee suspended: "))
    assert lines[section].startswith("Guarantee suspended: N+1 cannot hold while any of these nodes is out: ")
    assert lines[section + 1] == "  group 1: if n1 fails meanwhile, 2 VMs cannot restart: v0, v1"
    assert len(lines) == section + 3


def test_the_reason_is_told_for_each_group_where_the_figures_differ():
    found = rolling_drain(Cluster(CLUSTER.nodes[:2], CLUSTER.vms[:2]))
    one, other = found.groups
    other = evolve(other, suspended="N+1 cannot hold while n1 is out: another reason")
    lines = lines_of(evolve(found, groups=(one, other)))
    section = lines.index("Guarantee suspended:")
    assert lines[section + 1].startswith("  group 1: N+1 cannot hold while n0 is out: ")
    assert lines[section + 1].endswith("; if n1 fails meanwhile, 2 VMs cannot restart: v0, v1")
    assert lines[section + 2].startswith("  group 2: N+1 cannot hold while n1 is out: another reason; if n0 fails meanwhile")


def test_the_way_back_has_a_column():
    lines = lines_of(rolling_drain(CLUSTER, home=True))
    assert lines[1].split()[-2:] == ["Way", "back"]
    assert lines[3].split()[-1] == "1"


def test_soft_rules_that_a_group_breaks_are_named():
    rules = [Apart(["v0", "v1", "v2"], must=False, name="sql"), OnlyOn(["v0"], ["n0"], must=False)]
    nodes, vms = CLUSTER.nodes[:3], CLUSTER.vms[:3]
    lines = lines_of(rolling_drain(Cluster(nodes, vms, rules), at_once=1))
    told = lines[lines.index("Soft rules that are broken meanwhile:") + 1 :]
    assert any(line.startswith("  while n0 is out, rule sql (apart): 1 pair shares a node: ") for line in told)
    assert any(line.startswith("  while n0 is out, rules[1] (only-on): 1 VM on other nodes: v0") for line in told)
