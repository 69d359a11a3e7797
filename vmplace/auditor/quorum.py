"""The audit of the quorum: a failure that leaves too few nodes of a pool up is not survived, wherever VMs could restart."""

import numpy as np

from vmplace.auditor.case import Case, sums
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["check_quorum", "without_quorum"]


def check_quorum(case: Case, scenarios: AuditedScenarios) -> set[int]:
    """Record ``unprotected`` for failures that leave a pool without its quorum, ``unverified`` for pools too large to list.

    Returns these failures: nothing restarts there, whatever else would.
    """
    if case.cluster.guarantee.quorum is None:
        return set()
    needed, up, gone, busy = _counts(case, scenarios)
    nodes, stopped = np.bincount(case.node_pool[:-1], minlength=len(case.pools)), without_quorum(case, scenarios)
    for s, left in stopped.items():
        key, pool = scenarios.key(s), int(scenarios.pool_of[s])
        told = f"if {key} fails, {left} of {nodes[pool]} nodes are left, and the quorum needs {needed[pool]}"
        case.blame("unprotected", key, told)
    for hosts in scenarios.crowded:
        pool = int(scenarios.pool[hosts[0]])
        if busy[pool] and up[pool] - int(np.sort(gone[hosts])[::-1][: scenarios.failures].sum()) < needed[pool]:
            case.blame("unverified", case.pools[pool], f"pool {case.pools[pool]} may be left without a quorum")
    return set(stopped)


def without_quorum(case: Case, scenarios: AuditedScenarios) -> dict[int, int]:
    """The failures that leave too few nodes up for anything to restart, each with how many it leaves."""
    if case.cluster.guarantee.quorum is None or not len(scenarios):
        return {}
    needed, up, gone, busy = _counts(case, scenarios)
    pool = scenarios.pool_of
    left = up[pool] - scenarios.total(gone)
    stopped = np.flatnonzero(busy[pool] & (left < needed[pool]))
    return dict(zip(stopped.tolist(), left[stopped].tolist(), strict=True))


def _counts(case: Case, scenarios: AuditedScenarios) -> tuple[IntArray, IntArray, IntArray, BoolArray]:
    """Of each pool: the nodes that must be up, those that are, and whether something must restart; and of each unit its nodes."""
    asked, up = case.cluster.guarantee.quorum, case.up[:-1].astype(np.int64)
    nodes = np.bincount(case.node_pool[:-1], minlength=len(case.pools))
    needed = nodes // 2 + 1 if asked == "majority" else np.full(len(nodes), int(asked or 0))
    at = case.at[np.flatnonzero(case.must)]
    busy = np.bincount(case.node_pool[at[at >= 0]], minlength=len(case.pools)) > 0
    return needed, sums(case.node_pool[:-1], up, len(case.pools)), sums(scenarios.unit_of[:-1], up, len(scenarios.names)), busy
