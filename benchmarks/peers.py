"""vmplace beside what else judges or keeps N+1: Ganeti's htools, and the policies of other systems in a few lines."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from attrs import frozen

import vmplace
from benchmarks import admitted, ganeti, judged, raced, rebalanced
from benchmarks.table import show
from vmplace.synthetic import generate

__all__ = ["command"]

_QUICK_SIZE, _QUICK_CLUSTERS, _QUICK_NODES = 32, 20, 12

Rows = Iterator[tuple[object, ...]]


@frozen
class _Run:
    """What the options ask for; `folder` holds what is handed to the commands."""

    nodes: tuple[int, ...]
    clusters: int
    time_limit: float
    repeat: int
    seed: int
    quick: bool
    folder: Path

    def drawn(self, rows: Callable[..., Rows], *, most_nodes: int) -> Rows:
        """Rows of random clusters."""
        number, most = (_QUICK_CLUSTERS, _QUICK_NODES) if self.quick else (self.clusters, most_nodes)
        return rows(number, most_nodes=most, seed=self.seed, time_limit=self.time_limit, folder=self.folder)


_DRAWN = "70 to 97 % of what N+1 allows; all profiles; placed worst-fit, best-fit, greedy, or greedy and since drifted."


def _time(run: _Run) -> None:
    sizes = (_QUICK_SIZE,) if run.quick else run.nodes
    note = "256 GiB nodes, flavors, 90 % of what N+1 allows. Last columns: CPU seconds by those of `check`, of the command."
    rows = raced.rows(sizes, seed=run.seed, time_limit=run.time_limit, repeat=run.repeat, folder=run.folder)
    show("Is it N+1? How long the answer takes", raced.COLUMNS, rows, note=note)


def _verdicts(run: _Run) -> None:
    note = f"8 to 32 nodes; {_DRAWN} True is what CP-SAT says of each failure."
    show("Is it N+1? How often the answer is wrong", judged.COLUMNS, run.drawn(judged.rows, most_nodes=32), note=note)


def _admission(run: _Run) -> None:
    note = f"8 to 16 nodes, N+1 before; {_DRAWN} One request each. No VM migrates. True is what `check` says of each choice."
    show("Where to start one more VM", admitted.COLUMNS, run.drawn(admitted.rows, most_nodes=16), note=note)


def _balance(run: _Run) -> None:
    note = f"8 to 16 nodes; {_DRAWN} Highest share and GiB moved: means."
    show("Balanced anew", rebalanced.COLUMNS, run.drawn(rebalanced.rows, most_nodes=16), note=note)


_TABLES: dict[str, Callable[[_Run], None]] = {"time": _time, "verdicts": _verdicts, "admission": _admission, "balance": _balance}


@click.command("peers")
@click.option("--nodes", multiple=True, type=int, default=(100, 400), help="Cluster sizes of the table of times.")
@click.option("--clusters", default=300, help="How many are drawn for each of the other tables.")
@click.option("--time-limit", default=120.0, help="Seconds after which a call or a command is ended.")
@click.option("--repeat", default=5, help="Runs of what takes less than a second; the median counts.")
@click.option("--seed", default=1, help="Of the clusters that are drawn.")
@click.option("--quick", is_flag=True, help="Few small clusters: less than two minutes.")
@click.option("--only", multiple=True, type=click.Choice(list(_TABLES)), help="These tables; all unless given.")
def command(
    nodes: tuple[int, ...] = (100, 400),
    clusters: int = 300,
    time_limit: float = 120.0,
    repeat: int = 5,
    seed: int = 1,
    quick: bool = False,
    only: tuple[str, ...] = (),
) -> None:
    """vmplace beside Ganeti's htools and other systems' policies: time, wrong verdicts, choices that break N+1."""
    if not ganeti.installed():
        click.echo(ganeti.HOW_TO_INSTALL)
    vmplace.place(generate(nodes=4, fill=0.7, profile="flavors"), time_limit=10)  # loads the solver
    with tempfile.TemporaryDirectory() as folder:
        for name in only or _TABLES:
            _TABLES[name](_Run(nodes, clusters, time_limit, repeat, seed, quick, Path(folder)))
