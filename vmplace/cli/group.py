"""The group of commands: each is loaded when it is named."""

import os
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from vmplace import __version__
from vmplace.cli.exits import BAD_INPUT, MEANINGS, UNKNOWN, RefusedError
from vmplace.report.console import complain

__all__ = ["cli", "main"]

_COMMANDS = {
    "admit": "vmplace.cli.admit",
    "audit": "vmplace.cli.audit",
    "check": "vmplace.cli.check",
    "convert": "vmplace.cli.generate",
    "drain": "vmplace.cli.drain",
    "explain": "vmplace.cli.explain",
    "generate": "vmplace.cli.generate",
    "headroom": "vmplace.cli.capacity",
    "place": "vmplace.cli.place",
    "repair": "vmplace.cli.place",
    "show": "vmplace.cli.check",
    "size": "vmplace.cli.capacity",
    "tolerance": "vmplace.cli.check",
    "trend": "vmplace.cli.capacity",
}
"""The module of each command."""


def main(argv: Sequence[str]) -> int:
    """Run a command line without a process.

    Parameters
    ----------
    argv
        The arguments, without the name of the program.

    Returns
    -------
    int
        The exit status, 0 to 4, as the help lists them.
    """
    if not argv:
        click.echo(cli.get_help(click.Context(cli, info_name="vmplace")), err=True)
        return BAD_INPUT
    try:
        with cli.make_context("vmplace", list(argv)) as context:
            return int(cli.invoke(context))
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except RefusedError as refusal:
        for line in refusal.lines:
            complain(line)
        return BAD_INPUT
    except click.ClickException as error:
        complain(_usage_line(error))
        return BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted: nothing to show")
        return UNKNOWN
    except Exception as error:
        if os.environ.get("VMPLACE_DEBUG"):
            traceback.print_exc()
        complain(f"internal error: {type(error).__name__}: {error}: please report it (VMPLACE_DEBUG=1 shows where)")
        return UNKNOWN


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vmplace"
    return f"{path}: {error.format_message()} (see {path} --help)"


class _Commands(click.Group):
    """The commands, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        return None if module is None else getattr(import_module(module), cmd_name)


_HELP = """Place virtual machines so that any node can fail and every VM still fits on the others.

FILE is a cluster document in JSON, or in YAML where its suffix is .yaml or .yml; - reads it from stdin.

\b
  {"nodes": [{"name": "n1", "memory": "256GiB", "reserve": "8GiB"}],
   "vms":   [{"name": "db", "memory": "16GiB", "node": "n1"}]}

A VM without a node waits to be started. `vmplace generate` writes an example. Begin with `vmplace check FILE`: it says what to do
next. No command changes anything but the files that -o and --moves name.

\b
Exit status:
"""
_STATUSES = "\n".join(f"  {status}  {meaning.replace('`', '')}" for status, meaning in MEANINGS.items())


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False, help=_HELP + _STATUSES
)
@click.version_option(__version__)
def cli() -> None:
    """The command line."""
