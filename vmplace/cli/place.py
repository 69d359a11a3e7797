"""``vmplace place`` and ``repair``: put VMs on nodes."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import blaming, exit_of, refuse_output
from vmplace.cli.io import print_result, progress_text, save, save_text
from vmplace.cli.options import file_argument, given, order_options, search_options
from vmplace.cli.what_if import change_options, load_changed
from vmplace.report.console import watched

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vmplace.model.cluster import Cluster
    from vmplace.report.tables import Screen
    from vmplace.results.placement import Solution

__all__ = ["attempted", "place", "repair", "solve"]

_ATTEMPT_SECONDS = 2.0
"""So long it is tried what would help, to say what to do next."""


@click.command("place")
@file_argument
@click.option("--move-running", is_flag=True, help="Let running VMs migrate, too.")
@order_options
@search_options
@change_options
def place(file: str, **options: Any) -> int:
    """Place waiting VMs on nodes so that the guarantee holds.

    Every failure of the guarantee is survived afterwards. Running VMs stay where they are, unless --move-running is given.
    """
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
    *nodes: Any,
    output: str | None,
    moves: str | None,
    as_json: bool,
    everything: bool,
    **options: Any,
) -> int:
    """Run place, repair or drain, write the files asked for, print the result."""
    refuse_output(output, moves, as_json=as_json)
    from rich.console import Group

    import vmplace
    from vmplace.report.next_steps import after_placement, after_refusal
    from vmplace.report.place import solution_report

    cluster = load_changed(file, options)
    options = given(options)
    objective = options.get("objective", "balance" if name == "place" else "moves")
    first = objective if isinstance(objective, str) else objective[0]
    with blaming(file, options), watched(progress_text(first if isinstance(first, str) else first[0])) as progress:
        solution: Solution = getattr(vmplace, name)(cluster, *nodes, progress=progress, **options)
    if solution.node_of is not None and output is not None:
        save(solution.to_document(), output)
    if solution.node_of is not None and moves is not None:
        save_moves(solution, moves)

    def drawn_with_next(found: "Solution", screen: "Screen") -> "RenderableType":
        if found.node_of is not None:
            further = after_placement(found, screen, moves=moves is not None, output=output is not None)
            return Group(solution_report(found, screen), *further)
        refused = name != "drain" and str(found.status) == "infeasible"
        if not refused or options.get("best_effort"):
            return solution_report(found, screen)
        moving = name == "repair" or bool(options.get("move_running"))
        further = after_refusal(name, found, partial(attempted, options), screen, moving=moving)
        return Group(solution_report(found, screen), *further)

    print_result(solution, drawn_with_next, as_json, everything, aside=output == "-")
    done = solution.node_of is not None and not solution.unsolved
    return exit_of(solution.guarantee.value if done else solution.status.value, done=done)


def attempted(options: Mapping[str, Any], name: str, cluster: "Cluster") -> "Solution":
    """What `place` or `repair` finds with the same options in a short time."""
    import vmplace

    asked = {key: value for key, value in options.items() if key != "move_running" or name == "place"}
    seconds = min(options.get("time_limit", _ATTEMPT_SECONDS), _ATTEMPT_SECONDS)
    found: Solution = getattr(vmplace, name)(cluster, **{**asked, "time_limit": seconds})
    return found


def save_moves(solution: "Solution", path: str) -> None:
    """Write the actions of a solution, in order."""
    from vmplace.results.migration import listed

    form = path[path.rindex(".") + 1 :]
    with blaming(path):
        whole = solution.afterwards is not None and form not in ("dot", "svg")
        text = listed(solution.maintenance, form) if whole else solution.todo.drawn(form)
    save_text([text], path)
