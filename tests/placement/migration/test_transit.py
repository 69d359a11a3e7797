"""Units and what each state on the way can take."""

import numpy as np

from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, Together
from vmplace.placement.migration.transit import MigrationProblem, MigrationState
from vmplace.problem.compile import compile_problem


def transit(vms, final, rules=(), n_nodes=3, size=10):
    nodes = [Node(f"n{i}", size) for i in range(n_nodes)]
    cluster = Cluster(nodes, [VM(f"v{k}", memory, node) for k, (memory, node) in enumerate(vms)], rules, Guarantee())
    return MigrationProblem.of(compile_problem(cluster), np.array(final))


def test_those_that_stay_together_are_one_unit_and_who_waits_is_none():
    vms = [(1, "n0"), (2, "n0"), (3, "n1"), (4, None), (1, "n0")]
    found = transit(vms, [1, 1, 1, 2, 1], [Together(("v0", "v1")), Together(("v1", "v4"))])
    assert found.unit_of.tolist() == [0, 0, 1, -1, 0]
    assert found.memory.tolist() == [4, 3]
    assert found.size.tolist() == [3, 1]
    assert (found.source.tolist(), found.goal.tolist()) == ([0, 1], [1, 1])
    assert found.direct() == 4


def test_a_rule_that_either_end_breaks_binds_nobody():
    vms = [(1, "n0"), (1, "n1")]
    assert transit(vms, [1, 1], [Together(("v0", "v1"))]).n_units == 2
    assert transit([(1, "n0"), (1, "n0")], [0, 1], [Together(("v0", "v1"))]).n_units == 2
    assert transit(vms, [1, 1], [Apart(("v0", "v1"))]).apart == []
    assert len(transit(vms, [1, 0], [Apart(("v0", "v1"))]).apart) == 1


def test_a_hop_takes_room_on_both_nodes_until_it_ends():
    migration_state = MigrationState.of(transit([(6, "n0"), (5, "n1")], [1, 2]))
    assert migration_state.room[:, 0].tolist() == [4, 5, 10]
    assert not migration_state.holds(0, 1)
    migration_state.begin(1, 2)
    assert migration_state.room[:, 0].tolist() == [4, 5, 5]
    assert not migration_state.holds(0, 1)
    migration_state.finish(1, 2)
    assert migration_state.holds(0, 1)
    assert migration_state.pending.tolist() == [0]
    migration_state.begin(0, 1)
    migration_state.cancel(0, 1)
    assert migration_state.room[:, 0].tolist() == [4, 10, 5]


def test_hops_can_be_taken_back():
    migration_state = MigrationState.of(transit([(6, "n0"), (5, "n1")], [1, 2], [Apart(("v0", "v1"))]))
    hops = [migration_state.go(1, 2), migration_state.go(0, 1), migration_state.go(1, 0)]
    migration_state.take_back(hops)
    assert migration_state.at.tolist() == [0, 1]
    assert migration_state.room[:, 0].tolist() == [4, 5, 10]
    assert not migration_state.apart(0, 1)
    assert migration_state.apart(0, 2)


def test_apart_counts_both_nodes_of_who_is_on_its_way():
    migration_state = MigrationState.of(transit([(1, "n0"), (1, "n1")], [1, 2], [Apart(("v0", "v1"))]))
    assert migration_state.rivals(0, 1)[0] == [1]
    migration_state.begin(1, 2)
    assert not migration_state.apart(0, 1)
    assert not migration_state.apart(0, 2)
    migration_state.finish(1, 2)
    assert migration_state.apart(0, 1)
    assert migration_state.rivals(0, 1) == ([], None)


def test_what_a_vm_needs_nothing_of_does_not_keep_it_away():
    nodes = [Node("n0", 10, resources={"vcpu": 4}), Node("n1", 10, resources={"vcpu": 1})]
    vms = [VM("a", 2, "n0"), VM("b", 2, "n0", resources={"vcpu": 1}), VM("c", 2, "n1", resources={"vcpu": 2})]
    migration_state = MigrationState.of(MigrationProblem.of(compile_problem(Cluster(nodes, vms)), np.array([1, 0, 1])))
    assert migration_state.holds(0, 1)
    assert not migration_state.holds(1, 1)


def test_a_unit_moves_only_if_all_of_it_may():
    nodes = [Node(f"n{i}", 10) for i in range(3)]
    vms = [VM("a", 1, "n0"), VM("b", 1, "n0", movable=False), VM("c", 1, "n1"), VM("d", 1, "n2", movable=False), VM("w", 1)]
    problem = compile_problem(Cluster(nodes, vms, [Together(("a", "b"))], Guarantee()))
    found = MigrationProblem.of(problem, np.array([0, 0, 1, 2, 0]))
    assert found.unit_of.tolist() == [0, 0, 1, 2, -1]
    assert found.movable.tolist() == [False, True, False]


def test_only_rules_that_keep_several_units_apart_count():
    vms = [(1, "n0"), (1, "n0"), (1, "n1"), (1, None)]
    assert transit(vms, [0, 0, 1, 2], [OnlyOn(("v0", "v2"), ("n0", "n1"))]).apart == []
    assert transit(vms, [0, 0, 1, 2], [Apart(("v2", "v3"))]).apart == []
    assert [units.tolist() for units, _ in transit(vms, [0, 0, 1, 2], [Apart(("v1", "v2"))]).apart] == [[1, 2]]
