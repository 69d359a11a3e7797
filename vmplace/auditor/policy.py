"""The simulation of a platform's restart policy, and the comparison of plans with it."""

from collections.abc import Container

import numpy as np

from vmplace.auditor.case import Case
from vmplace.auditor.certificate import doubtful_scenarios
from vmplace.auditor.failures import AuditedFailures, Failure
from vmplace.auditor.plans import AuditedPlans

__all__ = ["check_policy", "simulate"]

_BEYOND = np.iinfo(np.int64).max


def check_policy(failures: AuditedFailures, plans: AuditedPlans | None, stopped: Container[int] = ()) -> None:
    """Record the VMs that the policy finds no node for, and where plans differ from it; in failures `stopped` nothing restarts.

    A failure that is survived in any order of restarts is simulated only where there are plans to compare.
    """
    case, scenarios, policy = failures.case, failures.scenarios, failures.case.cluster.guarantee.policy
    given = {}
    if plans is not None:
        given = dict(zip(zip(plans.scenario.tolist(), plans.vm.tolist(), strict=True), plans.node.tolist(), strict=True))
    for s in range(len(scenarios)) if plans is not None else doubtful_scenarios(failures).tolist():
        if s in stopped:
            continue
        failure = failures.at_once(s)
        restarts = simulate(failure)
        for v in failure.musts:
            key, vm, to, planned = scenarios.key(s), case.vm.names[v], restarts.get(v, -1), given.get((s, v), -1)
            if to < 0:
                finds = "no room" if failures.blind else "no node"
                case.blame("unprotected", key, f"if {key} fails, {policy} finds {finds} for {vm}")
            elif plans is not None and to != planned:
                other = f"on {case.nodes[planned]}" if planned >= 0 else "nowhere"
                case.blame("failover", key, f"if {key} fails, {policy} restarts {vm} on {case.nodes[to]}, the plan {other}")


def simulate(failure: Failure) -> dict[int, int]:
    """The node of each VM that the policy restarts; a VM that finds no node, or is sent to one without room, is left out."""
    if failure.all.blind:
        return _simulate_blindly(failure)
    free = failure.free.copy()
    restarts: dict[int, int] = {}
    policy = failure.all.case.cluster.guarantee.policy
    for v in _in_order(failure.all.case, failure.musts):
        fits = failure.fitting(v, free, restarts)
        if not fits.any():
            continue
        if policy == "first-fit":
            place = int(np.argmax(fits))
        elif policy == "most-free":
            place = int(np.argmax(np.where(fits, free[0], -1)))
        else:
            place = int(np.argmin(np.where(fits, free[0], _BEYOND)))
        free[:, place] -= failure.all.demand[:, v]
        restarts[v] = int(failure.nodes[place])
    return restarts


def _simulate_blindly(failure: Failure) -> dict[int, int]:
    """Each VM goes where the fewest VMs are, of several such nodes to the first by name; a VM without room there is left out."""
    case, nodes = failure.all.case, failure.nodes.tolist()
    there = [*failure.at.tolist(), *case.target[case.moving].tolist()]
    count = {i: there.count(i) for i in nodes}
    free = {i: failure.free[:, place].copy() for place, i in enumerate(nodes)}
    sent: dict[int, int] = {}
    started: dict[int, int] = {}
    for v in _in_order(case, failure.musts):
        open_ = [i for i, allowed in zip(nodes, failure.allowed(v, sent).tolist(), strict=True) if allowed]
        if not open_:
            continue
        sent[v] = i = min(open_, key=lambda i: (count[i], case.nodes[i].encode()))
        need = failure.all.demand[:, v]
        if all(n <= left for n, left in zip(need.tolist(), free[i].tolist(), strict=True) if n):
            started[v] = i
        free[i] -= need
        count[i] += 1
    return started


def _in_order(case: Case, vms: list[int]) -> list[int]:
    """The VMs in the order of the policy; ties in document order."""
    order = case.cluster.guarantee.order
    if order == "largest-first":
        return sorted(vms, key=lambda v: -int(case.memory.demand[v]))
    if order == "priority":
        return sorted(vms, key=lambda v: -int(case.vm.priority[v]))
    return vms
