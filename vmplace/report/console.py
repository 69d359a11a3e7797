"""Terminal output: text in pieces, one-line errors, and a status line while a search runs."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from vmplace.model.text import encodable, printable
from vmplace.solvers.budget import Progress

__all__ = ["complain", "emit", "watched"]


def emit(pieces: Iterable[str], stream: TextIO | None) -> None:
    """Write a text to a stream piece by piece, if the stream is open; stop quietly when its reader is gone."""
    if stream is None:
        return
    try:
        for piece in pieces:
            stream.write(encodable(piece, stream.encoding))
        stream.flush()
    except BrokenPipeError:
        return


def complain(text: str) -> None:
    """Write one line to stderr."""
    if sys.stderr is None:
        return
    try:
        print(printable(text, sys.stderr.encoding), file=sys.stderr, flush=True)
    except OSError:
        return


@contextmanager
def watched(describe: Callable[[Progress], str]) -> Iterator[Callable[[Progress], None] | None]:
    """A progress callback that keeps a status line on stderr until the end; None where stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    line = _Line(describe)
    with Console(file=sys.stderr, highlight=False, markup=False, emoji=False).status(line, spinner="line"):
        yield line.hear


class _Line:
    """The latest progress, with the seconds counted on between reports."""

    def __init__(self, describe: Callable[[Progress], str]) -> None:
        self._describe = describe
        self._start = time.monotonic()
        self._text = "starting"

    def hear(self, progress: Progress) -> None:
        self._text = self._describe(progress)

    def __rich__(self) -> str:
        return f"{self._text}, {time.monotonic() - self._start:.0f} s"
