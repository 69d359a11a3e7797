"""What if: a cluster with nodes added or lost, VMs added, resized or removed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any

from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import VMColumns, names_of
from vmplace.model.entities import VM, Apart, Members, Node, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import Flaw, InputError
from vmplace.model.references import resolve
from vmplace.model.units import parse_memory, short

__all__ = ["fresh_names", "part_of", "what_if"]


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
