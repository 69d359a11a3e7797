"""``vmplace tolerance``: how many failures at once are survived."""

from typing import Any

import click

from vmplace.cli.exits import blaming, exit_of
from vmplace.cli.io import print_result
from vmplace.cli.options import SECONDS, all_option, combined, file_argument, given, json_option
from vmplace.cli.what_if import change_options, load_changed
from vmplace.report.console import watched

__all__ = ["tolerance"]


@click.command("tolerance")
@file_argument
@click.option("--pool", metavar="NAME", help="Look at this pool only.")
@click.option("--time-limit", **SECONDS, help="Stop after this time (default 60) and report what is known; inf: no limit.")
@combined(change_options, json_option, all_option)
def tolerance(file: str, as_json: bool, everything: bool, **options: Any) -> int:
    """Show how many nodes may fail at once before a protected VM cannot restart.

    With --scope domain, how many failure domains. The document's number of failures does not matter.
    """
    import vmplace
    from vmplace.report.capacity import tolerance_report

    cluster = load_changed(file, options)
    options = given(options)
    with blaming(file, options), watched(lambda progress: f"{progress.done} of {progress.total}") as progress:
        found = vmplace.tolerance(cluster, progress=progress, **options)
    print_result(found, tolerance_report, as_json, everything)
    return exit_of(found.status.value)
