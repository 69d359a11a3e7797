"""Arrivals and departures of a trace, replayed against a cluster that is nearly full; and those who decide about them."""

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from time import thread_time

import numpy as np
from attrs import Factory, define, frozen

import vmplace
from benchmarks import ganeti
from benchmarks.data import Arrival
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.entities import VM
from vmplace.results.values import Status

__all__ = ["NODE", "Decider", "Replay", "Stream", "deciders", "filled"]

NODE = 448 * 1024
"""MiB of each node."""

_OFFERED = 1.2
"""What arrives is that much of what the cluster can hold, in the long run."""


@frozen(eq=False)
class Stream:
    """A cluster filled with arrivals, and those that come after.

    Parameters
    ----------
    node_of
        Of those that are there at first, shape (n_first,).
    first, later
        The arrivals.
    gap
        Seconds between two arrivals.
    """

    nodes: int
    node_of: IntArray
    first: Sequence[Arrival]
    later: Sequence[Arrival]
    gap: float

    @property
    def cluster(self) -> Cluster:
        """As it is at first."""
        return _cluster(self.nodes, [arrival.memory for arrival in self.first], self.node_of)


def filled(trace: Sequence[Arrival], *, nodes: int, fill: float, arrivals: int, seed: int) -> Stream:
    """So much of what N+1 allows is filled with VMs of the trace, placed by `vmplace.place` in greedy manner.

    Who is found running at some time is drawn at random in proportion to lifetimes, not to arrivals; what comes later is the
    trace in its order.
    """
    random = Random(seed)
    weights, wanted = list(itertools.accumulate(arrival.lifetime for arrival in trace)), fill * NODE * (nodes - 1)
    first: list[Arrival] = []
    while wanted > 0:
        first.append(random.choices(trace, cum_weights=weights)[0])
        wanted -= first[-1].memory
    start = random.randrange(len(trace))
    later = [trace[(start + i) % len(trace)] for i in range(arrivals)]
    solution = vmplace.place(_cluster(nodes, [arrival.memory for arrival in first]), method="greedy")
    if solution.node_of is None:
        raise ValueError(f"{nodes} nodes cannot be filled to {fill:.0%}: choose less")
    mean = sum(arrival.memory * arrival.lifetime for arrival in trace) / len(trace)
    return Stream(nodes, solution.node_of, first, later, mean / (_OFFERED * NODE * (nodes - 1)))


def _cluster(nodes: int, memory: Sequence[int], node_of: "IntArray | None" = None) -> Cluster:
    return Cluster.from_arrays(node_memory=[NODE] * nodes, vm_memory=memory, vm_node=node_of)


class Decider:
    """Someone who keeps books of a cluster and says where a VM may start: the index of a node, or None.

    Attributes
    ----------
    outside : float
        Seconds of the last decision if it was made by another process; else 0.
    """

    outside = 0.0

    def __init__(self, stream: Stream) -> None:
        memory = np.array([arrival.memory for arrival in stream.first])
        self.free = np.full(stream.nodes, NODE)
        np.subtract.at(self.free, stream.node_of, memory)

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        """Where it may start, and whether that is known."""
        raise NotImplementedError

    def start(self, name: str, memory: int, node: int) -> None:
        """It has started."""
        self.free[node] -= memory

    def stop(self, name: str, memory: int, node: int) -> None:
        """It is gone."""
        self.free[node] += memory


class Vmplace(Decider):
    """`vmplace.Admitter`."""

    def __init__(self, stream: Stream, *, score: str = "tightest", time_limit: float = 1.0) -> None:
        self.admitter = vmplace.Admitter(stream.cluster, score=score, time_limit=time_limit)

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        found = self.admitter.admit(VM(name, memory))
        return None if found.node is None else int(found.node[1:]), found.status is not Status.UNKNOWN

    def start(self, name: str, memory: int, node: int) -> None:
        if not self.admitter.commit(VM(name, memory), f"n{node}").admitted:
            raise ValueError(f"{name} was admitted, but not committed")

    def stop(self, name: str, memory: int, node: int) -> None:
        self.admitter.remove(name)


class FirstFit(Decider):
    """The first node with room."""

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        node = int((self.free >= memory).argmax())
        return (node if self.free[node] >= memory else None), True


class MostFree(Decider):
    """The node with most room."""

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        node = int(self.free.argmax())
        return (node if self.free[node] >= memory else None), True


