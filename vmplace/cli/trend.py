"""``vmplace trend``: documents of several dates, and what they lead to."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from vmplace.cli.exits import DONE, RefusedError
from vmplace.cli.io import load, print_result
from vmplace.cli.options import all_option, combined, json_option, time_limit_option
from vmplace.model.errors import InputError
from vmplace.report.console import watched

__all__ = ["trend"]

_INDEX = re.compile(r"clusters\[(\d+)\]\.?")


@click.command("trend")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@combined(time_limit_option, json_option, all_option)
def trend(files: Sequence[str], time_limit: float | None, as_json: bool, everything: bool) -> int:
    """Say how dated documents develop, and when N+1 is lost at this growth.

    Each FILE is a document with a date; their order does not matter.
    """
    import vmplace
    from vmplace.report.trend import trend_report

    clusters = [load(file) for file in files]
    limit: dict[str, Any] = {} if time_limit is None else {"time_limit": time_limit}
    with _blaming(files), watched(lambda progress: f"check {progress.done or 0} of {len(files)}") as progress:
        found = vmplace.trend(clusters, progress=progress, **limit)
    print_result(found, trend_report, as_json, everything)
    return DONE


@contextmanager
def _blaming(files: Sequence[str]) -> Iterator[None]:
    """What is wrong with a cluster is told of its file."""
    try:
        yield
    except InputError as error:
        raise RefusedError(*(_line(str(flaw), files) for flaw in error.flaws)) from None


def _line(flaw: str, files: Sequence[str]) -> str:
    place = _INDEX.match(flaw)
    source = f"{files[int(place[1])]}: " if place else ""
    rest = flaw[place.end() :] if place else flaw
    return source + _INDEX.sub(lambda found: files[int(found[1])], rest)
