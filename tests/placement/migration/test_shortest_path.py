"""Which placements can be reached."""

import numpy as np

from tests.placement.migration.test_transit import transit
from vmplace.placement.migration.shortest_path import reach, separated
from vmplace.placement.migration.transit import MigrationState
from vmplace.solvers.budget import Budget


def test_the_least_memory_is_found():
    found = transit([(7, "n0"), (6, "n1")], [1, 0])
    known = reach(found, budget=Budget())
    assert sum(int(found.memory[unit]) for unit, _, _ in known.hops) == 7 + 6 + 6
    migration_state = MigrationState.of(found)
    for unit, _, node in known.hops:
        assert migration_state.holds(unit, node)
        migration_state.go(unit, node)
    assert np.array_equal(migration_state.at, found.goal)


def test_a_hasty_way_is_a_way():
    found = transit([(7, "n0"), (6, "n1")], [1, 0])
    assert reach(found, hasty=True, budget=Budget()).hops


def test_out_of_reach_is_told_by_looking_at_all():
    known = reach(transit([(5, "n0"), (5, "n1"), (1, "n1")], [1, 0, 1], n_nodes=2, size=8), budget=Budget())
    assert (known.hops, known.exhausted) == (None, True)


def test_kinds_tell_only_what_is_so_for_each():
    crowded = transit([(5, "n0"), (5, "n1"), (1, "n1"), (1, "n1")], [1, 0, 1, 1], n_nodes=2, size=8)
    assert separated(crowded, budget=Budget()) is None  # the two of 5 could stand for each other
    other = transit([(5, "n0"), (4, "n1"), (1, "n1"), (1, "n1")], [1, 0, 1, 1], n_nodes=2, size=7)
    assert separated(other, budget=Budget()) is not None
    assert reach(other, budget=Budget()).exhausted


def test_without_time_nothing_is_told():
    known = reach(transit([(7, "n0"), (6, "n1")], [1, 0]), budget=Budget(0))
    assert (known.hops, known.exhausted) == (None, False)
    assert separated(transit([(7, "n0"), (6, "n1")], [1, 0]), budget=Budget(0)) is None
