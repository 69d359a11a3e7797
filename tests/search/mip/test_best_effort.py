from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.mip.best_effort import applies
from vmplace.testing import clusters

several = st.one_of(
    clusters(max_nodes=4, max_vms=5, placed="mixed", failures=(2, 3)),
    clusters(max_nodes=4, max_vms=5, placed="mixed", failures=(2,), domains=True, evictable=True, resources=True),
)


def proves_what_is_lost(cluster, objective):
    assume(all(node.state != "maintenance" for node in cluster.nodes))
    best = World(cluster).optimum(objective=objective, move_running=objective == "moves", best_effort=True)
    solution = vmplace.place(
        cluster, objective=objective, move_running=objective == "moves", best_effort=True, method="exact", time_limit=30
    )
    assert solution.status == ("infeasible" if best is None else "optimal")


@settings(max_examples=25, deadline=None)
@given(several, st.sampled_from(["balance", "moves"]))
def test_the_least_that_several_failures_leave_out_is_proved(cluster, objective):
    proves_what_is_lost(cluster, objective)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(several, st.sampled_from(["balance", "moves"]))
def test_the_least_that_several_failures_leave_out_is_proved_often(cluster, objective):
    proves_what_is_lost(cluster, objective)


def test_higher_priorities_are_protected_first_whichever_two_fail():
    nodes = [Node(f"n{i}", 4) for i in range(4)]
    vms = [VM("high", 4, priority=1), VM("low", 4), VM("least", 3)]
    solution = vmplace.place(Cluster(nodes, vms, guarantee=Guarantee(failures=2)), best_effort=True)
    assert (solution.status, solution.guarantee) == ("optimal", "unsafe")
    # One node stays empty. Of two that fail with it beside them, the lesser is left out; of one that fails with it, that one is.
    left_out = Counter(left.vms for left in solution.unprotected)
    assert left_out == {("high",): 1, ("low",): 2, ("least",): 3}


def test_what_may_be_exceeded_in_a_failover_protects():
    nodes = [Node("n0", 2, resources={"disk": 1}), Node("n1", 1, resources={"disk": 1}), Node("n2", 2, resources={"disk": 5})]
    vms = [VM("v", 2, resources={"disk": 5})]
    cluster = Cluster(nodes, vms, guarantee=Guarantee(failures=2), soft_resources=("disk",))
    solution = vmplace.place(cluster, best_effort=True, method="exact")
    assert solution.status == "optimal"
    assert [left.scenario for left in solution.unprotected] == ["n0+n2"]


def test_where_failures_depend_on_the_placement_it_does_not_apply():
    online = [Node(f"n{i}", 4) for i in range(3)]
    kept = Cluster([*online, Node("m", 4, state="maintenance")], [VM("a", 1, "m"), VM("b", 1)], guarantee=Guarantee(failures=2))
    goal = Goal(("balance",), best_effort=True)
    assert applies(compile_problem(kept), goal)
    assert not applies(compile_problem(kept), Goal(("moves",), best_effort=True, move_running=True))
    assert not applies(compile_problem(kept), Goal(("consolidate",), best_effort=True))
