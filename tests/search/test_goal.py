from fractions import Fraction

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.failover.certify import certify_all
from vmplace.problem.compile import compile_problem
from vmplace.problem.rules import kept
from vmplace.search.goal import Goal, Shares, losses, peak, priorities
from vmplace.solvers.budget import Budget

WISH = Apart(["a", "b"], must=False, weight=7)


def three(rules=(), **guarantee):
    """Two on n0, one of them fixed, and one that waits."""
    vms = [VM("a", 4, "n0"), VM("b", 2, "n0", movable=False, priority=-3), VM("c", 3, priority=5)]
    nodes = [Node("n0", 9), Node("n1", 10), Node("n2", 10, state="maintenance")]
    return compile_problem(Cluster(nodes, vms, rules, Guarantee(**guarantee)))


@pytest.mark.parametrize(
    ("objectives", "stages"),
    [
        (("balance",), ["rules", "balance"]),
        (("consolidate", "moves"), ["rules", "consolidate", "moves"]),
        (("moves",), ["moves", "rules"]),
        (("moves", "balance"), ["moves", "rules", "balance"]),
    ],
)
def test_rules_that_are_no_must_come_first_but_after_the_moves(objectives, stages):
    assert [name for name, _ in Goal(objectives).stages(three([WISH]))] == stages
    assert [name for name, _ in Goal(objectives).stages(three())] == list(objectives)


def test_a_best_effort_begins_with_what_is_lost_by_priority():
    assert Goal(("balance",), best_effort=True).stages(three()) == [("lost", 5), ("lost", 0), ("lost", -3), ("balance", 0)]
    assert priorities(three()) == [5, 0, -3]


def test_who_may_go_elsewhere():
    assert Goal(("balance",)).free(three()).tolist() == [False, False, True]
    assert Goal(("balance",), move_running=True).free(three()).tolist() == [True, False, True]


def test_where_a_search_starts():
    assert Goal(("balance",), move_running=True).settled(three()).tolist() == [-1, 0, -1]
    for few in (Goal(("moves",), move_running=True), Goal(("balance",), move_running=True, max_moves=1)):
        assert few.settled(three()).tolist() == [0, 0, -1]


@pytest.mark.parametrize(
    ("node_of", "allowed"),
    [
        ([0, 0, 1], True),
        ([1, 0, 1], True),
        ([0, 0, 0], True),
        ([0, 0, -1], False),  # nowhere
        ([0, 1, 1], False),  # b must not move
        ([2, 0, 1], False),  # nothing new comes to a node in maintenance
    ],
)
def test_what_is_allowed(node_of, allowed):
    assert Goal(("balance",), move_running=True).allowed(three(), np.array(node_of)) is allowed


def test_memory_headroom_rules_and_limits_on_moves():
    free, stay, move = Goal(("balance",), move_running=True), np.array([0, 0, 0]), np.array([1, 0, 1])
    assert not free.allowed(three(headroom=0.2), stay)
    assert Goal(("balance",), move_running=True, headroom=False).allowed(three(headroom=0.2), stay)
    assert not free.allowed(three([Apart(["a", "b"])]), stay)
    assert free.allowed(three([WISH]), stay)
    assert not Goal(("balance",)).allowed(three(), move)
    for limits, allowed in (({"max_moves": 0}, False), ({"max_moves": 1}, True)):
        assert Goal(("balance",), move_running=True, **limits).allowed(three(), move) is allowed
    for limits, allowed in (({"max_migrated": 3}, False), ({"max_migrated": 4}, True)):
        assert Goal(("balance",), move_running=True, **limits).allowed(three(), move) is allowed


def test_values():
    problem = three([WISH])
    goal, budget = Goal(("balance", "moves", "consolidate"), move_running=True, best_effort=True), Budget()
    for node_of, powered, values in (
        ([0, 0, 0], [1, 0, 0], (3, 4, 2, 7, Fraction(1), 0, 1)),
        ([1, 0, 1], [1, 1, 0], (0, 0, 0, 0, Fraction(7, 10), 4, 2)),
    ):
        place, on = np.array(node_of), np.array(powered, dtype=bool)
        verdict = certify_all(problem, place, budget=budget, powered=on)
        assert goal.values(problem, place, verdict, on) == values


