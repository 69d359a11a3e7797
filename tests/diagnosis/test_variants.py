"""A variant's problem is what compiling the changed cluster gives."""

from fractions import Fraction

import numpy as np
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.problems import same
from vmplace import VM, Apart, Cluster, Node, OnlyOn
from vmplace.diagnosis import variants
from vmplace.model.what_if import less
from vmplace.placement.place import place
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.testing import clusters

any_cluster = st.one_of(
    clusters(min_nodes=1, domains=True, resources=True, evictable=True, targets=True, failures=(1, 2)),
    clusters(min_nodes=1, max_vms=8, domains=True, targets=True, stopped=False),
    clusters(min_nodes=1, domains=True, evictable=True, targets=True, failures=(1, 2), policies=True, most_guarantees=3),
)
drawn = settings(max_examples=150, deadline=None, derandomize=True)


def names_of(cluster):
    return Names(cluster, compile_problem(cluster, several=True))


def right(names):
    same(names.problem, names.cluster, compile_problem(names.cluster, several=True), names.cluster)


def some(data, members):
    return data.draw(st.lists(st.sampled_from(members), unique=True)) if members else []


@drawn
@given(any_cluster, st.data())
def test_vms_that_stop_shrink_or_need_not_restart(cluster, data):
    names, vms = names_of(cluster), list(range(len(cluster.vms)))
    right(variants.stopped(names, some(data, vms)).names())
    right(variants.unprotected(names, some(data, vms)).names())
    for vm in some(data, vms):
        right(variants.shrunk(names, vm, 1).names())
    gone = {cluster.vms[vm].name for vm in some(data, vms)}
    right(variants.left_out(names, gone))
    assert variants.left_out(names, gone).cluster == less(cluster, gone)


@drawn
@given(any_cluster, st.data())
def test_rules_promises_and_migrations(cluster, data):
    names, vms = names_of(cluster), cluster.vms
    right(variants.yielding(names, some(data, list(range(len(cluster.rules))))).names())
    number = data.draw(st.integers(0, len(cluster.guarantees) - 1))
    asked = [evolve(one, failures=1, headroom=0.1) if i == number else one for i, one in enumerate(cluster.guarantees)]
    right(variants.promising(names, asked).names())
    if cluster.further:
        right(variants.promising(names, [None if i == number else one for i, one in enumerate(asked)]).names())
    under_way = np.flatnonzero((vms.target >= 0) & (vms.target != vms.node) & vms.running & (vms.node >= 0)).tolist()
    right(variants.arrived(names, some(data, under_way)).names())


@drawn
@given(any_cluster, st.data())
def test_nodes_that_come_back_or_are_new(cluster, data):
    names = names_of(cluster)
    right(variants.in_service(names, some(data, list(range(len(cluster.nodes))))).names())
    for pool in names.pools:
        like = {name: 3 for node in cluster.nodes for name in node.resources}
        new = [Node(f"new-{k}", 7 + k, pool=pool, resources=like) for k in range(2)]
        right(variants.added(names, new).names())
    kept = {index: data.draw(st.sampled_from((0, Fraction(1, 4)))) for index in some(data, list(range(len(cluster.nodes))))}
    right(variants.keeping_free(names, kept).names())


@drawn
@given(any_cluster, st.data())
def test_vms_placed(cluster, data):
    solution, names = (
        place(cluster.under(cluster.guarantee), best_effort=True, method="greedy", time_limit=None),
        names_of(cluster),
    )
    right(variants.settled(names, solution))
    gone = some(data, list(range(len(cluster.vms))))
    right(variants.placed(variants.stopped(names, gone), solution).names())


def test_pools_are_numbered_anew_and_rules_keep_their_numbers():
    nodes = [Node("n", 9, pool="a")]
    vms = [VM("b0", 1, pool="b"), VM("c0", 1, pool="c"), VM("a0", 1, "n", pool="a")]
    names = names_of(Cluster(nodes, vms, [OnlyOn(["b0"], ["n"], must=False), Apart(["c0", "a0"])]))
    gone = variants.left_out(names, ["b0"])
    assert (gone.pools, [rule.index for rule in gone.problem.compiled_rules]) == (("a", "c"), [1])
    right(gone)
    off = variants.stopped(names, [0]).names()
    assert (off.pools, [rule.index for rule in off.problem.compiled_rules]) == (("a", "b", "c"), [1])
    right(off)
