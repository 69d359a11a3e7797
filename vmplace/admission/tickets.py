"""Room held for a while for a scheduler that has not decided yet."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from vmplace.admission.results import Admission
from vmplace.results.values import Status

if TYPE_CHECKING:
    from vmplace.admission.admitter import Admitter

__all__ = ["Ticket", "TicketState"]


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
        self, admitter: "Admitter", key: str, admission: Admission, expires: float, waiting: Collection[str] = ()
    ) -> None:
        self._admitter, self._waiting = admitter, frozenset(waiting)
        self._state = TicketState.HELD if admission.admitted else TicketState.REFUSED
        self.id, self.admission, self.expires = key, admission, expires

    def __repr__(self) -> str:
        return f"<Ticket {self.id}: {self.state.value}>"

    def to_dict(self) -> dict[str, Any]:
        """As a snapshot carries it."""
        placement = dict(self.admission.placement)
        return {"id": self.id, "expires": self.expires, "placement": placement, "waiting": sorted(self._waiting)}

    @classmethod
    def from_dict(cls, admitter: "Admitter", held: Mapping[str, Any]) -> "Ticket":
        """As a snapshot carried it."""
        placement = {str(vm): str(node) for vm, node in held["placement"].items()}
        vm, node = next(iter(placement.items()))
        return cls(
            admitter, str(held["id"]), Admission(Status.ADMITTED, vm, node, placement), float(held["expires"]), held["waiting"]
        )

    @property
    def state(self) -> TicketState:
        """What has become of it by now."""
        return self._admitter._state_of(self)

    def commit(self) -> bool:
        """The VMs are there to stay; False if nothing is held any more, or never was."""
        return self._admitter._close(self, TicketState.COMMITTED)

    def rollback(self) -> bool:
        """The room is free again; False if nothing is held any more, or never was."""
        return self._admitter._close(self, TicketState.ROLLED_BACK)
