"""Tables to columns: dataframes of any library, arrow tables, or mappings of columns, named as the keys of a document.

A table is asked for the names of its columns and for `table[name]`, no more, so that no dataframe library is needed here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Any, TypeVar

import attrs
import numpy as np
import numpy.typing as npt
from attrs import frozen

from vmplace.model.arrays import frozen_array, name_flaws
from vmplace.model.columns import IntArray, NodeColumns, VMColumns
from vmplace.model.converters import (
    parse_flag,
    parse_max_vm,
    parse_movable,
    parse_name,
    parse_node_headroom,
    parse_state,
    parse_text,
    parse_whole,
)
from vmplace.model.entities import VM, Node, headroom_flaws, reserve_flaws
from vmplace.model.errors import Flaw, InputError, closest, did_you_mean
from vmplace.model.labels import Labels
from vmplace.model.units import parse_memory, parse_reserve, short

__all__ = ["read_nodes", "read_vms"]

_NEEDED = ("name", "memory")

_T = TypeVar("_T")

Parse = Callable[[Any], Any]


def read_nodes(table: Any) -> NodeColumns:
    """The nodes of a table; raises InputError for what is wrong with it."""
    columns = _read("nodes", table, Node, _NODE)
    nodes = NodeColumns(columns.pop("memory"), columns.pop("name"), **columns)
    flaws: list[Flaw] = []
    if len(nodes) and nodes.usable.min() <= 0:
        first = int(nodes.usable.argmin())
        flaws += reserve_flaws(f"nodes[{first}].reserve", int(nodes.memory[first]), int(nodes.reserve[first]))
    elif any(isinstance(word, int) for word in nodes.headroom.words):
        sizes = zip(nodes.usable.tolist(), nodes.headroom, strict=True)
        over = (headroom_flaws(f"nodes[{i}].headroom", usable, headroom) for i, (usable, headroom) in enumerate(sizes))
        flaws += islice(chain.from_iterable(over), 1)
    if flaws:
        raise InputError(flaws)
    return nodes


def read_vms(table: Any, node_names: Sequence[str]) -> VMColumns:
    """The VMs of a table, on nodes of these names; raises InputError for what is wrong with it."""
    columns = _read("vms", table, VM, {**_VM, "node": _hosts(node_names)})
    memory = columns.pop("memory")
    if "movable" in columns:
        way = columns["movable"]
        columns |= {"movable": way.are(True), "cold": way.are("cold")}
    nowhere = np.broadcast_to(np.int64(-1), len(memory))
    return VMColumns(memory, columns.pop("node", nowhere), columns.pop("name"), node_names, **columns)


@frozen(eq=False)
class _Column:
    """A column of a table, in what Python or numpy holds."""

    section: str
    key: str
    values: Sequence[Any] | npt.NDArray[Any]

    @classmethod
    def of(cls, section: str, table: Any, key: str) -> "_Column":
        place = f"{section}.{key}"
        try:
            values = table[key]
        except Exception as error:
            raise InputError([Flaw(place, f"cannot be read: {short(str(error))}: give a table in memory")]) from None
        if hasattr(values, "to_pylist") and values.null_count:
            values = values.to_pylist()  # arrow's dictionaries become arrays with words in the place of nulls
        elif isinstance(values, np.ma.MaskedArray):
            values = values.tolist()  # with None for what is masked
        if not isinstance(values, list | tuple):  # numpy would make these alike: [1, "1GiB"] all text
            values = np.asarray(values)
            if values.ndim != 1:
                raise InputError([Flaw(place, "is not a column: give an entry for each row", "wrong-type")])
        return cls(section, key, values)

    def at(self, index: int) -> str:
        """The place of an entry."""
        return f"{self.section}[{index}].{self.key}"

    def plain(self) -> Sequence[Any]:
        """The entries as Python's own values."""
        return self.values.tolist() if isinstance(self.values, np.ndarray) else self.values

    def parsed(self, parse: Parse) -> tuple[list[Any], IntArray]:
        """Each distinct value parsed, in order of appearance, and the index of each entry's."""
        distinct, code = _distinct(self.plain())
        found = []
        for position, value in enumerate(distinct):
            try:
                found.append(parse(value))
            except ValueError as error:
                raise InputError([Flaw(self.at(int((code == position).argmax())), str(error))]) from None
        return found, code

    def array(self, parse: Parse, dtype: type) -> npt.NDArray[Any]:
        """The entries parsed, as an array."""
        if self.is_ready(parse):
            return frozen_array(np.array(self.values, dtype=dtype))
        found, code = self.parsed(parse)
        return frozen_array(np.array(found, dtype=dtype)[code])

    def is_ready(self, parse: Parse) -> bool:
        """Whether it holds whole numbers or flags that are right: those form a range, so that the ends speak for all."""
        values = self.values
        if not isinstance(values, np.ndarray) or not values.size or values.dtype.kind not in "biu":
            return False
        return all(_accepts(parse, end.item()) for end in (values.min(), values.max()))


Reader = Callable[[_Column], Any]


def _distinct(entries: Sequence[Any]) -> tuple[Sequence[Any], IntArray]:
    """The distinct entries in order of appearance, and the index of each entry's."""
    number: dict[Any, int] = defaultdict(count().__next__)
    # The type tells apart what is equal but not the same, as True and 1; text is equal to nothing else.
    mixed = len({*map(type, entries)} - {str, type(None)}) > 1
    keys = zip(map(type, entries), entries, strict=True) if mixed else entries
    try:
        code = np.fromiter(map(number.__getitem__, keys), np.int64, len(entries))
    except TypeError:  # what has no hash is refused when its turn comes
        return entries, np.arange(len(entries))
    return [key[1] for key in number] if mixed else list(number), code


