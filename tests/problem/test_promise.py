import gc
import weakref

import numpy as np
import pytest
from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import eased, without
from vmplace.testing import clusters

lists = clusters(
    most_guarantees=3,
    failures=(0, 1, 2),
    domains=True,
    restart=("planned", "any-order"),
    policies=True,
    sequences=("at-once", "sequential"),
    evictable=True,
    targets=True,
)
drawn = settings(max_examples=60)


def same(one, other):
    """Two problems are alike but for how they came about; headroom is that of all guarantees in a list."""
    for name in {field.name for field in fields(Problem)} - {"promises", "number", "limit", "compiled_rules", "unary_rules"}:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@drawn
@given(lists)
def test_each_part_is_the_cluster_under_one_guarantee(cluster):
    problem, alone = compile_problem(cluster, several=True), [compile_problem(one) for one in cluster.one_by_one()]
    assert len(problem.each) == len(alone)
    for part, one in zip(problem.each, alone, strict=True):
        same(part, one)
    assert problem.limit.tolist() == np.min([one.limit for one in alone], axis=0).tolist()
    assert [names.cluster.guarantee for names in Names(cluster, problem).each] == list(cluster.guarantees)


@drawn
@given(lists, st.data())
def test_restrictions_are_those_of_each_part(cluster, data):
    problem = compile_problem(cluster, several=True)
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=problem.n_vms, max_size=problem.n_vms)), dtype=bool)
    for part, one in zip(without(problem, vms=gone).each, problem.each, strict=True):
        same(part, without(one, vms=gone))
    for part, one in zip(eased(problem).each, problem.each, strict=True):
        assert part.plain
        assert (part.failures, part.guarantee.vms) == (one.failures, one.guarantee.vms)
    assert problem.plain == all(one.plain for one in problem.each)


@drawn
@given(lists)
def test_the_classes_of_all_parts_are_the_same_and_alike_in_each(cluster):
    problem = compile_problem(cluster, several=True)
    for part in problem.each:
        assert part.classes.of.tolist() == problem.classes.of.tolist()
        assert part.classes.protected[part.classes.of].tolist() == part.protected.tolist()
        assert len(part.classes) >= len(evolve(part, promises=()).classes)


def test_who_does_not_look_at_each_gets_no_list():
    cluster = Cluster([Node("a", 4)], [VM("v", 1)], guarantee=[Guarantee(), Guarantee(failures=2)])
    with pytest.raises(AssertionError, match="one by one"):
        compile_problem(cluster)


def test_under_one_guarantee_nothing_holds_itself_in_memory():
    cluster = Cluster([Node("a", 4)], [VM("v", 1)])
    names = Names(cluster, compile_problem(cluster))
    held = [weakref.ref(names), weakref.ref(names.problem)]
    assert (names.each, names.problem.each) == ((names,), (names.problem,))
    gc.disable()
    try:
        del names, cluster
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()
