import numpy as np
import pytest

from vmplace import VM, Cluster, Node, Status
from vmplace.placement.cold import fewest_cold
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.results.placement import Solution
from vmplace.results.values import Migration, Unprotected
from vmplace.solvers.budget import Budget

CLUSTER = Cluster([Node("n0", 8), Node("n1", 8)], [VM("a", 2, "n0", movable="cold"), VM("b", 2, "n1", movable="cold")])
NAMES = Names(CLUSTER, compile_problem(CLUSTER))

NONE = {"guarantee": Status.UNKNOWN}
UNSAFE = {
    "guarantee": Status.UNSAFE,
    "node_of": NAMES.problem.node_of,
    "unprotected": (Unprotected("n0", ("a", "b"), "", True),),
}
LESS = {
    **UNSAFE,
    "unprotected": (Unprotected("n0", ("a",), "", True),),
    "migrations": (Migration("b", "n1", "n0", 2, cold=True),),
}


def answer(*answers, cluster=CLUSTER):
    """What is made of the answers of a search: with the drained node's VMs free to move cold, with all, and with fewer."""
    told = iter([Solution(cluster=cluster, status=status, objective_name="moves", **found) for status, found in answers])
    out = np.array([True, False])
    return fewest_cold(NAMES, out, lambda _, within: next(told), moving=True, budget=Budget(None))


@pytest.mark.parametrize("then", [Status.INFEASIBLE, Status.UNKNOWN])
def test_what_is_infeasible_is_so_with_all_that_may_move_cold(then):
    assert answer((Status.INFEASIBLE, NONE), (then, NONE)).status is then


@pytest.mark.parametrize(("then", "found"), [(Status.OPTIMAL, UNSAFE), (Status.FEASIBLE, UNSAFE), (Status.UNKNOWN, NONE)])
def test_what_is_lost_is_proved_least_only_with_all_that_may_move_cold(then, found):
    status = Status.OPTIMAL if then is Status.OPTIMAL else Status.FEASIBLE
    assert answer((Status.OPTIMAL, UNSAFE), (then, found)).status is status


@pytest.mark.parametrize("then", [Status.OPTIMAL, Status.FEASIBLE])
def test_fewer_cold_moves_prove_nothing_of_what_is_lost(then):
    assert answer((Status.OPTIMAL, UNSAFE), (then, LESS), (Status.OPTIMAL, LESS)).status is then


def test_nothing_more_is_tried_where_the_guarantee_holds():
    held = {**UNSAFE, "guarantee": Status.SAFE, "unprotected": ()}
    assert answer((Status.OPTIMAL, held)).status is Status.OPTIMAL


def test_a_higher_priority_is_lost_less_gladly_than_more_memory_of_a_lower_one():
    cluster = Cluster(CLUSTER.nodes, [VM("a", 2, "n0", priority=5, movable="cold"), VM("b", 6, "n1", movable="cold")])
    first = {**UNSAFE, "unprotected": (Unprotected("n0", ("a",), "", True),)}
    whole = {**UNSAFE, "unprotected": (Unprotected("n1", ("b",), "", True),)}
    assert answer((Status.OPTIMAL, first), (Status.OPTIMAL, whole), cluster=cluster).unprotected == whole["unprotected"]
    assert answer((Status.OPTIMAL, whole), (Status.OPTIMAL, first), cluster=cluster).unprotected == whole["unprotected"]
