from fractions import Fraction
from random import Random

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.goal import Goal
from vmplace.search.greedy import construct
from vmplace.search.local.removal import loosen
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate
from vmplace.testing import clusters

BALANCE, MOVES = Goal(("balance",)), Goal(("moves",), move_running=True)


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=5, max_vms=10), st.booleans())
def test_filling_keeps_caps_and_must_rules(cluster, pack):
    problem = compile_problem(cluster)
    filling = BatchFilling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
    filling.place_all()
    new = np.flatnonzero((problem.node_of < 0) & (filling.node_of >= 0))
    filled = np.unique(filling.node_of[new])
    assert (problem.load(filling.node_of)[filled] <= problem.limit[filled]).all()
    assert problem.reachable[problem.signature[new], filling.node_of[new]].all()
    assert problem.online[filling.node_of[new]].all()


@pytest.mark.parametrize("pack", [False, True])
def test_rules_are_kept_while_filling(pack):
    nodes = [Node(f"n{i}", 16) for i in range(4)]
    vms = [VM(f"vm{i}", 4) for i in range(8)]
    rules = [Apart(["vm0", "vm1", "vm2"]), Together(["vm3", "vm4"]), OnlyOn(["vm5"], ["n3"]), OnlyOn(["vm6"], ["n2"], must=False)]
    problem = compile_problem(Cluster(nodes, vms, rules))
    filling = BatchFilling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
    filling.place_all()
    on = filling.node_of
    assert filling.complete
    assert len(set(on[:3])) == 3
    assert on[3] == on[4]
    assert (on[5], on[6]) == (3, 2)


def test_spreading_levels_and_packing_fills():
    problem = compile_problem(Cluster([Node(f"n{i}", 16) for i in range(4)], [VM(f"vm{i}", 2) for i in range(8)]))
    loads = []
    for pack in (False, True):
        filling = BatchFilling(problem, problem.node_of, BALANCE.limits(problem), pack=pack)
        filling.place_all()
        loads.append(sorted(problem.load(filling.node_of).tolist()))
    assert loads == [[4, 4, 4, 4], [0, 0, 0, 16]]


def test_loosening_takes_the_least_that_brings_a_node_down():
    vms = [VM("a", 8, "n0"), VM("b", 3, "n0"), VM("c", 2, "n0"), VM("d", 5, "n1", movable=False)]
    problem = compile_problem(Cluster([Node("n0", 16), Node("n1", 16)], vms))
    kept = loosen(problem, MOVES, np.array([[11], [2]]))
    assert kept.tolist() == [0, 0, -1, 1]


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform", "big-vms"])
@pytest.mark.parametrize("mixed", [False, True])
def test_large_clusters_are_placed_safely(profile, mixed):
    cluster = generate(nodes=300, fill=0.9, profile=profile, mixed=mixed, seed=5)
    solution = vmplace.place(cluster, method="greedy")
    assert solution.guarantee == "safe"
    assert vmplace.audit(cluster, solution.node_of, solution.backup_of) == []
    assert solution.bound <= solution.objective <= 1


EVERYTHING = {"domains": True, "resources": True, "evictable": True, "targets": True, "policies": True}


@pytest.mark.parametrize("objective", ["balance", "moves", "consolidate"])
@settings(max_examples=30, deadline=None)
@given(
    cluster=clusters(
        max_nodes=4,
        max_vms=6,
        failures=(1, 2),
        restart=("planned", "any-order"),
        sequences=("at-once", "sequential"),
        **EVERYTHING,
    )
)
def test_what_is_found_survives_what_is_asked(objective, cluster):
    problem, goal = compile_problem(cluster), Goal((objective,), move_running=objective != "balance")
    found = construct(problem, goal, budget=Budget(20), thorough=True)
    if found is None or not problem.n_vms:
        return
    names, world = Names(cluster, problem), World(cluster)
    if found.powered is not None:
        world = world.powering(names.node(i) for i in np.flatnonzero(found.powered).tolist())
    node_of = {names.vm(vm): names.node(i) for vm, i in enumerate(found.node_of[: problem.n_vms - problem.n_incoming].tolist())}
    assert world.right(node_of)
    assert world.all_survivable(node_of)
    assert found.values == goal.values(problem, found.node_of, found.verdict, found.powered)


def asking(problem, **guarantee):
    return attrs.evolve(problem, guarantee=Guarantee(**guarantee))


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform", "big-vms"])
@pytest.mark.parametrize("failures", [1, 2])
def test_any_order_costs_little_more_than_a_plan(profile, failures):
    problem = compile_problem(generate(nodes=100, fill=0.9, profile=profile, seed=1))
    plan, any_order = (
        construct(asking(problem, failures=failures, restart=restart), BALANCE, budget=Budget())
        for restart in ("planned", "any-order")
    )
    assert plan.verdict.safe
    assert any_order.verdict.safe
    assert plan.values <= any_order.values <= (plan.values[0] * Fraction(103, 100),)


