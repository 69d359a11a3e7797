"""What all results have in common: safe, summary, no truth value, short repr, equality, pickle."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import vmplace
from vmplace import VM, Admitter, Cluster, Node
from vmplace.results.result import Result

NODES = [Node("n1", "64GiB"), Node("n2", "64GiB"), Node("n3", "64GiB")]
VMS = [VM("a", "8GiB", "n1"), VM("b", "16GiB", "n2"), VM("w", "4GiB")]
GOOD = Cluster(NODES, VMS, date="2026-01-01")
TIGHT = Cluster(NODES, [VM(f"v{i}", "20GiB", f"n{1 + i % 3}") for i in range(9)], date="2026-01-01")

RESULTS: dict[str, Callable[[Cluster], Any]] = {
    "Report": vmplace.check,
    "Solution": lambda cluster: vmplace.place(cluster, seed=1),
    "Drain": lambda cluster: vmplace.drain(cluster, "n1", strict=True),
    "RollingDrain": lambda cluster: vmplace.rolling_drain(cluster, strict=True),
    "MigrationPlan": lambda cluster: vmplace.plan_moves(cluster, {cluster.vms.names[0]: "n2"}),
    "Admission": lambda cluster: vmplace.admit(cluster, VM("z", "8GiB")),
    "Candidates": lambda cluster: Admitter(cluster).candidates(VM("z", "8GiB")),
    "Headroom": lambda cluster: vmplace.headroom(cluster, "8GiB"),
    "HeadroomTable": lambda cluster: vmplace.headroom_table(cluster, ["8GiB", "16GiB"]),
    "Sizing": lambda cluster: vmplace.size(cluster, "64GiB"),
    "Tolerance": vmplace.tolerance,
    "Explanation": vmplace.explain,
    "Trend": lambda cluster: vmplace.trend([cluster]),
    "Audit": lambda cluster: vmplace.audit_result(cluster, vmplace.place(cluster)),
}


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_result_is_short_equal_pickled_and_has_no_truth_value(name: str) -> None:
    for cluster in (GOOD, TIGHT):
        result, again = RESULTS[name](cluster), RESULTS[name](cluster)
        assert isinstance(result, Result)
        assert isinstance(result.safe, bool)
        with pytest.raises(TypeError, match="is neither true nor false: ask for"):
            bool(result)
        assert repr(result) == f"<{type(result).__name__}: {result.summary()}>"
        assert "\n" not in result.summary()
        assert len(repr(result)) < 300
        assert result == again
        assert hash(result) == hash(again)
        assert pickle.loads(pickle.dumps(result)) == result
        assert result != "x"
    assert RESULTS[name](GOOD) != result


@pytest.mark.parametrize(
    ("name", "good", "tight"),
    [
        ("Solution", True, False),
        ("Drain", True, False),
        ("RollingDrain", True, False),
        ("MigrationPlan", True, False),
        ("Admission", True, False),
        ("Candidates", True, False),
        ("Headroom", True, False),
        ("HeadroomTable", True, False),
        ("Sizing", True, True),
        ("Tolerance", False, False),
        ("Report", False, False),
        ("Explanation", False, False),
        ("Trend", False, False),
        ("Audit", True, False),
    ],
)
def test_safe_is_true_only_where_the_guarantee_is_known_to_hold(name: str, good: bool, tight: bool) -> None:
    assert (RESULTS[name](GOOD).safe, RESULTS[name](TIGHT).safe) == (good, tight)


def test_unknown_is_not_safe() -> None:
    assert vmplace.check(vmplace.place(GOOD).to_document()).safe is True
    assert vmplace.place(TIGHT, move_running=True, time_limit=0).safe is False


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Report", "unsafe: 1 VM without a node"),
        ("Solution", "optimal: guarantee safe, balance 25.0%, 0 migrations (0 MiB)"),
        ("MigrationPlan", "optimal: 1 step, 8 GiB migrated"),
        ("Admission", "admitted: z on n2"),
        ("Sizing", "optimal: 2 nodes (2 x node) for 3 VMs"),
        ("Audit", "confirmed: every claim that can be verified holds; the result says optimal, safe"),
    ],
)
def test_summaries(name: str, said: str) -> None:
    assert RESULTS[name](GOOD).summary() == said


def test_a_hostile_name_is_shown_in_the_repr() -> None:
    hostile = Cluster(NODES, [VM("\x1b[2J", "8GiB")])
    assert "\x1b" not in repr(vmplace.admit(hostile, "\x1b[2J"))
