"""Planned restarts of one failure, decided exactly: necessary conditions, then first-fit plans, then CP-SAT."""

import numpy as np

from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.exact import search_all, search_most, search_softest
from vmplace.failover.planned.first_fit import Assignment, pack_most, pack_softest, soft_cost
from vmplace.failover.restart import Item, RestartProblem
from vmplace.model.columns import IntArray
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import load_solver
from vmplace.solvers.program import Outcome

__all__ = ["decide"]

_METHOD = {"alone": "sums", "size": "sums", "blend": "sums", "barred": "rules"}
"""What told so, where it does not bear the reason's name."""


def decide(restart: RestartProblem, *, budget: Budget, losses: bool = True) -> Plan:
    """Whether all displaced VMs can restart; with `losses`, the best partial plan if they cannot.

    Parameters
    ----------
    restart
        The failure.
    budget
        When it is spent before the answer is known, `Plan.safe` is None.
    losses
        Whether a partial plan is wanted.
    """
    items = restart.joint_items()
    reason = _impossible(restart, items)
    if reason is None:
        outcome, found, method = Outcome.FEASIBLE, pack_softest(restart), "packing"
        if found is None:
            (outcome, found), method = search_all(restart, budget=budget), "search"
        if found is not None and soft_cost(restart, found) > restart.least_soft_cost:
            found, method = search_softest(restart, found, budget=budget), "search"
        if found is not None:
            return _plan(restart, True, method, found)
        if outcome is Outcome.UNKNOWN:
            return _plan(restart, None, "time", pack_most(restart))
        free, among = _usable(restart, items)
        reason = Reason("search", _all(restart), _need(items), int(free.sum()), among=among)
    if not losses:
        return _plan(restart, False, _METHOD.get(reason.kind, reason.kind), [])
    return _with_loss(restart, reason, budget)


def _with_loss(restart: RestartProblem, reason: Reason, budget: Budget) -> Plan:
    most = pack_most(restart)
    placed = {vm for item, _ in most for vm in item.vms}
    hopeless = {vm for item in restart.single_items if not restart.fitting(item).any() for vm in item.vms}
    # VMs that fit on no node at all are lost in any plan: if no others are, nothing is left to prove.
    minimal = set(restart.vms.tolist()) - placed <= hopeless
    if not minimal and budget.patience[0] > 0 and not budget.spent:
        load_solver()  # which takes as long as many a search
        with budget.refining() as inner:
            most, minimal = search_most(restart, most, budget=inner)
    plan = _plan(restart, False, _METHOD.get(reason.kind, reason.kind), most)
    return Plan(False, plan.method, plan.vms, plan.nodes, Loss(restart.vms[~np.isin(restart.vms, plan.vms)], reason, minimal))


def _plan(restart: RestartProblem, safe: bool | None, method: str, assignment: Assignment) -> Plan:
    pairs = [(vm, i) for item, i in assignment for vm in item.vms]
    vms, chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Plan(safe, method, vms, restart.nodes[chosen])


def _impossible(restart: RestartProblem, items: list[Item]) -> Reason | None:
    """A necessary condition that fails, if one does: the plainest first."""
    if not len(restart.nodes):
        return Reason("alone", _all(restart), _need(items))
    for item in items:
        if not item.allowed.any():
            return Reason("rules", item.vms, item.memory)
        if not restart.fitting(item).any():
            return _too_large(restart, item)
    for resource in range(restart.room.shape[1]):
        free, among = _usable(restart, items, resource)
        need = _need(items, resource)
        if need > int(free.sum()):
            return Reason("sums", _all(restart), need, int(free.sum()), among=among, resource=resource)
    for resource in range(restart.room.shape[1]):
        reason = _slots(restart, items, resource)
        if reason is not None:
            return reason
    return None


def _too_large(restart: RestartProblem, item: Item) -> Reason:
    """Why no candidate has room for an item."""
    for resource, need in enumerate(item.demand):
        free = np.where(item.allowed, restart.room[:, resource], -1)
        best = int(free.argmax())
        if free[best] < need:
            kind = "size" if free[best] == restart.room[:, resource].max() else "barred"
            return Reason(kind, item.vms, need, int(free[best]), int(restart.nodes[best]), resource=resource)
    return Reason("blend", item.vms, item.memory)


def _usable(restart: RestartProblem, items: list[Item], resource: int = 0) -> tuple[IntArray, int]:
    """What the freest candidates have, as many as there are items, and how many these are; 0 if they are all there are."""
    free = np.sort(restart.room[:, resource])[::-1]
    return free[: len(items)], len(items) if len(free) >= len(items) else 0


def _slots(restart: RestartProblem, items: list[Item], resource: int) -> Reason | None:
    """The slot cut: more VMs of a size or above than the survivors have room for, each VM counting for its whole slots."""
    free, among = _usable(restart, items, resource)
    sizes = np.array([item.demand[resource] for item in items], dtype=np.int64)
    for size in np.unique(sizes[sizes > 0])[::-1].tolist():
        room = int((free // size).sum())
        if int((sizes // size).sum()) > room:
            vms = tuple(vm for item in items if item.demand[resource] >= size for vm in item.vms)
            return Reason("slots", vms, int((sizes // size).sum()), room, size=size, among=among, resource=resource)
    return None


def _need(items: list[Item], resource: int = 0) -> int:
    return sum(item.demand[resource] for item in items)


def _all(restart: RestartProblem) -> tuple[int, ...]:
    return tuple(restart.vms.tolist())
