"""Admission control, one call: on which nodes new VMs may start so that N+1 still holds, and the cluster afterwards."""

import threading
from collections.abc import Callable, Sequence

from attrs import evolve

from vmplace.admission.admitter import Admitter
from vmplace.admission.ledger import Asked, Ledger, started
from vmplace.admission.results import Admission
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.entities import VM
from vmplace.model.errors import ConflictError, Flaw
from vmplace.model.kinds import Score
from vmplace.problem.unknown_names import unknown_names
from vmplace.solvers.budget import Progress

__all__ = ["admit", "applied"]


@door()
def admit(
    cluster: Cluster,
    vm: Asked | Sequence[Asked],
    *,
    make_room: bool = False,
    score: Score = "tightest",
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Admission:
    """Where one or several VMs may start, so that the guarantee holds afterwards or becomes no worse.

    For many questions about one cluster, an `Admitter` answers each far faster.

    Parameters
    ----------
    cluster
        What runs.
    vm
        New VMs, or names of VMs of the cluster that wait or are stopped; of several, all are admitted or none.
    make_room
        If no node has room, find the least memory to migrate so that they may start and the cluster is safe.
    score
        How admitted nodes are ranked: ``tightest`` (where the least memory stays free) or ``balance`` (where the least share of
        memory would be in use).
    time_limit
        Seconds; None: until it is known.
    progress, cancel
        As in `place`.

    Returns
    -------
    Admission
        ``admitted`` with the node, ``refused`` with the reason, or ``unknown``.

    Raises
    ------
    InputError
        (a ValueError) for a VM that runs already, or an argument that is wrong.
    """
    limit = float("inf") if time_limit is None else time_limit
    admitter = Admitter(cluster, score=score, time_limit=limit)
    found = admitter.admit(vm, make_room=make_room, progress=progress, cancel=cancel)
    return evolve(found, warnings=tuple(unknown_names(cluster)))


def applied(cluster: Cluster, vms: Sequence[VM], admission: Admission) -> Cluster:
    """The cluster once what was admitted has happened: what has to migrate has, and the VMs run where they were admitted.

    Raises
    ------
    ConflictError
        If nothing was admitted.
    """
    if not admission.admitted:
        raise ConflictError([Flaw("status", f"{admission.status}: nothing was admitted", "conflict")])
    ledger = Ledger(cluster)
    for migration in admission.migrations:
        ledger.put(evolve(ledger.vm(migration.vm), node=migration.destination))
    for vm in vms:
        ledger.put(started(vm, admission.placement[vm.name]))
    return ledger.cluster
