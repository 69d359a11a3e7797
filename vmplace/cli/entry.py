"""The program ``vmplace``: its command line in a process, with an exit status."""

import os
import sys

from vmplace import __version__

__all__ = ["entry"]


def entry() -> None:
    """Run the command line and leave with the exit status; the version alone loads nothing else."""
    if sys.argv[1:] == ["--version"]:
        print(f"vmplace, version {__version__}")
        _flush()
        sys.exit()
    import signal
    import threading

    from vmplace.cli.group import main

    sys.unraisablehook = _unless_interrupted
    status = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C must not turn an answer into a crash on the way out
    _flush()
    if threading.active_count() > 1:  # a solver that has not heard yet that it should stop would abort an orderly exit
        os._exit(status)
    sys.exit(status)


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # nobody reads what is left, and the interpreter need not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unless_interrupted(found: "sys.UnraisableHookArgs") -> None:
    """Stay silent about a second Ctrl-C that Python cannot pass on."""
    if not issubclass(found.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(found)
