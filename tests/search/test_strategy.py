import threading
import time

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.laws.test_properties import asked, assert_sound, small, values_of
from tests.search.bounds.test_slots import spread
from tests.search.test_lns import random_cluster
from tests.solvers.test_highs import children
from tests.support.brute import World
from tests.support.campaigns import often
from vmplace import VM, Apart, Cluster, Guarantee, Node
from vmplace.synthetic import generate

OPEN = spread((8,) * 4, [(2, 4), (1, 4), (4,), (8,)])
"""Bounds say that 4 must be moved; it is 5."""
UNEVEN = spread((8,) * 4, [(5, 3), (5,), (5,), (3, 2)])
"""Bounds say 7/8; it is 1."""
ODD = [5, 4, 4, 4, 4, 3, 3, 3]
"""In nodes of 10, sums and slots want three; it is four."""
MOVES = {"objective": "moves", "move_running": True}
BALANCE = {"objective": "balance", "move_running": True}


def limit(monkeypatch, **limits):
    """Have small clusters treated as large ones are."""
    for name, value in limits.items():
        monkeypatch.setattr(f"vmplace.search.strategy._{name}", value)


def waiting(usable, sizes):
    return Cluster([Node(f"n{i}", size) for i, size in enumerate(usable)], [VM(f"v{i}", size) for i, size in enumerate(sizes)])


def told(solution):
    return solution.status, solution.method, next(iter(solution.stats["bound_by"].values()))


# Who answers, and who gives the bound


@pytest.mark.parametrize(
    ("cluster", "options", "answer", "value"),
    [
        (spread((8,) * 4, [(4, 1)] * 4), MOVES, ("optimal", "exact", "bounds"), 2),
        (OPEN, MOVES, ("optimal", "exact", "cp-sat"), 5),
        (UNEVEN, BALANCE, ("optimal", "exact", "cp-sat"), 1),
        (UNEVEN, {**BALANCE, "method": "exact"}, ("optimal", "exact", "cp-sat"), 1),
        (waiting((10,) * 4, (4, 4, 3, 3, 3, 3)), {"objective": "consolidate"}, ("optimal", "exact", "bounds"), 3),
        (waiting((10,) * 5, ODD), {"objective": "consolidate"}, ("optimal", "exact", "bin packing"), 5),
        (OPEN, {**MOVES, "method": "greedy"}, ("feasible", "greedy", "bounds"), None),
        (spread((8,) * 4, [(4, 1)] * 4), {**MOVES, "method": "greedy"}, ("optimal", "greedy", "bounds"), 2),
    ],
)
def test_on_a_small_cluster(cluster, options, answer, value):
    solution = vmplace.place(cluster, **options)
    assert told(solution) == answer
    assert value is None or solution.objective == solution.bound == value


@pytest.mark.parametrize(
    ("cluster", "options", "answer"),
    [
        # The coarse model proves it.
        (OPEN, MOVES, ("optimal", "improve", "highs")),
        (OPEN, {**MOVES, "method": "exact"}, ("optimal", "improve", "highs")),
        # Neighbourhoods end without a proof; only `exact` goes on.
        (UNEVEN, BALANCE, ("feasible", "improve", "bounds")),
        (UNEVEN, {**BALANCE, "method": "exact"}, ("optimal", "exact", "cp-sat")),
        pytest.param(
            spread((16, 14, 8, 8), [(8, 1, 1), (5, 2), (2, 2, 1, 1), (4, 1)]),
            BALANCE,
            ("optimal", "improve", "bounds"),
            marks=pytest.mark.slow,
        ),
        (waiting((10,) * 5, ODD), {"objective": "consolidate"}, ("optimal", "exact", "bin packing")),
    ],
)
def test_on_more_than_one_model_takes(monkeypatch, cluster, options, answer):
    limit(monkeypatch, WHOLE_COUNTS=0)
    if answer[2] != "highs":
        monkeypatch.setattr("vmplace.search.lns._TRIES", 10)
    solution = vmplace.place(cluster, **options)
    assert told(solution) == answer
    assert ("neighbourhoods" in solution.stats) == (answer[2] != "bin packing")
    best = World(cluster).optimum(options["objective"], move_running=options.get("move_running", False))
    optimum = values_of(best.costs, options["objective"])
    assert solution.bound <= optimum <= solution.objective
    assert solution.status == "feasible" or solution.bound == solution.objective


@pytest.mark.parametrize(
    ("limits", "method", "name"),
    [
        ({"WHOLE_NODES": 4, "WHOLE_COUNTS": 20}, "auto", "exact"),
        ({"WHOLE_NODES": 3}, "auto", "improve"),
        ({"WHOLE_COUNTS": 11}, "auto", "improve"),
        ({"IMPROVED_NODES": 3}, "auto", "greedy"),
        ({"IMPROVED_NODES": 3}, "exact", "exact"),
        ({"IMPROVED_NODES": 4}, "auto", "exact"),
        ({"IMPROVED_COUNTS": 3}, "auto", "greedy"),
        ({"IMPROVED_COUNTS": 3}, "exact", "greedy"),
    ],
)
def test_where_one_way_ends_and_the_next_begins(monkeypatch, limits, method, name):
    limit(monkeypatch, **limits)
    monkeypatch.setattr("vmplace.search.lns._TRIES", 3)
    assert vmplace.place(UNEVEN, **BALANCE, method=method).method == name


