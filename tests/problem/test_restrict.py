"""A restricted problem is what compiling the changed cluster gives."""

import numpy as np
import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.support.campaigns import tried
from tests.support.problems import pools, same
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn
from vmplace.model.what_if import less
from vmplace.model.what_if import yielding as yielding_cluster
from vmplace.problem.compile import compile_problem
from vmplace.problem.restrict import in_state, only, placed, promising, without, yielding
from vmplace.testing import clusters

any_cluster = st.one_of(
    clusters(domains=True, resources=True, evictable=True, targets=True, failures=(1, 2)),
    clusters(min_nodes=1, max_vms=8, domains=True, targets=True, stopped=False),
)


def some(data, count):
    return np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=bool)


@tried(any_cluster, st.data(), quick=40, campaign=600)
def test_without_vms(cluster, data):
    problem = compile_problem(cluster)
    gone = some(data, problem.n_vms)
    names = {cluster.vms[problem.original[vm]].name for vm in np.flatnonzero(gone)}
    changed = less(cluster, names)
    same(without(problem, vms=gone), cluster, compile_problem(changed), changed)


@tried(any_cluster, st.data(), quick=40, campaign=600)
def test_without_rules_and_with_rules_that_yield(cluster, data):
    problem = compile_problem(cluster)
    chosen = set(np.flatnonzero(some(data, len(cluster.rules))).tolist())
    changed = yielding_cluster(cluster, chosen)
    same(yielding(problem, chosen), cluster, compile_problem(changed), changed)
    left = [i for i in range(len(cluster.rules)) if i not in chosen]
    fewer = evolve(cluster, rules=[cluster.rules[i] for i in left])
    compiled = compile_problem(fewer)
    named = {
        name: tuple(evolve(rule, index=left[rule.index]) for rule in getattr(compiled, name))
        for name in ("compiled_rules", "unary_rules")
    }
    same(without(problem, rules=chosen), cluster, evolve(compiled, **named), fewer)


@tried(any_cluster, st.data(), quick=40, campaign=600)
def test_without_nodes_and_with_nodes_in_another_state(cluster, data):
    problem, out = compile_problem(cluster), some(data, len(cluster.nodes))
    out &= problem.online | problem.maintenance
    same(without(problem, nodes=out), cluster, compile_problem(cluster, out), cluster)
    for state in ("online", "maintenance"):
        changed = cluster.in_state(state, [cluster.nodes.names[node] for node in np.flatnonzero(out)])
        same(in_state(problem, state, out), cluster, compile_problem(changed), changed)


@tried(any_cluster, quick=40, campaign=600)
def test_only_one_pool(cluster):
    problem = compile_problem(cluster)
    for number, pool in enumerate(pools(cluster)[:-1]):
        changed = less(cluster, {vm.name for vm in cluster.vms if vm.pool != pool})
        same(only(problem, number), cluster, compile_problem(changed), changed)


@tried(any_cluster, st.integers(0, 2), st.sampled_from([0, 0.1, 0.25]), quick=40, campaign=600)
def test_another_promise(cluster, failures, headroom):
    guarantee = evolve(cluster.guarantee, failures=failures, headroom=headroom)
    changed = evolve(cluster, guarantee=guarantee)
    same(promising(compile_problem(cluster), [guarantee]), cluster, compile_problem(changed), changed)


@tried(any_cluster, st.data(), quick=40, campaign=600)
def test_vms_on_other_nodes(cluster, data):
    problem, hosts = compile_problem(cluster), cluster.vms.node.copy()
    hosting = [-1, *np.flatnonzero(problem.online | problem.maintenance).tolist()]
    for vm in range(problem.n_vms - problem.n_incoming):
        # What migrates already stays, and a VM that its node keeps from being stopped stays on one.
        if not np.any(problem.original[problem.incoming] == problem.original[vm]) and cluster.vms[problem.original[vm]].running:
            hosts[problem.original[vm]] = data.draw(st.sampled_from(hosting))
    nodes = [*cluster.nodes.names, None]
    changed = [
        evolve(vm, node=nodes[host], target=None) if nodes[host] != vm.node else vm
        for vm, host in zip(cluster.vms, hosts.tolist(), strict=True)
    ]
    try:
        changed = evolve(cluster, vms=changed)
    except InputError:  # a node of another pool
        return
    same(placed(problem, hosts), cluster, compile_problem(changed), changed)


def test_all_at_once_and_again():
    nodes = [Node(f"n{i}", 8) for i in range(3)]
    vms = [VM("a", 1, "n0"), VM("b", 2, "n1", target="n2"), VM("off", 9), VM("c", 3, "n2")]
    cluster = Cluster(nodes, vms, [OnlyOn(["a"], ["n0"]), Apart(["a", "c"]), OnlyOn(["b", "c"], ["n2"], must=False)])
    problem = compile_problem(cluster)
    left = without(problem, vms=np.array([vms[i].name in ("a", "b") for i in problem.original]), rules=[2])
    assert [vms[i].name for i in left.original] == ["off", "c"]
    assert (left.compiled_rules, left.unary_rules, left.n_incoming) == ((), (), 0)
    assert without(left).original.tolist() == left.original.tolist()


def test_a_promise_of_another_scope_is_another_problem():
    with pytest.raises(AssertionError):
        promising(compile_problem(Cluster([Node("n", 1)])), [Guarantee(scope="domain")])
