"""Clusters with something changed: VMs, nodes, a rule; and a cluster's part in one pool."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, NodeColumns, VMColumns
from vmplace.model.entities import Node, Rule, Tag
from vmplace.model.references import resolve

__all__ = ["among", "bridged", "less", "waiting", "with_nodes", "with_states", "with_vms", "within", "without", "yielding"]


def with_vms(cluster: Cluster, changes: Mapping[int, Mapping[str, Any]]) -> Cluster:
    """The cluster with other values for some fields of some VMs, by index; nodes by name."""
    vms = cluster.vms
    if not isinstance(vms, VMColumns):
        held = list(vms)
        for index, values in changes.items():
            held[index] = evolve(held[index], **values)
        return evolve(cluster, vms=held)
    place: dict[Any, int] = {name: i for i, name in enumerate(vms.node_names)} | {None: -1}
    columns: dict[str, Any] = {}
    for index, values in changes.items():
        for key, value in values.items():
            column = columns.setdefault(key, np.array(getattr(vms, key)))
            column[index] = place[value] if key in ("node", "target") else value
    return evolve(cluster, vms=evolve(vms, **columns))


def with_states(cluster: Cluster, state: str, nodes: Collection[int]) -> Cluster:
    """The cluster with some nodes in another state."""
    changed = [evolve(node, state=state) if i in nodes else node for i, node in enumerate(cluster.nodes)]
    return _with_nodes(cluster, changed)


def with_nodes(cluster: Cluster, nodes: Iterable[Node]) -> Cluster:
    """The cluster with more nodes."""
    return _with_nodes(cluster, [*cluster.nodes, *nodes])


def _with_nodes(cluster: Cluster, nodes: list[Node]) -> Cluster:
    if not isinstance(cluster.nodes, NodeColumns):
        return evolve(cluster, nodes=nodes)
    columns = NodeColumns.holding(nodes)
    return evolve(cluster, nodes=columns, vms=VMColumns.holding(cluster.vms, columns.names))


def yielding(cluster: Cluster, rules: Collection[int]) -> Cluster:
    """The cluster with some rules that are a must no more."""
    return evolve(cluster, rules=[evolve(rule, must=rule.must and i not in rules) for i, rule in enumerate(cluster.rules)])


def without(cluster: Cluster, vms: Collection[str]) -> Cluster:
    """The cluster without some VMs, and without the rules that bind only them."""
    left = [vm for vm in cluster.vms if vm.name not in vms]
    rules = [among(rule, {vm.name for vm in left}) for rule in cluster.rules]
    return evolve(cluster, vms=left, rules=[rule for rule in rules if rule is not None])


def within(cluster: Cluster, pool: str) -> Cluster:
    """The cluster without the VMs of other pools; its rules keep their numbers."""
    return less(cluster, {vm.name for vm in cluster.vms if vm.pool != pool})


def less(cluster: Cluster, vms: Collection[str]) -> Cluster:
    """The cluster without some VMs, where rules keep their numbers, those too that bind nobody then."""
    left = [vm for vm in cluster.vms if vm.name not in vms]
    present = {vm.name for vm in left}
    nobody = Tag("".join(["-", *sorted({tag for vm in left for tag in vm.tags})]))  # longer than each of their tags
    rules = [among(rule, present) or evolve(rule, vms=nobody) for rule in cluster.rules]
    return evolve(cluster, vms=left, rules=rules)


def bridged(cluster: Cluster) -> bool:
    """Whether a must-rule binds VMs of several pools, so that what is right in one may depend on another."""
    if not cluster.rules:
        return False
    pool = {vm.name: vm.pool for vm in cluster.vms}
    return any(rule.must and len({pool[vm] for vm in resolve(rule.vms, cluster.vms)}) > 1 for rule in cluster.rules)


def waiting(cluster: Cluster) -> BoolArray:
    """Which VMs have no node, or one that is offline, shape (n_vms,)."""
    waits: BoolArray = np.append(cluster.node_columns.state.are("offline"), True)[cluster.vm_columns.node]
    return waits


def among(rule: Rule, present: set[str]) -> Rule | None:
    """The rule for those of its VMs that are present; None if there are none. A tag names just those in any case."""
    if not isinstance(rule.vms, tuple):
        return rule
    left = tuple(name for name in rule.vms if name in present)
    return evolve(rule, vms=left) if left else None
