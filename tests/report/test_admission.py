from io import StringIO

from attrs import evolve

from vmplace import VM, Admitter, Cluster, Node
from vmplace.admission.results import Admission
from vmplace.report.admission import admission_report
from vmplace.report.tables import Screen
from vmplace.results.values import Migration, Status

CLUSTER = Cluster([Node(f"n{i}", 2048) for i in range(30)])


def drawn(found, memory=1024, nodes=None, *, everything=False):
    screen = Screen(StringIO(), everything)
    return screen.render(admission_report((found, memory, nodes, False), screen))


def test_long_lists_are_shortened_unless_all_is_asked_for():
    nodes, found = Admitter(CLUSTER).candidates(VM("x", 1024)), Admitter(CLUSTER).admit(VM("x", 1024))
    assert "6 more (--all lists them)" in drawn(found, nodes=nodes)
    assert drawn(found, nodes=nodes, everything=True).count("admitted") == 30


def test_migrations_are_listed():
    moved = tuple(Migration(f"v{i}", "n0", "n1", 1024) for i in range(14))
    found = Admission(Status.ADMITTED, "x", "n0", {"x": "n0"}, migrations=moved)
    assert drawn(found).startswith("ADMITTED: x (1 GiB) may start on n0 after 14 VMs (14 GiB) have migrated:\n  v0")
    assert "2 more (--all lists them)" in drawn(found)
    assert " after 1 VM (1 GiB) has migrated:\n" in drawn(evolve(found, migrations=moved[:1]))
    assert "more" not in drawn(found, everything=True)


def test_odd_names_do_no_harm():
    found = Admission(Status.REFUSED, "x", reason="[red]no\x1b[31m")
    assert "\x1b" not in drawn(found)
    assert "[red]no" in drawn(found)
