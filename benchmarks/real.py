"""The main job on real traces."""

from fractions import Fraction

import click

import vmplace
from benchmarks.data import FOLDER, azure_arrivals, huawei_requests
from benchmarks.table import Clock, show
from vmplace.results.placement import Solution

__all__ = ["command"]


@click.command("real")
@click.option("--time-limit", default=60.0)
def command(time_limit: float = 60.0) -> None:
    """2,000 arrivals of a public cloud on the fewest nodes; three times 4,998 requests of another, with rules of every kind."""
    if not FOLDER.exists():
        click.echo(f"{FOLDER} is not there: skipped (set VMPLACE_DATA to the folder with the traces)")
        return
    rows = []
    for title, cluster, objective in (
        ("azure-v1, first 2,000 arrivals, 448 GiB nodes", azure_arrivals(2_000, nodes=60), "consolidate"),
        *((f"huawei-topology {name}, 256 GiB nodes", huawei_requests(name, nodes=700), "balance") for name in ("C1", "C2", "C3")),
    ):
        with Clock() as clock:
            solution = vmplace.place(cluster, objective=objective, time_limit=time_limit)
        rows.append((title, len(cluster.vms), len(cluster.nodes), len(cluster.rules), objective, *_told(solution), clock.seconds))
    show(
        "Real traces",
        (
            "trace",
            "VMs",
            "nodes",
            "rules",
            "objective",
            "status",
            "guarantee",
            "value",
            "bound",
            "broken shoulds",
            "method",
            "seconds",
        ),
        rows,
        note=f"vmplace.place(cluster, objective=..., time_limit={time_limit:g})",
    )


def _told(solution: Solution) -> tuple[object, ...]:
    value, bound = (float(v) if isinstance(v, Fraction) else v for v in (solution.objective, solution.bound))
    return str(solution.status), str(solution.guarantee), value, bound, len(solution.broken_rules), solution.method
