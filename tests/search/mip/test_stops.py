"""The fewest VMs to be stopped: priority before memory before number before migrations."""

import numpy as np
import pytest

from vmplace import VM, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.restrict import without
from vmplace.search.goal import Goal
from vmplace.search.mip.stops import fewest_stops
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.portfolio import Portfolio

GOAL = Goal(("moves",), move_running=True)


def stops(vms, sizes=(10, 10), *, seconds=None):
    """The names of those that stop for n0 to be emptied, and what is told of them; all that are evictable may."""
    cluster = Cluster([Node(f"n{i}", size) for i, size in enumerate(sizes)], vms)
    problem = compile_problem(cluster)
    part = without(problem, nodes=np.arange(problem.n_nodes) == 0)
    found = fewest_stops(part, GOAL, part.evictable, budget=Budget(seconds), portfolio=Portfolio())
    if found is None:
        return None
    return {cluster.vms.names[vm] for vm in part.original[found.vms].tolist()}, found.proved, found.moved


def job(name, memory, node, priority=0, **options):
    return VM(name, memory, node, priority=priority, evictable=True, **options)


@pytest.mark.parametrize(
    ("vms", "expected", "moved"),
    [
        ([job("a", 4, "n0"), job("b", 6, "n1")], set(), 4),
        ([job("a", 4, "n0"), job("b", 9, "n1", -1)], {"b"}, 4),  # the lower priority, though it has more memory
        ([job("a", 6, "n0"), job("b", 5, "n1")], {"b"}, 6),  # the least memory
        ([job("a", 4, "n0"), job("b", 2, "n0"), job("c", 2, "n0"), VM("d", 6, "n1")], {"a"}, 4),  # the fewest
        ([job("a", 6, "n0"), job("b", 6, "n1")], {"a"}, 0),  # the least migrated
        ([VM("a", 6, "n0"), job("b", 6, "n1", movable=False)], {"b"}, 6),
        ([VM("a", 6, "n0"), job("b", 5, "n1", movable=False), job("c", 5, "n1")], {"b", "c"}, 6),
    ],
)
def test_who_stops(vms, expected, moved):
    assert stops(vms) == (expected, True, moved)


def test_a_vm_that_must_stay_is_stopped_or_stays():
    vms = [VM("a", 5, "n0"), job("b", 5, "n1", movable=False), job("c", 5, "n2", movable=False), job("d", 4, "n2")]
    assert stops(vms, (10, 8, 10)) == ({"d"}, True, 5)


def test_where_no_stop_is_enough_there_is_none():
    assert stops([VM("a", 11, "n0"), job("b", 1, "n0")], (20, 10)) is None


def test_without_time_nothing_is_found():
    with pytest.raises(OutOfTimeError):
        stops([job("a", 6, "n0"), job("b", 5, "n1")], seconds=0)
