"""The destroy step of repair: which VMs leave their nodes so that rules and capacities hold again with few moves."""

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import CompiledRule
from vmplace.search.goal import Goal

__all__ = ["loosen"]


def loosen(problem: Problem, goal: Goal, cap: IntArray) -> IntArray:
    """The present placement without the VMs that must go: those where they may not be, those that break a must-rule (or a soft
    one, where soft rules come first), and enough of the others that every node comes down to its cap.

    Parameters
    ----------
    cap
        The load that each node may have, shape (n_nodes, n_resources).

    Returns the node of each VM that stays, -1 for the others, shape (n_vms,).
    """
    node_of = problem.node_of.copy()
    if not goal.move_running:
        return node_of
    free = goal.free(problem)
    here = np.flatnonzero(free & (node_of >= 0))
    node_of[here[~problem.reachable[problem.signature[here], node_of[here]]]] = -1
    rules = [rule for rule in problem.compiled_rules if rule.must or goal.objectives[0] == "rules"]
    _part(problem, rules, node_of, free, cap - problem.loads(node_of))
    excess = problem.loads(node_of) - cap
    for node in np.flatnonzero((excess > 0).any(axis=1)).tolist():
        _bring_down(problem, node_of, np.flatnonzero((node_of == node) & free), excess[node])
    return node_of


def _part(problem: Problem, rules: list[CompiledRule], node_of: IntArray, free: BoolArray, room: IntArray) -> None:
    """Take off what breaks rules: of an apart rule all but one per zone, of a split together rule those that can join the
    others, or all where no node has room, and what is away from the nodes that a soft rule leaves."""
    joined = [rule.vms for rule in rules if rule.kind == "together"]
    ties = np.bincount(np.concatenate(joined), minlength=problem.n_vms) if joined else None
    for rule in rules:
        hosts = node_of[rule.vms]
        if rule.kind == "together" and len(np.unique(hosts[hosts >= 0])) > 1:
            # A VM in two groups may be drawn to two nodes.
            single = ties is not None and ties[rule.vms].max() == 1
            home = _gather(problem, rule.vms, node_of, free, room) if single else -1
            node_of[rule.vms[free[rule.vms] & (hosts != home)]] = -1
        elif rule.zone is not None:
            taken: set[int] = set()
            for vm in sorted(rule.vms.tolist(), key=lambda v: (bool(free[v]), -int(problem.memory[v]))):
                zone = int(rule.zone[node_of[vm]]) if node_of[vm] >= 0 else None
                if zone in taken and free[vm]:
                    node_of[vm] = -1
                elif zone is not None:
                    taken.add(zone)
        elif rule.nodes is not None:
            node_of[rule.vms[free[rule.vms] & (hosts >= 0) & ~rule.nodes[hosts]]] = -1


def _gather(problem: Problem, vms: IntArray, node_of: IntArray, free: BoolArray, room: IntArray) -> int:
    """The node with most of a group that has room for the others, -1 for none; the room is taken."""
    memory, hosts = problem.memory[vms], node_of[vms]
    for node in sorted(set(hosts[hosts >= 0].tolist()), key=lambda node: (-int(memory[hosts == node].sum()), node)):
        rest = problem.demand[vms[hosts != node]].sum(axis=0)
        possible = problem.online[node] & problem.reachable[problem.signature[vms], node] & (free[vms] | (hosts == node))
        if possible.all() and ((rest <= room[node]) | (rest == 0)).all():
            room[node] -= rest
            return int(node)
    return -1


def _bring_down(problem: Problem, node_of: IntArray, vms: IntArray, excess: IntArray) -> None:
    """Take some VMs off their node until so much less is in use there: of each resource in turn, the smallest that does it, or
    else the one with most of it and on."""
    left = vms[np.argsort(problem.memory[vms], kind="stable")].tolist()
    for resource, amount in enumerate(problem.demand.T):
        while excess[resource] > 0 and amount[left].max(initial=0) > 0:
            enough = [vm for vm in left if amount[vm] >= excess[resource]]
            vm = enough[0] if enough else max(reversed(left), key=lambda vm: int(amount[vm]))
            left.remove(vm)
            node_of[vm] = -1
            excess = excess - problem.demand[vm]
