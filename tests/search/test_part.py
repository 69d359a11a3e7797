import pytest

from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Tag, Together
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.search.goal import Goal
from vmplace.search.part import Demands, PartOracle
from vmplace.solvers.budget import Budget

CLUSTER = Cluster(
    [Node(f"n{i}", 8) for i in range(3)],
    [
        VM("off", 4, "n0", running=False),
        VM("a", 4, "n0", tags=["red"]),
        VM("b", 4, "n0", tags=["red"]),
        VM("c", 2, "n1"),
        VM("d", 2),
    ],
    [Apart(["a", "b"]), Together(["c", "d"], must=False), OnlyOn(Tag("red"), ["n0"]), Apart(["off", "c"])],
    Guarantee(headroom=0.25),
)
STAY, MOVE = Goal(("balance",)), Goal(("moves",), move_running=True, max_moves=0)


def trial(goal, *, cluster=CLUSTER, limit=None, **options):
    return PartOracle(Names(cluster, compile_problem(cluster)), goal, Budget(limit), **options)


def part(vms, rules=(), limits=()):
    return Demands(frozenset(vms), frozenset(rules), frozenset(limits))


def test_the_whole_has_what_takes_memory_what_must_be_and_what_limits():
    whole = Demands.whole(trial(MOVE).names, MOVE)
    assert whole == part(range(4), (0, 2, 3), ["max_moves"])
    assert Demands.of(whole.elements) == whole
    assert Demands.of(whole.elements - part([1], [0]).elements) == part([0, 2, 3], [2, 3], ["max_moves"])


def test_its_cluster_has_nothing_else():
    cluster = trial(STAY).cluster(part([0, 2], [0, 2, 3]))
    assert [vm.name for vm in cluster.vms] == ["a", "c"]
    assert [rule.vms for rule in cluster.rules] == [("a",), Tag("red"), ("c",)]
    assert trial(STAY).cluster(part([3], [0])).rules == ()
    assert (cluster.nodes, cluster.guarantee) == (CLUSTER.nodes, CLUSTER.guarantee)
    effort = trial(Goal(("balance",), best_effort=True, headroom=False)).cluster(part([0])).guarantee
    assert (effort.failures, effort.headroom) == (0, 0)


@pytest.mark.parametrize(
    ("goal", "asked", "fits"),
    [
        (STAY, part([]), True),
        (STAY, part([2, 3]), True),
        (STAY, part([0, 1]), False),
        (MOVE, part([0, 1]), True),
        (MOVE, part([0, 1], limits=["max_moves"]), False),
        (MOVE, part([0, 1], [0]), True),
        (MOVE, part([0], [2]), False),
    ],
)
def test_whether_it_fits(goal, asked, fits):
    assert trial(goal).fits(asked) is fits


def test_what_cannot_be_told():
    assert trial(STAY, limit=0).fits(part([0])) is None
    assert trial(STAY, limit=0).fits(part([])) is True
    assert trial(STAY, quick=True).fits(part([0, 1])) is None


def test_bounds_are_those_of_the_part():
    large = Cluster(CLUSTER.nodes, [VM("x", 1), VM("y", 9)])
    assert trial(STAY, cluster=large).bound(part([1])).kind == "size"
    assert trial(STAY, cluster=large).bound(part([0])) is None
    assert trial(STAY, cluster=large).fits(part([1])) is False
