"""`check` of large placements, against the sort of the same sizes."""

import statistics

import click
import numpy as np

import vmplace
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.synthetic import generate

__all__ = ["command"]


@click.command("check")
@click.option("--nodes", "sizes", multiple=True, type=int, default=(100, 1_000, 10_000), help="Cluster sizes.")
@click.option("--repeat", default=3, help="Runs; the median counts.")
def command(sizes: tuple[int, ...] = (100, 1_000, 10_000), repeat: int = 3) -> None:
    """`check` of safe placements (greedy's) and of unsafe ones (worst-fit spreads)."""
    rows = [_measure(nodes, placed, repeat) for nodes in sizes for placed in ("greedy", "worst-fit")]
    show(
        "check",
        ("nodes", "placed by", "VMs", "verdict", "decided by", "check s", "np.sort s", "ratio"),
        rows,
        note="512 GiB nodes, azure profile, 90 % of what N+1 allows, seed 1; every scenario decided, audit included.",
    )


def _measure(nodes: int, placed: str, repeat: int) -> tuple[object, ...]:
    cluster = _placed(nodes, placed)
    sizes = np.array([vm.memory for vm in cluster.vms])
    checks, sorts = [], []
    for _ in range(repeat):
        with Clock() as clock:
            report = vmplace.check(cluster)
        checks.append(clock.seconds)
        with Clock() as clock:
            np.sort(sizes)
        sorts.append(clock.seconds)
    seconds, sort = statistics.median(checks), statistics.median(sorts)
    how = ", ".join(f"{method} {count}" for method, count in report.stats["scenarios"].items())
    return nodes, placed, len(sizes), str(report.status), how, seconds, sort, f"{seconds / sort:.0f} ×"


def _placed(nodes: int, placed: str) -> Cluster:
    if placed != "greedy":
        return generate(nodes=nodes, fill=0.9, seed=1, placed=placed)
    return vmplace.place(generate(nodes=nodes, fill=0.9, seed=1), method="greedy").to_document()
