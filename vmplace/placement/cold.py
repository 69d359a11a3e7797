"""Cold moves in a search: as few VMs as are found are stopped on one node and started on another."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from attrs import evolve

from vmplace.model.columns import BoolArray
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import warmed
from vmplace.results.placement import Solution
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["fewest_cold"]

_FIRST_SHARE = 0.5


def fewest_cold(
    names: Names, out: BoolArray, search: Callable[[Problem, Budget], Solution], *, moving: bool, budget: Budget
) -> Solution:
    """The best that a search finds with as few cold moves as are found: a cold move is worse than any number of live ones.

    First only those VMs move cold that have to leave a node. Where that is not enough for the guarantee, any may; then those are
    kept, one by one, that need not move after all. That nothing better exists is proved only if it is where any may.

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
    if first.held:
        return first
    whole, allowed = search(warmed(problem, problem.cold), budget.share(_FIRST_SHARE)), problem.cold.copy()
    if not _better(whole, first):
        return whole if first.node_of is None else _as_proved(first, whole)
    best, moved = whole, {migration.vm for migration in whole.migrations}
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
    return _as_proved(best, whole)


def _as_proved(found: Solution, whole: Solution) -> Solution:
    """A placement with what is proved of it, by the search in which any VM might move cold."""
    if found.held or found.status is not Status.OPTIMAL or whole.status is Status.OPTIMAL:
        return found
    return evolve(found, status=Status.FEASIBLE, reason="the search ended before a proof")


def _better(one: Solution, other: Solution) -> bool:
    """Whether a placement leaves less unprotected than another: by priority, then memory; any is better than none."""
    if one.node_of is None or other.node_of is None:
        return one.node_of is not None and other.node_of is None
    return (not one.held, _lost(one)) < (not other.held, _lost(other))


def _lost(found: Solution) -> list[int]:
    """The memory that all failures together leave unprotected, of each priority, the highest first, in MiB."""
    vms = found.cluster.vms
    place = vms.index_of
    lost = Counter[int]()
    for entry in found.unprotected:
        for vm in entry.vms:
            lost[int(vms.priority[place[vm]])] += int(vms.memory[place[vm]])
    return [lost[priority] for priority in np.unique(vms.priority)[::-1].tolist()]
