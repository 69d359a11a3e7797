import pytest
from hypothesis import assume, given, settings

from tests.support.bins import assert_packed, cases, fewest_bins, triplets
from vmplace.solvers.binpacking import arcflow
from vmplace.solvers.binpacking.arcflow import flow
from vmplace.solvers.binpacking.instance import Instance
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Outcome


@settings(max_examples=100, deadline=None)
@given(cases())
def test_it_decides(case):
    sizes, kinds = case
    assume(sizes)
    instance, optimum = Instance.of(sizes, kinds), fewest_bins(sizes, kinds)
    for n_bins in (optimum - 1, optimum):
        if 1 <= n_bins <= instance.n_bins:
            outcome, loads = flow(instance, n_bins, budget=Budget())
            if n_bins < optimum:
                assert (outcome, loads) == (Outcome.INFEASIBLE, None)
            else:
                assert outcome is Outcome.OPTIMAL
                assert_packed(instance, loads, instance.counts, instance.largest(n_bins))


def test_exactly_full_bins():
    sizes = triplets(60, 0)
    instance = Instance.of(sizes, [(1000, 20)])
    outcome, loads = flow(instance, 20, budget=Budget(30))
    assert outcome is Outcome.OPTIMAL
    assert_packed(instance, loads, instance.counts, (20,))


def test_where_bins_are_tight_few_arcs_are_left(monkeypatch):
    """All 60 sizes times all sums would be 60,000."""
    monkeypatch.setattr(arcflow, "_MOST_ARCS", 500)
    instance = Instance.of(triplets(60, 0), [(1000, 21)])
    assert flow(instance, 20, budget=Budget(30))[0] is Outcome.OPTIMAL
    assert flow(instance, 21, budget=Budget(30)) == (Outcome.UNKNOWN, None)  # a whole bin to waste: too many


def test_too_little_room_needs_no_model():
    assert flow(Instance.of([3, 3], [(5, 1)]), 1, budget=Budget()) == (Outcome.INFEASIBLE, None)


def test_it_ends_in_time():
    with pytest.raises(OutOfTimeError):
        flow(Instance.of([3, 2], [(5, 1)]), 1, budget=Budget(0))
