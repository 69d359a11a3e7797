"""Converters and validators of single fields: each returns the value, or raises an error that says how to correct it."""

import datetime
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NoReturn, TypeVar, get_args

import attrs
import numpy as np

from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.model.kinds import Movable, Parser, Scope, State, listed
from vmplace.model.units import parse_memory, parse_reserve, short

__all__ = [
    "member_place",
    "name_places",
    "one_of",
    "parse_count",
    "parse_date",
    "parse_flag",
    "parse_headroom",
    "parse_mapping",
    "parse_max_vm",
    "parse_meta",
    "parse_movable",
    "parse_name",
    "parse_names",
    "parse_node_headroom",
    "parse_optional_memory",
    "parse_optional_name",
    "parse_optional_text",
    "parse_ratios",
    "parse_resources",
    "parse_scope",
    "parse_seconds",
    "parse_soft_resources",
    "parse_state",
    "parse_text",
    "parse_weight",
    "parse_whole",
    "placed",
    "positive_number",
    "within",
]

_Word = TypeVar("_Word")

_WHOLE_LIMIT = 1_000_000_000
_MOST_LEVELS = 100
_MOST_BITS = 10_000


def within(place: str, flaws: Iterable[Flaw]) -> Iterator[Flaw]:
    """The flaws of a part, with their places seen from the whole."""
    for flaw in flaws:
        joint = "." if place and flaw.place and not flaw.place.startswith("[") else ""
        yield Flaw(f"{place}{joint}{flaw.place}", flaw.message, flaw.code)


def member_place(place: str, key: object) -> str:
    """The place of a mapping's member, with the key in brackets where it would not read as one word."""
    if not isinstance(key, str) or not key.replace("-", "_").isidentifier():
        return f"{place}[{short(key)}]"
    return f"{place}.{key}" if place else key


def name_places(_cls: type, attributes: list["attrs.Attribute[Any]"]) -> list["attrs.Attribute[Any]"]:
    """An attrs field transformer: what a field's converter refuses is raised with the field's name as its place."""
    return [
        a if a.converter is None or a.inherited else a.evolve(converter=placed(a.name, a.converter, a.default))  # type: ignore[attr-defined,arg-type]
        for a in attributes
    ]


def placed(place: str, convert: Parser, default: object = attrs.NOTHING) -> Parser:
    """The converter of what stands at a place, which it names where it refuses; the default is converted once."""
    fixed = default is not attrs.NOTHING and not isinstance(default, attrs.Factory)  # type: ignore[arg-type]
    usual = default if fixed else object()
    converted = convert(default) if fixed else None

    def named(value: object) -> Any:
        if value is usual:
            return converted  # most fields of most VMs: worth a look first
        try:
            return convert(value)
        except InputError as error:
            raise InputError(within(place, error.flaws)) from None
        except ValueError as error:
            raise InputError([Flaw(place, str(error))]) from None

    named.__annotations__ = getattr(convert, "__annotations__", {})  # which signatures of attrs classes show
    return named


def parse_text(value: str) -> str:
    """A non-empty string."""
    if not isinstance(value, str):
        raise ValueError(f"{short(value)} is not a string: quote it")
    if not value:
        raise ValueError("'' is empty: write at least one character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{short(value)} holds half a surrogate pair: write valid Unicode") from None
    return str.__str__(value)


def parse_name(value: str) -> str:
    """A non-empty string without "+", which joins the names of nodes that fail together."""
    name = parse_text(value)
    if "+" in name:
        raise ValueError(f"{short(name)} holds '+', which joins names in failure scenarios: leave it out")
    return name


def parse_optional_name(value: str | None) -> str | None:
    """A name, or None."""
    return None if value is None else parse_name(value)


def parse_optional_text(value: str | None) -> str | None:
    """A non-empty string, or None."""
    return None if value is None else parse_text(value)


def parse_optional_memory(value: int | str | None) -> int | None:
    """Memory in MiB, zero allowed, or None."""
    return None if value is None else parse_reserve(value)


def parse_names(value: Iterable[str]) -> tuple[str, ...]:
    """A list of non-empty strings, none twice."""
    texts = listed(value)
    if texts is None:
        raise ValueError(f"{short(value)} is not a list of strings: write a list, even of one")
    try:
        names = tuple(map(parse_text, texts))
    except ValueError:
        raise InputError(_name_flaws(texts)) from None
    if len(set(names)) < len(names):
        raise InputError(_name_flaws(texts))
    return names


