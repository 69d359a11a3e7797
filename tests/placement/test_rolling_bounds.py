"""Bounds on how many nodes can be out at once."""

import numpy as np
import pytest

from vmplace import VM, Cluster, Guarantee, Node, OnlyOn
from vmplace.placement.rolling_bounds import fewest_groups, lonely
from vmplace.problem.compile import compile_problem


def fewest(usable, memory, states=None, **guarantee):
    states = states or ["online"] * len(usable)
    nodes = [Node(f"n{i}", size, state=state) for i, (size, state) in enumerate(zip(usable, states, strict=True))]
    problem = compile_problem(Cluster(nodes, [VM(f"v{k}", m) for k, m in enumerate(memory)], (), Guarantee(**guarantee)))
    return fewest_groups(problem, np.ones(len(nodes), dtype=bool))


@pytest.mark.parametrize(
    ("usable", "memory", "groups"),
    [
        ([10] * 4, [], 1),
        ([10] * 6, [10, 10], 2),
        ([10] * 6, [10, 10, 10], 3),
        ([10] * 4, [6, 6], 4),  # slots: two of 6 need two nodes besides the one that fails
        ([10] * 4, [10, 10, 10], 1),  # not even one: nothing is said
        ([20, 10, 10, 10], [10], 2),
    ],
)
def test_groups(usable, memory, groups):
    assert fewest(usable, memory) == groups


def test_without_failures_all_that_is_left_counts():
    assert fewest([10] * 4, [10, 10], failures=0) == 2
    assert fewest([10] * 4, [10], failures=2) == 4


def test_those_in_maintenance_do_not_count():
    assert fewest([10] * 4, [10, 10], ["online"] * 3 + ["maintenance"]) == 3


@pytest.mark.parametrize(
    ("allowed", "failures", "found"), [(("n0",), 1, 0), (("n0", "n1"), 1, None), (("n0", "n1"), 2, 0), (("n0",), 0, None)]
)
def test_a_vm_with_too_few_places_is_found(allowed, failures, found):
    nodes = [Node(f"n{i}", 10) for i in range(4)]
    cluster = Cluster(nodes, [VM("v", 1), VM("w", 1)], [OnlyOn(("v",), allowed)], Guarantee(failures=failures))
    assert lonely(compile_problem(cluster)) == found


def test_who_may_stay_in_maintenance_needs_one_place_less():
    nodes = [Node("n0", 10, state="maintenance"), Node("n1", 10), Node("n2", 10)]
    rules = [OnlyOn(("v",), ("n0", "n1"))]
    assert lonely(compile_problem(Cluster(nodes, [VM("v", 1, "n0")], rules))) is None
    assert lonely(compile_problem(Cluster(nodes, [VM("v", 1, "n1")], rules))) == 0
