"""Tables: tuples of rows that become dataframes of the library that is installed."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import NoneType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_type_hints

from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short
from vmplace.results.to_dict import keys_of

__all__ = ["Library", "Table", "frame"]

Library = Literal["pandas", "polars"]

_T = TypeVar("_T")

_PANDAS = {str: "string", bool: "boolean", int: "Int64", float: "Float64"}
_POLARS = {str: "String", bool: "Boolean", int: "Int64", float: "Float64"}


class Table(tuple[_T, ...]):
    """A tuple of rows; equal to any other tuple of the same rows."""

    __slots__ = ()

    _row: ClassVar[type]

    def to_frame(self, library: Library | None = None) -> Any:
        """Return the rows as a dataframe; columns are named as in JSON, and memory is in MiB.

        Parameters
        ----------
        library
            ``pandas`` or ``polars``; None: the first of these that is installed.

        Raises
        ------
        InputError
            (a ValueError) if the library is another, or is not installed.
        """
        types = get_type_hints(self._row)
        columns = {key: (_plain_type(types[name]), [getattr(row, name) for row in self]) for key, name in keys_of(self._row)}
        return frame(columns, library)


def frame(columns: Mapping[str, tuple[type, Sequence[Any]]], library: Library | None) -> Any:
    """A dataframe of columns, each with the type of its entries, which may be None."""
    name, module = _loaded(library)
    entries = {key: [None if e is None else kind(e) for e in values] for key, (kind, values) in columns.items()}
    kinds = {key: kind for key, (kind, _) in columns.items()}
    if name == "pandas":
        return module.DataFrame({key: module.Series(values, dtype=_PANDAS[kinds[key]]) for key, values in entries.items()})
    return module.DataFrame(entries, schema={key: getattr(module, _POLARS[kind]) for key, kind in kinds.items()})


def _plain_type(hint: Any) -> type:
    """What entries are in a dataframe: text for statuses, and the type itself where they may be None."""
    kind = next((member for member in get_args(hint) if member is not NoneType), hint)
    return str if issubclass(kind, str) else kind


def _loaded(library: Library | None) -> tuple[str, Any]:
    known = get_args(Library)
    if library is not None and library not in known:
        raise InputError([Flaw("library", f"{short(library)} is not one of {', '.join(known)}")])
    for name in known if library is None else (library,):
        try:
            return name, import_module(name)
        except ImportError:
            continue
    missing = "dataframes need pandas or polars" if library is None else f"{library} is not installed"
    raise InputError([Flaw("library", f"{missing}: pip install 'vmplace[{library or known[0]}]'", "dependency")])
