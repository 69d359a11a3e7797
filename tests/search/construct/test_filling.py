from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.problem.rules import kept
from vmplace.search.construct.filling import BatchFilling, fitting, holding, spread
from vmplace.search.goal import Goal
from vmplace.testing import clusters

ALL = Goal(("balance",))


def filled(problem, cap=None, *, pack=False, node_of=None):
    """With a cap on memory only, other resources may be used up."""
    limits = ALL.limits(problem)
    if cap is not None:
        limits[:, 0] = cap
    filling = BatchFilling(problem, problem.node_of if node_of is None else node_of, limits, pack=pack)
    filling.place_all()
    return filling


def waiting(node_sizes, vm_sizes, rules=()):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(node_sizes)]
    return compile_problem(Cluster(nodes, [VM(f"v{i}", size) for i, size in enumerate(vm_sizes)], rules))


@settings(max_examples=50, deadline=None)
@given(clusters(max_nodes=5, max_vms=9, domains=True, resources=True, evictable=True, targets=True), st.booleans(), st.data())
def test_any_caps_are_kept_and_no_must_rule_is_broken_anew(cluster, pack, data):
    problem = compile_problem(cluster)
    cap = np.array(
        [[data.draw(st.integers(-1, amount)) for amount in row] for row in problem.capacity.tolist()], dtype=np.int64
    ).reshape(problem.capacity.shape)
    before = problem.node_of.copy()
    filling = BatchFilling(problem, problem.node_of, cap, pack=pack)
    filling.place_all()
    assert (problem.node_of == before).all()
    old = problem.node_of >= 0
    assert (filling.node_of[old] == problem.node_of[old]).all()
    came = problem.loads(np.where(old, -1, filling.node_of)) > 0
    assert (problem.loads(filling.node_of) <= cap)[came].all()
    broken = {b.index for b in problem.compiled_rules if b.must and not kept(b, filling.node_of)}
    assert broken <= {b.index for b in problem.compiled_rules if b.must and not kept(b, problem.node_of)}
    assert filling.complete == bool((filling.node_of >= 0).all())


@pytest.mark.parametrize("pack", [False, True])
def test_what_goes_on_one_node_counts_for_all_that_it_takes_there(pack):
    group = [f"v{i}" for i in range(4, 8)]
    problem = waiting((8, 8, 8), (3, 3, 3, 3, 2, 2, 2, 2), [Together(group), Apart(["v0", "v1"])])
    assert filled(problem, pack=pack).complete


def test_the_large_may_go_before_the_small_whether_rules_bind_them_or_not():
    problem = waiting((8, 8, 8), (8, 7, 1, 1), [Apart(["v2", "v3"])])
    assert not filled(problem, pack=False).complete or len(set(filled(problem).node_of[2:])) == 2
    filling = BatchFilling(problem, problem.node_of, ALL.limits(problem), pack=False)
    filling.place_all(by_size=True)
    assert filling.complete
    assert filling.node_of[2] != filling.node_of[3]


@settings(max_examples=40, deadline=None)
@given(clusters(max_nodes=5, max_vms=9, rules=False, resources=True), st.booleans())
def test_what_is_left_fits_nowhere(cluster, pack):
    problem = compile_problem(cluster)
    filling = filled(problem, pack=pack)
    room = ALL.limits(problem) - problem.loads(filling.node_of)
    for vm in np.flatnonzero(filling.node_of < 0).tolist():
        fits = ((room >= problem.demand[vm]) | (problem.demand[vm] == 0)).all(axis=1)
        assert not (problem.online & problem.reachable[problem.signature[vm]] & fits).any()


def test_a_raised_cap_lets_more_in():
    problem = waiting((10, 10), (6, 6))
    filling = filled(problem, np.array([10, 0]))
    assert filling.node_of.tolist() == [0, -1]
    filling.raise_cap(ALL.limits(problem))
    filling.place_all()
    assert filling.node_of.tolist() == [0, 1]


def test_spreading_goes_by_share_not_by_memory():
    problem = waiting((10, 40), (5, 5, 5))
    assert problem.load(filled(problem).node_of).tolist() == [5, 10]


