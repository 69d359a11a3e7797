"""Answers to what was asked for, and no migration besides: documents that once got a wrong answer, with the right one."""

from fractions import Fraction
from pathlib import Path

import pytest

import vmplace
from vmplace import cli

FOLDER = Path(__file__).with_name("objectives")


def case(name):
    return vmplace.load(FOLDER / f"{name}.json")


@pytest.mark.parametrize(
    ("objective", "values"),
    [
        ("consolidate", 2),
        (("consolidate", "moves"), (2, 8)),
        (("moves", "consolidate"), (8, 2)),
        (("balance", "consolidate"), (Fraction(5, 9), 2)),
    ],
)
def test_fewer_nodes_may_help_in_any_order(objective, values):
    solution = vmplace.place(case("moves-consolidate-any-order"), objective=objective, move_running=True)
    assert (solution.status, solution.objective, solution.powered) == ("optimal", values, ("n1", "n3"))


def test_the_nodes_that_stay_on_are_named():
    cluster = case("consolidate-apart")
    solution = vmplace.place(cluster, objective="consolidate", move_running=True)
    assert (solution.status, solution.objective, solution.powered) == ("optimal", 3, ("n0", "n1", "n2"))
    assert vmplace.audit(cluster, solution.placement, solution.failover, powered=solution.powered) == []


@pytest.mark.parametrize("time_limit", [0.3, 10])
def test_what_is_promised_holds_for_what_is_written(time_limit):
    cluster = case("consolidate-policy")
    solution = vmplace.place(cluster, objective="consolidate", move_running=True, time_limit=time_limit)
    written = solution.to_document()
    assert vmplace.check(written).status == solution.guarantee == "safe"
    assert [node.name for node in written.nodes if node.state == "online"] == list(solution.powered)


def test_headroom_given_up_is_a_warning_everywhere(tmp_path, capsys):
    document, result = str(FOLDER / "best-effort-headroom.json"), tmp_path / "result.json"
    assert cli.main(["place", document, "--best-effort", "--json", "-o", str(tmp_path / "placed.json")]) == 0
    result.write_text(capsys.readouterr().out, encoding="utf-8")
    assert cli.main(["check", str(tmp_path / "placed.json")]) == 0
    assert cli.main(["audit", document, str(result)]) == 0
    assert "headroom: n0 holds 6 MiB" in capsys.readouterr().out


@pytest.mark.parametrize("time_limit", [0, 0.003, 0.006, 0.01, 0.03, 0.06])
def test_too_short_a_time_is_no_defect(time_limit):
    options = {"time_limit": time_limit, "best_effort": True}
    vmplace.repair(case("policy-two-failures"), **options)
    objective = ("consolidate", "moves", "balance")
    vmplace.place(case("policy-maintenance"), objective=objective, move_running=True, method="exact", **options)


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_a_better_balance_takes_no_more_migrations_than_it_needs(method):
    solution = vmplace.place(case("balance-20-nodes"), move_running=True, method=method)
    assert (solution.status, solution.objective) == ("optimal", Fraction(53, 128))
    assert len(solution.migrations) <= 9
    assert sum(migration.memory for migration in solution.migrations) == 48 * 1024


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_what_leaves_a_node_is_spread(method):
    solution = vmplace.drain(case("drain-lopsided"), "node1", method=method)
    small = {solution.placement[f"10{number}"] for number in range(2, 10)}
    assert {*small, solution.placement["101"]} == {"node2", "node3"}
    assert len(small) == 1
    assert len(solution.migrations) == 9
