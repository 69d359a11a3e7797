"""Streaming JSON: a result as text in pieces of bounded size, with one member of a lazy mapping at a time."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, groupby, islice, repeat
from typing import Any

__all__ = ["pieces"]

_AT_ONCE = 1000
_INDENT = "  "
_SCALARS = {str, int, float, bool, type(None)}

Lines = Iterator[Iterable[str]]
"""The pieces of one line after another; a line may hold many scalars, each on a line of its own."""


def pieces(value: Any, level: int = 0) -> Iterator[str]:
    """The text that ``json.dumps(value, allow_nan=False, indent=2)`` gives, in pieces of bounded size.

    Parameters
    ----------
    value
        What JSON can hold, where any `Mapping` may stand for a dict, and any `Sequence` or iterator for a list. Each is gone
        through once, from first to last.
    level
        By how many levels the lines after the first are indented.

    Raises
    ------
    ValueError
        for a number that is infinite or none; what comes before it has been given by then.
    TypeError
        for what JSON cannot hold.
    """
    if isinstance(value, Mapping):
        return _spread("{}", _members(value.items(), level + 1), level)
    if isinstance(value, Sequence | Iterator) and not isinstance(value, str | bytes):
        return _spread("[]", _entries(value, level + 1), level)
    return iter((_encoder(level)(value),))


def _spread(brackets: str, lines: Lines, level: int) -> Iterator[str]:
    before = brackets[0]
    for line in lines:
        yield before + _line_break(level + 1)
        yield from line
        before = ","
    yield _line_break(level) + brackets[1] if before == "," else brackets


def _members(items: Iterable[tuple[Any, Any]], level: int) -> Lines:
    for scalar, group in groupby(items, lambda item: type(item[1]) in _SCALARS):
        if scalar:
            yield from _scalars(group, dict, level)
        else:
            yield from (chain((_encoder(level)({key: 0})[1:-2],), pieces(value, level)) for key, value in group)


def _entries(items: Iterable[Any], level: int) -> Lines:
    for scalar, group in groupby(items, lambda item: type(item) in _SCALARS):
        if scalar:
            yield from _scalars(group, list, level)
        else:
            yield from map(pieces, group, repeat(level))


def _scalars(items: Iterator[Any], gather: Callable[[Iterator[Any]], Any], level: int) -> Lines:
    while some := gather(islice(items, _AT_ONCE)):
        yield (_encoder(level)(some)[1:-1],)


def _line_break(level: int) -> str:
    return "\n" + _INDENT * level


@cache
def _encoder(level: int) -> Callable[[Any], str]:
    """Encodes a list or a mapping of scalars, one a line, in C, as the encoder that can indent does not."""
    return json.JSONEncoder(allow_nan=False, separators=("," + _line_break(level), ": ")).encode
