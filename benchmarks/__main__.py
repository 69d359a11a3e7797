"""The command line of the benchmarks: one subcommand per comparison, a table at the end of each."""

import click

from benchmarks import (
    admission,
    binpacking,
    capacity,
    checking,
    exact,
    greedy,
    guarantees,
    migrations,
    peers,
    real,
    real_load,
    repairing,
    scale,
)

_MODULES = (
    exact,
    greedy,
    repairing,
    migrations,
    checking,
    guarantees,
    admission,
    capacity,
    real,
    real_load,
    binpacking,
    scale,
    peers,
)
_COMMANDS = [module.command for module in _MODULES]


@click.group(help=__doc__, context_settings={"show_default": True})
def main() -> None:
    """One subcommand per comparison."""


for command in _COMMANDS:
    main.add_command(command)


@main.command("all")
@click.pass_context
def everything(context: click.Context) -> None:
    """All of them, with their defaults."""
    for command in _COMMANDS:
        context.invoke(command)


if __name__ == "__main__":
    main()
