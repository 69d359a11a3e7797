import numpy as np
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.any_order import Possible, any_order_problem, any_order_problems
from vmplace.failover.any_order.state import RestartState


@settings(max_examples=100, deadline=None)
@given(st.data(), any_order_problems())
def test_restarts_are_open_where_capacities_and_rules_leave_them(data, case):
    possible, restarts, home = Possible(case), RestartState(case), [-1] * case.n_vms
    for vm in data.draw(st.permutations(range(case.n_vms))):
        nodes = np.flatnonzero(restarts.open(vm)).tolist()
        assert nodes == possible.open(home, vm)
        if nodes:
            home[vm] = data.draw(st.sampled_from(nodes))
            before = restarts.copy()
            restarts.restart(vm, home[vm])
            assert before.placed == restarts.placed[:-1]
            assert np.array_equal(before.open(vm), RestartState.open(before, vm))
            assert nodes == np.flatnonzero(before.open(vm)).tolist()


def test_kinds_are_interchangeable_vms_largest_first():
    case = any_order_problem([2, 3, 2, 2], [2, 9], must=[True, True, True, False], apart=[([1, 3], None)])
    kinds = case.kinds
    assert [vms.tolist() for vms in kinds.vms] == [[1], [0, 2], [3]]
    assert kinds.count.tolist() == [1, 2, 1]
    assert kinds.demand[:, 0].tolist() == [3, 2, 2]
    assert kinds.must.tolist() == [True, True, False]
    assert kinds.fits.tolist() == [[False, True], [True, True], [True, True]]
    assert kinds.apart == (frozenset({0}), frozenset(), frozenset({0}))
    assert kinds.together == (frozenset(),) * 3


@settings(max_examples=40, deadline=None)
@given(any_order_problems())
def test_who_is_no_harder_to_restart_is_stranded_only_if_the_other_can_be(case):
    must = np.ones(case.n_vms, dtype=bool)
    lost = Possible(evolve(case, must=must)).stranded()
    for kind, vms in enumerate(case.kinds.vms):
        dominated_by = case.kinds.dominated_by(kind)
        assert dominated_by[kind]
        if lost.isdisjoint(vms.tolist()):
            assert all(lost.isdisjoint(case.kinds.vms[k].tolist()) for k in np.flatnonzero(dominated_by))
