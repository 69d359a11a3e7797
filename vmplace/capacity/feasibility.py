"""Feasibility oracle of capacity planning: whether a problem has any placement that keeps the guarantee."""

from collections.abc import Callable

from attrs import evolve, frozen

from vmplace.failover.certify import certify_all
from vmplace.failover.outcome import Reason
from vmplace.model.converters import parse_count, placed
from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import eased
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.consolidate import spare_packing
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.greedy import construct
from vmplace.search.strategy import METHODS, Strategy
from vmplace.solvers.budget import Budget

__all__ = ["Feasibility", "FeasibilityOracle", "with_preferences"]

_EASY = Goal(("rules",))

_PACKING_SHARE = 0.5


@frozen(eq=False)
class Feasibility:
    """What is known of one problem.

    Parameters
    ----------
    best
        A placement that keeps the guarantee; None without one.
    infeasible
        Whether it is proved that there is none.
    reason
        The bound that proves it, if one does.
    method
        ``bounds``, or as `Strategy.find`.
    """

    best: CandidatePlacement | None = None
    infeasible: bool = False
    reason: Reason | None = None
    method: str = "bounds"


@frozen
class FeasibilityOracle:
    """Decides whether problems have a placement that keeps the guarantee.

    Parameters
    ----------
    move_running
        Whether VMs that run may move.
    method, seed, deterministic
        As for `Strategy`.
    """

    move_running: bool
    method: str
    seed: int
    deterministic: bool

    @classmethod
    def of(cls, move_running: bool, method: str, seed: int, deterministic: bool) -> "FeasibilityOracle":
        """The same with arguments that are checked; raises InputError that names the one that is wrong."""
        if method not in METHODS:
            raise InputError([Flaw("method", not_among(method, METHODS))])
        return cls(move_running, method, placed("seed", parse_count)(seed), deterministic)

    @property
    def goal(self) -> Goal:
        """The first placement found is as good as any."""
        return evolve(_EASY, move_running=self.move_running)

    def quick(self, problem: Problem, *, budget: Budget) -> Feasibility:
        """By bounds and by constructions that spread, or pack, what is to be placed."""
        return self._decided(problem, self._constructed, budget)

    def thorough(self, problem: Problem, *, budget: Budget) -> Feasibility:
        """By all methods."""
        return self._decided(problem, self._searched, budget)

    def _decided(self, problem: Problem, method: Callable[[Problem, Budget], Feasibility], budget: Budget) -> Feasibility:
        problem = evolve(problem, compiled_rules=tuple(rule for rule in problem.compiled_rules if rule.must))
        fit = _packed(problem, self.goal, budget.share(_PACKING_SHARE))
        return fit if fit.best is not None or fit.infeasible else method(problem, budget)

    def _constructed(self, problem: Problem, budget: Budget) -> Feasibility:
        packing = evolve(self.goal, objectives=("moves",))
        for aim in (self.goal,) if self.move_running else (packing, self.goal):
            best = None if budget.spent else construct(problem, aim, budget=budget)
            if best is not None and best.verdict.safe:
                return Feasibility(best, method="greedy")
        return Feasibility(method="greedy")

    def _searched(self, problem: Problem, budget: Budget) -> Feasibility:
        finding, method = Strategy(self.method, self.seed, self.deterministic).find(problem, self.goal, budget=budget)
        safe = finding.best is not None and finding.best.verdict.safe
        return Feasibility(finding.best if safe else None, finding.infeasible, None, method)


def with_preferences(problem: Problem, best: CandidatePlacement, *, budget: Budget) -> CandidatePlacement:
    """The placement with failover plans that keep soft rules where they can: the oracle ignores these rules."""
    if all(binding.must for binding in problem.compiled_rules) or budget.spent:
        return best
    verdict = certify_all(problem, best.node_of, budget=budget)
    return evolve(best, verdict=verdict) if verdict.safe else best


def _packed(problem: Problem, goal: Goal, budget: Budget) -> Feasibility:
    """By bounds and, where VMs are free to go anywhere, by bin packing."""
    reason = impossible(problem, goal)
    if reason is not None:
        return Feasibility(infeasible=True, reason=reason)
    packing = spare_packing(eased(problem), goal, budget=budget)
    if packing is None or packing.node_of is None:
        return Feasibility(infeasible=packing is not None and packing.infeasible, method="bin packing")
    verdict = certify_all(problem, packing.node_of, budget=budget, losses=False, searching=problem.plain)
    if not verdict.safe:
        return Feasibility()
    return Feasibility(CandidatePlacement(packing.node_of, None, verdict, (0,)), method="bin packing")
