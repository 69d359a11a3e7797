"""Plain values to text: one line to each node, VM and rule, so that two versions of a document compare line by line."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vmplace.formats.parse import Form

__all__ = ["lines"]

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_UNQUOTED = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)\Z)[A-Za-z_][A-Za-z0-9_.-]*|[0-9]+[KMGT]iB")
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 500


def lines(document: Mapping[str, Any], form: Form) -> Iterator[str]:
    """The text of a document that holds what JSON can hold, in pieces of about a line.

    Parameters
    ----------
    document
        Its lists of mappings are written with one line to each; an iterator stands for such a list that is not empty.
    form
        ``json`` or ``yaml``.
    """
    return _json(document) if form == "json" else _yaml(document)


def _json(document: Mapping[str, Any]) -> Iterator[str]:
    before = "{\n"
    for key, value in document.items():
        yield f"{before}  {_ENCODE(key)}: "
        yield from _json_table(value) if _is_table(value) else (_ENCODE(value),)
        before = ",\n"
    yield "\n}\n"


def _json_table(entries: Iterable[Any]) -> Iterator[str]:
    before = "[\n    "
    for entry in entries:
        yield before + _ENCODE(entry)
        before = ",\n    "
    yield "\n  ]"


def _yaml(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        yield f"{_text(key)}:"
        yield from (f"\n- {_flow(entry)}" for entry in value) if _is_table(value) else (f" {_flow(value)}",)
        yield "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Iterator) or (isinstance(value, list) and bool(value) and all(isinstance(e, dict) for e in value))


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    return _FLOW[type(value)](value)


def _flow_mapping(members: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{_key(key)}: {_flow(value)}" for key, value in members.items()) + "}"


def _flow_list(members: list[Any]) -> str:
    return "[" + ", ".join(map(_flow, members)) + "]"


def _key(key: str) -> str:
    text = _text(key)
    return text if len(text) <= _LONGEST_KEY else f"? {text} "  # a parser gives up looking for the colon


def _text(text: str) -> str:
    if _UNQUOTED.fullmatch(text):
        return text
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", _ENCODE(text))


def _number(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return text if not e or "." in mantissa else f"{mantissa}.0e{exponent}"  # YAML 1.1 takes 1e-07 for text


_FLOW: Mapping[type, Callable[[Any], str]] = {
    str: _text,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _number,
    type(None): lambda _: "null",
    dict: _flow_mapping,
    list: _flow_list,
}
