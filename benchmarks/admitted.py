"""One more VM for a safe cluster: who finds a node that keeps it safe, who refuses, who breaks N+1."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from attrs import Factory, define

import vmplace
from benchmarks import ganeti
from benchmarks.drawn import drawn, free_memory, joined
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.results.values import Status

__all__ = ["COLUMNS", "REFUSED", "Scheduler", "rows", "safe_nodes", "schedulers"]

COLUMNS = (
    "who", "could stay safe", "kept safe", "refused", "broke N+1",
    "could not", "refused", "broke N+1", "no answer", "median s", "most s",
)  # fmt: skip

REFUSED = -1

Scheduler = Callable[[Cluster, int, float], tuple[int | None, float]]
"""Of a cluster, the new VM's memory and a time limit: the node by index, REFUSED, or None (no answer), and the seconds."""


def schedulers(folder: Path) -> Mapping[str, Scheduler]:
    """All that can choose here; Ganeti's documents are written to the folder."""
    theirs = ganeti.variants("hail", partial(_hail, folder), "", "--ignore-dynu", "--no-capacity-checks")
    return {"vmplace place": _place} | theirs | {"emptiest node": _emptiest}


def _place(cluster: Cluster, memory: int, time_limit: float) -> tuple[int | None, float]:
    with Clock() as clock:
        solution = vmplace.place(joined(cluster, memory=memory), time_limit=time_limit)
    if solution.node_of is not None:
        return int(solution.node_of[-1]), clock.seconds
    return REFUSED if solution.status is Status.INFEASIBLE else None, clock.seconds


def _hail(folder: Path, options: tuple[str, ...]) -> Scheduler:
    def schedule(cluster: Cluster, memory: int, time_limit: float) -> tuple[int | None, float]:
        path, wanted = folder / "cluster.data", folder / "request.json"
        path.write_text(ganeti.document(cluster))
        wanted.write_text(ganeti.request("new", memory))
        ran = ganeti.allocate(path, wanted, *options, time_limit=time_limit)
        said = ran.text()
        node = None if said is None else ganeti.chosen(said)
        return (None if said is None else REFUSED) if node is None else _index(cluster, node), ran.clock.seconds

    return schedule


def _index(cluster: Cluster, name: str) -> int:
    return [node.name for node in cluster.nodes].index(name)


def _emptiest(cluster: Cluster, memory: int, _: float) -> tuple[int | None, float]:
    with Clock() as clock:
        free = free_memory(cluster)
        node = int(free.argmax())
    return node if free[node] >= memory else REFUSED, clock.seconds


def safe_nodes(cluster: Cluster, memory: int) -> frozenset[int]:
    """The nodes, by index, on which a new VM leaves the cluster safe."""
    roomy = np.flatnonzero(free_memory(cluster) >= memory).tolist()
    checked = ((node, vmplace.check(joined(cluster, memory=memory, node=node)).status) for node in roomy)
    return frozenset(node for node, status in checked if status is Status.SAFE)


@define
class _Tally:
    answers: Counter[tuple[bool, str]] = Factory(Counter)
    seconds: list[float] = Factory(list)

    def add(self, safe: frozenset[int], chosen: int | None, seconds: float) -> None:
        words = {None: "none", REFUSED: "refused"} | dict.fromkeys(safe, "safe")
        self.answers[bool(safe), words.get(chosen, "broke")] += 1
        self.seconds.append(seconds)

    def row(self) -> tuple[object, ...]:
        could = (self._requests(True), *(self.answers[True, word] for word in ("safe", "refused", "broke")))
        could_not = (self._requests(False), *(self.answers[False, word] for word in ("refused", "broke")))
        silent = self.answers[True, "none"] + self.answers[False, "none"]
        return *could, *could_not, silent, statistics.median(self.seconds), max(self.seconds)

    def _requests(self, could: bool) -> int:
        return sum(count for (real, _), count in self.answers.items() if real is could)


def rows(number: int, *, most_nodes: int, seed: int, time_limit: float, folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each scheduler: one request, of a size that the cluster has, for each of the clusters that is safe."""
    random, known = Random(seed), schedulers(folder)
    tallies = {name: _Tally() for name in known}
    for cluster in drawn(number, most_nodes=most_nodes, seed=seed):
        memory = random.choice(sorted({vm.memory for vm in cluster.vms}))
        if vmplace.check(cluster).status is Status.SAFE:
            safe = safe_nodes(cluster, memory)
            for name, schedule in known.items():
                tallies[name].add(safe, *schedule(cluster, memory, time_limit))
    for name, tally in tallies.items():
        yield name, *tally.row()
