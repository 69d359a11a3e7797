"""Unstructuring (cattrs) and writing: a cluster to the plain values of its document, and these to JSON or YAML text."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs
import cattrs
import numpy as np
from cattrs.gen import make_dict_unstructure_fn, override

from vmplace.formats.parse import Form
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.converters import member_place, within
from vmplace.model.entities import VM, Apart, Members, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import Flaw, InputError
from vmplace.model.guarantee import Guarantee
from vmplace.model.labels import Labels
from vmplace.model.units import format_memory, short

__all__ = ["document_parts", "lines", "to_document"]

_RANK = ("kind", "name", "vms", "nodes", "scope", "must", "weight", "during_failover", "meta").index

Write = Callable[[Any], dict[str, Any]]


def to_document(cluster: Cluster) -> dict[str, Any]:
    """The document of a cluster as plain values: what JSON can hold.

    `from_document` makes an equal cluster of it.

    Raises
    ------
    InputError
        (a ValueError) if a headroom, price or ratio is not a decimal number (1/3).
    """
    return {key: list(part) if isinstance(part, Iterator) else part for key, part in document_parts(cluster).items()}


def document_parts(cluster: Cluster) -> dict[str, Any]:
    """As `to_document`, but VMs, if there are any, come from an iterator, so that they never are all there at once."""
    flaws: list[Flaw] = []
    parts = {
        "date": cluster.date,
        "meta": dict(cluster.meta),
        "nodes": _nodes(cluster.nodes, flaws),
        "vms": _entries(cluster.vms, ("name", "memory", "node", "running")) if cluster.vms else [],
        "rules": list(map(_rule, cluster.rules)),
        "guarantee": _guarantees(cluster, flaws),
        "overcommit": _careful("overcommit", _ratios, cluster.overcommit, flaws),
        "soft_resources": list(cluster.soft_resources),
    }
    if flaws:
        raise InputError(flaws)
    return {"format": 1, **{key: part for key, part in parts.items() if part or key in ("nodes", "vms")}}


def _guarantees(cluster: Cluster, flaws: list[Flaw]) -> dict[str, Any] | list[dict[str, Any]]:
    if not cluster.further:
        return _careful("guarantee", _guarantee, cluster.guarantee, flaws)
    return [_careful(f"guarantee[{i}]", _guarantee, asked, flaws) for i, asked in enumerate(cluster.guarantees)]


def _nodes(nodes: NodeColumns, flaws: list[Flaw]) -> list[dict[str, Any]]:
    for key in ("price", "headroom"):
        for index in _unusual(nodes, key):
            try:
                _HOOKS[key](getattr(nodes, key)[index])
            except InputError as error:
                flaws.extend(within(f"nodes[{index}]", error.flaws))
    return [] if flaws else list(_entries(nodes, ("name", "memory")))


def _entries(columns: NodeColumns | VMColumns, always: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The entries, one at a time: some keys in each, the others where they are not as by default."""
    keys = [*(field.name for field in attrs.fields(columns.kind) if field.name != "meta"), "meta"]
    odd = {key: _written(columns, key, _unusual(columns, key)) for key in keys if key not in always}
    odd = {key: written for key, written in odd.items() if written}
    columns_of_always = (map(_HOOKS.get(key, _same), columns.values(key)) for key in always)
    further = set().union(*odd.values())
    for index, values in enumerate(zip(*columns_of_always, strict=True)):
        entry = dict(zip(always, values, strict=True))
        if index in further:
            entry |= {key: written[index] for key, written in odd.items() if index in written}
        yield entry


def _written(columns: NodeColumns | VMColumns, key: str, rows: list[int]) -> dict[int, Any]:
    """A field of some entries as a document has it, by their index."""
    if not rows:
        return {}
    values = columns.rows(np.array(rows, dtype=np.int64)).values(key)
    return dict(zip(rows, map(_HOOKS.get(key, _same), values), strict=True))


def _same(value: Any) -> Any:
    return value


def _unusual(columns: NodeColumns | VMColumns, key: str) -> list[int]:
    """The entries of which a field is not as by default."""
    column, usual = getattr(columns, key), getattr(_USUAL[columns.kind], key)[0]
    found: list[int] = np.flatnonzero(~column.are(usual) if isinstance(column, Labels) else column != usual).tolist()
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    members = {"kind": rule.kind} | _RULES[type(rule)](rule)
    return {key: members[key] for key in sorted(members, key=_RANK)}


def _careful(place: str, write: Write, part: Any, flaws: list[Flaw]) -> dict[str, Any]:
    try:
        return write(part)
    except InputError as error:
        flaws.extend(within(place, error.flaws))
        return {}


def _ratios(ratios: Mapping[str, Fraction]) -> dict[str, Any]:
    return {key: _decimal(member_place("", key), ratio) for key, ratio in ratios.items()}


def _decimal(place: str, fraction: Fraction) -> float:
    if fraction.denominator == 1:
        return int(fraction)
    number = float(fraction)
    if Fraction(repr(number)) != fraction:
        raise InputError([Flaw(place, f"{short(fraction)} is not a decimal number that can be written: give it as {number!r}")])
    return number


