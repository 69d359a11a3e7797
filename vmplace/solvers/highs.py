"""The MIP solver HiGHS through MathOpt, in a child process that can be killed: it overruns limits and ignores interrupts.

It computes in floats: its solutions are rounded and checked against the program in integers, its dual bounds are trusted up to a
millionth, and that it calls a program infeasible proves nothing.
"""

import contextlib
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen

from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Answer, IntegerProgram, Outcome

__all__ = ["Highs", "HighsRun"]

_LARGEST = 10**7
_TRUST = 1e-6
_TICK = 0.01

_NODES_PER_WORK, _ENTRIES_PER_WORK = 150, 12_000
"""What it does for each unit of `Budget.work` in less time than that stands for, on a core under load."""

_RESERVE = 0.15

_START = "import runpy, sys; sys.path += sys.argv[2:]; runpy.run_path(sys.argv[1], run_name='__main__')"


@frozen
class Highs:
    """The solver, with its limits.

    Parameters
    ----------
    nodes
        Nodes of its search tree after which it ends; None for no limit but time.
    entries
        The most coefficients of programs that it takes; None for no limit.
    """

    nodes: int | None = None
    entries: int | None = None

    @classmethod
    def measured(cls, budget: Budget) -> "Highs":
        """To end by its own measure rather than by the clock: after so many nodes, and with no program whose root takes long."""
        return cls(budget.steps(_NODES_PER_WORK), budget.steps(_ENTRIES_PER_WORK))

    def takes(self, program: IntegerProgram) -> bool:
        """Whether the program's numbers are small enough for floats, it has few enough, and this Python can start another."""
        startable = bool(sys.executable) and not getattr(sys, "frozen", False)
        few = self.entries is None or sum(len(terms) for terms, _, _ in program.rows) <= self.entries
        return startable and few and bool(program.lower) and program.largest <= _LARGEST

    def start(self, program: IntegerProgram, *, budget: Budget, hint: Sequence[int] | None = None) -> "HighsRun":
        """Begin a search beside the caller's own work."""
        return HighsRun(program, hint, _seconds(budget), self.nodes)

    def solve(
        self,
        program: IntegerProgram,
        *,
        budget: Budget,
        hint: Sequence[int] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Minimise the program's objective; the parameters are those of `CpSat.solve`."""
        if budget.spent or not self.takes(program):
            return Answer(Outcome.UNKNOWN, None, None)
        with self.start(program, budget=budget, hint=hint) as run:
            while not run.ended and not budget.spent:
                time.sleep(_TICK)
                if on_progress is not None and run.progress is not None:
                    on_progress(*run.progress)
            return run.answer


def _seconds(budget: Budget) -> float | None:
    """A little less than is left: what it has found is lost when it is killed."""
    return None if math.isinf(budget.left) else max(0.01, budget.left - max(_RESERVE, 0.05 * budget.left))


def _command() -> list[str]:
    """Starts `highs_worker` in isolated mode, so that the working directory and PYTHON* variables do not say what it imports.

    After the standard library and site-packages, it imports from where this process does, but for the working directory.
    """
    paths = [path for path in sys.path if path and os.path.exists(path) and not os.path.samefile(path, os.curdir)]
    return [sys.executable, "-I", "-c", _START, str(Path(__file__).with_name("highs_worker.py")), *paths]


class HighsRun:
    """One search in its process; as a context, it is killed at the end."""

    def __init__(
        self, program: IntegerProgram, hint: Sequence[int] | None, time_limit: float | None, node_limit: int | None
    ) -> None:
        self._program = program
        self._told: dict[str, Any] = {}
        self._process = subprocess.Popen(
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is the caller's to handle
        )
        lists = (program.lower, program.upper, program.rows, program.objective)
        task = pickle.dumps((lists, hint, time_limit, node_limit))
        self._talk = threading.Thread(target=self._converse, args=(task,), daemon=True)
        self._talk.start()

    def __enter__(self) -> "HighsRun":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._talk.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # Closing flushes what the child was killed before it could read.
                with contextlib.suppress(OSError):
                    pipe.close()

    def _converse(self, task: bytes) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            # Left open: the child ends itself when it closes, should this process die.
            self._process.stdin.write(task)
            self._process.stdin.flush()
            for line in self._process.stdout:
                self._told.update(json.loads(line))
        except (OSError, ValueError):
            return  # killed in the midst of it

    @property
    def ended(self) -> bool:
        """Whether it has said its last."""
        return not self._talk.is_alive()

    @property
    def bound(self) -> int | None:
        """The dual bound so far, rounded up to a whole number."""
        bound: float | None = self._told.get("bound")
        if bound is None or not math.isfinite(bound) or not self._program.objective:
            return None
        return math.ceil(bound - _TRUST * max(1.0, abs(bound)))

    @property
    def progress(self) -> tuple[int, int] | None:
        """Value of the incumbent and dual bound so far."""
        value, bound = self._told.get("value"), self.bound
        return None if value is None or bound is None or not math.isfinite(value) else (round(value), bound)

    @property
    def answer(self) -> Answer:
        """What it has established so far."""
        values = self._checked if self.ended else None
        if values is None:
            return Answer(Outcome.UNKNOWN, None, self.bound, "highs")
        proved = self.bound is not None and self._program.value(self._program.objective, values) <= self.bound
        return Answer(Outcome.OPTIMAL if proved else Outcome.FEASIBLE, values, self.bound, "highs")

    @cached_property
    def _checked(self) -> tuple[int, ...] | None:
        """Its solution in whole numbers, if they keep all rows; asked for once it has ended."""
        if self._told.get("values") is None:
            return None
        rounded = tuple(round(value) for value in self._told["values"])
        return rounded if self._program.holds(rounded) else None
