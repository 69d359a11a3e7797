"""When VMs that wait are started."""

import numpy as np

from tests.placement.migration.test_transit import transit
from vmplace import Apart, Together
from vmplace.placement.migration.batches import batches
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.starts import Starting
from vmplace.solvers.budget import Budget


def starting(vms, final, rules=()):
    found = transit(vms, final, rules)
    return Starting(found, batches(found, MigrationLimits(), lambda _: True, budget=Budget()))


def test_the_first_batch_from_which_on_there_is_room():
    vms = [(6, "n0"), (6, "n1"), (4, None), (8, None), (2, None)]
    assert starting(vms, [1, 2, 1, 0, 2]).step.tolist() == [-1, -1, 0, 2, 0]


def test_rules_are_kept_from_then_on():
    assert starting([(1, "n0"), (1, None)], [1, 1], [Together(("v0", "v1"))]).step.tolist() == [-1, 1]
    assert starting([(1, "n0"), (1, None)], [1, 0], [Apart(("v0", "v1"))]).step.tolist() == [-1, 1]


def test_the_larger_comes_first_and_both_are_charged():
    vms = [(8, "n0"), (8, "n1"), (2, None), (1, None)]
    assert starting(vms, [1, 2, 1, 1]).step.tolist()[2:] == [0, 2] or starting(vms, [1, 2, 1, 0]).step[2] == 0


def test_who_would_cost_the_guarantee_starts_later():
    found = starting([(6, "n0"), (6, "n1"), (2, None)], [1, 2, 2])
    assert found.step.tolist() == [-1, -1, 0]
    found.postpone(lambda node_of: not (node_of[2] == 2 and node_of[0] == 0))
    assert found.step.tolist() == [-1, -1, 1]


def test_where_who_has_started_is_in_each_batch():
    found = starting([(6, "n0"), (6, "n1"), (2, None)], [1, 2, 2])
    assert np.array_equal(found.placed(found.transit.goal, 0), [1, 2, 2])
