"""Referential integrity of a cluster: unique names, known nodes, one pool, and rules that do not contradict each other."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import field, frozen

from vmplace.model.columns import IntArray, NodeColumns, VMColumns
from vmplace.model.converters import member_place
from vmplace.model.entities import VM, Apart, Members, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import Flaw, closest, did_you_mean
from vmplace.model.units import short

__all__ = [
    "RuledVMs",
    "Unreadable",
    "absent",
    "ambiguous_domains",
    "broken_references",
    "members_of",
    "present_resources",
    "resolve",
    "without_effect",
]

Unreadable = Mapping[int, str] | None
"""Names of entries that could not be read, by index; None where a whole section could not be."""


@frozen
class RuledVMs:
    """The VMs that some rules bind, those too that come later: by names, and by tags."""

    names: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "RuledVMs":
        """Those of some rules."""
        members = [rule.vms for rule in rules]
        tags = frozenset(each.tag for each in members if isinstance(each, Tag))
        return cls(frozenset(name for each in members for name in _listed(each)), tags)

    def holds(self, vm: VM) -> bool:
        """Whether a VM is one of them."""
        return vm.name in self.names or not self.tags.isdisjoint(vm.tags)


def resolve(members: Members, things: NodeColumns | VMColumns) -> tuple[str, ...]:
    """The names of things that a rule's list or tag stands for, in the things' order where a tag selects them."""
    if isinstance(members, Tag):
        return tuple(things.names[index] for index in things.tagged(members.tag).tolist())
    gone = set(absent(members, things))
    return tuple(name for name in members if name not in gone) if gone else members


def absent(members: Members, things: NodeColumns | VMColumns) -> tuple[str, ...]:
    """The names that a rule lists and the things lack."""
    return tuple(name for name in _listed(members) if name not in things.index_of)


def members_of(members: Members, things: NodeColumns | VMColumns) -> IntArray:
    """The indices of these things, as `resolve` names them."""
    if isinstance(members, Tag):
        return things.tagged(members.tag)
    index = things.index_of
    return np.array([index[name] for name in members if name in index], dtype=np.int64)


def broken_references(
    nodes: NodeColumns,
    vms: VMColumns,
    rules: Collection[tuple[int, Rule]],
    unreadable: tuple[Unreadable, Unreadable] = ({}, {}),
    places: tuple[Sequence[int], Sequence[int]] | None = None,
) -> list[Flaw]:
    """All that is wrong between the parts, in document order.

    Parameters
    ----------
    nodes, vms
        VMs whose `node_names` are the nodes' own have been checked when they were made, but for pools and rules.
    rules
        With their index in the document.
    unreadable
        Nodes, and VMs, that could not be read: their names are known, but nothing more is. None instead of names:
        any name may be right.
    places
        Index in the document of each node and each VM, where not all could be read.
    """
    node_places, vm_places = places or (range(len(nodes)), range(len(vms)))
    names = _Names(nodes, vms, unreadable[0], named={name for _, rule in rules for name in _listed(rule.vms)})
    return [
        *(() if vms.node_names is nodes.names else _duplicates("nodes", nodes.names, node_places, unreadable[0])),
        *(() if vms.node_names is nodes.names else _duplicates("vms", vms.names, vm_places, unreadable[1])),
        *(flaw for index in _misplaced(nodes, vms) for flaw in _vm_flaws(f"vms[{vm_places[index]}]", vms[index], names)),
        *_contradictions(rules, names),
    ]


@frozen(eq=False)
class _Names:
    nodes: NodeColumns
    vms: VMColumns
    unreadable_nodes: Unreadable
    named: Collection[str] = field(kw_only=True)
    """VMs that rules list: no others are looked for by name."""

    def knows_node(self, name: str) -> bool:
        return self.unreadable_nodes is None or name in self.pool_of or name in self._lost_nodes

    def vms_of(self, rule: Rule) -> list[int]:
        if isinstance(rule.vms, Tag):
            found: list[int] = self.vms.tagged(rule.vms.tag).tolist()
            return found
        return [self._index[name] for name in rule.vms if name in self._index]

    @cached_property
    def _lost_nodes(self) -> frozenset[str]:
        return frozenset((self.unreadable_nodes or {}).values())

    @cached_property
    def pool_of(self) -> Mapping[str, str]:
        return dict(zip(self.nodes.names, self.nodes.pool, strict=True))

    @cached_property
    def pools(self) -> Mapping[str, frozenset[str]]:
        members = defaultdict(set)
        for name, pool in self.pool_of.items():
            members[pool].add(name)
        return {pool: frozenset(nodes) for pool, nodes in members.items()}

    @cached_property
    def _index(self) -> Mapping[str, int]:
        if not self.named:
            return {}
        return {name: index for index, name in enumerate(self.vms.names) if name in self.named}


def without_effect(nodes: NodeColumns, overcommit: Iterable[str], soft_resources: Sequence[str]) -> Iterator[Flaw]:
    """Keys that name a resource which no node has: they have no effect, and mean another. Without nodes, all may be meant."""
    known = present_resources(nodes)
    named = [(member_place("overcommit", name), name) for name in overcommit]
    named += [(f"soft_resources[{index}]", name) for index, name in enumerate(soft_resources)]
    for index, limits in enumerate(nodes.max_vm) if any(nodes.max_vm.words) else ():
        named += [(member_place(f"nodes[{index}].max_vm", name), name) for name in limits if name != "memory"]
    for place, name in named if len(nodes) else ():
        if name not in known:
            mend = did_you_mean(closest(name, known)) or ": leave it out, or give a node some of it"
            yield Flaw(place, f"no node has {short(name)}, so this has no effect{mend}", "no-effect")


def present_resources(nodes: NodeColumns) -> frozenset[str]:
    """The further resources that nodes have, if only none of."""
    return frozenset(name for word in nodes.resources.words for name in word)


def ambiguous_domains(nodes: NodeColumns) -> Iterator[Flaw]:
    """Nodes without a failure domain that are called like one: where domains fail, their failures could not be told apart."""
    domains = set(nodes.domain.words)
    for index, (name, domain) in enumerate(zip(nodes.names, nodes.domain, strict=True)):
        if not domain and name in domains:
            yield Flaw(
                f"nodes[{index}].name", f"{short(name)} is the name of a failure domain, too: rename one of them", "contradiction"
            )


def _duplicates(section: str, names: Sequence[str], places: Sequence[int], unreadable: Unreadable) -> Iterator[Flaw]:
    if not unreadable and len(set(names)) == len(names):
        return
    first: dict[str, int] = {}
    for index, name in sorted([*zip(places, names, strict=True), *(unreadable or {}).items()]):
        if first.setdefault(name, index) != index:
            yield Flaw(
                f"{section}[{index}].name",
                f"{short(name)} is taken by {section}[{first[name]}]: give each its own name",
                "duplicate",
            )


def _misplaced(nodes: NodeColumns, vms: VMColumns) -> list[int]:
    """The VMs on or towards a node that is unknown or in another pool, and those without a node that are on their way to one."""
    number = {pool: i for i, pool in enumerate(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))}
    targets = bool(len(vms)) and bool(vms.target.max() >= 0)
    if vms.node_names is nodes.names and len(number) < 2 and not targets:
        return []
    pool_of = dict(zip(nodes.names, nodes.pool.numbered(number).tolist(), strict=True))
    pool = np.array([*(pool_of.get(name, -1) for name in vms.node_names), -1], dtype=np.int64)
    own = vms.pool.numbered(number)
    wrong = (vms.node >= 0) & (pool[vms.node] != own)
    if targets:
        wrong |= (vms.target >= 0) & ((pool[vms.target] != own) | (vms.node < 0))
    found: list[int] = np.flatnonzero(wrong).tolist()
    return found


def _vm_flaws(place: str, vm: VM, names: _Names) -> Iterator[Flaw]:
    for key, name in (("node", vm.node), ("target", vm.target)):
        if name is None:
            continue
        pool = names.pool_of.get(name)
        if pool is not None and pool != vm.pool:
            pools = f"in pool {short(pool)}, the VM in {short(vm.pool)}"
            yield Flaw(f"{place}.{key}", f"{short(name)} is {pools}: put both in one pool", "contradiction")
        elif not names.knows_node(name):
            yield Flaw(f"{place}.{key}", f"{short(name)} is not a node of this cluster: name one, or write null", "not-found")
    if vm.target is not None and vm.node is None:
        yield Flaw(
            f"{place}.target", f"{short(vm.target)} is the target of a VM without a node: name its node too", "contradiction"
        )


def _listed(members: Members) -> tuple[str, ...]:
    return () if isinstance(members, Tag) else members


def _contradictions(rules: Collection[tuple[int, Rule]], names: _Names) -> Iterator[Flaw]:
    """Must-rules that no placement at all can keep, whatever the sizes."""
    musts = [(index, rule) for index, rule in rules if rule.must]
    yield from _apart_and_together(musts, names)
    if names.unreadable_nodes is None or names.unreadable_nodes:
        return  # which nodes are left cannot be told
    allowed = _allowed_nodes(musts, names)
    yield from _nowhere(allowed, names)
    for index, rule in musts:
        if isinstance(rule, Together):
            yield from _split_group(f"rules[{index}]", names.vms_of(rule), allowed, names)


def _apart_and_together(musts: list[tuple[int, Rule]], names: _Names) -> Iterator[Flaw]:
    groups: dict[int, list[int]] = defaultdict(list)
    for index, rule in musts:
        if isinstance(rule, Together):
            for vm in names.vms_of(rule):
                groups[vm].append(index)
    for index, rule in musts:
        if not isinstance(rule, Apart) or not groups:
            continue
        shared: dict[int, list[int]] = defaultdict(list)
        for vm in names.vms_of(rule):
            for group in groups.get(vm, ()):
                shared[group].append(vm)
        for group, both in shared.items():
            if len(both) > 1:
                a, b = (short(names.vms.names[vm]) for vm in both[:2])
                yield Flaw(
                    f"rules[{index}]", f"keeps {a} and {b} apart, rules[{group}] keeps them together: drop one", "contradiction"
                )


@frozen(eq=False)
class _Allowed:
    """The nodes that rules leave to a VM, absent ones among them, and the rules that narrowed them (up to one that left none)."""

    nodes: frozenset[str]
    rules: tuple[int, ...]


def _allowed_nodes(musts: list[tuple[int, Rule]], names: _Names) -> dict[int, _Allowed]:
    """For each VM under a placement rule, in a pool that has nodes; one object for all VMs that are bound alike."""
    narrowing = {index: rule for index, rule in musts if isinstance(rule, OnlyOn | NotOn)}
    nodes_of = {index: frozenset(_listed(rule.nodes) or resolve(rule.nodes, names.nodes)) for index, rule in narrowing.items()}
    pool_of, binding = list(names.vms.pool) if narrowing else [], defaultdict[int, list[int]](list)
    for index, rule in narrowing.items():
        for vm in names.vms_of(rule):
            if pool_of[vm] in names.pools:
                binding[vm].append(index)

    known: dict[tuple[str, tuple[int, ...]], _Allowed] = {}
    allowed = {}
    for vm, indices in binding.items():
        key = (pool_of[vm], tuple(indices))
        if key not in known:
            known[key] = _narrowed(key[0], [(i, narrowing[i], nodes_of[i]) for i in indices], names)
        allowed[vm] = known[key]
    return allowed


def _narrowed(pool: str, rules: Sequence[tuple[int, OnlyOn | NotOn, frozenset[str]]], names: _Names) -> _Allowed:
    """The nodes of the pool that rules leave, and those that they list and the cluster lacks, which may have any tag."""
    lists = (nodes for _, rule, nodes in rules if isinstance(rule, OnlyOn))
    gone = frozenset(name for nodes in lists for name in nodes if name not in names.pool_of)
    left, used = names.pools[pool] | gone, tuple[int, ...]()
    for index, rule, nodes in rules:
        chosen = nodes | gone if isinstance(rule.nodes, Tag) else nodes
        left = left & chosen if isinstance(rule, OnlyOn) else left - nodes
        used = (*used, index)
        if not left:
            break
    return _Allowed(left, used)


def _nowhere(allowed: Mapping[int, _Allowed], names: _Names) -> Iterator[Flaw]:
    stuck = defaultdict(list)
    for vm, bound in allowed.items():
        if not bound.nodes:
            stuck[bound].append(vm)
    for bound, vms in stuck.items():
        *others, last = (f"rules[{index}]" for index in bound.rules)
        more = f" and {len(vms) - 1} more" if len(vms) > 1 else ""
        mend = f" together with {', '.join(others)}: drop one of the rules" if others else ": allow one"
        yield Flaw(last, f"leaves {short(names.vms.names[vms[0]])}{more} no node of the pool{mend}", "contradiction")


def _split_group(place: str, group: Sequence[int], allowed: Mapping[int, _Allowed], names: _Names) -> Iterator[Flaw]:
    pools = {names.vms.pool[vm]: names.vms.names[vm] for vm in group}
    if len(pools) > 1:
        (first, a), (second, b), *_ = pools.items()
        both = f"{short(a)} of pool {short(first)} and {short(b)} of {short(second)}"
        yield Flaw(place, f"keeps {both} together: VMs never cross pools", "contradiction")
        return
    bounds = list({id(bound): bound for bound in (allowed.get(vm) for vm in group) if bound is not None}.values())
    told = bounds and all(bound.nodes and bound.nodes <= names.pool_of.keys() for bound in bounds)
    if told and not frozenset.intersection(*(bound.nodes for bound in bounds)):
        others = ", ".join(f"rules[{index}]" for index in sorted({index for bound in bounds for index in bound.rules}))
        yield Flaw(place, f"keeps VMs together that {others} leave no common node: drop one of the rules", "contradiction")
