"""The report of an audit: a verdict, what is wrong, and what was and was not verified."""

from io import StringIO

import pytest

from vmplace.report.audit import audit_report
from vmplace.report.tables import Screen
from vmplace.results.audit import Audit, Unchecked
from vmplace.results.values import Status, Violation


def lines_of(**found):
    screen = Screen(StringIO())
    return screen.render(audit_report(Audit(kind="place", **found), screen)).splitlines()


def test_what_is_wrong_is_named_first():
    found = [Violation("overfull", "n1", "70 GiB on 64 GiB"), Violation("claim", "objective.gap", "says 0.5; 0.0 is right")]
    assert lines_of(status=Status.REFUTED, violations=tuple(found), checked=("objective.gap", "placement", "guarantee"))[:4] == [
        "WRONG: 2 claims of this result do not hold",
        "overfull: n1: 70 GiB on 64 GiB",
        "claim: objective.gap: says 0.5; 0.0 is right",
        "Checked and right: guarantee",
    ]


def test_what_could_not_be_verified_is_listed_with_the_reason():
    left = (Unchecked("stats", "is text"), Unchecked("method", "is text"))
    lines = lines_of(status=Status.CONFIRMED, says=Status.OPTIMAL, guarantee=Status.SAFE, unchecked=left)
    assert lines[0] == "RIGHT: every claim that can be verified holds; the result says optimal, safe"
    assert lines[-2:] == ["Not verified:", "  stats, method: is text"]


def test_what_is_open_is_no_claim_that_is_wrong():
    found = (Violation("unverified", "n1", "too hard"),)
    assert lines_of(status=Status.UNKNOWN, violations=found)[0].startswith("UNKNOWN: nothing wrong was found, but")


def test_control_characters_are_shown_not_sent():
    assert "\x1b" not in "".join(lines_of(status=Status.REFUTED, violations=(Violation("claim", "x", "\x1b[2J"),)))


def test_few_are_listed_unless_all_are_asked_for_and_another_cluster_is_suspected():
    found = {"violations": tuple(Violation("claim", f"c[{i}].x", "no") for i in range(15)), "checked": ("d",)}
    lines = lines_of(status=Status.REFUTED, **found)
    assert lines[12] == "claim: c[11].x: no"
    assert lines[13].endswith(" 3 more (--all lists them)")
    assert lines[14:] == ["So much is wrong: is this the cluster that the result is about?", "Checked and right: d"]
    screen = Screen(StringIO(), everything=True)
    assert "c[14].x: no" in screen.render(audit_report(Audit(kind="place", status=Status.REFUTED, **found), screen))


def test_places_that_differ_by_their_index_are_one():
    left = tuple(Unchecked(f"groups[{i}].bound", "is text") for i in range(40))
    lines = lines_of(status=Status.CONFIRMED, says=Status.SAFE, unchecked=left)
    assert lines[-1] == "  groups[*].bound: is text"


def test_few_reasons_are_listed_unless_all_are_asked_for():
    left = tuple(Unchecked("bound", f"is text {i}") for i in range(40))
    assert lines_of(status=Status.CONFIRMED, says=Status.SAFE, unchecked=left)[-1].endswith(" 28 more (--all lists them)")


@pytest.mark.parametrize(
    ("kind", "right"), [("failover", "placement, guarantee"), ("overfull", "failover, guarantee"), ("unprotected", "placement")]
)
def test_what_is_broken_is_not_called_right(kind, right):
    found = {"violations": (Violation(kind, "n1", "no"),), "checked": ("placement", "failover[n0]", "guarantee")}
    assert lines_of(status=Status.REFUTED, **found)[-1] == f"Checked and right: {right}"