def test_packing_takes_the_tightest_fit():
    problem = waiting((10, 7, 5), (5, 5, 5))
    assert filled(problem, pack=True).node_of.tolist() == [2, 1, 0]


@pytest.mark.parametrize("pack", [False, True])
def test_a_group_follows_its_member_that_stays(pack):
    nodes = [Node("n0", 10), Node("n1", 20), Node("n2", 10)]
    vms = [VM("a", 2, "n0", movable=False), VM("b", 3), VM("c", 4)]
    problem = compile_problem(Cluster(nodes, vms, [Together(["a", "b"]), Together(["b", "c"])]))
    assert filled(problem, pack=pack).node_of.tolist() == [0, 0, 0]
    tight = filled(problem, np.array([8, 20, 10]), pack=pack)
    assert tight.node_of.tolist() == [0, -1, -1]


def test_a_group_whose_members_stay_apart_or_in_maintenance_is_not_placed():
    nodes = [Node("n0", 10), Node("n1", 10), Node("m", 10, state="maintenance")]
    split = [VM("a", 1, "n0"), VM("b", 1, "n1"), VM("c", 1)]
    assert filled(compile_problem(Cluster(nodes, split, [Together(["a", "b", "c"])]))).node_of.tolist() == [0, 1, -1]
    shut = [VM("a", 1, "m"), VM("c", 1)]
    assert filled(compile_problem(Cluster(nodes, shut, [Together(["a", "c"])]))).node_of.tolist() == [2, -1]


def test_the_heavier_wish_wins():
    rules = [OnlyOn(["v0"], ["n0"], must=False, weight=10**9), OnlyOn(["v0"], ["n1"], must=False, weight=1)]
    assert filled(waiting((10, 90), (1,), rules)).node_of.tolist() == [0]
    assert filled(waiting((10, 10), (2, 2), [Apart(["v0", "v1"], must=False)]), pack=True).complete


def test_vms_with_fewer_nodes_to_choose_from_go_first():
    problem = waiting((4, 4), (4, 4), [OnlyOn(["v1"], ["n0"])])
    assert filled(problem).node_of.tolist() == filled(problem, pack=True).node_of.tolist() == [1, 0]


@pytest.mark.parametrize("pack", [False, True])
def test_a_vm_needs_room_in_each_resource_but_not_in_what_it_needs_nothing_of(pack):
    nodes = [Node("n0", 10, resources={"vcpu": 2}), Node("n1", 30), Node("n2", 9, resources={"vcpu": 3})]
    vms = [VM("busy", 1, "n1", resources={"vcpu": 1}), VM("a", 5, resources={"vcpu": 3}), VM("b", 4, resources={"vcpu": 2})]
    vms += [VM("idle", 11), VM("c", 2, resources={"vcpu": 1})]
    assert filled(compile_problem(Cluster(nodes, vms)), pack=pack).node_of.tolist() == [1, 2, 0, 1, -1]


@pytest.mark.parametrize("pack", [False, True])
def test_vms_apart_on_domains_are_in_different_ones(pack):
    nodes = [Node(f"n{i}", 10, domain=domain) for i, domain in enumerate(("a", "a", "b", None))]
    vms = [VM(f"v{i}", 1) for i in range(4)]
    on = filled(compile_problem(Cluster(nodes, vms, [Apart([vm.name for vm in vms], scope="domain")])), pack=pack).node_of
    assert on.tolist().count(-1) == 1
    assert sorted(min(int(i), 1) if i < 2 else int(i) for i in on[on >= 0]) in ([0, 2, 3], [1, 2, 3])


def test_some_are_placed_before_the_others():
    problem = waiting((10, 10), (6, 5, 4))
    filling = BatchFilling(problem, problem.node_of, ALL.limits(problem), pack=True)
    filling.place_all(problem.memory < 6)
    assert filling.node_of.tolist() == [-1, 0, 0]
    filling.place_all()
    assert filling.node_of.tolist() == [1, 0, 0]


