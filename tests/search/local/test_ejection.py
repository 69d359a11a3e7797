from random import Random

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Cluster, Guarantee, Node, NotOn
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.local.ejection import clear
from vmplace.search.local.slots import Slots
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate
from vmplace.testing import clusters

MOVES = Goal(("moves",), move_running=True)
GIB = 1024


def cleared(cluster, *, budget=None, random=None):
    problem = compile_problem(cluster)
    slots = Slots(problem, MOVES.limits(problem), problem.node_of, 0)
    done = clear(slots, MOVES.free(problem), budget=budget or Budget(), random=random)
    return done, slots


def moved(slots):
    problem = slots.problem
    changed = slots.node_of != problem.node_of
    return {int(vm): int(slots.node_of[vm]) for vm in np.flatnonzero(changed)}, int(problem.memory[changed].sum())


@settings(max_examples=25, deadline=None)
@given(
    clusters(
        min_nodes=2,
        max_nodes=5,
        max_vms=8,
        placed="all",
        rules=False,
        pools=False,
        failures=(1, 2),
        domains=True,
        resources=True,
        evictable=True,
        targets=True,
    ),
    st.booleans(),
)
def test_nothing_is_lacking_and_nobody_is_where_they_may_not_be(cluster, by_chance):
    done, slots = cleared(cluster, random=Random(1) if by_chance else None)
    problem = slots.problem
    changed = np.flatnonzero(slots.node_of != problem.node_of)
    assert MOVES.free(problem)[changed].all()
    assert problem.online[slots.node_of[changed]].all()
    over = problem.loads(slots.node_of) > MOVES.limits(problem)
    # Whoever is overfull was so before.
    assert (~over | (problem.loads(slots.node_of) <= problem.loads(problem.node_of))).all()
    if done:
        assert slots.lacking.max(initial=0) <= 0
        assert not over[problem.online].any()


@pytest.mark.parametrize(
    ("nodes", "fill", "profile", "least"),
    [
        (32, 0.8, "flavors", 12),
        (32, 0.9, "flavors", 62),
        (32, 0.97, "flavors", 160),
        (64, 0.97, "flavors", 216),
        (64, 0.97, "azure", 131),
    ],
)
def test_a_worst_fit_spread_is_cleared_at_the_least_cost_there_is(nodes, fill, profile, least):
    done, slots = cleared(generate(nodes=nodes, fill=fill, profile=profile, seed=1, placed="worst-fit"))
    assert done
    assert moved(slots)[1] == least * GIB


def test_the_smallest_vms_that_suffice_leave_for_the_tightest_fit():
    nodes = [Node(f"n{i}", 10) for i in range(4)]
    vms = [VM("big", 6, "n0"), VM("a", 3, "n1"), VM("b", 2, "n1"), VM("c", 7, "n2"), VM("d", 8, "n3")]
    done, slots = cleared(Cluster(nodes, vms))
    assert done
    # One of 1 more on n1 makes room for big; c and d fit nowhere but there and on n0.
    assert moved(slots)[1] <= 5


def test_room_is_made_for_what_makes_room():
    # A slot of 5 needs a VM of 3 to go, which fits nowhere until one of 1 has gone.
    nodes = [Node("n0", 8), Node("n1", 5), Node("n2", 7), Node("n3", 5)]
    vms = [VM("five", 5, "n0"), VM("five-b", 3, "n0", protected=False), VM("three", 3, "n1", protected=False)]
    vms += [VM("four", 4, "n2", movable=False, protected=False), VM("one", 1, "n2", protected=False)]
    vms += [VM("rest", 4, "n3", movable=False, protected=False)]
    done, slots = cleared(Cluster(nodes, vms))
    assert done
    assert moved(slots) == ({2: 2, 4: 3}, 4)


