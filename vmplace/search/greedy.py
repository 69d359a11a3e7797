"""Greedy construction heuristic: worst-fit or best-fit decreasing around capacity reserved for restarts after a failure."""

import numpy as np
from attrs import evolve

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.construct.reserves import around, dedicated, holes, ladder, least_safe
from vmplace.search.construct.vacate import vacate
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import CandidatePlacement, Goal, better
from vmplace.search.local.removal import loosen
from vmplace.search.local.repair import repair_locally
from vmplace.solvers.budget import Budget

__all__ = ["construct"]


def construct(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool = False) -> CandidatePlacement | None:
    """The best placement that the family of quick constructions finds, or None.

    Of several guarantees, room is left for the failures of each in turn, and for what is at least as much as any needs; all have
    to hold in any case.
    """
    best, guides = None, _guides(problem)
    for done, guide in enumerate(guides):
        if budget.spent:
            break
        best = better(best, _constructed(guide, goal, budget.share(1 / (len(guides) - done)), thorough=thorough))
    return best


def _guides(problem: Problem) -> list[Problem]:
    """The problem, led by each of its guarantees, and by the most failures of all that any protects."""
    if len(problem.each) == 1:
        return [problem]
    asked = [promise.guarantee for promise in problem.promises]
    wide = next((promise for promise in problem.promises if promise.guarantee.scope == "domain"), problem.promises[0])
    most = evolve(
        wide,
        guarantee=evolve(wide.guarantee.eased, failures=max(one.failures for one in asked), domains=0),
        protected=np.logical_or.reduce([promise.protected for promise in problem.promises]),
    )
    leads = {(lead.guarantee.failures, lead.unit.tobytes(), lead.protected.tobytes()): lead for lead in (*problem.promises, most)}
    return [evolve(problem, **lead.own) for lead in leads.values()]


def _constructed(problem: Problem, goal: Goal, budget: Budget, *, thorough: bool) -> CandidatePlacement | None:
    """What one guarantee leads to.

    Worst-fit decreasing balances, but leaves free memory in crumbs; so some nodes keep holes, the fewest and smallest that are
    found to survive every failure. For the fewest moves a few VMs make room for what failures lack (`repair_locally`); where that
    is not enough, what must leave its node is placed anew around holes, or all that may move. For the fewest nodes VMs are packed
    best-fit.
    """
    if not goal.few_moves:
        return _anew(problem, goal, budget)
    local = repair_locally(problem, goal, budget=budget, thorough=thorough) if goal.move_running else None
    if local is not None and goal.objectives[0] == "moves":
        return local
    best = better(local, _packed(problem, goal, budget, anew=False))
    if best is None and goal.move_running:
        best = _anew(problem, goal, budget)
        return None if best is None else evolve(best, anew=True)
    return best


def _anew(problem: Problem, goal: Goal, budget: Budget) -> CandidatePlacement | None:
    packed = _packed(problem, goal, budget, anew=True) if goal.consolidates else None
    # What is packed by memory may find no room for other resources.
    return _spread(problem, goal, budget) if packed is None else packed


def _packed(problem: Problem, goal: Goal, budget: Budget, *, anew: bool) -> CandidatePlacement | None:
    """The best of packing around each of some holes."""
    best: CandidatePlacement | None = None
    reserves = list((dedicated if goal.consolidates else holes)(problem, goal))
    for reserved in reserves:
        if budget.spent:
            return best
        best = better(best, _attempt(problem, goal, budget, reserved, anew=anew, pack=True))
    if best is None and not problem.plain:
        best = _attempt(problem, goal, budget, reserves[-1], anew=anew, pack=True, searching=True)
    return best


def _spread(problem: Problem, goal: Goal, budget: Budget) -> CandidatePlacement | None:
    """The best of spreading around holes: enough of them first, then fewer as long as that is safe and makes a difference."""
    if budget.spent:
        return None
    reserves, guess = ladder(problem, goal)
    best = _attempt(problem, goal, budget, reserves[guess], anew=True)
    if _is_safe(best):
        fewer = least_safe(problem, reserves[: guess + 1], lambda r: _attempt(problem, goal, budget, r, anew=True), budget=budget)
        return better(best, fewer)
    # Where more holes do not help, fewer may: what is to fit in between has more room then.
    for reserved in [*reserves[guess + 1 :], *reversed(reserves[:guess])]:
        if budget.spent or _is_safe(best):
            return best
        best = better(best, _attempt(problem, goal, budget, reserved, anew=True))
    if best is None and not budget.spent:
        # Packed tightly, with one node's worth empty, what is nearly full fits, if not well balanced.
        best = _attempt(problem, goal, budget, reserves[-1], anew=True, pack=True)
    if best is None and not budget.spent and not problem.plain:
        best = _attempt(problem, goal, budget, reserves[guess], anew=True, searching=True)
    if best is None and problem.plain and problem.compiled_rules:
        best = _vacated(problem, goal, budget, reserves[guess])
    return best


def _vacated(problem: Problem, goal: Goal, budget: Budget, reserved: IntArray) -> CandidatePlacement | None:
    """The candidate with room made where rules need it, beside holes or without any."""
    for holes_left in (reserved, np.zeros_like(reserved)):
        node_of = None if budget.spent else _filled(problem, goal, holes_left, anew=True, by_size=True)
        if node_of is not None:
            node_of = vacate(problem, goal, node_of, holes_left, budget=budget)
        if node_of is not None and goal.allowed(problem, node_of):
            return Evaluator(problem, goal, budget, searching=True).candidate(node_of)
    return None


def _is_safe(candidate: CandidatePlacement | None) -> bool:
    return candidate is not None and candidate.verdict.safe


def _attempt(
    problem: Problem, goal: Goal, budget: Budget, reserved: IntArray, *, anew: bool, pack: bool = False, searching: bool = False
) -> CandidatePlacement | None:
    """The candidate of filling nodes up to their holes: with all VMs that may move, or only those that must."""
    node_of = _filled(problem, goal, reserved, anew=anew, pack=pack)
    if node_of is None or not goal.allowed(problem, node_of):
        return None
    return Evaluator(problem, goal, budget, searching=searching).candidate(node_of)


def _filled(
    problem: Problem, goal: Goal, reserved: IntArray, *, anew: bool, pack: bool = False, by_size: bool = False
) -> IntArray | None:
    """Where all VMs go, or None."""
    limit = goal.limits(problem)
    if anew:
        kept = np.where(goal.free(problem), -1, problem.node_of)
    else:
        kept = loosen(problem, goal, around(problem, limit, reserved, problem.node_of))
    filling = BatchFilling(problem, kept, around(problem, limit, reserved, kept), pack=pack)
    # Evictable VMs make room in a failover: holes are where they may be.
    filling.place_all(problem.lasting, by_size=by_size)
    if not filling.complete:
        # What else found no room beside the holes may go into them: the verdict tells whether that still holds.
        filling.raise_cap(limit)
        filling.place_all()
    return filling.node_of if filling.complete else None
