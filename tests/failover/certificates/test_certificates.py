from functools import cache

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute import World
from tests.support.placements import placements, standing_of, state
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Together
from vmplace.failover.certificates.certificates import Certificates
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters


def survives_every_order(free, displaced):
    """Brute force: whatever is restarted next, and on whichever node it fits, nobody is ever stranded."""

    @cache
    def safe(free, left):
        for k, size in enumerate(left):
            fitting = [i for i, room in enumerate(free) if room >= size]
            rest = left[:k] + left[k + 1 :]
            if not fitting or not all(safe((*free[:i], free[i] - size, *free[i + 1 :]), rest) for i in fitting):
                return False
        return True

    return safe(tuple(free), tuple(displaced))


@settings(deadline=None)
@given(placements())
def test_the_certificate_is_sound_for_any_order(drawn):
    usable, vms = drawn
    now = state(usable, vms)
    for failed in np.flatnonzero(Certificates(now).any_order()).tolist():
        others = [int(free) for i, free in enumerate(now.free) if i != failed]
        assert survives_every_order(others, [size for size, i in vms if i == failed])


def test_the_certificate_says_yes_where_it_should():
    assert Certificates(state([16, 16, 16], [(4, 0), (4, 0), (4, 1), (4, 2)])).any_order().all()
    # All is in steps of 2: a survivor with 4 free cannot have 3 left, so the 2 must fill both to strand the 4.
    assert Certificates(state([10, 4, 4], [(4, 0), (2, 0)])).any_order()[0]
    assert not Certificates(state([10, 4, 3], [(4, 0), (2, 0)])).any_order()[0]


def packs(free, displaced):
    """Brute force: whether all restart somewhere."""
    if not displaced:
        return True
    size, *rest = displaced
    return any(
        packs((*free[:i], room - size, *free[i + 1 :]), rest)
        for i, room in enumerate(free)
        if room >= size and room not in free[:i]
    )


@st.composite
def roomy_placements(draw):
    """Some nodes with much free memory, some with little; a few large VMs and many small ones, in odd sizes too."""
    step = draw(st.sampled_from([1, 2, 3]))
    nodes = draw(st.integers(2, 6))
    vms = draw(st.lists(st.tuples(st.sampled_from([1, 1, 2, 3, 4, 6, 8, 12]), st.integers(0, nodes - 1)), max_size=12))
    vms = [(size * step, node) for size, node in vms]
    spare = draw(st.lists(st.integers(0, 16), min_size=nodes, max_size=nodes))
    usable = [max(1, room * step + sum(size for size, i in vms if i == node)) for node, room in enumerate(spare)]
    return usable, vms


@settings(deadline=None, max_examples=200)
@given(roomy_placements())
def test_slots_are_sound(drawn):
    usable, vms = drawn
    now = state(usable, vms)
    for failed in np.flatnonzero(Certificates(now).slots).tolist():
        others = tuple(int(free) for i, free in enumerate(now.free) if i != failed)
        assert packs(others, sorted((size for size, i in vms if i == failed), reverse=True))


@settings(deadline=None, max_examples=100)
@given(roomy_placements())
def test_a_wide_margin_of_equal_nodes_is_certified(drawn):
    usable, vms = drawn
    most = sum(size for size, _ in vms) + 1
    wide = [most + sum(size for size, i in vms if i == node) for node in range(len(usable))]
    displaced = state(wide, vms).displaced > 0
    if len(usable) > 2:
        assert (Certificates(state(wide, vms)).any_order() == displaced).all()
        assert (Certificates(state(wide, vms)).slots == displaced).all()


def test_large_vms_find_slots_where_any_order_would_strand_them():
    # If the small ones restarted first, they could fill both holes of 8; if the large ones do, they find 3 and 3 free.
    now = state([30, 8, 8, 3, 3, 3], [(8, 0), (4, 0), (4, 0), (1, 0), (1, 0)])
    assert not Certificates(now).any_order()[0]
    assert Certificates(now).slots[0]


def test_one_slot_too_few_is_not_certified():
    assert not Certificates(state([30, 8, 7, 3, 3, 3], [(8, 0), (4, 0), (4, 0), (1, 0), (1, 0)])).slots[0]
    assert not Certificates(state([30, 8, 4, 4], [(8, 0), (4, 0), (4, 0), (4, 0)])).slots[0]


def test_pools_are_judged_apart():
    nodes = [Node("a1", 30), Node("a2", 12), Node("a3", 12), *(Node(f"b{i}", 20, pool="b") for i in (1, 2, 3))]
    vms = [
        VM("v", 10, "a1"),
        VM("w", 2, "a1"),
        VM("x", 15, "b1", pool="b"),
        VM("y", 6, "b2", pool="b"),
        VM("z", 6, "b3", pool="b"),
    ]
    problem = compile_problem(Cluster(nodes, vms))
    now = PlacementState.of(problem, problem.node_of)
    # The free memory of pool a is no help to x.
    for certified in (Certificates(now).any_order(), Certificates(now).slots):
        assert certified.tolist() == [True, False, False, False, True, True]


