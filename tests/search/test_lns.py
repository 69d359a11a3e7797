import threading
import time
from random import Random

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_properties import OBJECTIVES, PLAIN, values_of
from tests.search.bounds.test_slots import spread
from tests.search.mip.test_model import candidate
from tests.search.mip.test_relaxation import CRUMBS
from tests.support.brute import World
from tests.support.campaigns import often
from tests.support.plans import backups
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.auditor.audit import audit
from vmplace.failover.regression import lost_memory
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.goal import Goal
from vmplace.search.greedy import construct
from vmplace.search.lns import Neighbourhood, improve, repair_nodes
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate
from vmplace.testing import clusters

BALANCE, MOVES = Goal(("balance",), move_running=True), Goal(("moves",), move_running=True)
GOALS = [Goal((name,) if isinstance(name, str) else name, move_running=True) for name in OBJECTIVES]

anything = st.one_of(
    clusters(min_nodes=2, max_nodes=4, max_vms=5),
    clusters(min_nodes=2, max_nodes=4, max_vms=5, failures=(1, 0), rules=False),
    clusters(min_nodes=3, max_nodes=4, max_vms=5, placed="all", **{**PLAIN, "immovable": True}),
)


def improved(problem, goal, start, *, budget=None, **options):
    bounds = tuple(least(problem, goal, stage) for stage in goal.stages(problem))
    return improve(problem, goal, start, budget=budget or Budget(60), bounds=bounds, **options)


def assert_acceptable(cluster, problem, goal, found):
    assert goal.allowed(problem, found.node_of)
    assert goal.accepts(problem, found.verdict)
    assert found.values == goal.values(problem, found.node_of, found.verdict, found.powered)
    names = Names(cluster, problem)
    powered = None if found.powered is None else [names.node(i) for i in np.flatnonzero(found.powered)]
    wrong = audit(
        cluster, names.hosts(found.node_of), names.column(backups(found.under(problem).restarts, problem.n_vms)), powered=powered
    )
    assert {violation.kind for violation in wrong} <= ({"unprotected"} if goal.best_effort else set())


def right(cluster, goal):
    """All placements that the goal allows, as candidates, from the worst on."""
    problem, world = compile_problem(cluster), World(cluster)
    found = [
        candidate(problem, goal, placement, cluster)
        for placement in world.placements(goal.move_running)
        if goal.best_effort or world.all_survivable(placement)
    ]
    return sorted((one for one in found if goal.allowed(problem, one.node_of)), key=lambda one: one.values, reverse=True)


def worst_of(joint):
    (verdict,) = joint.parts
    scenarios, lost = verdict.state.scenarios, lost_memory(verdict)
    return ({scenarios.key(number): lost.get(number, {}) for number in range(len(scenarios))},)


@pytest.mark.slow
@often(40)
def test_it_is_never_worse_and_always_acceptable(examples):
    @settings(max_examples=examples, deadline=None)
    @given(
        anything,
        st.sampled_from(GOALS),
        st.sampled_from([{}, {}, {"move_running": False}, {"max_moves": 2}, {"max_migrated": 6}, {"best_effort": True}]),
        st.integers(0, 9),
        st.data(),
    )
    def law(cluster, goal, options, seed, data):
        goal, problem = evolve(goal, **options), compile_problem(cluster)
        starts = right(cluster, goal)
        if not starts or not problem.online.any():
            return
        start = data.draw(st.sampled_from(starts))
        if goal.best_effort and data.draw(st.booleans()):
            goal = evolve(goal, worst=worst_of(start.verdict))
        best, stats = improved(problem, goal, start, seed=seed, steps=4)
        assert best.values <= start.values
        assert (best.values < start.values) == (stats["improvements"] > 0)
        assert 0 <= stats["improvements"] <= stats["neighbourhoods"] <= 4
        assert_acceptable(cluster, problem, goal, best)

    law()


def random_cluster(seed):
    """Nodes with VMs of many sizes, most of them placed anyhow: safe placements are few."""
    chance = Random(seed)
    free, homes = [12, 12, 12, 15], [[] for _ in range(5)]
    while sum(map(sum, homes)) < 28:
        size, node = chance.choice((1, 2, 3, 4, 5)), chance.randrange(4)
        if free[node] >= size + 2:
            free[node] -= size
            homes[node if chance.random() < 0.8 else 4].append(size)
    return spread((12, 12, 12, 15), homes)


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("seed", [9, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (5, 7))])
@pytest.mark.parametrize("objectives", [("moves", "balance"), ("balance", "moves")])
def test_it_reaches_the_optimum(monkeypatch, objectives, seed, few):
    if few:  # no neighbourhood is the whole cluster
        monkeypatch.setattr("vmplace.search.lns._MOST", 5)
    cluster, goal = random_cluster(seed), Goal(objectives, move_running=True)
    problem = compile_problem(cluster)
    optimum = values_of(World(cluster).optimum(objectives, move_running=True).costs, objectives)
    start = construct(problem, goal, budget=Budget())
    best, stats = improved(problem, goal, start, steps=80, enough=lambda candidate: candidate.values == optimum)
    assert best.values == optimum < start.values
    assert 0 < stats["improvements"] <= stats["neighbourhoods"] < 80
    assert_acceptable(cluster, problem, goal, best)


