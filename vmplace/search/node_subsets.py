"""Safe again by changing a few nodes: all VMs of some placed anew exactly, the rest staying; more nodes until it can be done.

How many holes a cluster needs for its large VMs hardly grows with the cluster, so neither do the nodes that must change.
"""

from random import Random

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem, broken_rules
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.neighbourhood import search_among
from vmplace.solvers.budget import Budget

__all__ = ["mend"]

_EFFORT = 1.0
_NODES = (4, 8, 16, 32)
_TRIES_PER_WORK = 20


def mend(problem: Problem, goal: Goal, *, budget: Budget, seed: int = 0, measured: bool = False) -> CandidatePlacement | None:
    """A candidate that differs from the present placement on a few nodes, or None where none is found.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        The time there is.
    seed
        Of the random choice of nodes.
    measured
        Whether to end by `Budget.work` rather than by the clock.
    """
    astray, now = _astray(problem, goal), problem.node_of
    hosts = np.unique(now[astray])
    others = np.setdiff1d(np.flatnonzero(problem.online), hosts).tolist()
    # The emptiest first, where a hole costs least; equal ones in random order.
    Random(seed).shuffle(others)
    load = problem.load(now)
    others.sort(key=lambda node: int(load[node] - problem.usable[node]))
    tries = _NODES[: budget.steps(_TRIES_PER_WORK)] if measured else _NODES
    effort = min(_EFFORT, budget.work / len(_NODES)) if measured else _EFFORT
    slots: set[int] = set()
    for most in tries:
        if budget.spent:
            break
        onto = np.zeros(problem.n_nodes, dtype=bool)
        onto[[*hosts[hosts >= 0].tolist(), *others[:most]]] = True
        here = (now >= 0) & onto[np.maximum(now, 0)] & goal.free(problem)
        found, _ = search_among(
            problem,
            goal,
            now,
            np.union1d(astray, np.flatnonzero(here)),
            onto,
            budget=budget,
            bounds=(0,) * len(goal.stages(problem)),
            slots=slots,
            seed=seed,
            effort=effort,
        )
        if found is not None:
            return found
        if most >= len(others):
            break
    return None


def _astray(problem: Problem, goal: Goal) -> IntArray:
    """VMs that cannot all stay: those that wait, that are where they may not be, that are on overfull nodes, or break a rule."""
    now = problem.node_of
    where = np.maximum(now, 0)
    astray = (now < 0) | ~problem.reachable[problem.signature, where]
    astray |= (problem.load(now) > goal.limit(problem))[where]
    for binding in broken_rules(problem, now):
        if binding.must:
            astray[binding.vms] = True
    return np.flatnonzero(astray & goal.free(problem))
