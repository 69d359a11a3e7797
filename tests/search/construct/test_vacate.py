import numpy as np
from hypothesis import given, settings

from vmplace import VM, Apart, Cluster, Node
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.construct.vacate import vacate
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

BALANCE = Goal(("balance",))


def vacated(problem, budget=None):
    limit = BALANCE.limits(problem)
    filling = BatchFilling(problem, problem.node_of, limit, pack=False)
    filling.place_all(by_size=True)
    if not filling.complete or not BALANCE.allowed(problem, filling.node_of):
        return None, None
    return filling.node_of, vacate(problem, BALANCE, filling.node_of, np.zeros_like(limit), budget=budget or Budget())


@settings(max_examples=60, deadline=None)
@given(clusters(min_nodes=2, max_nodes=5, max_vms=8, placed="none", domains=True, resources=True))
def test_what_comes_of_it_is_safe_and_allowed_and_those_under_rules_stay(cluster):
    problem = compile_problem(cluster)
    before, after = vacated(problem)
    if after is not None:
        assert BALANCE.allowed(problem, after)
        assert certify(problem, after, budget=Budget()).safe
        for binding in (rule for rule in problem.compiled_rules if rule.nodes is None):
            assert (before[binding.vms] == after[binding.vms]).all()


def test_room_is_made_where_rules_leave_a_restart():
    nodes = [Node(f"n{i}", 10, domain=f"rack-{i // 2}") for i in range(4)]
    vms = [*(VM(f"bound{i}", 4) for i in range(2)), *(VM(f"small{i}", 2) for i in range(6))]
    problem = compile_problem(Cluster(nodes, vms, [Apart(["bound0", "bound1"], scope="domain")]))
    node_of = np.array([0, 2, 1, 1, 1, 1, 3, 3])  # if n0 fails, n1 has 2 left, and n3 is in the other's rack
    assert not certify(problem, node_of, budget=Budget()).safe
    after = vacate(problem, BALANCE, node_of, np.zeros_like(problem.capacity), budget=Budget())
    assert after is not None
    assert after[:2].tolist() == [0, 2]
    assert certify(problem, after, budget=Budget()).safe


def test_without_time_nothing_comes_of_it():
    problem = compile_problem(Cluster([Node("n0", 9), Node("n1", 9)], [VM("a", 3), VM("b", 3)], [Apart(["a", "b"])]))
    assert vacated(problem, Budget(0))[1] is None
