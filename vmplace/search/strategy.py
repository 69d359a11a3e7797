"""Strategy: construction heuristics first, then MIP, large neighbourhood search or bin packing, as size and goal allow."""

from contextlib import suppress
from fractions import Fraction
from typing import get_args

from attrs import evolve, frozen

from vmplace.failover.certify import certify_all
from vmplace.model.columns import IntArray
from vmplace.model.kinds import Method
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import asking, eased
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.consolidate import Consolidation, spare_packing
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import CandidatePlacement, Goal, better
from vmplace.search.greedy import construct
from vmplace.search.lns import improve, repair_nodes
from vmplace.search.mip import best_effort
from vmplace.search.mip.relaxation import CoarseModel
from vmplace.search.mip.search import Finding, search
from vmplace.search.slack import Bounds, find_with_slack
from vmplace.search.ties import break_ties
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.highs import Highs, HighsRun
from vmplace.solvers.portfolio import Portfolio

__all__ = ["METHODS", "Strategy"]

METHODS = get_args(Method)

_WHOLE_NODES, _WHOLE_COUNTS = 500, 20_000
"""Up to so many nodes, and classes of VMs times nodes, one model of everything is searched first."""

_LATER_COUNTS = 60_000
"""Up to so many counts ``exact`` goes on from neighbourhoods to the one model of everything."""

_IMPROVED_NODES, _IMPROVED_COUNTS = 2_000, 2_000_000
"""Up to so many nodes `auto` goes beyond greedy; up to so many counts anything does, for memory's sake."""

_SLIGHT = Fraction(1, 100)
"""On more nodes than one model takes, `auto` does not go on for a gap as small as this."""

_ENOUGH_SHARE = 0.5

_GREEDY_SHARE, _PACKING_SHARE, _SEARCH_SHARE, _IMPROVE_SHARE = 0.5, 0.5, 0.75, 0.6

_COARSE_SHARE = 0.3

_TIES_COUNTS, _TIES_EFFORT = 600, 0.3
"""Up to so many counts ties are broken exactly, with so much work: a measure that ends in the same place on every run."""

_STEPS_PER_WORK = 10
"""Neighbourhoods for each unit of `Budget.work`, where the clock must not end them."""