class Hail(Decider):
    """Ganeti's `hail`, which is told the whole cluster each time; what it takes to write that is not counted."""

    def __init__(self, stream: Stream, *, folder: Path, options: tuple[str, ...]) -> None:
        super().__init__(stream)
        self._folder, self._options, self._nodes = folder, options, stream.nodes
        self.vms = {f"vm{i}": (a.memory, int(n)) for i, (a, n) in enumerate(zip(stream.first, stream.node_of, strict=True))}

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        cluster = _cluster(self._nodes, [m for m, _ in self.vms.values()], np.array([n for _, n in self.vms.values()]))
        path, wanted = self._folder / "cluster.data", self._folder / "request.json"
        path.write_text(ganeti.document(cluster))
        wanted.write_text(ganeti.request("new", memory))
        ran = ganeti.allocate(path, wanted, *self._options, time_limit=60.0)
        self.outside, said = ran.clock.seconds, ran.text()
        node = None if said is None else ganeti.chosen(said)
        return (None if node is None else int(node[1:])), said is not None

    def start(self, name: str, memory: int, node: int) -> None:
        self.vms[name] = memory, node

    def stop(self, name: str, memory: int, node: int) -> None:
        del self.vms[name]


def deciders(folder: Path, *, time_limit: float, hail: bool) -> Mapping[str, Callable[[Stream], Decider]]:
    """All that can decide here."""
    ours: dict[str, Callable[[Stream], Decider]] = {
        "vmplace tightest": partial(Vmplace, time_limit=time_limit),
        "vmplace balance": partial(Vmplace, score="balance", time_limit=time_limit),
    }

    def made(options: tuple[str, ...]) -> Callable[[Stream], Decider]:
        return partial(Hail, folder=folder, options=options)

    theirs = ganeti.variants("hail", made, "") if hail else {}
    return {**ours, "first-fit": FirstFit, "most-free": MostFree, **theirs}


@define
class Replay:
    """What came of a stream.

    Parameters
    ----------
    seconds
        Of each decision: of the processor, or of a clock where it is another process.
    admitted, refused, unknown
        How many were.
    first_refusal
        Memory in use, in MiB, when the first was refused; None: none was.
    audits, unsafe
        How often the cluster was checked, and not safe.
    """

    seconds: list[float] = Factory(list)
    admitted: int = 0
    refused: int = 0
    unknown: int = 0
    first_refusal: int | None = None
    audits: int = 0
    unsafe: int = 0
    in_use: int = 0

    def run(self, stream: Stream, decider: Decider, *, audits: int, seed: int) -> Iterator[Arrival]:
        """Replay; each arrival is told before it is decided."""
        random, running, ends = Random(seed), dict[str, tuple[int, int]](), list[tuple[float, str]]()
        for i, (arrival, node) in enumerate(zip(stream.first, stream.node_of.tolist(), strict=True)):
            running[f"vm{i}"] = arrival.memory, node
            ends.append((random.random() * arrival.lifetime, f"vm{i}"))
        heapq.heapify(ends)
        self.in_use = sum(memory for memory, _ in running.values())
        for i, arrival in enumerate(stream.later):
            now, name = i * stream.gap, f"later{i}"
            while ends and ends[0][0] <= now:
                _, gone = heapq.heappop(ends)
                memory, node = running.pop(gone)
                decider.stop(gone, memory, node)
                self.in_use -= memory
            yield arrival
            if (node := self._decided(decider, name, arrival)) is not None:
                running[name] = arrival.memory, node
                heapq.heappush(ends, (now + arrival.lifetime, name))
            if (i + 1) % max(1, len(stream.later) // audits) == 0:
                self._audit(stream, running)

    def _decided(self, decider: Decider, name: str, arrival: Arrival) -> int | None:
        start = thread_time()
        node, known = decider.decide(name, arrival.memory)
        self.seconds.append(decider.outside or thread_time() - start)
        if node is None:
            self.refused += known
            self.unknown += not known
            if self.first_refusal is None:
                self.first_refusal = self.in_use
            return None
        decider.start(name, arrival.memory, node)
        self.admitted += 1
        self.in_use += arrival.memory
        return node

    def _audit(self, stream: Stream, running: Mapping[str, tuple[int, int]]) -> None:
        """Check the cluster as it is, its failover plans audited, by code that knows nothing of what was decided before."""
        memory, node_of = zip(*running.values(), strict=True)
        cluster = _cluster(stream.nodes, memory, np.array(node_of))
        report = vmplace.check(cluster)
        self.audits += 1
        if report.status is not Status.SAFE:
            self.unsafe += 1
        elif vmplace.audit(cluster, np.array(node_of), report.failover):
            raise ValueError("a failover plan does not hold; this is a defect")
