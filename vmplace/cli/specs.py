"""Parsers of nodes, VMs and amounts in options: ``n9:512GiB,reserve=16GiB,domain=rack-a`` or ``3x512GiB``."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Any, TypeVar

from attrs import frozen

from vmplace.model.converters import parse_resources
from vmplace.model.entities import VM, Node
from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.model.units import parse_memory, parse_number, parse_share, short
from vmplace.model.what_if import fresh_names

__all__ = ["Spec", "made", "parse_amount", "parse_bundle", "parse_spec"]

_COUNTED = re.compile(r"(?:(\d{1,6})x)?(.+)", re.ASCII | re.DOTALL)

_AMOUNTS: Mapping[type, Collection[str]] = {Node: ("resources", "max_vm"), VM: ("resources",)}
"""Mappings of amounts by resource, written as `max_vm.vcpu=16`."""

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}

_KEYS: Mapping[type, Collection[str]] = {
    Node: ("memory", "reserve", "state", "domain", "pool", "tag", "price", "headroom"),
    VM: ("memory", "node", "pool", "tag", "priority", "protected", "movable", "evictable", "overhead", "home", "used"),
}

Thing = TypeVar("Thing", Node, VM)


@frozen
class Spec:
    """What one option asks for: a number of nodes or VMs with these fields, and with this name if given."""

    name: str | None
    count: int
    fields: Mapping[str, Any]


def parse_spec(kind: type, *more: str) -> Callable[[str], Spec]:
    """A parser of ``[NAME:][COUNTx]MEMORY[,KEY=VALUE]...`` for nodes or VMs, with `more` keys than these have.

    A key ``resources.vcpu`` is an amount of a further resource, and ``max_vm.memory`` the most that a VM may have of it; ``tag``
    may come several times.
    """
    known = (*_KEYS[kind], *more)
    amounts = _AMOUNTS[kind]

    def parse(text: str) -> Spec:
        head, colon, rest = text.partition(":")
        name = head if colon and "=" not in head and "," not in head else None
        count, fields = 1, dict[str, Any]()
        for part in (text if name is None else rest).split(","):
            key, equals, value = part.partition("=")
            if not equals:
                found = _COUNTED.fullmatch(part)
                key, value, count = "memory", found[2] if found else "", int(found[1] or 1) if found else 1
            group, dot, resource = key.partition(".")
            if key == "tag":
                fields.setdefault("tags", []).append(value)
            elif dot and group in amounts:
                parse_one = _digits if (group, resource) == ("max_vm", "memory") else parse_whole_text
                fields.setdefault(group, {})[resource] = parse_one(value)
            elif key not in known:
                raise ValueError(not_among(key, [*known, *(f"{name}.NAME" for name in amounts)]))
            elif key in fields:
                raise ValueError(f"{key} is given twice in {short(text)}: give it once")
            else:
                fields[key] = _value(key, value)
        if "memory" not in fields:
            raise ValueError(f"{short(text)} gives no memory: write it like 512GiB")
        if not count:
            raise ValueError(f"{short(text)} asks for 0: write 1x or more")
        return Spec(name, count, fields)

    return parse


def made(kind: type[Thing], specs: Iterable[Spec], taken: Collection[str], option: str) -> Iterator[Thing]:
    """The nodes or VMs that options ask for, with unused names: ``new-1``, or ``n9-1`` where several share a name.

    Raises
    ------
    InputError
        (a ValueError) with the option as its place.
    """
    held = set(taken)
    named: set[str | None] = set()
    for spec in specs:
        if spec.name is not None and spec.name in named:
            raise InputError([Flaw(option, f"{short(spec.name)} is given twice: give each its own name", "duplicate")])
        named.add(spec.name)
        names = iter([spec.name]) if spec.name is not None and spec.count == 1 else fresh_names(spec.name or "new", held)
        for name in islice(names, spec.count):
            held.add(name)
            try:
                yield kind(name=name, **spec.fields)
            except InputError as error:
                raise InputError(Flaw(option, f"{short(name)}: {flaw}") for flaw in error.flaws) from None


def parse_bundle(text: str) -> dict[int, int]:
    """How many VMs of each memory (MiB): ``8GiB``, or a mix such as ``3x8GiB+16GiB``."""
    bundle: dict[int, int] = {}
    for part in text.split("+"):
        found = _COUNTED.fullmatch(part.strip())
        if found is None or found[1] == "0":
            raise ValueError(f"{short(text)} is neither memory nor a mix: write it like 8GiB, or 3x8GiB+16GiB")
        memory = parse_memory(_digits(found[2]))
        bundle[memory] = bundle.get(memory, 0) + int(found[1] or 1)
    return bundle


def parse_amount(text: str) -> tuple[str, int]:
    """``vcpu=4``: a further resource and how much of it."""
    name, equals, amount = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{short(text)} is not an amount of a resource: write it like vcpu=4")
    return next(iter(parse_resources({name: parse_whole_text(amount)}).items()))


def parse_whole_text(text: str) -> int:
    """A whole number of 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{short(text)} is not a whole number of 0 or more")
    return int(text[:20])


def _value(key: str, text: str) -> Any:
    if key in ("memory", "reserve", "overhead", "used"):
        return _digits(text)
    if key == "headroom":
        return _share_or_memory(text)
    if key == "movable" and text == "cold":
        return text
    if key in ("protected", "movable", "evictable"):
        if text not in _FLAGS:
            raise ValueError(f"{key}: {short(text)} is neither true nor false")
        return _FLAGS[text]
    if key in ("priority", "most"):
        sign = -1 if text.startswith("-") else 1
        return sign * parse_whole_text(text.removeprefix("-"))
    if key == "price":
        try:
            return parse_number(text)
        except ValueError as error:
            raise ValueError(f"price: {error}") from None
    return text


def _share_or_memory(text: str) -> Fraction | int | str:
    """A share such as 0.1 or 10%, or memory."""
    try:
        return parse_share(text)
    except ValueError:
        return text


def _digits(text: str) -> int | str:
    """Memory as in a document, where digits alone are MiB."""
    return parse_whole_text(text) if text.isascii() and text.isdigit() else text
