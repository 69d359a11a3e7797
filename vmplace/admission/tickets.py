"""Tickets: room held for a while for a scheduler that has not decided yet."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import uuid4

from attrs import evolve

from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.results import Admission
from vmplace.model.entities import VM
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["Ticket", "TicketState", "TicketStore"]


class TicketState(StrEnum):
    """What became of a ticket."""

    HELD = "held"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    EXPIRED = "expired"
    REFUSED = "refused"


class Ticket:
    """VMs whose room is held until they are committed, rolled back, or the time is over.

    Attributes
    ----------
    id : str
        By which it is found again in `Admitter.tickets`, after a snapshot was loaded as well.
    admission : Admission
        What was granted: where each VM is to go. If it is not ``admitted``, nothing is held.
    expires : float
        When the time is over, in seconds since 1970.
    """

    def __init__(
        self,
        store: "TicketStore",
        key: str,
        admission: Admission,
        expires: float,
        waiting: Collection[str] = (),
        stopped: Mapping[str, str | None] | None = None,
    ) -> None:
        self._store, self._waiting, self._stopped = store, frozenset(waiting), dict(stopped or {})
        self._state = TicketState.HELD if admission.admitted else TicketState.REFUSED
        self.id, self.admission, self.expires = key, admission, expires

    def __repr__(self) -> str:
        return f"<Ticket {self.id}: {self.state.value}>"

    def to_dict(self) -> dict[str, Any]:
        """As a snapshot carries it."""
        placement = dict(self.admission.placement)
        before = {"waiting": sorted(self._waiting), "stopped": dict(self._stopped)}
        return {"id": self.id, "expires": self.expires, "placement": placement, **before}

    @property
    def state(self) -> TicketState:
        """What has become of it by now."""
        with self._store.lock:
            self._store.expire()
            return self._state

    def commit(self) -> bool:
        """The VMs are there to stay; False if nothing is held any more, or never was."""
        return self._store.close(self, TicketState.COMMITTED)

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

    def issue(self, admission: Admission, expires_in: float, before: Sequence[VM]) -> Ticket:
        """A ticket for VMs that were started, or not; `before`: those of the cluster, as they were."""
        waiting, stopped = [vm.name for vm in before if vm.running], {vm.name: vm.node for vm in before if not vm.running}
        ticket = Ticket(self, uuid4().hex, admission, self._clock() + expires_in, waiting, stopped)
        if admission.admitted:
            self.held[ticket.id] = ticket
        return ticket

    def restore(self, held: Mapping[str, Any]) -> None:
        """Hold a ticket as a snapshot carried it: see `Ticket.to_dict`."""
        placement = {str(vm): str(node) for vm, node in held["placement"].items()}
        vm, node = next(iter(placement.items()))
        admission = Admission(Status.ADMITTED, vm, node, placement)
        ticket = Ticket(self, str(held["id"]), admission, float(held["expires"]), held["waiting"], held.get("stopped"))
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
        """Its VMs stay, or are gone, waiting or stopped again; those moved or removed meanwhile are not its any more."""
        del self.held[ticket.id]
        ticket._state = state
        if state is TicketState.COMMITTED:
            return
        ledger = self._cluster.ledger
        for name, node in ticket.admission.placement.items():
            if name not in ledger or (vm := ledger.vm(name)).node != node:
                continue
            if name in ticket._stopped:
                self._cluster.replace(name, evolve(vm, node=ticket._stopped[name], running=False))
            else:
                self._cluster.replace(name, evolve(vm, node=None) if name in ticket._waiting else None)
