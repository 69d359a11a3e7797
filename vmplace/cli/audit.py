"""``vmplace audit``: a saved result, verified without the search."""

from typing import Any

import click

from vmplace.cli.exits import RefusedError, blaming, exit_of, touching
from vmplace.cli.io import print_result
from vmplace.cli.options import all_option, combined, json_option
from vmplace.cli.what_if import change_options, load_changed
from vmplace.model.errors import InputError

__all__ = ["audit"]


@click.command("audit")
@click.argument("cluster")
@click.argument("result")
@combined(json_option, all_option)
@change_options
def audit(cluster: str, result: str, as_json: bool, everything: bool, **changes: Any) -> int:
    """Verify a saved --json result independently.

    RESULT is what a command printed with --json for CLUSTER; - is stdin for one of the two. Give the same what-if and guarantee
    options that the command had.

    Every claim is checked again without the search: its value, bound, plans, migrations and steps. A claim that cannot be checked
    again is listed, with the reason.

    Exit status: 0 the result is right, whatever it says of the cluster; 1 a claim is wrong; 2 not a result; 3 whether the
    guarantee holds could not be verified.
    """
    if cluster == result == "-":
        raise click.UsageError("CLUSTER and RESULT cannot both be stdin")
    from vmplace.auditor.claims.result import audit_result
    from vmplace.formats.result import read_result
    from vmplace.report.audit import audit_report

    try:
        document = load_changed(cluster, changes)
    except RefusedError:
        if _is_result(cluster):
            raise RefusedError(f"{cluster}: is a result, not a cluster: are the two files swapped?") from None
        raise
    with blaming(result), touching(result):
        found = audit_result(document, read_result(result))
    print_result(found, audit_report, as_json, everything)
    return exit_of(found.status.value)


def _is_result(path: str) -> bool:
    """Whether a file holds what --json printed."""
    from vmplace.formats.result import read_result

    try:
        return path != "-" and "status" in read_result(path)
    except (InputError, OSError):
        return False
