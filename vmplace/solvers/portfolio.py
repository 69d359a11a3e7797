"""A portfolio of two solvers in a race: CP-SAT, soonest at incumbents and at logic, and HiGHS, soonest at proofs."""

import math
from collections.abc import Callable, Sequence

from attrs import define, field

from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat, together
from vmplace.solvers.highs import Highs, HighsRun
from vmplace.solvers.program import Answer, IntegerProgram, Outcome

__all__ = ["Portfolio"]

_ALONE = 0.3
"""What CP-SAT works before a process is worth starting: most programs end within it."""


@define
class Portfolio:
    """Both solvers behind the interface of one.

    CP-SAT begins alone. What it leaves open, HiGHS and CP-SAT search side by side; the first proof ends both, and so do CP-SAT's
    incumbent and HiGHS's dual bound when they meet. Where that happens depends on the machine's load, and with it which of
    several equally good solutions is returned. With `deterministic` they search in turn, each to a measure of its own work.

    Parameters
    ----------
    seed
        Of random choices.
    deterministic
        Same answer on every run and on any number of cores, unless the clock ends a search before its measure of work does.
    effort
        What CP-SAT may work in all, alone; None for no such limit.
    """

    seed: int = 0
    deterministic: bool = False
    effort: float | None = None
    _cpsat: CpSat = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._cpsat = CpSat(self.seed, self.deterministic)

    @property
    def spent(self) -> float:
        """CP-SAT's work so far, in its own measure."""
        return self._cpsat.spent

    def solve(
        self,
        program: IntegerProgram,
        *,
        budget: Budget,
        hint: Sequence[int] | None = None,
        on_solution: Callable[[tuple[int, ...]], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Minimise the program's objective; the parameters are those of `CpSat.solve`."""
        tell = _Told(on_solution, on_progress)
        first = self._cpsat.run(
            program,
            budget=budget,
            hint=hint,
            work=_ALONE if self.effort is None else max(0.0, self.effort - self.spent),
            on_solution=on_solution,
            on_progress=tell.progress,
        )
        if program.done(first) or budget.spent or self.effort is not None:
            return first
        best, start = first, first.values or hint
        highs = Highs.measured(budget) if self.deterministic else Highs()
        if program.objective and highs.takes(program):
            if self.deterministic:
                found = highs.solve(program, budget=budget, hint=first.values, on_progress=tell.progress)
                best, over = together(program, first, found), False
            else:
                with highs.start(program, budget=budget, hint=first.values) as run:
                    best, over = self._race(program, budget, first, start, tell, run)
            if over or program.done(best) or budget.spent:
                return best
        start = best.values or hint
        last = self._cpsat.solve(program, budget=budget, hint=start, on_solution=on_solution, on_progress=tell.progress)
        return together(program, best, last)

    def _race(
        self,
        program: IntegerProgram,
        budget: Budget,
        first: Answer,
        hint: Sequence[int] | None,
        tell: "_Told",
        run: HighsRun,
    ) -> tuple[Answer, bool]:
        """What both establish, and whether that is the end: not where HiGHS ended without a word."""

        def enough(values: tuple[int, ...] | None) -> bool:
            tell.bound = max(tell.bound, -math.inf if run.bound is None else run.bound)
            latest = [found for found in (values, first.values) if found is not None]
            value = min((program.value(program.objective, found) for found in latest), default=math.inf)
            return program.close(value, tell.bound) or (run.ended and run.answer.settled)

        # One worker: the other core is HiGHS's.
        second = self._cpsat.run(
            program, budget=budget, hint=hint, on_solution=tell.on_solution, on_progress=tell.progress, enough=enough
        )
        best = together(program, together(program, first, second), run.answer)
        return best, not (run.ended and run.answer.outcome is Outcome.UNKNOWN)


@define
class _Told:
    """Progress for the caller: the better of the solvers' bounds.

    Parameters
    ----------
    on_solution, on_progress
        The caller's.
    """

    on_solution: Callable[[tuple[int, ...]], None] | None
    on_progress: Callable[[int, int], None] | None
    bound: float = -math.inf

    def progress(self, value: int, bound: int) -> None:
        """Pass on a value and a bound."""
        self.bound = max(self.bound, bound)
        if self.on_progress is not None:
            self.on_progress(value, int(self.bound))
