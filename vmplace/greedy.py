"""The fast construction: spread or pack VMs, largest first, around holes that what may fail at once fits into."""

import numpy as np
from attrs import evolve, frozen

from vmplace.budget import Budget
from vmplace.certify import certify
from vmplace.columns import IntArray
from vmplace.fill import Filling
from vmplace.goal import Candidate, Goal, better
from vmplace.holes import around, dedicated, holes, ladder, least_safe
from vmplace.local import repair_locally
from vmplace.problem import BoolArray, Problem
from vmplace.relocate import loosen
from vmplace.scenarios import Fate, Verdict

__all__ = ["construct"]

_FEW_FAILURES = 500
"""So few are looked at one by one in each try: where a policy restarts VMs, or failures come in turn."""


def construct(problem: Problem, goal: Goal, *, budget: Budget, thorough: bool = False) -> Candidate | None:
    """The best placement that the family of quick constructions finds, or None.

    Worst-fit decreasing balances, but leaves free memory in crumbs; so some nodes keep holes, the fewest and smallest that are
    found to survive every failure. For the fewest moves a few VMs make room for what failures lack (`repair_locally`); where that
    is not enough, what must leave its node is placed anew around holes, or all that may move. For the fewest nodes VMs are packed
    best-fit.

    Parameters
    ----------
    problem, goal
        What to place, and how.
    budget
        When it is spent, the best so far is returned.
    thorough
        As for `repair_locally`.
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


def _anew(problem: Problem, goal: Goal, budget: Budget) -> Candidate | None:
    packed = _packed(problem, goal, budget, anew=True) if goal.consolidates else None
    # What is packed by memory may find no room for other resources.
    return _spread(problem, goal, budget) if packed is None else packed


def _packed(problem: Problem, goal: Goal, budget: Budget, *, anew: bool) -> Candidate | None:
    """The best of packing around each of some holes."""
    best: Candidate | None = None
    reserves = list((dedicated if goal.consolidates else holes)(problem, goal))
    for reserved in reserves:
        if budget.spent:
            return best
        best = better(best, _attempt(problem, goal, budget, reserved, anew=anew, pack=True))
    if best is None and not problem.plain:
        best = _attempt(problem, goal, budget, reserves[-1], anew=anew, pack=True, searching=True)
    return best


def _spread(problem: Problem, goal: Goal, budget: Budget) -> Candidate | None:
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
    return best


def _is_safe(candidate: Candidate | None) -> bool:
    return candidate is not None and candidate.verdict.safe


def _attempt(
    problem: Problem, goal: Goal, budget: Budget, reserved: IntArray, *, anew: bool, pack: bool = False, searching: bool = False
) -> Candidate | None:
    """What comes of filling nodes up to their holes: all that may move, or only what must."""
    limit = goal.limits(problem)
    if anew:
        kept = np.where(goal.free(problem), -1, problem.node_of)
    else:
        kept = loosen(problem, goal, around(problem, limit, reserved, problem.node_of))
    filling = Filling(problem, kept, around(problem, limit, reserved, kept), pack=pack)
    # Evictable VMs make room in a failover: holes are where they may be.
    filling.place_all(problem.lasting)
    if not filling.complete:
        # What else found no room beside the holes may go into them: the verdict tells whether that still holds.
        filling.raise_cap(limit)
        filling.place_all()
    if not filling.complete or not goal.allowed(problem, filling.node_of):
        return None
    return _judge(problem, goal, filling.node_of, budget, searching=searching)


def _judge(problem: Problem, goal: Goal, node_of: IntArray, budget: Budget, *, searching: bool) -> Candidate | None:
    judging = _Judging(problem, goal, budget, searching or problem.plain or goal.best_effort)
    return judging.with_spares(node_of) if goal.consolidates else judging.candidate(node_of, None)


@frozen(eq=False)
class _Judging:
    """How placements are judged; without `searching`, what is more than a plan for each failure only by what is quickly told."""

    problem: Problem
    goal: Goal
    budget: Budget
    searching: bool

    def candidate(self, node_of: IntArray, powered: BoolArray | None) -> Candidate | None:
        """The placement, if it is accepted."""
        return self._accepted(node_of, powered, self._verdict(node_of, powered))

    def with_spares(self, node_of: IntArray) -> Candidate | None:
        """Switch on idle nodes, the largest first, until every failure is survived."""
        powered = np.zeros(self.problem.n_nodes, dtype=bool)
        powered[node_of] = True
        idle = np.flatnonzero(self.problem.online & ~powered)
        idle = idle[np.argsort(-self.problem.usable[idle], kind="stable")].tolist()
        while True:
            verdict = self._verdict(node_of, powered)
            helpful = None if verdict.safe else next((node for node in idle if _helps(verdict, node)), None)
            if helpful is None:
                return self._accepted(node_of, powered, verdict)
            if self.budget.spent:
                return None
            idle.remove(helpful)
            powered[helpful] = True

    def _accepted(self, node_of: IntArray, powered: BoolArray | None, verdict: Verdict) -> Candidate | None:
        if not self.goal.accepts(self.problem, verdict):
            return None
        return Candidate(node_of, powered, verdict, self.goal.values(self.problem, node_of, verdict, powered))

    def _verdict(self, node_of: IntArray, powered: BoolArray | None) -> Verdict:
        strict, policy = self.problem, self.problem.guarantee.policy
        if self.searching or (strict.guarantee.restart == "any-order" and policy is None):
            return self._certified(strict, node_of, powered, self.searching)
        # What is survived in any order is survived by any policy or plan: these take work for each failure.
        strict = evolve(strict, guarantee=evolve(strict.guarantee, restart="any-order", policy=None, order=None))
        verdict = self._certified(strict, node_of, powered, searching=False)
        if not verdict.safe and verdict.standing.failures.total > _FEW_FAILURES:
            return verdict
        return self._certified(self.problem, node_of, powered, searching=policy is not None)

    def _certified(self, problem: Problem, node_of: IntArray, powered: BoolArray | None, searching: bool) -> Verdict:
        return certify(
            problem,
            node_of,
            budget=self.budget,
            powered=powered,
            losses=self.goal.best_effort,
            stop_early=not self.goal.best_effort,
            searching=searching,
        )


def _helps(verdict: Verdict, node: int) -> bool:
    """Whether the node would be a survivor of a failure that is not survived, or not known to be."""
    failures, fate = verdict.standing.failures, verdict.fate
    pool = int(failures.problem.pool[node])
    if verdict.turns.get(pool, Fate.SAFE) != Fate.SAFE:
        return True
    bad = np.flatnonzero(fate == (Fate.UNSAFE if Fate.UNSAFE in fate else Fate.UNKNOWN))
    bad = bad[failures.pool[bad] == pool]
    return not failures.hit(bad, np.full(len(bad), node)).all()
