"""One failure whose restarts nobody plans: the HA manager takes any order and any fitting node, or follows a policy."""

import numpy as np

from vmplace.failover.any_order.adversary import Stranding, strand
from vmplace.failover.any_order.state import AnyOrderProblem, situation_of
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import plan_among
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["decide_any_order"]


def decide_any_order(state: PlacementState, scenario: int, *, budget: Budget, losses: bool = True) -> Plan:
    """Whether every VM that must restart can, in every state that can arise.

    Parameters
    ----------
    state, scenario
        The failure.
    budget
        When it is spent before the answer is known, `Plan.safe` is None.
    losses
        Whether all VMs that can be stranded are wanted, with a plan for the others; otherwise one is enough.
    """
    vms, nodes, any_order = situation_of(state, state.scenarios.failing(scenario), state.node_of)
    found = strand(any_order, budget=budget, every=losses)
    none = np.zeros(0, dtype=np.int64)
    if found.survived:
        return Plan(True, "adversary", none, none)
    if found.survived is None:
        return Plan(None, "time", none, none)
    if not losses:
        return Plan(False, "adversary", none, none, _loss(found, found.lost, vms, nodes, any_order))
    # Who is stranded in no state restarts in any case, whoever of the others has before.
    gone = found.lost | found.open
    placed, chosen = plan_among(state, scenario, vms[~gone])
    return Plan(False, "adversary", placed, chosen, _loss(found, gone, vms, nodes, any_order))


def _loss(found: Stranding, gone: BoolArray, vms: IntArray, nodes: IntArray, any_order: AnyOrderProblem) -> Loss:
    story = min(found.stories, key=lambda story: len(story.placed))
    stranded = int(vms[story.stranded])
    placed = tuple((int(vms[vm]), int(nodes[node])) for vm, node in story.placed)
    reason = Reason("stranded", (stranded,), int(any_order.demand[story.stranded, 0]), story=placed)
    return Loss(vms[gone], reason, minimal=not found.open.any())
