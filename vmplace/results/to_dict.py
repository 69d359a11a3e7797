"""Results as dictionaries that JSON can hold: one converter, driven by the fields of each class."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar

import attrs
from attrs import field, frozen

__all__ = ["ToDict", "keys_of"]

_SCALARS = {str, int, float, bool, type(None)}


class ToDict:
    """Base of all results: frozen attrs classes, each a dictionary of its fields by their names.

    A subclass whose dictionary is another lists its keys, in order, in `_keys`: each is the name of a field or a property, or
    ``key:name`` where they differ. Those in `_if_known` are left out where they are None.
    """

    __slots__ = ()

    _keys: ClassVar[str] = ""
    _if_known: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON carries it; statuses are words, shares and prices are numbers."""
        return {key: _plain(part) for key, part in self.parts().items()}

    def parts(self) -> dict[str, Any]:
        """Like `to_dict()`, but members of mappings are made one by one, when asked for: for writing without holding all."""
        kind: Any = type(self)
        parts = {key: _part(getattr(self, name)) for key, name in keys_of(kind)}
        for key in self._if_known:
            if parts[key] is None:
                del parts[key]
        return parts


@cache
def keys_of(kind: Any) -> tuple[tuple[str, str], ...]:
    """The keys of a class, each with the attribute it is of."""
    keys = kind._keys.split() or [each.name for each in attrs.fields(kind)]
    return tuple((key.partition(":")[0], key.rpartition(":")[2]) for key in keys)


def _part(value: Any) -> Any:
    """A value as JSON carries it, entries of mappings made when they are asked for."""
    if type(value) in _SCALARS or _is_flat(value):
        return value
    if isinstance(value, ToDict):
        return value.parts()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, Mapping):
        return _Parts(value)
    return list(map(_part, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _is_flat(value: Any) -> bool:
    """Whether a value is a dictionary of nothing but scalars."""
    return type(value) is dict and set(map(type, value.values())) <= _SCALARS


@frozen(eq=False)
class _Parts(Mapping[Any, Any]):
    """A mapping whose values are converted one by one."""

    _values: Mapping[Any, Any] = field(repr=False)

    def __getitem__(self, key: Any) -> Any:
        return _part(self._values[key])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _plain(part: Any) -> Any:
    """A part with dictionaries for mappings, all of it new."""
    if _is_flat(part):
        return dict(part)
    if isinstance(part, Mapping):
        return {key: _plain(value) for key, value in part.items()}
    return list(map(_plain, part)) if isinstance(part, list) else part
