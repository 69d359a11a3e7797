"""``vmplace explain``: why, and what would help."""

from typing import Any

import click

from vmplace.cli.exits import DONE, UNKNOWN, blaming
from vmplace.cli.io import load, print_result
from vmplace.cli.options import SECONDS, all_option, combined, file_argument, json_option, seed_option
from vmplace.report.console import watched

__all__ = ["explain"]


@click.command("explain")
@file_argument
@click.option("--time-limit", **SECONDS, help="Try no more after this time (60 unless given); inf: until all was tried.")
@seed_option
@click.option("--deterministic", is_flag=True, help="Count time in work, so that every run ends the same.")
@combined(json_option, all_option)
def explain(file: str, as_json: bool, everything: bool, **options: Any) -> int:
    """Say why a cluster is not safe, who is to blame, and what would help.

    Every remedy was tried and checked; the least intrusive come first.
    """
    import vmplace
    from vmplace.report.explain import explanation_report

    cluster = load(file)
    options = {name: value for name, value in options.items() if value is not None}
    with blaming(file, options), watched(lambda progress: progress.phase) as progress:
        found = vmplace.explain(cluster, progress=progress, **options)
    print_result(found, explanation_report, as_json, everything)
    return UNKNOWN if found.status.value == "unknown" else DONE
