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
    assert lines_of(status=Status.REFUTED, violations=tuple(found), checked=("objective.gap", "placement"))[:4] == [
        "WRONG: 2 claims of this result do not hold",
        "overfull: n1: 70 GiB on 64 GiB",
        "claim: objective.gap: says 0.5; 0.0 is right",
        "Verified: objective, placement",
    ]


def test_what_could_not_be_verified_is_listed_with_the_reason():
    left = (Unchecked("stats", "is text"), Unchecked("method", "is text"))
    lines = lines_of(status=Status.CONFIRMED, says=Status.OPTIMAL, guarantee=Status.SAFE, unchecked=left)
    assert lines[0] == "RIGHT: every claim that can be verified holds; the result says optimal, safe"
    assert lines[-2:] == ["Not verified:", "  stats, method: is text"]


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 claim of this result does not hold"), (2, "2 claims of this result do not hold")]
)
def test_one_and_several(count, words):
    found = tuple(Violation("claim", f"c{i}", "no") for i in range(count))
    assert lines_of(status=Status.REFUTED, violations=found)[0] == f"WRONG: {words}"


def test_what_is_open_is_no_claim_that_is_wrong():
    found = (Violation("unverified", "n1", "too hard"),)
    assert lines_of(status=Status.UNKNOWN, violations=found)[0].startswith("UNKNOWN: nothing wrong was found, but")


def test_control_characters_are_shown_not_sent():
    assert "\x1b" not in "".join(lines_of(status=Status.REFUTED, violations=(Violation("claim", "x", "\x1b[2J"),)))
