"""A cluster that runs, kept certified: what may come, go, move, grow, fail and recover, and where."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any
from uuid import uuid4

from attrs import evolve

from vmplace.admission_results import Admission, Candidates, Hindrance
from vmplace.budget import Budget, Progress
from vmplace.certified import Certified
from vmplace.checking import check
from vmplace.cluster import Cluster
from vmplace.documents import dump, load
from vmplace.errors import Flaw, InputError
from vmplace.fields import parse_state
from vmplace.harm import Harm
from vmplace.ledger import Ledger
from vmplace.live import Live, bare
from vmplace.making_room import room_made
from vmplace.model import VM
from vmplace.problem import compile_problem
from vmplace.results import Status
from vmplace.survey import SCORES, Survey
from vmplace.tickets import Ticket, TicketState
from vmplace.units import short

__all__ = ["Admitter"]

_SNAPSHOT = "admitter"
"""The key of a document's `meta` that holds what a snapshot knows beyond the cluster."""

Asked = VM | str
"""A new VM, or the name of one of the cluster's that waits."""


class Admitter:
    """A cluster whose VMs come and go, kept compiled and certified, so that a question costs far less than a check.

    What would make any failure worse than it is, overfill a node, use headroom or break a must-rule is refused; what is wrong
    already is no ground to refuse. Where nothing but memory binds VMs and nodes fail one by one, answers take array passes over
    the nodes; else each node in question is certified anew. All methods may be called from several threads.

    Parameters
    ----------
    cluster
        What runs. It is not changed.
    score
        What makes a node the best of those admitted. ``tightest``: where the least memory stays free, so that large holes stay
        whole for large VMs and for restarts. ``balance``: where the least share of memory would be in use.
    time_limit
        Seconds that a call may take, unless it says otherwise; what a search would have to tell after that is ``unknown``.
    clock
        Seconds since 1970: by what tickets expire.

    Raises
    ------
    InputError
        (a ValueError) for an unknown score or a time that is none.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        score: str = "tightest",
        time_limit: float | None = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if score not in SCORES:
            raise InputError([Flaw("score", f"{short(score)} is not one of {', '.join(SCORES)}")])
        Budget(time_limit)
        self._score, self._time_limit, self._clock = score, time_limit, clock
        self._lock = threading.RLock()
        self._ledger = Ledger(cluster)
        self._live = Live.of(cluster, budget=Budget(time_limit))
        self._harm: Harm | None = None
        self._tickets: dict[str, Ticket] = {}
        self._failed: dict[str, str] = {}
        self._ruled = bool(cluster.rules)

    # The state

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now; VMs that tickets hold room for are in it."""
        with self._lock:
            self._expire()
            return self._ledger.cluster

    @property
    def tickets(self) -> Mapping[str, Ticket]:
        """The tickets that hold something, by id."""
        with self._lock:
            self._expire()
            return dict(self._tickets)

    def verdicts(self, *, time_limit: float | None = None) -> dict[str, Status]:
        """What would become of each failure now, by its name: as `check` says."""
        with self._call(time_limit) as budget:
            if self._live is not None:
                return self._live.verdicts(budget=budget)
            report = check(self._ledger.cluster, time_limit=None if budget.limit == float("inf") else budget.left)
            return {name: scenario.status for name, scenario in report.scenarios.items()}

    # Questions

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
            One or several: new ones, or names of VMs of the cluster that wait.
        make_room
            Where they may not as things stand: find the least memory to migrate so that they may, in a cluster that is safe then.
        time_limit, progress, cancel
            As in `place`; the time limit by default the admitter's.

        Raises
        ------
        InputError
            (a ValueError) for a VM that runs already, or that has a node.
        """
        with self._call(time_limit, progress, cancel) as budget:
            wanted = self._wanted(vms)
            found = self._single(wanted[0], budget) if len(wanted) == 1 else self._together(wanted, budget, keep=False)
            if make_room and not found.admitted:
                return room_made(self._ledger.cluster, wanted, found, budget)
            return found

    def candidates(
        self,
        vm: Asked,
        *,
        time_limit: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Candidates:
        """Every node in document order, with the verdict on the VM there and its score; parameters as for `admit`."""
        with self._call(time_limit, progress, cancel) as budget:
            (wanted,) = self._wanted(vm)
            survey = self._survey(wanted, budget)
            survey.decide(budget)
            return survey.result().among(list(self._ledger.nodes))

    # Changes

    def commit(self, vm: Asked, node: str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Start a VM on a node, unless that makes anything worse.

        Parameters
        ----------
        vm
            A new one, or the name of one that waits.
        node
            Where.
        force
            It has happened: it is not refused.
        time_limit
            Seconds; by default the admitter's.

        Raises
        ------
        InputError
            (a ValueError) for an unknown node, or a VM that runs already.
        """
        with self._call(time_limit) as budget:
            (wanted,) = self._wanted(vm)
            return self._settled(wanted, evolve(wanted, node=node, running=True), budget, force)

    def remove(self, name: str) -> None:
        """A VM is gone; raises InputError for an unknown name."""
        with self._call(None):
            self._ledger.vm(name)
            self._replace(name, None)

    def move(self, name: str, node: str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Move a VM to another node, unless that makes anything worse; one that waits is started there.

        Parameters as for `commit`. Whether the way there is open, with memory taken on both nodes, is not looked at.
        """
        with self._call(time_limit) as budget:
            vm = self._ledger.vm(name)
            waits = self._ledger.waits(vm)
            if not (force or vm.movable or vm.node == node) and self._ledger.host(vm) is not None:
                self._ledger.node(node)
                return Admission(Status.REFUSED, name, reason=f"{name} is not movable")
            return self._settled(vm, evolve(vm, node=node, target=None, running=vm.running or waits), budget, force)

    def resize(self, name: str, memory: int | str, *, force: bool = False, time_limit: float | None = None) -> Admission:
        """Give a VM more or less memory (MiB, or a string), unless that makes anything worse; else as `commit`."""
        with self._call(time_limit) as budget:
            vm = self._ledger.vm(name)
            return self._settled(vm, evolve(vm, memory=memory), budget, force)

    def fail(self, node: str) -> tuple[str, ...]:
        """A node is down. Its VMs wait until they are started elsewhere, or it recovers.

        Returns
        -------
        tuple of str
            Who is down: for `admit` and `commit`, by name.

        Raises
        ------
        InputError
            (a ValueError) for an unknown node.
        """
        with self._call(None):
            state = self._ledger.node(node).state
            down = tuple(vm.name for vm in self._ledger.on(node))
            if state != "offline":
                self._failed[node] = state
                self._restate(node, "offline")
            return down

    def recover(self, node: str) -> None:
        """A node that is offline is back in the state it failed in, with the VMs that have not been started elsewhere."""
        with self._call(None):
            if self._ledger.node(node).state == "offline":
                self._restate(node, self._failed.pop(node, "online"))

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
            Budget(expires_in)
            wanted = self._wanted(vms)
            known = [vm.name for vm in wanted if vm.name in self._ledger]
            if node is None:
                found = self._together(wanted, budget, keep=True)
            elif len(wanted) == 1:
                found = self._settled(wanted[0], evolve(wanted[0], node=node, running=True), budget, False)
            else:
                raise InputError([Flaw("node", f"{short(node)} is for one VM, not for {len(wanted)}: leave it out")])
            ticket = Ticket(self, uuid4().hex, found, self._clock() + expires_in, known)
            if found.admitted:
                self._tickets[ticket.id] = ticket
            return ticket

    # Snapshots

    def save(self, path: str | PathLike[str]) -> None:
        """Write the cluster as a document, from which `load` makes an equal admitter, its tickets among it."""
        with self._call(None):
            tickets = [ticket.to_dict() for ticket in self._tickets.values()]
            cluster = self._ledger.cluster
            known = {"tickets": tickets, "failed": dict(self._failed)}
            dump(evolve(cluster, meta={**cluster.meta, _SNAPSHOT: known}), path)

    @classmethod
    def load(cls, path: str | PathLike[str], **options: Any) -> "Admitter":
        """An admitter from a snapshot, or from any document; options as for the constructor.

        Raises
        ------
        InputError
            (a ValueError) that lists all that is wrong with the document.
        """
        cluster = load(path)
        known = cluster.meta.get(_SNAPSHOT, {})
        admitter = cls(evolve(cluster, meta={key: part for key, part in cluster.meta.items() if key != _SNAPSHOT}), **options)
        try:
            admitter._failed = {str(node): parse_state(state) for node, state in known.get("failed", {}).items()}
            held = [Ticket.from_dict(admitter, ticket) for ticket in known.get("tickets", ())]
        except (AttributeError, KeyError, TypeError, ValueError, StopIteration):
            raise InputError([Flaw(f"meta.{_SNAPSHOT}", "is not what a snapshot holds there: leave it out")]) from None
        admitter._tickets = {ticket.id: ticket for ticket in held}
        return admitter

    # Tickets

    def _state_of(self, ticket: Ticket) -> TicketState:
        with self._lock:
            self._expire()
            return ticket._state

    def _close(self, ticket: Ticket, state: TicketState) -> bool:
        with self._call(None):
            if ticket.id not in self._tickets:
                return False
            del self._tickets[ticket.id]
            ticket._state = state
            if state is not TicketState.COMMITTED:
                self._give_back(ticket)
            return True

    def _expire(self) -> None:
        now = self._clock() if self._tickets else 0.0
        for ticket in [ticket for ticket in self._tickets.values() if ticket.expires <= now]:
            del self._tickets[ticket.id]
            ticket._state = TicketState.EXPIRED
            self._give_back(ticket)

    def _give_back(self, ticket: Ticket) -> None:
        """The VMs of a ticket are gone, or wait again; those that were moved or removed meanwhile are not its any more."""
        for name, node in ticket.admission.placement.items():
            if name in self._ledger and (vm := self._ledger.vm(name)).node == node:
                self._replace(name, evolve(vm, node=None) if name in ticket._waiting else None)

    # What calls have in common

    @contextmanager
    def _call(
        self,
        time_limit: float | None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Budget]:
        budget = Budget(self._time_limit if time_limit is None else time_limit, cancel, progress)
        with self._lock, budget.interruptible():
            self._expire()
            yield budget

    def _wanted(self, vms: Asked | Sequence[Asked]) -> list[VM]:
        """The VMs that are to be started, as they are now."""
        asked: Sequence[Asked] = vms if isinstance(vms, Sequence) and not isinstance(vms, str) else [vms]
        flaws = [Flaw("vms", "[] names no VM: give one at least")] if not asked else []
        found = []
        for vm in asked:
            if isinstance(vm, str):
                known = self._ledger.vm(vm)
                flaws += [] if self._ledger.waits(known) else [Flaw("vm", f"{short(vm)} does not wait: use move")]
                found.append(known)
            elif not isinstance(vm, VM):
                raise TypeError(f"{short(vm)} is neither a VM nor the name of one")
            else:
                flaws += self._flaws(vm)
                found.append(vm)
        names = [vm.name for vm in found]
        flaws += [Flaw("vm", f"{short(name)} is asked for twice") for name in dict.fromkeys(names) if names.count(name) > 1]
        if flaws:
            raise InputError(flaws)
        return found

    def _flaws(self, vm: VM) -> list[Flaw]:
        if vm.name in self._ledger:
            return [Flaw("vm.name", f"{short(vm.name)} is taken: give each its own name, or the name alone if it waits")]
        if vm.node is not None or vm.target is not None:
            return [Flaw("vm.node", f"{short(vm.name)} has a node: leave that to the admission, or use commit")]
        return []

    def _survey(self, vm: VM, budget: Budget) -> Survey:
        """What is known of a VM that is to be started on each node."""
        waits = vm.name in self._ledger
        if self._live is not None and bare(vm):
            return self._live.survey(vm, waits=waits, score=self._score, budget=budget)
        cluster, place = self._ledger.with_vm(evolve(vm, node=None, target=None))
        return Certified(cluster, place, self._harm_now(budget), None, waits).survey(self._score, budget)

    def _single(self, vm: VM, budget: Budget) -> Admission:
        survey = self._survey(vm, budget)
        index = next(survey.admitted(budget), None)
        if index is None:
            found = survey.result()
            return Admission(found.status, vm.name, reason=found.summary())
        node = survey.names[index]
        return Admission(Status.ADMITTED, vm.name, node, {vm.name: node}, score=survey.score(index))

    def _together(self, vms: Sequence[VM], budget: Budget, *, keep: bool) -> Admission:
        """All VMs or none: the largest first, each on its best node, and another where those after it find none.

        With `keep` they stay there.
        """
        order = sorted(range(len(vms)), key=lambda i: -vms[i].memory)
        placed: list[VM] = []
        status = self._assigned([vms[i] for i in order], placed, set(), budget, keep=keep)
        first = vms[0].name
        if status is Status.ADMITTED:
            node_of = {vm.name: str(vm.node) for vm in placed}
            return Admission(status, first, node_of[first], {vm.name: node_of[vm.name] for vm in vms})
        alone = (self._single(vms[i], budget) for i in order)
        hopeless = next((found for found in alone if found.status is Status.REFUSED), None)
        if hopeless is not None and self._monotone:
            return hopeless
        if status is Status.REFUSED and self._monotone:
            reason = f"each of the {len(vms)} VMs could be started, but not all of them"
            return Admission(status, first, reason=reason)
        return Admission(Status.UNKNOWN, first, reason="no way to start all of them was found, nor a proof that there is none")

    def _assigned(self, vms: Sequence[VM], placed: list[VM], vain: set[frozenset[Any]], budget: Budget, *, keep: bool) -> Status:
        """Whether all can be started one after the other; as what, is added to those placed.

        `vain` is what has been tried: to have VMs that are alike change places leads nowhere either.
        """
        if not vms:
            return Status.ADMITTED
        vm, *others = vms
        known, survey, status = vm.name in self._ledger, self._survey(vm, budget), Status.REFUSED
        for index in survey.admitted(budget):
            placed.append(evolve(vm, node=survey.names[index], running=True))
            state, told = self._likeness(placed), Status.REFUSED
            if state not in vain:
                self._replace(vm.name, placed[-1])
                told = self._assigned(others, placed, vain, budget, keep=keep)
                if told is not Status.ADMITTED or not keep:
                    self._replace(vm.name, vm if known else None)
            if told is Status.ADMITTED:
                return told
            vain.add(state)
            placed.pop()
            status = told if told is Status.UNKNOWN else status
            if budget.spent:
                return Status.UNKNOWN
        return Status.UNKNOWN if survey.result().status is Status.UNKNOWN else status

    def _likeness(self, placed: Sequence[VM]) -> frozenset[Any]:
        """What VMs take of which nodes, whoever they are unless rules may name them."""
        named = self._ruled
        alike = Counter(
            (vm.node, vm.name if named else "", vm.memory, vm.priority, vm.protected, vm.evictable, *sorted(vm.resources.items()))
            for vm in placed
        )
        return frozenset(alike.items())

    @property
    def _monotone(self) -> bool:
        """Whether one VM more never makes a failure easier: so it is where restarts are planned for each failure by itself."""
        asked = self._ledger.cluster.guarantee
        in_turn = asked.sequence == "sequential" and asked.failures > 1
        return asked.restart == "planned" and asked.policy is None and not in_turn

    def _settled(self, vm: VM, wanted: VM, budget: Budget, force: bool) -> Admission:
        """Have a VM as wanted, unless that makes anything worse."""
        name, node = wanted.name, wanted.node
        if node is not None:
            self._refuse_pool(wanted)
        if self._live is None:
            self._ledger.with_vm(wanted)  # which refuses what contradicts the rules
        known = name in self._ledger
        if not (force or self._harmless(vm if known else None, wanted)):
            told, free, failing = self._weigh(vm if known else None, wanted, budget)
            if told is not Hindrance.NOTHING:
                assert node is not None
                return Admission(told.status, name, reason=told.sentence(node, free, failing))
        self._replace(name, wanted)
        return Admission(Status.ADMITTED, name, node, {} if node is None else {name: node})

    def _refuse_pool(self, vm: VM) -> None:
        assert vm.node is not None
        pool = self._ledger.node(vm.node).pool
        if pool != vm.pool:
            pools = f"in pool {short(pool)}, the VM in {short(vm.pool)}"
            raise InputError([Flaw("node", f"{short(vm.node)} is {pools}: VMs never cross pools")])

    def _harmless(self, vm: VM | None, wanted: VM) -> bool:
        """Whether a VM as wanted takes nothing that it does not take already."""
        stays = vm is not None and vm.node == wanted.node
        if wanted.node is None or not wanted.running or (stays and self._ledger.waits(wanted)):
            return True
        return vm is not None and stays and self._monotone and wanted.memory <= vm.memory

    def _weigh(self, vm: VM | None, wanted: VM, budget: Budget) -> tuple[Hindrance, int, str]:
        """What speaks against a VM as wanted, what is free there, and which failure is to blame."""
        host, waits = None if vm is None else self._ledger.host(vm), vm is not None and self._ledger.waits(vm)
        node = wanted.node
        assert node is not None
        if self._live is None or not bare(wanted):
            cluster, place = self._ledger.with_vm(wanted)
            names = list(self._ledger.nodes)
            was, index = None if host is None else names.index(host), names.index(node)
            smaller = vm is not None and wanted.memory <= vm.memory
            return Certified(cluster, place, self._harm_now(budget), was, waits, smaller).weigh(index, budget)
        if host is None:
            return self._live.weigh(wanted, node, waits=waits, stays=False, budget=budget)
        assert vm is not None
        before = self._live.losses(vm.pool, budget=budget)
        self._live.take(vm, host)
        try:
            return self._live.weigh(wanted, node, waits=False, stays=host == node, budget=budget, before=before)
        finally:
            self._live.put(vm, host)

    def _harm_now(self, budget: Budget) -> Harm:
        if self._harm is None or not self._harm.known:
            problem = compile_problem(self._ledger.cluster)
            self._harm = Harm.of(problem, problem.node_of, budget=budget)
        return self._harm

    def _replace(self, name: str, vm: VM | None) -> None:
        """A VM is as given from now on; None: it is gone."""
        old = self._ledger.vm(name) if name in self._ledger else None
        host = None if old is None else self._ledger.host(old)
        if self._live is not None and old is not None and host is not None:
            self._live.take(old, host)
        if vm is None:
            self._ledger.remove(name)
        else:
            self._ledger.put(vm)
        self._harm = None
        if self._live is None:
            if old is not None and not bare(old):
                self._live = Live.of(self._ledger.cluster, budget=Budget(0))
        elif vm is not None and not bare(vm):
            self._live = None
        elif vm is not None and (node := self._ledger.host(vm)) is not None:
            self._live.put(vm, node)

    def _restate(self, node: str, state: str) -> None:
        """A node fails, or is back."""
        self._ledger.set_state(node, state)
        self._harm = None
        if self._live is not None and state == "offline":
            self._live.close(node)
        elif self._live is not None:
            back = [vm for vm in self._ledger.on(node) if vm.running]
            self._live.open(node, back, online=state == "online")
