"""Slack: an objective that may be worse by a share, or up to a value that is good enough, for the sake of those after it.

The objective is first brought to its best, with those before it. What it may come to then is a limit under which the others are
searched: of balance, on what each node carries; of moves, on the memory migrated; of consolidation, on the nodes that stay on.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from attrs import evolve

from vmplace.problem.problem import Problem
from vmplace.search.goal import CandidatePlacement, Goal, Stage
from vmplace.search.mip.search import Finding
from vmplace.solvers.budget import Budget

__all__ = ["Bounds", "Search", "find_with_slack"]

_FIRST_SHARE = 0.6

Bounds = Mapping[Stage, int | Fraction]
"""Bounds of some stages."""

Search = Callable[[Goal, Budget, CandidatePlacement | None, Bounds], tuple[Finding, str]]
"""Searches a goal, from a candidate and with bounds that are known; the method is told, too."""


def find_with_slack(
    problem: Problem, goal: Goal, search: Search, *, budget: Budget, start: CandidatePlacement | None, bounds: Bounds
) -> tuple[Finding, str]:
    """What a search finds for a goal; see `Search`."""
    if not goal.slack:
        return search(goal, budget, start, bounds)
    (name, slack), *later = goal.slack
    number = goal.objectives.index(name)
    stage: Stage = (name, 0)
    first = evolve(goal, objectives=goal.objectives[: number + 1], slack=(), enough=slack.enough)
    if goal.consolidates and not first.consolidates:
        first = evolve(first, max_powered=problem.n_nodes)  # nodes may be switched off from the start
    found, method = search(first, budget.share(_FIRST_SHARE), start, bounds)
    if found.best is None:
        return found, method
    proved = found.optimal or evolve(first, gap=Fraction(0)).reached(first.stages(problem), found.best.values, found.bounds)
    told = dict(zip(first.stages(problem), zip(found.best.values, found.bounds, found.by, strict=True), strict=True))
    value, bound, by = told.pop(stage)
    others = tuple(other for other in goal.objectives if other != name)
    if number == len(others):  # ties are what comes after it
        others = evolve(goal, objectives=others).finer.objectives
    if others[0] == "moves" and ("rules", 0) in told and goal.objectives[0] != "moves":
        others = ("rules", *others)  # they come first as before
    rest = evolve(_limited(goal, name, slack.most(value)), objectives=others, slack=tuple(later))
    known = {other: reached for other, (_, reached, _) in told.items()}
    then, method = find_with_slack(problem, rest, search, budget=budget, start=found.best, bounds=known)
    ends = dict(zip(rest.stages(problem), zip(then.bounds, then.by, strict=True), strict=True)) | {stage: (bound, by)}
    best = then.best or found.best
    stages = goal.stages(problem)
    return (
        Finding(
            evolve(best, values=goal.values(problem, best.node_of, best.verdict, best.powered)),
            tuple(ends[each][0] for each in stages),
            False,
            {**found.stats, **then.stats},
            tuple(ends[each][1] for each in stages),
            proved=proved and then.optimal,
            aim=then.aim or rest,
        ),
        method,
    )


def _limited(goal: Goal, name: str, most: Fraction) -> Goal:
    """The goal with an objective as a limit."""
    if name == "balance":
        return evolve(goal, max_share=most)
    if name == "consolidate":
        return evolve(goal, max_powered=int(most))
    limits: dict[str, Any] = {"max_migrated": int(most) if goal.max_migrated is None else min(int(most), goal.max_migrated)}
    return evolve(goal, **limits)
