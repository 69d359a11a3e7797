"""Structuring (cattrs): the plain values of a document to a cluster, or to a list of all its flaws."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeVar

import attrs
import cattrs
from attrs import field, frozen
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from vmplace.formats.parse import Parsed, uncollected
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.converters import name_places, parse_date, parse_meta, parse_ratios, parse_soft_resources, within
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Together
from vmplace.model.errors import Flaw, InputError, closest, did_you_mean
from vmplace.model.guarantee import Guarantee
from vmplace.model.references import Unreadable, broken_references
from vmplace.model.units import MAX_MEMORY, parse_memory, short

__all__ = ["from_document", "plain_columns", "read_document"]

_RULE_KINDS: Mapping[str, type[Any]] = {kind.kind: kind for kind in (Apart, Together, OnlyOn, NotOn)}
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")

_T = TypeVar("_T")
_Read = tuple[_T | None, Sequence[Flaw], str | None]
"""What was read, or a stand-in for it, or None; what is wrong with it; the name of what has no stand-in."""

# What `broken_references` looks at: an entry with a flaw there cannot stand in for the one that was meant.
_REFERRED: Mapping[type, frozenset[str]] = {
    Node: frozenset({"name", "pool", "tags"}),
    VM: frozenset({"name", "node", "target", "pool", "tags"}),
    **dict.fromkeys(_RULE_KINDS.values(), frozenset({"vms", "nodes"})),
}


def from_document(raw: object) -> Cluster:
    """The cluster of a document that has been read into plain values (dict, list, str, ...).

    Raises
    ------
    InputError
        (a ValueError) that lists all that is wrong, in the order of the document.
    """
    return read_document(Parsed(raw))


@uncollected()
def read_document(parsed: Parsed) -> Cluster:
    """The cluster of a document, as `from_document`; keys that the text gives twice are flaws too."""
    raw = parsed.value
    if not isinstance(raw, Mapping):
        found = "is empty" if raw is None else f"{short(raw)} is not a mapping"
        raise InputError([Flaw("", f"{found}: write a document with nodes and vms", "wrong-type")])
    frame, wrong, _ = _read(_Frame, raw)
    return _read_entries(raw, frame, [*parsed.repeated, *wrong])


def _read_entries(raw: Mapping[Any, Any], frame: "_Frame | None", wrong: Sequence[Flaw]) -> Cluster:
    rules = _Section.of("rules", raw, None)
    if frame is not None and not wrong and not rules.flaws and (columns := plain_columns(frame.nodes, frame.vms)) is not None:
        return _made(raw, frame, *columns, rules.things())
    nodes, vms = _Section.of("nodes", raw, Node), _Section.of("vms", raw, VM)
    hosts, guests = NodeColumns.holding(nodes.things()), VMColumns.holding(vms.things())
    flaws = [*wrong, *nodes.flaws, *vms.flaws, *rules.flaws]
    if frame is not None and not flaws:
        return _made(raw, frame, hosts, guests, rules.things())
    flaws += broken_references(hosts, guests, rules.read, (nodes.unreadable, vms.unreadable), (nodes.places(), vms.places()))
    raise InputError(_sorted(raw, flaws))


def _made(raw: Mapping[Any, Any], frame: "_Frame", nodes: NodeColumns, vms: VMColumns, rules: Sequence[Rule]) -> Cluster:
    try:
        return frame.cluster(nodes, vms, rules)
    except InputError as error:
        raise InputError(_sorted(raw, error.flaws)) from None


def _sorted(raw: Mapping[Any, Any], flaws: Iterable[Flaw]) -> list[Flaw]:
    return sorted(flaws, key=lambda flaw: _position(raw, flaw.place))


def _parse_format(value: object) -> int:
    if isinstance(value, bool) or value != 1:
        raise ValueError(f"{short(value)} is not a known format: write 1")
    return 1


def _parse_list(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{short(value)} is not a list: write one of mappings")
    return value


def _parse_guarantee(value: object) -> Any:
    if isinstance(value, Guarantee):
        return value  # the default
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("[] asks for nothing: write one guarantee at least, or leave the key out")
        read = [_read(Guarantee, one) for one in value]
        wrong = [flaw for index, (_, own, _) in enumerate(read) for flaw in within(f"[{index}]", own)]
        if wrong:
            raise InputError(wrong)
        return [one for one, _, _ in read]
    guarantee, flaws, _ = _read(Guarantee, value)
    if guarantee is None:
        raise InputError(flaws)
    return guarantee


@frozen(kw_only=True, field_transformer=name_places)
class _Frame:
    """A document with its entries unread."""

    format: int = field(default=1, converter=_parse_format)
    date: str | None = field(default=None, converter=parse_date)
    meta: Mapping[str, Any] = field(factory=dict, converter=parse_meta)
    nodes: Sequence[Any] = field(converter=_parse_list)
    vms: Sequence[Any] = field(converter=_parse_list)
    rules: Sequence[Any] = field(default=(), converter=_parse_list)
    guarantee: Guarantee = field(factory=Guarantee, converter=_parse_guarantee)
    overcommit: Mapping[str, Any] = field(factory=dict, converter=parse_ratios)
    soft_resources: tuple[str, ...] = field(default=(), converter=parse_soft_resources)

    def cluster(self, nodes: NodeColumns, vms: VMColumns, rules: Sequence[Rule]) -> Cluster:
        return Cluster(
            nodes,
            vms,
            rules,
            self.guarantee,
            overcommit=self.overcommit,
            soft_resources=self.soft_resources,
            date=self.date,
            meta=self.meta,
        )


@frozen(eq=False)
class _Section:
    """What could be read of a list of entries, each with its index."""

    read: Collection[tuple[int, Any]]
    unreadable: Unreadable
    flaws: Sequence[Flaw]

    @classmethod
    def of(cls, key: str, raw: Mapping[Any, Any], kind: type | None) -> "_Section":
        """Read the entries as of a kind; None: each is a rule and names its own."""
        entries = raw.get(key, ())
        if not isinstance(entries, list | tuple) or (kind is not None and key not in raw):
            return cls((), None, ())  # which the frame complains of
        read, unreadable, flaws = [], {}, list[Flaw]()
        for index, entry in enumerate(entries):
            thing, wrong, name = _read_rule(entry) if kind is None else _read(kind, entry)
            if thing is not None:
                read.append((index, thing))
            elif name is not None:
                unreadable[index] = name
            if wrong:
                flaws += within(f"{key}[{index}]", wrong)
        return cls(read, unreadable, flaws)

    def things(self) -> list[Any]:
        return [thing for _, thing in self.read]

    def places(self) -> list[int]:
        return [index for index, _ in self.read]


def _read(kind: type[_T], raw: Any) -> _Read[_T]:
    try:
        return kind(**raw), (), None  # checks all that there is to check, and stops at the first flaw
    except (TypeError, InputError):
        return _read_with_care(kind, raw)


def _read_with_care(kind: type[_T], raw: Any) -> _Read[_T]:
    if not isinstance(raw, Mapping):
        return None, [Flaw("", f"{short(raw)} is not a mapping", "wrong-type")], raw if isinstance(raw, str) else None
    try:
        return _careful(kind)(raw, kind), (), None  # type: ignore[arg-type]
    except ClassValidationError as error:
        wrong = _Wrong.of(error.exceptions, kind, raw)
    name = raw.get(wrong.meant.get("name", "name"))
    thing, more = _stand_in(kind, raw, wrong.keys)
    return thing, [*wrong.flaws, *more], name if isinstance(name, str) else None


def _read_rule(raw: Any) -> _Read[Any]:
    if not isinstance(raw, Mapping):
        return _read_with_care(Apart, raw)
    key = "kind" if "kind" in raw else closest("kind", raw)
    wanted = raw.get(key)
    rest = {k: v for k, v in raw.items() if k != key}
    if key == "kind" and isinstance(wanted, str) and wanted in _RULE_KINDS:
        return _read(_RULE_KINDS[wanted], rest)

    guess = closest(wanted, _RULE_KINDS)
    one_of = f"write one of {', '.join(_RULE_KINDS)}"
    if key is None:
        flaw = Flaw("", f"'kind' is missing: {one_of}", "missing")
    elif key != "kind":
        flaw = Flaw("", _unknown(key, "kind"), "unknown-key")
    else:
        flaw = Flaw("kind", f"{short(wanted)} is not a kind of rule: {one_of}{did_you_mean(guess)}")
    if guess is None:
        return None, [flaw], None
    rule, flaws, _ = _read(_RULE_KINDS[guess], {**rest, "must": False} if rest.get("must", True) is True else rest)
    return rule, [flaw, *flaws], None


@cache
def _careful(kind: type[Any]) -> Callable[[Mapping[Any, Any], type[Any]], Any]:
    """What reads a mapping by cattrs, and tells every flaw; each field by its own converter."""
    hooks: dict[str, Any] = {f.name: override(struct_hook=partial(_convert, f.converter)) for f in attrs.fields(kind)}
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    read: Callable[[Mapping[Any, Any], type[Any]], Any] = make_dict_structure_fn(kind, converter, **hooks)
    return read


def _convert(convert: Callable[[object], Any], value: object, _: object) -> Any:
    return convert(value)


@frozen(eq=False)
class _Wrong:
    """What is wrong with a mapping: the flaws, the fields they touch, and for misspelt fields the key that is there."""

    flaws: Sequence[Flaw]
    keys: frozenset[str]
    meant: Mapping[str, Any]

    @classmethod
    def of(cls, errors: Iterable[Exception], kind: type[Any], raw: Mapping[Any, Any]) -> "_Wrong":
        known = [f.name for f in attrs.fields(kind)]
        unknown = {key: closest(key, known) for key in raw if key not in known}
        meant = {guess: key for key, guess in unknown.items() if guess is not None and guess not in raw}
        flaws = [Flaw("", _unknown(key, guess), "unknown-key") for key, guess in unknown.items()]
        for error in errors:
            if isinstance(error, InputError):
                flaws += error.flaws
            elif isinstance(error, KeyError):
                flaws += [Flaw("", f"{key!r} is missing: write it", "missing") for key in error.args if key not in meant]
            elif not isinstance(error, ForbiddenExtraKeysError):
                raise error
        missing = {key for error in errors if isinstance(error, KeyError) for key in error.args}
        return cls(flaws, frozenset({*_touched(flaws), *missing, *meant}), meant)


def _stand_in(kind: Any, raw: Mapping[Any, Any], wrong: Collection[str]) -> tuple[Any | None, Sequence[Flaw]]:
    """What the entry says, without what is wrong, so that it can be told what else is; None where that matters too much."""
    if kind not in _REFERRED or not _REFERRED[kind].isdisjoint(wrong):
        return None, ()
    right = {f.name: raw[f.name] for f in attrs.fields(kind) if f.name in raw and f.name not in wrong}
    if "memory" in wrong:
        right["memory"] = MAX_MEMORY
    if "must" in wrong:
        right["must"] = False
    try:
        return kind(**right), ()
    except InputError as error:  # of fields that are right, but not together
        thing, _ = _stand_in(kind, raw, {*wrong, *_touched(error.flaws)})
        return thing, error.flaws


def _touched(flaws: Iterable[Flaw]) -> set[str]:
    return {_STEP.findall(flaw.place)[0][1] for flaw in flaws if flaw.place}


def _unknown(key: object, guess: str | None) -> str:
    return f"unknown key {short(key)}{did_you_mean(guess) or ': leave it out, or move it into meta'}"


def _position(raw: Any, place: str) -> list[int]:
    """Where a place is in the document, to sort by."""
    position, part = [], raw
    for index, key in _STEP.findall(place):
        if index and isinstance(part, list | tuple):
            position.append(int(index))
            part = part[int(index)] if int(index) < len(part) else None
        elif isinstance(part, Mapping):
            position.append(list(part).index(key) if key in part else len(part))
            part = part.get(key)
    return position


def plain_columns(nodes: Sequence[Any], vms: Sequence[Any]) -> tuple[NodeColumns, VMColumns] | None:
    """The columns of entries that say no more than name, memory, node and ``running: true``; no object is made for any.

    Parameters
    ----------
    nodes, vms
        As a document has them, unchecked.

    Returns
    -------
    tuple of NodeColumns and VMColumns, or None
        None where an entry says more, and where something is wrong: reading them one by one tells what.
    """
    try:
        if not (all(map(_is_plain_node, nodes)) and all(map(_is_plain_vm, vms))):
            return None
        hosts = NodeColumns.of(_memory(nodes), _names(nodes))
        index: dict[str | None, int] = {name: i for i, name in enumerate(hosts.names)}
        index[None] = -1
        where = [index[vm.get("node")] for vm in vms]
        return hosts, VMColumns.of(_memory(vms), where, _names(vms), hosts.names)
    except (KeyError, TypeError, ValueError):  # a key that is missing, a value that is wrong, a node that is unknown
        return None


def _is_plain_node(node: object) -> bool:
    return isinstance(node, dict) and len(node) == 2  # the two that are read


def _is_plain_vm(vm: object) -> bool:
    return isinstance(vm, dict) and len(vm) == 2 + ("node" in vm) + ("running" in vm) and vm.get("running", True) is True


def _names(entries: Sequence[Any]) -> list[str]:
    return [entry["name"] for entry in entries]


def _memory(entries: Sequence[Any]) -> list[int]:
    return [parse_memory(entry["memory"]) for entry in entries]
