"""All calls on a cloud: memory alone beside vCPUs, beside rules, beside all at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import click
import numpy as np
from attrs import evolve, frozen

import vmplace
from benchmarks.comings import Comings, comings
from benchmarks.loads import IDLE, LOADS, MEMORY, SCARCE, loads
from benchmarks.table import Clock, show
from vmplace.diagnosis.results import Explanation
from vmplace.model.cluster import Cluster
from vmplace.results.placement import Solution
from vmplace.results.rolling_drain import RollingDrain

__all__ = ["command"]

_ROOMY, _FULL = 0.85, 0.95
"""What N+1 allows is filled to: with room for restarts, and with none for the largest of them."""

_SIZE, _VCPUS = "7GiB", 4
_SMALL, _ANY = 4, 1_000_000

_Made = Callable[[int, float], Mapping[str, Cluster]]
"""The loads of a cluster of so many nodes, filled so far."""


@frozen
class _Call:
    """A call, the fill at which it is asked, up to how many nodes, and what it found in a word."""

    fill: float
    most: int
    run: Callable[[Cluster, float], Any]
    found: Callable[[Any], str]


def _place(cluster: Cluster, limit: float) -> Solution:
    waiting = evolve(cluster.vms, node=np.full(len(cluster.vms), -1))
    return vmplace.place(evolve(cluster, vms=waiting), time_limit=limit)


def _headroom(cluster: Cluster, limit: float) -> Any:
    resources = {"vcpu": _VCPUS} if cluster.overcommit else None
    return vmplace.headroom(cluster, _SIZE, resources=resources, time_limit=limit)


def _limited(call: Callable[..., Any]) -> Callable[[Cluster, float], Any]:
    return lambda cluster, limit: call(cluster, time_limit=limit)


def _placed(solution: Solution) -> str:
    gap = "" if solution.gap is None else f", {solution.guarantee}, gap {solution.gap:.1%}"
    return f"{solution.status}{gap}"


def _repaired(solution: Solution) -> str:
    return f"{_placed(solution)}, {sum(migration.memory for migration in solution.migrations) / 1024:g} GiB"


def _explained(explanation: Explanation) -> str:
    return f"{len(explanation.blames)} blamed, {len(explanation.remedies)} remedies"


def _drained(drain: RollingDrain) -> str:
    return f"{drain.status}, {len(drain.groups)} groups, {drain.bound} at least"


_CALLS = {
    "check": _Call(_ROOMY, _ANY, _limited(vmplace.check), lambda report: str(report.status)),
    "place": _Call(_ROOMY, _ANY, _place, _placed),
    "repair": _Call(_FULL, _ANY, _limited(vmplace.repair), _repaired),
    "headroom": _Call(_ROOMY, _ANY, _headroom, lambda room: f"{room.count} of {room.bound}"),
    "explain": _Call(_FULL, 1_000, _limited(vmplace.explain), _explained),
    "rolling-drain": _Call(_ROOMY, 100, _limited(vmplace.rolling_drain), _drained),
}
_ADMITTER = "admitter"


@click.command("real-load")
@click.option("--nodes", "sizes", multiple=True, type=int, default=(50, 200, 1_000, 10_000), help="Cluster sizes.")
@click.option("--call", "asked", multiple=True, type=click.Choice([*_CALLS, _ADMITTER]), help="These calls only.")
@click.option("--load", "chosen", multiple=True, type=click.Choice(LOADS), help="These loads only, and memory.")
@click.option("--overcommit", default=SCARCE, help="vCPUs per processor thread where they are to bind.")
@click.option("--time-limit", default=30.0, help="Seconds for a call, and for all arrivals on a cluster.")
@click.option("--decision", default=1.0, help="Seconds for a decision of the admitter.")
@click.option("--arrivals", default=300, help="How many VMs leave and come back.")
@click.option("--repeat", default=3, help="Runs; the shortest counts. What takes longer than a second is not run again.")
@click.option("--seed", default=1)
@click.option("--quick", is_flag=True, help="Ten nodes, a few seconds.")
def command(
    sizes: Sequence[int] = (50, 200, 1_000, 10_000),
    asked: Sequence[str] = (),
    chosen: Sequence[str] = (),
    overcommit: float = SCARCE,
    time_limit: float = 30.0,
    decision: float = 1.0,
    arrivals: int = 300,
    repeat: int = 3,
    seed: int = 1,
    quick: bool = False,
) -> None:
    """All calls on the profile `cloud` with memory alone, with vCPUs, with rules and with all of it; ratios in one run."""
    if quick:
        sizes, time_limit, decision, arrivals, repeat = (10,), min(time_limit, 1.0), min(decision, 0.1), min(arrivals, 10), 1
    names = [load for load in LOADS if load == MEMORY or not chosen or load in chosen]
    note = (
        f"512 GiB nodes, profile cloud with {overcommit:g} vCPUs a thread (idle: {IDLE}), seed {seed}; processor time; ratio: to "
    )
    note += f"{MEMORY}. Limit {time_limit:g} s a call."
    made = lru_cache(maxsize=2)(partial(loads, seed=seed, overcommit=overcommit))
    calls = [name for name in _CALLS if not asked or name in asked]
    if calls:
        show(
            "Real load, call by call",
            ("nodes", "VMs", "call", "load", "seconds", "ratio", "found"),
            _called(sizes, calls, names, made, time_limit, repeat),
            note=f"{note} VMs take {_ROOMY:.0%} of what N+1 allows, for repair and explain {_FULL:.0%}; placed worst-fit within "
            f"their rules. place: from nothing; headroom: for VMs of {_SIZE}, with {_VCPUS} vCPUs where there are any.",
        )
    if not asked or _ADMITTER in asked:
        show(
            "Real load, Admitter",
            ("nodes", "VMs", "load", "made s", "arrivals", "start p50 ms", "p99 ms", "ratio p50", "p99", "candidates p50 ms",
             "p99 ms", "ratio p50", "p99", "remove p99 ms", "refused", "unknown", "in the end"),
            _admitted(sizes, names, made, partial(comings, arrivals=arrivals, seed=seed, decision=decision, limit=time_limit)),
            note=f"{note} start: admit and commit; {decision:g} s a decision, {arrivals} arrivals at most, or as many as "
            f"{time_limit:g} s allow; in the end: a fresh check.",
        )  # fmt: skip


def _called(
    sizes: Sequence[int], calls: Sequence[str], names: Sequence[str], made: _Made, limit: float, repeat: int
) -> Iterator[tuple[object, ...]]:
    for name in calls:  # the first call in a process loads what it needs
        _CALLS[name].run(made(_SMALL, _CALLS[name].fill)[MEMORY], limit)
    for nodes in sizes:
        for name in calls:
            call, first = _CALLS[name], 0.0
            for load in names if nodes <= call.most else ():
                cluster = made(nodes, call.fill)[load]
                seconds, found = _shortest(call, cluster, limit, repeat)
                first = first or seconds
                yield nodes, len(cluster.vms), name, load, f"{seconds:.4f}", _ratio(seconds, first), call.found(found)


def _shortest(call: _Call, cluster: Cluster, limit: float, repeat: int) -> tuple[float, Any]:
    seconds: list[float] = []
    while len(seconds) < repeat and (not seconds or seconds[-1] < 1):
        with Clock() as clock:
            found = call.run(cluster, limit)
        seconds.append(clock.cpu)
    return min(seconds), found


def _admitted(
    sizes: Sequence[int], names: Sequence[str], made: _Made, replay: Callable[[Cluster], Comings]
) -> Iterator[tuple[object, ...]]:
    replay(made(_SMALL, _ROOMY)[MEMORY])
    for nodes in sizes:
        first: Comings | None = None
        for load in names:
            cluster = made(nodes, _ROOMY)[load]
            came = replay(cluster)
            first = first or came
            yield nodes, len(cluster.vms), load, f"{came.making:.3f}", *_row(came, first)


def _row(came: Comings, first: Comings) -> tuple[object, ...]:
    told: list[object] = [len(came.starts)]
    for mine, its in ((came.starts, first.starts), (came.candidates, first.candidates)):
        parts = [(1000 * float(np.percentile(mine, part)), 1000 * float(np.percentile(its, part))) for part in (50, 99)]
        told += [f"{ms:.3f}" for ms, _ in parts] + [_ratio(ms, of) for ms, of in parts]
    return *told, f"{1000 * float(np.percentile(came.leaves, 99)):.3f}", came.refused, came.unknown, came.verdict


def _ratio(seconds: float, of: float) -> str:
    return f"{seconds / of:.2f} ×"
