"""Tickets: room held for a while for a scheduler that has not decided yet."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import uuid4

from attrs import evolve, frozen

from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.gang import start_together
from vmplace.admission.ledger import Ledger
from vmplace.admission.results import Admission
from vmplace.model.entities import VM
from vmplace.model.errors import ConflictError, Flaw, InputError
from vmplace.model.units import short
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["Ticket", "TicketState", "TicketStore"]


class TicketState(StrEnum):
    """What became of a ticket; an inventory contradicts it where room is held for a VM that is elsewhere, or on a lost node."""

    HELD = "held"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    EXPIRED = "expired"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


@frozen
class Former:
    """What a VM of the cluster was before a ticket started it: the node that it named, and False if it was stopped there."""

    node: str | None
    running: bool

    def back(self, vm: VM, ledger: Ledger) -> VM:
        """The VM as it was; where it waited for a node that is back, it goes on waiting without one."""
        there = self.node is not None and (not self.running or ledger.node(self.node).state == "offline")
        return evolve(vm, node=self.node if there else None, running=self.running)


class Ticket:
    """Room reserved for VMs until the ticket is committed, rolled back or expires.

    Attributes
    ----------
    id : str
        Its key in `Admitter.tickets`, also after a snapshot is loaded.
    admission : Admission
        The node for each VM. If its status is not ``admitted``, the ticket holds nothing.
    expires : float
        When it expires, in seconds since 1970.
    holds : dict of str to Former
        The VMs that it gives back if it is not committed, as they were (None: new); without those that were moved, removed or
        started elsewhere meanwhile.
    """

    def __init__(
        self, store: "TicketStore", key: str, admission: Admission, expires: float, former: Mapping[str, Former]
    ) -> None:
        self._store, self.holds = store, {name: former.get(name) for name in admission.placement}
        self._state = TicketState.HELD if admission.admitted else TicketState.REFUSED
        self.id, self.admission, self.expires = key, admission, expires

    def __repr__(self) -> str:
        return f"<Ticket {self.id}: {self.state.value}>"

    def to_dict(self) -> dict[str, Any]:
        """As a snapshot carries it."""
        former = {name: was and {"node": was.node, "running": was.running} for name, was in self.holds.items()}
        return {"id": self.id, "expires": self.expires, "placement": dict(self.admission.placement), "former": former}

    @property
    def state(self) -> TicketState:
        """Whether it holds room, or was committed, rolled back, refused, or has expired."""
        with self._store.lock:
            self._store.expire()
            return self._state

    def commit(self) -> None:
        """The VMs are there to stay.

        Raises
        ------
        ConflictError
            (an InputError) if nothing is held any more, or never was: the room may be taken by now.
        """
        if not self._store.close(self, TicketState.COMMITTED):
            raise ConflictError([Flaw("ticket", f"{self.id} is {self._state.value}: reserve again", "conflict")])

    def rollback(self) -> bool:
        """The room is free again; False if nothing is held any more, or never was."""
        return self._store.close(self, TicketState.ROLLED_BACK)


class TicketStore:
    """The tickets that hold room in a cluster.

    Parameters
    ----------
    cluster
        Where it is held. It is changed where room is given back.

    Attributes
    ----------
    lock : threading.RLock
        Held while the cluster is used.
    held : dict of str to Ticket
        By id; some of them may have expired by now: see `expire`.
    """

    def __init__(self, cluster: ChangingCluster, clock: Callable[[], float]) -> None:
        self._cluster, self._clock = cluster, clock
        self.lock = threading.RLock()
        self.held: dict[str, Ticket] = {}

    def expire(self) -> None:
        """Give back what has expired by now; the caller holds the lock."""
        if self.held:
            now = self._clock()
            for ticket in [ticket for ticket in self.held.values() if ticket.expires <= now]:
                self._end(ticket, TicketState.EXPIRED)

    def current(self) -> dict[str, Ticket]:
        """The tickets that hold something now, by id."""
        with self.lock:
            self.expire()
            return dict(self.held)

    def holding(self) -> list[tuple[Ticket, str, Former | None]]:
        """The VMs that tickets hold room for now, with what they were (None: new); the caller holds the lock."""
        return [(ticket, name, was) for ticket in self.held.values() for name, was in ticket.holds.items()]

    def settle(self, cluster: ChangingCluster, kept: Collection[str], void: Collection[str]) -> None:
        """Hold room in a cluster for some of the VMs, and nothing for the tickets that are void, by id."""
        self._cluster = cluster
        for ticket in self.held.values():
            ticket.holds = {name: was for name, was in ticket.holds.items() if name in kept}
        for key in void:
            self.held.pop(key)._state = TicketState.CONTRADICTED

    def release(self, name: str) -> None:
        """Take a VM out of the tickets that hold room for it."""
        for ticket in self.held.values():
            ticket.holds.pop(name, None)

    def reserve(self, vms: Sequence[VM], node: str | None, expires_in: float, budget: Budget) -> Ticket:
        """A ticket for VMs to be started, all or none; `node`: where, if one VM is to go to a certain node."""
        ledger = self._cluster.ledger
        former = {vm.name: Former(vm.node, vm.running) for vm in vms if vm.name in ledger}
        if node is None:
            admission = start_together(self._cluster, vms, budget, keep=True)
        elif len(vms) == 1:
            admission = self._cluster.start(vms[0], node, budget)
        else:
            raise InputError([Flaw("node", f"{short(node)} is for one VM, not for {len(vms)}: leave it out", "contradiction")])
        ticket = Ticket(self, uuid4().hex, admission, self._clock() + expires_in, former)
        if admission.admitted:
            for name in former:
                self.release(name)
            self.held[ticket.id] = ticket
        return ticket

    def restore(self, held: Mapping[str, Any]) -> None:
        """Hold a ticket as a snapshot carried it: see `Ticket.to_dict`."""
        placement = {str(vm): str(node) for vm, node in held["placement"].items()}
        vm, node = next(iter(placement.items()))
        admission = Admission(Status.ADMITTED, vm, node, placement)
        former = {name: Former(was["node"], bool(was["running"])) for name, was in held["former"].items() if was is not None}
        for was in former.values():
            if was.node is not None:
                self._cluster.ledger.node(was.node)
        ticket = Ticket(self, str(held["id"]), admission, float(held["expires"]), former)
        ticket.holds = {name: former.get(name) for name in held["former"]}
        self.held[ticket.id] = ticket

    def close(self, ticket: Ticket, state: TicketState) -> bool:
        """End a ticket; False if it holds nothing any more."""
        with self.lock, Budget().interruptible():
            self.expire()
            if ticket.id not in self.held:
                return False
            self._end(ticket, state)
            return True

    def _end(self, ticket: Ticket, state: TicketState) -> None:
        """Its VMs stay, or are as they were; those that were moved or removed meanwhile are not its any more."""
        del self.held[ticket.id]
        ticket._state = state
        if state is TicketState.COMMITTED:
            return
        ledger = self._cluster.ledger
        for name, was in ticket.holds.items():
            self._cluster.replace(name, None if was is None else was.back(ledger.vm(name), ledger))
