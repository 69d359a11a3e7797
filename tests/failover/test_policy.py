import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.any_order import Possible, any_order_problem, any_order_problems
from vmplace.failover import policy as policies

POLICIES = ("first-fit", "most-free", "best-fit")
ORDERS = ("largest-first", "priority", "as-listed", None)


def simulate(case, *, policy, order=None, priority=0, **position):
    priority = np.zeros(case.n_vms, dtype=int) + priority
    return policies.simulate(case, policy=policy, order=order, priority=priority, **position)[1]


def played(case, policy, order, priority, position):
    """The same step by step, on lists."""
    possible = Possible(case)
    keys = {
        "largest-first": lambda vm: (-possible.demand[vm][0], position[vm]),
        "priority": lambda vm: (-priority[vm], position[vm]),
    }
    home = [-1] * case.n_vms

    def rank(node):
        left = possible.free[node][0] - sum(possible.demand[vm][0] for vm in range(case.n_vms) if home[vm] == node)
        return {"first-fit": 0, "most-free": -left, "best-fit": left}[policy], node

    for vm in sorted(range(case.n_vms), key=keys.get(order, lambda vm: position[vm])):
        if possible.must[vm]:
            home[vm] = min(possible.open(home, vm), key=rank, default=-1)
    return home


@settings(max_examples=120, deadline=None)
@given(st.data(), any_order_problems(max_vms=8), st.sampled_from(POLICIES), st.sampled_from(ORDERS))
def test_it_does_what_the_policy_says(data, case, policy, order):
    priority = data.draw(st.lists(st.integers(-1, 1), min_size=case.n_vms, max_size=case.n_vms))
    vms = data.draw(st.permutations(range(case.n_vms)))
    home = simulate(
        case,
        policy=policy,
        order=order,
        priority=np.array(priority, dtype=np.int64),
        position=np.array(vms, dtype=np.int64),
    )
    assert home.tolist() == played(case, policy, order, priority, vms)
    assert Possible(case).consistent(home.tolist())


@pytest.mark.parametrize(("policy", "node"), [("first-fit", 0), ("most-free", 2), ("best-fit", 1)])
def test_policies_choose_among_the_nodes_that_fit(policy, node):
    case = any_order_problem([3], [6, 4, 9, 2])
    assert simulate(case, policy=policy).tolist() == [node]


def test_the_fewest_vms_whatever_the_memory_and_of_several_nodes_the_first_by_name():
    case = any_order_problem([3, 1, 5], [6, 4, 9, 2])
    zeros = np.zeros(3, dtype=int)
    asked = {"policy": "fewest-vms", "order": None, "priority": zeros, "rank": np.array([3, 1, 0, 2])}
    sent, home = policies.simulate(case, **asked, running=np.array([1, 1, 2, 0]))
    assert (sent.tolist(), home.tolist()) == ([3, 1, 3], [-1, 1, -1])  # the last one of two nodes with one VM each
    sent, home = policies.simulate(case, **asked, running=np.array([0, 9, 9, 9]))
    assert (sent.tolist(), home.tolist()) == ([0, 0, 0], [0, 0, -1])


def test_ties_are_broken_in_document_order():
    case = any_order_problem([1, 1], [5, 5])
    for policy in POLICIES:
        assert simulate(case, policy=policy)[0] == 0
    one_left = any_order_problem([5, 5], [5])
    for order in ORDERS:
        assert simulate(one_left, policy="first-fit", order=order, position=np.array([7, 3])).tolist() == [-1, 0]


def test_who_is_lost_does_not_stop_the_others():
    case = any_order_problem([9, 2, 1], [3])
    assert simulate(case, policy="first-fit", order="largest-first").tolist() == [-1, 0, 0]


def test_orders():
    case = any_order_problem([1, 3, 2], [3])
    assert simulate(case, policy="first-fit").tolist() == [0, -1, 0]
    assert simulate(case, policy="first-fit", order="largest-first").tolist() == [-1, 0, -1]
    assert simulate(case, policy="first-fit", order="priority", priority=np.array([0, 0, 1])).tolist() == [0, -1, 0]
    assert simulate(case, policy="first-fit", order="priority", priority=np.array([0, 1, 0])).tolist() == [-1, 0, -1]


def test_only_those_who_must_restart():
    assert simulate(any_order_problem([1, 1], [2], must=[False, True]), policy="first-fit").tolist() == [-1, 0]


def test_rules_hold_as_things_stand():
    together = any_order_problem([2, 2], [3, 4], together=[[0, 1]])
    assert simulate(together, policy="first-fit").tolist() == [0, -1]
    assert simulate(together, policy="most-free").tolist() == [1, 1]
    apart = any_order_problem([1, 1], [4, 4, 4], apart=[([0, 1], [0, 0, 1])])
    assert simulate(apart, policy="first-fit").tolist() == [0, 2]
