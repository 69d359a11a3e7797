"""What a platform's own restart policy does after a failure, step by step."""

from itertools import permutations

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


def simulate(
    failure: AnyOrderProblem,
    *,
    policy: str,
    order: str | None = None,
    priority: IntArray | None = None,
    vm_position: IntArray | None = None,
    node_position: IntArray | None = None,
) -> IntArray:
    """Restart the VMs that must, one after the other; who finds no node is lost, and the others go on.

    Parameters
    ----------
    failure
        The failure.
    policy
        Which of the nodes that are open to a VM it takes: ``first-fit`` (the first), ``most-free`` or ``best-fit`` (the one
        with the most or the least free memory; of several the first).
    order
        ``largest-first`` (by memory), ``priority`` (higher first) or ``as-listed``, which None stands for.
    priority
        Of each VM, shape (n_vms,); None: all equal.
    vm_position, node_position
        Places in the document, by which ties are broken, shape (n_vms,) and (n_nodes,); None: as in the situation.

    Returns
    -------
    IntArray
        Node of each VM, -1 for those that are lost or need not restart, shape (n_vms,).
    """
    nodes = ranked(np.arange(failure.n_nodes) if node_position is None else node_position)
    home = np.full(failure.n_vms, -1, dtype=np.int64)
    restarts = RestartState(failure)
    for vm in _turns(failure, order, priority, vm_position):
        fitting = nodes[restarts.open(vm)[nodes]]
        if len(fitting):
            home[vm] = chosen = int(fitting[_choice(policy, restarts.left[fitting, 0])])
            restarts.restart(vm, chosen)
    return home


def _turns(failure: AnyOrderProblem, order: str | None, priority: IntArray | None, position: IntArray | None) -> list[int]:
    """The VMs that must restart, in their order."""
    n_vms = failure.n_vms
    listed = np.arange(n_vms) if position is None else position
    if order == "largest-first":
        turns = ranked(-failure.demand[:, 0], listed)
    elif order == "priority" and priority is not None:
        turns = ranked(-priority, listed)
    else:
        turns = ranked(listed)
    return [vm for vm in turns.tolist() if failure.must[vm]]


def _choice(policy: str, left: IntArray) -> int:
    """Which of the open nodes, in document order, with so much free memory."""
    if policy == "most-free":
        return int(left.argmax())
    if policy == "best-fit":
        return int(left.argmin())
    return 0


def decide_policy(state: PlacementState, scenario: int, *, budget: Budget) -> Plan:
    """What the platform's own policy does; where failures come in turn, in whichever order does most harm.

    Many units can fail in more orders than there is time for: when the budget is spent, or so many have been followed, and nobody
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
    # What happens in turn is no plan for all that fail at once; if nobody is lost, one is made when it is asked for.
    if not len(lost):
        return Plan(True, "policy", displaced[:0], displaced[:0])
    vms, nodes = plan_among(state, scenario, displaced[~np.isin(displaced, lost)])
    return Plan(False, "policy", vms, nodes, _loss_of_policy(problem, lost, minimal=complete))


def _loss_of_policy(problem: Problem, lost: IntArray, *, minimal: bool = True) -> Loss | None:
    if not len(lost):
        return None
    return Loss(lost, Reason("policy", (int(lost[0]),), int(problem.memory[lost[0]])), minimal)


def _follow(state: PlacementState, stages: list[tuple[int, ...]]) -> tuple[IntArray, IntArray]:
    """Where VMs are when units have failed in stages, and who found no node on the way."""
    problem, asked = state.problem, state.problem.guarantee
    node_of, down = state.node_of.copy(), np.zeros(problem.n_nodes, dtype=bool)
    lost = [np.zeros(0, dtype=np.int64)]
    for units in stages:
        down |= np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        vms, nodes, failure = any_order_problem(state, failed, node_of)
        policy, order = asked.policy or "", asked.order
        home = simulate(failure, policy=policy, order=order, priority=problem.priority[vms], vm_position=problem.original[vms])
        gone = np.isin(node_of, failed)
        node_of[gone] = -1
        node_of[vms[home >= 0]] = nodes[home[home >= 0]]
        lost.append(vms[(home < 0) & failure.must])
    return node_of, np.concatenate(lost)


_MOST_TURNS = 5040
"""So many orders of failures are followed."""
