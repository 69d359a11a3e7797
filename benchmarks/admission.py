"""Admission: how long a decision takes in a stream of arrivals and departures, who keeps N+1, who fills the nodes how far."""

import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import thread_time

import click
import numpy as np

import vmplace
from benchmarks import ganeti
from benchmarks.data import FOLDER, Arrival, azure_stream
from benchmarks.stream import NODE, Decider, Replay, Stream, Vmplace, deciders, filled
from benchmarks.table import show
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM

__all__ = ["command"]

_SIZES = (100, 300, 1_000, 3_000, 10_000)
_MOST_FOR_HAIL = 100
_EVERY = 25
"""The candidates of each so many-th arrival are asked for, too."""


@click.command("admission")
@click.option("--nodes", "sizes", multiple=True, type=int, default=_SIZES, help="Cluster sizes.")
@click.option("--arrivals", default=4_000, help="How many of the trace are replayed.")
@click.option("--fill", default=0.985, help="How full the cluster is at first, of what N+1 allows.")
@click.option("--audits", default=4, help="How often the cluster is checked and audited along the way.")
@click.option("--time-limit", default=0.05, help="Seconds for a decision.")
@click.option("--planned", "small", multiple=True, type=int, default=(8, 16, 32), help="Sizes to compare with a planner.")
@click.option("--draws", default=5, help="Streams for each of these.")
@click.option("--seed", default=1)
def command(
    sizes: Sequence[int] = _SIZES,
    arrivals: int = 4_000,
    fill: float = 0.985,
    audits: int = 4,
    time_limit: float = 0.05,
    small: Sequence[int] = (8, 16, 32),
    draws: int = 5,
    seed: int = 1,
) -> None:
    """Arrivals and departures of a cloud's trace, decided one by one; and the memory in use at the first refusal."""
    if not (FOLDER / "azure-v1").is_dir():
        click.echo(f"no trace in {FOLDER / 'azure-v1'}: skipped (VMPLACE_DATA says where the traces are)")
        return
    trace = azure_stream()
    if not ganeti.installed():
        click.echo(ganeti.HOW_TO_INSTALL)
    with tempfile.TemporaryDirectory() as folder:
        show(
            "Admission in a stream",
            ("nodes", "VMs", "who", "p50 ms", "p99 ms", "most ms", "candidates p50", "p99 ms", "commit p99", "remove p99",
             "admitted", "unknown", "first refusal", "unsafe"),
            _streams(trace, sizes, arrivals, fill, audits, time_limit, seed, Path(folder)),
            note="Times are the processor's (hail: the clock's). "
            f"448 GiB nodes, azure v1 arrivals with their lifetimes, 120 % offered, {fill:.0%} full at first, {arrivals} "
            f"arrivals, seed {seed}, {time_limit:g} s a decision; first refusal: memory in use then, of what N+1 allows; unsafe: "
            "how many of the checks along the way; those that were safe are audited.",
        )  # fmt: skip
    show(
        "Memory in use at the first refusal, nothing departs",
        ("nodes", "stream", "VMs", "tightest", "balance", "first-fit", "planner", "volume", "behind the planner"),
        _refusals(trace, small, draws, seed),
        note="Of what N+1 allows; planner: the longest run of the same arrivals that can be placed all anew, each try limited to "
        "10 s; volume: what fits if VMs could be cut; first-fit keeps no N+1.",
    )


def _streams(
    trace: Sequence[Arrival],
    sizes: Sequence[int],
    arrivals: int,
    fill: float,
    audits: int,
    time_limit: float,
    seed: int,
    folder: Path,
) -> Iterator[tuple[object, ...]]:
    for nodes in sizes:
        stream = filled(trace, nodes=nodes, fill=fill, arrivals=arrivals, seed=seed)
        for who, make in deciders(folder, time_limit=time_limit, hail=nodes <= _MOST_FOR_HAIL).items():
            yield _replayed(stream, who, make(stream), audits, seed)
        yield _fresh(stream)


