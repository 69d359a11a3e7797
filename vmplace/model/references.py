"""What must hold between the parts of a cluster: unique names, known names, rules that do not contradict."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from vmplace.model.entities import VM, Apart, Members, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import Flaw
from vmplace.model.units import short

__all__ = ["Unreadable", "ambiguous_domains", "broken_references", "resolve"]

Unreadable = Mapping[int, str] | None
"""Names of entries that could not be read, by index; None where a whole section could not be."""


def resolve(members: Members, things: Iterable[Node] | Iterable[VM]) -> tuple[str, ...]:
    """The names that a rule's list or tag stands for, in the things' order where a tag selects them."""
    if isinstance(members, Tag):
        return tuple(thing.name for thing in things if members.tag in thing.tags)
    return members


def broken_references(
    nodes: Collection[tuple[int, Node]],
    vms: Collection[tuple[int, VM]],
    rules: Collection[tuple[int, Rule]],
    unreadable: tuple[Unreadable, Unreadable] = ({}, {}),
) -> list[Flaw]:
    """All that is wrong between the parts, in document order.

    Parameters
    ----------
    nodes, vms, rules
        With their index in the document, so that a document with unreadable entries can be checked in what is left.
    unreadable
        Nodes, and VMs, that could not be read: their names are known, but nothing more is. None instead of names:
        any name may be right.
    """
    names = _Names({node.name: node for _, node in nodes}, {vm.name: vm for _, vm in vms}, *unreadable)
    return [
        *_duplicates("nodes", nodes, unreadable[0]),
        *_duplicates("vms", vms, unreadable[1]),
        *_misplaced(vms, names),
        *(flaw for index, rule in rules for flaw in _unknown_members(f"rules[{index}]", rule, names)),
        *_contradictions(rules, names),
    ]


@frozen(eq=False)
class _Names:
    nodes: Mapping[str, Node]
    vms: Mapping[str, VM]
    unreadable_nodes: Unreadable
    unreadable_vms: Unreadable

    def knows_node(self, name: str) -> bool:
        return self.unreadable_nodes is None or name in self.nodes or name in self._lost_nodes

    def knows_vm(self, name: str) -> bool:
        return self.unreadable_vms is None or name in self.vms or name in self._lost_vms

    def vms_of(self, rule: Rule) -> Sequence[VM]:
        if isinstance(rule.vms, Tag):
            return self._vms_by_tag.get(rule.vms.tag, ())
        return [self.vms[name] for name in rule.vms if name in self.vms]

    def nodes_of(self, rule: OnlyOn | NotOn) -> frozenset[str]:
        return frozenset(resolve(rule.nodes, self.nodes.values()))

    @cached_property
    def _lost_nodes(self) -> frozenset[str]:
        return frozenset((self.unreadable_nodes or {}).values())

    @cached_property
    def _lost_vms(self) -> frozenset[str]:
        return frozenset((self.unreadable_vms or {}).values())

    @cached_property
    def _vms_by_tag(self) -> Mapping[str, Sequence[VM]]:
        bearers = defaultdict(list)
        for vm in self.vms.values():
            for tag in vm.tags:
                bearers[tag].append(vm)
        return bearers

    @cached_property
    def pools(self) -> Mapping[str, frozenset[str]]:
        members = defaultdict(set)
        for node in self.nodes.values():
            members[node.pool].add(node.name)
        return {pool: frozenset(nodes) for pool, nodes in members.items()}


def ambiguous_domains(nodes: Iterable[Node]) -> Iterator[Flaw]:
    """Nodes without a failure domain that are called like one: where domains fail, their failures could not be told apart."""
    listed = list(nodes)
    domains = {node.domain for node in listed}
    for index, node in enumerate(listed):
        if node.domain is None and node.name in domains:
            yield Flaw(f"nodes[{index}].name", f"{short(node.name)} is a failure domain's name, too: call one of them otherwise")


def _duplicates(
    section: str, things: Collection[tuple[int, Node]] | Collection[tuple[int, VM]], unreadable: Unreadable
) -> Iterator[Flaw]:
    if not unreadable and len({thing.name for _, thing in things}) == len(things):
        return
    named = sorted([*((index, thing.name) for index, thing in things), *(unreadable or {}).items()])
    first: dict[str, int] = {}
    for index, name in named:
        if first.setdefault(name, index) != index:
            yield Flaw(f"{section}[{index}].name", f"{short(name)} is taken by {section}[{first[name]}]: give each its own name")


def _misplaced(vms: Collection[tuple[int, VM]], names: _Names) -> Iterator[Flaw]:
    pool_of = {name: node.pool for name, node in names.nodes.items()}
    for index, vm in vms:
        if vm.target is None and (vm.node is None or pool_of.get(vm.node) == vm.pool):
            continue  # nearly all, so the text of a place is not made for them
        yield from _vm_flaws(f"vms[{index}]", vm, names)


def _vm_flaws(place: str, vm: VM, names: _Names) -> Iterator[Flaw]:
    for key, name in (("node", vm.node), ("target", vm.target)):
        if name is None:
            continue
        node = names.nodes.get(name)
        if node is not None and node.pool != vm.pool:
            pools = f"in pool {short(node.pool)}, the VM in {short(vm.pool)}"
            yield Flaw(f"{place}.{key}", f"{short(name)} is {pools}: put both in one pool")
        elif not names.knows_node(name):
            yield Flaw(f"{place}.{key}", f"{short(name)} is no node of this cluster: name one, or write null")
    if vm.target is not None and vm.node is None:
        yield Flaw(f"{place}.target", f"{short(vm.target)} is the target of a VM without a node: name its node too")


def _unknown_members(place: str, rule: Rule, names: _Names) -> Iterator[Flaw]:
    if not isinstance(rule.vms, Tag):
        for position, name in enumerate(rule.vms):
            if not names.knows_vm(name):
                yield Flaw(f"{place}.vms[{position}]", f"{short(name)} is no VM of this cluster: name one, or leave it out")
    if isinstance(rule, OnlyOn | NotOn) and not isinstance(rule.nodes, Tag):
        for position, name in enumerate(rule.nodes):
            if not names.knows_node(name):
                yield Flaw(f"{place}.nodes[{position}]", f"{short(name)} is no node of this cluster: name one, or leave it out")


def _contradictions(rules: Collection[tuple[int, Rule]], names: _Names) -> Iterator[Flaw]:
    """Must-rules that no placement at all can keep, whatever the sizes."""
    musts = [(index, rule) for index, rule in rules if rule.must]
    yield from _apart_and_together(musts, names)
    if names.unreadable_nodes is None or names.unreadable_nodes:
        return  # which nodes are left cannot be told
    allowed = _allowed_nodes(musts, names)
    yield from _nowhere(allowed)
    for index, rule in musts:
        if isinstance(rule, Together):
            yield from _split_group(f"rules[{index}]", names.vms_of(rule), allowed)


def _apart_and_together(musts: list[tuple[int, Rule]], names: _Names) -> Iterator[Flaw]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, rule in musts:
        if isinstance(rule, Together):
            for vm in names.vms_of(rule):
                groups[vm.name].append(index)
    for index, rule in musts:
        if not isinstance(rule, Apart) or not groups:
            continue
        shared: dict[int, list[str]] = defaultdict(list)
        for vm in names.vms_of(rule):
            for group in groups.get(vm.name, ()):
                shared[group].append(vm.name)
        for group, (a, b, *_) in ((group, both) for group, both in shared.items() if len(both) > 1):
            yield Flaw(
                f"rules[{index}]",
                f"keeps {short(a)} and {short(b)} apart, rules[{group}] keeps them together: drop one",
            )


@frozen(eq=False)
class _Allowed:
    """The nodes that rules leave to a VM, and the rules that narrowed them (up to the one that left none)."""

    nodes: frozenset[str]
    rules: tuple[int, ...]


def _allowed_nodes(musts: list[tuple[int, Rule]], names: _Names) -> dict[str, _Allowed]:
    """For each VM under a placement rule, in a pool that has nodes; one object for all VMs that are bound alike."""
    narrowing = {index: rule for index, rule in musts if isinstance(rule, OnlyOn | NotOn)}
    nodes_of = {index: names.nodes_of(rule) for index, rule in narrowing.items()}
    binding: dict[str, list[int]] = defaultdict(list)
    for index, rule in narrowing.items():
        for vm in names.vms_of(rule):
            if vm.pool in names.pools:
                binding[vm.name].append(index)

    known: dict[tuple[str, tuple[int, ...]], _Allowed] = {}
    allowed = {}
    for name, indices in binding.items():
        key = (names.vms[name].pool, tuple(indices))
        if key not in known:
            known[key] = _narrowed(names.pools[key[0]], [(i, narrowing[i], nodes_of[i]) for i in indices])
        allowed[name] = known[key]
    return allowed


def _narrowed(left: frozenset[str], rules: Iterable[tuple[int, OnlyOn | NotOn, frozenset[str]]]) -> _Allowed:
    used: tuple[int, ...] = ()
    for index, rule, nodes in rules:
        left = left & nodes if isinstance(rule, OnlyOn) else left - nodes
        used = (*used, index)
        if not left:
            break
    return _Allowed(left, used)


def _nowhere(allowed: Mapping[str, _Allowed]) -> Iterator[Flaw]:
    stuck = defaultdict(list)
    for name, bound in allowed.items():
        if not bound.nodes:
            stuck[bound].append(name)
    for bound, vms in stuck.items():
        *others, last = (f"rules[{index}]" for index in bound.rules)
        more = f" and {len(vms) - 1} more" if len(vms) > 1 else ""
        mend = f" together with {', '.join(others)}: drop one of the rules" if others else ": allow one"
        yield Flaw(last, f"leaves {short(vms[0])}{more} no node of the pool{mend}")


def _split_group(place: str, group: Sequence[VM], allowed: Mapping[str, _Allowed]) -> Iterator[Flaw]:
    pools = {vm.pool: vm.name for vm in group}
    if len(pools) > 1:
        (first, a), (second, b), *_ = pools.items()
        both = f"{short(a)} of pool {short(first)} and {short(b)} of {short(second)}"
        yield Flaw(place, f"keeps {both} together: VMs never cross pools")
        return
    bounds = list({id(bound): bound for bound in (allowed.get(vm.name) for vm in group) if bound is not None}.values())
    if bounds and all(bound.nodes for bound in bounds) and not frozenset.intersection(*(bound.nodes for bound in bounds)):
        others = ", ".join(f"rules[{index}]" for index in sorted({index for bound in bounds for index in bound.rules}))
        yield Flaw(place, f"keeps VMs together that {others} leave no common node: drop one of the rules")
