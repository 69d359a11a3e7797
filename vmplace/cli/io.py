"""Reading and writing documents, and printing results."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from vmplace.cli.exits import blaming, touching
from vmplace.formats.json_stream import pieces
from vmplace.report.console import emit
from vmplace.solvers.budget import Progress

if TYPE_CHECKING:
    from vmplace.formats.parse import Form
    from vmplace.model.cluster import Cluster
    from vmplace.report.tables import Draw

__all__ = ["drawn", "load", "print_json", "print_result", "progress_text", "save", "save_text"]


def load(path: str) -> "Cluster":
    """The cluster in a file or on stdin; its flaws end the command."""
    from vmplace.formats.document import load

    with blaming(path), touching("stdin" if path == "-" else path):
        return load(path)


def save(cluster: "Cluster", path: str, form: "Form | None" = None) -> None:
    """Write a document to a file, or to stdout."""
    from vmplace.formats.document import dump

    with blaming(path), touching("stdout" if path == "-" else path):
        if path != "-" or sys.stdout is not None:
            dump(cluster, path, form=form)


def save_text(text: Iterable[str], path: str) -> None:
    """Write a text to a file."""
    from vmplace.formats.document import write_file

    with touching(path):
        write_file(path, text)


def progress_text(objective: str) -> Callable[[Progress], str]:
    """A status line that shows values in the unit of an objective."""

    def describe(progress: Progress) -> str:
        from vmplace.report.place import value_text

        parts = [progress.phase]
        if progress.total:
            parts.append(f"{progress.done or 0} of {progress.total}")
        if progress.value is not None:
            parts.append(f"best {value_text(objective, progress.value)}")
        if progress.bound is not None:
            parts.append(f"bound {value_text(objective, progress.bound)}")
        return ", ".join(parts)

    return describe


def print_result(result: Any, draw: "Draw", as_json: bool, everything: bool, *, aside: bool = False) -> None:
    """Print a result as JSON or as a report."""
    if as_json:
        print_json(result.parts())
    else:
        drawn(draw, result, everything, aside=aside)


def drawn(draw: "Draw", result: Any, everything: bool = True, *, aside: bool = False) -> None:
    """Print a report, on stderr if a document takes stdout."""
    from vmplace.report.tables import Screen

    stream = sys.stderr if aside else sys.stdout
    if stream is not None:
        screen = Screen(stream, everything)
        _printed([screen.render(draw(result, screen))], aside=aside)


def _printed(text: Iterable[str], *, aside: bool = False) -> None:
    with touching("stderr" if aside else "stdout"):
        emit(text, sys.stderr if aside else sys.stdout)


_PAGE = 1 << 16


def print_json(parts: Mapping[str, Any]) -> None:
    """Print a mapping whose parts may be lazy: all are made before the first is printed; many of them wait in a file."""
    with SpooledTemporaryFile(max_size=1 << 24, mode="w+", encoding="utf-8") as whole:
        whole.writelines(chain(pieces(parts), "\n"))
        whole.seek(0)
        _printed(iter(partial(whole.read, _PAGE), ""))
