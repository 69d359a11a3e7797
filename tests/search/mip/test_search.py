from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.goal import Goal
from vmplace.search.greedy import construct
from vmplace.search.mip.model import CountModel
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.highs import Highs
from vmplace.solvers.program import Outcome
from vmplace.synthetic import generate

GOALS = [Goal((name,), move_running=True) for name in ("balance", "moves", "consolidate")]


@st.composite
def problems(draw, sizes):
    usable = draw(st.lists(st.integers(6, 12), min_size=2, max_size=4))
    vms = [
        VM(f"vm{k}", size, None if i is None else f"n{i}")
        for k, (size, i) in enumerate(
            draw(st.lists(st.tuples(st.sampled_from(sizes), st.none() | st.integers(0, len(usable) - 1)), max_size=7))
        )
    ]
    return compile_problem(Cluster([Node(f"n{i}", size) for i, size in enumerate(usable)], vms))


odd, dividing = problems((2, 3, 4, 5, 7)), problems((1, 2, 4, 8))


def value_of_the_full_model(problem, goal):
    """The optimum with every scenario written out from the start."""
    model = CountModel(problem, goal, Budget())
    for node in range(problem.n_nodes):
        model.guarantees[0].restarts.write_out(node)
    (stage,) = model.stages
    model.program.objective = model.objective(stage)
    answer = CpSat().solve(model.program, budget=Budget())
    assert answer.outcome in (Outcome.OPTIMAL, Outcome.INFEASIBLE)
    return None if answer.values is None else model.bound(stage, model.program.value(model.objective(stage), answer.values))


@settings(max_examples=40, deadline=None)
@given(odd | dividing, st.sampled_from(GOALS))
def test_scenarios_on_demand_reach_the_optimum_of_the_full_model(problem, goal):
    found = search(problem, goal, budget=Budget())
    full = value_of_the_full_model(problem, goal)
    assert found.infeasible == (full is None)
    if full is not None:
        assert found.optimal
        # Where nodes differ, the full model's peak is rounded in its scale, never beyond the optimum.
        assert full <= found.best.values[0] <= full + Fraction(1, 2**19)


@settings(max_examples=20, deadline=None)
@given(odd | dividing, st.sampled_from(GOALS))
def test_a_start_changes_no_value_and_no_bound_exceeds_it(problem, goal):
    cold = search(problem, goal, budget=Budget())
    start = construct(problem, goal, budget=Budget())
    warm = search(problem, goal, budget=Budget(), start=start)
    assert cold.infeasible == warm.infeasible
    if not cold.infeasible:
        assert cold.best.values == warm.best.values
        assert all(least(problem, goal, stage) <= v for stage, v in zip(goal.stages(problem), cold.best.values, strict=True))
        assert start is None or start.values >= cold.best.values


@settings(max_examples=25, deadline=None)
@given(dividing)
def test_slot_rows_suffice_where_sizes_divide_each_other(problem):
    found = search(problem, Goal(("moves",), move_running=True), budget=Budget())
    assert found.stats["scenarios_written"] == 0


def test_two_runs_cut_short_end_the_same():
    cluster = generate(nodes=16, fill=0.97, profile="flavors", seed=1, placed="worst-fit")
    first, second = (vmplace.repair(cluster, time_limit=0.4, deterministic=True) for _ in range(2))
    assert first.status in ("feasible", "optimal")
    assert first.placement == second.placement


@pytest.mark.parametrize("nodes", [8, 32])
def test_repair_of_a_worst_fit_spread_is_proved(nodes):
    cluster = generate(nodes=nodes, fill=0.8, profile="flavors", seed=1, placed="worst-fit")
    solution = vmplace.repair(cluster, time_limit=60)
    assert solution.status == "optimal"
    assert solution.objective == solution.bound == sum(move.memory for move in solution.migrations)


def test_a_peak_that_is_too_fine_for_whole_numbers_does_not_spoil_the_next_stage():
    # Shares of these nodes, told apart by less than 2**-20.
    nodes = [Node(f"n{i}", usable) for i, usable in enumerate((999_979, 1_000_033, 999_983))]
    vms = [VM("a", 99_999, "n0"), VM("b", 100_000, "n1"), VM("c", 100_004, "n2"), VM("d", 100_001, "n1")]
    found = search(compile_problem(Cluster(nodes, vms)), Goal(("balance", "moves"), move_running=True), budget=Budget())
    assert found.optimal
    assert found.best.values == World(Cluster(nodes, vms)).optimum(("balance", "moves"), move_running=True).costs[1:]


class HighsAlone:
    """In place of the portfolio; what HiGHS cannot say, that nothing is feasible, CP-SAT says."""

    spent = 0.0

    def __init__(self, *_):
        pass

    def solve(self, program, *, budget, hint=None, on_solution=None, on_progress=None):
        answer = Highs().solve(program, budget=budget)
        return answer if answer.values is not None else CpSat().solve(program, budget=budget)


@pytest.mark.slow
def test_either_engine_reaches_the_same_optimum(monkeypatch):
    cases = [
        (compile_problem(generate(nodes=nodes, fill=fill, profile=profile, node_memory="64GiB", seed=1, placed=placed)), goal)
        for nodes, fill, profile in ((4, 0.9, "flavors"), (4, 0.8, "azure"))
        for placed, goal in (("worst-fit", GOALS[1]), ("none", GOALS[0]))
    ]
    both = [search(problem, goal, budget=Budget(60)) for problem, goal in cases]
    monkeypatch.setattr("vmplace.search.mip.search.Portfolio", HighsAlone)
    alone = [search(problem, goal, budget=Budget(60)) for problem, goal in cases]
    assert all(found.optimal for found in [*both, *alone])
    assert [found.best.values for found in both] == [found.best.values for found in alone]


@settings(max_examples=25, deadline=None)
@given(odd | dividing, st.sampled_from(GOALS))
def test_one_worker_and_two_reach_the_same_optimum(problem, goal):
    model = CountModel(problem, goal, Budget())
    (stage,) = model.stages
    model.program.objective = model.objective(stage)
    one, two = (CpSat().run(model.program, budget=Budget(), workers=workers) for workers in (1, 2))
    assert (one.outcome, one.bound) == (two.outcome, two.bound)
    assert one.settled


@settings(max_examples=20, deadline=None)
@given(odd | dividing, st.permutations(["balance", "moves", "consolidate"]), st.integers(2, 3))
def test_each_objective_breaks_ties_of_those_before_it(problem, names, count):
    """Fix the first at its optimum, then ask for the second alone: the same as both at once."""
    goal = Goal(tuple(names[:count]), move_running=True)
    found = search(problem, goal, budget=Budget())
    first = search(problem, Goal((names[0],), move_running=True), budget=Budget())
    assert found.infeasible == first.infeasible
    if not found.infeasible:
        assert found.optimal
        assert found.best.values[0] == first.best.values[0]