def _name_flaws(texts: Iterable[Any]) -> Iterator[Flaw]:
    seen = set()
    for index, text in enumerate(texts):
        try:
            name = parse_text(text)
        except ValueError as error:
            yield Flaw(f"[{index}]", str(error))
        else:
            if name in seen:
                yield Flaw(f"[{index}]", f"{short(name)} is listed twice: list it once", "duplicate")
            seen.add(name)


def parse_flag(value: bool | np.bool_) -> bool:
    """True or False themselves, not values that count as true or false."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{short(value)} is neither true nor false")
    return bool(value)


def parse_movable(value: Movable | np.bool_) -> Movable:
    """True, False, or ``cold``: movable by being stopped and started."""
    if isinstance(value, str) and value == "cold":
        return "cold"
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{short(value)} is not one of true, false, 'cold': write one of these")
    return bool(value)


def parse_seconds(value: float) -> float:
    """A time in seconds, 0 or more; it may be infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= math.inf:
        raise ValueError(f"{short(value)} is not a number of seconds: write 0 or more")
    return float(value)


def parse_whole(value: int) -> int:
    """A whole number of at most nine digits."""
    given: Any = value
    try:
        if isinstance(given, bool):
            raise TypeError
        number = int(given) if isinstance(given, float) and given.is_integer() else operator.index(given)
    except TypeError:
        raise ValueError(f"{short(value)} is not a whole number") from None
    if abs(number) > _WHOLE_LIMIT:
        raise ValueError(f"{short(value)} is beyond {_WHOLE_LIMIT}: write a smaller number")
    return number


def parse_count(value: int) -> int:
    """A whole number of 0 or more."""
    return _whole_from(value, 0)


def parse_weight(value: int) -> int:
    """A whole number of 1 or more."""
    return _whole_from(value, 1)


def one_of(value: _Word, kind: Any) -> _Word:
    """One of the words of a Literal; raises ValueError that lists them."""
    words = get_args(kind)
    if not isinstance(value, str) or value not in words:
        raise ValueError(not_among(value, words))
    return value


def parse_state(value: State) -> State:
    """What a node is doing."""
    return one_of(value, State)


def parse_scope(value: Scope) -> Scope:
    """What fails, or holds VMs apart, as one."""
    return one_of(value, Scope)


def positive_number(value: float | Fraction) -> Fraction:
    """A finite number above zero, as the exact fraction of its decimal text."""
    number = _exact(value)
    if number <= 0:
        raise ValueError(f"{short(value)} is not above zero")
    return number


def parse_headroom(value: float | Fraction) -> Fraction:
    """A share from 0 up to, not including, 1, as the exact fraction of its decimal text."""
    share = _exact(value)
    if not 0 <= share < 1:
        raise ValueError(f"{short(value)} is not a share: write a number from 0 to below 1, 0.1 for 10 %")
    return share


def parse_node_headroom(value: float | Fraction | str | None) -> Fraction | int | None:
    """A share from 0 up to, not including, 1 (a Fraction), an amount of memory in MiB (an int), or None."""
    if value is None:
        return None
    if isinstance(value, str):
        return parse_reserve(value)
    share = _exact(value)
    if 0 <= share < 1:
        return share
    if share.denominator != 1 or share < 0:
        raise ValueError(f"{short(value)} is neither a share nor memory: write 0.1 for 10 %, or an amount such as '16GiB'")
    return parse_memory(int(share))


