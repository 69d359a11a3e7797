"""Greedy with its guarantee against plain best-fit decreasing without any."""

import multiprocessing
import resource
import statistics
from typing import Any

import click

import vmplace
from benchmarks.best_fit import best_fit_decreasing
from benchmarks.table import Clock, show
from vmplace.synthetic import generate

__all__ = ["command"]


@click.command("greedy")
@click.option("--nodes", "sizes", multiple=True, type=int, default=(1_000, 10_000), help="Cluster sizes.")
@click.option("--fill", default=0.9)
@click.option("--repeat", default=3, help="Runs in turn; the medians count.")
def command(sizes: tuple[int, ...] = (1_000, 10_000), fill: float = 0.9, repeat: int = 3) -> None:
    """`place(method="greedy")`: compile, place, certify, audit; against best-fit decreasing of the same list."""
    rows = [_measured(nodes, profile, fill, repeat) for nodes in sizes for profile in ("azure", "flavors", "uniform")]
    show(
        "greedy with its guarantee against best-fit decreasing without any",
        ("nodes", "profile", "VMs", "best-fit s", "greedy s", "ratio", "peak share", "mean share", "guarantee", "memory MiB"),
        rows,
        note=f"512 GiB nodes, {fill:.0%} of what N+1 allows, seed 1; the whole call with its audit; memory: a process's peak.",
    )


def _measured(nodes: int, profile: str, fill: float, repeat: int) -> tuple[Any, ...]:
    """In a process of its own, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (nodes, profile, fill, repeat))


def _measure(nodes: int, profile: str, fill: float, repeat: int) -> tuple[Any, ...]:
    cluster = generate(nodes=nodes, fill=fill, profile=profile, seed=1)
    memory, usable = [vm.memory for vm in cluster.vms], [node.usable for node in cluster.nodes]
    plain, ours = [], []
    for _ in range(repeat):
        with Clock() as clock:
            best_fit_decreasing(memory, usable)
        plain.append(clock.seconds)
        with Clock() as clock:
            solution = vmplace.place(cluster, method="greedy")
        ours.append(clock.seconds)
    before, after = statistics.median(plain), statistics.median(ours)
    peak = "-" if solution.objective is None else f"{float(solution.objective):.4f}"  # type: ignore[arg-type]
    mean = f"{sum(memory) / sum(usable):.4f}"
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return nodes, profile, len(memory), before, after, f"{after / before:.2f} ×", peak, mean, str(solution.guarantee), held
