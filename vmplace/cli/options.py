"""Options and arguments that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vmplace.model.errors import not_among
from vmplace.model.units import parse_bandwidth, parse_reserve, short

__all__ = [
    "MIB",
    "SECONDS",
    "all_option",
    "combined",
    "deterministic_option",
    "effort_options",
    "file_argument",
    "given",
    "json_option",
    "memory_option",
    "order_options",
    "output_option",
    "overhead_option",
    "parsed",
    "search_options",
    "seed_option",
    "several",
    "time_limit_option",
]

MIB = ", such as 8GiB (MiB where no unit is given)"
"""What help says of how memory is written."""

_LONG = 20

Command = TypeVar("Command", bound=Callable[..., Any])

Callback = Callable[[click.Context, click.Parameter, Any], Any]


def parsed(parse: Callable[[Any], Any]) -> Callback:
    """An option's callback: a value that the parser refuses is a usage error."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return callback


def several(parse: Callable[[Any], Any]) -> Callback:
    """An option's callback where the option may be repeated."""
    one = parsed(parse)
    return lambda context, parameter, values: tuple(one(context, parameter, value) for value in values)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave: for the others, the function's own defaults count."""
    return {name: value for name, value in options.items() if value is not None}


def memory_option(parse: Callable[[int | str], int]) -> Callback:
    """Memory as in a document, where digits alone are MiB."""
    return parsed(lambda text: parse(int(text) if text.isascii() and text.isdigit() and len(text) < _LONG else text))


def combined(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


file_argument = click.argument("file")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
all_option = click.option("--all", "everything", is_flag=True, help="Show every list in full.")


def _moves_file(text: str) -> str:
    if not text.endswith((".sh", ".csv", ".json", ".dot", ".svg")):
        raise ValueError(f"{short(text)} must end in .sh, .csv, .json, .dot or .svg")
    return text


def _bandwidth(text: str) -> str:
    parse_bandwidth(text)
    return text


order_options = combined(
    click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="Migrate at most N VMs at the same time."),
    click.option(
        "--parallel-per-node",
        type=click.IntRange(min=1),
        metavar="N",
        help="Migrate at most N VMs from or to one node at the same time (default 1).",
    ),
    click.option(
        "--bandwidth",
        callback=parsed(_bandwidth),
        metavar="SPEED",
        help="Estimate how long migrations take on a network of this speed, such as 10Gbit or 1.25GB/s.",
    ),
    click.option(
        "--moves",
        callback=parsed(_moves_file),
        metavar="FILE",
        help="Write what to do, in order: as commands (.sh), a list (.csv, .json) or a graph (.dot, .svg).",
    ),
)
output_option = click.option(
    "-o", "--output", metavar="FILE", help="Write the resulting document (.yaml: as YAML; -: to stdout)."
)
SECONDS: dict[str, Any] = {"type": click.FloatRange(min=0), "metavar": "SECONDS"}
time_limit_option = click.option(
    "--time-limit", **SECONDS, help="Stop after this time and report the rest as unknown; inf: no limit."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of every random choice."
)

deterministic_option = click.option(
    "--deterministic", is_flag=True, help="Limit the search by work, not by the clock, so that every run gives the same answer."
)
effort_options = combined(
    click.option(
        "--method",
        type=click.Choice(["auto", "exact", "greedy"]),
        default="auto",
        show_default=True,
        help="exact searches for a proof, greedy is fast; auto chooses by the size of the cluster.",
    ),
    click.option("--time-limit", **SECONDS, help="Return the best found within this time (default 60); inf: until proved."),
    seed_option,
    deterministic_option,
)

overhead_option = click.option(
    "--overhead",
    callback=memory_option(parse_reserve),
    metavar="MEMORY",
    help=f"Memory that the hypervisor needs for each VM, on top of the VM's own{MIB}.",
)


def _objectives(text: str) -> str | tuple[str | tuple[str, str], ...]:
    """One name, or several, each with its slack after a colon, if it has any."""
    parts = [entry.partition(":") for entry in text.split(",")]
    odd = next((name for name, _, _ in parts if name not in _OBJECTIVES), None)
    if odd is not None:
        raise ValueError(not_among(odd, _OBJECTIVES))
    entries = tuple((name, slack) if colon else name for name, colon, slack in parts)
    return text if entries == (text,) else entries


_OBJECTIVES = ("balance", "moves", "consolidate", "rules")

search_options = combined(
    click.option(
        "--objective",
        callback=parsed(_objectives),
        metavar="NAMES",
        help="balance, moves, consolidate or rules (soft rules and homes), several joined by commas, most important first."
        " balance:5% may be 5% worse if that improves the objectives after it; 'balance:<=80%' accepts up to 80%."
        " By default, place balances; the other commands migrate the least memory.",
    ),
    click.option("--gap", metavar="SHARE", help="Stop once the result is known to be this close to the best possible: 1%."),
    effort_options,
    click.option("--best-effort", is_flag=True, help="Place every VM, even if not all can be protected."),
    click.option("--max-moves", type=click.IntRange(min=0), metavar="N", help="Migrate at most N VMs."),
    click.option(
        "--max-migrated", callback=memory_option(parse_reserve), metavar="MEMORY", help=f"Migrate at most this much memory{MIB}."
    ),
    output_option,
    json_option,
    all_option,
)
