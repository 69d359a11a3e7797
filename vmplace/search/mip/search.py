"""Exact search: the MIP in lexicographic stages, with lazy constraints (logic-based cuts) from candidates that fail the check.

As in logic-based Benders decomposition [1]_ each solution of the MIP is certified failure by failure; what the MIP missed of one
comes back as rows or as a cut, until nothing is missed.

References
----------
.. [1] J. N. Hooker, G. Ottosson. Logic-based Benders decomposition. Mathematical Programming 96, 2003.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from attrs import define, field, frozen

from vmplace.failover.certify import certify_all
from vmplace.failover.verdict import JointVerdict, ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.goal import CandidatePlacement, Goal, Stage, losses
from vmplace.search.mip.any_order import forbid, forbid_stranding
from vmplace.search.mip.model import CountModel, GuaranteeRows
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.portfolio import Portfolio
from vmplace.solvers.program import Answer, Outcome

__all__ = ["Finding", "search"]

_SEARCH_SHARE = 0.9
_KEEP = 32
_WRITE_AT_ONCE = 8


@frozen(eq=False)
class Finding:
    """What a search ends with.

    Parameters
    ----------
    best
        The incumbent: the best candidate; None without one.
    bounds
        Per stage of the goal, the least its value can be, the earlier stages being at theirs.
    infeasible
        Whether it is proved that there is no candidate.
    stats
        Numbers of searches, of scenarios written out, deterministic time.
    by
        What gave each bound: ``bounds``, ``cp-sat``, ``highs`` or ``bin packing``.
    proved
        Whether the candidate is proved best, where that does not show in values and bounds.
    aim
        The goal that was searched last, where slack of the one that was given has become limits.
    """

    best: CandidatePlacement | None
    bounds: tuple[int | Fraction, ...]
    infeasible: bool
    stats: dict[str, Any]
    by: tuple[str, ...]
    proved: bool | None = None
    aim: Goal | None = None

    @property
    def optimal(self) -> bool:
        """Whether the candidate is proved best, or good enough."""
        if self.best is None or self.proved is not None:
            return bool(self.proved)
        return all(value <= bound for value, bound in zip(self.best.values, self.bounds, strict=True))


def search(
    problem: Problem,
    goal: Goal,
    *,
    budget: Budget,
    start: CandidatePlacement | None = None,
    onto: BoolArray | None = None,
    bounds: tuple[int | Fraction, ...] | None = None,
    portfolio: Portfolio | None = None,
    relaxed: bool = False,
) -> Finding:
    """Find the best placement, and prove it.

    Where the guarantee is more than a plan for each failure, the model has either rows that are sufficient for it, but not
    necessary: then neither bounds nor infeasibility say anything of the problem; or, `relaxed`, only necessary rows, and cuts
    from candidates that do not keep the guarantee.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        When it is spent, the best so far is returned with what bounds are known.
    start
        A candidate for a warm start.
    onto
        As for `CountModel`.
    bounds
        Of the goal's stages, where they are known already.
    portfolio
        The solvers to use.
    relaxed
        Whether to prove rather than to find, where there is a difference.
    """
    stages = goal.stages(problem)
    known = [least(problem, goal, stage) for stage in stages] if bounds is None else list(bounds)
    return _ExactSearch(problem, goal, budget, portfolio or Portfolio(), start, onto, stages, known, relaxed).run()


@define
class _ExactSearch:
    problem: Problem
    goal: Goal
    budget: Budget
    portfolio: Portfolio
    best: CandidatePlacement | None
    onto: BoolArray | None
    stages: list[Stage]
    bounds: list[int | Fraction]
    relaxed: bool
    by: list[str] = field(init=False)
    searches: int = field(default=0, init=False)
    written: int = field(default=0, init=False)
    cuts: int = field(default=0, init=False)
    _latest: list[tuple[int, ...]] = field(factory=list, init=False)
    _model: CountModel | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.by = ["bounds"] * len(self.stages)

    def run(self) -> Finding:
        bounds = self.bounds
        for number, stage in enumerate(self.stages):
            if not self._reached(number, bounds[number]):
                try:
                    feasible, bounds[number] = self._solve(number, bounds[number])
                except OutOfTimeError:
                    break
                if not feasible:
                    return Finding(None, tuple(bounds), True, self._stats(), tuple(self.by))
            if self.best is None or not self._reached(number, bounds[number]):
                break
            if self._model is not None:
                self._model.hold(stage, self.best.values[number])
        return Finding(self.best, tuple(bounds), False, self._stats(), tuple(self.by))

    def _reached(self, number: int, bound: int | Fraction) -> bool:
        """Whether the incumbent is close enough to the bound of a stage."""
        best, stages = self.best, self.stages[number : number + 1]
        return best is not None and self.goal.reached(stages, best.values[number : number + 1], (bound,))

    def _stats(self) -> dict[str, float]:
        told = {"searches": self.searches, "scenarios_written": self.written, "work": round(self.portfolio.spent, 6)}
        return told if self.problem.plain else {**told, "cuts": self.cuts}

    @property
    def model(self) -> CountModel:
        """Made when first needed: often the greedy candidate meets the bound, and nothing is to be searched."""
        if self._model is None:
            peak = max((b for (name, _), b in zip(self.stages, self.bounds, strict=True) if name == "balance"), default=0)
            self._model = CountModel(
                self.problem,
                self.goal,
                self.budget.share(_SEARCH_SHARE),
                onto=self.onto,
                least_peak=peak,
                any_order=not (self.relaxed or self.goal.best_effort),
            )
            for number, stage in enumerate(self.stages):
                if self.best is None or not self._reached(number, self.bounds[number]):
                    break
                self._model.hold(stage, self.best.values[number])
        return self._model

    def _solve(self, number: int, bound: int | Fraction) -> tuple[bool, int | Fraction]:
        """Bring one stage to its optimum, as far as time allows; whether there is a placement at all, and the stage's bound."""
        model, inner = self.model, self.budget.share(_SEARCH_SHARE)
        stage = self.stages[number]
        while not inner.spent:
            model.program.objective = model.objective(stage)
            model.program.gap = self.goal.gap if stage[0] in self.goal.objectives else Fraction(0)
            self._latest.clear()
            answer = self._search(stage, inner)
            if answer.outcome is Outcome.INFEASIBLE:
                self.by[number] = answer.by
                if self.best is None:
                    return False, bound
                # Nothing is better than the best: it was held out by `hold(strictly=True)`, and must not be for the next stage.
                self._model = None
                return True, self.best.values[number]
            if answer.bound is not None and model.bound(stage, answer.bound) > bound:
                bound, self.by[number] = model.bound(stage, answer.bound), answer.by
            if answer.values is None:
                break
            fresh = self._judge(answer.values)
            if self._reached(number, bound):
                return True, bound
            if fresh or inner.spent:
                continue
            if fresh is None or answer.outcome is not Outcome.OPTIMAL or self.best is None:
                break
            # The rounding of a share left a gap: ask for strictly better, until there is none.
            model.hold(stage, self.best.values[number], strictly=True)
        for values in reversed(self._latest):
            if self.budget.spent or self._adopt(*self._certified(values)):
                break
        return True, bound

    def _search(self, stage: Stage, budget: Budget) -> Answer:
        self.searches += 1
        hint = None if self.best is None or self.best.anew else self.model.variables.hint(self.best)

        def tell(value: int, bound: int) -> None:
            self.budget.tell("search", value=float(self.model.bound(stage, value)), bound=float(self.model.bound(stage, bound)))

        def remember(values: tuple[int, ...]) -> None:
            self._latest.append(values)
            del self._latest[:-_KEEP]

        return self.portfolio.solve(
            self.model.program,
            budget=budget,
            hint=hint,
            on_solution=remember,
            on_progress=tell,
        )

    def _judge(self, values: tuple[int, ...]) -> bool | None:
        """Certify a solution; take it if it is good, and write out scenarios that the model got wrong: whether there were any.

        None where it is not acceptable, but nothing can be stated against it: the model would only come up with it again.
        """
        node_of, powered, verdict = self._certified(values)
        self._adopt(node_of, powered, verdict)
        both = list(zip(self.model.guarantees, verdict.parts, strict=True))
        corrected = [
            self._correct(rows, number, part, powered) for rows, part in both for number in self._wrong(rows, values, part)
        ]
        if any(corrected) or any(self._cut(rows, part, powered) for rows, part in both if part.unsafe):
            return True
        return False if self._acceptable(verdict) else None

    def _cut(self, rows: GuaranteeRows, verdict: Verdict, powered: BoolArray | None) -> bool:
        """Forbid a placement that keeps no promise though there is a plan for each failure; False if that says too little."""
        if self._by_plans(rows) or verdict.state.problem.guarantee.policy is not None:
            return False  # what a policy does depends on which VMs are where, not only on how many
        forbid(rows.variables, verdict.state.node_of, powered)
        self.cuts += 1
        return True

    def _correct(self, rows: GuaranteeRows, number: int, verdict: Verdict, powered: BoolArray | None) -> bool:
        """State what the model missed of a failure: a cut, slots of a size, or all of it; False if that is done already."""
        state = verdict.state
        if self._forbid_stranding(rows, number, verdict):
            return True
        units = state.scenarios.key(number)
        # Slots are counted of as many units as failures: where domains fail and further nodes with them, there are more.
        slots = rows.slots if rows.losses is None and len(units) <= state.problem.failures else None
        if slots is not None and slots.sharpen(state.node_of, powered, state.scenarios.failing(number)):
            return True
        fresh = rows.restarts.write_out(units)
        self.written += fresh
        return fresh

    def _forbid_stranding(self, rows: GuaranteeRows, number: int, verdict: Verdict) -> bool:
        """Forbid how a VM is stranded, where no rule among VMs is part of it."""
        loss, state = verdict.losses.get(number), verdict.state
        if loss is None or loss.reason.kind != "stranded" or self._by_plans(rows):
            return False
        if state.problem.in_turn or state.restart_rules(state.scenarios.failing(number)):
            return False
        forbid_stranding(rows.variables, state.scenarios.key(number), loss.reason.vms[0], loss.reason.story)
        self.cuts += 1
        return True

    def _by_plans(self, rows: GuaranteeRows) -> bool:
        """Whether a plan for each failure is enough for a guarantee, so that no cuts are needed."""
        return rows.variables.problem.plain or self.goal.best_effort

    def _certified(self, values: tuple[int, ...]) -> tuple[IntArray, BoolArray | None, JointVerdict]:
        node_of, powered = self.model.variables.placement(values)
        wanted = self.goal.best_effort or not self.problem.plain
        verdict = certify_all(self.problem, node_of, budget=self.budget, powered=powered, losses=wanted)
        return node_of, powered, verdict

    def _adopt(self, node_of: IntArray, powered: BoolArray | None, verdict: JointVerdict) -> bool:
        """Take a candidate that is acceptable and better than the best."""
        if not self._acceptable(verdict):
            return False
        if not self.goal.allowed(self.problem, node_of):
            raise RuntimeError("the search broke a rule of placement; this is a defect, please report it")
        values = self.goal.values(self.problem, node_of, verdict, powered)
        if self.best is None or values < self.best.values:
            self.best = CandidatePlacement(node_of, powered, verdict, values)
            return True
        return False

    def _acceptable(self, verdict: JointVerdict) -> bool:
        return verdict.decided and self.goal.accepts(self.problem, verdict)

    def _wrong(self, rows: GuaranteeRows, values: tuple[int, ...], verdict: Verdict) -> list[int]:
        """Scenarios that the model thinks survived, or better survived than they are; the weightiest first."""
        if rows.losses is None:
            wrong = np.flatnonzero(verdict.fate == ScenarioStatus.UNSAFE)
        else:
            lost, scenarios, modelled = losses(verdict.state.problem, verdict), verdict.state.scenarios, rows.losses
            better = [n for n in range(len(scenarios)) if lost[n] > modelled.in_values(values, scenarios.key(n))]
            wrong = np.array(better, dtype=np.int64)
        by_weight = wrong[np.argsort(-verdict.state.asked[wrong], kind="stable")]
        # All at once on small clusters, and after the first few have not sufficed.
        most = _WRITE_AT_ONCE if self.written < _WRITE_AT_ONCE else self.problem.n_nodes
        return [int(number) for number in by_weight[:most]]
