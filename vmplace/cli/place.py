"""``vmplace place`` and ``repair``: where VMs should be."""

from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import NOT_SAFE, OF_VERDICT, UNKNOWN, blaming, refuse_output
from vmplace.cli.io import print_result, progress_text, save, save_text
from vmplace.cli.options import file_argument, order_options, parsed, search_options
from vmplace.cli.what_if import change_options, load_changed
from vmplace.model.units import short
from vmplace.report.console import watched

if TYPE_CHECKING:
    from vmplace.results.placement import Solution

__all__ = ["place", "repair", "solve"]

_OBJECTIVES = ("balance", "moves", "consolidate")

_OBJECTIVE_HELP = "balance, moves or consolidate; several joined by commas count in that order."


def _objectives(text: str) -> str | tuple[str, ...]:
    names = tuple(text.split(","))
    odd = next((name for name in names if name not in _OBJECTIVES), None)
    if odd is not None:
        raise ValueError(f"{short(odd)} is not one of {', '.join(_OBJECTIVES)}")
    return names if len(names) > 1 else names[0]


@click.command("place")
@file_argument
@click.option("--objective", callback=parsed(_objectives), default="balance", show_default=True, help=_OBJECTIVE_HELP)
@click.option("--move-running", is_flag=True, help="VMs that run may migrate, too.")
@order_options
@search_options
@change_options
def place(file: str, **options: Any) -> int:
    """Place waiting VMs so that the failures of the guarantee are survived."""
    if options["moves"] is not None and not options["move_running"]:
        raise click.UsageError("--moves is for --move-running: else nothing migrates")
    return solve("place", file, **options)


@click.command("repair")
@file_argument
@order_options
@search_options
@change_options
def repair(file: str, **options: Any) -> int:
    """Make a cluster safe with the least memory migrated."""
    return solve("repair", file, **options)


def solve(
    name: str,
    file: str,
    *given: Any,
    output: str | None,
    moves: str | None,
    as_json: bool,
    everything: bool,
    **options: Any,
) -> int:
    """Run place, repair or drain, write what is to be written, print the result."""
    if as_json and output == "-":
        raise click.UsageError("--json and -o - would both write to stdout")
    refuse_output(output)
    refuse_output(moves)
    import vmplace
    from vmplace.report.check import solution_report

    cluster = load_changed(file, options)
    options = {name: value for name, value in options.items() if value is not None}  # the function's defaults count
    objective = options.get("objective", "moves")
    first = objective if isinstance(objective, str) else objective[0]
    with blaming(file, options), watched(progress_text(first)) as progress:
        solution: Solution = getattr(vmplace, name)(cluster, *given, progress=progress, **options)
    if solution.node_of is not None and output is not None:
        save(solution.to_document(), output)
    if solution.node_of is not None and moves is not None:
        save_moves(solution, moves)
    print_result(solution, solution_report, as_json, everything, aside=output == "-")
    return _status(solution)


def save_moves(solution: "Solution", path: str) -> None:
    """Write the migrations in order."""
    from vmplace.results.migration import MigrationPlan
    from vmplace.results.moves_text import FORMS
    from vmplace.results.placement import Status

    plan = solution.plan or MigrationPlan(status=Status.OPTIMAL)
    save_text(FORMS[path[path.rindex(".") :]](plan), path)


def _status(solution: "Solution") -> int:
    if solution.node_of is None:
        return NOT_SAFE if solution.status.value == "infeasible" else UNKNOWN
    return OF_VERDICT[solution.guarantee.value]
