from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.failover.certificates.certificates import Certificates
from vmplace.failover.certify import certify
from vmplace.failover.verdict import JointVerdict
from vmplace.problem.compile import compile_problem
from vmplace.problem.state import PlacementState
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.construct.reserves import around, dedicated, holes, ladder, least_safe
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

BALANCE = Goal(("balance",))


def waiting(node_sizes, vm_sizes, **guarantee):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(node_sizes)]
    vms = [VM(f"v{i}", size) for i, size in enumerate(vm_sizes)]
    return compile_problem(Cluster(nodes, vms, guarantee=Guarantee(**guarantee)))


def listed(found):
    return [reserved[:, 0].tolist() for reserved in found]


def test_ever_fewer_and_larger():
    assert listed(holes(waiting((16,) * 8, (4,) * 26), BALANCE)) == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [4, 4, 4, 4, 0, 0, 0, 0],
        [8, 8, 0, 0, 0, 0, 0, 0],
        [16, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_rungs_are_holes_for_the_largest_that_a_node_will_have():
    # Dealt out by size, three nodes get 8, 8, 5 and then 3, 3, 3; they have 6 free, or 2 each, before there are holes.
    rungs, guess = ladder(waiting((12,) * 3, (8, 3, 8, 3, 5, 3)), BALANCE)
    assert listed(rungs[: guess + 1]) == [[0, 0, 0], [8, 8, 0], [8, 8, 3]]
    assert listed(rungs[guess + 1 :]) == [[12, 0, 0]]


def test_a_guess_of_no_hole_where_every_node_has_room_for_the_largest():
    rungs, guess = ladder(waiting((16,) * 4, (2,) * 8), BALANCE)
    assert guess == 0
    assert not rungs[0].any()


def test_without_a_guarantee_there_are_none():
    problem = waiting((16, 16), (8, 8), failures=0)
    assert listed(holes(problem, BALANCE)) == listed(dedicated(problem, BALANCE)) == [[0, 0]]
    assert [listed(part) if isinstance(part, list) else part for part in ladder(problem, BALANCE)] == [[[0, 0]], 0]


def test_a_dedicated_spare_is_the_roomiest_node():
    assert listed(dedicated(waiting((8, 16, 8), (4,)), BALANCE)) == [[0, 0, 0], [0, 16, 0]]


def test_each_pool_has_its_own():
    nodes = [Node("a", 8), Node("b", 9), Node("c", 20, pool="other"), Node("d", 90, state="maintenance")]
    problem = compile_problem(Cluster(nodes, [VM("v", 8)]))
    assert listed(dedicated(problem, BALANCE))[-1] == [0, 9, 20, 0]


def test_of_several_that_fail_each_has_its_holes():
    problem = waiting((16,) * 8, (4,) * 20, failures=2)
    assert listed(holes(problem, BALANCE)) == [[0] * 8, [8, 8, 8, 8, 0, 0, 0, 0], [16, 16, 0, 0, 0, 0, 0, 0]]
    assert listed(dedicated(waiting((8, 16, 12), (4,), failures=2), BALANCE))[-1] == [0, 16, 12]
    assert listed(holes(waiting((8, 8), (4, 4), failures=3), BALANCE))[-1] == [8, 8]


def racks(*domains, size=8):
    return [Node(f"n{i}", size, domain=domain) for i, domain in enumerate(domains)]


def test_a_domain_has_the_holes_of_all_its_nodes_dealt_out_over_the_domains():
    vms = [VM(f"v{i}", 4) for i in range(6)]
    problem = compile_problem(Cluster(racks(*"aabbcc"), vms, guarantee=Guarantee(scope="domain")))
    assert listed(holes(problem, BALANCE))[-1] == [8, 0, 8, 0, 0, 0]
    # Three nodes' worth, two of them in one domain: the third one's holes are where there is none yet.
    problem = compile_problem(Cluster(racks("a", "a", "a", "b", "b"), vms, guarantee=Guarantee(scope="domain")))
    assert listed(holes(problem, BALANCE))[-1] == [8, 8, 0, 8, 0]


def test_rungs_for_several_make_good_the_holes_that_fail():
    # As for one, but of each size two, and as many of the largest as may fail along.
    rungs, guess = ladder(waiting((12,) * 8, (8,) * 8, failures=2), BALANCE)
    assert listed(rungs[: guess + 1])[1:] == [[8, 8, 8, 8, 0, 0, 0, 0]]
    assert ladder(waiting((18,) * 8, (8,) * 8, failures=2), BALANCE)[1] == 0


def test_each_resource_has_its_holes_but_those_that_a_failover_may_exceed():
    nodes = [Node(f"n{i}", 16, resources={"vcpu": 8, "disk": 9}) for i in range(4)]
    vms = [VM(f"v{i}", 4, resources={"vcpu": 3, "disk": 1}) for i in range(8)]
    problem = compile_problem(Cluster(nodes, vms, soft_resources=["disk"]))
    assert problem.resources == ("vcpu", "disk")
    assert [r.tolist() for r in holes(problem, BALANCE)][1:] == [
        [[8, 4, 0], [8, 4, 0], [0, 0, 0], [0, 0, 0]],
        [[16, 8, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    rungs, guess = ladder(problem, BALANCE)
    assert [r[:, :2].tolist() for r in rungs[1 : guess + 1]] == [
        [[0, 3], [0, 3], [0, 0], [0, 0]],
        [[0, 3], [0, 3], [0, 3], [0, 0]],
    ]


def test_evictable_vms_fill_no_hole():
    nodes = [Node("n0", 16), Node("n1", 16), Node("n2", 16)]
    vms = [VM("a", 9, "n0", movable=False, evictable=True), VM("b", 4, "n1", movable=False), VM("c", 2, "n2", movable=False)]
    assert listed(dedicated(compile_problem(Cluster(nodes, vms)), BALANCE))[-1] == [16, 0, 0]


@pytest.mark.parametrize("failures", [1, 2])
@pytest.mark.parametrize("parts", [0, 1, 2])
def test_holes_for_any_order_are_enough_for_certain(failures, parts):
    problem = waiting((64,) * 12, (16, 12, 8, 4) * 12, failures=failures, restart="any-order")
    reserved = list(holes(problem, BALANCE))[-1 - parts]
    filling = BatchFilling(problem, problem.node_of, problem.capacity - reserved, pack=True)
    filling.place_all()
    assert filling.complete
    state = PlacementState.of(problem, filling.node_of)
    assert (Certificates(state).any_order() | (state.asked == 0)).all()


def test_rungs_for_any_order_are_parts_of_the_fewest_holes():
    rungs, guess = ladder(waiting((64,) * 8, (16, 12, 8, 4) * 8, restart="any-order"), BALANCE)
    assert listed(rungs)[:2] == [[0] * 8, [4, 0, 0, 0, 0, 0, 0, 0]]
    assert listed(rungs)[guess:] == [[64, 0, 0, 0, 0, 0, 0, 0], [38, 38, 0, 0, 0, 0, 0, 0], [25, 25, 25, 25, 0, 0, 0, 0]]
    # Of two that fail one hole each is not enough, as large as it may be.
    rungs, guess = ladder(waiting((64,) * 8, (16, 12, 8, 4) * 8, failures=2, restart="any-order"), BALANCE)
    assert listed(rungs)[guess] == [44, 44, 38, 38, 0, 0, 0, 0]


def test_the_least_that_is_safe_is_found_by_halving():
    problem = waiting((64,) * 8, (16, 12, 8, 4) * 8)
    rungs = [np.full((8, 1), step) for step in range(17)]
    tried = []

    def attempt(reserved):
        tried.append(int(reserved[0, 0]))
        filling = BatchFilling(problem, problem.node_of, problem.capacity - reserved, pack=False)
        filling.place_all()
        verdict = certify(problem, filling.node_of, budget=Budget())
        verdict.fate[:] = 1 if tried[-1] >= 6 else 2
        return CandidatePlacement(filling.node_of, None, JointVerdict((verdict,)), (tried[-1],))

    assert least_safe(problem, rungs, attempt, budget=Budget()).values == (4,)
    assert tried == [8, 4, 6, 5]
    assert least_safe(problem, rungs, attempt, budget=Budget(0)) is None
    slight = [np.zeros((8, 1), dtype=np.int64)] * 5
    assert least_safe(problem, slight, attempt, budget=Budget()) is None


def test_evictable_vms_may_be_in_holes():
    vms = [VM("a", 3, "n0", evictable=True), VM("b", 5, "n0"), VM("c", 4, "n1", evictable=True)]
    problem = compile_problem(Cluster([Node("n0", 10), Node("n1", 10)], vms))
    reserved = np.array([[4], [2]])
    assert around(problem, problem.capacity, reserved, problem.node_of).tolist() == [[9], [10]]
    assert around(problem, problem.capacity, reserved, np.full(3, -1)).tolist() == [[6], [8]]


def test_headroom_is_part_of_the_hole():
    # Two nodes of 8 with 2 kept free: 6 in normal running. A node's worth of 6 needs a hole of 6, 2 of which are free anyway.
    assert listed(holes(waiting((8, 8), (3, 3), headroom=0.25), BALANCE))[-1] == [4, 0]


@settings(max_examples=25, deadline=None)
@given(clusters(resources=True, evictable=True), st.sampled_from([BALANCE, Goal(("moves",), move_running=True)]))
def test_the_last_holes_are_a_spare_node_in_each_pool(cluster, goal):
    problem = compile_problem(cluster)
    sets = [reserved[:, 0] for reserved in holes(problem, goal)]
    assert all(not reserved[~problem.online].any() for reserved in sets)
    assert all((one > 0).sum() >= (two > 0).sum() for one, two in pairwise(sets) if one.any())
    for pool in np.unique(problem.pool[problem.online]):
        inside = problem.online & (problem.pool == pool)
        kept_free = sets[-1] + problem.usable - problem.limit
        assert kept_free[inside].max() >= problem.limit[inside].max()
