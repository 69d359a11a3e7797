"""Files to text, and text to plain values: JSON, and the unambiguous part of YAML."""

import codecs
import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

from attrs import frozen

from vmplace.model.converters import member_place
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short

__all__ = ["Form", "Parsed", "decode", "parse", "read_text", "uncollected"]

Form = Literal["json", "yaml"]

_MOST_DIGITS = 4000
_MOST_LEVELS = 500
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_YAML_TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))}
_AS_TEXT = {None, "tag:yaml.org,2002:str"}


def _spelt(value: bool | None, *words: str) -> dict[str, float | bool | None]:
    return {spelt: value for word in words for spelt in (word, word.upper(), word.capitalize())}


_WORDS: Mapping[str, float | bool | None] = {
    **_spelt(True, "yes", "true", "on"),
    **_spelt(False, "no", "false", "off"),
    **_spelt(None, "", "~", "null"),
    **{f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@frozen
class Parsed:
    """The value that a text stands for, and the keys that it gives twice."""

    value: Any
    repeated: tuple[Flaw, ...] = ()


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file, or of stdin for ``-``.

    Raises
    ------
    InputError
        If it is not UTF-8, or no text, or stdin is closed.
    OSError
        If it cannot be read.
    """
    if os.fspath(path) == "-":
        return decode(_stdin())
    with open(path, "rb") as file:
        return decode(file.read())


def _stdin() -> str | bytes:
    if sys.stdin is None:
        raise InputError([Flaw("", "stdin is closed: give a file", "syntax")])
    content: str | bytes = getattr(sys.stdin, "buffer", sys.stdin).read()
    return content


def decode(content: str | bytes) -> str:
    """The text of a file, without a byte order mark.

    Raises
    ------
    InputError
        If it is not UTF-8, or no text.
    """
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[1:2] == b"\0" or content[:1] == b"\0":
        raise InputError([Flaw("", "is UTF-16 or no text at all: save it as UTF-8", "syntax")])
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        readable = error.object[: error.start].decode()
        _refuse(readable, len(readable), f"the byte {error.object[error.start]:#04x} is not UTF-8: save the file as UTF-8")
    if "\0" in text:
        _refuse(text, text.index("\0"), "a NUL byte: save the file as plain text")
    return text


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the cyclic garbage collector rest: of a million values in the making none is garbage, and to look takes longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@uncollected()
def parse(text: str, form: Form | None = None) -> Parsed:
    """The value of a text in JSON or YAML; without a form: JSON, else YAML.

    Raises
    ------
    InputError
        With the line and the column of what is wrong.
    """
    if not text.strip():
        raise InputError([Flaw("", "is empty: write a document with nodes and vms", "missing")])
    if form is not None:
        return _from_json(text) if form == "json" else _from_yaml(text)
    try:
        return _from_json(text)
    except InputError as not_json:
        try:
            return _from_yaml(text)
        except InputError:
            if text.lstrip().startswith(("{", "[")):
                raise not_json from None
            raise


def _refuse(text: str, index: int, message: str) -> NoReturn:
    line = text.count("\n", 0, index) + 1
    raise InputError([Flaw(f"line {line}, column {index - text.rfind(chr(10), 0, index)}", message, "syntax")])


class _Repeated(dict[Any, Any]):
    """A mapping that was written with some keys twice."""

    twice: tuple[Any, ...]


def _mapping(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated, seen = _Repeated(members), set()
    repeated.twice = tuple(dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return repeated


def _parsed(value: Any, some_repeated: bool) -> Parsed:
    return Parsed(value, tuple(_repeated_keys(value)) if some_repeated else ())


def _repeated_keys(value: Any) -> Iterator[Flaw]:
    left = [("", value)]
    while left:  # a loop, as the value may be nested deeper than calls can be
        place, part = left.pop()
        if isinstance(part, _Repeated):
            for key in part.twice:
                yield Flaw(member_place(place, key), "stands twice: keep one", "duplicate")
        if isinstance(part, dict):
            left.extend((member_place(place, key), inner) for key, inner in part.items())
        elif isinstance(part, list):
            left.extend((f"{place}[{index}]", inner) for index, inner in enumerate(part))


class _TooLong:
    """A whole number with too many digits to be converted."""

    def __init__(self, text: str) -> None:
        self._digits = len(text.lstrip("+-"))

    def __repr__(self) -> str:
        return f"<a number of {self._digits} digits>"


def _whole(text: str) -> int | _TooLong:
    return int(text) if len(text) <= _MOST_DIGITS else _TooLong(text)


def _from_json(text: str) -> Parsed:
    some_repeated = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal some_repeated
        mapping = _mapping(pairs)
        some_repeated = some_repeated or isinstance(mapping, _Repeated)
        return mapping

    try:
        value = _json_value(text, members)
    except json.JSONDecodeError as error:
        _refuse(text, error.pos, _not_json(text, error))
    except RecursionError:
        raise InputError([Flaw("", "is nested too deeply: make it flatter", "syntax")]) from None
    return _parsed(value, some_repeated)


def _json_value(text: str, members: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    try:
        return json.loads(text, object_pairs_hook=members)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of more digits than Python converts
        return json.loads(text, object_pairs_hook=members, parse_int=_whole)


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip()):
        return "not JSON: it ends before it is complete"
    said = error.msg[0].lower() + error.msg[1:]
    if error.pos == len(text) - len(text.lstrip()):
        return f"not JSON: {said}; if it is YAML, name the file .yaml"
    return f"not JSON: {said}"


def _from_yaml(text: str) -> Parsed:
    try:
        import yaml
    except ImportError:
        raise InputError([Flaw("", "YAML needs pyyaml: pip install 'vmplace[yaml]'", "dependency")]) from None
    tree = _Tree()
    takers = tree.takers(yaml)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            takers[type(event)](event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError([Flaw(place, f"not YAML: {error.problem or error.context}", "syntax")]) from None
    except yaml.reader.ReaderError as error:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        _refuse(text, odd.start() if odd else 0, f"not YAML: {error.reason}")
    return tree.parsed()


class _Tree:
    """Plain values from the events of PyYAML's parser.

    A loader of PyYAML takes ten times as long, follows aliases (a few lines of them can stand for gigabytes), drops
    the first of two equal keys, and reads 010 as 8 and 1:30 as 90.
    """

    def __init__(self) -> None:
        self._open: list[list[Any]] = [[]]
        self._starts: list[Any] = []
        self._plain: dict[str, Any] = {}
        self._some_repeated = False

    def takers(self, yaml: Any) -> Mapping[type, Callable[[Any], None]]:
        """What to call with each event."""
        return {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.SequenceStartEvent: self._start,
            yaml.SequenceEndEvent: self._end_list,
            yaml.MappingStartEvent: self._start,
            yaml.MappingEndEvent: self._end_mapping,
            yaml.DocumentStartEvent: self._document,
            yaml.DocumentEndEvent: self._pass,
            yaml.StreamStartEvent: self._pass,
            yaml.StreamEndEvent: self._pass,
        }

    def parsed(self) -> Parsed:
        (value,) = self._open[0] or [None]
        return _parsed(value, self._some_repeated)

    def _scalar(self, event: Any) -> None:
        value = event.value
        if event.tag is not None:
            self._check_tag(event)
        if event.implicit[0] or event.tag not in _AS_TEXT:
            if value not in self._plain:
                self._plain[value] = _plain(value)
            value = self._plain[value]
        self._open[-1].append(value)

    def _start(self, event: Any) -> None:
        self._check_tag(event)
        if len(self._open) > _MOST_LEVELS:  # the parser takes quadratic time
            _refuse_event(event, f"is nested deeper than {_MOST_LEVELS} levels: make it flatter")
        self._starts.append(event)
        self._open.append([])

    def _end_list(self, _: Any) -> None:
        self._starts.pop()
        members = self._open.pop()
        self._open[-1].append(members)

    def _end_mapping(self, _: Any) -> None:
        start, members = self._starts.pop(), self._open.pop()
        keys = members[::2]
        if any(isinstance(key, list | dict) for key in keys):
            _refuse_event(start, "a mapping with a list or a mapping as a key: write text before the colon")
        mapping = _mapping(list(zip(keys, members[1::2], strict=True)))
        self._some_repeated = self._some_repeated or isinstance(mapping, _Repeated)
        self._open[-1].append(mapping)

    def _pass(self, _: Any) -> None:
        """Nothing to take."""

    def _alias(self, event: Any) -> None:
        _refuse_event(event, f"*{event.anchor} is an alias: write out what it stands for")

    def _document(self, event: Any) -> None:
        if self._open[0]:
            _refuse_event(event, "a second document begins: keep one to a file")

    def _check_tag(self, event: Any) -> None:
        if event.tag not in _YAML_TAGS:
            _refuse_event(event, f"the tag {short(event.tag)} is refused: write a plain value")


def _refuse_event(event: Any, message: str) -> NoReturn:
    mark = event.start_mark
    raise InputError([Flaw(f"line {mark.line + 1}, column {mark.column + 1}", message, "syntax")])


def _plain(text: str) -> Any:
    """What a scalar without quotes stands for, where YAML 1.1 and 1.2 agree; else its text."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return _whole(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
