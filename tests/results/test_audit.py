"""What an audit found, as a result like all others."""

import json
import pickle

import pytest

import vmplace
from vmplace import VM, Audit, Cluster, Node, Status
from vmplace.results.audit import Unchecked
from vmplace.results.from_dict import structure
from vmplace.results.values import Violation

CLUSTER = Cluster([Node(f"n{i}", "64GiB") for i in range(3)], [VM("a", "8GiB", "n0"), VM("b", "40GiB", "n1")])
TIGHT = Cluster([Node(f"n{i}", "8GiB") for i in range(3)], [VM(f"v{i}", "6GiB", f"n{i}") for i in range(3)])


def of_check(cluster: Cluster, **claims: object) -> Audit:
    return vmplace.audit_result(cluster, vmplace.check(cluster).to_dict() | claims)


@pytest.mark.parametrize("found", [of_check(CLUSTER), of_check(TIGHT), of_check(CLUSTER, status="unsafe")])
def test_it_is_read_back_from_its_json_and_from_a_pickle(found):
    unknown: list[str] = []
    assert structure(Audit, json.loads(json.dumps(found.to_dict())), "", unknown) == found
    assert unknown == []
    assert pickle.loads(pickle.dumps(found)) == found


def test_it_is_safe_if_the_result_is_right_and_says_so():
    right, unsafe, wrong = of_check(CLUSTER), of_check(TIGHT), of_check(TIGHT, status="safe", guarantee="safe")
    assert [found.status for found in (right, unsafe, wrong)] == ["confirmed", "confirmed", "refuted"]
    assert [found.safe for found in (right, unsafe, wrong)] == [True, False, False]
    repaired = vmplace.audit_result(CLUSTER, vmplace.repair(CLUSTER))
    assert (repaired.says, repaired.guarantee, repaired.safe) == ("optimal", "safe", True)
    assert of_check(CLUSTER) == right != unsafe


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"status": Status.CONFIRMED, "says": Status.SAFE, "guarantee": Status.SAFE}, "the result says safe"),
        ({"status": Status.CONFIRMED, "says": Status.OPTIMAL, "guarantee": Status.UNSAFE}, "the result says optimal, unsafe"),
        ({"status": Status.REFUTED, "violations": (Violation("claim", "bound", "no"),)}, "1 claim of this result does not hold"),
        (
            {"status": Status.REFUTED, "violations": (Violation("claim", "bound", "no"),) * 2},
            "2 claims of this result do not hold",
        ),
        ({"status": Status.UNKNOWN, "violations": (Violation("unverified", "n1", "no"),)}, "could not be verified"),
    ],
)
def test_its_summary_says_what_was_found(found, said):
    audit = Audit(kind="place", unchecked=(Unchecked("stats", "text"),), **found)
    assert audit.summary() == f"{found['status']}: {audit.finding}"
    assert audit.summary().endswith(said)
