"""One placement task: every failure survived, or else the least unprotected, and the result told in names."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.outcome import Reason
from vmplace.model.columns import IntArray
from vmplace.placement.judged import JudgedPlacement
from vmplace.placement.options import PlaceOptions
from vmplace.placement.pools import bounds_with, left_on
from vmplace.placement.reasons import conflict_sentence, impossible_sentence, suspended_sentence
from vmplace.placement.relaxations import relaxations
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.unknown_names import unknown_names
from vmplace.results.placement import Solution
from vmplace.results.values import Conflict, Migration, Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import CandidatePlacement, Goal, Stage
from vmplace.search.infeasibility import PartOracle, conflict_of_bound, conflict_of_search, patience
from vmplace.search.mip.search import Finding
from vmplace.search.strategy import Strategy
from vmplace.solvers.budget import Budget

__all__ = ["PlacementTask"]

T = TypeVar("T")

_FIND_SHARE, _TIES_SHARE, _TIES_SECONDS = 0.9, 0.25, 3.0
"""Of the time, that to find a placement; of what is left then, that to break ties; and what that may take in any case."""

_VMS_PER_SECOND = 5_000
"""Where nodes are switched off, so many VMs have a second more for ties: packed anew, nearly all of them would migrate."""

_LEAVING_SHARE = 0.5
"""Of the time, for a drain in which only what has to leave moves."""


@frozen
class PlacementTask:
    """One call of `place`; the drained nodes are gone from the problem.

    Parameters
    ----------
    whole
        The same with the VMs of pools that stay as they are; None if there are none.
    hosts
        A placement to start a best effort from, over the cluster's VMs, -1 for those that stay; None where none is known.
    """

    names: Names
    options: PlaceOptions
    goal: Goal
    budget: Budget
    drained: tuple[str, ...] = ()
    whole: Names | None = None
    hosts: IntArray | None = None

    def strict(self, *, explained: bool = True, ties: bool = True) -> Solution:
        """Every failure survived, or none returned; `explained`: with what forbids it; `ties`: the best of those as good."""
        reason = impossible(self.names.problem, self.goal)
        if reason is not None:
            return self._refused(reason, explained=explained)
        finding, method = self._find()
        if finding.infeasible:
            return self._refuted(finding.stats, method) if explained else self.empty(Status.INFEASIBLE)
        if finding.best is None:
            return self._undecided(finding, method)
        return self.solution(self._settled(finding) if ties else finding, method)

    def best_effort(self, *, explained: bool = True) -> Solution:
        """As `strict`; where that is impossible, or not found, every VM placed and the least unprotected."""
        share = evolve(self, budget=self.budget.share(0.5)) if np.isfinite(self.budget.limit) else self
        first = share.strict(explained=False)
        if first.node_of is not None:
            return first
        leaving = self._only_leaving()
        last, undecided = self, None
        for goal, given_up in relaxations(self.names.problem, self.goal, self.budget, drained=bool(self.drained)):
            if undecided is not None and goal.worst is not last.goal.worst:
                return undecided  # that no failure gets worse is not given up without a proof
            last = evolve(self, goal=goal)
            reason = impossible(self.names.problem, goal)
            if reason is not None:
                continue
            finding, method = last._find(last._known() or leaving)
            if finding.best is not None:
                refuted = first.status is Status.INFEASIBLE and undecided is None
                found = last.solution(last._settled(finding), method, strict_refuted=refuted, warnings=given_up)
                return found if found.held else evolve(found, suspended=self._suspended(first))
            if not finding.infeasible:
                undecided = self._undecided(finding, method)
        if undecided is not None:
            return undecided
        if not explained:
            return last.empty(Status.INFEASIBLE)
        return last._refuted(finding.stats, method) if reason is None else last._refused(reason)

    def _known(self) -> CandidatePlacement | None:
        """The placement that is known, if the goal allows it."""
        problem = self.names.problem
        if self.hosts is None:
            return None
        hosts = self.hosts[problem.original]
        node_of = np.where(problem.incoming | (hosts < 0), problem.node_of, hosts)
        allowed = self.goal.allowed(problem, node_of)
        return Evaluator(problem, self.goal, self.budget, searching=True).candidate(node_of) if allowed else None

    def _only_leaving(self) -> CandidatePlacement | None:
        """The least unprotected where nothing moves but what has to leave drained nodes, as far as it is found."""
        problem, goal = self.names.problem, evolve(self.goal, best_effort=True)
        if not self.drained or self.goal.objectives != ("moves",):
            return None
        staying = evolve(problem, movable=problem.movable & (problem.node_of >= 0) & problem.drained[problem.node_of])
        if impossible(staying, goal) is not None:
            return None
        return self._strategy.find(staying, goal, budget=self.budget.share(_LEAVING_SHARE))[0].best

    def _suspended(self, strict: Solution) -> str:
        """Why the guarantee does not hold, given the result of the strict search."""
        reason = impossible(self.names.problem, self.goal) if strict.status is Status.INFEASIBLE else None
        sentence = suspended_sentence(strict.status, reason, self.names, self.drained)
        return f"{sentence}; drained all the same; --strict refuses" if self.drained else sentence

    @property
    def _strategy(self) -> Strategy:
        return Strategy(self.options.method, self.options.seed, self.options.deterministic)

    def _find(self, start: CandidatePlacement | None = None) -> tuple[Finding, str]:
        return self._strategy.find(self.names.problem, self.goal, budget=self.budget.share(_FIND_SHARE), start=start)

    def _settled(self, finding: Finding) -> Finding:
        """The best of what is as good as the finding; it ends by work done, so that the clock only guards."""
        budget = self.budget.share(_TIES_SHARE)
        seconds = max(_TIES_SECONDS, self.budget.elapsed / 2)
        seconds += self.names.problem.n_vms / _VMS_PER_SECOND if self.goal.consolidates else 0
        if not self.options.deterministic and seconds < budget.left:
            budget = Budget(seconds, budget.cancel)
        return self._strategy.break_ties(self.names.problem, self.goal, finding, budget=budget)

    # Results

    def solution(
        self,
        finding: Finding,
        method: str,
        *,
        strict_refuted: bool = True,
        warnings: Sequence[str] = (),
    ) -> Solution:
        """The result for the placement that a search has found, once it is audited."""
        goal, best = self.goal, finding.best
        assert best is not None
        values, bounds = (_by_objective(goal, self.names.problem, each) for each in (best.values, finding.bounds))
        best = self._with_others(best)
        found = self._judged(best)
        report = found.report
        if self.whole is not None:
            stages = goal.values(self.whole.problem, found.node_of, found.verdict, best.powered)
            together = _by_objective(goal, self.whole.problem, stages)
            values, bounds = together, bounds_with(goal.objectives, values, bounds, together)
        return Solution(
            cluster=report.cluster,
            status=Status.OPTIMAL if finding.optimal and strict_refuted else Status.FEASIBLE,
            guarantee=report.guarantee,
            guarantees=report.guarantees,
            node_of=report.node_of,
            witness=report.witness,
            scenarios=report.scenarios,
            unprotected=report.unprotected,
            warnings=(*warnings, *report.warnings),
            violations=report.violations,
            waiting=report.waiting,
            broken_rules=report.broken_rules,
            pools=report.pools,
            powered=report.powered,
            method=method,
            stats={
                "seconds": round(self.budget.elapsed, 3),
                **finding.stats,
                **self.names.presolve_stats,
                "bound_by": dict(zip(goal.objectives, _by_objective(goal, self.names.problem, finding.by), strict=True)),
                "scenarios": report.stats["scenarios"],
            },
            objective_name=_one_or_all(goal.objectives),
            objective=_one_or_all(values),
            bound=_one_or_all(bounds),
            allowed=_one_or_all(self._allowed(bounds)) if goal.slack else None,
            migrations=self._migrations(best),
            drained=self.drained,
            reason=_doubt(finding, method, goal.stages(self.names.problem)),
        )

    def _allowed(self, bounds: Sequence[int | Fraction]) -> tuple[Fraction | None, ...]:
        """What each objective may come to by its slack."""
        slack = dict(self.goal.slack)
        pairs = zip(self.goal.objectives, bounds, strict=True)
        return tuple(slack[name].most(bound) if name in slack else None for name, bound in pairs)

    def _with_others(self, best: CandidatePlacement) -> CandidatePlacement:
        """The same with the nodes on that pools which stay as they are may need."""
        if self.whole is None or best.powered is None:
            return best
        others = ~np.isin(self.whole.problem.original, self.names.problem.original)
        return evolve(best, powered=best.powered | left_on(self.whole.problem, others))

    def _judged(self, best: CandidatePlacement) -> JudgedPlacement:
        """The placement on the whole cluster, audited."""
        # What only an exhaustive search tells, the auditor may have to leave open.
        tolerated = set() if self.names.problem.plain else {"unverified"}
        if self.goal.best_effort:
            tolerated.add("unprotected")
        if not self.goal.headroom:
            tolerated.add("headroom")
        powered = None if best.powered is None else self._powered(best)
        return JudgedPlacement.of(
            best, self.names, self.whole, powered=powered, drained=self.drained, tolerated=tolerated, budget=self.budget
        )

    def _powered(self, best: CandidatePlacement) -> tuple[str, ...]:
        return () if best.powered is None else tuple(self.names.node(i) for i in np.flatnonzero(best.powered).tolist())

    def _migrations(self, best: CandidatePlacement) -> tuple[Migration, ...]:
        names, now, then = self.names, self.names.problem.node_of, best.node_of
        problem = names.problem
        return tuple(
            Migration(
                names.vm(vm), names.node(now[vm]), names.node(then[vm]), int(problem.memory[vm]), cold=bool(problem.cold[vm])
            )
            for vm in np.flatnonzero((now >= 0) & (now != then)).tolist()
        )

    def _refused(self, reason: Reason, *, explained: bool = True) -> Solution:
        """Nothing, as a bound shows."""
        if not explained:
            return self.empty(Status.INFEASIBLE)
        conflict = conflict_of_bound(reason, self.names, self.goal, self.budget)
        return self.empty(Status.INFEASIBLE, reason=impossible_sentence(reason, self.names), conflict=conflict)

    def _refuted(self, stats: Mapping[str, float], method: str) -> Solution:
        """Nothing, as a search shows."""
        budget = patience(self.budget, stats.get("work", 0.0), deterministic=self.options.deterministic)
        trial = PartOracle(self.names, self.goal, budget, self.options.seed, self.options.deterministic)
        conflict = conflict_of_search(trial)
        sentence = conflict_sentence(conflict, self.goal, self.names)
        told = {**stats, "conflict_trials": trial.tries}
        return self.empty(Status.INFEASIBLE, told, method=method, reason=sentence, conflict=conflict)

    def _undecided(self, finding: Finding, method: str) -> Solution:
        return self.empty(Status.UNKNOWN, finding.stats, method=method, reason="no placement was found before the search ended")

    def empty(
        self,
        status: Status,
        stats: Mapping[str, float] | None = None,
        *,
        method: str = "bounds",
        reason: str = "",
        conflict: Conflict | None = None,
    ) -> Solution:
        """A result without a placement."""
        return Solution(
            cluster=self.names.cluster,
            status=status,
            guarantee=Status.UNKNOWN if status is Status.UNKNOWN else Status.UNSAFE,
            waiting=self.names.vms(np.flatnonzero(self.names.problem.node_of < 0).tolist()),
            warnings=tuple(unknown_names(self.names.cluster)),
            method=method,
            stats={"seconds": round(self.budget.elapsed, 3), **(stats or {}), **self.names.presolve_stats},
            objective_name=_one_or_all(self.goal.objectives),
            drained=self.drained,
            reason=reason,
            conflict=conflict,
        )


def _doubt(finding: Finding, method: str, stages: Sequence[Stage]) -> str:
    """Why a placement is not known to be the best, and how much less another one could leave unprotected."""
    if finding.best is None or finding.optimal:
        return ""
    why = "greedy proves nothing" if method == "greedy" else "the search ended before a proof"
    values = zip(stages, finding.best.values, finding.bounds, strict=True)
    lost = [(value, bound) for (name, _), value, bound in values if name == "lost"]
    # Of several priorities, each bound is that of one, the higher ones being at theirs: they say nothing of all together.
    if len(lost) != 1 or not lost[0][0] > lost[0][1] > 0:
        return why
    return f"{why}; another placement could leave {float(1 - lost[0][1] / lost[0][0]):.1%} less unprotected at most"


def _by_objective(goal: Goal, problem: Problem, values: Sequence[T]) -> tuple[T, ...]:
    """Of the values of all stages, those of the objectives."""
    return tuple(value for (name, _), value in zip(goal.stages(problem), values, strict=True) if name in goal.objectives)


def _one_or_all(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values
