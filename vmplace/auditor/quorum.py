"""The audit of the quorum: a failure that leaves too few nodes of a pool up is not survived, wherever VMs could restart."""

import numpy as np

from vmplace.auditor.case import Case, sums
from vmplace.auditor.scenarios import AuditedScenarios

__all__ = ["check_quorum"]


def check_quorum(case: Case, scenarios: AuditedScenarios) -> set[int]:
    """Record ``unprotected`` for failures that leave a pool without its quorum, ``unverified`` for pools too large to list.

    Returns these failures: nothing restarts there, whatever else would.
    """
    asked, found = case.cluster.guarantee.quorum, set[int]()
    if asked is None:
        return found
    nodes = np.bincount(case.node_pool[:-1], minlength=len(case.pools)).tolist()
    needed = [count // 2 + 1 if asked == "majority" else int(asked) for count in nodes]
    up = sums(case.node_pool[:-1], case.up[:-1].astype(np.int64), len(case.pools)).tolist()
    at = case.at[np.flatnonzero(case.must)]
    busy = np.bincount(case.node_pool[at[at >= 0]], minlength=len(case.pools)) > 0
    gone = sums(scenarios.unit_of[:-1], case.up[:-1].astype(np.int64), len(scenarios.names))
    for s, lost in enumerate(scenarios.total(gone).tolist()):
        pool = int(scenarios.pool[scenarios.units[s, 0]])
        left = up[pool] - lost
        if busy[pool] and left < needed[pool]:
            found.add(s)
            key = scenarios.key(s)
            told = f"if {key} fails, {left} of {nodes[pool]} nodes are left, and the quorum needs {needed[pool]}"
            case.blame("unprotected", key, told)
    for hosts in scenarios.crowded:
        pool = int(scenarios.pool[hosts[0]])
        if busy[pool] and up[pool] - int(np.sort(gone[hosts])[::-1][: scenarios.failures].sum()) < needed[pool]:
            case.blame("unverified", case.pools[pool], f"pool {case.pools[pool]} may be left without a quorum")
    return found
