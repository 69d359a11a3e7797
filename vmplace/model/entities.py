"""Nodes, VMs and rules (affinity, anti-affinity): frozen values, valid once constructed."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar

from attrs import field, frozen

from vmplace.model.converters import (
    name_places,
    parse_flag,
    parse_max_vm,
    parse_meta,
    parse_movable,
    parse_name,
    parse_names,
    parse_node_headroom,
    parse_optional_memory,
    parse_optional_name,
    parse_optional_text,
    parse_resources,
    parse_scope,
    parse_state,
    parse_text,
    parse_weight,
    parse_whole,
    positive_number,
)
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import Movable, Scope, State
from vmplace.model.units import format_memory, parse_memory, parse_reserve, short

__all__ = [
    "VM",
    "Apart",
    "Described",
    "Members",
    "Node",
    "NotOn",
    "OnlyOn",
    "Rule",
    "Tag",
    "Together",
    "headroom_flaws",
    "parse_members",
    "reserve_flaws",
]


def reserve_flaws(place: str, memory: int, reserve: int) -> Iterator[Flaw]:
    """A reserve that leaves nothing for VMs."""
    if reserve >= memory:
        yield Flaw(
            place,
            f"{format_memory(reserve)} leaves nothing of {format_memory(memory)}: write less than the memory",
            "contradiction",
        )


def headroom_flaws(place: str, usable: int, headroom: Fraction | int | None) -> Iterator[Flaw]:
    """An amount of headroom that the node does not have."""
    if isinstance(headroom, int) and headroom > usable:
        yield Flaw(
            place, f"{format_memory(headroom)} is more than the {format_memory(usable)} for VMs: write less", "contradiction"
        )


def _parse_tags(value: Iterable[str]) -> frozenset[str]:
    return frozenset(parse_names(value))


@frozen(kw_only=True, field_transformer=name_places)
class Described:
    """What carries free data (`meta`) that is passed through."""

    meta: Mapping[str, Any] = field(factory=dict, converter=parse_meta, hash=False)


@frozen(field_transformer=name_places)
class Node(Described):
    """A host.

    Parameters
    ----------
    name
        Unique among nodes.
    memory
        Physical memory in MiB, or a string such as ``"512GiB"``.
    reserve
        What the hypervisor keeps for itself; `usable` is the rest.
    state
        ``online``; ``maintenance`` (its VMs run, nothing new comes, no failover target); ``offline`` (hosts nothing).
    domain
        Failure domain (rack, power feed); None makes the node its own.
    pool
        VMs never cross pools.
    tags
        For rules.
    price
        Relative cost, above zero.
    resources
        Amounts of further resources.
    headroom
        What is kept free in normal running, instead of what the guarantee says: a share of the usable memory (0.1, kept as the
        exact fraction of its decimal text), or memory in MiB or as ``"16GiB"``; None: as the guarantee says.
    max_vm
        The largest VM that it takes, by resource: ``{"memory": "64GiB", "vcpu": 16}``.
    meta
        Passed through.

    Raises
    ------
    InputError
        (a ValueError) that names the field, the value and the mend.
    """

    name: str = field(converter=parse_name)
    memory: int = field(converter=parse_memory)
    reserve: int = field(default=0, converter=parse_reserve, kw_only=True)
    state: State = field(default="online", converter=parse_state, kw_only=True)
    domain: str | None = field(default=None, converter=parse_optional_name, kw_only=True)
    pool: str = field(default="default", converter=parse_text, kw_only=True)
    tags: frozenset[str] = field(default=frozenset(), converter=_parse_tags, kw_only=True)
    price: Fraction = field(default=Fraction(1), converter=positive_number, kw_only=True)
    resources: Mapping[str, int] = field(factory=dict, converter=parse_resources, hash=False, kw_only=True)
    headroom: Fraction | int | None = field(default=None, converter=parse_node_headroom, kw_only=True)
    max_vm: Mapping[str, int] = field(factory=dict, converter=parse_max_vm, hash=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        flaws = [*reserve_flaws("reserve", self.memory, self.reserve)] or [
            *headroom_flaws("headroom", self.usable, self.headroom)
        ]
        if flaws:
            raise InputError(flaws)

    @property
    def usable(self) -> int:
        """Memory for VMs, in MiB."""
        return self.memory - self.reserve


@frozen(field_transformer=name_places)
class VM(Described):
    """A virtual machine, with all its memory reserved.

    Parameters
    ----------
    name
        Unique among VMs.
    memory
        Reserved memory in MiB, or a string such as ``"8GiB"``.
    node
        The node it is on; None if it waits to be started.
    target
        The node to which a live migration under way leads.
    running
        False: stopped, with or without a node. It takes nothing, keeps its node, and rules ignore it. A VM to start has
        ``running=True`` and no node.
    movable
        False: no live migration; it can still restart elsewhere. ``"cold"``: it moves by being stopped and started.
    protected
        False: takes memory everywhere, but need not restart when its node fails.
    evictable
        True: may be stopped to make room in a failover, protected or not.
    priority
        VMs of higher priority restart first if not all can.
    pool
        The pool whose nodes it may use.
    tags
        For rules.
    resources
        Amounts of further resources.
    overhead
        Memory that the hypervisor needs for this VM on top of the VM's own, in MiB or as ``"256MiB"``.
    home
        The node that it prefers; None for no preference.
    used
        Memory that its guest uses, in MiB or as ``"2GiB"``; None if unknown. No fit depends on it.
    meta
        Passed through.

    Raises
    ------
    InputError
        (a ValueError) that names the field, the value and the mend.
    """

    name: str = field(converter=parse_name)
    memory: int = field(converter=parse_memory)
    node: str | None = field(default=None, converter=parse_optional_name)
    target: str | None = field(default=None, converter=parse_optional_name, kw_only=True)
    running: bool = field(default=True, converter=parse_flag, kw_only=True)
    movable: Movable = field(default=True, converter=parse_movable, kw_only=True)
    protected: bool = field(default=True, converter=parse_flag, kw_only=True)
    evictable: bool = field(default=False, converter=parse_flag, kw_only=True)
    priority: int = field(default=0, converter=parse_whole, kw_only=True)
    pool: str = field(default="default", converter=parse_text, kw_only=True)
    tags: frozenset[str] = field(default=frozenset(), converter=_parse_tags, kw_only=True)
    resources: Mapping[str, int] = field(factory=dict, converter=parse_resources, hash=False, kw_only=True)
    overhead: int = field(default=0, converter=parse_reserve, kw_only=True)
    home: str | None = field(default=None, converter=parse_optional_name, kw_only=True)
    used: int | None = field(default=None, converter=parse_optional_memory, kw_only=True)

    @property
    def charged(self) -> int:
        """What it takes on a node: its memory and the overhead, in MiB."""
        return self.memory + self.overhead


@frozen(field_transformer=name_places)
class Tag:
    """All nodes, or all VMs, that bear a tag."""

    tag: str = field(converter=parse_text)


Members = tuple[str, ...] | Tag
"""VMs or nodes of a rule: their names, or the tag they bear."""


def parse_members(value: Iterable[str] | Mapping[str, str] | Tag) -> Members:
    """Names or a tag: ``["a", "b"]``, ``{"tag": "db"}`` or ``Tag("db")``."""
    if isinstance(value, Tag):
        return value
    if isinstance(value, Mapping):
        if set(value) != {"tag"}:
            raise ValueError(f"{short(dict(value))} is neither a list of names nor {{'tag': ...}}")
        return Tag(value["tag"])
    names = parse_names(value)
    if not names:
        raise ValueError("[] names nothing: list names, or write {'tag': ...}")
    return names


@frozen(field_transformer=name_places)
class Rule(Described):
    """What all rules have: `Apart`, `Together`, `OnlyOn` and `NotOn` are rules.

    Parameters
    ----------
    vms
        The VMs it binds: their names, or a `Tag`.
    must
        True: never broken. False: a soft rule, kept as far as the guarantee allows.
    weight
        What breaking a soft rule costs, relative to other soft rules; a whole number of 1 or more.
    during_failover
        Whether restarts after a failure keep it too.
    name
        What messages call it; None: its number in the document.
    """

    kind: ClassVar[str] = ""
    vms: Members = field(converter=parse_members)
    must: bool = field(default=True, converter=parse_flag, kw_only=True)
    weight: int = field(default=1, converter=parse_weight, kw_only=True)
    during_failover: bool = field(default=True, converter=parse_flag, kw_only=True)
    name: str | None = field(default=None, converter=parse_optional_text, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.kind:
            raise TypeError("a Rule of no kind: make an Apart, a Together, an OnlyOn or a NotOn")


@frozen(field_transformer=name_places)
class Apart(Rule):
    """Anti-affinity: no two of these VMs on one node (`scope` ``node``) or in one failure domain (``domain``)."""

    kind: ClassVar[str] = "apart"
    scope: Scope = field(default="node", converter=parse_scope, kw_only=True)


@frozen(field_transformer=name_places)
class Together(Rule):
    """Affinity: all these VMs on one node; after a failure, the displaced ones restart together on one survivor."""

    kind: ClassVar[str] = "together"


@frozen(field_transformer=name_places)
class OnlyOn(Rule):
    """Affinity to nodes: these VMs on these nodes only."""

    kind: ClassVar[str] = "only-on"
    nodes: Members = field(converter=parse_members)


@frozen(field_transformer=name_places)
class NotOn(Rule):
    """Anti-affinity to nodes: these VMs on none of these nodes."""

    kind: ClassVar[str] = "not-on"
    nodes: Members = field(converter=parse_members)
