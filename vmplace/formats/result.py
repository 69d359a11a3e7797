"""A result that ``--json`` printed, read back to be audited."""

from collections.abc import Mapping
from typing import Any

from vmplace.formats.parse import parse, read_text
from vmplace.model.converters import parse_mapping, placed
from vmplace.model.errors import InputError

__all__ = ["read_result"]


def read_result(path: str) -> Mapping[str, Any]:
    """Read a file, or stdin for ``-``.

    Raises
    ------
    InputError
        (a ValueError) if it is not the JSON of a mapping, or gives a key twice.
    OSError
        If it cannot be read.
    """
    parsed = parse(read_text(path), "json")
    if parsed.repeated:
        raise InputError(parsed.repeated)
    members: Mapping[str, Any] = placed("", parse_mapping)(parsed.value)
    return members
