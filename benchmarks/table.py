"""What every comparison prints: where and with what it ran, and its table."""

import datetime
import os
import platform
import resource
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

__all__ = ["Clock", "show"]

_WIDTH = 140


class Clock:
    """Wall seconds of a with-block, in `seconds`, and CPU seconds of this process and of those that ended in it, in `cpu`."""

    seconds = cpu = 0.0

    def __enter__(self) -> "Clock":
        self._start, self._cpu = perf_counter(), _cpu_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu = perf_counter() - self._start, _cpu_seconds() - self._cpu


def _cpu_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + ended.ru_utime + ended.ru_stime


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, note: str) -> None:
    """Print a table with the machine, the versions and the date, each row as it comes; in a pipe, as Markdown."""
    if Console().is_terminal:
        _draw(title, columns, rows, note)
        return
    click.echo(f"{title}\n\n| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}")
    for row in rows:
        click.echo(f"| {' | '.join(_text(cell) for cell in row)} |")
    click.echo(f"\n{note}\n{_surroundings()}\n")


def _draw(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str) -> None:
    table = Table(title=title, title_justify="left", caption_justify="left", caption=f"{note}\n{_surroundings()}")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    with Live(table, console=Console(width=_WIDTH), auto_refresh=False) as live:
        for row in rows:
            table.add_row(*map(_text, row))
            live.refresh()


def _text(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _surroundings() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("vmplace", "ortools", "numpy"))
    cores = f"{os.cpu_count()} cores of {_processor()}"
    return f"{cores}; Python {platform.python_version()}, {packages}; {datetime.datetime.now(datetime.UTC):%Y-%m-%d}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
