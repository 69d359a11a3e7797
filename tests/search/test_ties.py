from attrs import evolve

from vmplace import VM, Apart, Cluster, Guarantee, Node
from vmplace.failover.certify import certify_all
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import CandidatePlacement, Goal, migrated
from vmplace.search.mip.search import Finding
from vmplace.search.ties import break_ties
from vmplace.solvers.budget import Budget

NODES = [Node(f"n{i}", 16) for i in range(4)]


def settled(cluster, objectives, places, *, budget=None, exact=None, **goal):
    """What becomes of a placement, and the finding it came in."""
    problem, goal = compile_problem(cluster), Goal(objectives, move_running=True, **goal)
    node_of = problem.node_of.copy()
    node_of[list(places)] = list(places.values())
    powered = None
    if goal.consolidates:
        powered = problem.online.copy()
        powered[[i for i in range(problem.n_nodes) if i not in node_of]] = False
    verdict = certify_all(problem, node_of, budget=Budget(), powered=powered)
    values = goal.values(problem, node_of, verdict, powered)
    found = Finding(CandidatePlacement(node_of, powered, verdict, values), values, False, {}, ("bounds",) * len(values))
    return problem, found, break_ties(problem, goal, found, budget=budget or Budget(), exact=exact)


def test_vms_return_home_where_nothing_asked_for_gets_worse():
    # The two larger ones changed places, the third is on another node that is as full.
    vms = [VM("a", 6, "n0"), VM("b", 5, "n1"), VM("c", 4, "n2"), VM("d", 6, "n3")]
    problem, found, then = settled(Cluster(NODES, vms), ("balance",), {0: 1, 1: 0})
    assert (migrated(problem, found.best.node_of), migrated(problem, then.best.node_of)) == (11, 0)
    assert then.best.values == found.best.values
    assert then.stats["ties"] == {"moves": 0, "proved": True}
    assert then.optimal


def test_one_returns_in_exchange_for_another():
    # With a rule in the way the present placement is none; a returns to n0, and b takes its place instead.
    vms = [VM("a", 6, "n0"), VM("b", 4, "n0"), VM("c", 6, "n1"), VM("d", 6, "n2")]
    cluster = Cluster(NODES[:3], vms, [Apart(["a", "b"])], Guarantee(failures=0))
    problem, found, then = settled(cluster, ("consolidate",), {0: 1, 2: 0})
    assert migrated(problem, found.best.node_of) == 12
    assert migrated(problem, then.best.node_of) == 4
    assert then.best.values == found.best.values


def test_what_leaves_anyway_is_levelled():
    vms = [VM("a", 6), VM("b", 2), VM("c", 2), VM("d", 1, "n0")]
    problem, found, then = settled(Cluster(NODES[:3], vms), ("moves",), {0: 1, 1: 1, 2: 1})
    assert problem.load(found.best.node_of).tolist() == [1, 10, 0]
    assert sorted(problem.load(then.best.node_of).tolist()) == [1, 4, 6]
    assert migrated(problem, then.best.node_of) == 0


def test_without_time_the_placement_stays_and_is_as_optimal_as_before():
    vms = [VM("a", 6, "n0"), VM("b", 5, "n1"), VM("c", 4, "n2"), VM("d", 6, "n3")]
    _, found, then = settled(Cluster(NODES, vms), ("balance",), {0: 1, 1: 0}, budget=Budget(0))
    assert then.best.node_of.tolist() == found.best.node_of.tolist()
    assert then.optimal
    assert then.stats["ties"]["proved"] is False


def test_the_exact_search_holds_what_was_asked_for():
    asked = []

    def exact(goal, known, _):
        asked.append((goal.objectives, known.bounds[:1], known.best.values[:1]))
        return evolve(known, bounds=known.best.values)

    vms = [VM("a", 6, "n0"), VM("b", 5, "n0"), VM("c", 4, "n0")]
    _, found, then = settled(Cluster(NODES[:3], vms), ("balance",), {0: 1, 1: 2}, exact=exact)
    assert asked == [(("balance", "moves"), found.best.values, found.best.values)]
    assert then.stats["ties"]["proved"]


def test_nothing_is_tied_where_nothing_moves():
    _, found, then = settled(Cluster(NODES, [VM("a", 6, "n0")]), ("balance",), {})
    assert then is found


def test_where_everything_was_asked_for_nothing_is_told_of_ties():
    vms = [VM("a", 6), VM("b", 2), VM("c", 2), VM("d", 1, "n0")]
    problem, found, _ = settled(Cluster(NODES[:3], vms), ("moves", "balance"), {0: 1, 1: 1, 2: 1})
    open_, goal = evolve(found, bounds=(0, 0)), Goal(("moves", "balance"), move_running=True)
    then = break_ties(problem, goal, open_, budget=Budget(), exact=None)
    assert then.best.values < found.best.values
    assert "ties" not in then.stats
