"""Types of arguments: parsers that pass on what has the type wanted, and say what to give instead of anything else."""

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Literal

import numpy as np

from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short

__all__ = [
    "Method",
    "Movable",
    "Order",
    "Parser",
    "Policy",
    "Quorum",
    "Restart",
    "Scope",
    "Score",
    "Sequel",
    "State",
    "a_flag",
    "a_function",
    "a_mapping",
    "a_text",
    "each",
    "listed",
    "name_list",
    "of_type",
    "optional",
    "wrong_type",
]

Method = Literal["auto", "exact", "greedy"]
Score = Literal["tightest", "balance"]
State = Literal["online", "maintenance", "offline"]
Movable = bool | Literal["cold"]
Scope = Literal["node", "domain"]
Sequel = Literal["at-once", "sequential"]
Restart = Literal["planned", "any-order"]
Policy = Literal["first-fit", "most-free", "best-fit", "fewest-vms"]
Order = Literal["largest-first", "priority", "as-listed"]
Quorum = int | Literal["majority"]
"""The words that options and fields take, as types: a type checker finds one that is misspelt."""

Parser = Callable[[Any], Any]
"""Returns the value to pass on; raises InputError for one of the wrong type."""

Kind = type | UnionType | tuple[type, ...]


def wrong_type(value: object, noun: str, mend: str, place: str = "") -> InputError:
    """The error for a value that is not what it should be."""
    return InputError([Flaw(place, f"{short(value)} is not {noun}: {mend}", "wrong-type")])


def of_type(kind: Kind, noun: str, mend: str) -> Parser:
    """A parser that passes on instances of a type."""

    def parse(value: Any) -> Any:
        if not isinstance(value, kind):
            raise wrong_type(value, noun, mend)
        return value

    return parse


def optional(parse: Parser) -> Parser:
    """A parser that passes on None, too."""
    return lambda value: None if value is None else parse(value)


def listed(value: Any) -> tuple[Any, ...] | None:
    """What a list, or any other iterable, holds; None for text, a mapping, and what cannot be iterated."""
    if isinstance(value, str | bytes | Mapping):
        return None
    try:
        return tuple(value)
    except TypeError:
        return None


def each(kind: Kind, noun: str) -> Parser:
    """A parser that passes on a tuple of instances of a type, given any iterable of them."""

    def parse(value: Any) -> tuple[Any, ...]:
        found = listed(value)
        if found is None:
            raise wrong_type(value, f"a list of {noun}s", "give one")
        if not set(map(type, found)) <= {kind}:
            flaws = [
                Flaw(f"[{index}]", f"{short(one)} is not a {noun}: give one", "wrong-type")
                for index, one in enumerate(found)
                if not isinstance(one, kind)
            ]
            if flaws:
                raise InputError(flaws)
        return found

    return parse


_names = each(str, "name")


def name_list(value: Any) -> tuple[str, ...]:
    """A tuple of names; one alone is that of one."""
    found: tuple[str, ...] = (value,) if isinstance(value, str) else _names(value)
    return found


def a_function(value: Any) -> Any:
    """Whatever can be called."""
    if not callable(value):
        raise wrong_type(value, "a function", "give one")
    return value


a_flag = of_type((bool, np.bool_), "true or false", "give True or False")
a_text = of_type(str, "a string", "give one")
a_mapping = of_type(Mapping, "a mapping", "give a dict")
