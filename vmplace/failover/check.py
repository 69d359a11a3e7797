"""N+1 check of a placement: is every failure survived? Exactly, with a plan for each failure or the reason why there is none."""

import math
import threading
from collections.abc import Callable

import numpy as np
from attrs import evolve, field, frozen

from vmplace.auditor.audit import audit_running
from vmplace.failover.certify import certify
from vmplace.failover.joint import joined
from vmplace.failover.platforms import compare as compared
from vmplace.failover.reasons import scenario_sentence
from vmplace.failover.soft_rules import named_broken_rules
from vmplace.failover.verdict import METHODS, Verdict
from vmplace.failover.witness import Witness, by_method, reported, soft_warnings
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.guarantee import Guarantee
from vmplace.problem.compile import compile_problem, name_ranks
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.results.placement import Report
from vmplace.results.values import AnyOrder, Status
from vmplace.solvers.budget import Budget, Progress

__all__ = ["AnyOrderOutlook", "check", "verdict_now", "verdicts_now"]

_ANY_ORDER = 1.0
"""Seconds to find whether failures that are survived with plans would be survived in any order, too."""

_REFINING = 1.0
"""Seconds in all to look for how little can be left out, once that something is left out is known."""


@door()
def check(
    cluster: Cluster,
    *,
    compare: bool = False,
    thorough: bool = False,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Whether every failure of the guarantee is survived by the placement as it stands.

    Parameters
    ----------
    cluster
        What to check.
    compare
        Also say what the policies of common platforms would promise, and which of them are wrong (`Report.comparison`); of
        several guarantees, for each.
    thorough
        Look as long as there is time for the fewest VMs that a failure must leave out. Otherwise the answer comes as soon as the
        verdict is known, and a second later at most; `Unprotected.minimal` says where no plan leaves out fewer.
    time_limit
        Seconds; scenarios undecided then are ``unknown``. None: until all are decided.
    progress
        Called now and then.
    cancel
        Set it to end early, as Ctrl-C does.

    Returns
    -------
    Report
        ``unsafe`` if any failure is not survived, a node is overfull, a must-rule is broken or a protected VM waits;
        ``unknown`` if none of these is known but something is undecided; else ``safe``, with a plan per failure.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        budget.patience = [math.inf if thorough else _REFINING]
        parts = cluster.one_by_one()
        found = [_checked(part, budget.share(1 / (len(parts) - done)), compare=compare) for done, part in enumerate(parts)]
        return found[0] if len(found) == 1 else joined(cluster, found)


def _checked(cluster: Cluster, budget: Budget, *, compare: bool) -> Report:
    """The report on one guarantee."""
    problem = compile_problem(cluster)
    names = presolved_names(cluster)
    report, verdict = verdict_now(names, budget)

    def judged(guarantee: Guarantee, part: float) -> tuple[Report, Verdict]:
        if guarantee == problem.guarantee:
            return report, verdict
        # One story is enough of what may happen in any order.
        ranks, losses = name_ranks(cluster.nodes.names, guarantee), guarantee.restart == "planned"
        other = Names(cluster, evolve(problem, guarantee=guarantee, name_rank=ranks))
        return verdict_now(other, budget.share(part), losses=losses)

    return evolve(
        report,
        warnings=(*report.warnings, *soft_warnings(names, verdict)),
        broken_rules=named_broken_rules(names, problem.node_of),
        outlook=_any_order_outlook(names, verdict, budget) if report.status is Status.SAFE else None,
        comparison=compared(problem, list(report.pools), judged) if compare else (),
        stats={"seconds": round(budget.elapsed, 3), "scenarios": by_method(verdict), **names.presolve_stats},
    )


def verdict_now(names: Names, budget: Budget, *, losses: bool = True) -> tuple[Report, Verdict]:
    """The verdict on each failure and the flaws of the present placement, and thus the verdict on the cluster."""
    now = names.problem.node_of
    verdict = certify(names.problem, now, budget=budget, losses=losses)
    witness = Witness(names, verdict, names.hosts(now))
    return reported(names, verdict, witness, now, audit_running(names.cluster, witness.node_of)), verdict


def verdicts_now(names: Names, budget: Budget) -> tuple[Report, tuple[Verdict, ...]]:
    """The same under each guarantee; the report is on all of them."""
    each = names.each
    found = [verdict_now(own, budget.share(1 / (len(each) - done))) for done, own in enumerate(each)]
    verdicts = tuple(verdict for _, verdict in found)
    if len(found) == 1:
        return found[0][0], verdicts
    stats = ({"seconds": round(budget.elapsed, 3), "scenarios": by_method(verdict)} for verdict in verdicts)
    return joined(names.cluster, [evolve(report, stats=own) for (report, _), own in zip(found, stats, strict=True)]), verdicts


def _any_order_outlook(names: Names, verdict: Verdict, budget: Budget) -> "AnyOrderOutlook | None":
    """Of a safe placement, what answers where restarts are planned; it takes a second at most, of what time is left."""
    if not (names.problem.planned and len(verdict.fate)):
        return None
    return AnyOrderOutlook(names, verdict, min(_ANY_ORDER, budget.left))


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
        if not problem.all_protected or problem.in_turn or not np.isin(self.verdict.told_by, enough).all():
            return False
        # By a plan, VMs that must be together restart as one.
        return not any(rule.kind == "together" and rule.must and rule.during_failover for rule in problem.compiled_rules)
