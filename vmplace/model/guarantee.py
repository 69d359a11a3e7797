"""The guarantee: which failures must be survived, and what is assumed of the restart."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal, get_args

import attrs
from attrs import evolve, field, frozen

from vmplace.model.converters import name_places, one_of, parse_count, parse_headroom, parse_scope, parse_weight, placed, within
from vmplace.model.entities import VM, Described, Members, Tag, parse_members
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import Order, Policy, Quorum, Restart, Scope, Sequel
from vmplace.model.units import short

__all__ = [
    "FEWEST_VMS",
    "MAJORITY",
    "POLICIES",
    "Guarantee",
    "amended",
    "guarantee_of",
    "less_share",
    "parse_order",
    "parse_policy",
    "parse_quorum",
    "parse_restart",
    "parse_sequence",
    "scenario_key",
]


MAJORITY = "majority"
"""The quorum of more than half of a pool's nodes."""

FEWEST_VMS: Policy = "fewest-vms"
"""The policy that does not look at memory."""

POLICIES: tuple[Policy, ...] = get_args(Policy)
"""How platforms choose the node of a restart."""


def parse_sequence(value: Sequel) -> Sequel:
    """How several failures come."""
    return one_of(value, Sequel)


def parse_restart(value: Restart) -> Restart:
    """What is assumed of the restart."""
    return one_of(value, Restart)


def parse_policy(value: Policy | None) -> Policy | None:
    """How a platform chooses the node of a restart, or None."""
    return None if value is None else one_of(value, Policy)


def parse_quorum(value: Quorum | None) -> Quorum | None:
    """How many nodes must be up: a number of 1 or more, ``majority``, or None."""
    if value is None or isinstance(value, str):
        return None if value is None else one_of(value, Literal["majority"])
    return parse_weight(value)


def parse_order(value: Order | None) -> Order | None:
    """In which order a platform restarts, or None."""
    return None if value is None else one_of(value, Order)


def _parse_failures(value: int | Mapping[str, int]) -> Any:
    """A number, or how many domains and nodes."""
    if not isinstance(value, Mapping):
        return parse_count(value)
    odd = next((key for key in value if key not in ("domain", "node")), None)
    if odd is not None or not value:
        raise ValueError(f"{short(dict(value))} is not a number of failures: write 2, or {{'domain': 1, 'node': 1}}")
    return {key: placed(key, parse_count)(number) for key, number in value.items()}


def _parse_vms(value: Iterable[str] | Mapping[str, str] | Tag | None) -> Members | None:
    return None if value is None else parse_members(value)


