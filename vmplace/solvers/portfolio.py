"""Two engines for one program: CP-SAT, soonest at good solutions and at logic, and HiGHS beside it, soonest at proofs."""

import math
from collections.abc import Callable, Sequence

from attrs import define, field

from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import Answer, CpSat, Outcome, together
from vmplace.solvers.highs import Highs, HighsRun
from vmplace.solvers.program import IntegerProgram

__all__ = ["Portfolio"]

_ALONE = 0.3
"""What CP-SAT works before a process is worth starting: most programs end within it."""


@define
class Portfolio:
    """Both engines behind the interface of one.

    CP-SAT begins alone. What it leaves open, HiGHS and CP-SAT search side by side; whichever proves first ends both, and so do
    CP-SAT's best and HiGHS's bound when they meet. Where that happens depends on the machine's load, and with it which of several
    equally good solutions is returned. With `deterministic` they search in turn, each to a measure of its own work.

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
        if first.settled or budget.spent or self.effort is not None:
            return first
        highs = Highs.measured(budget) if self.deterministic else Highs()
        if not program.objective or not highs.takes(program):
            return together(program, first, self._continue(program, budget, first.values or hint, tell))
        if self.deterministic:
            second = together(program, first, highs.solve(program, budget=budget, hint=first.values, on_progress=tell.progress))
            if second.settled or budget.spent:
                return second
            return together(program, second, self._continue(program, budget, second.values or hint, tell))
        with highs.start(program, budget=budget, hint=first.values) as run:
            return self._race(program, budget, first, first.values or hint, tell, run)

    def _continue(self, program: IntegerProgram, budget: Budget, hint: Sequence[int] | None, tell: "_Told") -> Answer:
        return self._cpsat.solve(program, budget=budget, hint=hint, on_solution=tell.on_solution, on_progress=tell.progress)

    def _race(
        self,
        program: IntegerProgram,
        budget: Budget,
        first: Answer,
        hint: Sequence[int] | None,
        tell: "_Told",
        run: HighsRun,
    ) -> Answer:
        def enough(values: tuple[int, ...] | None) -> bool:
            tell.bound = max(tell.bound, -math.inf if run.bound is None else run.bound)
            latest = [found for found in (values, first.values) if found is not None]
            value = min((program.value(program.objective, found) for found in latest), default=math.inf)
            return value <= tell.bound or (run.ended and run.answer.settled)

        # One worker: the other core is HiGHS's.
        second = self._cpsat.run(
            program, budget=budget, hint=hint, on_solution=tell.on_solution, on_progress=tell.progress, enough=enough
        )
        best = together(program, together(program, first, second), run.answer)
        if run.answer.outcome is Outcome.UNKNOWN and run.ended and not best.settled and not budget.spent:
            return together(program, best, self._continue(program, budget, best.values or hint, tell))
        return best


@define
class _Told:
    """Progress for the caller: the better of the engines' bounds.

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
