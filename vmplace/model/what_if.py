"""Changed clusters: nodes and VMs added, lost or changed, rules relaxed; and the part of a cluster in one pool."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, NodeColumns, VMColumns, names_of
from vmplace.model.entities import VM, Apart, Members, Node, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import Flaw, InputError
from vmplace.model.references import resolve
from vmplace.model.units import parse_memory, short

__all__ = [
    "among",
    "bridged",
    "fresh_names",
    "less",
    "part_of",
    "waiting",
    "what_if",
    "with_nodes",
    "with_states",
    "with_vms",
    "within",
    "without",
    "yielding",
]


def what_if(
    cluster: Cluster,
    *,
    add_nodes: Iterable[Node] = (),
    remove_nodes: Iterable[str] = (),
    add_vms: Iterable[VM] = (),
    remove_vms: Iterable[str] = (),
    resize_vms: Mapping[str, int | str] | None = None,
) -> Cluster:
    """The cluster as it would be: what is removed goes first, then VMs are resized, then come the new ones, last in order.

    A VM on a node that is removed waits, and a migration towards it is called off. A stopped VM goes with its node: it takes
    nothing, and without a node it would be one to start. Rules forget the names of what is removed; one that is left without VMs,
    or without nodes to keep them from, is dropped, so that rules are numbered anew.

    Parameters
    ----------
    cluster
        As it is.
    add_nodes, add_vms
        New ones; a new VM may name a new node.
    remove_nodes, remove_vms
        Names.
    resize_vms
        New memory by the name of the VM: MiB, or a string such as ``"64GiB"``.

    Raises
    ------
    InputError
        (a ValueError) that names the argument: for a name that is unknown or taken, and for a must-rule that is left no node.
    """
    new = add_vms if isinstance(add_vms, VMColumns) else tuple(add_vms)
    change = _Change(cluster, tuple(add_nodes), frozenset(remove_nodes), new, frozenset(remove_vms), dict(resize_vms or {}))
    flaws = list(change.flaws())
    if flaws:
        raise InputError(flaws)
    return change.made() if change.any() else cluster


def fresh_names(prefix: str, taken: Collection[str]) -> Iterator[str]:
    """``prefix-1``, ``prefix-2``, ... without those that are taken."""
    held = set(taken)
    return (name for name in (f"{prefix}-{number}" for number in count(1)) if name not in held)


def part_of(cluster: Cluster, pool: str | None) -> tuple[Cluster, str]:
    """What of a cluster concerns one pool, and that pool: all of it where a rule ties it to others.

    Raises
    ------
    InputError
        (a ValueError) if there is no such pool, or if there are several and none is named.
    """
    pools = dict.fromkeys([*cluster.node_columns.pool.words, *cluster.vm_columns.pool.words])
    if pool is None:
        if len(pools) > 1:
            raise InputError([Flaw("pool", f"there are several: name one of {', '.join(pools)}")])
        return cluster, next(iter(pools), "default")
    if pool not in pools:
        raise InputError([Flaw("pool", f"{short(pool)} is no pool of this cluster: name one of {', '.join(pools)}")])
    if len(pools) == 1 or any(_ties(rule, cluster) for rule in cluster.rules):
        return cluster, pool
    others = [node.name for node in cluster.nodes if node.pool != pool]
    return what_if(cluster, remove_nodes=others, remove_vms=[vm.name for vm in cluster.vms if vm.pool != pool]), pool


def _ties(rule: Rule, cluster: Cluster) -> bool:
    """Whether what VMs of one pool do may break the rule for those of another: in a failure domain that they share."""
    if not isinstance(rule, Apart) or rule.scope == "node":
        return False
    members = set(resolve(rule.vms, cluster.vms))
    return len({vm.pool for vm in cluster.vms if vm.name in members}) > 1


@frozen
class _Change:
    cluster: Cluster
    new_nodes: tuple[Node, ...]
    lost_nodes: frozenset[str]
    new_vms: Sequence[VM]
    lost_vms: frozenset[str]
    sizes: Mapping[str, Any]

    def any(self) -> bool:
        """Whether anything changes."""
        return bool(self.new_nodes or self.lost_nodes or self.new_vms or self.lost_vms or self.sizes)

    def flaws(self) -> Iterator[Flaw]:
        """What is wrong with the change itself; what is wrong with its result, the cluster says."""
        nodes, vms = set(names_of(self.cluster.nodes)), set(names_of(self.cluster.vms))
        yield from _unknown("remove_nodes", self.lost_nodes, nodes, "node")
        yield from _unknown("remove_vms", self.lost_vms, vms, "VM")
        yield from _unknown("resize_vms", self.sizes, vms - (self.lost_vms & vms), "VM")
        yield from _taken("add_nodes", self.new_nodes, nodes - self.lost_nodes, "node")
        yield from _taken("add_vms", self.new_vms, vms - self.lost_vms, "VM")
        for name, memory in self.sizes.items():
            try:
                parse_memory(memory)
            except ValueError as error:
                yield Flaw("resize_vms", f"{short(name)}: {error}")
        for index, rule in enumerate(self.cluster.rules):
            if isinstance(rule, OnlyOn) and rule.must and _left(rule.vms, self._gone) and not _left(rule.nodes, self.lost_nodes):
                yield Flaw("remove_nodes", f"rules[{index}] leaves its VMs no other node: keep one of them, or drop the rule")

    def made(self) -> Cluster:
        """The cluster that comes of it; where VMs only come, columns stay columns."""
        if isinstance(self.cluster.vms, VMColumns) and not (self.new_nodes or self.lost_nodes or self.lost_vms or self.sizes):
            return evolve(self.cluster, vms=self.cluster.vms.followed_by(self.new_vms))
        vms = [self._changed(vm) for vm in self.cluster.vms if not self._goes(vm)]
        rules = (_without(rule, self._gone, self.lost_nodes) for rule in self.cluster.rules)
        return evolve(
            self.cluster,
            nodes=[*(node for node in self.cluster.nodes if node.name not in self.lost_nodes), *self.new_nodes],
            vms=[*vms, *self.new_vms],
            rules=[rule for rule in rules if rule is not None],
        )

    @cached_property
    def _gone(self) -> frozenset[str]:
        return frozenset(vm.name for vm in self.cluster.vms if self._goes(vm)) if self.cluster.rules else frozenset()

    def _goes(self, vm: VM) -> bool:
        return vm.name in self.lost_vms or (not vm.running and vm.node in self.lost_nodes)

    def _changed(self, vm: VM) -> VM:
        homeless = vm.node in self.lost_nodes
        if homeless or vm.target in self.lost_nodes:
            vm = evolve(vm, node=None if homeless else vm.node, target=None)
        return evolve(vm, memory=self.sizes[vm.name]) if vm.name in self.sizes else vm


def _unknown(place: str, names: Iterable[str], known: Collection[str], noun: str) -> Iterator[Flaw]:
    for name in sorted(names, key=str):
        if name not in known:
            yield Flaw(place, f"{short(name)} is no {noun} of this cluster: name one")


def _taken(place: str, things: Sequence[Node] | Sequence[VM], known: set[str], noun: str) -> Iterator[Flaw]:
    seen = set(known)
    for name in names_of(things):
        if name in seen:
            yield Flaw(place, f"{short(name)} is a {noun} of this cluster already: name it otherwise")
        seen.add(name)


def _left(members: Members, gone: Collection[str]) -> Members:
    return members if isinstance(members, Tag) else tuple(name for name in members if name not in gone)


def _without(rule: Rule, vms: Collection[str], nodes: Collection[str]) -> Rule | None:
    """The rule for what is left; None if it then says nothing, or cannot be kept and need not."""
    members = _left(rule.vms, vms)
    if not members:
        return None
    if isinstance(rule, Apart | Together):
        return evolve(rule, vms=members)
    hosts = _left(rule.nodes, nodes)
    return evolve(rule, vms=members, nodes=hosts) if hosts else None


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