def _accepts(parse: Parse, value: Any) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _given(parse: Parse, *instead: Any) -> Parse:
    """The parser, with what stands in for a null; where nothing does, a null is refused."""

    def parse_given(value: Any) -> Any:
        if not _is_null(value):
            return parse(value)
        if not instead:
            raise ValueError("has no value: fill it in")
        return instead[0]

    return parse_given


def _is_null(value: Any) -> bool:
    """Whether it is None, NaN, or what pandas has for them."""
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):  # pandas.NA, which is neither equal nor not; an array, which is no null
        return not hasattr(value, "__len__")


def _numbers(parse: Parse, dtype: type, *instead: Any) -> Reader:
    given = _given(parse, *instead)
    return lambda column: column.array(given, dtype)


def _words(parse: Parse, *instead: Any) -> Reader:
    def read(column: _Column) -> Labels[Any]:
        words, code = column.parsed(_given(parse, *instead))
        return Labels(tuple(words), frozen_array(code))

    return read


def _movable(column: _Column) -> Labels[Any]:
    if column.is_ready(parse_flag):
        return Labels((False, True), frozen_array(np.array(column.values, dtype=np.int64)))
    return _words(parse_movable)(column)  # type: ignore[no-any-return]


def _hosts(node_names: Sequence[str]) -> Reader:
    index = {name: i for i, name in enumerate(node_names)}

    def parse(value: Any) -> int:
        if _is_null(value):
            return -1
        name = parse_name(value)
        if name not in index:
            raise ValueError(f"{short(name)} is not a node of this cluster: name one, or leave it empty")
        return index[name]

    return lambda column: column.array(parse, np.int64)


def _names(column: _Column) -> tuple[str, ...]:
    entries = column.plain()
    flaw = next(name_flaws(entries, column.at), None)
    if flaw is not None:
        raise InputError([flaw])
    return tuple(map(str.__str__, entries))


_NODE: Mapping[str, Reader] = {
    "name": _names,
    "memory": _numbers(parse_memory, np.int64),
    "reserve": _numbers(parse_reserve, np.int64),
    "state": _words(parse_state),
    "pool": _words(parse_text),
    "headroom": _words(parse_node_headroom, None),
    "max_vm": _words(parse_max_vm),
}
_VM: Mapping[str, Reader] = {
    "name": _names,
    "memory": _numbers(parse_memory, np.int64),
    "running": _numbers(parse_flag, np.bool_),
    "movable": _movable,
    "protected": _numbers(parse_flag, np.bool_),
    "priority": _numbers(parse_whole, np.int64),
    "pool": _words(parse_text),
    "overhead": _numbers(parse_reserve, np.int64),
    "home": _words(parse_name, ""),
    "used": _numbers(parse_reserve, np.int64, -1),
}


def _read(section: str, table: Any, kind: type, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Each column that is there, read."""
    keys = _keys(section, table)
    flaws = list(_key_flaws(section, keys, kind, list(readers)))
    if flaws:
        raise InputError(flaws)
    columns = _each(lambda key: _Column.of(section, table, key), keys)
    rows = len(columns[keys.index("name")].values)
    for column in columns:
        if len(column.values) != rows:
            flaws.append(
                Flaw(f"{section}.{column.key}", f"{len(column.values)} entries for {rows} names: give one for each", "length")
            )
    if flaws:
        raise InputError(flaws)
    return dict(zip(keys, _each(lambda column: readers[column.key](column), columns), strict=True))


def _each(read: Callable[[_T], Any], things: Iterable[_T]) -> list[Any]:
    """What is read of each thing; what is wrong with any of them is told at once."""
    done, flaws = [], list[Flaw]()
    for thing in things:
        try:
            done.append(read(thing))
        except InputError as error:
            flaws += error.flaws
    if flaws:
        raise InputError(flaws)
    return done


def _keys(section: str, table: Any) -> list[Any]:
    """The names of a table's columns."""
    # Of arrow's tables, whose `columns` are no names; of dataframes; of mappings.
    for key in ("column_names", "columns", "keys"):
        if hasattr(type(table), key):
            found = getattr(table, key)
            return list(found() if callable(found) else found)
    raise InputError([Flaw(section, f"{short(table)} is not a table: give a dataframe, or a mapping of columns", "wrong-type")])


def _key_flaws(section: str, keys: list[Any], kind: type, known: list[str]) -> Iterator[Flaw]:
    elsewhere = {field.name for field in attrs.fields(kind)}.difference(known)
    for key in dict.fromkeys(keys):
        if keys.count(key) > 1:
            yield Flaw(section, f"the column {short(key)} stands twice: keep one", "duplicate")
        if key in elsewhere:
            yield Flaw(
                section,
                f"the column {short(key)} cannot be in a table: leave it out, or give each as a {kind.__name__}",
                "unknown-key",
            )
        elif key not in known:
            mend = did_you_mean(closest(str(key), known)) or ": leave it out"
            yield Flaw(section, f"unknown column {short(key)}{mend}", "unknown-key")
    for key in _NEEDED:
        if key not in keys:
            yield Flaw(section, f"the column {key!r} is missing: add it", "missing")
