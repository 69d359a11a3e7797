"""Synchronisation with an inventory: what has changed since is applied, and the tickets that it contradicts are named."""

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import evolve, frozen

from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.ledger import Difference, started
from vmplace.admission.results import Synced, TicketConflict
from vmplace.admission.tickets import TicketStore
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.errors import InputError
from vmplace.model.units import spell_memory
from vmplace.solvers.budget import Budget

__all__ = ["synced"]


def synced(state: ChangingCluster, tickets: TicketStore, cluster: Cluster, budget: Budget) -> tuple[ChangingCluster, Synced]:
    """What holds the cluster once it is as given, and what that has changed; the caller holds the lock."""
    held = [_Held(ticket.id, state.ledger.vm(name), was is None) for ticket, name, was in tickets.holding()]
    found = _Inventory.of(cluster, held)
    difference = Difference.between(state.ledger, found.cluster)
    state = state.synced(found.cluster, difference, budget)
    tickets.settle(state, found.kept, {conflict.ticket for conflict in found.conflicts if not conflict.held})
    return state, evolve(difference.changes, conflicts=found.conflicts)


@frozen
class _Held:
    """Room that a ticket (its id) holds for a VM, which has its node there; whether the VM is new."""

    ticket: str
    vm: VM
    new: bool


@frozen(eq=False)
class _Inventory:
    """A cluster as found, and the room that tickets hold in it.

    Parameters
    ----------
    cluster
        With the VMs that tickets hold, as far as the inventory allows.
    kept
        Names of the VMs that are held still.
    conflicts
        What speaks against tickets.
    """

    cluster: Cluster
    kept: frozenset[str]
    conflicts: tuple[TicketConflict, ...]

    @classmethod
    def of(cls, found: Cluster, held: list[_Held]) -> "_Inventory":
        """What was found, with the VMs that are held."""
        kept, conflicts = list[_Held](), list[TicketConflict]()
        for each in held:
            name = each.vm.name
            known = found.vm(name) if name in found.vms.index_of else None
            if known is not None and known.running and known.node == each.vm.node and known.target is None:
                continue  # it was started where room was held
            if reason := _against(each, known, found):
                conflicts.append(TicketConflict(each.ticket, name, reason, held=False))
            else:
                kept.append(evolve(each, vm=each.vm if known is None else started(known, each.vm.node)))
        # All that a ticket holds, or nothing.
        void = {conflict.ticket for conflict in conflicts}
        kept = [each for each in kept if each.ticket not in void]
        try:
            cluster = _with(found, kept)
        except InputError as error:  # rules that contradict each other with VMs that are not in the inventory
            conflicts += [TicketConflict(each.ticket, each.vm.name, f"{error}", held=False) for each in kept]
            cluster, kept = found, []
        conflicts += _overfull(cluster, kept)
        return cls(cluster, frozenset(each.vm.name for each in kept), tuple(conflicts))


def _against(held: _Held, known: VM | None, found: Cluster) -> str:
    """What the inventory says against room that is held for a VM (None: it is not there); empty if nothing."""
    name, node = held.vm.name, str(held.vm.node)
    if known is None and not held.new:
        return f"{name} is gone"
    if known is not None and known.running and known.node is not None and _state(found, known.node) != "offline":
        return f"{name} runs on {known.node}, room is held on {node}"
    state, pool = _state(found, node), (known or held.vm).pool
    if state is None:
        return f"{node} is gone, where room is held for {name}"
    if state != "online":
        return f"{node} is {'offline' if state == 'offline' else 'in maintenance'}, where room is held for {name}"
    if found.node(node).pool != pool:
        return f"{node} is in another pool than {name}"
    return ""


def _state(found: Cluster, node: str) -> str | None:
    return found.node(node).state if node in found.nodes.index_of else None


def _with(found: Cluster, kept: Sequence[_Held]) -> Cluster:
    """What was found, with the VMs for which room is held."""
    if not kept:
        return found
    names = {held.vm.name for held in kept}
    left = np.array([i for i, name in enumerate(found.vms.names) if name not in names], dtype=np.int64)
    return evolve(found, vms=found.vms.rows(left).followed_by(held.vm for held in kept))


def _overfull(cluster: Cluster, kept: Sequence[_Held]) -> Iterator[TicketConflict]:
    """Room that is held on nodes that have less."""
    if not kept:
        return
    vms, nodes = cluster.vms, cluster.nodes
    load = np.zeros(len(nodes) + 1, dtype=np.int64)
    np.add.at(load, np.where(vms.running, vms.node, -1), vms.charged)
    np.add.at(load, np.where(vms.running & (vms.target != vms.node), vms.target, -1), vms.charged)
    for held in kept:
        name, node = held.vm.name, nodes.index_of[str(held.vm.node)]
        over = int(load[node] - nodes.usable[node])
        if over > 0:
            reason = f"{held.vm.node} holds {spell_memory(over)} more than it has for VMs, with the room held for {name}"
            yield TicketConflict(held.ticket, name, reason, held=True)
