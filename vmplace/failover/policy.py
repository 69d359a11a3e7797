"""What a platform's own restart policy does after a failure: a simulation, one VM after the other."""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import numpy as np

from vmplace.failover.any_order.state import AnyOrderProblem, RestartState, any_order_problem
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import plan_among
from vmplace.model.columns import IntArray
from vmplace.model.guarantee import FEWEST_VMS
from vmplace.problem.problem import Problem
from vmplace.problem.sizes import ranked
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["decide_policy", "simulate"]


_CHOICES: Mapping[str, Callable[[IntArray], Any]] = {"first-fit": lambda left: 0, "most-free": np.argmax, "best-fit": np.argmin}
"""Which of the open nodes, in document order, by their free memory; of several alike the first."""

_MOST_TURNS = 5040
"""So many orders of failures are followed."""


def simulate(
    failure: AnyOrderProblem,
    *,
    policy: str,
    order: str | None,
    priority: IntArray,
    position: IntArray | None = None,
    running: IntArray | None = None,
    rank: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """The node that the policy sends each VM to, and where it then is: -1 for those that are lost or need not restart.

    The VMs that must restart do, one after the other, in an order of `Guarantee` (None: as listed); each takes one of the nodes
    that are open to it, by the policy. One that finds no node is lost, and the others go on. Ties are broken by the VMs' position
    in the document (None: as in the failure). Where the policy does not look at memory, a VM is lost on a node without the room,
    and takes it all the same.

    Parameters
    ----------
    running, rank
        How many VMs run on each survivor, and its rank by name, for ``fewest-vms``; shape (n_nodes,).

    Returns
    -------
    tuple of IntArray
        Each of shape (n_vms,).
    """
    listed = np.arange(failure.n_vms) if position is None else position
    keys = {"largest-first": [-failure.demand[:, 0]], "priority": [-priority]}.get(order or "", [])
    count = np.zeros(failure.n_nodes, dtype=np.int64) if running is None else running.copy()
    sent = np.full(failure.n_vms, -1, dtype=np.int64)
    home, restarts = sent.copy(), RestartState(failure)
    for vm in ranked(*keys, listed).tolist():
        if not failure.must[vm]:
            continue
        if policy == FEWEST_VMS:
            open_ = np.flatnonzero(restarts.permitted(vm))
            chosen = open_[np.lexsort((open_ if rank is None else rank[open_], count[open_]))[:1]]
        else:
            open_ = np.flatnonzero(restarts.open(vm))
            chosen = open_[[_CHOICES[policy](restarts.left[open_, 0])]] if len(open_) else open_
        for node in chosen.tolist():
            fits = bool(((failure.demand[vm] <= restarts.left[node]) | (failure.demand[vm] == 0)).all())
            sent[vm], home[vm] = node, node if fits else -1
            restarts.restart(vm, node)
            count[node] += 1
    return sent, home


def decide_policy(state: PlacementState, scenario: int, *, budget: Budget) -> Plan:
    """What the platform's own policy does; where failures come in turn, in whichever order does most harm.

    Many units can fail in more orders than there is time for: when the budget is spent, or so many have been followed, and no VM
    is lost so far, `Plan.safe` is None.
    """
    problem, units = state.problem, state.scenarios.key(scenario)
    displaced, _ = state.displaced_by(np.array([scenario]))
    if not problem.in_turn:
        node_of, lost, reason = _follow(state, [units])
        vms = displaced[~np.isin(displaced, lost)]
        return Plan(not len(lost), "policy", vms, node_of[vms], _loss(lost, reason))
    gone, reasons, complete, begun = [displaced[:0]], list[Reason](), True, budget.elapsed
    for followed, turn in enumerate(permutations(units)):
        refined = reasons and budget.elapsed - begun > budget.patience[0]
        if followed == _MOST_TURNS or budget.spent or refined:
            complete = False
            break
        _, left_out, reason = _follow(state, [(unit,) for unit in turn])
        gone.append(left_out)
        reasons += [] if reason is None else [reason]
    lost = np.unique(np.concatenate(gone))
    if not complete and not len(lost):
        return Plan(None, "time", displaced[:0], displaced[:0])
    # What happens in turn is no plan for all that fail at once; if no VM is lost, one is made when it is asked for.
    if not len(lost):
        return Plan(True, "policy", displaced[:0], displaced[:0])
    vms, nodes = plan_among(state, scenario, displaced[~np.isin(displaced, lost)])
    return Plan(False, "policy", vms, nodes, _loss(lost, reasons[0], minimal=complete))


def _loss(lost: IntArray, reason: Reason | None, *, minimal: bool = True) -> Loss | None:
    return None if reason is None else Loss(lost, reason, minimal)


def _follow(state: PlacementState, stages: list[tuple[int, ...]]) -> tuple[IntArray, IntArray, Reason | None]:
    """Where VMs are when units have failed in stages, the VMs that found no node on the way, and why the first did not."""
    problem, asked = state.problem, state.problem.guarantee
    node_of, down = state.node_of.copy(), np.zeros(problem.n_nodes, dtype=bool)
    lost, reason = [np.zeros(0, dtype=np.int64)], None
    for units in stages:
        down |= np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        vms, nodes, failure = any_order_problem(state, failed, node_of)
        sent, home = simulate(
            failure,
            policy=asked.policy or "",
            order=asked.order,
            priority=problem.priority[vms],
            position=problem.original[vms],
            running=np.bincount(node_of[node_of >= 0], minlength=problem.n_nodes)[nodes],
            rank=problem.name_rank[nodes],
        )
        out = np.flatnonzero((home < 0) & failure.must)
        if len(out) and reason is None:
            reason = _reason(problem, vms, nodes, failure, sent, int(out[0]))
        gone = np.isin(node_of, failed)
        node_of[gone] = -1
        node_of[vms[home >= 0]] = nodes[home[home >= 0]]
        lost.append(vms[out])
    return node_of, np.concatenate(lost), reason


def _reason(problem: Problem, vms: IntArray, nodes: IntArray, failure: AnyOrderProblem, sent: IntArray, lost: int) -> Reason:
    """Why a VM is lost: no node is open to it, or the one that it is sent to has not the room for all that are."""
    vm, node = int(vms[lost]), int(sent[lost])
    if node < 0:
        return Reason("policy", (vm,), int(problem.memory[vm]))
    left = failure.free[node] - failure.demand[sent == node].sum(axis=0)
    resource = int(np.flatnonzero((left < 0) & (failure.demand[lost] > 0))[0])
    has = int(problem.capacity[nodes[node], resource])
    return Reason("overfull", (vm,), has - int(left[resource]), has, int(nodes[node]), resource=resource)
