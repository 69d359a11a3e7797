"""Plain values to text: one line to each node, VM and rule, so that two versions of a document compare line by line."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from vmplace.reading import Form

__all__ = ["write"]

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_UNQUOTED = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)\Z)[A-Za-z_][A-Za-z0-9_.-]*|[0-9]+[KMGT]iB")
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 500


def write(document: Mapping[str, Any], form: Form) -> str:
    """The text of a document that holds what JSON can hold.

    Parameters
    ----------
    document
        Its lists of mappings are written with one line to each.
    form
        ``json`` or ``yaml``.
    """
    return _json(document) if form == "json" else _yaml(document)


def _json(document: Mapping[str, Any]) -> str:
    parts = [f"  {_ENCODE(key)}: {_json_part(value)}" for key, value in document.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json_part(value: Any) -> str:
    if not _is_table(value):
        return _ENCODE(value)
    return "[\n    " + ",\n    ".join(map(_ENCODE, value)) + "\n  ]"


def _yaml(document: Mapping[str, Any]) -> str:
    return "".join(f"{_text(key)}:{_yaml_part(value)}\n" for key, value in document.items())


def _yaml_part(value: Any) -> str:
    if not _is_table(value):
        return f" {_flow(value)}"
    return "".join(f"\n- {_flow(entry)}" for entry in value)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


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
