import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Apart, Cluster, Node, OnlyOn, Together
from vmplace.fill import Filling
from vmplace.goal import broken_bindings
from vmplace.problem import compile_problem
from vmplace.testing import clusters


def filled(problem, cap=None, *, pack=False, node_of=None):
    filling = Filling(problem, problem.node_of if node_of is None else node_of, problem.limit if cap is None else cap, pack=pack)
    filling.place_all()
    return filling


def waiting(node_sizes, vm_sizes, rules=()):
    nodes = [Node(f"n{i}", size) for i, size in enumerate(node_sizes)]
    return compile_problem(Cluster(nodes, [VM(f"v{i}", size) for i, size in enumerate(vm_sizes)], rules))


@settings(max_examples=120, deadline=None)
@given(clusters(max_nodes=5, max_vms=9), st.booleans(), st.data())
def test_any_caps_are_kept_and_no_must_rule_is_broken_anew(cluster, pack, data):
    problem = compile_problem(cluster)
    cap = np.array([data.draw(st.integers(-1, usable)) for usable in problem.usable.tolist()], dtype=np.int64)
    before = problem.node_of.copy()
    filling = filled(problem, cap, pack=pack)
    assert (problem.node_of == before).all()
    old = problem.node_of >= 0
    assert (filling.node_of[old] == problem.node_of[old]).all()
    came = np.bincount(filling.node_of[~old & (filling.node_of >= 0)], minlength=problem.n_nodes) > 0
    assert (problem.load(filling.node_of) <= cap)[came].all()
    broken = {b.rule for b in broken_bindings(problem, filling.node_of) if b.must}
    assert broken <= {b.rule for b in broken_bindings(problem, problem.node_of) if b.must}
    assert filling.complete == bool((filling.node_of >= 0).all())


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=5, max_vms=9, rules=False), st.booleans())
def test_what_is_left_fits_nowhere(cluster, pack):
    problem = compile_problem(cluster)
    filling = filled(problem, pack=pack)
    room = np.where(problem.online, problem.limit - problem.load(filling.node_of), -1)
    for vm in np.flatnonzero(filling.node_of < 0).tolist():
        assert not (problem.reachable[problem.signature[vm]] & (room >= problem.memory[vm])).any()


def test_a_raised_cap_lets_more_in():
    problem = waiting((10, 10), (6, 6))
    filling = filled(problem, np.array([10, 0]))
    assert filling.node_of.tolist() == [0, -1]
    filling.raise_cap(problem.limit)
    filling.place_all()
    assert filling.node_of.tolist() == [0, 1]


def test_spreading_goes_by_share_not_by_memory():
    problem = waiting((10, 40), (5, 5, 5))
    assert problem.load(filled(problem).node_of).tolist() == [5, 10]


def test_packing_takes_the_tightest_fit():
    problem = waiting((10, 7, 5), (5, 5, 5))
    assert filled(problem, pack=True).node_of.tolist() == [2, 1, 0]


@pytest.mark.parametrize("pack", [False, True])
def test_a_group_follows_its_member_that_stays(pack):
    nodes = [Node("n0", 10), Node("n1", 20), Node("n2", 10)]
    vms = [VM("a", 2, "n0", movable=False), VM("b", 3), VM("c", 4)]
    problem = compile_problem(Cluster(nodes, vms, [Together(["a", "b"]), Together(["b", "c"])]))
    assert filled(problem, pack=pack).node_of.tolist() == [0, 0, 0]
    tight = filled(problem, np.array([8, 20, 10]), pack=pack)
    assert tight.node_of.tolist() == [0, -1, -1]


def test_a_group_whose_members_stay_apart_or_in_maintenance_is_not_placed():
    nodes = [Node("n0", 10), Node("n1", 10), Node("m", 10, state="maintenance")]
    split = [VM("a", 1, "n0"), VM("b", 1, "n1"), VM("c", 1)]
    assert filled(compile_problem(Cluster(nodes, split, [Together(["a", "b", "c"])]))).node_of.tolist() == [0, 1, -1]
    shut = [VM("a", 1, "m"), VM("c", 1)]
    assert filled(compile_problem(Cluster(nodes, shut, [Together(["a", "c"])]))).node_of.tolist() == [2, -1]


def test_the_heavier_wish_wins():
    rules = [OnlyOn(["v0"], ["n0"], must=False, weight=10**9), OnlyOn(["v0"], ["n1"], must=False, weight=1)]
    assert filled(waiting((10, 90), (1,), rules)).node_of.tolist() == [0]
    assert filled(waiting((10, 10), (2, 2), [Apart(["v0", "v1"], must=False)]), pack=True).complete


def test_vms_with_fewer_nodes_to_choose_from_go_first():
    problem = waiting((4, 4), (4, 4), [OnlyOn(["v1"], ["n0"])])
    assert filled(problem).node_of.tolist() == filled(problem, pack=True).node_of.tolist() == [1, 0]
