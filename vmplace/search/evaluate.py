"""Evaluation of constructed candidates: exact, or by sufficient conditions where more than failover plans is asked for."""

import numpy as np
from attrs import evolve, field, frozen

from vmplace.failover.certify import certify
from vmplace.failover.verdict import JointVerdict, ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.solvers.budget import Budget

__all__ = ["Evaluator"]


@frozen(eq=False)
class Evaluator:
    """Certifies placements and values them as candidates.

    Parameters
    ----------
    budget
        What is undecided when it is spent is not known to be safe.
    searching
        Whether each failure is decided; otherwise, where more is asked than a plan for each, a placement is mostly accepted for
        what array passes tell. A best effort needs to know all.
    few
        Without `searching`, so few failures are looked at one by one all the same where they take no search: where a policy
        restarts VMs, or failures come in turn.
    """

    problem: Problem
    goal: Goal
    budget: Budget
    searching: bool = field(kw_only=True)
    few: int = field(default=500, kw_only=True)

    def candidate(self, node_of: IntArray) -> CandidatePlacement | None:
        """The placement, if it is accepted; where nodes are to be switched off, with those that stay on."""
        if self.goal.consolidates:
            return self._with_spares(node_of)
        return self.powering(node_of, None)

    def powering(self, node_of: IntArray, powered: BoolArray | None) -> CandidatePlacement | None:
        """The placement with just these nodes on, if it is accepted."""
        if powered is not None and not powered[node_of].all():
            return None
        return self._accepted(node_of, powered, self._verdict(node_of, powered))

    def _with_spares(self, node_of: IntArray) -> CandidatePlacement | None:
        """The placement with idle nodes switched on, the largest first, until every failure is survived; if it is accepted."""
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

    def _accepted(self, node_of: IntArray, powered: BoolArray | None, verdict: JointVerdict) -> CandidatePlacement | None:
        if not self.goal.accepts(self.problem, verdict):
            return None
        return CandidatePlacement(node_of, powered, verdict, self.goal.values(self.problem, node_of, verdict, powered))

    def _verdict(self, node_of: IntArray, powered: BoolArray | None) -> JointVerdict:
        """The verdicts under each guarantee; without a best effort, none after the first that is not known to hold."""
        parts = list[Verdict]()
        for problem in self.problem.each:
            parts.append(self._of_one(problem, node_of, powered))
            if not (parts[-1].safe or self.goal.best_effort):
                break
        return JointVerdict(tuple(parts))

    def _of_one(self, problem: Problem, node_of: IntArray, powered: BoolArray | None) -> Verdict:
        asked = problem.guarantee
        if self.searching or problem.plain or self.goal.best_effort:
            return self._certified(problem, node_of, powered, searching=True)
        if asked.any_order:
            return self._certified(problem, node_of, powered, searching=False)
        # What is survived in any order is survived by any policy or plan: these take work for each failure.
        strict = evolve(problem, guarantee=evolve(asked, restart="any-order", policy=None, order=None))
        verdict = self._certified(strict, node_of, powered, searching=False)
        if not verdict.safe and verdict.state.scenarios.total > self.few:
            return verdict
        return self._certified(problem, node_of, powered, searching=asked.policy is not None)

    def _certified(self, problem: Problem, node_of: IntArray, powered: BoolArray | None, *, searching: bool) -> Verdict:
        return certify(
            problem,
            node_of,
            budget=self.budget,
            powered=powered,
            losses=self.goal.best_effort,
            stop_early=not self.goal.best_effort,
            searching=searching,
        )


def _helps(found: JointVerdict, node: int) -> bool:
    """Whether the node would be a survivor of a failure that is not survived, or not known to be."""
    verdict = next(part for part in found.parts if not part.safe)
    failures, fate = verdict.state.scenarios, verdict.fate
    pool = int(failures.problem.pool[node])
    if verdict.turns.get(pool, ScenarioStatus.SAFE) != ScenarioStatus.SAFE:
        return True
    bad = np.flatnonzero(fate == (ScenarioStatus.UNSAFE if ScenarioStatus.UNSAFE in fate else ScenarioStatus.UNKNOWN))
    bad = bad[failures.pool[bad] == pool]
    return not failures.hit(bad, np.full(len(bad), node)).all()