def test_many_vms_of_uneven_needs_are_spread_and_all_find_a_node():
    random = Random(1)
    vms = [VM(f"v{i}", random.choice((1, 2, 4, 8)), resources={"vcpu": random.choice((0, 1, 2, 8))}) for i in range(600)]
    nodes = [Node(f"n{i}", 64, resources={"vcpu": 49}) for i in range(40)]
    problem = compile_problem(Cluster(nodes, vms))
    total, whole = problem.demand.sum(axis=0), problem.capacity.sum(axis=0)
    assert (total > 0.8 * whole).all()
    on = filled(problem).node_of
    assert (on >= 0).all()
    assert problem.load(on).max() <= problem.load(on).mean() * 1.05


size = st.sampled_from([1, 2, 3, 7, 8, 16])
pair = st.tuples(st.integers(0, 40), st.integers(0, 20))


def placed(memory, usable, load, room):
    """By memory alone."""
    return spread(np.array([memory], dtype=np.int64), usable[None, :], load[None, :], room[None, :]).tolist()


@given(
    st.lists(st.tuples(size, st.sampled_from([0, 0, 1, 2, 5])), max_size=60),
    st.lists(st.tuples(pair, pair), min_size=1, max_size=5),
)
def test_what_fits_is_placed_and_the_books_are_kept(sizes, nodes):
    demand = np.array(sorted(sizes, reverse=True), dtype=np.int64).reshape(-1, 2).T
    load, room = (np.array(column, dtype=np.int64).T for column in zip(*nodes, strict=True))
    usable = load + room + 1
    before = room.copy()
    chosen = spread(demand, usable, load, room)
    taken = np.zeros_like(room)
    for vm in np.flatnonzero(chosen >= 0).tolist():
        taken[:, chosen[vm]] += demand[:, vm]
    assert (room == before - taken).all()
    assert (room >= 0).all()
    assert (load + room == usable - 1).all()
    for vm in np.flatnonzero(chosen < 0).tolist():
        assert not ((room >= demand[:, [vm]]) | (demand[:, [vm]] == 0)).all(axis=0).any()


def test_equal_vms_level_nodes_whatever_they_have():
    load = np.array([0, 30, 60, 5], dtype=np.int64)
    usable = np.array([100, 100, 100, 200], dtype=np.int64)
    room = usable - load
    placed([1] * 150, usable, load, room)
    share = load / usable
    assert share[[0, 1, 3]].max() - share[[0, 1, 3]].min() <= 0.011
    assert load[2] == 60


def test_the_largest_go_to_the_least_loaded():
    load = np.array([0, 4, 8], dtype=np.int64)
    usable = np.full(3, 100, dtype=np.int64)
    assert placed([9, 5, 1], usable, load, usable - load) == [0, 1, 2]


def test_a_run_of_equal_vms_stops_where_room_does():
    room = np.array([7, 3], dtype=np.int64)
    chosen = placed([2] * 20, np.array([50, 50]), np.zeros(2, dtype=np.int64), room)
    assert sorted(chosen) == [-1] * 16 + [0, 0, 0, 1]
    assert room.tolist() == [1, 1]


def test_what_a_vm_needs_nothing_of_neither_keeps_it_away_nor_is_counted():
    room = np.array([[9, 8, 7, -1], [0, -3, 4, 9]], dtype=np.int64)
    for need, fits, holds in ([3, 0], [1, 1, 1, 0], [3, 2, 2, 0]), ([2, 2], [0, 0, 1, 0], [0, 0, 2, 0]):
        assert fitting(room, np.array(need)).tolist() == fits
        assert holding(room, np.array(need)).tolist() == holds


def test_a_batch_goes_where_each_of_it_fits():
    room = np.array([[40] * 16, [1] * 15 + [8]], dtype=np.int64)
    needs = np.array([[9, 8, 7, 6], [0, 1, 0, 8]], dtype=np.int64)
    chosen = spread(needs, np.full_like(room, 50), np.zeros_like(room), room)
    assert chosen[3] == 15
    assert (chosen >= 0).all()
