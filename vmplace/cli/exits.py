"""Exit statuses of the command line, and the one-line errors for bad input and usage."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from vmplace.model.errors import Flaw, InputError

__all__ = [
    "BAD_INPUT",
    "DONE",
    "MEANINGS",
    "UNKNOWN",
    "RefusedError",
    "answered",
    "blaming",
    "exit_of",
    "refuse_output",
    "touching",
]

DONE, NOT_SAFE, BAD_INPUT, UNKNOWN, SUSPENDED = range(5)
MEANINGS = {
    DONE: "safe, or done; `explain` and `show`: answered, whatever the verdict",
    NOT_SAFE: "unsafe, infeasible or refused",
    BAD_INPUT: "bad input or usage",
    UNKNOWN: "unknown: time ran out, or Ctrl-C came before there was an answer",
    SUSPENDED: "done as asked, but the guarantee does not hold (`place`, `repair` and `drain`)",
}
"""What each exit status says, as the help and the documentation have it."""

_EXIT_OF = {
    **dict.fromkeys(("safe", "optimal", "feasible", "admitted", "confirmed"), DONE),
    **dict.fromkeys(("unsafe", "infeasible", "refused", "refuted"), NOT_SAFE),
    "unknown": UNKNOWN,
}

_MOST_FLAWS = 20


def exit_of(status: str, *, done: bool = False) -> int:
    """The exit status of a command that a result's status decides.

    Parameters
    ----------
    done
        Whether what was asked for has been done: ``unsafe`` then says only that the guarantee does not hold afterwards.
    """
    return SUSPENDED if done and status == "unsafe" else _EXIT_OF[status]


def answered(status: str) -> int:
    """The exit status of a command that has done its work once it could answer."""
    return UNKNOWN if status == "unknown" else DONE


class RefusedError(Exception):
    """The input cannot be used; one line for each reason."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


@contextmanager
def blaming(source: str, options: Mapping[str, object] | None = None) -> Iterator[None]:
    """Turn each flaw of the source, or of an option, into a line that names its place."""
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
    """Turn an error of the operating system into a line that names the file."""
    try:
        yield
    except BrokenPipeError:
        return
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None


def refuse_output(*paths: str | None, as_json: bool = False) -> None:
    """Find out before the work whether each result can be written; with `as_json`, stdout is taken."""
    if as_json and "-" in paths:
        raise click.UsageError("--json and -o - would both write to stdout")
    for path in paths:
        if path not in (None, "-"):
            _refuse_path(path)


def _refuse_path(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise RefusedError(f"{path}: is a directory: name a file")
    if not os.path.isdir(folder):
        raise RefusedError(f"{path}: {folder} is not a directory: create it first")
    special = os.path.exists(path) and not os.path.isfile(path)
    if not os.access(path if special else os.path.dirname(os.path.realpath(path)), os.W_OK):
        raise RefusedError(f"{path}: cannot be written: choose another file")
