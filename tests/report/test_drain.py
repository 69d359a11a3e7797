"""A report on groups."""

from io import StringIO

from attrs import evolve

from vmplace import VM, Cluster, Node, RollingDrain, Status, rolling_drain
from vmplace.report.drain import rolling_report
from vmplace.report.tables import Screen

CLUSTER = Cluster([Node(f"n{i}", "100GiB") for i in range(4)], [VM(f"v{i}", "20GiB", f"n{i}") for i in range(4)])


def lines_of(found):
    screen = Screen(StringIO())
    return [line.rstrip() for line in screen.render(rolling_report(found, screen)).splitlines()]


def test_each_group_has_a_line():
    found = rolling_drain(CLUSTER)
    lines = lines_of(found)
    assert lines[0].startswith("DONE: every node once, in 2 groups (proved: fewer are impossible); ")
    assert lines[1].split() == ["Group", "Nodes", "Migrated", "Steps"]
    assert len(lines) == 3 + len(found.groups)
    assert lines_of(evolve(found, status=Status.FEASIBLE, bound=1))[0].startswith(
        "DONE: every node once, in 2 groups (at least 1"
    )


def test_nodes_in_no_group_are_named_with_the_reason():
    found = RollingDrain(status=Status.INFEASIBLE, undrained={"n1": "a is not movable"})
    assert lines_of(found) == [
        "INFEASIBLE: 1 node cannot be drained; the others are in 0 groups",
        "In no group:",
        "  n1: a is not movable",
    ]
    assert lines_of(evolve(found, status=Status.UNKNOWN))[0] == "UNKNOWN: 1 node is in no group; the others are in 0 groups"


def test_long_lists_are_shortened():
    found = RollingDrain(status=Status.UNKNOWN, undrained=dict.fromkeys((f"n{i}" for i in range(20)), "not decided in time"))
    assert lines_of(found)[-1].endswith("8 more (--all lists them)")
    screen = Screen(StringIO(), True)
    assert "n19" in screen.render(rolling_report(found, screen))
