from fractions import Fraction

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.failover.certify import certify_all
from vmplace.failover.regression import lost_memory
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import CandidatePlacement, Goal, losses
from vmplace.search.mip.model import CountModel
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.program import Outcome
from vmplace.testing import clusters

MOVES, BALANCE = Goal(("moves",), move_running=True), Goal(("balance",), move_running=True)
GOALS = (MOVES, BALANCE, Goal(("balance", "moves"), move_running=True), Goal(("balance",)), Goal(("moves",), True, max_moves=2))


def candidate(problem, goal, placement, cluster):
    """A placement by names as a candidate."""
    index = {node.name: i for i, node in enumerate(cluster.nodes)}
    node_of = np.array([index[placement[cluster.vms[v].name]] for v in problem.original], dtype=np.int64)
    powered = problem.online | np.isin(np.arange(problem.n_nodes), node_of) if "consolidate" in goal.objectives else None
    verdict = certify_all(problem, node_of, budget=Budget(), powered=powered)
    return CandidatePlacement(node_of, powered, verdict, goal.values(problem, node_of, verdict, powered))


def broken_rows(program, values):
    outside = [v for v, value in enumerate(values) if not program.lower[v] <= value <= program.upper[v]]
    sums = [(program.value(terms, values), low, high) for terms, low, high in program.rows]
    return outside + [s for s in sums if (s[1] is not None and s[0] < s[1]) or (s[2] is not None and s[0] > s[2])]


def written_out(problem, goal):
    model = CountModel(problem, goal, Budget())
    assert all(model.guarantees[0].restarts.write_out((node,)) for node in range(problem.n_nodes))
    assert not any(model.guarantees[0].restarts.write_out((node,)) for node in range(problem.n_nodes))
    return model


@settings(max_examples=30, deadline=None)
@given(clusters(max_nodes=4, max_vms=5, failures=(1, 1, 0)), st.sampled_from(GOALS), st.booleans(), st.data())
def test_every_row_holds_for_every_placement_that_is_safe(cluster, goal, written, data):
    world = World(cluster)
    safe = [p for p in world.placements(goal.move_running) if world.all_survivable(p)]
    safe = [p for p in safe if goal.max_moves is None or len(world.moved(p)) <= goal.max_moves]
    problem = compile_problem(cluster)
    if not safe:
        return
    model = written_out(problem, goal) if written and problem.failures else CountModel(problem, goal, Budget())
    one = candidate(problem, goal, data.draw(st.sampled_from(safe)), cluster)
    values = model.variables.hint(one)
    assert broken_rows(model.program, values) == []
    node_of, _ = model.variables.placement(tuple(values))
    assert (problem.counts(node_of) == problem.counts(one.node_of)).all()
    assert goal.allowed(problem, node_of)


@settings(max_examples=25, deadline=None)
@given(clusters(max_nodes=3, max_vms=5), st.booleans(), st.data())
def test_every_row_holds_for_what_a_best_effort_loses(cluster, limited, data):
    world, problem = World(cluster), compile_problem(cluster)
    goal = evolve(BALANCE, best_effort=True, headroom=False)
    right = list(world.placements(True, headroom=False))
    if not right or any(node.state == "maintenance" for node in cluster.nodes):
        return
    one = candidate(problem, goal, data.draw(st.sampled_from(right)), cluster)
    verdict = one.under(problem)
    lost = losses(problem, verdict)
    scenarios = verdict.state.scenarios
    memory = lost_memory(verdict)
    worst = {scenarios.key(number): memory.get(number, {}) for number in range(len(scenarios))}
    model = written_out(problem, evolve(goal, worst=(worst,) if limited else None))
    values = tuple(model.variables.hint(one))
    assert broken_rows(model.program, values) == []
    assert [model.guarantees[0].losses.in_values(values, scenarios.key(number)) for number in range(len(scenarios))] == lost


