import threading

import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.situations import Possible, any_order, situations
from vmplace.failover.any_order import adversary
from vmplace.failover.any_order.adversary import strand
from vmplace.failover.any_order.state import Story
from vmplace.solvers.budget import Budget


def assert_right(case, *, every, certified=None):
    possible = Possible(case)
    lost = possible.stranded()
    found = strand(case, budget=Budget(), certified=certified, every=every)
    assert found.survived is (not lost)
    assert all(possible.tells(story) for story in found.stories)
    if every:
        assert set(np.flatnonzero(found.lost).tolist()) == lost
        assert {case.likeness[story.stranded] for story in found.stories} == set(case.likeness[sorted(lost)].tolist())
        assert not found.open.any()
    else:
        assert len(found.stories) == bool(lost)
        assert set(np.flatnonzero(found.lost).tolist()) <= lost


@settings(max_examples=60, deadline=None)
@given(situations())
def test_it_is_found_who_can_be_stranded_and_how(case):
    assert_right(case, every=True)
    assert_right(case, every=False)


@settings(max_examples=40, deadline=None)
@given(situations(rules=False, resources=1, max_vms=7))
def test_memory_alone(case):
    assert_right(case, every=True)


@settings(max_examples=100, deadline=None)
@given(situations())
def test_it_does_not_depend_on_the_certificate(case):
    assert_right(case, every=True, certified=np.zeros(case.n_vms, dtype=bool))


def test_without_the_quick_ways_the_search_finds_the_same(monkeypatch):
    monkeypatch.setattr(adversary, "attack", lambda blockade: None)
    monkeypatch.setattr(adversary, "cover", lambda blockade, budget: (adversary.Outcome.UNKNOWN, None))

    @settings(max_examples=60, deadline=None)
    @given(situations())
    def holds(case):
        assert_right(case, every=True, certified=np.zeros(case.n_vms, dtype=bool))

    holds()


def test_a_vm_without_any_room_is_stranded_from_the_start():
    found = strand(any_order([3], [2, 1]), budget=Budget())
    assert found.stories == (Story((), 0),)
    assert found.lost.all()


@pytest.mark.parametrize(("displaced", "free"), [([5, 5], [6, 7]), ([5], [1, 7]), ([4], [1, 6])])
def test_three_nodes_of_eleven_survive_each_failure_in_any_order(displaced, free):
    assert strand(any_order(displaced, free), budget=Budget()).survived


def test_the_story_tells_how_the_nodes_are_filled():
    found = strand(any_order([4, 2, 2], [5, 4]), budget=Budget())
    (story,) = found.stories
    assert sorted(node for _, node in story.placed) == [0, 1]
    assert story.stranded == 0
    assert found.lost.tolist() == [True, False, False]


def test_who_need_not_restart_may_be_in_the_way_but_is_not_stranded():
    case = any_order([4, 2, 2], [5, 4], must=[True, False, False])
    assert strand(case, budget=Budget(), every=True).lost.tolist() == [True, False, False]
    assert strand(any_order([4, 2, 2], [5, 4], must=[False, True, True]), budget=Budget()).survived


def test_a_resource_that_a_vm_does_not_need_never_blocks_it():
    assert strand(any_order([(2, 0), (1, 3)], [(4, 3)]), budget=Budget()).survived
    found = strand(any_order([(2, 1), (1, 3)], [(4, 3)]), budget=Budget(), every=True)
    assert found.lost.all()


def test_members_of_a_rule_to_be_apart_block_whole_zones():
    zones = [0, 0, 1, 1]
    assert strand(any_order([1, 1], [9] * 4, apart=[([0, 1], zones)]), budget=Budget()).survived
    found = strand(any_order([1, 1, 1], [9] * 4, apart=[([0, 1, 2], zones)]), budget=Budget())
    assert {zones[node] for _, node in found.stories[0].placed} == {0, 1}


def test_the_first_of_those_to_be_together_may_choose_a_node_too_small_for_the_second():
    assert strand(any_order([1, 3], [2, 4], together=[[0, 1]]), budget=Budget()).stories == (Story(((0, 0),), 1),)
    assert strand(any_order([1, 3], [4, 4], together=[[0, 1]]), budget=Budget()).survived


def test_without_time_all_that_is_not_certain_stays_open():
    case = any_order([4, 2, 2, 1], [5, 4])
    found = strand(case, budget=Budget(0), every=True)
    assert found.survived is None
    assert found.open.tolist() == [True, True, True, False]
    assert not found.stories


def test_it_can_be_cancelled():
    cancel = threading.Event()
    cancel.set()
    assert strand(any_order([4, 2, 2], [5, 4]), budget=Budget(None, cancel)).survived is None


SIZES = {
    "powers": [2, 4, 8, 12, 16, 32, 64],
    "odd": [3, 5, 7, 11, 13, 17, 29],
    "MiB": [1740, 2048, 3840, 7680, 15360, 30720, 61440],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_failures_of_a_real_size_are_decided_without_the_search(monkeypatch, sizes):
    def never(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr(adversary, "search", never)
    rng = np.random.default_rng(1)
    demand = rng.choice(sizes, size=60, p=np.array([7, 6, 5, 4, 3, 2, 1]) / 28)
    share = rng.dirichlet(np.full(31, 50.0))

    def scaled(times):
        return any_order(demand.tolist(), (share * demand.sum() * times).astype(int).tolist())

    found = [(case, strand(case, budget=Budget())) for case in (scaled(times) for times in np.arange(1.5, 6, 0.15))]
    verdicts = [stranding.survived for _, stranding in found]
    assert verdicts == sorted(verdicts)
    assert set(verdicts) == {False, True}
    case, stranding = found[verdicts.index(True) - 1]
    assert Possible(case).tells(*stranding.stories)
