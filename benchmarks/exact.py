"""The exact core: the first safe placement, the best, the proof; time limits and Ctrl-C."""

from collections.abc import Callable, Iterable, Iterator

import click
from attrs import frozen

import vmplace
from benchmarks import first, limits, timed
from benchmarks.instances import Instance, balances, many_sizes, repairs, uneven
from benchmarks.table import show
from vmplace.synthetic import generate

__all__ = ["command"]

_QUICK_NODES, _QUICK_LIMIT = 16, 5.0


@frozen
class _Run:
    """What the options ask for."""

    time_limit: float
    repeat: int
    seed: int
    quick: bool

    def rows(self, instances: Iterable[Instance], *methods: str) -> Iterator[tuple[object, ...]]:
        """Those of the instances that are to be tried."""
        for instance in instances:
            if not self.quick or instance.nodes <= _QUICK_NODES or instance.limit <= _QUICK_LIMIT:
                yield from timed.rows_of(instance, methods, min(self.time_limit, _QUICK_LIMIT) if self.quick else self.time_limit)


def _first(run: _Run) -> None:
    show(
        "A first safe placement: counts of classes against booleans per VM",
        first.COLUMNS,
        first.rows(run.time_limit, run.repeat, quick=run.quick),
        note="No hint and no greedy start for `counts`: the model alone. Imports excluded. 512 GiB nodes, power-of-two flavours.",
    )


_TIMES = "first, best, proof: seconds to the first placement, to the one returned, to its proof."


def _repair(run: _Run) -> None:
    rows = run.rows(repairs(run.seed), "greedy", "exact")
    show("repair of a worst-fit spread", timed.COLUMNS, rows, note=f"512 GiB nodes; GiB migrated. {_TIMES}")


def _balance(run: _Run) -> None:
    rows = run.rows(balances(run.seed), "greedy", "exact")
    show("balance from nothing", timed.COLUMNS, rows, note=f"512 GiB nodes; highest share in use. {_TIMES}")


def _odd(run: _Run) -> None:
    rows = run.rows(many_sizes(run.seed), "greedy", "auto", "exact")
    show("1,500 VMs of 1,500 sizes", timed.COLUMNS, rows, note=f"512 GiB nodes; GiB migrated. {_TIMES}")


def _uneven(run: _Run) -> None:
    note = f"Mixed: nodes of 256, 512 and 1,024 GiB. Rules: a must for one VM in five. GiB migrated, or highest share. {_TIMES}"
    show("Mixed nodes, and rules", timed.COLUMNS, run.rows(uneven(run.seed), "greedy", "exact"), note=note)


def _limits(run: _Run) -> None:
    rows = limits.limit_rows((1.0,) if run.quick else (1.0, 3.0, 10.0))
    show("Time limits", limits.LIMIT_COLUMNS, rows, note="overrun: beyond the limit; - where the call ended before.")


def _interrupt(run: _Run) -> None:
    note = "SIGINT to `vmplace repair` or `vmplace place` so many seconds after its start; seconds from then until it has ended."
    show("Ctrl-C", limits.INTERRUPT_COLUMNS, limits.interrupt_rows(1 if run.quick else 5), note=note)


_TABLES: dict[str, Callable[[_Run], None]] = {
    "first": _first,
    "repair": _repair,
    "balance": _balance,
    "odd": _odd,
    "uneven": _uneven,
    "limits": _limits,
    "interrupt": _interrupt,
}


@click.command("exact")
@click.option("--time-limit", default=300.0, help="Seconds at most for a call, where its table has no shorter limit.")
@click.option("--repeat", default=5, help="Runs for a first safe placement; the median counts.")
@click.option("--seed", default=1, help="Of the instances that are drawn.")
@click.option("--quick", is_flag=True, help="Small clusters and short limits: less than two minutes.")
@click.option("--only", multiple=True, type=click.Choice(list(_TABLES)), help="These tables; all unless given.")
def command(time_limit: float = 300.0, repeat: int = 5, seed: int = 1, quick: bool = False, only: tuple[str, ...] = ()) -> None:
    """Instances by methods: how soon they have a placement, the best one, its proof."""
    vmplace.repair(generate(nodes=4, fill=0.7, profile="flavors", placed="worst-fit"), time_limit=10)  # loads the solver
    for name in only or _TABLES:
        _TABLES[name](_Run(time_limit, repeat, seed, quick))
