"""Feasibility oracle of capacity planning: whether a problem has any placement that keeps the guarantee."""

from attrs import evolve, frozen

from vmplace.failover.certify import certify
from vmplace.failover.outcome import Reason
from vmplace.problem.problem import Problem
from vmplace.search.bounds.necessary import impossible
from vmplace.search.consolidate import spare_packing
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.heuristics import construct
from vmplace.search.strategy import Strategy
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

    @property
    def goal(self) -> Goal:
        """The first placement found is as good as any."""
        return evolve(_EASY, move_running=self.move_running)

    def quick(self, problem: Problem, *, budget: Budget) -> Feasibility:
        """By bounds and by constructions that spread, or pack, what is to be placed."""
        problem, goal = _musts_only(problem), self.goal
        fit = _packed(problem, goal, budget.share(_PACKING_SHARE))
        if fit.best is not None or fit.infeasible:
            return fit
        packing = evolve(goal, objectives=("moves",))
        for aim in (goal,) if self.move_running else (packing, goal):
            best = None if budget.spent else construct(problem, aim, budget=budget)
            if best is not None and best.verdict.safe:
                return Feasibility(best, method="greedy")
        return Feasibility(method="greedy")

    def thorough(self, problem: Problem, *, budget: Budget) -> Feasibility:
        """By all methods."""
        problem, goal = _musts_only(problem), self.goal
        fit = _packed(problem, goal, budget.share(_PACKING_SHARE))
        if fit.best is not None or fit.infeasible:
            return fit
        finding, method = Strategy(self.method, self.seed, self.deterministic).find(problem, goal, budget=budget)
        safe = finding.best is not None and finding.best.verdict.safe
        return Feasibility(finding.best if safe else None, finding.infeasible, None, method)


def with_preferences(problem: Problem, best: CandidatePlacement, *, budget: Budget) -> CandidatePlacement:
    """The placement with failover plans that keep rules which are no must where they can: the oracle ignores these rules."""
    if all(binding.must for binding in problem.compiled_rules) or budget.spent:
        return best
    verdict = certify(problem, best.node_of, budget=budget)
    return evolve(best, verdict=verdict) if verdict.safe else best


def _packed(problem: Problem, goal: Goal, budget: Budget) -> Feasibility:
    """By bounds and, where VMs are free to go anywhere, by bin packing."""
    reason = impossible(problem, goal)
    if reason is not None:
        return Feasibility(infeasible=True, reason=reason)
    packing = spare_packing(problem.eased, goal, budget=budget)
    if packing is None or packing.node_of is None:
        return Feasibility(infeasible=packing is not None and packing.infeasible, method="bin packing")
    verdict = certify(problem, packing.node_of, budget=budget, losses=False, searching=problem.plain)
    if not verdict.safe:
        return Feasibility()
    return Feasibility(CandidatePlacement(packing.node_of, None, verdict, (0,)), method="bin packing")


def _musts_only(problem: Problem) -> Problem:
    return evolve(problem, compiled_rules=tuple(binding for binding in problem.compiled_rules if binding.must))