@settings(max_examples=25, deadline=None)
@given(
    st.one_of(
        clusters(max_nodes=4, max_vms=6, rules=False, failures=(1,)),
        clusters(max_nodes=4, max_vms=5, rules=False, failures=(1,), resources=True),
    )
)
def test_the_fully_written_model_is_exact(cluster):
    problem = compile_problem(cluster)
    model = written_out(problem, MOVES)
    model.program.objective = model.objective(("moves", 0))
    answer = CpSat().solve(model.program, budget=Budget())
    best = World(cluster).optimum("moves", move_running=True)
    assert (answer.outcome is Outcome.INFEASIBLE) == (best is None)
    if best is not None:
        assert model.bound(("moves", 0), model.program.value(model.objective(("moves", 0)), answer.values)) == best.costs[0]


def test_what_may_be_exceeded_in_a_failover_limits_no_restart():
    nodes = [Node("n0", 2, resources={"disk": 1}), Node("n1", 2, resources={"disk": 5})]
    problem = compile_problem(Cluster(nodes, [VM("v", 2, resources={"disk": 5})], soft_resources=("disk",)))
    model = written_out(problem, BALANCE)
    model.program.objective = model.objective(("balance", 0))
    assert CpSat().solve(model.program, budget=Budget()).outcome is Outcome.OPTIMAL


def uneven(*usable, vms):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    return compile_problem(Cluster(nodes, [VM(f"v{i}", size) for i, size in enumerate(vms)], guarantee=Guarantee(failures=0)))


def test_a_bound_on_the_scaled_peak_is_the_next_share_there_is():
    model = CountModel(uneven(10, 7, vms=(2, 4)), BALANCE, Budget())
    stage = ("balance", 0)  # in parts of 35
    assert model.bound(stage, 0) == 0
    assert model.bound(stage, 1) == Fraction(2, 10)
    assert model.bound(stage, 7) == Fraction(2, 10)
    assert model.bound(stage, 8) == Fraction(2, 7)


def test_on_equal_nodes_the_peak_is_counted_in_the_vms_common_divisor():
    model = CountModel(uneven(10, 10, vms=(2, 4)), BALANCE, Budget())
    assert model.bound(("balance", 0), 3) == Fraction(6, 10)


@pytest.mark.parametrize(("strictly", "outcome"), [(False, Outcome.FEASIBLE), (True, Outcome.INFEASIBLE)])
@pytest.mark.parametrize("usable", [(10, 10), (10, 15)])
def test_holding_a_peak(strictly, outcome, usable):
    problem = uneven(*usable, vms=(6, 6))
    best = search(problem, BALANCE, budget=Budget()).best
    model = CountModel(problem, BALANCE, Budget())
    model.hold(("balance", 0), best.values[0], strictly=strictly)
    found = CpSat().solve(model.program, budget=Budget()).outcome
    assert (found is Outcome.INFEASIBLE) == (outcome is Outcome.INFEASIBLE)


def test_who_must_stay_where_nobody_may_be_makes_it_infeasible():
    nodes, vms = [Node("n0", 4), Node("n1", 9)], [VM("a", 5, "n0", movable=False)]
    model = CountModel(compile_problem(Cluster(nodes, vms)), MOVES, Budget())
    assert CpSat().solve(model.program, budget=Budget()).outcome is Outcome.INFEASIBLE


def test_who_may_stay_stays_though_all_of_a_class_are_alike():
    nodes = [Node("n0", 9), Node("n1", 9)]
    vms = [VM("a", 2), VM("b", 2, "n0"), VM("c", 2, "n0", movable=False), VM("d", 2, "n1")]
    problem = compile_problem(Cluster(nodes, vms))
    model = CountModel(problem, MOVES, Budget())
    values = [0] * len(model.program.lower)
    counts = iter(((0, 1), (1, 3)))  # one of the class on n0, three on n1
    for variable, count in counts:
        values[variable] = count
    node_of, powered = model.variables.placement(tuple(values))
    assert node_of.tolist() == [1, 1, 0, 1]
    assert powered is None


@pytest.mark.slow
def test_more_sizes_than_rows_are_made_for():
    sizes = list(range(40, 80))
    problem = uneven(*[900] * 5, vms=sizes)
    problem = evolve(problem, guarantee=Guarantee())
    found = search(problem, BALANCE, budget=Budget(20), start=None)
    assert found.best.verdict.safe


