"""One run of a command: how long it took, how it ended, what it printed."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.table import Clock

__all__ = ["Ran", "run", "run_check"]


@frozen
class Ran:
    """A run that has ended, or was ended.

    Parameters
    ----------
    clock
        From its start until it ended or was killed.
    status
        Its exit status; None if time ran out.
    output
        Its standard output; empty if time ran out.
    errors
        Its standard error; empty if time ran out.
    """

    clock: Clock
    status: int | None
    output: str
    errors: str

    def text(self) -> str | None:
        """What it printed; None if time ran out.

        Raises
        ------
        RuntimeError
            If it failed.
        """
        if self.status:
            raise RuntimeError(f"exit status {self.status}: {self.errors.strip() or self.output.strip()}")
        return None if self.status is None else self.output


def run(command: Sequence[str], *, time_limit: float) -> Ran:
    """Run to the end, or kill after so many seconds."""
    with Clock() as clock:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=time_limit)
        except subprocess.TimeoutExpired:
            done = None
    return Ran(clock, None, "", "") if done is None else Ran(clock, done.returncode, done.stdout, done.stderr)


def run_check(path: Path, *, time_limit: float) -> Ran:
    """`vmplace check` of a document."""
    return run([sys.executable, "-m", "vmplace", "check", str(path)], time_limit=time_limit)
