"""``vmplace drain``: nodes emptied for maintenance."""

from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import blaming, exit_of, refuse_output
from vmplace.cli.io import print_result, save, save_text
from vmplace.cli.options import file_argument, given, order_options, parsed, search_options
from vmplace.cli.place import solve
from vmplace.cli.what_if import change_options, load_changed
from vmplace.report.console import watched

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vmplace.report.tables import Screen
    from vmplace.results.rolling_drain import RollingDrain
    from vmplace.solvers.budget import Progress

__all__ = ["drain"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


@click.command("drain")
@file_argument
@click.argument("nodes", nargs=-1)
@click.option("--rolling", is_flag=True, help="Drain every node once, in as few groups as possible, one group after the other.")
@click.option("--at-once", type=click.IntRange(min=1), metavar="N", help="With --rolling: at most N nodes out at the same time.")
@click.option(
    "--order", callback=parsed(_names), metavar="NODES", help="With --rolling: these nodes first, in this order (n2,n1)."
)
@click.option("--only", callback=parsed(_names), metavar="NODES", help="With --rolling: drain these nodes only (n1,n2).")
@click.option("--home", is_flag=True, help="With --rolling: migrate VMs back after each group.")
@click.option("--strict", is_flag=True, help="Refuse drains during which the guarantee would not hold, or VMs would stop.")
@order_options
@search_options
@change_options
def drain(file: str, nodes: tuple[str, ...], rolling: bool, **options: Any) -> int:
    """Plan how to empty nodes for maintenance.

    As little memory as possible migrates, and the guarantee is kept on the other nodes.

    Where the guarantee cannot hold without NODES, they are drained all the same, the result says what is unprotected meanwhile,
    and the exit status is 4. Where the others have no room for all VMs, the fewest evictable ones are stopped for it. -o writes
    the document with NODES in maintenance; with --rolling, the cluster after the last group, with all nodes back.
    """
    if rolling == bool(nodes):
        raise click.UsageError(
            "--rolling drains all nodes: use --only to name some" if rolling else "name the nodes to drain, or use --rolling"
        )
    # Only what is given: left out, it is the opposite of --strict.
    options["best_effort"] = options["best_effort"] or None
    if rolling:
        return _roll(file, **options)
    for name in ("at_once", "order", "only", "home"):
        if options.pop(name):
            raise click.UsageError(f"--{name.replace('_', '-')} needs --rolling")
    return solve("drain", file, nodes, **options)


def _roll(file: str, *, output: str | None, moves: str | None, as_json: bool, everything: bool, **options: Any) -> int:
    if moves is not None and not moves.endswith((".sh", ".csv", ".json")):
        raise click.UsageError("--moves with --rolling needs a file that ends in .sh, .csv or .json")
    refuse_output(output, moves, as_json=as_json)
    from rich.console import Group

    import vmplace
    from vmplace.report.drain import rolling_report
    from vmplace.report.next_steps import unwritten

    cluster = load_changed(file, options)
    options = given(options)
    with blaming(file, options), watched(_progress) as progress:
        found = vmplace.rolling_drain(cluster, options.pop("only", None), progress=progress, **options)
    if found.groups and output is not None:
        save(found.to_document(cluster), output)
    if found.groups and moves is not None:
        from vmplace.results.migration import listed

        with blaming(moves):
            text = listed(found.todo, moves[moves.rindex(".") + 1 :])
        save_text([text], moves)

    def drawn_with_next(found: "RollingDrain", screen: "Screen") -> "RenderableType":
        further = unwritten(moves=moves is not None, output=output is not None) if found.groups else ()
        return Group(rolling_report(found, screen), *further)

    print_result(found, drawn_with_next, as_json, everything, aside=output == "-")
    done = found.status.value in ("optimal", "feasible")
    return exit_of(found.guarantee.value if done else found.status.value, done=done)


def _progress(progress: "Progress") -> str:
    return f"{progress.phase}, {progress.done or 0} of {progress.total}"