def test_losses_are_by_node_and_priority():
    problem = three()
    verdict = certify_all(problem, np.array([0, 0, 0]), budget=Budget(), powered=np.array([True, False, False]))
    assert losses(problem, verdict.parts[0]) == [(3, 4, 2)]
    goal = Goal(("balance",), best_effort=True, worst=({(0,): {5: 3, 0: 4, -3: 2}},))
    assert goal.accepts(problem, verdict)
    stricter = Goal(("balance",), best_effort=True, worst=({(0,): {5: 3, 0: 4, -3: 1}},))
    assert not stricter.accepts(problem, verdict)
    looser = Goal(("balance",), best_effort=True, worst=({(0,): {5: 4}},))
    assert looser.accepts(problem, verdict)
    assert not Goal(("balance",)).accepts(problem, verdict)


@given(st.lists(st.tuples(st.integers(1, 2**26), st.integers(0, 2**26)), min_size=1, max_size=6))
def test_the_peak_is_exact(shares):
    nodes = [Node(f"n{i}", usable) for i, (usable, _) in enumerate(shares)]
    vms = [VM(f"v{i}", load, f"n{i}") for i, (_, load) in enumerate(shares) if load]
    problem = compile_problem(Cluster(nodes, vms))
    assert peak(problem, problem.node_of) == max(Fraction(load, usable) for usable, load in shares)


def test_the_peak_is_of_online_nodes():
    nodes = [Node("n0", 10), Node("n1", 10, state="maintenance")]
    problem = compile_problem(Cluster(nodes, [VM("a", 2, "n0"), VM("b", 9, "n1")]))
    assert peak(problem, problem.node_of) == Fraction(1, 5)
    nothing = compile_problem(Cluster([]))
    assert peak(nothing, nothing.node_of) == 0


def test_broken_rules():
    vms = [VM("a", 1, "n0"), VM("b", 1, "n0"), VM("c", 1, "n1"), VM("w", 1)]
    rules = [
        Apart(["a", "b"]),
        Apart(["a", "c", "w"]),
        Together(["a", "b", "w"]),
        Together(["b", "c"]),
        OnlyOn(["a", "c"], ["n0"], must=False),
        OnlyOn(["a", "w"], ["n0"], must=False),
    ]
    problem = compile_problem(Cluster([Node("n0", 9), Node("n1", 9)], vms, rules[:2] + rules[3:]))
    assert [b.index for b in problem.compiled_rules if not kept(b, problem.node_of)] == [0, 2, 3]
    problem = compile_problem(Cluster([Node("n0", 9), Node("n1", 9)], vms, rules[2:3]))
    assert all(kept(b, problem.node_of) for b in problem.compiled_rules)


def shares(unit, *usable):
    problem = type("Online", (), {"usable": np.array(usable, dtype=np.int64), "online": np.ones(len(usable), dtype=bool)})
    return Shares.of(problem, unit)


def test_the_whole_expresses_every_share():
    assert shares(2, 10, 7).whole == 35
    assert shares(2, 10, 10).whole == 5
    assert shares(1).whole == 1
    assert shares(1, 999_983, 999_979).whole == 2**20
    assert shares(1, 999_983, 999_979).factor(999_983) is None


@given(st.integers(1, 5), st.lists(st.integers(1, 60), min_size=1, max_size=3), st.data())
def test_parts_are_shares(unit, usable, data):
    found = shares(unit, *usable)
    node = data.draw(st.sampled_from(usable))
    load = data.draw(st.integers(0, node // unit))
    parts = load * found.factor(node)
    assert Fraction(parts, found.whole) == Fraction(load * unit, node) <= 1
    assert found.most(parts, node) == load
    assert found.ceil(Fraction(load * unit, node)) == parts
    assert found.above(parts - 1) <= Fraction(load * unit, node) < found.above(parts)
    assert any((found.above(parts) * c / unit).denominator == 1 for c in usable)


def test_what_is_not_decided_counts_as_lost():
    cluster = Cluster([Node("n0", 9), Node("n1", 9)], [VM("a", 4, "n0", priority=1), VM("b", 3, "n0")])
    problem = compile_problem(evolve(cluster, guarantee=Guarantee(policy="first-fit")))
    goal = Goal(("moves",), best_effort=True)
    verdict = certify_all(problem, problem.node_of, budget=Budget(0))
    assert goal.values(problem, problem.node_of, verdict, None)[:2] == (4, 3)
    assert not evolve(goal, worst=({(0,): {1: 3}},)).accepts(problem, verdict)
    assert goal.values(problem, problem.node_of, certify_all(problem, problem.node_of, budget=Budget()), None)[:2] == (0, 0)