@pytest.mark.parametrize("goal", [evolve(GOALS[0], move_running=False), *GOALS, evolve(GOALS[3], max_moves=2)])
def test_the_same_seed_takes_the_same_steps(goal):
    problem = compile_problem(random_cluster(4))
    start = construct(problem, goal, budget=Budget())
    ends = [improved(problem, goal, start, seed=seed, steps=6) for seed in (1, 1)]
    assert len({tuple(best.node_of) for best, _ in ends}) == 1
    assert ends[0][1] == ends[1][1]
    assert ends[0][0].values == ends[1][0].values


def test_fewer_steps_are_a_part_of_more():
    problem, goal = compile_problem(random_cluster(4)), GOALS[4]
    start = construct(problem, goal, budget=Budget())
    values = [improved(problem, goal, start, seed=2, steps=steps)[0].values for steps in range(5)]
    assert values[0] == start.values
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def never_done(problem, goal, **options):
    """A search whose bound nobody meets, from a placement that does not care where VMs are."""
    spread_out = construct(problem, BALANCE, budget=Budget())
    assert spread_out is not None
    start = evolve(spread_out, values=goal.values(problem, spread_out.node_of, spread_out.verdict, None))
    return start, improve(problem, goal, start, bounds=(-1,), **options)


@pytest.mark.parametrize("goal", [BALANCE, MOVES])
def test_it_ends_where_nothing_helps(monkeypatch, goal):
    monkeypatch.setattr("vmplace.search.lns._TRIES", 5)
    start, (best, stats) = never_done(compile_problem(CRUMBS), goal, budget=Budget(60))
    assert best.values <= start.values
    assert 5 <= stats["neighbourhoods"] <= 5 * (1 + stats["improvements"])


def test_it_ends_when_told():
    problem = compile_problem(generate(nodes=8, fill=0.9, profile="flavors", seed=1, placed="worst-fit"))
    start, (best, stats) = never_done(problem, MOVES, budget=Budget(0))
    assert (best, stats["neighbourhoods"]) == (start, 0)
    start, (best, stats) = never_done(problem, MOVES, budget=Budget(60), enough=lambda candidate: True)
    assert (best, stats["neighbourhoods"]) == (start, 0)
    start, (best, _) = never_done(problem, MOVES, budget=Budget(60), enough=lambda candidate: candidate.values < start.values)
    assert best.values < start.values
    began, cancel = time.monotonic(), threading.Event()
    threading.Timer(1, cancel.set).start()
    start, (best, _) = never_done(problem, MOVES, budget=Budget(60, cancel))
    assert best.values < start.values
    assert time.monotonic() - began < 5


def test_it_ends_where_the_bound_is_met_and_tells_of_progress():
    problem, told = compile_problem(CRUMBS), []
    # The 4 of the last two nodes have changed places in vain.
    exchanged = {vm.name: vm.node for vm in CRUMBS.vms} | {"v0-1": "n2", "v1-1": "n3", "v2-0": "n3", "v3-0": "n2"}
    start = candidate(problem, MOVES, exchanged, CRUMBS)
    best, stats = improved(problem, MOVES, start, budget=Budget(60, progress=told.append))
    assert (start.values, best.values) == ((10,), (2,))
    assert 0 < stats["improvements"] <= stats["neighbourhoods"] < 400
    assert told[-1].value == 2