def too_many_to_list(cluster, most=3):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmplace.problem.scenarios.MOST_SCENARIOS", most)
        problem = compile_problem(cluster)
        now = PlacementState.of(problem, problem.node_of)
    assert not now.scenarios.complete
    return now


def test_a_pool_with_room_for_all_is_certain_though_not_all_failures_are_listed():
    nodes = [Node(f"n{i}", 40) for i in range(6)]
    pool_b = [Node(f"b{i}", 5, pool="b") for i in range(6)]
    vms = [VM(f"v{i}", 4, f"n{i}") for i in range(6)] + [VM(f"w{i}", 4, f"b{i}", pool="b") for i in range(6)]
    now = too_many_to_list(Cluster(nodes + pool_b, vms, guarantee=Guarantee(failures=2)))
    assert Certificates(now).certain_pools == [0]
    assert Certificates(now, everyone=True).certain_pools == [0]


def test_who_need_not_restart_may_take_the_room_in_failures_that_are_not_listed():
    nodes = [*(Node(f"n{i}", 9) for i in range(4)), Node("h1", 62), Node("h2", 62)]
    vms = [VM(f"p{i}", 3, f"n{i}") for i in range(4)]
    vms += [VM(f"q{h}", 2, h) for h in ("h1", "h2")]
    vms += [VM(f"u{h}-{j}", 2, h, protected=False) for h in ("h1", "h2") for j in range(30)]
    cluster = Cluster(nodes, vms, guarantee=Guarantee(failures=2, restart="any-order"))
    problem = compile_problem(cluster)
    assert not certify(problem, problem.node_of, budget=Budget()).safe
    assert Certificates(too_many_to_list(cluster), everyone=True).certain_pools == []


def restarting(cluster, *, any_order):
    """The same with restarts in any order, or planned."""
    return evolve(cluster, guarantee=evolve(cluster.guarantee, restart="any-order" if any_order else "planned"))


def survived(cluster, now, failures):
    """Whether no failure of those that are marked loses a VM, by enumeration."""
    world, names = World(cluster), Names(cluster, now.problem)
    for number in np.flatnonzero(failures).tolist():
        failed = frozenset(names.node(i) for i in now.scenarios.failing(number).tolist())
        parts = world.failures(world.now)[names.scenario(now.scenarios, number)]
        if set(world.lost(world.now, next(part for part in parts if part.nodes <= failed))):
            return False
    return True


unruled = clusters(
    max_nodes=5, max_vms=7, placed="all", rules=False, failures=(1, 2, 2, 3), domains=True, evictable=True, targets=True
)


@settings(max_examples=60, deadline=None)
@given(unruled, st.booleans())
def test_certificates_are_sound_for_several_failures_domains_and_vms_that_give_way(cluster, any_order):
    cluster = restarting(cluster, any_order=any_order)
    now = standing_of(cluster)
    certificates = Certificates(now, everyone=any_order)
    told = certificates.any_order() | (certificates.slots & (not any_order))
    assert survived(cluster, now, told & now.plain & (now.asked > 0))


with_resources = clusters(
    max_nodes=5, max_vms=6, placed="all", rules=False, failures=(1, 2), domains=True, evictable=True, targets=True, resources=True
)


@settings(max_examples=60, deadline=None)
@given(with_resources, st.booleans())
def test_of_several_resources_it_is_sound(cluster, any_order):
    cluster = restarting(cluster, any_order=any_order)
    now = standing_of(cluster)
    assert survived(cluster, now, Certificates(now, everyone=any_order).any_order() & now.unbound & (now.asked > 0))


def machines(*rooms):
    """A node that fails with two VMs of 4 MiB and 2 vCPUs each, beside nodes with so much free of both."""
    nodes = [Node("f", 8, resources={"vcpu": 4}), *(Node(f"n{i}", m, resources={"vcpu": c}) for i, (m, c) in enumerate(rooms))]
    return Cluster(nodes, [VM(f"v{i}", 4, "f", resources={"vcpu": 2}) for i in range(2)])


@pytest.mark.parametrize(
    ("rooms", "survived"),
    [
        # To block a node takes half of one resource: four nodes take no more than there is of two.
        ([(4, 2), (4, 2)], False),
        ([(4, 2), (4, 2), (4, 2), (4, 2)], False),
        ([(4, 2), (4, 2), (4, 2), (4, 2), (4, 2)], True),
        # A node with much memory is blocked by its processors, and one with too few is no node.
        ([(40, 2)] * 4, False),
        ([(40, 20)], True),
        ([(40, 1)] * 9, False),
    ],
)
def test_of_several_resources_the_scarcer_one_blocks_nodes(rooms, survived):
    now = standing_of(machines(*rooms))
    assert Certificates(now).any_order()[0] == survived