@pytest.mark.parametrize(
    "guarantee", [{"policy": "best-fit", "order": "largest-first"}, {"failures": 2, "sequence": "sequential"}]
)
def test_policies_and_failures_in_turn_are_survived(guarantee):
    for nodes, fill in ((12, 0.7), (100, 0.9)):
        problem = asking(compile_problem(generate(nodes=nodes, fill=fill, seed=1)), **guarantee)
        found = construct(problem, BALANCE, budget=Budget())
        assert found.verdict.safe
        assert found.values[0] <= Fraction(92, 100)


def racked(nodes, racks, fill, seed):
    """A cluster of racks with as much as they leave when one fails, and vCPU for each fourth GiB, or so."""
    cluster, random = generate(nodes=nodes, fill=fill * (1 - 1 / racks), seed=seed), Random(seed)
    hosts = [attrs.evolve(n, domain=f"rack-{i * racks // nodes}", resources={"vcpu": 165}) for i, n in enumerate(cluster.nodes)]
    vms = [attrs.evolve(v, resources={"vcpu": -(-v.memory * random.choice((2, 3, 4)) // 12_288)}) for v in cluster.vms]
    return cluster, hosts, vms


@pytest.mark.parametrize("racks", [2, 5, 20])
def test_racks_fail_as_one(racks):
    _, hosts, vms = racked(40, racks, 0.9, 1)
    cluster = Cluster([attrs.evolve(n, resources={}) for n in hosts], [attrs.evolve(v, resources={}) for v in vms])
    problem = compile_problem(attrs.evolve(cluster, guarantee=Guarantee(scope="domain")))
    found = construct(problem, BALANCE, budget=Budget())
    assert found.verdict.safe
    level = Fraction(int(problem.memory.sum()), int(problem.usable.sum()))
    assert found.values[0] <= level * Fraction(108, 100)


def test_room_is_kept_in_each_resource():
    _, hosts, vms = racked(40, 40, 0.85, 1)
    problem = compile_problem(Cluster(hosts, vms))
    assert (problem.demand.sum(axis=0) > 0.8 * problem.capacity.sum(axis=0)).all()
    found = construct(problem, BALANCE, budget=Budget())
    assert found.verdict.safe
    assert found.values[0] <= Fraction(88, 100)


def test_evictable_vms_are_where_the_holes_are():
    vms = [VM(f"v{i}", 4, evictable=i % 2 > 0) for i in range(32)]
    found = construct(compile_problem(Cluster([Node(f"n{i}", 32) for i in range(4)], vms)), BALANCE, budget=Budget())
    assert found.verdict.safe
    assert found.values == (1,)


def test_spread_alone_is_not_safe_and_holes_are():
    problem = compile_problem(generate(nodes=20, fill=0.9, profile="flavors", seed=1))
    filling = BatchFilling(problem, problem.node_of, BALANCE.limits(problem), pack=False)
    filling.place_all()
    free = np.sort(problem.usable - problem.load(filling.node_of))
    assert free[-1] < problem.memory.max()
    assert construct(problem, BALANCE, budget=Budget()).verdict.safe


@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform"])
@pytest.mark.parametrize(("nodes", "fill"), [(32, 0.9), (32, 0.95), (48, 0.95), (100, 0.95), (128, 0.8)])
def test_the_peak_is_within_a_hundredth_of_its_bound(profile, nodes, fill):
    solution = vmplace.place(generate(nodes=nodes, fill=fill, profile=profile, seed=2), method="greedy")
    assert solution.guarantee == "safe"
    assert solution.bound <= solution.objective <= solution.bound * Fraction(101, 100)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["azure", "flavors", "uniform"])
def test_nearly_full_clusters_are_placed(profile):
    assert all(
        vmplace.place(generate(nodes=nodes, fill=0.995, profile=profile, seed=seed), method="greedy").guarantee == "safe"
        for nodes in (16, 50, 200)
        for seed in range(3)
    )


@pytest.mark.parametrize(
    ("nodes", "profile", "most"),
    [
        (64, "azure", 131),
        pytest.param(128, "flavors", 88, marks=pytest.mark.slow),
        pytest.param(1000, "big-vms", 600, marks=pytest.mark.slow),
    ],
)
def test_few_vms_move_where_few_must(nodes, profile, most):
    cluster = generate(nodes=nodes, fill=0.9 if nodes == 128 else 0.97, profile=profile, seed=1, placed="worst-fit")
    solution = vmplace.repair(cluster, method="greedy")
    assert solution.guarantee == "safe"
    assert solution.bound <= solution.objective <= most * 1024
    assert len(solution.migrations) < 40


def test_within_a_limit_on_moves_the_local_repair_counts_too():
    cluster = generate(nodes=32, fill=0.9, profile="flavors", seed=1, placed="worst-fit")
    solution = vmplace.place(cluster, method="greedy", move_running=True, max_moves=5)
    assert solution.guarantee == "safe"
    assert len(solution.migrations) <= 5
