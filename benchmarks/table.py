"""What every comparison prints: where and with what it ran, and its table."""

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

__all__ = ["Clock", "show"]


class Clock:
    """Wall seconds of a with-block, in `seconds`."""

    seconds = 0.0

    def __enter__(self) -> "Clock":
        self._start = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = perf_counter() - self._start


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, note: str) -> None:
    """Print a table with the machine, the versions and the date."""
    table = Table(title=title, title_justify="left", caption_justify="left", caption=f"{note}\n{_surroundings()}")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=140).print(table)


def _surroundings() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("vmplace", "ortools", "numpy"))
    cores = f"{os.cpu_count()} cores of {_processor()}"
    return f"{cores}; Python {platform.python_version()}, {packages}; {datetime.datetime.now(datetime.UTC):%Y-%m-%d}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
