from math import gcd

import numpy as np
from hypothesis import given, settings

from tests.support.any_order import Possible, any_order_problem, any_order_problems
from vmplace.failover.any_order.certificate import BlockingProblem, certified


@settings(max_examples=80, deadline=None)
@given(any_order_problems())
def test_who_is_certain_is_never_stranded(case):
    lost = Possible(case).stranded()
    sure = certified(case)
    assert not any(sure[vm] for vm in lost)
    assert not (sure & ~case.must).any()
    for kind, vms in enumerate(case.kinds.vms):
        blocking = BlockingProblem.of(case, kind)
        if blocking.sharp.impossible and not blocking.partners.any():
            assert lost.isdisjoint(vms.tolist())


@settings(max_examples=200, deadline=None)
@given(any_order_problems(rules=False, resources=1))
def test_with_memory_alone_it_says_yes_where_sums_in_steps_of_the_common_divisor_do(case):
    sizes, free = case.demand[:, 0].tolist(), case.free[:, 0].tolist()
    largest = max((m for m, must in zip(sizes, case.must, strict=True) if must), default=0)
    step = gcd(*sizes) or 1
    room = sum(max(0, f // step * step - largest + step) for f in free)
    if room > sum(sizes) - largest:
        assert certified(case)[case.must].all()


def test_free_memory_counts_in_steps_of_the_common_divisor():
    assert not certified(any_order_problem([3], [2, 1])).any()
    # A node with 4 free cannot have 3 left: the 2 must fill both to strand the 4.
    assert certified(any_order_problem([4, 2], [4, 4])).all()
    assert certified(any_order_problem([4, 2], [4, 3])).tolist() == [False, True]


def test_only_the_nodes_that_a_vm_may_use_count_and_those_who_may_use_them():
    allowed = [[True, False], [True, True]]
    assert certified(any_order_problem([2, 2], [3, 9], allowed=allowed)).tolist() == [False, True]
    allowed[1][0] = False
    assert certified(any_order_problem([2, 2], [3, 9], allowed=allowed)).all()


def test_blocking_a_node_takes_one_resource_or_another():
    # One of the others blocks a node by the first resource, one by the second: a third node is left.
    demand = [(4, 4), (4, 0), (0, 4)]
    assert certified(any_order_problem(demand, [(4, 4)] * 3)).tolist() == [True, True, True]
    assert not certified(any_order_problem(demand, [(4, 4)] * 2))[0]


def test_members_of_a_rule_to_be_apart_take_the_best_zones():
    for zones, sure in (([0, 0, 1], False), ([0, 1, 2], True)):
        case = any_order_problem(
            [2, 2, 2], [2, 2, 2], apart=[([0, 1], zones)], allowed=[[True] * 3, [True] * 3, [False, False, True]]
        )
        assert certified(case)[0] == sure


def test_who_must_join_another_is_certain_where_there_is_always_room_for_both():
    assert certified(any_order_problem([2, 1, 1], [4, 5], together=[[0, 1]])).all()
    assert not certified(any_order_problem([2, 1, 1], [3, 5], together=[[0, 1]]))[0]
    assert not certified(any_order_problem([2, 1, 1], [1, 5], together=[[0, 1]]))[0]
    two_masters = any_order_problem([1, 1, 1], [9, 9], together=[[0, 1], [0, 2]])
    assert certified(two_masters).tolist() == [False, True, True]


def test_costs_are_sharper_by_the_sums_that_there_can_be():
    case = any_order_problem([5, 4, 3], [8, 9])
    assert BlockingProblem.of(case, 0).cost[:, 0].tolist() == [4, 5]
    assert BlockingProblem.of(case, 0).sharp.cost[:, 0].tolist() == [4, 7]


def test_without_vms_or_nodes():
    assert certified(any_order_problem([], [4])).tolist() == []
    assert certified(any_order_problem([4], [])).tolist() == [False]
    assert np.array_equal(certified(any_order_problem([4], [4], must=[False])), [False])
