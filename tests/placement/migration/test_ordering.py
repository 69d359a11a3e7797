"""The best order that is found, and what is proved of it."""

from tests.placement.migration.test_transit import transit
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.ordering import GuaranteeWatch, least_exposed, order
from vmplace.solvers.budget import Budget


def ordered(found, limits=None, budget=None):
    budget = budget or Budget()
    return order(found, GuaranteeWatch(found.problem, budget), limits or MigrationLimits(), budget=budget)


def test_what_goes_straight_and_stays_safe_is_best():
    found = ordered(transit([(1, "n0"), (1, "n1")], [1, 2]))
    assert (found.extra, found.extra_proved, found.exposed_proved, found.stats["tries"]) == (0, True, True, 1)


def test_a_stop_over_is_proved_to_be_the_cheapest():
    found = ordered(transit([(7, "n0"), (6, "n1")], [1, 0]))
    assert (found.extra, found.extra_proved) == (6, True)


def test_out_of_reach_says_how_much_was_looked_at():
    found = ordered(transit([(5, "n0"), (5, "n1"), (1, "n1")], [1, 0, 1], n_nodes=2, size=8))
    assert (found.batches, found.impossible) == (None, "2 placements can be reached from here, and the target is not one of them")


def test_limits_on_migrations():
    swap = transit([(7, "n0"), (6, "n1")], [1, 0])
    assert ordered(swap, MigrationLimits(max_moves=1)).impossible == "2 VMs have to migrate, max_moves allows 1"
    assert ordered(swap, MigrationLimits(max_migrated=18)).impossible == "19 MiB have to migrate, max_migrated allows 18"
    assert ordered(swap, MigrationLimits(max_moves=2)).batches is None
    assert ordered(swap, MigrationLimits(max_moves=3, max_migrated=19)).batches


def test_each_state_is_judged_once():
    found = transit([(1, "n0")], [1])
    watch = GuaranteeWatch(found.problem, Budget())
    assert watch.holds(found.problem.node_of)
    assert watch.holds(found.problem.node_of)
    assert watch.judged == 1


def test_the_seed_varies_and_repeats():
    found = transit([(3, "n0"), (4, "n1"), (5, "n2"), (2, "n0"), (3, "n1")], [1, 2, 0, 2, 0])
    first, again = (ordered(found, MigrationLimits(seed=3)).batches for _ in range(2))
    assert first == again


def test_without_time_there_is_none():
    found = ordered(transit([(1, "n0")], [1]), budget=Budget(0))
    assert (found.batches, found.impossible) == (None, "")


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


def test_without_time_no_order_is_known_to_be_least_exposed():
    assert least_exposed(transit([(1, "n0")], [1]), MigrationLimits(), lambda _: True, budget=Budget(0)) is None
