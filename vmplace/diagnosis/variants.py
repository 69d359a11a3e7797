"""What-if variants of a cluster: the compiled problem with a change, and the cluster with the same change on demand."""

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction

import numpy as np
from attrs import evolve, frozen

from vmplace.model import what_if
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray, NodeColumns
from vmplace.model.entities import Node, NotOn
from vmplace.model.guarantee import Guarantee
from vmplace.problem import restrict
from vmplace.problem.compile import capacities, compile_problem, name_ranks, own_limit, own_limits
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem, normal_limit
from vmplace.problem.rules import CompiledRule
from vmplace.results.placement import Solution

__all__ = [
    "Variant",
    "added",
    "arrived",
    "in_service",
    "keeping_free",
    "left_out",
    "placed",
    "promising",
    "settled",
    "shrunk",
    "stopped",
    "unprotected",
    "yielding",
]


@frozen(eq=False)
class Variant:
    """A cluster with a change.

    Parameters
    ----------
    before
        The cluster as it is.
    problem
        With the change; its `original` and its pools are those of `before`.
    change
        Makes the cluster with the change.
    """

    before: Names
    problem: Problem
    change: Callable[[], Cluster]

    def names(self) -> Names:
        """The changed cluster, with the problem that compiling it would give."""
        return _adopted(self.before, self.problem, self.change())


def _adopted(before: Names, problem: Problem, cluster: Cluster) -> Names:
    """A problem whose `original` and pools are those of one cluster, for another with fewer VMs and the same rules."""
    place = cluster.vms.index_of
    names = before.cluster.vms.names
    if len(place) < len(names):
        original = np.array([place[names[index]] for index in problem.original.tolist()], dtype=np.int64)
        problem = evolve(problem, original=original)
    pools = Names(cluster, problem).pools
    if pools != before.pools:
        number = np.array([pools.index(pool) if pool in pools else -1 for pool in before.pools], dtype=np.int64)
        problem = evolve(problem, pool=number[problem.pool], signature_pool=number[problem.signature_pool])
    return Names(cluster, problem)


def left_out(names: Names, vms: Collection[str]) -> Names:
    """The cluster without some VMs, where rules keep their numbers."""
    gone = np.array([vm in vms for vm in names.cluster.vms.names], dtype=bool)
    return _adopted(names, restrict.without(names.problem, vms=gone[names.problem.original]), what_if.less(names.cluster, vms))


def settled(names: Names, solution: Solution) -> Names:
    """A cluster with the places of a solution for some or all of its VMs; a VM that is stopped there stays where it is."""
    cluster = _settled(names.cluster, solution)
    return Names(cluster, restrict.placed(names.problem, cluster.vms.node))


def placed(variant: Variant, solution: Solution) -> Variant:
    """A variant with the places of a solution of the cluster as it is."""
    hosts = _settled(variant.before.cluster, solution).vms.node
    return evolve(variant, problem=restrict.placed(variant.problem, hosts), change=lambda: _settled(variant.change(), solution))


def _settled(cluster: Cluster, solution: Solution) -> Cluster:
    placement, changes = solution.placement or {}, {}
    nodes = [*cluster.nodes.names, None]
    for index, (vm, now) in enumerate(zip(cluster.vms.names, cluster.vms.node.tolist(), strict=True)):
        node = placement.get(vm, nodes[now])
        if node != nodes[now]:
            changes[index] = {"node": node, "target": None}
    return what_if.with_vms(cluster, changes) if changes else cluster


def stopped(names: Names, vms: Collection[int]) -> Variant:
    """VMs that run stop where they are, and those that wait are not started."""
    changed = restrict.without(names.problem, vms=np.isin(names.problem.original, list(vms)))
    return Variant(
        names, changed, lambda: what_if.with_vms(names.cluster, {vm: {"running": False, "target": None} for vm in vms})
    )


def unprotected(names: Names, vms: Collection[int]) -> Variant:
    """VMs that need not restart any more."""
    changed = restrict.sparing(names.problem, np.isin(names.problem.original, list(vms)))
    return Variant(names, changed, lambda: what_if.with_vms(names.cluster, {index: {"protected": False} for index in vms}))


def shrunk(names: Names, vm: int, memory: int) -> Variant:
    """A VM of less memory."""
    demand = names.problem.demand.copy()
    demand[names.problem.original == vm, 0] = memory + names.cluster.vms.overhead[vm]
    return Variant(names, evolve(names.problem, demand=demand), lambda: what_if.with_vms(names.cluster, {vm: {"memory": memory}}))


