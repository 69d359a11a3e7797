"""``vmplace explain``: why a cluster is not safe, and what would help."""

from typing import Any

import click

from vmplace.cli.exits import answered, blaming
from vmplace.cli.io import print_result
from vmplace.cli.options import (
    SECONDS,
    all_option,
    combined,
    deterministic_option,
    file_argument,
    given,
    json_option,
    seed_option,
)
from vmplace.cli.what_if import guarantee_options, load_changed
from vmplace.report.console import watched

__all__ = ["explain"]


@click.command("explain")
@file_argument
@click.option("--time-limit", **SECONDS, help="Stop after this time (default 60); inf: try everything.")
@seed_option
@combined(deterministic_option, guarantee_options, json_option, all_option)
def explain(file: str, as_json: bool, everything: bool, **options: Any) -> int:
    """Explain why a cluster is not safe, and what would help.

    It names the VMs, rules and nodes to blame. Every remedy was tried and checked. The least intrusive come first.
    """
    import vmplace
    from vmplace.report.explain import explanation_report

    cluster = load_changed(file, options)
    options = given(options)
    with blaming(file, options), watched(lambda progress: progress.phase) as progress:
        found = vmplace.explain(cluster, progress=progress, **options)
    print_result(found, explanation_report, as_json, everything)
    return answered(found.status.value)