@frozen(kw_only=True, field_transformer=name_places)
class Guarantee(Described):
    """What must be survivable, and what is assumed of the restart.

    Parameters
    ----------
    failures
        How many nodes (or domains) of a pool fail at once; or ``{"domain": 1, "node": 1}``: so many domains and so many further
        nodes at once, which sets `domains`, too.
    scope
        ``node`` or ``domain``.
    sequence
        ``at-once`` or ``sequential``.
    restart
        ``planned`` (by a failover plan) or ``any-order`` (in any order, on any node with room, as HA managers do).
    policy
        A platform's own choice of node: ``first-fit``, ``most-free`` or ``best-fit`` among the nodes with room; or
        ``fewest-vms``: the survivor that runs the fewest VMs takes each restart, of several the first by name, as basic
        scheduling of Proxmox VE does. It does not look at memory: a failure that leaves a node overfull is not survived.
    order
        With `policy`: ``largest-first``, ``priority`` or ``as-listed``, as None.
    headroom
        Share of each node's usable memory kept free in normal running, from 0 to below 1; kept as the
        exact fraction of its decimal text.
    quorum
        How many nodes of a pool must be up for anything to restart: None (any), a number, or ``majority``: more than half of all
        nodes that the pool has in the document. A node is up unless it is offline. A failure that leaves fewer is not survived,
        unless nothing protected runs in the pool.
    vms
        Protect only these VMs: their names, or a `Tag`. None: all that are protected. The others take memory, as ever.
    domains
        Of the failures, how many are whole failure domains, where nodes fail beside them; else 0.
    """

    failures: int = field(default=1, converter=_parse_failures)
    scope: Scope = field(default="node", converter=parse_scope)
    sequence: Sequel = field(default="at-once", converter=parse_sequence)
    restart: Restart = field(default="planned", converter=parse_restart)
    policy: Policy | None = field(default=None, converter=parse_policy)
    order: Order | None = field(default=None, converter=parse_order)
    headroom: Fraction = field(default=Fraction(0), converter=parse_headroom)
    quorum: Quorum | None = field(default=None, converter=parse_quorum)
    vms: Members | None = field(default=None, converter=_parse_vms)
    domains: int = field(default=0, converter=parse_count)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.failures, Mapping):
            domains, nodes = self.failures.get("domain", 0), self.failures.get("node", 0)
            both = bool(domains and nodes)
            object.__setattr__(self, "failures", domains + nodes)
            object.__setattr__(self, "domains", domains if both else 0)
            object.__setattr__(self, "scope", "domain" if domains and not nodes else "node")
        if self.domains and self.sequence != "at-once":
            raise InputError([Flaw("sequence", f"{short(self.sequence)}: domains and nodes fail at once: write at-once")])
        if self.domains >= self.failures or self.scope != "node":
            object.__setattr__(self, "domains", 0)  # not even a node fails beside them

    @property
    def planned(self) -> bool:
        """Whether restarts keep to a plan, rather than to an order and to choices of others."""
        return self.restart == "planned" and self.policy is None

    @property
    def any_order(self) -> bool:
        """Whether VMs restart in any order on any node with room: who finds none then depends on the order."""
        return self.restart == "any-order" and self.policy is None

    @property
    def in_turn(self) -> bool:
        """Whether failures come one after the other."""
        return self.sequence == "sequential" and self.failures > 1

    @property
    def plain(self) -> bool:
        """Whether one plan for each failure is all that is asked."""
        return self.planned and not self.in_turn

    @property
    def eased(self) -> "Guarantee":
        """The same with a plan for each failure, which it needs at least."""
        return evolve(self, restart="planned", policy=None, order=None, sequence="at-once")

    def quorum_of(self, nodes: int) -> int:
        """How many of a pool's nodes must be up, of so many in the document; 0 where any number will do."""
        return nodes // 2 + 1 if self.quorum == MAJORITY else int(self.quorum or 0)

    def protects(self, vm: VM) -> bool:
        """Whether a VM is protected, and one of those that the guarantee names if it names any."""
        named = self.vms is None or (vm.name in self.vms if isinstance(self.vms, tuple) else self.vms.tag in vm.tags)
        return vm.protected and named


def scenario_key(number: int, key: str) -> str:
    """The key of a scenario of the guarantee of an index: those of the first as ever, ``2++n1+n2`` of the second.

    No name is empty or holds a "+", so that no two scenarios share a key.
    """
    return key if number == 0 else f"{number + 1}++{key}"


def guarantee_of(key: str) -> tuple[int, str]:
    """The index of the guarantee that a key of `scenario_key` is of, and the key without its mark."""
    mark, marked, rest = key.partition("++")
    return (int(mark) - 1, rest) if marked else (0, key)


def less_share(amount: int, share: Fraction) -> int:
    """An amount without a share of it, which is rounded up."""
    return amount - -(-amount * share.numerator // share.denominator)


def amended(asked: Guarantee, changes: "Guarantee | Mapping[str, Any]") -> Guarantee:
    """Another guarantee, or the same one with other values for some keys.

    A policy takes the place of `restart`: where `restart` is given and `policy` is not, there is no policy any more.

    Raises
    ------
    InputError
        (a ValueError) that names the key, under ``guarantee``.
    """
    if isinstance(changes, Guarantee):
        return changes
    if not isinstance(changes, Mapping):
        raise InputError([Flaw("guarantee", f"{short(changes)} is not a Guarantee: give one, or a mapping of its keys")])
    known = [key.name for key in attrs.fields(Guarantee)]
    odd = next((key for key in changes if key not in known), None)
    if odd is not None:
        raise InputError([Flaw("guarantee", f"{short(odd)} is not a key of a guarantee: write one of {', '.join(known)}")])
    if "failures" in changes:
        changes = {"domains": 0, **changes}
    if "restart" in changes and "policy" not in changes:
        changes = {**changes, "policy": None, "order": None}
    try:
        return evolve(asked, **changes)
    except InputError as error:
        raise InputError(within("guarantee", error.flaws)) from None
