"""Moves in batches."""

import numpy as np
import pytest

from tests.placement.migration.test_transit import transit
from vmplace import Together
from vmplace.placement.migration.batches import BatchGate, batches, in_batches
from vmplace.placement.migration.limits import MigrationLimits as Limits
from vmplace.placement.migration.transit import MigrationState
from vmplace.solvers.budget import Budget

ANY = Limits()


def always(_):
    return True


def made(found, limits=ANY, safe=always):
    return batches(found, limits, safe, budget=Budget())


def test_all_that_can_go_goes_at_once():
    assert made(transit([(6, "n0"), (6, "n1")], [1, 2])) == [((1, 1, 2),), ((0, 0, 1),)]
    assert len(made(transit([(2, "n0"), (2, "n1")], [1, 2]))) == 1


@pytest.mark.parametrize(
    ("limits", "count"),
    [(Limits(1), 4), (Limits(3), 2), (Limits(None, 2), 2), (Limits(None, 1), 4), (ANY, 1)],
)
def test_limits(limits, count):
    assert len(made(transit([(1, "n0")] * 4, [1] * 4), limits)) == count


def test_who_is_more_than_the_limit_goes_alone():
    vms, final = [(1, "n0"), (1, "n0"), (1, "n1")], [1, 1, 2]
    found = made(transit(vms, final, [Together(("v0", "v1"))]), Limits(1))
    assert sorted(map(len, found)) == [1, 1]


def test_a_gate_forgets_what_is_dropped():
    gate = BatchGate(Limits(2, 1), np.array([1, 1, 1]))
    gate.add((0, 0, 1))
    assert not gate.admits((1, 0, 2))
    assert gate.admits((1, 2, 3))
    gate.drop()
    assert gate.admits((1, 0, 2))
    assert gate.hops == []


def test_only_what_keeps_the_guarantee_goes():
    found = transit([(1, "n0")] * 3, [1, 2, 2])

    def safe(at):
        return not (at[0] == 1 and at[2] == 0)  # v0 must not go before v2

    steps = made(found, Limits(1), safe)
    order = [unit for batch in steps for unit, _, _ in batch]
    assert order.index(2) < order.index(0)
    few = made(found, Limits(2), lambda at: safe(at) and list(at) != [0, 2, 2])
    assert [sorted(unit for unit, _, _ in batch) for batch in few] == [[1], [0, 2]]


def test_the_smallest_go_first_where_the_largest_would_lose_the_guarantee():
    found = transit([(8, "n0")] * 14 + [(2, "n0")] * 14, [1] * 28, size=1000)
    steps = made(found, Limits(1), lambda at: bool((at[:14] == 0).all()))  # none of the large ones may go
    assert all(found.memory[unit] == 2 for ((unit, _, _),) in steps[:14])


def test_where_nothing_keeps_it_all_goes():
    found = transit([(1, "n0")] * 3, [1, 2, 2])
    assert len(made(found, safe=lambda at: not at.any())) == 1


def test_hops_are_joined_where_that_is_possible():
    found = transit([(6, "n0"), (6, "n1"), (1, "n0")], [1, 0, 2])
    hops = [(0, 0, 2), (1, 1, 0), (0, 2, 1), (2, 0, 2)]
    assert in_batches(MigrationState.of(found), hops, ANY) == [((0, 0, 2),), ((1, 1, 0),), ((0, 2, 1), (2, 0, 2))]


def test_without_time_there_is_none():
    assert batches(transit([(1, "n0")], [1]), ANY, always, budget=Budget(0)) is None