@pytest.mark.parametrize("failures", [1, 2])
def test_in_parts_it_tells_the_same(failures, monkeypatch):
    rooms = [(16 + i % 3, 8) for i in range(12)]
    cluster = machines(*rooms)
    more = [VM(f"w{i}", 1 + i, f"n{i}", resources={"vcpu": 1 + i % 5}) for i in range(12)]
    now = standing_of(evolve(cluster, vms=[*cluster.vms, *more], guarantee=Guarantee(failures=failures)))
    whole = Certificates(now).any_order()
    assert 0 < whole.sum() < len(whole)
    monkeypatch.setattr("vmplace.failover.certificates.resources._AT_ONCE", 30)
    assert Certificates(now).any_order().tolist() == whole.tolist()


def test_many_different_demands_are_rounded_up_and_still_certified():
    nodes = [Node(f"n{i}", 4000, resources={"vcpu": 400}) for i in range(100)]
    vms = [VM(f"v{i}", 100 + i, f"n{i}", resources={"vcpu": 10 + i % 7}) for i in range(100)]
    assert Certificates(standing_of(Cluster(nodes, vms))).any_order().all()


ruled = clusters(
    max_nodes=5,
    max_vms=7,
    placed="all",
    failures=(1, 1, 2, 3),
    domains=True,
    evictable=True,
    targets=True,
    max_vm=True,
    resources=True,
)


@settings(max_examples=50, deadline=None)
@given(ruled, st.booleans())
def test_under_rules_it_is_sound(cluster, any_order):
    cluster = restarting(cluster, any_order=any_order)
    now = standing_of(cluster)
    assert survived(cluster, now, Certificates(now, everyone=any_order).any_order(~now.unbound) & ~now.unbound)


def of_rules(rooms, rules, vms, **asked):
    """Whether the failure of f, with VMs v0, v1, ... of these sizes, is certified beside nodes n0, n1, ... with so much room."""
    nodes = [Node("f", sum(vms)), *(Node(f"n{i}", room) for i, room in enumerate(rooms))]
    vms = [*(VM(f"v{i}", size, "f") for i, size in enumerate(vms)), *(VM(f"w{i}", 1, f"n{i}") for i in range(len(rooms)))]
    now = standing_of(Cluster(nodes, vms, rules, guarantee=Guarantee(**asked)))
    return bool(Certificates(now, everyone="restart" in asked).any_order()[0])


def test_members_that_stay_close_their_nodes_and_no_others():
    # It takes 12 of the 16 that the others have to block a node: one that is closed to v0 need not be.
    assert of_rules([20] * 4, [Apart(["v0", "w0", "w1"])], [8, 8, 8])
    assert not of_rules([20] * 3, [Apart(["v0", "w0", "w1"])], [8, 8, 8])
    # A rule costs a VM that it does not name nothing.
    assert of_rules([20] * 2, [Apart(["w0", "w1"])], [8, 8, 8])


def test_members_that_restart_may_take_the_freest_nodes():
    assert of_rules([20, 20], [Apart(["v0", "v1"])], [8, 8])
    assert not of_rules([40, 5], [Apart(["v0", "v1"])], [8, 8])


def test_only_allowed_nodes_count():
    assert of_rules([16] * 4, [OnlyOn(["v0"], ["n1", "n2", "n3"])], [8, 8])
    assert not of_rules([16] * 4, [OnlyOn(["v0"], ["n1"])], [8, 8])
    assert not of_rules([16] * 4, [NotOn(["v0"], ["n1", "n2", "n3"])], [8, 8])


def test_together_counts_as_one_vm_of_the_sum_where_restarts_are_planned():
    assert of_rules([9, 9, 9], [Together(["v0", "v1"])], [4, 4])
    assert not of_rules([8, 8, 8], [Together(["v0", "v1"])], [4, 4])
    # In any order a member goes where the next may find no room.
    assert not of_rules([9, 9, 9], [Together(["v0", "v1"])], [4, 4], restart="any-order")


def test_soft_rules_are_kept_by_what_is_certified():
    assert not of_rules([16] * 4, [OnlyOn(["v0"], ["n1"], must=False)], [8, 8])
    assert of_rules([16] * 4, [OnlyOn(["v0"], ["n1"], must=False)], [8, 8], restart="any-order")


def test_soft_rules_are_told_apart_where_each_vm_has_its_own():
    assert of_rules([20], [OnlyOn(["v0"], ["f"], must=False)], [8]) is False
    rules = [OnlyOn([vm], [node], must=False) for vm, node in (("v0", "n0"), ("v1", "n1"), ("w0", "n0"), ("w1", "n1"))]
    assert of_rules([40, 40], rules, [8, 8])
    assert not of_rules([40, 8], rules, [8, 8])
