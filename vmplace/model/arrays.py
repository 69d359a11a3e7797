"""Checks of arrays and names that a caller gives: each flaw is reported with the place of its entry."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vmplace.model.converters import parse_name
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import listed, wrong_type
from vmplace.model.labels import Numbered
from vmplace.model.units import MAX_MEMORY, short

__all__ = ["checked_names", "frozen_array", "index_array", "memory_array", "name_flaws", "reserve_array"]


def frozen_array(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, made read-only."""
    values.setflags(write=False)
    return values


def memory_array(place: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Memory in MiB, shape (n_entries,); raises InputError for the first bad entry."""
    return _between(place, values, 1, MAX_MEMORY, f"not within 1 to {MAX_MEMORY} MiB")


def reserve_array(place: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Memory in MiB that may be zero, shape (n_entries,); raises InputError for the first bad entry."""
    return _between(place, values, 0, MAX_MEMORY, f"not within 0 to {MAX_MEMORY} MiB")


def index_array(place: str, values: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    """Indices below a count, or -1, shape (n_entries,); raises InputError for the first bad entry."""
    return _between(place, values, -1, count - 1, f"not a node: write -1, or 0 to {count - 1}")


def checked_names(place: str, names: Iterable[str] | None, count: int, prefix: str) -> Sequence[str]:
    """As many names as there are entries, by default ``prefix0, prefix1, ...``; raises InputError for each bad entry."""
    if names is None:
        return Numbered(prefix, count)
    held = listed(names)
    if held is None:
        raise wrong_type(names, "a list of names", "give one", place)
    given = tuple(str.__str__(name) if isinstance(name, str) else name for name in held)
    flaws = list(name_flaws(given, lambda index: f"{place}[{index}]"))
    if len(given) != count:
        flaws.append(Flaw(place, f"{len(given)} names for {count} entries: give one for each", "length"))
    if flaws:
        raise InputError(flaws)
    return given


def name_flaws(names: Sequence[Any], at: Callable[[int], str]) -> Iterator[Flaw]:
    """What is wrong with each name: it is none, or it is taken.

    Parameters
    ----------
    at
        The place of an entry by its index.
    """
    if _are_names(names):
        return
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        try:
            taken = first.setdefault(parse_name(name), index)
        except ValueError as error:
            yield Flaw(at(index), str(error))
        else:
            if taken != index:
                yield Flaw(at(index), f"{short(name)} is taken by {at(taken)}: give each its own name", "duplicate")


def _are_names(names: Sequence[Any]) -> bool:
    """Whether all are right: a look at them together, as one by one takes several times as long."""
    if not set(map(type, names)) <= {str}:
        return False
    distinct = set(names)
    try:
        return len(distinct) == len(names) and "" not in distinct and b"+" not in "\n".join(names).encode()
    except UnicodeEncodeError:
        return False


def _between(place: str, values: npt.ArrayLike, least: int, most: int, message: str) -> npt.NDArray[np.int64]:
    try:
        column = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InputError([Flaw(place, f"is not a column of numbers: {error}", "wrong-type")]) from None
    if column.ndim != 1:
        raise InputError([Flaw(place, f"has {column.ndim} dimensions: give one", "wrong-type")])
    if column.size and column.dtype.kind not in "iu":
        raise InputError([Flaw(place, f"holds {column.dtype}: give whole numbers", "wrong-type")])
    if column.size and not least <= int(column.min()) <= int(column.max()) <= most:
        index = int(((column < least) | (column > most)).argmax())
        raise InputError([Flaw(f"{place}[{index}]", f"{column[index]} is {message}")])
    return frozen_array(column.astype(np.int64))  # a copy: the caller may change what he gave
