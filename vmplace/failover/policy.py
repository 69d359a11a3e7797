"""What a platform's own restart policy does after a failure: a simulation, one VM after the other."""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import numpy as np

from vmplace.failover.any_order.state import AnyOrderProblem, RestartState, any_order_problem
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import plan_among
from vmplace.model.columns import IntArray
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
    failure: AnyOrderProblem, *, policy: str, order: str | None, priority: IntArray, position: IntArray | None = None
) -> IntArray:
    """Node of each VM, -1 for those that are lost or need not restart, shape (n_vms,).

    The VMs that must restart do, one after the other, in an order of `Guarantee` (None: as listed); each takes one of the nodes
    that are open to it, by the policy. One that finds no node is lost, and the others go on. Ties are broken by the VMs' position
    in the document (None: as in the failure).
    """
    listed = np.arange(failure.n_vms) if position is None else position
    keys = {"largest-first": [-failure.demand[:, 0]], "priority": [-priority]}.get(order or "", [])
    home = np.full(failure.n_vms, -1, dtype=np.int64)
    restarts = RestartState(failure)
    for vm in ranked(*keys, listed).tolist():
        fitting = np.flatnonzero(restarts.open(vm)) if failure.must[vm] else ()
        if len(fitting):
            home[vm] = chosen = int(fitting[_CHOICES[policy](restarts.left[fitting, 0])])
            restarts.restart(vm, chosen)
    return home


def decide_policy(state: PlacementState, scenario: int, *, budget: Budget) -> Plan:
    """What the platform's own policy does; where failures come in turn, in whichever order does most harm.

    Many units can fail in more orders than there is time for: when the budget is spent, or so many have been followed, and no VM
    is lost so far, `Plan.safe` is None.
    """
    problem, units = state.problem, state.scenarios.key(scenario)
    displaced, _ = state.displaced_by(np.array([scenario]))
    if not problem.in_turn:
        node_of, lost = _follow(state, [units])
        vms = displaced[~np.isin(displaced, lost)]
        return Plan(not len(lost), "policy", vms, node_of[vms], _loss_of_policy(problem, lost))
    gone, complete = [displaced[:0]], True
    for followed, turn in enumerate(permutations(units)):
        if followed == _MOST_TURNS or budget.spent:
            complete = False
            break
        gone.append(_follow(state, [(unit,) for unit in turn])[1])
    lost = np.unique(np.concatenate(gone))
    if not complete and not len(lost):
        return Plan(None, "time", displaced[:0], displaced[:0])
    # What happens in turn is no plan for all that fail at once; if no VM is lost, one is made when it is asked for.
    if not len(lost):
        return Plan(True, "policy", displaced[:0], displaced[:0])
    vms, nodes = plan_among(state, scenario, displaced[~np.isin(displaced, lost)])
    return Plan(False, "policy", vms, nodes, _loss_of_policy(problem, lost, minimal=complete))


def _loss_of_policy(problem: Problem, lost: IntArray, *, minimal: bool = True) -> Loss | None:
    if not len(lost):
        return None
    return Loss(lost, Reason("policy", (int(lost[0]),), int(problem.memory[lost[0]])), minimal)


def _follow(state: PlacementState, stages: list[tuple[int, ...]]) -> tuple[IntArray, IntArray]:
    """Where VMs are when units have failed in stages, and the VMs that found no node on the way."""
    problem, asked = state.problem, state.problem.guarantee
    node_of, down = state.node_of.copy(), np.zeros(problem.n_nodes, dtype=bool)
    lost = [np.zeros(0, dtype=np.int64)]
    for units in stages:
        down |= np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        vms, nodes, failure = any_order_problem(state, failed, node_of)
        priority, position = problem.priority[vms], problem.original[vms]
        home = simulate(failure, policy=asked.policy or "", order=asked.order, priority=priority, position=position)
        gone = np.isin(node_of, failed)
        node_of[gone] = -1
        node_of[vms[home >= 0]] = nodes[home[home >= 0]]
        lost.append(vms[(home < 0) & failure.must])
    return node_of, np.concatenate(lost)
