"""One failure whose restarts nobody plans: the HA manager takes any order and any fitting node, or follows a policy."""

from itertools import permutations

import numpy as np
from attrs import evolve

from vmplace.adversary import Stranding, strand
from vmplace.budget import Budget
from vmplace.columns import BoolArray, IntArray
from vmplace.packing import pack_all, pack_most
from vmplace.problem import Problem
from vmplace.restart import Loss, Plan, Reason, Restart, occupied
from vmplace.simulate import simulate
from vmplace.situation import Situation
from vmplace.standing import Standing

__all__ = ["decide_any_order", "decide_policy", "situation_of"]

_MOST_TURNS = 5040
"""So many orders of failures are followed."""


def decide_any_order(standing: Standing, scenario: int, *, budget: Budget, losses: bool = True) -> Plan:
    """Whether every VM that must restart can, in every state that can arise.

    Parameters
    ----------
    standing, scenario
        The failure.
    budget
        When it is spent before the answer is known, `Plan.safe` is None.
    losses
        Whether all VMs that can be stranded are wanted, with a plan for the others; otherwise one is enough.
    """
    vms, nodes, situation = situation_of(standing, standing.failures.failing(scenario), standing.node_of)
    found = strand(situation, budget=budget, every=losses)
    none = np.zeros(0, dtype=np.int64)
    if found.survived:
        return Plan(True, "adversary", none, none)
    if found.survived is None:
        return Plan(None, "time", none, none)
    if not losses:
        return Plan(False, "adversary", none, none, _loss(found, found.lost, vms, nodes, situation))
    # Who is stranded in no state restarts in any case, whoever of the others has before.
    gone = found.lost | found.open
    placed, chosen = _together(standing, scenario, vms[~gone])
    return Plan(False, "adversary", placed, chosen, _loss(found, gone, vms, nodes, situation))


def _loss(found: Stranding, gone: BoolArray, vms: IntArray, nodes: IntArray, situation: Situation) -> Loss:
    story = min(found.stories, key=lambda story: len(story.placed))
    stranded = int(vms[story.stranded])
    placed = tuple((int(vms[vm]), int(nodes[node])) for vm, node in story.placed)
    reason = Reason("stranded", (stranded,), int(situation.demand[story.stranded, 0]), story=placed)
    return Loss(vms[gone], reason, minimal=not found.open.any())


def decide_policy(standing: Standing, scenario: int, *, budget: Budget) -> Plan:
    """What the platform's own policy does; where failures come in turn, in whichever order does most harm.

    Many units can fail in more orders than there is time for: when the budget is spent, or so many have been followed, and nobody
    is lost so far, `Plan.safe` is None.
    """
    problem, units = standing.problem, standing.failures.key(scenario)
    displaced, _ = standing.displaced_by(np.array([scenario]))
    if not problem.in_turn:
        node_of, lost = _follow(standing, [units])
        vms = displaced[~np.isin(displaced, lost)]
        return Plan(not len(lost), "policy", vms, node_of[vms], _loss_of_policy(problem, lost))
    gone, complete = [displaced[:0]], True
    for followed, turn in enumerate(permutations(units)):
        if followed == _MOST_TURNS or budget.spent:
            complete = False
            break
        gone.append(_follow(standing, [(unit,) for unit in turn])[1])
    lost = np.unique(np.concatenate(gone))
    if not complete and not len(lost):
        return Plan(None, "time", displaced[:0], displaced[:0])
    # What happens in turn is no plan for all that fail at once; if nobody is lost, one is made when it is asked for.
    if not len(lost):
        return Plan(True, "policy", displaced[:0], displaced[:0])
    vms, nodes = _together(standing, scenario, displaced[~np.isin(displaced, lost)])
    return Plan(False, "policy", vms, nodes, _loss_of_policy(problem, lost, minimal=complete))


def _loss_of_policy(problem: Problem, lost: IntArray, *, minimal: bool = True) -> Loss | None:
    if not len(lost):
        return None
    return Loss(lost, Reason("policy", (int(lost[0]),), int(problem.memory[lost[0]])), minimal)


def _together(standing: Standing, scenario: int, vms: IntArray) -> tuple[IntArray, IntArray]:
    """Where some of the VMs that a failure displaces restart if all units fail at once."""
    restart = Restart.of(standing, scenario)
    part = evolve(restart, vms=restart.vms[np.isin(restart.vms, vms)])
    pairs = [(vm, i) for item, i in pack_all(part, soft=False) or pack_most(part) for vm in item.vms]
    placed, chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return placed, part.nodes[chosen]


def _follow(standing: Standing, stages: list[tuple[int, ...]]) -> tuple[IntArray, IntArray]:
    """Where VMs are when units have failed in stages, and who found no node on the way."""
    problem, asked = standing.problem, standing.problem.guarantee
    node_of, down = standing.node_of.copy(), np.zeros(problem.n_nodes, dtype=bool)
    lost = [np.zeros(0, dtype=np.int64)]
    for units in stages:
        down |= np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        vms, nodes, situation = situation_of(standing, failed, node_of)
        policy, order = asked.policy or "", asked.order
        home = simulate(situation, policy=policy, order=order, priority=problem.priority[vms], vm_position=problem.original[vms])
        gone = np.isin(node_of, failed)
        node_of[gone] = -1
        node_of[vms[home >= 0]] = nodes[home[home >= 0]]
        lost.append(vms[(home < 0) & situation.must])
    return node_of, np.concatenate(lost)


def situation_of(standing: Standing, failed: IntArray, node_of: IntArray) -> tuple[IntArray, IntArray, Situation]:
    """The VMs that may restart when nodes have failed, the survivors in document order, and the rest as arrays."""
    problem = standing.problem
    displaced = np.isin(node_of, failed) & ~problem.evictable & ~problem.incoming
    vms = np.flatnonzero(displaced)
    pool = problem.pool[failed[0]]
    nodes = np.flatnonzero(standing.target & (problem.pool == pool) & ~np.isin(np.arange(problem.n_nodes), failed))
    room = standing.room_on(nodes, node_of)
    allowed = problem.restartable[problem.signature[vms]][:, nodes]
    apart, together = [], []
    for binding in problem.bindings:
        mine = np.flatnonzero(np.isin(vms, binding.vms)) if binding.must and binding.during_failover else vms[:0]
        if not len(mine):
            continue
        if binding.zone is not None:
            allowed[mine] &= ~occupied(problem, node_of, binding, failed, nodes)
            apart.append((mine, binding.zone[nodes]))
        elif binding.kind == "together":
            together.append(mine)
    situation = Situation(
        demand=problem.demand[vms, : problem.n_firm],
        must=problem.protected[vms],
        free=room,
        allowed=allowed,
        likeness=problem.classes.of[vms],
        apart=tuple(apart),
        together=tuple(together),
    )
    return vms, nodes, situation
