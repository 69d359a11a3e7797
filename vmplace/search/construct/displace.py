"""Insertion with displacement: a VM that fits nowhere takes the place of smaller ones, which are inserted elsewhere."""

from heapq import heapify, heappop, heappush

import numpy as np

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.problem import Problem
from vmplace.solvers.budget import Budget

__all__ = ["displace"]

_NODES = 64
"""So many nodes with most room are looked at for each VM."""


def displace(problem: Problem, node_of: IntArray, cap: IntArray, free: BoolArray, *, budget: Budget) -> IntArray | None:
    """Place the VMs that have no node, the largest first: best fit, or else where the least memory is displaced.

    Parameters
    ----------
    problem, node_of
        The placement; -1 for a VM without a node, shape (n_vms,).
    cap
        What normal running may use of each node, shape (n_nodes, n_resources).
    free
        VMs that may move and that no rule binds to others, shape (n_vms,); only these make way.

    Returns None where a VM under rules with others has no node, where no room can be made, or where the budget is spent.
    """
    node_of, room = node_of.copy(), cap - problem.loads(node_of)
    waiting = np.flatnonzero(node_of < 0)
    if not free[waiting].all():
        return None
    queue = [(-int(problem.memory[vm]), vm) for vm in waiting.tolist()]
    heapify(queue)
    while queue:
        if budget.spent:
            return None
        _, vm = heappop(queue)
        need = problem.demand[vm]
        open_ = np.flatnonzero(problem.online & problem.reachable[problem.signature[vm]])
        fits = open_[(room[open_] >= need).all(axis=1)]
        if len(fits):
            node = int(fits[np.argmin(room[fits, 0])])
            leaving: list[int] = []
        else:
            nearest = open_[np.argsort(-room[open_, 0], kind="stable")[:_NODES]].tolist()
            ways = [
                (way, node) for node in nearest if (way := _way(problem, node_of, free, vm, need - room[node], node)) is not None
            ]
            if not ways:
                return None
            leaving, node = min(ways, key=lambda way: int(problem.memory[way[0]].sum()))
        for other in leaving:
            node_of[other] = -1
            room[node] += problem.demand[other]
            heappush(queue, (-int(problem.memory[other]), other))
        node_of[vm] = node
        room[node] -= need
    return node_of


def _way(problem: Problem, node_of: IntArray, free: BoolArray, vm: int, lack: IntArray, node: int) -> list[int] | None:
    """Smaller VMs that leave a node so that it has what is lacking: the smallest that is enough, or else the largest."""
    here = np.flatnonzero((node_of == node) & free & (problem.memory < problem.memory[vm]))
    leaving: list[int] = []
    while (lack > 0).any():
        enough = here[(problem.demand[here] >= lack).all(axis=1)]
        if not len(here):
            return None
        other = int(enough[np.argmin(problem.memory[enough])] if len(enough) else here[np.argmax(problem.memory[here])])
        leaving.append(other)
        lack, here = lack - problem.demand[other], here[here != other]
    return leaving
