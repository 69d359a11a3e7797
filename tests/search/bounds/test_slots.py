from fractions import Fraction

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_properties import PLAIN
from tests.support.brute import World
from tests.support.campaigns import often
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.bounds.slots import least_moved, least_peak, thresholds
from vmplace.search.goal import Goal
from vmplace.testing import clusters

NOTHING = Fraction(0)

tight = clusters(min_nodes=3, max_nodes=4, max_vms=6, placed="all", **PLAIN)
mixed = clusters(max_nodes=4, max_vms=6, rules=False, failures=(1, 1, 1, 0), headroom=False)
anything = st.one_of(clusters(max_nodes=4, max_vms=5, failures=(1, 1, 1, 0)), mixed, mixed, tight)


def spread(usable, homes, **guarantee):
    """A cluster of these nodes, each with VMs of such sizes; what is in the last list beyond the nodes waits."""
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    vms = [
        VM(f"v{i}-{k}", size, f"n{i}" if i < len(nodes) else None) for i, home in enumerate(homes) for k, size in enumerate(home)
    ]
    return Cluster(nodes, vms, guarantee=Guarantee(**guarantee))


def holds_for(cluster, move_running):
    """Whether neither bound is above the optimum."""
    problem, world = compile_problem(cluster), World(cluster)
    balance = world.optimum("balance", move_running=move_running)
    if balance is None:
        return True
    moves = world.optimum("moves", move_running=move_running) if move_running else balance
    moved = world.migrated(moves.placement)
    return least_peak(problem, NOTHING) <= balance.costs[-1] and least_moved(problem) <= moved


@often(30, 2240)
def test_no_bound_exceeds_the_optimum(examples):
    @settings(max_examples=examples, deadline=None)
    @given(anything, st.sampled_from([True, True, False]))
    def law(cluster, move_running):
        assert holds_for(cluster, move_running)

    law()


@often(15, 1120)
@pytest.mark.parametrize("kinds", [0, 1, 3])
def test_nor_does_one_of_rooms_that_are_thinned(monkeypatch, kinds, examples):
    monkeypatch.setattr("vmplace.search.bounds.slots._KINDS", kinds or 1)
    if kinds == 0:  # the coarsest steps: all nodes count as empty
        monkeypatch.setattr("vmplace.search.bounds.slots._MOST", 2)
        monkeypatch.setattr("vmplace.search.bounds.slots._FEW", 2)

    @settings(max_examples=examples, deadline=None)
    @given(anything)
    def law(cluster):
        assert holds_for(cluster, move_running=True)

    law()


def test_the_least_known_is_never_undercut():
    problem = compile_problem(spread((10, 10), [(4,), (4,)]))
    assert least_peak(problem, Fraction(9, 10)) >= Fraction(9, 10)
    assert least_peak(problem, NOTHING) == Fraction(2, 5)


@pytest.mark.parametrize(
    ("usable", "homes", "mean", "peak"),
    [
        ((16, 16, 16), [(4, 2), (2, 4), (4,)], Fraction(1, 3), Fraction(3, 8)),
        ((12,) * 4, [(4, 2, 2), (8,), (1, 8), (2, 8)], Fraction(35, 48), 1),
        pytest.param((8,) * 4, [(4, 4), (4, 2), (2, 1, 2), (2, 1, 2)], Fraction(3, 4), 1, marks=pytest.mark.slow),
        ((16, 14, 18, 16), [(1, 8), (8,), (4,), (8,)], Fraction(29, 64), Fraction(1, 2)),
        ((10, 12, 14, 12), [(2, 5), (5, 5), (5, 5), (2, 5)], Fraction(17, 24), Fraction(5, 6)),
    ],
)
def test_a_peak_that_slots_make_higher_than_the_mean(usable, homes, mean, peak):
    cluster = spread(usable, homes)
    assert sum(map(sum, homes)) == mean * sum(usable)
    assert least_peak(compile_problem(cluster), NOTHING) == peak > mean
    assert World(cluster).optimum("balance", move_running=True).costs[-1] == peak


@pytest.mark.parametrize("homes", [[(2, 8), (4, 4, 8), (4, 1, 4), (8, 4)], [(4, 4, 2), (2, 4, 8), (8, 4), (8, 4)]])
def test_a_chain_of_sizes_tells_more_than_each_of_them(monkeypatch, homes):
    problem = compile_problem(spread((16,) * 4, homes))
    together, single = least_peak(problem, NOTHING), []
    for size in (1, 2, 4, 8):
        monkeypatch.setattr("vmplace.search.bounds.slots.thresholds", lambda _sizes, _few, only=size: [only])
        single.append(least_peak(problem, NOTHING))
    assert together == max(single) + Fraction(1, 8)


