"""How commands end: the exit statuses, and the one-line errors that stand for bad input."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vmplace.model.errors import Flaw, InputError

__all__ = ["BAD_INPUT", "DONE", "NOT_SAFE", "OF_VERDICT", "UNKNOWN", "RefusedError", "blaming", "refuse_output", "touching"]

DONE, NOT_SAFE, BAD_INPUT, UNKNOWN = range(4)
OF_VERDICT = {"safe": DONE, "unsafe": NOT_SAFE, "unknown": UNKNOWN}

_MOST_FLAWS = 20


class RefusedError(Exception):
    """The input cannot be used; one line for each reason."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


@contextmanager
def blaming(source: str, options: Mapping[str, object] | None = None) -> Iterator[None]:
    """What is wrong with the source, or with an option, becomes lines that say so."""
    shown = "stdin" if source == "-" else source
    try:
        yield
    except InputError as error:
        lines = [_flaw_line(shown, flaw, options or {}) for flaw in error.flaws[:_MOST_FLAWS]]
        more = len(error.flaws) - len(lines)
        raise RefusedError(*lines, *([f"{shown}: ... and {more} more"] if more else [])) from None


def _flaw_line(source: str, flaw: Flaw, options: Mapping[str, object]) -> str:
    return f"--{flaw.place.replace('_', '-')}: {flaw.message}" if flaw.place in options else f"{source}: {flaw}"


@contextmanager
def touching(path: str) -> Iterator[None]:
    """What the system says of reading or writing a file becomes a line that names it."""
    try:
        yield
    except BrokenPipeError:
        return
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None


def refuse_output(path: str | None) -> None:
    """Find out before the work whether its result could be written."""
    if path in (None, "-"):
        return
    assert path is not None
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise RefusedError(f"{path}: is a directory: name a file")
    if not os.path.isdir(folder):
        raise RefusedError(f"{path}: {folder} is no directory: make it first")
    special = os.path.exists(path) and not os.path.isfile(path)
    if not os.access(path if special else os.path.dirname(os.path.realpath(path)), os.W_OK):
        raise RefusedError(f"{path}: may not be written: choose another place")
