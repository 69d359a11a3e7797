"""A first safe placement: the exact core against booleans per VM, and on a large cluster."""

import statistics
from collections.abc import Iterator

import vmplace
from benchmarks.booleans import place_by_booleans
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.problem.compile import compile_problem
from vmplace.search.goal import Goal
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate

__all__ = ["COLUMNS", "rows"]

COLUMNS = ("nodes", "VMs", "fill", "counts s", "with greedy s", "booleans s", "ended", "ratio")

_COMPARED = ((8, 289, 0.9), (16, 632, 0.95))
_LARGE = (200, 0.97)


def rows(time_limit: float, repeat: int, *, quick: bool) -> Iterator[tuple[object, ...]]:
    """Two clusters that the booleans finish, and one that they do not."""
    for nodes, vms, fill in _COMPARED[: 1 if quick else None]:
        yield _compare(_exactly(nodes, vms, fill), fill, time_limit, repeat)
    nodes, fill = _LARGE
    cluster = generate(nodes=nodes, fill=fill, profile="flavors", seed=1)
    yield (*_ours(cluster, fill, time_limit, repeat), "-", "not tried", "-")


def _exactly(nodes: int, vms: int, fill: float) -> Cluster:
    """The first seed whose cluster has this many VMs."""
    clusters = (generate(nodes=nodes, fill=fill, profile="flavors", seed=seed) for seed in range(10_000))
    return next(cluster for cluster in clusters if len(cluster.vms) == vms)


def _compare(cluster: Cluster, fill: float, time_limit: float, repeat: int) -> tuple[object, ...]:
    ours = _ours(cluster, fill, time_limit, repeat)
    with Clock() as clock:
        ended = place_by_booleans(cluster, time_limit=time_limit)
    ratio = f"{clock.seconds / ours[3]:.0f} ×" if isinstance(ours[3], float) else "-"
    return *ours, clock.seconds, ended, ratio


def _ours(cluster: Cluster, fill: float, time_limit: float, repeat: int) -> tuple[object, ...]:
    alone, whole = [], []
    for _ in range(repeat):
        with Clock() as clock:
            found = search(compile_problem(cluster), Goal(("moves",)), budget=Budget(time_limit))
        if found.best is not None:
            alone.append(clock.seconds)
        with Clock() as clock:
            placed = vmplace.place(cluster, objective="moves", method="exact", time_limit=time_limit)
        if placed.guarantee == "safe":
            whole.append(clock.seconds)
    seconds = (statistics.median(tries) if len(tries) == repeat else "none" for tries in (alone, whole))
    return len(cluster.nodes), len(cluster.vms), f"{fill:.2f}", *seconds
