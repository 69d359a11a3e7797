import attrs
import numpy as np

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate

BALANCE, CONSOLIDATE = Goal(("balance",)), Goal(("consolidate",), move_running=True)
IN_TURN = {"failures": 2, "sequence": "sequential"}


def evaluator(problem, goal=BALANCE, **options):
    return Evaluator(problem, goal, Budget(20), **({"searching": False} | options))


def test_of_any_order_only_what_is_told_quickly_unless_it_is_searched_for():
    # If n2 fails, 1 taken on each of the others would strand a; but c takes its 2 on one of them.
    vms = [VM("a", 4, "n2"), VM("b", 3, "n1"), VM("c", 2, "n2"), VM("d", 2, "n0")]
    nodes = [Node("n0", 6), Node("n1", 7), Node("n2", 7)]
    problem = compile_problem(Cluster(nodes, vms, guarantee=Guarantee(restart="any-order")))
    assert evaluator(problem).candidate(problem.node_of) is None
    assert evaluator(problem, searching=True).candidate(problem.node_of).verdict.safe


def test_a_plan_is_always_looked_for():
    # No certificate tells, and no quick packing finds it.
    nodes = [Node("n0", 100), Node("n1", 20), Node("n2", 20)]
    vms = [VM(f"v{i}", size, "n0") for i, size in enumerate((2, 3, 3, 4, 6))] + [VM("w", 9, "n1"), VM("x", 11, "n2")]
    problem = compile_problem(Cluster(nodes, vms))
    assert evaluator(problem).candidate(problem.node_of).verdict.safe


def test_few_failures_are_looked_at_where_that_takes_no_search():
    problem = compile_problem(generate(nodes=10, fill=0.82, profile="flavors", seed=1, placed="worst-fit"))
    problem = attrs.evolve(problem, guarantee=Guarantee(policy="best-fit", order="largest-first"))
    safe = evaluator(problem, searching=True).candidate(problem.node_of)
    assert safe.verdict.safe
    assert evaluator(problem).candidate(problem.node_of).values == safe.values
    assert evaluator(problem, few=0).candidate(problem.node_of) is None


def test_what_is_certain_in_any_order_is_certain_for_a_policy():
    problem = compile_problem(Cluster([Node(f"n{i}", 8) for i in range(3)], [VM("a", 2, "n0"), VM("b", 2, "n1")]))
    problem = attrs.evolve(problem, guarantee=Guarantee(policy="first-fit"))
    found = evaluator(problem, few=0).candidate(problem.node_of)
    assert found.verdict.safe
    assert found.under(problem).state.problem is problem


def test_spares_are_switched_on_where_they_help():
    # Both racks have idle nodes, but only those of the other one take over.
    nodes = [Node(f"n{i}", 8, domain=domain) for i, domain in enumerate("aaabbb")]
    vms = [VM("v", 8, "n0", movable=False), VM("w", 8, "n1", movable=False)]
    problem = compile_problem(Cluster(nodes, vms, guarantee=Guarantee(scope="domain")))
    found = evaluator(problem, CONSOLIDATE).candidate(problem.node_of)
    assert found.values == (4,)
    assert found.powered.tolist() == [True, True, False, True, True, False]


def test_as_many_spares_as_may_fail():
    problem = compile_problem(
        Cluster([Node(f"n{i}", 8) for i in range(6)], [VM("v", 8, "n0"), VM("w", 8, "n1")], guarantee=Guarantee(failures=2))
    )
    assert evaluator(problem, CONSOLIDATE).candidate(problem.node_of).values == (4,)


def test_no_spare_helps_another_pool():
    nodes = [Node("n0", 8), Node("n1", 8, pool="other")]
    problem = compile_problem(Cluster(nodes, [VM("v", 8, "n0")]))
    assert evaluator(problem, CONSOLIDATE).candidate(problem.node_of) is None
    effort = attrs.evolve(CONSOLIDATE, best_effort=True)
    found = evaluator(problem, effort).candidate(problem.node_of)
    assert np.flatnonzero(found.powered).tolist() == [0]
    assert found.verdict.unsafe
