"""``vmplace drain``: nodes emptied for maintenance."""

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import DONE, NOT_SAFE, UNKNOWN, blaming, refuse_output
from vmplace.cli.io import print_result, save, save_text
from vmplace.cli.options import file_argument, order_options, search_options
from vmplace.cli.place import solve
from vmplace.cli.what_if import change_options, load_changed
from vmplace.report.console import watched

if TYPE_CHECKING:
    from vmplace.solvers.budget import Progress

__all__ = ["drain"]

_OF_ROLLING = {"optimal": DONE, "feasible": DONE, "infeasible": NOT_SAFE, "unknown": UNKNOWN}


@click.command("drain")
@file_argument
@click.argument("nodes", nargs=-1)
@click.option("--rolling", is_flag=True, help="Drain every node once, in as few groups as can be, one after the other.")
@order_options
@search_options
@change_options
def drain(file: str, nodes: tuple[str, ...], rolling: bool, **options: Any) -> int:
    """Empty NODES for maintenance with the least memory migrated; the rest is safe without them.

    The document that -o writes has them in maintenance; with --rolling it is the cluster after the last group, all nodes back.
    """
    if rolling == bool(nodes):
        raise click.UsageError(
            "--rolling is for all nodes: name none" if rolling else "name the nodes to drain, or use --rolling"
        )
    return _roll(file, **options) if rolling else solve("drain", file, nodes, **options)


def _roll(file: str, *, output: str | None, moves: str | None, as_json: bool, everything: bool, **options: Any) -> int:
    if as_json and output == "-":
        raise click.UsageError("--json and -o - would both write to stdout")
    if options.pop("best_effort"):
        raise click.UsageError("--best-effort is not for --rolling: the guarantee is to be kept")
    if moves is not None and not moves.endswith(".sh"):
        raise click.UsageError("--moves of several groups go to a file that ends in .sh")
    refuse_output(output)
    refuse_output(moves)
    import vmplace
    from vmplace.report.drain import rolling_report
    from vmplace.results.moves_text import commands

    cluster = load_changed(file, options)
    options = {name: value for name, value in options.items() if value is not None}
    with blaming(file, options), watched(_progress) as progress:
        found = vmplace.rolling_drain(cluster, progress=progress, **options)
    if found.status.value in ("optimal", "feasible"):
        if output is not None:
            save(found.to_document(cluster), output)
        if moves is not None:
            plans = ((group.drained, group.plan) for group in found.groups)
            save_text(
                chain.from_iterable((f"# drain {' '.join(nodes)}\n", *(commands(plan) if plan else ())) for nodes, plan in plans),
                moves,
            )
    print_result(found, rolling_report, as_json, everything, aside=output == "-")
    return _OF_ROLLING[found.status.value]


def _progress(progress: "Progress") -> str:
    return f"{progress.phase}, {progress.done or 0} of {progress.total}"