def test_rules_and_those_who_stay_are_respected():
    cluster = spread((8,) * 3, [(4, 1), (4, 1), (4, 1)])
    vms = [evolve(vm, movable=vm.name != "v0-1") for vm in cluster.vms]
    ruled = evolve(cluster, vms=vms, rules=[Together(["v1-1", "v2-0"]), Apart(["v0-1", "v1-1"], must=False, weight=2)])
    goal, starts = GOALS[3], right(ruled, GOALS[3])
    best = World(ruled).optimum(goal.objectives, move_running=True)
    assert best.costs > World(cluster).optimum(goal.objectives, move_running=True).costs
    for start in starts[:: 1 + len(starts) // 4]:
        found, _ = improved(compile_problem(ruled), goal, start, steps=9)
        assert found.values == best.costs
        assert_acceptable(ruled, compile_problem(ruled), goal, found)


@pytest.mark.parametrize("waits", [0, 1])
def test_a_best_effort_loses_less_and_less(waits):
    cluster, goal = spread((8,) * 3, [(5, 1), (5, 2), (1,), (4,) * waits]), evolve(BALANCE, best_effort=True)
    best = World(cluster).optimum("balance", move_running=True, best_effort=True)
    assert any(best.lost) == (waits > 0)
    starts = [start for start in right(cluster, goal) if len(set(start.node_of)) == 3]
    for start in starts[:: 1 + len(starts) // 5]:
        found, _ = improved(compile_problem(cluster), goal, start, steps=9)
        assert found.values == (*best.lost, best.costs[-1])
        assert_acceptable(cluster, compile_problem(cluster), goal, found)


def test_an_empty_node_is_used():
    cluster = spread((8,) * 3, [(2, 3), (2, 3), ()])
    problem = compile_problem(cluster)
    start = candidate(problem, BALANCE, {vm.name: vm.node for vm in cluster.vms}, cluster)
    best, _ = improved(problem, BALANCE, start, steps=20)
    assert best.values[0] == World(cluster).optimum("balance", move_running=True).costs[-1] < start.values[0]


def test_only_freed_vms_move_and_what_the_others_moved_is_spent():
    nodes = [Node(f"n{i}", 20) for i in range(3)]
    vms = [VM("a", 4, "n0"), VM("b", 3, "n0"), VM("c", 2, "n1"), VM("waits", 1), VM("fixed", 1, "n2", movable=False)]
    problem = compile_problem(Cluster(nodes, vms))
    goal = Goal(("moves",), move_running=True, max_moves=5, max_migrated=10)
    now = np.array([1, 0, 2, 2, 2])  # a and c have moved
    anywhere = problem.online
    part, aim = Neighbourhood(problem, goal, now, np.array([2, 4]), anywhere).subproblem()
    assert part.node_of.tolist() == [1, 0, 1, 2, 2]
    assert goal.free(part).tolist() == [False, False, True, False, False]
    assert (aim.max_moves, aim.max_migrated) == (4, 6)
    unlimited = evolve(goal, max_moves=None, max_migrated=None)
    part, aim = Neighbourhood(problem, unlimited, now, np.array([3]), anywhere).subproblem()
    assert goal.free(part).tolist() == [False, False, False, True, False]
    assert (aim.max_moves, aim.max_migrated) == (None, None)


def mended(cluster, goal=MOVES, seed=0):
    problem = compile_problem(cluster)
    found = repair_nodes(problem, goal, budget=Budget(30), seed=seed)
    if found is not None:
        assert found.verdict.safe
        assert goal.allowed(problem, found.node_of)
        assert found.values == goal.values(problem, found.node_of, found.verdict, found.powered)
    return problem, found


def test_a_large_cluster_is_mended_on_a_few_nodes():
    cluster = generate(nodes=100, fill=0.9, profile="flavors", seed=1, placed="worst-fit")
    problem, found = mended(cluster)
    changed = np.flatnonzero(problem.node_of != found.node_of)
    touched = np.union1d(problem.node_of[changed], found.node_of[changed])
    assert len(touched) <= 16
    assert found.values[0] < 512 * 1024


def test_the_same_seed_mends_the_same_way():
    cluster = generate(nodes=24, fill=0.9, profile="flavors", seed=2, placed="worst-fit")
    first, second = (mended(cluster, seed=5)[1] for _ in range(2))
    assert (first.node_of == second.node_of).all()


@pytest.mark.parametrize(
    ("vms", "rules"),
    [
        ([VM("waits", 3)], []),
        ([VM("astray", 3, "n0")], [OnlyOn(["astray"], ["n1", "n2"])]),
        ([VM("a", 2, "n0"), VM("b", 2, "n0")], [Apart(["a", "b"])]),
        ([VM("a", 6, "n0"), VM("b", 5, "n0")], []),
    ],
)
def test_what_cannot_stay_is_placed(vms, rules):
    nodes = [Node(f"n{i}", 10) for i in range(8)]
    _, found = mended(Cluster(nodes, [*vms, *(VM(f"v{i}", 2, f"n{i}") for i in range(3, 8))], rules))
    assert found is not None
    assert (found.node_of >= 0).all()


def test_what_cannot_be_mended_is_not():
    nodes = [Node("n0", 10), Node("n1", 10)]
    assert mended(Cluster(nodes, [VM("a", 6, "n0"), VM("b", 6, "n1")]))[1] is None
    assert mended(Cluster(nodes, [VM("a", 6, "n0", movable=False), VM("b", 5, "n0", movable=False)]))[1] is None
    problem = compile_problem(Cluster(nodes, [VM("a", 6, "n0")]))
    assert repair_nodes(problem, MOVES, budget=Budget(0)) is None


def test_neighbourhoods_mend_soft_rules():
    nodes = [Node(f"n{i}", 40) for i in range(5)]
    vms = [VM(f"v{i}", 2 + i % 3, f"n{i % 5}", home=f"n{(i + 3) % 5}" if i % 5 == 0 else None) for i in range(20)]
    rules = [
        Apart([f"v{i}" for i in range(0, 20, 5)], must=False, weight=2),
        Together([f"v{i}" for i in range(1, 5)], must=False),
        OnlyOn([f"v{i}" for i in range(6, 10)], ["n0", "n1"], must=False),
    ]
    cluster, goal = Cluster(nodes, vms, rules), Goal(("rules",), move_running=True)
    problem = compile_problem(cluster)
    start = candidate(problem, goal, {vm.name: vm.node for vm in vms}, cluster)
    best, _ = improved(problem, goal, start, steps=20)
    assert (start.values[0], best.values[0]) == (2 * 6 + 3 + 3 + 4, 3)  # of four at home on one node three are apart from it