@pytest.mark.parametrize(
    ("usable", "homes", "moved"),
    [
        ((8,) * 4, [(4, 1), (4, 1), (4, 1), (4, 1)], 2),  # two of four crumbs of 3 become a hole of 4
        ((8,) * 4, [(4,), (8,), (4,), (1, 2)], 3),
        ((8,) * 4, [(8,), (8,), (4,), (1, 2, 1)], 4),
        ((8,) * 3, [(8,), (1, 2), (1, 2)], 3),
        ((12,) * 4, [(4, 2, 2), (8,), (1, 8), (2, 8)], 4),
        ((8,) * 4, [(4, 4, 1), (4, 1), (4, 1), ()], 1),  # what is overfull leaves in any case
        ((8,) * 4, [(8, 4), (4, 1), (1,), (1,)], 5),
    ],
)
def test_what_holes_cost(usable, homes, moved):
    cluster = spread(usable, homes)
    best = World(cluster).optimum("moves", move_running=True)
    assert (least_moved(compile_problem(cluster)), None if best is None else best.costs[0]) == (moved, moved)


def test_without_failures_only_what_is_overfull_leaves():
    cluster = spread((8, 8, 8), [(7, 3), (1,), (4,)], failures=0)
    assert least_moved(compile_problem(cluster)) == 2
    assert World(cluster).optimum("moves", move_running=True).costs[0] == 3
    assert least_moved(compile_problem(spread((8,) * 4, [(4, 1)] * 4, failures=0))) == 0


def test_each_pool_and_only_the_protected_count():
    cluster = spread((8,) * 4, [(4, 1)] * 4)
    twice = evolve(
        cluster,
        nodes=[*cluster.nodes, *(evolve(node, name=f"b{node.name}", pool="b") for node in cluster.nodes)],
        vms=[*cluster.vms, *(evolve(vm, name=f"b{vm.name}", node=f"b{vm.node}", pool="b") for vm in cluster.vms)],
    )
    assert least_moved(compile_problem(twice)) == 2 * least_moved(compile_problem(cluster)) == 4
    open_ = evolve(cluster, vms=[evolve(vm, protected=vm.memory < 4) for vm in cluster.vms])
    assert least_moved(compile_problem(open_)) == 0


def test_a_node_in_maintenance_may_fail_but_holds_no_slot():
    cluster = spread((8,) * 5, [(4, 1), (4, 1), (4, 1), (4, 1), (4,)])
    nodes = [*cluster.nodes[:4], evolve(cluster.nodes[4], state="maintenance")]
    assert least_moved(compile_problem(evolve(cluster, nodes=nodes))) == 2
    assert World(evolve(cluster, nodes=nodes)).optimum("moves", move_running=True).costs[0] == 2
    assert least_moved(compile_problem(cluster)) == World(cluster).optimum("moves", move_running=True).costs[0] == 1


@pytest.mark.parametrize("seed", range(2))
def test_very_many_kinds_of_nodes_make_the_bound_weaker_but_not_wrong(monkeypatch, seed):
    chance = np.random.default_rng(seed)
    usable = chance.choice(np.arange(3000, 9000), 300, replace=False)
    sizes = chance.choice([64, 100, 256, 512, 1024, 2048], 3000)
    sizes = sizes[: np.searchsorted(sizes.cumsum(), 0.8 * usable.sum())]
    free, homes = usable.copy(), np.zeros_like(sizes)
    for vm, size in enumerate(sizes.tolist()):
        homes[vm] = free.argmax()
        free[homes[vm]] -= size
    problem = compile_problem(Cluster.from_arrays(node_memory=usable, vm_memory=sizes, vm_node=homes))
    assert len(np.unique(problem.usable - problem.load(problem.node_of))) > 128
    thinned = least_peak(problem, NOTHING), least_moved(problem)
    monkeypatch.setattr("vmplace.search.bounds.slots._KINDS", 10**6)
    whole = least_peak(problem, NOTHING), least_moved(problem)
    assert NOTHING < thinned[0] <= whole[0]
    assert 0 < thinned[1] <= whole[1]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=80))
def test_few_sizes_are_all_thresholds_and_of_many_a_few_with_the_ends(sizes):
    chosen, different = thresholds(np.array(sizes)), sorted(set(sizes))
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(different)
    assert (chosen == different) if len(different) <= 24 else (len(chosen) == 24)
    assert (chosen[0], chosen[-1]) == (different[0], different[-1])


@pytest.mark.parametrize("case", [spread((), []), spread((8,), []), spread((8,), [(), (4,)]), spread((8, 8), [])])
def test_where_there_is_nothing_to_lose_there_is_no_bound(case):
    problem = compile_problem(case)
    assert least_moved(problem) == 0
    assert least_peak(problem, NOTHING) in (0, Fraction(1, 2))


def test_a_best_effort_has_no_bound_of_this_kind():
    problem = compile_problem(spread((8,) * 4, [(4, 1)] * 4))
    for goal, bound in ((Goal(("moves",), True), 2), (Goal(("moves",), True, best_effort=True), 0)):
        assert least(problem, goal, ("moves", 0)) == bound
    full = compile_problem(spread((8,) * 4, [(4, 4), (4, 2), (2, 1, 2), (2, 1, 2)]))
    for goal, bound in ((Goal(("balance",), True), 1), (Goal(("balance",), True, best_effort=True), Fraction(3, 4))):
        assert least(full, goal, ("balance", 0)) == bound
