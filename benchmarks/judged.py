"""How often each judge is wrong: its verdicts on random clusters, against the textbook model."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from attrs import define, field

import vmplace
from benchmarks import ganeti
from benchmarks.drawn import drawn
from benchmarks.policies import POLICIES, Hosts
from benchmarks.table import Clock
from benchmarks.textbook import survives_all
from vmplace.model.cluster import Cluster
from vmplace.results.values import Status

__all__ = ["COLUMNS", "Judge", "Tally", "judges", "rows"]

COLUMNS = ("judge", "safe", "said unsafe", "%", "unsafe", "said safe", "%", "no verdict", "median s", "most s")

_TEXTBOOK_LIMIT = 10.0
"""Seconds for a failure; clusters that stay open are left out."""

Judge = Callable[[Cluster, float], tuple[bool | None, Clock]]
"""Of a cluster and a time limit: whether it says safe (None: no verdict), and how long it took."""


def judges(folder: Path) -> Mapping[str, Judge]:
    """All that can judge here; Ganeti's documents are written to the folder."""
    theirs = ganeti.variants("hcheck", partial(_hcheck, folder / "cluster.data"), "", "--ignore-dynu")
    return {"vmplace check": _check} | theirs | {name: _by_policy(safe) for name, safe in POLICIES.items()}


def _check(cluster: Cluster, time_limit: float) -> tuple[bool | None, Clock]:
    with Clock() as clock:
        status = vmplace.check(cluster, time_limit=time_limit).status
    return None if status is Status.UNKNOWN else status is Status.SAFE, clock


def _hcheck(path: Path, options: tuple[str, ...]) -> Judge:
    def judge(cluster: Cluster, time_limit: float) -> tuple[bool | None, Clock]:
        path.write_text(ganeti.document(cluster))
        ran = ganeti.judge(path, *options, time_limit=time_limit)
        said = ran.text()
        return None if said is None else ganeti.healthy(said), ran.clock

    return judge


def _by_policy(safe: Callable[[Hosts], bool]) -> Judge:
    def judge(cluster: Cluster, _: float) -> tuple[bool | None, Clock]:
        hosts = Hosts.of(cluster)
        with Clock() as clock:
            verdict = safe(hosts)
        return verdict, clock

    return judge


@define
class Tally:
    """One judge's verdicts: how often of a safe and of an unsafe cluster, and its seconds."""

    said: dict[tuple[bool, bool | None], int] = field(factory=dict)
    seconds: list[float] = field(factory=list)

    def add(self, truth: bool, verdict: bool | None, clock: Clock) -> None:
        """Count one."""
        self.said[truth, verdict] = self.said.get((truth, verdict), 0) + 1
        self.seconds.append(clock.seconds)

    def row(self) -> tuple[object, ...]:
        """As the table has it."""
        told = [cell for truth in (True, False) for cell in self._wrong(truth)]
        silent = sum(count for (_, verdict), count in self.said.items() if verdict is None)
        return *told, silent, f"{statistics.median(self.seconds):.6f}", f"{max(self.seconds):.6f}"

    def _wrong(self, truth: bool) -> tuple[int, int, str]:
        of = sum(count for (real, _), count in self.said.items() if real is truth)
        wrong = self.said.get((truth, not truth), 0)
        return of, wrong, f"{100 * wrong / of:.1f}" if of else "-"


def rows(number: int, *, most_nodes: int, seed: int, time_limit: float, folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each judge."""
    known = judges(folder)
    tallies = {name: Tally() for name in known}
    for cluster in drawn(number, most_nodes=most_nodes, seed=seed):
        truth = survives_all(Hosts.of(cluster), time_limit=_TEXTBOOK_LIMIT)
        if truth is not None:
            for name, judge in known.items():
                tallies[name].add(truth, *judge(cluster, time_limit))
    for name, tally in tallies.items():
        yield name, *tally.row()