@frozen
class Strategy:
    """How one goal after another is pursued on a problem.

    Parameters
    ----------
    method
        One of `METHODS`. ``auto`` is ``exact`` up to 2,000 nodes, ``greedy`` above, and above 500 where greedy leaves a gap of
        1 % or less; ``exact`` is greedy, too, where classes of VMs times nodes are more than 2,000,000.
    effort
        As for `Portfolio`: how much each exact search may work.
    """

    method: str
    seed: int
    deterministic: bool
    effort: float | None = None

    def find(
        self, problem: Problem, goal: Goal, *, budget: Budget, start: CandidatePlacement | None = None
    ) -> tuple[Finding, str]:
        """What the methods found, and the name of the one that the answer rests on: ``greedy``, ``exact``, or ``improve``
        where neighbourhoods were searched but never the whole; no worse than the start, if one is known."""

        def search(part: Goal, share: Budget, start: CandidatePlacement | None, bounds: Bounds) -> tuple[Finding, str]:
            return self._find(problem, part, share, start, bounds)

        return find_with_slack(problem, goal, search, budget=budget, start=start, bounds={})

    def _find(
        self, problem: Problem, goal: Goal, budget: Budget, found: CandidatePlacement | None, known_bounds: Bounds
    ) -> tuple[Finding, str]:
        large = self.method == "auto" and problem.n_nodes > _IMPROVED_NODES
        greedy = self.method == "greedy" or large or len(problem.classes) * problem.n_nodes > _IMPROVED_COUNTS
        start = construct(problem, goal, budget=budget if greedy else budget.share(_GREEDY_SHARE), thorough=greedy)
        bounds = tuple(max(least(problem, goal, stage), known_bounds.get(stage, 0)) for stage in goal.stages(problem))
        if found is not None:
            values = goal.values(problem, found.node_of, found.verdict, found.powered)
            start = better(evolve(found, values=values, anew=False), start)
        if start is not None:
            start.tell(budget, bounds)
        if not greedy and goal.few_moves and (start is None or start.anew):
            share = budget.share(_GREEDY_SHARE)
            start = better(start, repair_nodes(problem, goal, budget=share, seed=self.seed, deterministic=self.deterministic))
            if start is not None:
                start.tell(budget, bounds)
        known = Finding(start, bounds, False, {}, ("bounds",) * len(bounds))
        if goal.best_effort and not _compact(problem) and not greedy:
            known = self._unmodelled(problem, goal, known, budget.share(_ENOUGH_SHARE))
            if not known.infeasible and best_effort.applies(problem, goal):
                known = self._exact(problem, goal, known, budget)
            return known, "exact"
        if greedy or (self.method == "auto" and problem.n_nodes > _WHOLE_NODES and _nearly(known)):
            return known, "greedy"
        if _done(problem, goal, known):
            return known, "exact"
        if goal.objectives[0] == "consolidate":
            known = _packed(problem, goal, known, budget.share(_PACKING_SHARE))
            if known.infeasible or _done(problem, goal, known):
                return known, "exact"
        return self._search(problem, goal, known, budget)

    def break_ties(self, problem: Problem, goal: Goal, found: Finding, *, budget: Budget) -> Finding:
        """The finding with the best of the placements that are as good as its own: see `vmplace.search.ties`."""
        modelled = not goal.best_effort or _compact(problem) or best_effort.applies(problem, goal)
        exact = self.method != "greedy" and modelled and _small(problem)
        settling = evolve(self, effort=_TIES_EFFORT)
        return break_ties(
            problem, goal, found, budget=budget, exact=(lambda *asked: settling._exact(problem, *asked)) if exact else None
        )

    def _search(self, problem: Problem, goal: Goal, known: Finding, budget: Budget) -> tuple[Finding, str]:
        counts = len(problem.classes) * problem.n_nodes
        whole = problem.n_nodes <= _WHOLE_NODES and counts <= _WHOLE_COUNTS
        if whole:
            known = self._exact(problem, goal, known, budget.share(_SEARCH_SHARE))
        elif known.best is not None:
            later = self.method == "exact" and counts <= _LATER_COUNTS
            known = self._improved(problem, goal, known, budget.share(_IMPROVE_SHARE) if later else budget)
        if known.infeasible or _done(problem, goal, known) or budget.spent:
            return known, "exact" if whole else "improve"
        if whole and known.best is not None:
            return self._improved(problem, goal, known, budget), "exact"
        if known.best is None or (self.method == "exact" and counts <= _LATER_COUNTS):
            return self._exact(problem, goal, known, budget), "exact"
        return known, "improve"

    def _unmodelled(self, problem: Problem, goal: Goal, known: Finding, budget: Budget) -> Finding:
        """A best effort where the compact model does not tell what failures leave out: for several at once, or beyond a plan.

        Any placement is acceptable. The best as if no node failed is one to choose from; without it, none exists. The one that
        would leave out least if all restarts were planned is another.
        """
        easy = asking(problem, lambda asked: evolve(asked.eased, failures=0))
        calm = evolve(goal, best_effort=False, worst=None)
        found = self._exact(easy, calm, Finding(None, known.bounds[-len(calm.stages(easy)) :], False, {}, ()), budget)
        if found.best is None:
            return evolve(known, infeasible=found.infeasible and known.best is None, stats=found.stats)
        judge = Evaluator(problem, goal, budget, searching=True)
        best = better(known.best, judge.candidate(found.best.node_of))
        planned = self._by_plans(problem, goal, (best or found.best).node_of, budget)
        if planned is not None:
            best = better(best, judge.candidate(planned.node_of))
        return evolve(known, best=best, stats=found.stats)

    def _by_plans(self, problem: Problem, goal: Goal, node_of: IntArray, budget: Budget) -> CandidatePlacement | None:
        """From a placement, what would leave out least if all restarts were planned, as far as limited work finds it."""
        plans, aim = eased(problem), evolve(goal, worst=None)
        if problem.plain or not _small(plans) or not (_compact(plans) or best_effort.applies(plans, aim)):
            return None
        start = Evaluator(plans, aim, budget, searching=True).candidate(node_of)
        bounds = tuple(least(plans, aim, stage) for stage in aim.stages(plans))
        limited = evolve(self, effort=_TIES_EFFORT)
        return limited._searched(plans, aim, Finding(start, bounds, False, {}, ()), budget, relaxed=True).best

    def _exact(self, problem: Problem, goal: Goal, known: Finding, budget: Budget) -> Finding:
        if not problem.plain:
            # What is enough for the promise gives placements; what is necessary gives bounds, and perhaps a better one.
            enough = self._searched(problem, goal, known, budget.share(_ENOUGH_SHARE), relaxed=False)
            known = evolve(known, best=better(known.best, enough.best))
        found = self._searched(problem, goal, known, budget, relaxed=True)
        by = tuple(
            new if bound > before else old
            for new, old, bound, before in zip(found.by, known.by or found.by, found.bounds, known.bounds, strict=True)
        )
        return evolve(found, by=by, stats={**known.stats, **found.stats})

    def _searched(self, problem: Problem, goal: Goal, known: Finding, budget: Budget, *, relaxed: bool) -> Finding:
        portfolio = Portfolio(self.seed, self.deterministic, self.effort)
        return search(problem, goal, budget=budget, start=known.best, bounds=known.bounds, portfolio=portfolio, relaxed=relaxed)

    def _improved(self, problem: Problem, goal: Goal, known: Finding, budget: Budget) -> Finding:
        assert known.best is not None
        steps = budget.steps(_STEPS_PER_WORK) if self.deterministic else None
        with _Beside(problem, goal, budget, self.deterministic) as beside:
            best, stats = improve(
                problem,
                goal,
                known.best,
                budget=budget,
                bounds=known.bounds,
                seed=self.seed,
                steps=steps,
                enough=lambda candidate: (
                    len(candidate.values) == 1
                    and goal.reached(goal.stages(problem), candidate.values, (max(beside.bound, known.bounds[0]),))
                ),
            )
        bounds, by = list(known.bounds), list(known.by)
        if beside.bound > bounds[0]:
            bounds[0], by[0] = beside.bound, "highs"
        return evolve(known, best=best, bounds=tuple(bounds), by=tuple(by), stats={**known.stats, **stats})


