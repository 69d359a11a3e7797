import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans import backups
from vmplace import VM, Cluster, Node
from vmplace.budget import Budget
from vmplace.certify import certify
from vmplace.decide import decide
from vmplace.problem import compile_problem
from vmplace.restart import Restart
from vmplace.scenarios import Fate
from vmplace.standing import Standing


def standing(usable, vms):
    """A placement from (memory, node) pairs."""
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    problem = compile_problem(Cluster(nodes, [VM(f"vm{k}", size, f"n{i}") for k, (size, i) in enumerate(vms)]))
    return Standing.of(problem, problem.node_of)


sizes = st.sampled_from([1, 2, 3, 4, 5, 6, 8])


@st.composite
def placements(draw):
    usable = draw(st.lists(st.integers(4, 14), min_size=2, max_size=4))
    vms, load = [], [0] * len(usable)
    for size, i in draw(st.lists(st.tuples(sizes, st.integers(0, len(usable) - 1)), max_size=6)):
        if load[i] + size <= usable[i]:
            load[i] += size
            vms.append((size, i))
    return usable, vms


@settings(deadline=None)
@given(placements())
def test_lockstep_and_single_decisions_agree(drawn):
    now = standing(*drawn)
    verdict = certify(now.problem, now.node_of, budget=Budget())
    for failed in np.flatnonzero(now.asked).tolist():
        alone = decide(Restart.of(now, failed), budget=Budget())
        assert alone.safe == (verdict.fate[failed] == Fate.SAFE)


@settings(deadline=None)
@given(placements())
def test_plans_hold(drawn):
    now = standing(*drawn)
    verdict = certify(now.problem, now.node_of, budget=Budget())
    for failed in range(now.problem.n_nodes):
        free = now.free.copy()
        backup_of = backups(verdict.restarts, now.problem.n_vms)
        mine = np.flatnonzero((now.node_of == failed) & (backup_of >= 0))
        np.subtract.at(free, backup_of[mine], now.problem.memory[mine])
        assert (free >= 0).all()
        assert failed not in backup_of[mine]
        assert (verdict.fate[failed] != Fate.SAFE) or len(mine) == len(now.displaced_by(np.array([failed]))[0])


def test_list_order_is_not_enough():
    # 6 + 3 + 2 fill 11 and 4 + 3 fit in 9; first-fit in list order strands the 6.
    usable = [100, 20, 20]
    vms = [(2, 0), (3, 0), (3, 0), (4, 0), (6, 0), (9, 1), (11, 2)]
    now = standing(usable, vms)
    verdict = certify(now.problem, now.node_of, budget=Budget())
    assert verdict.fate[0] == Fate.SAFE


def test_without_time_what_takes_a_search_is_unknown():
    usable, vms = [30, 11, 11], [(5, 0), (5, 0), (3, 0), (3, 0), (3, 0)]
    now = standing(usable, vms)
    assert certify(now.problem, now.node_of, budget=Budget()).fate[0] != Fate.UNKNOWN
    assert certify(now.problem, now.node_of, budget=Budget(0)).fate[0] in (Fate.UNKNOWN, Fate.SAFE)


@pytest.mark.parametrize("stop_early", [True, False])
def test_stopping_early_is_never_wrong(stop_early):
    now = standing([8, 8, 8], [(6, 0), (6, 1), (3, 2)])
    verdict = certify(now.problem, now.node_of, budget=Budget(), stop_early=stop_early)
    assert verdict.unsafe
    assert not verdict.safe


@pytest.mark.parametrize(("usable", "vms"), [([20, 4, 4], [(6, 0)]), ([20, 4, 4], [(3, 0), (3, 0), (3, 0)])])
def test_what_is_hopeless_is_seen_without_time_where_one_unsafe_failure_is_enough(usable, vms):
    now = standing(usable, vms)
    assert certify(now.problem, now.node_of, budget=Budget(0), losses=False, stop_early=True).unsafe
    assert certify(now.problem, now.node_of, budget=Budget(), losses=False, stop_early=True).unsafe


def test_who_fits_nowhere_is_lost_whatever_the_priorities():
    nodes = [Node("n0", 40), *(Node(f"n{i}", 8) for i in (1, 2, 3))]
    vms = [VM("low", 9, "n0", priority=-1), VM("high", 10, "n0", priority=5), VM("fits", 8, "n0"), VM("too", 4, "n0", priority=1)]
    problem = compile_problem(Cluster(nodes, vms))
    verdict = certify(problem, problem.node_of, budget=Budget(0))  # no time to look at any failure by itself
    assert sorted(verdict.losses[0].vms.tolist()) == [0, 1]
    assert verdict.losses[0].minimal
    assert (backups(verdict.restarts, problem.n_vms)[[2, 3]] >= 1).all()
