"""Admission control of a running cluster: VMs come, go, move and grow, nodes fail and recover, and N+1 is kept certified."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

from vmplace.admission.candidates import SCORES
from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.gang import start_together
from vmplace.admission.ledger import Asked
from vmplace.admission.make_room import room_made
from vmplace.admission.results import Admission, Candidates, Synced
from vmplace.admission.snapshot import load_snapshot, restore, save_snapshot
from vmplace.admission.sync import synced
from vmplace.admission.tickets import Ticket, TicketStore
from vmplace.model.cluster import Cluster
from vmplace.model.converters import parse_seconds
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.model.kinds import Score, a_function, a_text, name_list, optional
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget, Progress

__all__ = ["Admitter"]


class Admitter:
    """A cluster whose VMs come and go, kept compiled and certified, so that a question costs far less than a check.

    A change that would make any failure worse than it is, overfill a node, use headroom or break a must-rule is refused; of
    several guarantees, each has to be kept. Problems that exist already are not a reason to refuse. Answers take array passes
    over the nodes where certificates or failover plans can be kept from one change to the next: where restarts are planned, for
    VMs that no rule binds. Else each node in question is certified anew; docs/limits.md says when.
    All methods may be called from several threads.

    Parameters
    ----------
    cluster
        What runs. It is not changed.
    score
        What makes a node the best of those admitted. ``tightest``: where the least memory stays free, so that large holes stay
        whole for large VMs and for restarts. ``balance``: where the least share of memory would be in use.
    time_limit
        Seconds that a call may take, unless it says otherwise; what is undecided then is ``unknown``.
    clock
        Returns the current time in seconds since 1970; tickets expire by it.

    Raises InputError (a ValueError) for an unknown score or an invalid time limit.
    """

    @door(score=a_text, clock=a_function)
    def __init__(
        self,
        cluster: Cluster,
        *,
        score: Score = "tightest",
        time_limit: float | None = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if score not in SCORES:
            raise InputError([Flaw("score", not_among(score, SCORES))])
        self._time_limit = time_limit
        self._state = ChangingCluster(cluster, score, budget=Budget(time_limit))
        self._ledger = self._state.ledger
        self._tickets = TicketStore(self._state, clock)

    # The state

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now; VMs that tickets hold room for are in it."""
        with self._tickets.lock:
            self._tickets.expire()
            return self._ledger.cluster

    @property
    def tickets(self) -> Mapping[str, Ticket]:
        """The tickets that hold something, by id."""
        return self._tickets.current()

    def verdicts(self, *, time_limit: float | None = None) -> dict[str, Status]:
        """Whether each failure is survived now, by the scenario's key, as in `check`."""
        with self._call(time_limit) as budget:
            return self._state.verdicts(budget)

    # Questions

    @door()
    def admit(
        self,
        vms: Asked | Sequence[Asked],
        *,
        make_room: bool = False,
        time_limit: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Admission:
        """Where VMs may be started: all of them, or none. Nothing changes; see `reserve` and `commit`.

        Parameters
        ----------
        vms
            One or several: new ones, or names of VMs of the cluster that wait or are stopped.
        make_room
            If no node has room, find the least memory to migrate so that they may start and the cluster is safe.
        time_limit, progress, cancel
            As in `place`; the time limit by default the admitter's.

        Raises NotFoundError for an unknown name, ConflictError (both an InputError) for a VM that runs already, or a new one that
        has a node or whose name is taken.
        """
        with self._call(time_limit, progress, cancel) as budget:
            wanted = self._ledger.wanted(vms)
            found = start_together(self._state, wanted, budget, keep=False)
            if make_room and not found.admitted:
                return room_made(self._ledger.cluster, wanted, found, budget)
            return found

    @door(nodes=optional(name_list))
    def candidates(
        self,
        vm: Asked,
        *,
        nodes: Sequence[str] | None = None,
        time_limit: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Candidates:
        """Each node, in document order or as in `nodes`, with the verdict on the VM there and its score; else as `admit`."""
        with self._call(time_limit, progress, cancel) as budget:
            (wanted,) = self._ledger.wanted(vm)
            names = list(self._ledger.nodes) if nodes is None else [self._ledger.node(name, "nodes").name for name in nodes]
            survey = self._state.survey(wanted, budget)
            survey.decide(budget, names)
            return survey.known.among(names)

    # Changes

    @door()
    def commit(self, vm: Asked, node: str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Start a VM on a node, unless that makes anything worse.

        Parameters
        ----------
        vm, node
            A new VM, or the name of one that waits or is stopped; and where.
        force
            True: it has happened already, and is recorded even if it makes something worse.
        time_limit
            Seconds; by default the admitter's.

        Raises NotFoundError for an unknown name, ConflictError (both an InputError) for a VM that runs already or a name that is
        taken.
        """
        with self._call(time_limit) as budget:
            (wanted,) = self._ledger.wanted(vm)
            found = self._state.start(wanted, node, budget, force)
            if found.admitted:
                self._tickets.release(wanted.name)
            return found

    def remove(self, name: str) -> None:
        """A VM is gone; raises NotFoundError (an InputError) for an unknown name."""
        with self._call(None):
            self._ledger.vm(name)
            self._state.replace(name, None)
            self._tickets.release(name)

    @door()
    def move(self, name: str, node: str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Move a VM to another node, unless that makes anything worse; one that waits is started there.

        Parameters as for `commit`. Does not check that the live migration itself fits, which needs the memory on both nodes.
        """
        with self._call(time_limit) as budget:
            vm, node = self._ledger.vm(name), self._ledger.node(node).name
            stays = vm.node == node and not self._ledger.waits(vm)
            found = self._state.move(vm, node, budget, force)
            if found.admitted and not stays:
                self._tickets.release(name)
            return found

    @door()
    def resize(self, name: str, memory: int | str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Give a VM more or less memory (MiB, or a string), unless that makes anything worse; options as for `commit`."""
        with self._call(time_limit) as budget:
            return self._state.resize(self._ledger.vm(name), memory, budget, force)

    def fail(self, node: str) -> tuple[str, ...]:
        """A node is down. Its VMs wait until they are started elsewhere, or it recovers; live migrations from and to it end.

        Returns
        -------
        tuple of str
            The names of the VMs that are down: for `admit` and `commit`.

        Raises NotFoundError (an InputError) for an unknown node.
        """
        with self._call(None):
            self._state.fail(node)
            return tuple(vm.name for vm in self._ledger.on(node) if self._ledger.waits(vm))

    def recover(self, node: str) -> None:
        """A node that is offline is back in the state it failed in, with the VMs that have not been started elsewhere."""
        with self._call(None):
            self._state.recover(node)

    @door(expires_in=parse_seconds)
    def reserve(
        self,
        vms: Asked | Sequence[Asked],
        *,
        node: str | None = None,
        expires_in: float = 60.0,
        time_limit: float | None = None,
    ) -> Ticket:
        """Hold room for VMs, all or none, until the ticket is committed, rolled back or expires.

        Parameters
        ----------
        vms
            As for `admit`.
        node
            Where, if one VM is to go to a certain node.
        expires_in
            Seconds.
        time_limit
            Seconds that the call may take; by default the admitter's.
        """
        with self._call(time_limit) as budget:
            return self._tickets.reserve(self._ledger.wanted(vms), node, expires_in, budget)

    @door()
    def sync(self, cluster: Cluster, *, time_limit: float | None = None) -> Synced:
        """Take over an inventory of all that runs now: what differs is applied, whatever it does to the guarantee, and told.

        Room that tickets hold stays held as far as the inventory allows; those that it contradicts end, and are named. A VM that
        runs where a ticket holds room for it has been started: the ticket can still be committed.
        """
        with self._call(time_limit) as budget:
            self._state, told = synced(self._state, self._tickets, cluster, budget)
            self._ledger = self._state.ledger
            return told

    # Snapshots

    @door()
    def save(self, path: str | PathLike[str]) -> None:
        """Write the cluster as a document, from which `load` makes an equal admitter, its tickets among it."""
        with self._call(None):
            save_snapshot(path, self._ledger, self._tickets)

    @classmethod
    def load(cls, path: str | PathLike[str], **options: Any) -> "Admitter":
        """An admitter from a snapshot, or from any document; options as for the constructor.

        Raises InputError (a ValueError) that lists all that is wrong with the document.
        """
        cluster, known = load_snapshot(path)
        admitter = cls(cluster, **options)
        restore(known, admitter._ledger, admitter._tickets)
        return admitter

    # What calls have in common

    @contextmanager
    def _call(
        self,
        time_limit: float | None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Budget]:
        budget = Budget(self._time_limit if time_limit is None else time_limit, cancel, progress)
        with self._tickets.lock, budget.interruptible():
            self._tickets.expire()
            yield budget
