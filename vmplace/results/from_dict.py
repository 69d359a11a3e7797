"""Results read back from their dictionaries: strictly, driven by the fields of each class."""

from collections.abc import Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from vmplace.model.converters import member_place
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short
from vmplace.results.to_dict import ToDict, keys_of

__all__ = ["structure"]

_NOUNS: Mapping[Any, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def structure(kind: Any, value: Any, place: str, unknown: list[str]) -> Any:
    """A value of a kind: a scalar, an enum, a class of results, or tuples, mappings and unions of these.

    Parameters
    ----------
    value
        As JSON carries it.
    place
        Where it stands, for errors.
    unknown
        Takes the places of keys that the classes do not know.

    Raises
    ------
    InputError
        (a ValueError) that names the place and the value.
    """
    if kind in _NOUNS:
        return _scalar(kind, value, place)
    origin, members = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        return _one_of(members, value, place, unknown)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            _refuse(place, value, "a list")
        return tuple(structure(members[0], each, f"{place}[{number}]", unknown) for number, each in enumerate(value))
    if not isinstance(kind, type) or issubclass(origin or kind, Mapping):
        return {key: structure(members[1], each, member_place(place, key), unknown) for key, each in _mapping(value, place)}
    if issubclass(kind, Enum):
        return _word(kind, value, place)
    assert issubclass(kind, ToDict)
    return _made(kind, dict(_mapping(value, place)), place, unknown)


def _refuse(place: str, value: Any, noun: str) -> None:
    raise InputError([Flaw(place, f"{short(value)} is not {noun}")])


def _scalar(kind: Any, value: Any, place: str) -> Any:
    whole = type(value) is kind or (kind is float and type(value) is int)
    if not whole:
        _refuse(place, value, _NOUNS[kind])
    return value


def _mapping(value: Any, place: str) -> Any:
    if not isinstance(value, Mapping):
        _refuse(place, value, "a mapping")
    return value.items()


def _one_of(kinds: Sequence[Any], value: Any, place: str, unknown: list[str]) -> Any:
    """A value of the first kind that takes it; the errors are those of the first."""
    if value is None and NoneType in kinds:
        return None
    kinds = [kind for kind in kinds if kind is not NoneType]
    for kind in kinds[1:]:
        try:
            return structure(kind, value, place, [])
        except InputError:
            continue
    return structure(kinds[0], value, place, unknown)


def _word(kind: type[Enum], value: Any, place: str) -> Enum:
    found = next((word for word in kind if word.value == value), None)
    if found is None:
        _refuse(place, value, f"one of {', '.join(str(word.value) for word in kind)}")
    assert found is not None
    return found


def _made(kind: Any, given: dict[str, Any], place: str, unknown: list[str]) -> Any:
    """A value of a class; what has a default may be left out."""
    hints, fields = get_type_hints(kind), {field.name: field for field in attrs.fields(kind)}
    members: dict[str, Any] = {}
    for key, name in keys_of(kind):
        if name not in fields:
            given.pop(key, None)  # derived
        elif key in given:
            members[name] = structure(hints[name], given.pop(key), f"{place}.{key}", unknown)
        elif fields[name].default is attrs.NOTHING:
            raise InputError([Flaw(f"{place}.{key}", "is missing")])
    unknown += [f"{place}.{key}" for key in given]
    return kind(**members)