def parse_mapping(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mapping with string keys; its values may be anything."""
    if isinstance(value, dict) and not value:
        return {}  # as most VMs have
    if not isinstance(value, Mapping):
        raise ValueError(f"{short(value)} is not a mapping")
    odd = [key for key in value if not isinstance(key, str)]
    if odd:
        raise ValueError(f"the key {short(odd[0])} is not a string: quote it")
    return dict(value)


def parse_meta(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mapping of whatever JSON can hold, copied."""
    mapping = parse_mapping(value)
    if not mapping:
        return mapping
    flaws: list[Flaw] = []
    try:
        copy: Mapping[str, Any] = _plain(mapping, "", flaws, _MOST_LEVELS)
    except _TooDeepError:
        raise ValueError(f"is nested deeper than {_MOST_LEVELS} levels: make it flatter") from None
    if flaws:
        raise InputError(flaws)
    return copy


def parse_resources(value: Mapping[str, int]) -> Mapping[str, int]:
    """Amounts of further resources: names to whole numbers of zero or more."""
    return _values(parse_mapping(value), parse_count, {"memory": _not_further})


def parse_max_vm(value: Mapping[str, int | str]) -> Mapping[str, int]:
    """The most that one VM may have of each resource: memory in MiB, of others a whole number of zero or more."""
    return _values(parse_mapping(value), parse_count, {"memory": parse_memory})


def parse_ratios(value: Mapping[str, float | Fraction]) -> Mapping[str, Fraction]:
    """Overcommit ratios: names of further resources to numbers above zero."""
    mapping = parse_mapping(value)
    if "memory" in mapping:
        raise InputError([Flaw("memory", "reserved memory is never overcommitted: leave it out", "no-effect")])
    return _values(mapping, positive_number)


def parse_soft_resources(value: Iterable[str]) -> tuple[str, ...]:
    """A list of further resources, none twice."""
    names = parse_names(value)
    if "memory" in names:
        place = f"[{names.index('memory')}]"
        raise InputError([Flaw(place, "memory binds in every failover: leave it out", "no-effect")])
    return names


def parse_date(value: str | datetime.date | None) -> str | None:
    """An ISO date (``2026-11-23``, with a time where wanted), or None."""
    if value is None:
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()
    text = parse_text(value)
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{short(text)} is not an ISO date: write it like 2026-11-23") from None
    return text


def _whole_from(value: int, least: int) -> int:
    number = parse_whole(value)
    if number < least:
        raise ValueError(f"{number} is below {least}: write {least} or more")
    return number


def _not_further(value: object) -> NoReturn:
    said = "reserved memory is not one of the further resources: give it as memory instead"
    raise InputError([Flaw("", f"{short(value)}: {said}", "contradiction")])


def _values(mapping: Mapping[str, Any], convert: Parser, special: Mapping[str, Parser] | None = None) -> Mapping[str, Any]:
    converted: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for key, value in mapping.items():
        try:
            converted[parse_text(key)] = ((special or {}).get(key) or convert)(value)
        except InputError as error:
            flaws += within(member_place("", key), error.flaws)
        except ValueError as error:
            flaws.append(Flaw(member_place("", key), str(error)))
    if flaws:
        raise InputError(flaws)
    return converted


def _exact(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | np.integer):
        raise ValueError(f"{short(value)} is not a number")
    number = int(value) if isinstance(value, np.integer) else value
    if not -_WHOLE_LIMIT <= number <= _WHOLE_LIMIT:
        raise ValueError(f"{short(value)} is not a number of sensible size")
    return Fraction(repr(float(number))) if isinstance(number, float) else Fraction(number)


class _TooDeepError(Exception):
    """Nested so deeply that reading or writing it again might fail."""


def _plain(value: object, place: str, flaws: list[Flaw], levels: int) -> Any:
    """A copy in dict, list, str, int, float, bool and None; what is none of these becomes a flaw."""
    try:
        if isinstance(value, Mapping | list | tuple) and not levels:
            raise _TooDeepError
        if isinstance(value, Mapping):
            members = parse_mapping(value).items()
            return {_plain_text(key): _plain(part, member_place(place, key), flaws, levels - 1) for key, part in members}
        if isinstance(value, list | tuple):
            return [_plain(part, f"{place}[{index}]", flaws, levels - 1) for index, part in enumerate(value)]
        return _plain_scalar(value)
    except ValueError as error:
        flaws.append(Flaw(place, str(error)))


def _plain_scalar(value: object) -> str | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int) and value.bit_length() <= _MOST_BITS:
        return int(value)
    if isinstance(value, int | float):
        raise ValueError(f"{short(value)} is not a number that JSON can hold: write null, or text")
    raise ValueError(f"{short(value)} is not a value that JSON can hold: write text, a number, a list or a mapping")


def _plain_text(value: str) -> str:
    return parse_text(value) if value else ""