def test_without_a_first_placement_the_whole_is_searched(monkeypatch):
    monkeypatch.setattr("vmplace.search.strategy.construct", lambda *_, **__: None)
    monkeypatch.setattr("vmplace.search.strategy.repair_nodes", lambda *_, **__: None)
    limit(monkeypatch, WHOLE_COUNTS=0)
    solution = vmplace.place(OPEN, **MOVES)
    assert told(solution) == ("optimal", "exact", "cp-sat")
    assert vmplace.place(OPEN, **MOVES, time_limit=0).status == "unknown"
    assert vmplace.place(OPEN, **MOVES, max_migrated=4).status == "infeasible"


def test_what_one_model_leaves_open_neighbourhoods_improve():
    cluster = generate(nodes=64, fill=0.97, profile="flavors", placed="worst-fit", seed=1)
    solution = vmplace.place(cluster, **MOVES, time_limit=2)
    assert (solution.status, solution.method) == ("feasible", "exact")
    assert solution.stats["searches"] > 0
    assert solution.stats["neighbourhoods"] > 0
    assert solution.bound < solution.objective


@often(10, 700)
@pytest.mark.parametrize("limits", [{"WHOLE_COUNTS": 0}, {"WHOLE_COUNTS": 0, "COARSE_SHARE": 0}, {"IMPROVED_NODES": 0}])
def test_whatever_the_way_it_is_sound(monkeypatch, limits, examples):
    limit(monkeypatch, **limits)
    monkeypatch.setattr("vmplace.search.lns._TRIES", 10)

    @settings(max_examples=examples, deadline=None)
    @given(small.filter(online), asked, st.booleans(), st.sampled_from(["auto", "exact"]))
    def law(cluster, options, best_effort, method):
        options = {**options, "best_effort": best_effort}
        best = World(cluster).optimum(**options)
        solution = vmplace.place(cluster, method=method, **options)
        assert_sound(solution, best, **options)
        assert limits.get("IMPROVED_NODES") == 0 or (solution.placement is None or bool(solution.unsolved)) == (best is None)

    law()


def online(cluster):
    return any(node.state == "online" for node in cluster.nodes)


# Repeatability and the end


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [BALANCE, MOVES, {**BALANCE, "objective": ("balance", "moves")}, {**MOVES, "objective": ("moves", "balance")}]
)
def test_measured_in_work_it_ends_the_same(monkeypatch, options):
    limit(monkeypatch, WHOLE_COUNTS=0)
    for cluster in (OPEN, random_cluster(4)):
        first, second = (vmplace.place(cluster, **options, seed=2, deterministic=True, time_limit=6) for _ in range(2))
        assert first.placement == second.placement
        assert (told(first), first.objective, first.bound) == (told(second), second.objective, second.bound)
        assert {**first.stats, "seconds": 0} == {**second.stats, "seconds": 0}


def test_cancelled_beside_the_coarse_model_it_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr("vmplace.search.strategy._WHOLE_COUNTS", 0)
    cluster = generate(nodes=32, fill=0.97, profile="flavors", placed="worst-fit", seed=1)
    threads, cancel, start = threading.active_count(), threading.Event(), time.monotonic()
    timer = threading.Timer(1.2, cancel.set)
    timer.start()
    solution = vmplace.place(cluster, **MOVES, cancel=cancel)
    assert time.monotonic() - start < 5
    assert solution.method == "improve"
    timer.join()
    assert not children()
    assert threading.active_count() == threads


# Defects


def test_what_bin_packing_refutes():
    solution = vmplace.place(waiting((10,) * 4, ODD), objective="consolidate")
    assert solution.status == "infeasible"


@pytest.mark.parametrize("limits", [{"search.strategy._WHOLE_COUNTS": 0}, {"solvers.portfolio._ALONE": 1e-9}])
def test_measured_in_work_without_a_time_limit(monkeypatch, limits):
    for name, value in limits.items():
        monkeypatch.setattr(f"vmplace.{name}", value)
    assert vmplace.place(OPEN, **MOVES, time_limit=None, deterministic=True).objective == 5


def test_a_wish_that_is_kept_does_not_end_the_search(monkeypatch):
    limit(monkeypatch, WHOLE_COUNTS=0)
    cluster = spread((16, 14, 8, 8), [(8, 1, 1), (5, 2), (2, 2, 1, 1), (4, 1)])
    wish = evolve(cluster, rules=[Apart(["v0-0", "v1-0"], must=False)])
    assert vmplace.place(wish, **BALANCE).objective == vmplace.place(cluster, **BALANCE).objective


def test_no_node_is_online(monkeypatch):
    limit(monkeypatch, WHOLE_COUNTS=0)
    cluster = Cluster([Node("m", 8, state="maintenance")], [VM("a", 4, "m")])
    assert vmplace.place(cluster, best_effort=True).status == "feasible"


def test_a_best_effort_in_any_order_begins_with_what_is_best_by_plans():
    cluster = evolve(waiting([8, 9, 10], [4, 6, 5, 6]), guarantee=Guarantee(restart="any-order"))
    solution = vmplace.place(cluster, objective="moves", best_effort=True)
    best = World(cluster).optimum("moves", best_effort=True)
    assert World(cluster).total_loss(solution.placement) == best.lost == (17,)