def yielding(names: Names, rules: Collection[int]) -> Variant:
    """Rules that are a must no more."""
    return Variant(names, restrict.yielding(names.problem, rules), lambda: what_if.yielding(names.cluster, rules))


def promising(names: Names, asked: Sequence[Guarantee | None]) -> Variant:
    """Others in place of all guarantees, each of the same scope; None: it is given up, which not all are."""
    left = [one for one in asked if one is not None]
    changed = restrict.promising(names.problem, asked)
    return Variant(names, changed, lambda: evolve(names.cluster, guarantee=left, further=()))


def keeping_free(names: Names, headrooms: Mapping[int, int | Fraction]) -> Variant:
    """Another headroom of some nodes' own."""

    def changed() -> Cluster:
        nodes = [evolve(node, headroom=headrooms.get(i, node.headroom)) for i, node in enumerate(names.cluster.nodes)]
        return evolve(names.cluster, nodes=nodes)

    own = names.problem.own_limit.copy()
    own[list(headrooms)] = [own_limit(int(names.problem.usable[node]), kept) for node, kept in headrooms.items()]
    problem = restrict.promising(evolve(names.problem, own_limit=own), names.cluster.guarantees)
    return Variant(names, problem, changed)


def arrived(names: Names, vms: Collection[int]) -> Variant:
    """Migrations under way that are done."""
    target, nodes = names.cluster.vms.target, names.cluster.nodes.names
    changed = what_if.with_vms(names.cluster, {vm: {"node": nodes[int(target[vm])], "target": None} for vm in vms})
    return Variant(names, compile_problem(changed, several=True), lambda: changed)


def in_service(names: Names, nodes: Collection[int]) -> Variant:
    """Nodes that are online again; where one was offline, the cluster is compiled again, for the VMs that it holds."""
    wanted = np.isin(np.arange(names.problem.n_nodes), list(nodes))
    called = [names.cluster.nodes.names[node] for node in nodes]
    if np.any(wanted & names.cluster.nodes.state.are("offline")):
        changed = names.cluster.in_state("online", called)
        return Variant(names, compile_problem(changed, several=True), lambda: changed)
    problem = restrict.in_state(names.problem, "online", wanted)
    return Variant(names, problem, lambda: names.cluster.in_state("online", called))


def added(names: Names, nodes: Sequence[Node]) -> Variant:
    """New nodes that are online, and have no failure domain and no tag; of further resources they have what others have."""
    problem, columns, count = names.problem, NodeColumns.holding(nodes), len(nodes)
    number = {pool: index for index, pool in enumerate(names.pools)}

    def numbered(numbers: IntArray) -> IntArray:
        return np.append(numbers, numbers.max(initial=-1) + 1 + np.arange(count))

    def extended(rule: CompiledRule) -> CompiledRule:
        free = np.full(
            count, rule.kind == "max-vm" or (rule.kind != "home" and isinstance(names.cluster.rules[rule.index], NotOn))
        )
        zone = None if rule.zone is None else numbered(rule.zone)
        return evolve(rule, nodes=None if rule.nodes is None else np.append(rule.nodes, free), zone=zone)

    own, called = own_limits(columns), [*names.cluster.nodes.names, *columns.names]
    no, capacity = np.zeros(count, dtype=bool), capacities(names.cluster, columns, problem.resources)
    limits = [normal_limit(columns.usable, own, asked) for asked in names.cluster.guarantees]
    larger = evolve(
        problem,
        capacity=np.vstack([problem.capacity, capacity]),
        limit=np.append(problem.limit, np.min(limits, axis=0)),
        own_limit=np.append(problem.own_limit, own),
        online=np.append(problem.online, ~no),
        maintenance=np.append(problem.maintenance, no),
        drained=np.append(problem.drained, no),
        pool=np.append(problem.pool, columns.pool.numbered(number)),
        domain=numbered(problem.domain),
    )
    larger = restrict.repromised(
        larger, lambda own: evolve(own, unit=numbered(own.unit), name_rank=name_ranks(called, own.guarantee))
    )
    return Variant(
        names,
        restrict.ruled(larger, [extended(rule) for rule in restrict.rules_of(problem)], problem.vm_pool),
        lambda: what_if.with_nodes(names.cluster, nodes),
    )
