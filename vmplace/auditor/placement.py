"""The audit of normal running: the node of each VM, and the load of each node."""

import numpy as np

from vmplace.auditor.case import Case
from vmplace.model.columns import IntArray

__all__ = ["check_placement"]


def check_placement(case: Case) -> None:
    """Record VMs without a node or on one that they may not use, and nodes that are overfull or lack headroom."""
    _check_stopped(case)
    _check_places(case)
    _check_moves(case)
    _check_memory(case)
    for resource in case.resources[1:]:
        for i in np.flatnonzero(resource.load > resource.capacity).tolist():
            name, excess = case.nodes[i], resource.excess(int(resource.load[i]), int(resource.capacity[i]))
            case.blame("overfull", name, f"{name} holds {excess}")


def _blame(case: Case, guilty: IntArray, message: str) -> None:
    for v in guilty.tolist():
        vm, at, now = case.vm.names[v], case.nodes[case.at[v]], case.nodes[case.now[v]]
        case.blame("placement", vm, message.format(vm=vm, at=at, now=now))


def _check_stopped(case: Case) -> None:
    stopped = np.flatnonzero(case.stopped)
    listed, named = case.listed[stopped], case.vm.node[stopped]
    _blame(case, case.waiting, "{vm} is on no node")
    _blame(case, stopped[(listed >= 0) & (listed != named)], "{vm} is stopped: it must stay on its node, or on none")


def _check_places(case: Case) -> None:
    at, open_ = case.at, case.online | case.maintenance
    if not open_[:-1].all():
        _blame(case, np.flatnonzero((at >= 0) & ~open_[at]), "{vm} is on {at}, which is offline, drained or not powered")
    arriving = np.flatnonzero((at != case.now) & (at >= 0))
    _blame(case, arriving[case.maintenance[at[arriving]]], "{vm} moves to {at}, which is in maintenance")
    if len(case.pools) > 1:
        strange = np.flatnonzero((case.vm_pool != case.node_pool[at]) & (at >= 0))
        _blame(case, strange, "{vm} is on {at}, which is in another pool")


def _check_moves(case: Case) -> None:
    """A migration under way binds its VM more than any other reason to stay: it does not end elsewhere."""
    moved = np.flatnonzero((case.at != case.now) & (case.at >= 0) & (case.now >= 0))
    busy = case.target[moved] >= 0
    fixed = ~busy & ~(case.vm.movable | case.vm.cold)[moved] & ~case.drained[case.now[moved]]
    _blame(case, moved[fixed], "{vm} is on {at}, but must not move from {now}")
    _blame(case, moved[busy], "{vm} is on {at}, but must stay on {now} while its migration is under way")


def _check_memory(case: Case) -> None:
    memory, limit = case.memory, case.limit
    for i in np.flatnonzero(memory.load > limit).tolist():
        name, over = case.nodes[i], memory.load[i] > memory.capacity[i]
        excess = memory.excess(int(memory.load[i]), int(memory.capacity[i] if over else limit[i]))
        kind, rest = ("overfull", "") if over else ("headroom", " without headroom")
        case.blame(kind, name, f"{name} holds {excess}{rest}")
