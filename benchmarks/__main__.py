"""The command line of the benchmarks: one subcommand per comparison, a table at the end of each."""

import click

from benchmarks import binpacking, checking, exact, greedy, peers, real


@click.group(help=__doc__, context_settings={"show_default": True})
def main() -> None:
    """One subcommand per comparison."""


main.add_command(exact.command)
main.add_command(greedy.command)
main.add_command(checking.command)
main.add_command(real.command)
main.add_command(binpacking.command)
main.add_command(peers.command)


@main.command("all")
@click.pass_context
def everything(context: click.Context) -> None:
    """All of them, with their defaults."""
    for command in (exact.command, greedy.command, checking.command, real.command, binpacking.command, peers.command):
        context.invoke(command)


if __name__ == "__main__":
    main()
