"""Whether failures that are survived with plans would be survived in any order of restarts, too: cheap, or left open."""

import numpy as np
from attrs import evolve, field, frozen

from vmplace.failover.certify import certify
from vmplace.failover.reasons import scenario_sentence
from vmplace.failover.verdict import METHODS, Verdict
from vmplace.problem.names import Names
from vmplace.results.values import AnyOrder, Status
from vmplace.solvers.budget import Budget

__all__ = ["AnyOrderOutlook", "any_order_outlook"]

_SECONDS = 1.0


def any_order_outlook(names: Names, verdict: Verdict, budget: Budget) -> "AnyOrderOutlook | None":
    """What answers, where restarts are planned and every failure is survived; it takes a second at most, of what time is left."""
    if not (names.problem.planned and verdict.safe and len(verdict.fate)):
        return None
    return AnyOrderOutlook(names, verdict, min(_SECONDS, budget.left))


@frozen(eq=False)
class AnyOrderOutlook:
    """Answers when it is first asked."""

    names: Names = field(repr=False)
    verdict: Verdict = field(repr=False)
    seconds: float

    def __call__(self) -> AnyOrder:
        """Whether it holds in any order, with an example where it does not."""
        if self._certified:
            return AnyOrder(Status.SAFE)
        problem = self.names.problem
        asked = evolve(problem, guarantee=evolve(problem.guarantee, restart="any-order"))
        verdict = certify(asked, problem.node_of, budget=Budget(self.seconds), losses=False, stop_early=True)
        if verdict.safe:
            return AnyOrder(Status.SAFE)
        if not verdict.unsafe:
            return AnyOrder(Status.UNKNOWN)
        number, loss = next(iter(verdict.losses.items()))
        scenarios, names = verdict.state.scenarios, Names(self.names.cluster, asked)
        return AnyOrder(
            Status.UNSAFE, names.scenario(scenarios, number), scenario_sentence(loss.reason, scenarios, number, names)
        )

    @property
    def _certified(self) -> bool:
        """Whether what told of each failure holds in any order: nothing, or a certificate that leaves no VM out."""
        problem, enough = self.names.problem, [METHODS.index(how) for how in ("empty", "certificate")]
        return problem.all_protected and not problem.in_turn and bool(np.isin(self.verdict.told_by, enough).all())
