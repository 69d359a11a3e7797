"""Terminal reports of `headroom` and `size`."""

from io import StringIO

import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Cluster, Node
from vmplace.capacity.results import Headroom
from vmplace.report.capacity import headroom_report, sizing_report, table_report
from vmplace.report.tables import Screen
from vmplace.results.values import Status

CLUSTER = Cluster([Node(f"n{i}", "64GiB") for i in range(3)], [VM("a", "16GiB", "n0")])


def drawn(report, found, *, everything=False):
    screen = Screen(StringIO(), everything)
    return screen.render(report(found, screen)).splitlines()


def test_one_and_none_and_several_are_spoken_of_as_such():
    assert drawn(headroom_report, vmplace.headroom(CLUSTER, "64GiB"))[0].startswith("1 more VM of 64 GiB fits")
    assert drawn(headroom_report, vmplace.headroom(CLUSTER, "65GiB"))[0] == "No more VM of 65 GiB fits"
    mix = drawn(headroom_report, vmplace.headroom(CLUSTER, {"8GiB": 2, "16GiB": 1}))
    assert mix[0] == "3 times 16 GiB + 2 x 8 GiB fit while the guarantee holds, and no more"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"status": Status.FEASIBLE, "bound": 9},
            "1 more VM of 64 GiB fits while the guarantee holds; at most 9 could",
        ),
        ({"status": Status.INFEASIBLE, "solution": None, "reason": "n0 fails"}, "INFEASIBLE: n0 fails"),
        (
            {"status": Status.UNKNOWN, "solution": None, "count": None, "bound": 9},
            "UNKNOWN: time ran out before it was known whether the guarantee can be kept; at most 9 times 64 GiB could fit",
        ),
    ],
)
def test_what_is_not_proved_is_said(changes, line):
    found: Headroom = evolve(vmplace.headroom(CLUSTER, "64GiB"), **changes)
    assert drawn(headroom_report, found)[0] == line


def test_nodes_are_shortened_unless_all_are_wanted():
    many = Cluster([Node(f"n{i:02}", "16GiB") for i in range(20)])
    found = vmplace.headroom(many, "8GiB")
    assert found.count == 38
    short, whole = (_where(drawn(headroom_report, found, everything=everything)) for everything in (False, True))
    assert short.endswith(f"and {len(found.where) - 8} more")
    assert whole.count(",") == len(found.where) - 1


def _where(lines):
    return next(line for line in lines if line.startswith("Where"))


def test_each_resource_and_the_migrations_are_told():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": 5}) for i in range(4)]
    crowded = Cluster(nodes, [VM(f"v{i}", 4, f"n{i}", resources={"vcpu": 1}) for i in range(4)])
    lines = drawn(headroom_report, vmplace.headroom(crowded, 9, resources={"vcpu": 1}, move_running=True))
    assert any(line.startswith("What each resource alone would allow: memory 1, vcpu ") for line in lines)
    assert any(line.startswith("With ") and "migration" in line for line in lines)


def test_a_table_has_a_line_for_each_size():
    lines = drawn(table_report, vmplace.headroom_table(CLUSTER, ["8GiB", "64GiB"]))
    assert [line.split()[:3] for line in lines[2:4]] == [["8", "GiB", "14"], ["64", "GiB", "1"]]


def test_a_table_shows_what_the_sum_would_allow():
    pieces = Cluster([Node(f"n{i}", "40GiB") for i in range(4)])
    lines = drawn(table_report, vmplace.headroom_table(pieces, ["40GiB", "64GiB"]))
    assert lines[0].split()[:8] == ["VM", "of", "More", "At", "most", "By", "sum", "In"]
    assert [line.split()[:5] for line in lines[2:4]] == [["40", "GiB", "3", "3", "3"], ["64", "GiB", "0", "0", "1"]]
    assert "in pieces" in lines[3]
    assert "By the sum of what is free: 1" in drawn(headroom_report, vmplace.headroom(pieces, "64GiB"))


def test_where_the_guarantee_does_not_hold_that_is_all_a_table_says():
    unsafe = Cluster([Node(f"n{i}", 8) for i in range(3)], [VM(f"v{i}", 5, f"n{i}") for i in range(3)])
    lines = drawn(table_report, vmplace.headroom_table(unsafe, [1, 2]))
    assert lines[0].startswith("INFEASIBLE: the guarantee cannot be kept even without new VMs: ")
    assert lines[1].startswith("Next: vmplace repair")
    assert lines[1:] == drawn(headroom_report, vmplace.headroom(unsafe, 1))[1:]


def test_sizes_are_told_with_their_proof():
    found = vmplace.size(CLUSTER, "16GiB")
    assert drawn(sizing_report, found)[0] == "2 nodes run 1 VM while the guarantee holds, and no fewer nodes suffice"
    open_ = evolve(found, status=Status.FEASIBLE, bound=1)
    assert drawn(sizing_report, open_)[0] == "2 nodes run 1 VM while the guarantee holds; at least 1 are needed"
    late = evolve(found, status=Status.UNKNOWN, counts=None, solution=None, objective=None, bound=2)
    assert drawn(sizing_report, late)[0] == "UNKNOWN: no answer in time; no fewer than 2"
    assert drawn(sizing_report, vmplace.size(CLUSTER, "8GiB"))[0].startswith("INFEASIBLE: a needs 16 GiB")
