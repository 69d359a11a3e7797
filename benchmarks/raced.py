"""How long each judge takes, on clusters of a hundred nodes and more."""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import vmplace
from benchmarks.commands import run_check
from benchmarks.drawn import placed_by
from benchmarks.judged import judges
from vmplace.cluster import Cluster

__all__ = ["COLUMNS", "rows"]

COLUMNS = ("nodes", "VMs", "placed by", "judge", "says", "seconds", "by check", "by the command")

_QUICK = 1.0
"""Seconds; what takes longer runs once."""

_SAID = {True: "safe", False: "unsafe", None: "no verdict"}


def rows(sizes: tuple[int, ...], *, seed: int, time_limit: float, repeat: int, folder: Path) -> Iterator[tuple[object, ...]]:
    """For each cluster a row for each judge, with its seconds divided by those of `check` and of `vmplace check FILE`."""
    for nodes in sizes:
        for placed in ("greedy", "worst-fit"):
            cluster = placed_by(placed, nodes=nodes, node_memory="256GiB", fill=0.9, profile="flavors", seed=seed)
            for told in _race(cluster, time_limit, repeat, folder):
                yield nodes, len(cluster.vms), placed, *told


def _race(cluster: Cluster, time_limit: float, repeat: int, folder: Path) -> Iterator[tuple[object, ...]]:
    path = folder / "cluster.json"
    vmplace.dump(cluster, path)
    said, command = _median(partial(_by_command, path, time_limit), repeat)
    runs = {name: _median(partial(judge, cluster, time_limit), repeat) for name, judge in judges(folder).items()}
    check = runs["vmplace check"][1]
    for name, (says, seconds) in {"vmplace check FILE": (said, command), **runs}.items():
        yield name, says, f"{seconds:.6f}", _times(seconds / check), _times(seconds / command)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×" if ratio >= 0.01 else "< 0.01 ×"


def _median(judge: Callable[[], tuple[bool | None, float]], repeat: int) -> tuple[str, float]:
    verdict, first = judge()
    others = [judge()[1] for _ in range(repeat - 1)] if first < _QUICK else []
    return _SAID[verdict], statistics.median([first, *others])


def _by_command(path: Path, time_limit: float) -> tuple[bool | None, float]:
    ran = run_check(path, time_limit=time_limit)
    if ran.status in (0, 1):
        return ran.status == 0, ran.seconds
    raise RuntimeError(f"vmplace check: exit status {ran.status}: {ran.errors.strip()}")
