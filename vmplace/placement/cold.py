"""Cold moves in a search: as few VMs as are found are stopped on one node and started on another."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from vmplace.model.columns import BoolArray
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import warmed
from vmplace.results.placement import Solution
from vmplace.solvers.budget import Budget

__all__ = ["fewest_cold"]

_FIRST_SHARE = 0.5


def fewest_cold(
    names: Names, out: BoolArray, search: Callable[[Problem, Budget], Solution], *, moving: bool, budget: Budget
) -> Solution:
    """The best that a search finds with as few cold moves as are found: a cold move is worse than any number of live ones.

    First only those VMs move cold that have to leave a node. Where that is not enough for the guarantee, any may; then those are
    kept, one by one, that need not move after all.

    Parameters
    ----------
    out
        Nodes to be emptied, shape (n_nodes,).
    search
        Solves a problem within a budget.
    moving
        Whether running VMs may move that are not on these.
    """
    problem = names.problem
    must = problem.cold & np.append(out, False)[problem.node_of]
    if not (moving and (problem.cold & ~must).any()):
        return search(warmed(problem, must), budget)
    first = search(warmed(problem, must), budget.share(_FIRST_SHARE))
    if first.held or budget.spent:
        return first
    best, allowed = search(warmed(problem, problem.cold), budget.share(_FIRST_SHARE)), problem.cold.copy()
    if not _better(best, first):
        return first
    moved = {migration.vm for migration in best.migrations}
    allowed &= must | np.array([name in moved for name in names.vms(range(problem.n_vms))], dtype=bool)
    spare = np.flatnonzero(allowed & ~must)
    for vm in spare[np.argsort(-problem.memory[spare], kind="stable")].tolist():
        if budget.spent:
            break
        fewer = allowed.copy()
        fewer[vm] = False
        found = search(warmed(problem, fewer), budget.share(_FIRST_SHARE))
        if not _better(best, found):
            best, allowed = found, fewer
    return best


def _better(one: Solution, other: Solution) -> bool:
    """Whether a placement leaves less unprotected than another: by priority, then memory; any is better than none."""
    if one.node_of is None or other.node_of is None:
        return one.node_of is not None and other.node_of is None
    return (not one.held, _lost(one)) < (not other.held, _lost(other))


def _lost(found: Solution) -> list[tuple[int, int]]:
    vms = found.cluster.vms
    place = {name: number for number, name in enumerate(vms.names)} if found.unprotected else {}
    lost = Counter[int]()
    for entry in found.unprotected:
        for vm in entry.vms:
            lost[-int(vms.priority[place[vm]])] += int(vms.memory[place[vm]])
    return sorted(lost.items())
