"""The CP-SAT solver of OR-Tools: an integer linear program and a warm start in; outcome, incumbent and dual bound out."""

import math
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from attrs import define, field

from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Answer, IntegerProgram, Outcome

__all__ = ["CpSat", "load_solver", "together"]

_INFINITY = 2**62
_TICK = 0.01


@define
class CpSat:
    """The solver, with its settings.

    Parameters
    ----------
    seed
        Of the random choices.
    deterministic
        Whether it ends by its own measure of work (`Budget.work`), so that a search cut short ends in the same place on every
        run; the clock then only guards.

    Attributes
    ----------
    spent : float
        Work done so far by all searches.

    References
    ----------
    .. [1] OR-Tools 9.15, ``ProcessAtMostOneAndLinear``: https://github.com/google/or-tools/issues/5293
    """

    seed: int = 0
    deterministic: bool = False
    spent: float = field(default=0.0, init=False)

    def solve(
        self,
        program: IntegerProgram,
        *,
        budget: Budget,
        hint: Sequence[int] | None = None,
        on_solution: Callable[[tuple[int, ...]], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Minimise the program's objective.

        Parameters
        ----------
        program
            What to solve; its coefficients times bounds must stay below 2**62.
        budget
            The search returns the best it has when this is spent or cancelled.
        hint
            For a warm start: a value for every variable, good but not necessarily feasible.
        on_solution
            Called with each improving solution, from the solver's thread.
        on_progress
            Called with the incumbent's value and the dual bound now and then, from the calling thread.
        """
        best = Answer(Outcome.UNKNOWN, None, None)
        # One worker first: it is repeatable, and ends most searches soonest. Then a portfolio in lockstep, repeatable too.
        for workers, work in ((1, 4.0), (8, math.inf)):
            if program.done(best) or budget.spent:
                break
            answer = self.run(
                program,
                budget=budget,
                hint=best.values or hint,
                on_solution=on_solution,
                on_progress=on_progress,
                workers=workers,
                work=work,
            )
            best = together(program, best, answer)
        return best

    def run(
        self,
        program: IntegerProgram,
        *,
        budget: Budget,
        hint: Sequence[int] | None = None,
        on_solution: Callable[[tuple[int, ...]], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        workers: int = 1,
        work: float = math.inf,
        enough: Callable[[tuple[int, ...] | None], bool] | None = None,
    ) -> Answer:
        """As `solve`: one search of so many workers and so much work, which ends once `enough` is true of the incumbent."""
        try:
            model = _build(program, hint, budget)
        except OutOfTimeError:
            return Answer(Outcome.UNKNOWN, None, None)
        run = _Run(program, model, budget, on_solution, on_progress, enough)
        answer = run.solve(self._parameters(budget, workers, work))
        self.spent += run.work
        return answer

    def _parameters(self, budget: Budget, workers: int, work: float) -> dict[str, Any]:
        if self.deterministic:
            work = min(work, max(0.0, budget.work - self.spent))
        return {
            "random_seed": self.seed,
            "num_workers": workers,
            # Lockstep: the workers' exchange does not depend on the clock, so the answer does not either.
            "interleave_search": workers > 1,
            "max_deterministic_time": work,
            "max_time_in_seconds": budget.left,
            # Ctrl-C is ours: the budget's event stops the search.
            "catch_sigint_signal": False,
            # This part of presolve adds up activities in 32 bits, and calls a worse value optimal where they do not fit [1]_.
            "presolve_inclusion_work_limit": 0,
        }


def together(program: IntegerProgram, first: Answer, second: Answer) -> Answer:
    """What two searches of one program established together: the better incumbent, the higher dual bound."""
    best, other = first, second
    if _value(program, second) < _value(program, first):
        best, other = second, first
    known = [answer for answer in (first, second) if answer.bound is not None]
    firmest = max(known, key=lambda answer: answer.bound or 0, default=best)
    for answer in (best, other):
        if answer.settled:
            return Answer(answer.outcome, answer.values, firmest.bound, answer.by)
    if best.values is None:
        return Answer(Outcome.UNKNOWN, None, firmest.bound, firmest.by)
    proved = firmest.bound is not None and _value(program, best) <= firmest.bound
    return Answer(Outcome.OPTIMAL if proved else Outcome.FEASIBLE, best.values, firmest.bound, firmest.by)


def _value(program: IntegerProgram, answer: Answer) -> float:
    return math.inf if answer.values is None else program.value(program.objective, answer.values)


@define
class _Run:
    """One search, in a thread of its own so that the caller's keeps hearing of Ctrl-C and the clock."""

    program: IntegerProgram
    model: Any
    budget: Budget
    on_solution: Callable[[tuple[int, ...]], None] | None
    on_progress: Callable[[int, int], None] | None
    enough: Callable[[tuple[int, ...] | None], bool] | None
    work: float = field(default=0.0, init=False)
    _latest: tuple[int, ...] | None = field(default=None, init=False)
    _progress: tuple[int, int] = field(default=(0, 0), init=False)

    def solve(self, parameters: dict[str, Any]) -> Answer:
        from ortools.sat.python import cp_model

        solver = cp_model.CpSolver()
        for key, value in parameters.items():
            if value != math.inf:
                setattr(solver.parameters, key, value)
        solver.parameters.relative_gap_limit = float(self.program.gap)
        if self.budget.spent:
            return Answer(Outcome.UNKNOWN, None, None)
        result: list[Any] = []
        thread = threading.Thread(target=lambda: result.append(solver.solve(self.model, self._listener(cp_model))), daemon=True)
        thread.start()
        try:
            while _running(thread) and not self.budget.spent:
                if self.enough is not None and self.enough(self._latest):
                    break
                if self.on_progress is not None and self._latest is not None:
                    self.on_progress(*self._progress)
        finally:  # what the callback raises must not leave the search running
            self._stop(solver, thread)
        if not result:
            raise RuntimeError("the solver failed; this is a defect, please report it")
        if result[0] == cp_model.MODEL_INVALID:
            raise OverflowError(f"the model's numbers are too large for the solver: {self.model.validate()}")
        return self._answer(solver, Outcome[solver.status_name(result[0])])

    def _stop(self, solver: Any, thread: threading.Thread) -> None:
        """Ask until it has ended, so that no search outlives its call: one that has only just begun misses the first call."""
        while thread.is_alive():
            solver.stop_search()
            thread.join(_TICK)

    def _listener(self, cp_model: Any) -> Any:
        run = self

        class Listener(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]
            def on_solution_callback(self) -> None:
                values = tuple(self.response_proto.solution)[: len(run.program.lower)]
                if run.program.objective:
                    run._progress = (round(self.objective_value), round(self.best_objective_bound))
                run._latest = values  # after the progress: the reader of the one may read the other
                if run.on_solution is not None:
                    run.on_solution(values)

        return Listener()

    def _answer(self, solver: Any, outcome: Outcome) -> Answer:
        self.work = solver.response_proto.deterministic_time
        values = tuple(solver.response_proto.solution) if outcome in (Outcome.OPTIMAL, Outcome.FEASIBLE) else None
        bound = None
        if self.program.objective and outcome is not Outcome.INFEASIBLE and math.isfinite(solver.best_objective_bound):
            bound = solver.response_proto.inner_objective_lower_bound
        if (
            self.program.gap
            and values is not None
            and bound is not None
            and self.program.value(self.program.objective, values) > bound
        ):
            outcome = Outcome.FEASIBLE  # it ended within the gap
        return Answer(outcome, values, bound)


def load_solver() -> None:
    """Import the solver, which is slow the first time, so that no time limit of a search pays for it."""
    import_module("ortools.sat.python.cp_model")


def _running(thread: threading.Thread) -> bool:
    thread.join(_TICK)
    return thread.is_alive()


def _build(program: IntegerProgram, hint: Sequence[int] | None, budget: Budget) -> Any:
    """The program as a CP-SAT model, written straight into its protocol message: the operators cost several times that."""
    from ortools.sat.python import cp_model  # slow to import: only when first solving

    model = cp_model.CpModel()
    proto = model.proto
    for lower, upper in zip(program.lower, program.upper, strict=True):
        proto.variables.add().domain.extend([lower, upper])
    for terms, low, high in program.rows:
        budget.demand()
        linear = proto.constraints.add().linear
        linear.vars.extend([v for v, _ in terms])
        linear.coeffs.extend([c for _, c in terms])
        linear.domain.extend([-_INFINITY if low is None else low, _INFINITY if high is None else high])
    if program.objective:
        proto.objective.vars.extend([v for v, _ in program.objective])
        proto.objective.coeffs.extend([c for _, c in program.objective])
    if hint is not None:
        proto.solution_hint.vars.extend(list(range(len(hint))))
        proto.solution_hint.values.extend(list(hint))
    return model