def _replayed(stream: Stream, who: str, decider: Decider, audits: int, seed: int) -> tuple[object, ...]:
    replay, timed = Replay(), _Timed(decider)
    candidates: list[float] = []
    for i, arrival in enumerate(replay.run(stream, timed, audits=audits, seed=seed)):
        if isinstance(decider, Vmplace) and i % _EVERY == 0:
            start = thread_time()
            decider.admitter.candidates(VM("asked", arrival.memory))
            candidates.append(thread_time() - start)
    first = "none" if replay.first_refusal is None else f"{replay.first_refusal / NODE / (stream.nodes - 1):.2%}"
    return (
        *(stream.nodes, len(stream.first), who),
        *(_ms(replay.seconds, part) for part in (50, 99, 100)),
        *(_ms(candidates, part) for part in (50, 99)),
        *(_ms(seconds, 99) for seconds in (timed.starts, timed.stops)),
        f"{replay.admitted / len(stream.later):.2%}",
        *(replay.unknown, first, f"{replay.unsafe} of {replay.audits}"),
    )


class _Timed(Decider):
    """Someone who decides, timed at his books, too."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self.starts: list[float] = []
        self.stops: list[float] = []

    def decide(self, name: str, memory: int) -> tuple[int | None, bool]:
        found = self._decider.decide(name, memory)
        self.outside = self._decider.outside
        return found

    def start(self, name: str, memory: int, node: int) -> None:
        start = thread_time()
        self._decider.start(name, memory, node)
        self.starts.append(thread_time() - start)

    def stop(self, name: str, memory: int, node: int) -> None:
        start = thread_time()
        self._decider.stop(name, memory, node)
        self.stops.append(thread_time() - start)


def _ms(seconds: Sequence[float], part: float) -> str:
    return f"{1000 * float(np.percentile(seconds, part)):.3f}" if seconds else "-"


def _fresh(stream: Stream) -> tuple[object, ...]:
    """What it takes to check the cluster anew, from columns: what a decision would take without an admitter, for one node."""
    seconds = []
    for _ in range(5):
        cluster = stream.cluster
        start = thread_time()
        vmplace.check(cluster)
        seconds.append(thread_time() - start)
    times = (f"{1000 * statistics.median(seconds):.3f}", "-", f"{1000 * max(seconds):.3f}")
    return stream.nodes, len(stream.first), "a fresh check", *times, *["-"] * 8


def _refusals(trace: Sequence[Arrival], sizes: Sequence[int], draws: int, seed: int) -> Iterator[tuple[object, ...]]:
    for nodes in sizes:
        for draw in range(draws):
            start = (seed + draw) * 7_919 * nodes % len(trace)
            memory = [trace[(start + i) % len(trace)].memory for i in range(20_000)]
            within = [total for total in itertools.accumulate(memory) if total <= NODE * (nodes - 1)]
            empty = Stream(nodes, np.zeros(0, dtype=np.int64), [], [], 0.0)
            runs = [_first_refusal(Vmplace(empty, score=score), memory) for score in ("tightest", "balance")]
            runs.append(_first_fit(memory, nodes))
            planner = _longest(memory, nodes, max(runs[:2]), len(within))
            used = [sum(memory[:count]) for count in (*runs, planner, len(within))]
            behind = 1 - used[0] / used[3]
            yield nodes, draw, runs[0], *(f"{amount / NODE / (nodes - 1):.2%}" for amount in used), f"{behind:.2%}"


def _first_refusal(decider: Decider, memory: Sequence[int]) -> int:
    for i, size in enumerate(memory):
        node, _ = decider.decide(f"vm{i}", size)
        if node is None:
            return i
        decider.start(f"vm{i}", size, node)
    return len(memory)


def _first_fit(memory: Sequence[int], nodes: int) -> int:
    free = np.full(nodes, NODE)
    for i, size in enumerate(memory):
        node = int((free >= size).argmax())
        if free[node] < size:
            return i
        free[node] -= size
    return len(memory)


def _longest(memory: Sequence[int], nodes: int, least: int, most: int) -> int:
    """How many of the first can all be placed, found by halving; `least` of them can."""
    while least < most:
        middle = (least + most + 1) // 2
        cluster = Cluster.from_arrays(node_memory=[NODE] * nodes, vm_memory=memory[:middle])
        if vmplace.place(cluster, time_limit=10.0).node_of is not None:
            least = middle
        else:
            most = middle - 1
    return least
