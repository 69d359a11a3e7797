"""What sums alone tell of failures without plans: that there is too little, or nothing yet."""

import numpy as np

from vmplace.auditor.case import Case, sums
from vmplace.auditor.scenarios import AuditedScenarios

__all__ = ["check_sums"]


def check_sums(case: Case, scenarios: AuditedScenarios) -> None:
    """Record ``unprotected`` where what must restart is more than survivors have to spare, else ``unverified``."""
    musts = np.flatnonzero(case.must)
    at, pool_of = case.at[musts], scenarios.pool[scenarios.units[:, 0]]
    told = []
    for resource in (resource for resource in case.resources if resource.binding):
        need = scenarios.total(scenarios.by_unit(at, resource.demand[musts]))
        room = np.where(case.online, np.maximum(resource.capacity - resource.fixed, 0), 0)[:-1]
        of_pool = sums(case.node_pool[:-1], room, len(case.pools))
        told.append((resource, need, of_pool[pool_of] - scenarios.total(scenarios.by_unit(np.arange(len(room)), room))))
    short = np.array([need > left for _, need, left in told])
    worst = np.argmax(short, axis=0)  # memory where nothing is short
    for r, (resource, need, left) in enumerate(told):
        rows = np.flatnonzero((worst == r) & (told[0][1] > 0))
        kinds = np.where(short[r, rows], "unprotected", "unverified").tolist()
        needs, spares = need[rows].tolist(), left[rows].tolist()
        spelled = {amount: resource.spell(amount) for amount in {*needs, *spares}}
        for s, kind, n, spare in zip(rows.tolist(), kinds, needs, spares, strict=True):
            figures = f"{spelled[n]} must restart, {spelled[spare]} are free elsewhere"
            case.blame(kind, scenarios.keys[s], f"if {scenarios.keys[s]} fails, {figures}")
