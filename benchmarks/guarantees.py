"""Stronger promises than one node and a plan: what they take in time, and what they cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import evolve

import vmplace
from benchmarks.costs import COLUMNS, Cost, costs, draw
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.model.guarantee import Guarantee
from vmplace.synthetic import generate

__all__ = ["command"]

_ANY_ORDER, _TWO = Guarantee(restart="any-order"), Guarantee(failures=2)


@click.command("guarantees")
@click.option("--time-limit", default=60.0, help="Seconds for each call.")
@click.option("--small", is_flag=True, help="Small clusters only.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw the cost in capacity into this file (SVG; needs matplotlib)."
)
def command(time_limit: float = 60.0, small: bool = False, picture: Path | None = None) -> None:
    """Any order of restarts, two nodes at once, and racks: checked, placed and repaired; and what they cost in capacity."""
    show(
        "Stronger guarantees",
        ("cluster", "promise", "call", "VMs", "failures", "status", "value", "bound", "gap", "method", "seconds"),
        _rows(time_limit, small),
        note=f"512 GiB nodes, seed 1; balance in shares, moves in GiB; limit {time_limit:g} s a call; audits included.",
    )
    _show_costs(8 if small else 16, max(1.0, time_limit // 6), picture)


def _show_costs(nodes: int, limit: float, picture: Path | None) -> None:
    found: list[Cost] = []

    def rows() -> Iterator[tuple[object, ...]]:
        for cost in costs(nodes=nodes, profile="flavors", limit=limit):
            found.append(cost)
            yield cost.row(found[0])

    title = f"What promises cost: {nodes} nodes of 512 GiB in 4 racks, flavors"
    show(
        title,
        COLUMNS,
        rows(),
        note="VMs of one list (seed 1) from its beginning; at most: what is not proved impossible; "
        f"seconds: of the largest placement; limit {limit:g} s a call.",
    )
    if picture is not None:
        draw(found, title, picture)


def _rows(limit: float, small: bool) -> Iterator[tuple[object, ...]]:
    quick = generate(nodes=16 if small else 1_000, fill=0.9, profile="azure", seed=1)
    for _ in range(2):  # the first call in a process loads what it needs
        planned = _row("azure 90 %", "planned", quick, "place", limit, method="greedy")
    yield planned
    yield _row("azure 90 %", "any-order", evolve(quick, guarantee=_ANY_ORDER), "place", limit, method="greedy")
    for nodes in (8,) if small else (8, 16, 32):
        spread = generate(nodes=nodes, fill=0.8, profile="flavors", seed=1, placed="worst-fit")
        yield _row("flavors 80 %", "any-order", evolve(spread, guarantee=_ANY_ORDER), "repair", limit)
    nodes = 8 if small else 32
    spread = generate(nodes=nodes, fill=0.8, profile="flavors", seed=1, placed="worst-fit")
    waiting = generate(nodes=nodes, fill=0.8, profile="flavors", seed=1)
    yield _row("flavors 80 %", "two nodes", evolve(spread, guarantee=_TWO), "check", limit)
    yield _row("flavors 80 %", "two nodes", evolve(waiting, guarantee=_TWO), "place", limit)
    yield _row("flavors 80 %", "two nodes", evolve(spread, guarantee=_TWO), "repair", limit)
    for method in ("greedy", "auto"):
        yield _row("flavors 80 %", "a rack of 16", _in_racks(32 if small else 128), "place", limit, method=method)


def _in_racks(nodes: int) -> Cluster:
    cluster = generate(nodes=nodes, fill=0.8, profile="flavors", seed=1)
    hosts = [evolve(node, domain=f"rack{i // 16}") for i, node in enumerate(cluster.nodes)]
    return evolve(cluster, nodes=hosts, guarantee=Guarantee(scope="domain"))


def _row(name: str, promise: str, cluster: Cluster, call: str, limit: float, **options: Any) -> tuple[object, ...]:
    with Clock() as clock:
        found = getattr(vmplace, call)(cluster, time_limit=limit, **options)
    told = ["", "", ""]
    if call != "check" and found.objective is not None:
        scale = 1024 if call == "repair" else 1
        told = [f"{float(found.objective) / scale:.4g}", f"{float(found.bound) / scale:.4g}", f"{found.gap:.1%}"]
    size = f"{len(cluster.nodes)} nodes, {name}"
    return size, promise, call, len(cluster.vms), len(found.scenarios), found.status, *told, found.method, clock.seconds