class _Beside:
    """A bound on the fewest moves, computed in another process while this one looks for placements; 0 where there is none."""

    def __init__(self, problem: Problem, goal: Goal, budget: Budget, in_turn: bool) -> None:
        self._run: HighsRun | None = None
        self._unit, self._bound = 1, 0
        modelled = next((part for part in problem.each if CoarseModel.applies(part, goal)), None)
        if modelled is None:
            return
        with suppress(OutOfTimeError):
            model = CoarseModel(modelled, goal, budget.share(_COARSE_SHARE))
            self._unit = model.unit
            if in_turn:
                share = budget.share(_COARSE_SHARE)
                self._bound = Highs.measured(share).solve(model.program, budget=share).bound or 0
            elif Highs().takes(model.program):
                self._run = Highs().start(model.program, budget=budget)

    def __enter__(self) -> "_Beside":
        return self

    def __exit__(self, *_: object) -> None:
        if self._run is not None:
            self._bound = self._run.bound or 0
            self._run.__exit__()

    @property
    def bound(self) -> int:
        """In MiB, as known so far."""
        bound = self._bound if self._run is None else max(self._bound, self._run.bound or 0)
        return bound * self._unit


def _done(problem: Problem, goal: Goal, known: Finding) -> bool:
    """Whether it is as close to its bounds as is asked for."""
    return known.best is not None and goal.reached(goal.stages(problem), known.best.values, known.bounds)


def _compact(problem: Problem) -> bool:
    """Whether a plan for each single failure is all that is asked: what these leave out has a compact model."""
    return problem.plain and all(part.failures <= 1 for part in problem.each)


def _small(problem: Problem) -> bool:
    """Whether the whole model is worth limited work."""
    return problem.n_nodes <= _TIES_COUNTS and len(problem.classes) * problem.n_nodes <= _TIES_COUNTS


def _nearly(known: Finding) -> bool:
    """Whether all that is left to gain is less than a hundredth."""
    pairs = () if known.best is None else zip(known.best.values, known.bounds, strict=True)
    return known.best is not None and all(value - bound <= value * _SLIGHT for value, bound in pairs)


def _packed(problem: Problem, goal: Goal, known: Finding, budget: Budget) -> Finding:
    """What bin packing adds where it applies: a bound on the fewest nodes, perhaps a placement that meets it."""
    for part in problem.each:
        packing = spare_packing(part, goal, budget=budget.share(1 / len(problem.each)))
        if packing is not None and not known.infeasible:
            known = _with_packing(problem, goal, known, packing, budget)
    return known


def _with_packing(problem: Problem, goal: Goal, known: Finding, packing: Consolidation, budget: Budget) -> Finding:
    """What is known with a packing for one guarantee: it bounds what all of them need."""
    number = [name for name, _ in goal.stages(problem)].index("consolidate")
    bounds, by = list(known.bounds), list(known.by)
    if packing.bound > bounds[number]:
        bounds[number], by[number] = packing.bound, "bin packing"
    best = better(known.best, _judged(problem, goal, packing, budget))
    # Bounds of the later stages hold whatever the earlier ones are.
    found: tuple[int | Fraction, ...] = tuple(bounds)
    return Finding(best, found, packing.infeasible, {**known.stats, "bin_packing": packing.method}, tuple(by))


def _judged(problem: Problem, goal: Goal, packing: Consolidation, budget: Budget) -> CandidatePlacement | None:
    if packing.node_of is None:
        return None
    verdict = certify_all(problem, packing.node_of, budget=budget, powered=packing.powered, losses=False)
    if not verdict.safe or not goal.allowed(problem, packing.node_of):
        return None
    values = goal.values(problem, packing.node_of, verdict, packing.powered)
    return CandidatePlacement(packing.node_of, packing.powered, verdict, values)
