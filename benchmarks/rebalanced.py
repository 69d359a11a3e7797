"""A placed cluster balanced anew: is it N+1 then, how well is it balanced, what did it take?"""

import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from attrs import Factory, define

import vmplace
from benchmarks import ganeti
from benchmarks.drawn import drawn, free_memory, node_of, placed_at, sizes
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.results.placement import Solution
from vmplace.results.values import Status

__all__ = ["COLUMNS", "Balancer", "balancers", "rows"]

COLUMNS = (
    "who", "safe before", "safe after", "unsafe before", "safe after", "no answer",
    "highest share", "GiB moved", "median s", "most s",
)  # fmt: skip

_REPAIR_LIMIT = 5.0
"""Seconds; it returns the best that it has by then."""

Balancer = Callable[[Cluster, float], tuple[Cluster | None, float]]
"""Of a cluster and a time limit: what it becomes (None: no answer), and the seconds."""


def balancers(folder: Path) -> Mapping[str, Balancer]:
    """All that can balance here; Ganeti's documents are written to the folder."""
    theirs = ganeti.variants("hbal", partial(_hbal, folder / "cluster.data"), "", "--ignore-dynu")
    return {"vmplace place": _place, "vmplace repair": _repair} | theirs


def _place(cluster: Cluster, time_limit: float) -> tuple[Cluster | None, float]:
    with Clock() as clock:
        solution = vmplace.place(cluster, move_running=True, method="greedy", time_limit=time_limit)
    return _after(solution), clock.seconds


def _repair(cluster: Cluster, time_limit: float) -> tuple[Cluster | None, float]:
    with Clock() as clock:
        solution = vmplace.repair(cluster, time_limit=min(time_limit, _REPAIR_LIMIT))
    return _after(solution), clock.seconds


def _after(solution: Solution) -> Cluster | None:
    return None if solution.node_of is None else solution.to_document()


def _hbal(path: Path, options: tuple[str, ...]) -> Balancer:
    def balance(cluster: Cluster, time_limit: float) -> tuple[Cluster | None, float]:
        path.write_text(ganeti.document(cluster))
        ran = ganeti.balance(path, *options, time_limit=time_limit)
        if ran.text() is None:
            return None, ran.clock.seconds
        index = {node.name: number for number, node in enumerate(cluster.nodes)}
        hosts = ganeti.balanced(path)
        return placed_at(cluster, [index[hosts[vm.name]] for vm in cluster.vms]), ran.clock.seconds

    return balance


@define
class _Tally:
    safe: list[tuple[bool, bool]] = Factory(list)
    shares: list[float] = Factory(list)
    moved: list[float] = Factory(list)
    seconds: list[float] = Factory(list)

    def add(self, before: Cluster, after: Cluster | None, seconds: float) -> None:
        self.seconds.append(seconds)
        if after is not None:
            self.safe.append((_is_safe(before), _is_safe(after)))
            self.shares.append(_highest_share(after))
            self.moved.append(_migrated(before, after))

    def row(self) -> tuple[object, ...]:
        of = {truth: [after for before, after in self.safe if before is truth] for truth in (True, False)}
        told = (len(of[True]), sum(of[True]), len(of[False]), sum(of[False]), len(self.seconds) - len(self.safe))
        means = (f"{statistics.fmean(values):.3f}" if values else "-" for values in (self.shares, self.moved))
        return *told, *means, statistics.median(self.seconds), max(self.seconds)


def _is_safe(cluster: Cluster) -> bool:
    return vmplace.check(cluster).status is Status.SAFE


def _highest_share(cluster: Cluster) -> float:
    usable = np.array([node.usable for node in cluster.nodes])
    return float((1 - free_memory(cluster) / usable).max())


def _migrated(before: Cluster, after: Cluster) -> float:
    """GiB."""
    moved = node_of(before) != node_of(after)
    return int(sizes(before)[moved].sum()) / 1024


def rows(number: int, *, most_nodes: int, seed: int, time_limit: float, folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each balancer."""
    known = balancers(folder)
    tallies = {name: _Tally() for name in known}
    for cluster in drawn(number, most_nodes=most_nodes, seed=seed):
        for name, balance in known.items():
            tallies[name].add(cluster, *balance(cluster, time_limit))
    for name, tally in tallies.items():
        yield name, *tally.row()
