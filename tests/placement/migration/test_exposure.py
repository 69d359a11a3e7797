"""The fewest steps that leave the guarantee open."""

from tests.placement.migration.test_transit import transit
from vmplace.placement.migration.exposure import least_exposed
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.solvers.budget import Budget


def least(found, safe, limits=None):
    return least_exposed(found, limits or MigrationLimits(), safe, budget=Budget())


def test_one_batch_is_best_where_it_is_possible():
    assert len(least(transit([(1, "n0")] * 3, [1, 1, 2]), lambda at: bool(at.all()))) == 1


def test_the_order_with_fewest_bad_states_is_found():
    found = transit([(1, "n0")] * 3, [1, 1, 1])
    bad = {(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 1, 1)}
    order = least(found, lambda at: tuple(at) not in bad, MigrationLimits(1))
    assert [batch[0][0] for batch in order] == [2, 0, 1]


def test_what_cannot_go_straight_has_none():
    assert least(transit([(7, "n0"), (6, "n1")], [1, 0]), lambda _: True) is None


def test_without_time_there_is_none():
    assert least_exposed(transit([(1, "n0")], [1]), MigrationLimits(), lambda _: True, budget=Budget(0)) is None