@pytest.mark.parametrize("usable", [(2**26, 2**26 - 1, 2**26 - 3), (2**26,) * 3])
def test_absurd_memory_stays_within_the_solvers_numbers(usable):
    problem = uneven(*usable, vms=[2**25 - 1, 2**25 - 3, 2**25 - 5, 3, 2, 1])
    found = search(evolve(problem, guarantee=Guarantee()), BALANCE, budget=Budget(5))
    assert found.best.verdict.safe
    assert found.bounds[0] <= found.best.values[0]


def test_making_a_model_takes_no_more_time_than_there_is():
    with pytest.raises(OutOfTimeError):
        CountModel(uneven(10, 10, vms=(2, 4)), BALANCE, Budget(0))


def fixed_on_the_first(sizes, usable, rules=()):
    nodes = [Node("n0", 100), *(Node(f"n{i}", size) for i, size in enumerate(usable, 1))]
    vms = [VM(f"v{i}", size, "n0", movable=False) for i, size in enumerate(sizes)]
    return compile_problem(Cluster(nodes, vms, rules))


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (fixed_on_the_first((7, 7, 5, 5, 3), (16, 11)), Outcome.INFEASIBLE),
        (fixed_on_the_first((7, 7, 5, 5, 3), (17, 10)), Outcome.OPTIMAL),
        (fixed_on_the_first((2, 2), (2, 2), [Together(["v0", "v1"])]), Outcome.INFEASIBLE),
        (fixed_on_the_first((2, 2), (2, 4), [Together(["v0", "v1"])]), Outcome.OPTIMAL),
        (fixed_on_the_first((2,), (4, 4), [OnlyOn(["v0"], ["n0"])]), Outcome.INFEASIBLE),
    ],
)
def test_a_failure_written_out_is_judged_exactly(problem, outcome):
    model = written_out(problem, MOVES)
    model.program.objective = model.objective(("moves", 0))
    assert CpSat().solve(model.program, budget=Budget()).outcome is outcome


def test_a_size_that_tells_gets_rows_when_a_placement_shows_it(monkeypatch):
    monkeypatch.setattr("vmplace.search.mip.guarantee.thresholds", lambda sizes, thinned=0: [int(sizes.min())])
    problem = fixed_on_the_first((5, 5, 5, 2), (9, 9))
    model, first = CountModel(problem, MOVES, Budget()), np.array([0])
    assert CpSat().solve(model.program, budget=Budget()).outcome is Outcome.OPTIMAL
    rows = len(model.program.rows)
    assert model.guarantees[0].slots.sharpen(problem.node_of, None, first)
    assert CpSat().solve(model.program, budget=Budget()).outcome is Outcome.INFEASIBLE
    more = len(model.program.rows)
    assert model.guarantees[0].slots.sharpen(problem.node_of, None, first)
    assert rows < more == len(model.program.rows)


def test_where_no_size_tells_no_rows_are_added():
    problem = fixed_on_the_first((7, 7, 5, 5, 3), (16, 11))
    assert not CountModel(problem, MOVES, Budget()).guarantees[0].slots.sharpen(problem.node_of, None, np.array([0]))


@pytest.mark.parametrize(
    ("worst", "feasible"), [((2, 2), True), ((2, 0), False), ((3, 0), True), ((4, 0), True), ((0, 9), False), ((1, 9), False)]
)
def test_no_worse_is_meant_by_priority(worst, feasible):
    vms = [VM("high", 2, "n0", priority=1), VM("low", 2, "n0"), VM("full", 4, "n1", protected=False)]
    problem = compile_problem(Cluster([Node("n0", 4), Node("n1", 4)], vms))
    goal = Goal(("balance",), best_effort=True, worst=({(0,): dict(zip((1, 0), worst, strict=True)), (1,): {}},))
    found = search(problem, goal, budget=Budget())
    assert found.infeasible == (not feasible)
