"""Whether all VMs can be placed at all."""

import pytest
from attrs import evolve

from vmplace import VM, Apart, Cluster, Guarantee, Node
from vmplace.capacity.feasibility import FeasibilityOracle, with_preferences
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget

NODES = [Node(f"n{i}", 10) for i in range(3)]
FITTER = FeasibilityOracle(False, "auto", 0, False)


def asked(sizes, *, node=None, rules=(), **promise):
    vms = [VM(f"v{i}", size, node) for i, size in enumerate(sizes)]
    return compile_problem(Cluster(NODES, vms, rules, Guarantee(**promise)))


@pytest.mark.parametrize("ask", [FITTER.quick, FITTER.thorough])
@pytest.mark.parametrize(
    ("sizes", "promise", "fits", "method"),
    [
        ([5, 5, 5, 5], {}, True, "bin packing"),
        ([5, 5, 5, 5, 1], {}, False, "bounds"),
        ([4, 4, 4, 4, 4], {}, False, "bounds"),
        ([5, 5], {"headroom": 0.5}, True, "greedy"),
        ([11], {"failures": 0}, False, "bounds"),
    ],
)
def test_what_fits_comes_with_a_placement_and_what_cannot_with_a_proof(ask, sizes, promise, fits, method):
    fit = ask(asked(sizes, **promise), budget=Budget())
    assert (fit.best is not None, fit.infeasible) == (fits, not fits)
    assert (fit.reason is None) is fits
    if fits:
        assert fit.best.verdict.safe
        assert (fit.best.node_of >= 0).all()


@pytest.mark.parametrize("ask", [FITTER.quick, FITTER.thorough])
def test_in_no_time_nothing_is_told(ask):
    fit = ask(asked([5, 5, 5, 5]), budget=Budget(0))
    assert (fit.best, fit.infeasible) == (None, False)


def test_only_a_search_tells_of_what_no_bound_rules_out():
    fit = FITTER.thorough(asked([4, 4, 4, 3, 3], headroom=0.3), budget=Budget())
    assert (fit.infeasible, fit.reason, fit.method) == (True, None, "exact")


def test_wishes_do_not_keep_anything_from_fitting_and_are_regarded_in_the_end():
    problem = asked([2, 2, 2, 2], rules=[Apart(["v0", "v1", "v2", "v3"], must=False)])
    fit = FITTER.thorough(problem, budget=Budget())
    assert fit.best is not None
    told = with_preferences(problem, fit.best, budget=Budget())
    assert told.verdict.safe
    assert told.verdict.parts[0].state.problem.compiled_rules == problem.compiled_rules
    assert with_preferences(problem, fit.best, budget=Budget(0)) is fit.best


def test_who_runs_stays_unless_running_vms_may_move():
    problem = asked([6, 4], node="n0")
    crowded = evolve(problem, node_of=problem.node_of * 0)
    assert FITTER.quick(crowded, budget=Budget()).best is not None
    stuck = compile_problem(Cluster(NODES, [VM("a", 6, "n0"), VM("b", 6, "n1"), VM("c", 6, "n2")]))
    assert FITTER.thorough(stuck, budget=Budget()).infeasible
    uneven = compile_problem(Cluster(NODES, [VM("a", 8, "n0"), VM("b", 3, "n1"), VM("c", 3, "n2")]))
    assert FITTER.thorough(uneven, budget=Budget()).infeasible
    assert evolve(FITTER, move_running=True).thorough(uneven, budget=Budget()).best is not None
