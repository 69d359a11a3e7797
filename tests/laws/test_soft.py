"""Soft rules that cannot all be kept: what is placed costs the least, as trying everything tells."""

from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Node, NotOn, OnlyOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.goal import Goal
from vmplace.testing import clusters

OBJECTIVES = (
    "rules",
    "balance",
    "moves",
    "consolidate",
    ("rules", "moves"),
    ("moves", "balance"),
    ("balance", "moves"),
    ("consolidate", "moves"),
    ("moves", "rules", "balance"),
)


@st.composite
def crowded(draw: Any) -> Cluster:
    """Few nodes, some in one rack, and groups under soft rules that are larger than what there is for them."""
    count = draw(st.integers(2, 4))
    nodes = [Node(f"n{i}", draw(st.integers(6, 12)), domain=draw(st.sampled_from((None, "r", "s")))) for i in range(count)]
    places = st.none() | st.sampled_from([node.name for node in nodes])
    size = draw(st.integers(2, 5))
    homes = st.none() | st.sampled_from([*(node.name for node in nodes), "gone"])
    vms = [VM(f"v{i}", draw(st.integers(1, 3)), draw(places), home=draw(homes)) for i in range(size)]
    groups = st.lists(st.sampled_from([vm.name for vm in vms]), min_size=min(3, size), unique=True)
    some = st.lists(st.sampled_from([node.name for node in nodes]), min_size=1, max_size=count - 1, unique=True)

    def rule() -> Any:
        kind = draw(st.sampled_from((Apart, Apart, Together, OnlyOn, NotOn)))
        more = {"nodes": draw(some)} if kind in (OnlyOn, NotOn) else {}
        if kind is Apart:
            more = {"scope": draw(st.sampled_from(("node", "domain")))}
        weight, during = draw(st.integers(1, 4)), draw(st.booleans())
        must = draw(st.integers(0, 3)) == 0
        return kind(draw(groups), must=must, weight=weight, during_failover=during, **more)

    states = ("online", "online", "online", "maintenance", "offline")
    nodes = [evolve(node, state=draw(st.sampled_from(states))) for node in nodes]
    rules: list[Any] = []
    for wanted in [rule() for _ in range(draw(st.integers(0, 3)))]:
        with suppress(vmplace.InputError):  # of must-rules that contradict each other the first stays
            Cluster(nodes, vms, [*rules, wanted])
            rules.append(wanted)
    return Cluster(nodes, vms, rules)


def softened(cluster: Cluster) -> Cluster:
    return evolve(cluster, rules=[evolve(rule, must=False, weight=1 + i) for i, rule in enumerate(cluster.rules)])


drawn = st.one_of(
    crowded(), crowded(), clusters(max_nodes=4, max_vms=5, domains=True).map(softened), clusters(max_nodes=4, max_vms=5)
)


def costs_are_least(cluster: Cluster, objective: Any, moving: bool, best_effort: bool) -> None:
    world = World(cluster)
    best = world.optimum(objective, move_running=moving, best_effort=best_effort)
    found = vmplace.place(cluster, objective=objective, move_running=moving, best_effort=best_effort)
    if best is None:
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    node_of = {vm: node for vm, node in found.placement.items() if not world.stopped(world.vms[vm])}
    assert (world.total_loss(node_of), world.costs(node_of, objective)) == (best.lost, best.costs)
    assert sum(broken.cost for broken in found.broken_rules) == world.should_cost(node_of)
    greedy = vmplace.place(cluster, objective=objective, move_running=moving, best_effort=best_effort, method="greedy")
    if greedy.placement is not None and greedy.guarantee == "safe":
        there = {vm: node for vm, node in greedy.placement.items() if vm in node_of}
        assert sum(broken.cost for broken in greedy.broken_rules) == world.should_cost(there)


_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
_ASKED = (drawn, st.sampled_from(OBJECTIVES), st.booleans(), st.sampled_from((False, False, True)))


@settings(max_examples=25, deadline=None, suppress_health_check=_QUIET)
@given(*_ASKED)
def test_costs_are_least(cluster: Cluster, objective: Any, moving: bool, best_effort: bool) -> None:
    costs_are_least(cluster, objective, moving, best_effort)


@pytest.mark.slow
@settings(max_examples=700, deadline=None, suppress_health_check=_QUIET)
@given(*_ASKED)
def test_costs_are_least_at_length(cluster: Cluster, objective: Any, moving: bool, best_effort: bool) -> None:
    costs_are_least(cluster, objective, moving, best_effort)


@settings(max_examples=40, deadline=None, suppress_health_check=_QUIET)
@given(drawn)
def test_no_placement_costs_less_than_the_bound(cluster: Cluster) -> None:
    goal = Goal(("balance",), move_running=True)
    bound = least(compile_problem(cluster), goal, ("rules", 0))
    world = World(cluster)
    assert all(bound <= world.should_cost(node_of) for node_of in world.placements(move_running=True))


def test_the_bound_is_met_where_places_are_few():
    nodes = [Node(f"n{i}", 9, domain="r" if i < 2 else "s") for i in range(4)]
    vms = [VM(f"v{i}", 4) for i in range(5)]
    names = [vm.name for vm in vms]

    def bound(*rules: Any) -> int:
        return int(least(compile_problem(Cluster(nodes, vms, rules)), Goal(("balance",)), ("rules", 0)))

    assert bound(Apart(names, must=False)) == 1
    assert bound(Apart(names, must=False, scope="domain")) == 3 + 1
    assert bound(Together(names, must=False, weight=2)) == 2 * 2
    assert bound(OnlyOn(names, ["n0"], must=False, weight=3)) == 3 * 3
    assert bound(NotOn(names, ["n0", "n1", "n2"], must=False)) == 3