def _members(members: Members) -> list[str] | dict[str, str]:
    return {"tag": members.tag} if isinstance(members, Tag) else list(members)


def _writer(kind: type) -> Write:
    """What writes an instance by cattrs; `meta`, which all have first, comes last."""
    overrides: dict[str, Any] = {
        field.name: override(omit_if_default=True, unstruct_hook=_hook(field)) for field in attrs.fields(kind)
    }
    write: Write = make_dict_unstructure_fn(kind, _CONVERTER, **overrides)

    def ordered(thing: Any) -> dict[str, Any]:
        members = write(thing)
        if "meta" in members:
            members["meta"] = members.pop("meta")
        return members

    return ordered


def _hook(field: "attrs.Attribute[Any]") -> Callable[[Any], Any] | None:
    if field.type is Fraction:
        return lambda fraction: _decimal(field.name, fraction)
    if field.type in (Members, Members | None):
        return _members
    return _HOOKS.get(field.name)


_CONVERTER = cattrs.Converter()
_HOOKS: Mapping[str, Callable[[Any], Any]] = {
    "memory": format_memory,
    "reserve": format_memory,
    "overhead": format_memory,
    "used": format_memory,
    "headroom": lambda headroom: format_memory(headroom) if isinstance(headroom, int) else _decimal("headroom", headroom),
    "max_vm": lambda most: {key: format_memory(amount) if key == "memory" else amount for key, amount in most.items()},
    "tags": sorted,
    "resources": dict,
    "meta": dict,
    "price": lambda price: _decimal("price", price),
}
_USUAL: Mapping[type, NodeColumns | VMColumns] = {Node: NodeColumns.of([1]), VM: VMColumns.of([1], None, None, ())}
"""One entry of each kind in which all is as by default."""
_WRITE_GUARANTEE = _writer(Guarantee)


def _guarantee(asked: Guarantee) -> dict[str, Any]:
    """A guarantee as a document has it."""
    members = _WRITE_GUARANTEE(asked)
    if members.pop("domains", 0):
        members = {"failures": {"domain": asked.domains, "node": asked.failures - asked.domains}, **members} | {
            "failures": {"domain": asked.domains, "node": asked.failures - asked.domains}
        }
    return members


_RULES: Mapping[type, Write] = {kind: _writer(kind) for kind in (Apart, Together, OnlyOn, NotOn)}


_ENCODE, _ASCII = (json.JSONEncoder(ensure_ascii=plain, allow_nan=False).encode for plain in (False, True))


def _encoded(value: Any) -> str:
    """As JSON, with escapes for all that a terminal might obey."""
    return _shown(_ENCODE(value), lambda code: _ASCII(chr(code))[1:-1])


def _shown(text: str, escape: Callable[[int], str]) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else escape(ord(character)) for character in text)


_UNQUOTED = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)\Z)[A-Za-z_][A-Za-z0-9_.-]*|[0-9]+[KMGT]iB")


_LONGEST_KEY = 500


def lines(document: Mapping[str, Any], form: Form) -> Iterator[str]:
    """The text of a document that holds what JSON can hold, in pieces of about a line.

    Parameters
    ----------
    document
        Its lists of mappings are written with one line to each; an iterator stands for such a list that is not empty.
    form
        ``json`` or ``yaml``.
    """
    return _json(document) if form == "json" else _yaml(document)


def _json(document: Mapping[str, Any]) -> Iterator[str]:
    before = "{\n"
    for key, value in document.items():
        yield f"{before}  {_encoded(key)}: "
        yield from _json_table(value) if _is_table(value) else (_encoded(value),)
        before = ",\n"
    yield "\n}\n"


def _json_table(entries: Iterable[Any]) -> Iterator[str]:
    before = "[\n    "
    for entry in entries:
        yield before + _encoded(entry)
        before = ",\n    "
    yield "\n  ]"


def _yaml(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        yield f"{_text(key)}:"
        yield from (f"\n- {_flow(entry)}" for entry in value) if _is_table(value) else (f" {_flow(value)}",)
        yield "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Iterator) or (isinstance(value, list) and bool(value) and all(isinstance(e, dict) for e in value))


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    return _FLOW[type(value)](value)


def _flow_mapping(members: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{_key(key)}: {_flow(value)}" for key, value in members.items()) + "}"


def _flow_list(members: list[Any]) -> str:
    return "[" + ", ".join(map(_flow, members)) + "]"


def _key(key: str) -> str:
    text = _text(key)
    return text if len(text) <= _LONGEST_KEY else f"? {text} "  # a parser gives up looking for the colon


def _text(text: str) -> str:
    if _UNQUOTED.fullmatch(text):
        return text
    return _shown(_ENCODE(text), lambda code: f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _number(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return text if not e or "." in mantissa else f"{mantissa}.0e{exponent}"  # YAML 1.1 takes 1e-07 for text


_FLOW: Mapping[type, Callable[[Any], str]] = {
    str: _text,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _number,
    type(None): lambda _: "null",
    dict: _flow_mapping,
    list: _flow_list,
}
