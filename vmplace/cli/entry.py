"""The command line: parse, call the function of the same name, print."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence

import click

from vmplace.cli import admit, capacity, check, drain, explain, generate, place, trend
from vmplace.cli.exits import BAD_INPUT, UNKNOWN, RefusedError
from vmplace.report.console import complain

__all__ = ["cli", "entry", "main"]


def main(argv: Sequence[str]) -> int:
    """Run a command line without a process.

    Parameters
    ----------
    argv
        The arguments, without the name of the program.

    Returns
    -------
    int
        The exit status: 0 safe or done; 1 unsafe, infeasible, refused, or best effort that is not safe; 2 bad input or usage;
        3 unknown.
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


def entry() -> None:
    """The program ``vmplace``: run its command line and leave with the exit status."""
    sys.unraisablehook = _unless_interrupted
    status = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C must not turn an answer into a crash on the way out
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # nobody reads what is left, and the interpreter need not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if threading.active_count() > 1:  # a solver that has not heard yet that it should stop would abort an orderly exit
        os._exit(status)
    sys.exit(status)


def _unless_interrupted(found: "sys.UnraisableHookArgs") -> None:
    """One more Ctrl-C, just where Python cannot pass it on, is no news."""
    if not issubclass(found.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(found)


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vmplace"
    return f"{path}: {error.format_message()} (see {path} --help)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="vmplace")
def cli() -> None:
    """Place virtual machines so that any node can fail and every VM still fits on the others.

    FILE is a cluster document in JSON, or in YAML where its suffix is .yaml or .yml; - reads it from stdin.

    Exit status: 0 safe or done; 1 unsafe, infeasible, refused or best effort that is not safe; 2 bad input or usage; 3 unknown,
    because time ran out or Ctrl-C came first.
    """


for _command in (
    check.check,
    check.show,
    place.place,
    place.repair,
    capacity.headroom,
    capacity.size,
    admit.admit,
    drain.drain,
    explain.explain,
    trend.trend,
    check.audit,
    generate.convert,
    generate.generate,
):
    cli.add_command(_command)
