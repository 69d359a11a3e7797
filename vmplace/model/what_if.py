"""Changed clusters: nodes and VMs added, lost or changed, rules relaxed; and the part of a cluster in one pool."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any, Literal

import numpy as np
from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, NodeColumns, VMColumns
from vmplace.model.door import door
from vmplace.model.entities import VM, Apart, Members, Node, NotOn, OnlyOn, Rule, Tag
from vmplace.model.errors import Flaw, InputError, NotFoundError, error_of, not_found
from vmplace.model.guarantee import Guarantee, amended
from vmplace.model.kinds import a_mapping, each, name_list, optional
from vmplace.model.labels import Labels
from vmplace.model.references import present_resources, resolve
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
    "with_vms",
    "yielding",
]


def _parse_start(value: Any) -> tuple[str, ...] | Literal["all"]:
    return "all" if isinstance(value, str) and value == "all" else name_list(value)


@door(
    add_nodes=each(Node, "Node"),
    add_vms=each(VM, "VM"),
    remove_nodes=name_list,
    remove_vms=name_list,
    resize_vms=optional(a_mapping),
    start=_parse_start,
)
def what_if(
    cluster: Cluster,
    *,
    add_nodes: Iterable[Node] = (),
    remove_nodes: Iterable[str] = (),
    add_vms: Iterable[VM] = (),
    remove_vms: Iterable[str] = (),
    resize_vms: Mapping[str, int | str] | None = None,
    start: Iterable[str] | Literal["all"] = (),
    guarantee: Guarantee | Sequence[Guarantee] | Mapping[str, Any] | None = None,
) -> Cluster:
    """The cluster as it would be with some changes: nodes and VMs removed, resized, started or added, in this order.

    A VM on a removed node waits, and a migration to it is cancelled; a VM that was stopped there stays stopped,
    without a node. Rules and homes forget the names of what is removed; a rule that is left without VMs, or without nodes to keep
    them from, is dropped, so that rules are numbered anew. If all nodes of an only-on rule that must be kept are
    removed, it keeps their names, and no node is left for its VMs.

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
    start
        Names of stopped VMs to start, or ``"all"``: they wait for a node, as `place` may choose another than the
        one they were stopped on.
    guarantee
        Another guarantee, or list of them; or the keys that change in each, ``{"failures": 2}``. A new `restart` ends a policy,
        unless one is given with it.

    Raises
    ------
    InputError
        (a ValueError) that names the argument: for a name that is unknown or taken.
    """
    change = _Change(
        cluster,
        NodeColumns.holding(add_nodes),
        frozenset(remove_nodes),
        VMColumns.holding(add_vms),
        frozenset(remove_vms),
        dict(resize_vms or {}),
        _to_start(cluster, start),
    )
    flaws = list(change.flaws())
    if flaws:
        raise error_of(flaws)
    changed = change.made() if change.any() else cluster
    if guarantee is None:
        return changed
    if isinstance(guarantee, Mapping):
        return evolve(changed, guarantee=[amended(asked, guarantee) for asked in changed.guarantees], further=())
    return evolve(changed, guarantee=guarantee, further=())


def _to_start(cluster: Cluster, start: Iterable[str] | Literal["all"]) -> frozenset[str]:
    if start != "all":
        return frozenset(start)
    return frozenset(cluster.vms.names[index] for index in np.flatnonzero(~cluster.vms.running).tolist())


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
    pools = cluster.pools
    if pool is None:
        if len(pools) > 1:
            raise InputError([Flaw("pool", f"the cluster has several pools: choose one of {', '.join(pools)}", "missing")])
        return cluster, next(iter(pools), "default")
    if pool not in pools:
        raise NotFoundError(
            [Flaw("pool", f"{short(pool)} is not a pool of this cluster: choose one of {', '.join(pools)}", "not-found")]
        )
    if len(pools) == 1 or any(_ties(rule, cluster) for rule in cluster.rules):
        return cluster, pool
    return what_if(cluster, remove_nodes=_others(cluster.nodes, pool), remove_vms=_others(cluster.vms, pool)), pool


def _others(things: NodeColumns | VMColumns, pool: str) -> set[str]:
    """The names of the nodes, or VMs, of other pools."""
    return {things.names[index] for index in np.flatnonzero(~things.pool.are(pool)).tolist()}


def _ties(rule: Rule, cluster: Cluster) -> bool:
    """Whether what VMs of one pool do may break the rule for those of another: in a failure domain that they share."""
    if not isinstance(rule, Apart) or rule.scope == "node":
        return False
    return len(_pools_of(rule, cluster)) > 1


def _pools_of(rule: Rule, cluster: Cluster) -> set[str]:
    """The pools of the VMs that a rule binds."""
    pool = dict(zip(cluster.vms.names, cluster.vms.pool, strict=True))
    return {pool[vm] for vm in resolve(rule.vms, cluster.vms)}


@frozen
class _Change:
    cluster: Cluster
    new_nodes: NodeColumns
    lost_nodes: frozenset[str]
    new_vms: VMColumns
    lost_vms: frozenset[str]
    sizes: Mapping[str, Any]
    started: frozenset[str]

    def any(self) -> bool:
        """Whether anything changes."""
        return bool(self.new_nodes or self.lost_nodes or self.new_vms or self.lost_vms or self.sizes or self.started)

    def flaws(self) -> Iterator[Flaw]:
        """What is wrong with the change itself; what is wrong with its result, the cluster says."""
        nodes, vms = set(self.cluster.nodes.names), set(self.cluster.vms.names)
        yield from _unknown("remove_nodes", self.lost_nodes, nodes, "node")
        yield from _unknown("remove_vms", self.lost_vms, vms, "VM")
        yield from _unknown("resize_vms", self.sizes, vms - (self.lost_vms & vms), "VM")
        yield from _unknown("start", self.started, vms - (self.lost_vms & vms), "VM")
        held = self.cluster.vms
        for index in np.flatnonzero(_mask(held.names, self.started) & held.running & ~waiting(self.cluster)).tolist():
            yield Flaw("start", f"{short(held.names[index])} runs on {held[index].node}: name VMs that do not run", "conflict")
        yield from _taken("add_nodes", self.new_nodes.names, nodes - self.lost_nodes, "node")
        yield from _taken("add_vms", self.new_vms.names, vms - self.lost_vms, "VM")
        for name, memory in self.sizes.items():
            try:
                parse_memory(memory)
            except ValueError as error:
                yield Flaw("resize_vms", f"{short(name)}: {error}")

    def made(self) -> Cluster:
        """The changed cluster."""
        nodes, vms = self.cluster.nodes, self.cluster.vms
        kept = np.array([i for i, name in enumerate(nodes.names) if name not in self.lost_nodes], dtype=np.int64)
        nodes = nodes.rows(kept) if self.lost_nodes else nodes
        vms = self._left_vms() if self.lost_nodes or self.lost_vms or self.sizes or self.started else vms
        rules = (_without(rule, self.lost_vms, self.lost_nodes) for rule in self.cluster.rules)
        nodes = nodes.followed_by(self.new_nodes) if self.new_nodes else nodes
        left = present_resources(nodes) if self.lost_nodes else present_resources(self.cluster.nodes)
        return evolve(
            self.cluster,
            nodes=_limiting(nodes, left) if self.lost_nodes else nodes,
            overcommit={name: ratio for name, ratio in self.cluster.overcommit.items() if name in left},
            soft_resources=[name for name in self.cluster.soft_resources if name in left],
            vms=vms.followed_by(self.new_vms) if self.new_vms else vms,
            rules=[rule for rule in rules if rule is not None],
        )

    @cached_property
    def _lost(self) -> BoolArray:
        """Which nodes are removed, and last that no node is not."""
        return np.append(_mask(self.cluster.nodes.names, self.lost_nodes), False)

    def _left_vms(self) -> VMColumns:
        vms = _without_vms(self.cluster, self.lost_vms)
        started = _mask(vms.names, self.started)
        homeless = self._lost[vms.node] | started
        memory = vms.memory.copy()
        for index, name in enumerate(vms.names if self.sizes else ()):
            memory[index] = parse_memory(self.sizes.get(name, int(memory[index])))
        return evolve(
            vms,
            memory=memory,
            node=np.where(homeless, -1, vms.node),
            running=vms.running | started,
            target=np.where(homeless | self._lost[vms.target], -1, vms.target),
            home=vms.home.replaced(dict.fromkeys(self.lost_nodes, "")),
        )


def _limiting(nodes: NodeColumns, resources: Collection[str]) -> NodeColumns:
    """The nodes with limits on the size of VMs in memory and some resources only."""
    if all(name == "memory" or name in resources for word in nodes.max_vm.words for name in word):
        return nodes
    limits = [{name: most for name, most in word.items() if name == "memory" or name in resources} for word in nodes.max_vm]
    return evolve(nodes, max_vm=Labels.of(limits))


def _mask(names: Sequence[str], chosen: Collection[str]) -> BoolArray:
    """Which names are among some, shape (len(names),)."""
    return np.array([name in chosen for name in names] if chosen else [False] * len(names), dtype=np.bool_)


def _unknown(place: str, names: Iterable[str], known: Collection[str], noun: str) -> Iterator[Flaw]:
    for name in sorted(names, key=str):
        if name not in known:
            yield not_found(place, noun, name, known)


def _taken(place: str, names: Iterable[str], known: set[str], noun: str) -> Iterator[Flaw]:
    seen = set(known)
    for name in names:
        if name in seen:
            yield Flaw(place, f"{short(name)} is a {noun} of this cluster already: give it another name", "duplicate")
        seen.add(name)


def _left(members: Members, gone: Collection[str]) -> Members:
    return members if isinstance(members, Tag) else tuple(name for name in members if name not in gone)


def _without(rule: Rule, vms: Collection[str], nodes: Collection[str]) -> Rule | None:
    """The rule for what is left; None if it then says nothing, or cannot be kept and need not.

    An only-on rule that must be kept and cannot be keeps its nodes' names.
    """
    members = _left(rule.vms, vms)
    if not members:
        return None
    if not isinstance(rule, OnlyOn | NotOn):
        return evolve(rule, vms=members)
    hosts = _left(rule.nodes, nodes) or (rule.nodes if isinstance(rule, OnlyOn) and rule.must else ())
    return evolve(rule, vms=members, nodes=hosts) if hosts else None


def with_vms(cluster: Cluster, changes: Mapping[int, Mapping[str, Any]]) -> Cluster:
    """The cluster with other values for some fields of some VMs, by index; nodes by name."""
    vms = cluster.vms
    place: dict[Any, int] = {name: i for i, name in enumerate(vms.node_names)} | {None: -1}
    columns: dict[str, Any] = {}
    for index, values in changes.items():
        for key, value in values.items():
            column = columns.setdefault(key, np.array(getattr(vms, key)))
            column[index] = place[value] if key in ("node", "target") else value
    return evolve(cluster, vms=evolve(vms, **columns))


def with_nodes(cluster: Cluster, nodes: Iterable[Node]) -> Cluster:
    """The cluster with more nodes."""
    return evolve(cluster, nodes=cluster.nodes.followed_by(nodes))


def yielding(cluster: Cluster, rules: Collection[int]) -> Cluster:
    """The cluster with some rules that are a must no more."""
    return evolve(cluster, rules=[evolve(rule, must=rule.must and i not in rules) for i, rule in enumerate(cluster.rules)])


def less(cluster: Cluster, vms: Collection[str]) -> Cluster:
    """The cluster without some VMs; all rules keep their numbers, even those that then bind no VM."""
    left = _without_vms(cluster, vms)
    nobody = Tag("".join(["-", *sorted(set().union(*left.tags.words))]))  # longer than each of their tags
    rules = [among(rule, set(left.names)) or evolve(rule, vms=nobody) for rule in cluster.rules]
    return evolve(cluster, vms=left, rules=rules)


def _without_vms(cluster: Cluster, vms: Collection[str]) -> VMColumns:
    return cluster.vms.rows(np.array([i for i, name in enumerate(cluster.vms.names) if name not in vms], dtype=np.int64))


def bridged(cluster: Cluster) -> bool:
    """Whether a must-rule binds VMs of several pools, so that what is right in one may depend on another."""
    return any(rule.must and len(_pools_of(rule, cluster)) > 1 for rule in cluster.rules)


def waiting(cluster: Cluster) -> BoolArray:
    """Which VMs are to be started: they have no node, or one that is offline, shape (n_vms,)."""
    waits: BoolArray = np.append(cluster.nodes.state.are("offline"), True)[cluster.vms.node] & cluster.vms.running
    return waits


def among(rule: Rule, present: set[str]) -> Rule | None:
    """The rule for those of its VMs that are present; None if there are none. A tag names just those in any case."""
    if not isinstance(rule.vms, tuple):
        return rule
    left = tuple(name for name in rule.vms if name in present)
    return evolve(rule, vms=left) if left else None
