"""The exact core: classes against booleans, and proofs of the least migration."""

import statistics

import click

import vmplace
from benchmarks.booleans import place_by_booleans
from benchmarks.table import Clock, show
from vmplace.budget import Budget
from vmplace.cluster import Cluster
from vmplace.exact import search
from vmplace.generate import generate
from vmplace.goal import Goal
from vmplace.problem import compile_problem

__all__ = ["command"]

_SPREADS = ((16, "flavors", 0.8), (32, "flavors", 0.8), (32, "azure", 0.8), (64, "flavors", 0.8))


@click.command("exact")
@click.option("--time-limit", default=300.0, help="Seconds for each booleans model.")
@click.option("--repeat", default=5, help="Runs of ours; the median counts.")
def command(time_limit: float = 300.0, repeat: int = 5) -> None:
    """Classes against the same question per VM in booleans; then `repair` to its proof."""
    _warm_up()
    rows = [_compare(nodes, vms, fill, time_limit, repeat) for nodes, vms, fill in ((8, 289, 0.9), (16, 632, 0.95))]
    show(
        "A first safe placement: counts of classes against booleans per VM",
        ("cluster", "fill", "counts s", "with greedy s", "booleans s", "ended", "ratio"),
        rows,
        note="No hint and no greedy start for `counts`: the model alone. Imports excluded. 512 GiB nodes, power-of-two flavours.",
    )
    show(
        "repair from a worst-fit spread, to the proof",
        ("cluster", "VMs", "fill", "seed", "status", "migrated GiB", "bound GiB", "seconds"),
        [_repair(*spread, seed) for spread in _SPREADS for seed in (1, 2, 3)],
        note="vmplace.repair(cluster, time_limit=60); 512 GiB nodes.",
    )


def _warm_up() -> None:
    vmplace.repair(generate(nodes=4, fill=0.7, profile="flavors", placed="worst-fit"), time_limit=10)


def _exactly(nodes: int, vms: int, fill: float) -> Cluster:
    """The first seed whose cluster has this many VMs."""
    clusters = (generate(nodes=nodes, fill=fill, profile="flavors", seed=seed) for seed in range(10_000))
    return next(cluster for cluster in clusters if len(cluster.vms) == vms)


def _compare(nodes: int, vms: int, fill: float, time_limit: float, repeat: int) -> tuple[object, ...]:
    cluster = _exactly(nodes, vms, fill)
    ours, whole = [], []
    for _ in range(repeat):
        with Clock() as clock:
            found = search(compile_problem(cluster), Goal(("moves",)), budget=Budget(time_limit))
        assert found.best is not None
        ours.append(clock.seconds)
        with Clock() as clock:
            placed = vmplace.place(cluster, objective="moves", method="exact")
        assert placed.guarantee == "safe"
        whole.append(clock.seconds)
    with Clock() as clock:
        ended = place_by_booleans(cluster, time_limit=time_limit)
    seconds = statistics.median(ours)
    return f"{nodes} × {vms}", fill, seconds, statistics.median(whole), clock.seconds, ended, f"{clock.seconds / seconds:.0f} ×"


def _repair(nodes: int, profile: str, fill: float, seed: int) -> tuple[object, ...]:
    cluster = generate(nodes=nodes, fill=fill, profile=profile, seed=seed, placed="worst-fit")
    with Clock() as clock:
        solution = vmplace.repair(cluster, time_limit=60)
    migrated, bound = solution.objective, solution.bound
    in_gib = [value / 1024 if isinstance(value, int) else "-" for value in (migrated, bound)]
    return f"{nodes} {profile}", len(cluster.vms), fill, seed, solution.status, *in_gib, clock.seconds
