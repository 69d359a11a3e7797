"""``vmplace check``, ``show`` and ``tolerance``: which failures the cluster survives as it stands."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import answered, blaming, exit_of
from vmplace.cli.io import print_result, progress_text
from vmplace.cli.options import SECONDS, all_option, combined, file_argument, given, json_option, time_limit_option
from vmplace.cli.place import attempted
from vmplace.cli.what_if import change_options, load_changed
from vmplace.report.console import watched

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vmplace.report.tables import Screen
    from vmplace.results.placement import Report

__all__ = ["check", "show", "tolerance"]


@click.command("check")
@file_argument
@click.option("--compare", is_flag=True, help="Also show what other platforms' policies would promise, and which are wrong.")
@click.option(
    "--thorough", is_flag=True, help="Find the fewest VMs that each failure leaves without a node, however long it takes."
)
@combined(time_limit_option, json_option, all_option)
@change_options
def check(
    file: str, compare: bool, thorough: bool, time_limit: float | None, as_json: bool, everything: bool, **changes: Any
) -> int:
    """Check whether every failure of the guarantee is survived.

    If not, the report says which VMs cannot restart and why, and what to do next.
    """
    from rich.console import Group

    from vmplace.report.check import report
    from vmplace.report.next_steps import after_check

    found = _checked(file, time_limit, changes, compare=compare, thorough=thorough)

    def drawn_with_next(found: "Report", screen: "Screen") -> "RenderableType":
        return Group(report(found, screen), *after_check(found, partial(attempted, given({"time_limit": time_limit})), screen))

    print_result(found, drawn_with_next, as_json, everything)
    return exit_of(found.status.value)


@click.command("show")
@file_argument
@combined(time_limit_option, json_option, all_option)
@change_options
def show(file: str, time_limit: float | None, as_json: bool, everything: bool, **changes: Any) -> int:
    """Show each node, its load and what its failure does."""
    from vmplace.report.check import node_report

    found = _checked(file, time_limit, changes)
    print_result(found, node_report, as_json, everything)
    return answered(found.status.value)


def _checked(
    file: str, time_limit: float | None, changes: dict[str, Any], *, compare: bool = False, thorough: bool = False
) -> "Report":
    import vmplace

    cluster = load_changed(file, changes)
    limit = given({"time_limit": time_limit, "compare": compare})
    with blaming(file, limit), watched(progress_text("balance")) as progress:
        return vmplace.check(cluster, thorough=thorough, progress=progress, **limit)


@click.command("tolerance")
@file_argument
@click.option("--pool", metavar="NAME", help="Look at this pool only.")
@click.option("--time-limit", **SECONDS, help="Stop after this time (default 60) and report what is known; inf: no limit.")
@combined(change_options, json_option, all_option)
def tolerance(file: str, as_json: bool, everything: bool, **options: Any) -> int:
    """Show how many nodes may fail at once.

    So many may fail, whichever they are, and every protected VM restarts. With --scope domain, how many failure domains. The
    document's number of failures does not matter.
    """
    import vmplace
    from vmplace.report.capacity import tolerance_report

    cluster = load_changed(file, options)
    options = given(options)
    with blaming(file, options), watched(lambda progress: f"{progress.done} of {progress.total}") as progress:
        found = vmplace.tolerance(cluster, progress=progress, **options)
    print_result(found, tolerance_report, as_json, everything)
    return exit_of(found.status.value)
