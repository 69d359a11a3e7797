"""Stop-overs that let a blocked move through."""

import numpy as np

from tests.placement.migration.test_transit import transit
from vmplace import Apart
from vmplace.placement.migration.stopovers import stop_over
from vmplace.placement.migration.transit import MigrationState
from vmplace.solvers.budget import Budget


def hops_of(found, budget=None):
    migration_state = MigrationState.of(found)
    before = migration_state.at.copy(), migration_state.room.copy()
    hops = stop_over(migration_state, np.arange(found.n_units), budget=budget or Budget())
    assert np.array_equal(migration_state.at, before[0])
    assert np.array_equal(migration_state.room, before[1])
    return hops


def test_the_smaller_of_two_makes_way():
    assert hops_of(transit([(7, "n0"), (6, "n1")], [1, 0])) == [(1, 1, 2), (0, 0, 1)]


def test_room_for_a_stop_over_is_made():
    hops = hops_of(transit([(7, "n0"), (6, "n1"), (3, "n2"), (2, "n2")], [1, 0, 2, 2], size=10))
    assert hops[-1][0] in (0, 1)
    assert len(hops) == 3


def test_rivals_make_way():
    hops = hops_of(transit([(2, "n0"), (2, "n1")], [1, 0], [Apart(("v0", "v1"))]))
    assert hops in ([(1, 1, 2), (0, 0, 1)], [(0, 0, 2), (1, 1, 0)])


def test_where_there_is_no_room_there_is_none():
    assert hops_of(transit([(7, "n0"), (7, "n1"), (7, "n2")], [1, 0, 2])) is None


def test_without_time_none_is_tried():
    assert hops_of(transit([(7, "n0"), (6, "n1")], [1, 0]), Budget(0)) is None
