"""The claims about VMs that a drain stops: who may be, and how they start again once its nodes are back."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve

from vmplace.auditor.audit import audit_running
from vmplace.auditor.claims.claims import Claims
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.results.values import Status, Step, Stop

__all__ = ["carried_out", "check_afterwards", "check_stops", "settled"]


def check_stops(claims: Claims, cluster: Cluster) -> tuple[Cluster, frozenset[str]]:
    """Re-check who is stopped; returns the cluster with these VMs stopped, and their names."""
    stops: tuple[Stop, ...] = claims.read("stopped", tuple[Stop, ...], ())
    if not stops:
        return cluster, frozenset()
    claims.right("stopped")
    vms, index = cluster.vms, {name: v for v, name in enumerate(cluster.vms.names)}
    nodes, running = [*cluster.nodes.names, None], cluster.vms.running.copy()
    for number, stop in enumerate(stops):
        v = index.get(stop.vm)
        if v is None or not vms.running[v] or nodes[vms.node[v]] != stop.node or vms.target[v] >= 0:
            claims.wrong(f"stopped[{number}]", f"{short(stop.vm)} does not run on {short(stop.node)}, or is being migrated")
        elif not vms.evictable[v]:
            claims.wrong(f"stopped[{number}].vm", f"{stop.vm} is not evictable: it may not be stopped")
        else:
            running[v] = False
            if stop.memory != vms.charged[v]:
                claims.wrong(f"stopped[{number}].memory", f"says {stop.memory} MiB; {stop.vm} has {vms.charged[v]}")
    if not claims.read("drained", tuple[str, ...], ()):
        claims.wrong("stopped", "names VMs, but no node is drained")
    claims.leave("stopped", "that no fewer VMs have to stop has no certificate in the result")
    return evolve(cluster, vms=evolve(vms, running=running)), frozenset(stop.vm for stop in stops)


def settled(cluster: Cluster, placement: Mapping[str, str | None], stopped: frozenset[str]) -> Cluster:
    """The cluster with VMs where a drain leaves them and its nodes back; those that waited run, and who was stopped waits."""
    vms, index = cluster.vms, {name: i for i, name in enumerate(cluster.nodes.names)}
    hosts = (None if name in stopped else placement.get(name) for name in vms.names)
    node = np.array([index.get(host or "", -1) for host in hosts], np.int64)
    moved = node != vms.node
    return evolve(cluster, vms=evolve(vms, node=node, target=np.where(moved, -1, vms.target), running=vms.running | moved))


def carried_out(claims: Claims, cluster: Cluster, stopped: frozenset[str]) -> tuple[Cluster, int]:
    """The cluster once all is done that follows a drain, and the memory that migrates for it in MiB."""
    plan: Mapping[str, Any] = claims.read("afterwards", Mapping[str, Any] | None) or {}
    part = claims.within("afterwards", plan)
    status, steps = part.read("status", Status), part.read("steps", tuple[Step, ...], ())
    if not plan:
        if stopped:
            claims.wrong("afterwards", "does not say how the VMs that are stopped start again")
        return cluster, 0
    claims.leave("afterwards", "the guarantee during these steps is not re-checked")
    migrations = [migration for step in steps for migration in step.migrations]
    starts = [start for step in steps for start in step.starts]
    _check_starts(part, status, Counter(start.vm for start in starts), stopped)
    at = dict(zip(cluster.vms.names, _hosts(cluster), strict=True))
    for migration in migrations:
        if at.get(migration.vm) != migration.source:
            part.wrong("steps", f"have {short(migration.vm)} leave {short(migration.source)}, where it is not")
        at[migration.vm] = migration.destination
    after = settled(cluster, at | {start.vm: start.node for start in starts}, frozenset())
    return after, sum(migration.memory for migration in migrations)


def _check_starts(part: Claims, status: Status | None, started: Counter[str], stopped: frozenset[str]) -> None:
    part.right("steps")
    for vm in started:
        if vm not in stopped or started[vm] > 1:
            part.wrong("steps", f"start {short(vm)}, which was not stopped, or start it twice")
    if status in (Status.OPTIMAL, Status.FEASIBLE) and not stopped <= set(started):
        part.wrong("status", f"says {status}, but {', '.join(sorted(stopped - set(started)))} does not start again")


def check_afterwards(claims: Claims, cluster: Cluster, placement: Mapping[str, str | None], stopped: frozenset[str]) -> None:
    """Re-check that what follows a drain ends well: nothing is overfull or broken then that was not before."""
    before = settled(cluster, placement, stopped)
    after, _ = carried_out(claims, before, stopped)
    if after is before:
        return
    bad = {(v.kind, v.subject) for v in audit_running(cluster, dict(zip(cluster.vms.names, _hosts(cluster), strict=True)))}
    for violation in audit_running(after, dict(zip(after.vms.names, _hosts(after), strict=True))):
        waits = violation.kind == "placement" and violation.subject in stopped
        if (violation.kind, violation.subject) not in bad and not waits and violation.kind != "headroom":
            claims.wrong("afterwards.steps", f"end with this: {violation.message}")


def _hosts(cluster: Cluster) -> list[str | None]:
    names = [*cluster.nodes.names, None]
    return [names[i] for i in cluster.vms.node.tolist()]