def test_an_overfull_node_is_relieved_by_the_least_that_fits_elsewhere():
    nodes = [Node(f"n{i}", 10) for i in range(4)]
    vms = [VM("a", 7, "n0", protected=False), VM("b", 3, "n0", protected=False), VM("c", 2, "n0", protected=False)]
    vms += [VM(f"d{i}", 7, f"n{i}", protected=False) for i in (1, 2, 3)]
    done, slots = cleared(Cluster(nodes, vms))
    assert done
    assert moved(slots)[1] == 2


def test_a_node_is_relieved_of_each_resource():
    nodes = [Node(f"n{i}", 10, resources={"vcpu": 4}) for i in range(3)]
    vms = [VM("a", 3, "n0", resources={"vcpu": 3}), VM("b", 2, "n0", resources={"vcpu": 2}), VM("c", 1, "n0")]
    vms += [VM("d", 5, "n1", resources={"vcpu": 3}), VM("e", 1, "n2", resources={"vcpu": 2})]
    calm = Cluster(nodes, vms, guarantee=Guarantee(failures=0))
    done, slots = cleared(calm)
    assert done
    assert moved(slots) == ({1: 2}, 2)


def test_slots_of_a_further_resource_are_made_by_who_takes_most_of_it():
    nodes = [Node(f"n{i}", 20, resources={"vcpu": 8}) for i in range(3)]
    vms = [
        VM("a", 2, "n0", resources={"vcpu": 5}),
        VM("b", 9, "n1", resources={"vcpu": 3}),
        VM("c", 1, "n1", resources={"vcpu": 2}),
    ]
    vms += [VM("d", 3, "n2", resources={"vcpu": 3}), VM("e", 3, "n2", resources={"vcpu": 1})]
    done, slots = cleared(Cluster(nodes, vms))
    assert done
    assert moved(slots)[1] <= 3


def test_failures_of_several_and_of_domains_are_provided_for():
    two = attrs.evolve(
        generate(nodes=32, fill=0.85, profile="flavors", seed=1, placed="worst-fit"), guarantee=Guarantee(failures=2)
    )
    done, slots = cleared(two)
    assert done
    assert certify(slots.problem, slots.node_of, budget=Budget()).safe
    assert moved(slots)[1] <= 128 * GIB
    racks = generate(nodes=40, fill=0.85, profile="flavors", seed=1, placed="worst-fit")
    nodes = [attrs.evolve(node, domain=f"rack-{i % 20}") for i, node in enumerate(racks.nodes)]
    done, slots = cleared(attrs.evolve(racks, nodes=nodes, guarantee=Guarantee(scope="domain")))
    assert done
    assert certify(slots.problem, slots.node_of, budget=Budget()).safe
    assert moved(slots)[1] <= 128 * GIB


def test_evictable_vms_do_not_leave_to_make_a_slot():
    nodes = [Node("n0", 10), Node("n1", 10), Node("n2", 10)]
    vms = [VM("a", 7, "n0"), VM("b", 6, "n1", evictable=True), VM("c", 4, "n1"), VM("d", 6, "n2")]
    done, slots = cleared(Cluster(nodes, vms))
    assert done
    assert moved(slots) == ({2: 2}, 4)


def test_what_cannot_move_stays_and_is_told():
    nodes = [Node(f"n{i}", 8) for i in range(3)]
    fixed = [VM(f"v{i}", 5, f"n{i}", movable=False) for i in range(3)]
    assert cleared(Cluster(nodes, fixed))[0] is False
    barred = [VM("a", 6, "n0"), VM("b", 3, "n1"), VM("c", 3, "n2", movable=False)]
    done, slots = cleared(Cluster(nodes, barred, [NotOn(["b"], ["n2"])]))
    assert done is False
    assert moved(slots)[1] == 0


def test_without_time_nothing_moves():
    done, slots = cleared(generate(nodes=16, fill=0.9, profile="flavors", seed=1, placed="worst-fit"), budget=Budget(0))
    assert not done
    assert moved(slots)[1] == 0


def test_chance_is_seeded():
    cluster = generate(nodes=32, fill=0.97, profile="big-vms", seed=1, placed="worst-fit")
    first, again, other = (cleared(cluster, random=Random(seed))[1].node_of.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other
