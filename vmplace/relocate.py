"""Which VMs must leave their nodes, so that few do."""

import numpy as np

from vmplace.columns import IntArray
from vmplace.goal import Goal
from vmplace.problem import Problem

__all__ = ["loosen"]


def loosen(problem: Problem, goal: Goal, cap: IntArray) -> IntArray:
    """The present placement without the VMs that must go: those where they may not be, those that break a must-rule, and
    enough of the others that every node comes down to its cap.

    Returns
    -------
    array of int, shape (n_vms,)
        Node of each VM that stays, -1 for the others.
    """
    node_of = problem.node_of.copy()
    if not goal.move_running:
        return node_of
    free = goal.free(problem)
    misplaced = (node_of >= 0) & ~problem.reachable[problem.signature, np.maximum(node_of, 0)]
    node_of[misplaced & free] = -1
    _part(problem, node_of, free)
    for node in np.flatnonzero(problem.load(node_of) > cap).tolist():
        _bring_down(problem, node_of, node, np.flatnonzero((node_of == node) & free), int(cap[node]))
    return node_of


def _part(problem: Problem, node_of: IntArray, free: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
    """Take off what breaks rules among VMs: of an apart rule all but one per node, of a split together rule all that can."""
    for binding in problem.bindings:
        if not binding.must:
            continue
        hosts = node_of[binding.vms]
        if binding.kind == "together" and len(np.unique(hosts[hosts >= 0])) > 1:
            node_of[binding.vms[free[binding.vms]]] = -1
        elif binding.kind == "apart":
            taken: set[int] = set()
            for vm in sorted(binding.vms.tolist(), key=lambda v: (bool(free[v]), -int(problem.memory[v]))):
                node = int(node_of[vm])
                if node in taken and free[vm]:
                    node_of[vm] = -1
                elif node >= 0:
                    taken.add(node)


def _bring_down(problem: Problem, node_of: IntArray, node: int, vms: IntArray, cap: int) -> None:
    """Take VMs off a node until its load is at most its cap: the smallest that does it, or else the largest and on."""
    excess = int(problem.memory[node_of == node].sum()) - cap
    left = sorted(vms.tolist(), key=lambda v: int(problem.memory[v]))
    while excess > 0 and left:
        enough = [v for v in left if problem.memory[v] >= excess]
        vm = enough[0] if enough else left[-1]
        left.remove(vm)
        node_of[vm] = -1
        excess -= int(problem.memory[vm])
