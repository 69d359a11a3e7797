"""What a best effort gives up where not all can be had: protection, headroom, and that no failure gets worse."""

import numpy as np
from attrs import evolve

from vmplace.failover.certify import certify_all
from vmplace.failover.regression import Key, LostMemory, added, by_priority, lost_memory
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.problem.problem import Problem
from vmplace.search.goal import Goal, faulty, priorities
from vmplace.solvers.budget import Budget

__all__ = ["relaxations"]


def relaxations(problem: Problem, goal: Goal, budget: Budget, *, drained: bool) -> list[tuple[Goal, list[str]]]:
    """Goals with what each gives up, in order: protection; then headroom; then that no scenario gets worse; then both."""
    least_effort = evolve(goal, best_effort=True)
    goals: list[tuple[Goal, list[str]]] = [(least_effort, [])]
    # What nodes that are taken away leave unprotected has no measure in what they protect now.
    now = None if drained else _losses_now(problem, budget)
    if now is not None:
        worse = "not every VM can be placed without making some failure worse than it is now"
        goals = [(evolve(least_effort, worst=now), []), (least_effort, [worse])]
    if np.any(problem.limit < problem.usable):
        crowded = "the headroom is not kept everywhere: no placement of every VM within it was found"
        goals = [pair for goal, lost in goals for pair in ((goal, lost), (evolve(goal, headroom=False), [*lost, crowded]))]
    return goals


def _losses_now(problem: Problem, budget: Budget) -> tuple[dict[Key, LostMemory], ...] | None:
    """What each failure of each guarantee would leave unprotected as things stand; None unless the cluster is unsafe."""
    found = tuple(map(_lost_now, certify_all(problem, problem.node_of, budget=budget).parts))
    return found if any(any(lost.values()) for lost in found) or faulty(problem) else None


def _lost_now(verdict: Verdict) -> dict[Key, LostMemory]:
    """What each failure would leave unprotected, waiting VMs among it."""
    problem = verdict.state.problem
    scenarios, lost = verdict.state.scenarios, lost_memory(verdict)
    down = problem.protected & (problem.node_of < 0)
    waiting = {pool: by_priority(problem, np.flatnonzero(down & (problem.vm_pool == pool))) for pool in problem.pools}
    anything = dict.fromkeys(priorities(problem), int(problem.memory.sum()))
    return {
        scenarios.key(number): anything if fate == ScenarioStatus.UNKNOWN else added(lost.get(number, {}), waiting[pool])
        for number, (fate, pool) in enumerate(zip(verdict.fate.tolist(), scenarios.pool.tolist(), strict=True))
    }
