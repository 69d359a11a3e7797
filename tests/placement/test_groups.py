"""How few groups of nodes there can be, and ways to divide them."""

from itertools import combinations

import numpy as np
import pytest

from vmplace import VM, Cluster, Guarantee, Node, OnlyOn
from vmplace.placement.groups import Division, GroupLimits, fewest_groups, lonely
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names


def bound(usable, memory, states=None, **guarantee):
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
    assert bound(usable, memory) == groups


def test_without_failures_all_that_is_left_counts():
    assert bound([10] * 4, [10, 10], failures=0) == 2
    assert bound([10] * 4, [10], failures=2) == 4


def test_those_in_maintenance_do_not_count():
    assert bound([10] * 4, [10, 10], ["online"] * 3 + ["maintenance"]) == 3


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


def compiled(n_nodes, states=None, pools=None, **guarantee):
    nodes = [
        Node(f"n{i}", 100, state=(states or ["online"] * n_nodes)[i], pool=(pools or ["a"] * n_nodes)[i]) for i in range(n_nodes)
    ]
    cluster = Cluster(nodes, guarantee=Guarantee(**guarantee))
    return Names(cluster, compile_problem(cluster))


@pytest.mark.parametrize(
    ("n_nodes", "guarantee", "most"),
    [
        (1, {}, 1),
        (2, {}, 1),
        (3, {}, 1),
        (4, {}, 1),
        (5, {}, 2),
        (6, {}, 2),
        (7, {}, 3),
        (5, {"quorum": "majority"}, 2),
        (5, {"quorum": 2}, 3),
        (5, {"quorum": 5}, 1),
    ],
)
def test_never_more_at_once_than_leave_a_quorum(n_nodes, guarantee, most):
    limits = GroupLimits.of(compiled(n_nodes, **guarantee).problem, None)
    assert limits.of_pool == {0: most}
    assert limits.keep([0] * most)
    assert not limits.keep([0] * (most + 1))


def test_what_is_offline_is_out_already():
    states = ["online", "online", "maintenance", "online", "offline"]
    assert GroupLimits.of(compiled(5, states).problem, None).of_pool == {0: 1}


def test_each_pool_has_its_own_limit_and_all_together_one():
    problem = compiled(8, pools=["a"] * 5 + ["b"] * 3).problem
    limits = GroupLimits.of(problem, None)
    assert limits.of_pool == {0: 2, 1: 1}
    assert fewest_groups(problem, np.ones(8, dtype=bool), limits) == 3
    assert fewest_groups(problem, np.ones(8, dtype=bool), GroupLimits.of(problem, 2)) == 4


def test_ways_keep_the_limits_and_learn_what_is_refuted():
    names = compiled(5)
    division = Division(names, [f"n{i}" for i in range(5)], GroupLimits.of(names.problem, None), lambda group: "")
    assert division.bound() == 3
    for _ in range(8):  # of ten pairs, these leave too few to divide five nodes into three groups
        way = next(division.ways(3), None)
        if way is None:
            break
        assert all(division.keeps(group) for group in way)
        division.refute(next(group for group in way if len(group) == 2))
    else:
        pytest.fail("the same pairs came again")


def test_three_that_clash_need_not_clash_in_pairs():
    names = compiled(7)
    division = Division(names, [f"n{i}" for i in range(7)], GroupLimits.of(names.problem, None), lambda group: "")
    for three in combinations([f"n{i}" for i in range(7)], 3):
        division.refute(three)
    assert next(division.ways(3), None) is None
    assert all(len(group) <= 2 for group in next(division.ways(4)))


def test_of_several_guarantees_the_strictest_counts():
    nodes = [Node(f"n{i}", 10) for i in range(5)]
    rule = [OnlyOn(("v0",), ("n0", "n1"))]
    asked = [Guarantee(failures=1, quorum=2), Guarantee(failures=2, vms=["v0"]), Guarantee(failures=1, quorum=4)]
    cluster = Cluster(nodes, [VM("v0", 6, "n0"), VM("v1", 6, "n1")], rule, guarantee=asked)
    problem, wanted = compile_problem(cluster, several=True), np.ones(5, dtype=bool)
    assert GroupLimits.of(problem, None).of_pool == {0: 1}
    assert lonely(problem) == 0
    assert lonely(problem.each[0]) is None
    assert fewest_groups(problem, wanted) == max(fewest_groups(part, wanted) for part in problem.each)
