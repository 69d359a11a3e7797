"""How long each judge takes, on clusters of a hundred nodes and more."""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import vmplace
from benchmarks.commands import run_check
from benchmarks.drawn import placed_by
from benchmarks.judged import Judge, judges
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster

__all__ = ["COLUMNS", "rows"]

COLUMNS = ("nodes", "VMs", "placed by", "judge", "says", "seconds", "CPU s", "by check", "by the command")

_QUICK = 1.0
"""Seconds; what takes longer runs once."""

_COMMAND = "vmplace check FILE"

_SAID = {True: "safe", False: "unsafe", None: "no verdict"}


def rows(sizes: tuple[int, ...], *, seed: int, time_limit: float, repeat: int, folder: Path) -> Iterator[tuple[object, ...]]:
    """For each cluster a row for each judge, with its CPU seconds divided by those of `check` and of `vmplace check FILE`;
    what was ended takes more than so many times as long.
    """
    for nodes in sizes:
        for placed in ("greedy", "worst-fit"):
            cluster = placed_by(placed, nodes=nodes, node_memory="256GiB", fill=0.9, profile="flavors", seed=seed)
            for told in _race(cluster, time_limit, repeat, folder):
                yield nodes, len(cluster.vms), placed, *told


def _race(cluster: Cluster, time_limit: float, repeat: int, folder: Path) -> Iterator[tuple[object, ...]]:
    path = folder / "cluster.json"
    vmplace.dump(cluster, path)
    known: dict[str, Judge] = {_COMMAND: partial(_by_command, path), **judges(folder)}
    runs = {name: _median(partial(judge, cluster, time_limit), repeat) for name, judge in known.items()}
    check, command = runs["vmplace check"][2], runs[_COMMAND][2]
    for name, (says, seconds, cpu) in runs.items():
        at_least = "> " if says == _SAID[None] else ""
        yield name, says, f"{seconds:.6f}", f"{cpu:.6f}", at_least + _times(cpu / check), at_least + _times(cpu / command)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×" if ratio >= 0.01 else "< 0.01 ×"


def _median(judge: Callable[[], tuple[bool | None, Clock]], repeat: int) -> tuple[str, float, float]:
    verdict, first = judge()
    clocks = [first, *(judge()[1] for _ in range(repeat - 1 if first.cpu < _QUICK else 0))]
    return _SAID[verdict], statistics.median(clock.seconds for clock in clocks), statistics.median(clock.cpu for clock in clocks)


def _by_command(path: Path, _: Cluster, time_limit: float) -> tuple[bool | None, Clock]:
    ran = run_check(path, time_limit=time_limit)
    if ran.status in (0, 1):
        return ran.status == 0, ran.clock
    raise RuntimeError(f"vmplace check: exit status {ran.status}: {ran.errors.strip()}")
