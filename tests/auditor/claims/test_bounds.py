"""Bounds that sums show: never above the best value that enumeration finds."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from vmplace.auditor.case import Case
from vmplace.auditor.claims.bounds import fewest_of_one_size, fewest_powered, infeasible, least_moved, least_peak
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node, OnlyOn
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def before(cluster, drained=()):
    return Case(cluster, np.full(len(cluster.vms), -1), None, drained)


def case_of(usable, vms, failures=1, drained=(), rules=(), **options):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    held = [VM(f"v{i}", memory, node, **options) for i, (memory, node) in enumerate(vms)]
    return before(Cluster(nodes, held, rules, Guarantee(failures=failures)), drained)


def test_the_peak_is_the_average_or_the_share_of_the_largest():
    assert least_peak(case_of([10, 10], [(4, None), (4, None), (2, None)])) == Fraction(1, 2)
    assert least_peak(case_of([10, 20], [(16, None)])) == Fraction(4, 5)
    assert least_peak(case_of([10, 10], [])) == 0


def test_what_must_leave_moves():
    placed = [(3, "n0"), (4, "n0"), (2, "n1")]
    assert least_moved(case_of([10, 10], placed)) == 0
    assert least_moved(case_of([10, 10], placed, drained=["n0"])) == 7
    assert least_moved(case_of([5, 10], placed)) == 2
    assert least_moved(case_of([5, 10], placed, rules=[OnlyOn(["v1"], ["n1"])])) == 4


@pytest.mark.parametrize(
    ("usable", "vms", "failures", "fewest"),
    [
        ([10, 10, 10], [6, 4], 1, 2),
        ([10, 10, 10], [6, 5], 1, 3),
        ([10, 10, 10], [6, 4], 0, 1),
        ([10, 10, 10], [6, 6, 6], 1, 4),
        ([10, 10, 10], [], 1, 0),
        ([20, 10, 10], [6, 4], 1, 2),
        ([10, 10, 10], [6, 4], 2, 3),
    ],
)
def test_the_fewest_nodes_hold_all_and_survive_the_largest(usable, vms, failures, fewest):
    case = case_of(usable, [(memory, None) for memory in vms], failures)
    assert fewest_powered(case) == fewest
    if len(set(usable)) == 1:
        assert fewest_of_one_size(case) == fewest
    assert bool(list(infeasible(case))) == (fewest > len(usable))


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=3, max_vms=4, rules=False, states=False, pools=False, stopped=False, headroom=False))
def test_no_placement_is_below_the_bounds(cluster):
    case = before(cluster)
    nodes, memory = range(len(cluster.nodes)), case.memory.demand.tolist()
    for placement in product(nodes, repeat=len(memory)):
        at = np.array(placement, np.int64)
        load = np.bincount(at, memory, minlength=len(nodes)) if len(nodes) else np.zeros(0)
        if (load > case.memory.capacity[:-1]).any():
            continue
        shares = [Fraction(int(held), int(whole)) for held, whole in zip(load, case.memory.capacity[:-1], strict=True)]
        assert max(shares, default=0) >= least_peak(case)
        moved = sum(m for m, now, then in zip(memory, case.now.tolist(), placement, strict=True) if 0 <= now != then)
        assert moved >= least_moved(case)
