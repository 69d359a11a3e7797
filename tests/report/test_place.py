"""Reports of placements: objectives, proofs and migrations."""

from fractions import Fraction

import numpy as np

from tests.report.test_check import cluster_of, drawn
from vmplace import VM, Cluster, Node
from vmplace.report.place import solution_report, value_text
from vmplace.results.placement import Solution
from vmplace.results.values import Migration, Scenario, Status


def solved(**changes):
    cluster = cluster_of(VM("a", "16GiB", "n1"), VM("b", "8GiB", "n1"), VM("new", "4GiB"))
    values = {
        "cluster": cluster,
        "status": Status.FEASIBLE,
        "guarantee": Status.SAFE,
        "node_of": np.array([0, 1, 2]),
        "scenarios": {name: Scenario(Status.SAFE, "packing", 1) for name in ("n1", "n2", "n3")},
        "objective_name": "moves",
        "objective": 8192,
        "bound": 4096,
        "migrations": (Migration("b", "n1", "n2", 8192, 1),),
        "method": "exact",
        **changes,
    }
    return Solution(**values)


def test_a_solution_says_what_it_changes_and_how_good_it_is():
    lines = [line.rstrip() for line in drawn(solution_report, solved()).splitlines()]
    assert lines[0] == "SAFE: any single node can fail and every VM restarts"
    assert "moves: 8 GiB migrated (bound 4 GiB, gap 50.0%)" in lines
    assert "Method: exact" in lines
    assert "1 migration (8 GiB), 1 VM started:" in lines
    assert [line.split() for line in lines[-2:]] == [
        ["b", "8", "GiB", "n1", "->", "n2", "step", "1"],
        ["new", "4", "GiB", "starts", "on", "n3"],
    ]


def test_a_proved_optimum_says_so():
    text = drawn(solution_report, solved(bound=8192, status=Status.OPTIMAL))
    assert "8 GiB migrated (proved: less is impossible)" in text


def test_several_objectives_have_a_line_each():
    result = solved(objective_name=("moves", "balance"), objective=(8192, Fraction(7, 8)), bound=(8192, Fraction(3, 4)))
    lines = drawn(solution_report, result).splitlines()
    assert "moves: 8 GiB migrated (proved: less is impossible)" in lines
    assert "balance: the fullest online node is 87.5% full (bound 75.0%, gap 14.3%)" in lines


def test_nodes_that_stay_on_are_named():
    result = solved(objective_name="consolidate", objective=2, bound=None, powered=("n1", "n2"), drained=("n3",))
    lines = drawn(solution_report, result).splitlines()
    assert "consolidate: 2 nodes must stay powered on (no bound)" in lines
    assert "Stay powered on (2 of 3 nodes): n1, n2" in lines
    assert "Drained: n3" in lines


def test_long_lists_of_migrations_are_shortened():
    cluster = Cluster([Node("n1", 9999), Node("n2", 9999)], [VM(f"vm{i}", 1024, "n1") for i in range(30)])
    moves = tuple(Migration(f"vm{i}", "n1", "n2", 1024) for i in range(30))
    result = solved(cluster=cluster, node_of=np.ones(30, dtype=int), migrations=moves)
    text = drawn(solution_report, result)
    assert "… 18 more (--all lists them)" in text
    assert "vm29" not in text
    assert "vm29" in drawn(solution_report, result, everything=True)


def test_nothing_to_do():
    cluster = cluster_of(VM("a", 1, "n1"))
    assert "Nothing migrates." in drawn(solution_report, solved(cluster=cluster, node_of=np.array([0]), migrations=()))


def test_without_a_placement_the_reason_is_the_report():
    nothing = {"node_of": None, "objective": None, "bound": None, "migrations": (), "scenarios": {}}
    text = drawn(solution_report, solved(**nothing, status=Status.INFEASIBLE, guarantee=Status.UNSAFE, reason="too much"))
    assert text == "INFEASIBLE: too much\n"
    text = drawn(solution_report, solved(**nothing, status=Status.UNKNOWN, guarantee=Status.UNKNOWN))
    assert text == "UNKNOWN: no placement was found\n"


def test_values_have_their_units():
    assert value_text("balance", Fraction(7, 8)) == "87.5%"
    assert value_text("moves", 4096) == "4 GiB"
    assert value_text("consolidate", 1) == "1 node"
