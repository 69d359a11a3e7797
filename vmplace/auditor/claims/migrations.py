"""The claims about migrations and stops: each VM's way to the node that the placement gives it, and who is stopped instead."""

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from vmplace.auditor.case import Case
from vmplace.auditor.claims.claims import Claims
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.results.values import Migration, Stop

__all__ = ["check_migrations", "check_stops"]


def check_migrations(claims: Claims, case: Case) -> tuple[Migration, ...]:
    """Re-check that the migrations lead from the cluster to the placement, and migrate nothing that may not."""
    migrations: tuple[Migration, ...] = claims.read("migrations", tuple[Migration, ...], ())
    claims.right("migrations")
    at = dict[int, str]()
    for number, migration in enumerate(migrations):
        v = _known(claims, case, number, migration)
        if v is None:
            continue
        begin = at.get(v, case.nodes[case.now[v]])
        if migration.source != begin:
            claims.wrong(
                f"migrations[{number}].from", f"says {short(migration.source)}, but at that point {migration.vm} is on {begin}"
            )
        if migration.memory != int(case.memory.demand[v]):
            right = int(case.memory.demand[v])
            claims.wrong(f"migrations[{number}].memory", f"says {migration.memory} MiB; {migration.vm} has {right}")
        cold = bool(case.vm.cold[v] and not case.vm.movable[v])
        if migration.cold is not cold and (migration.cold or migration.step is not None):
            claims.wrong(
                f"migrations[{number}].cold", f"says {migration.cold}; {migration.vm} moves {'cold' if cold else 'live'}"
            )
        if migration.destination == begin:
            claims.wrong(f"migrations[{number}].to", f"says {migration.destination}, where {migration.vm} is already")
        at[v] = migration.destination
    _check_ends(claims, case, at)
    _check_numbers(claims, migrations)
    return migrations


def _known(claims: Claims, case: Case, number: int, migration: Migration) -> int | None:
    """The VM that migrates, if it may."""
    place, v = f"migrations[{number}]", case.vm_index.get(migration.vm)
    for key, node in (("from", migration.source), ("to", migration.destination)):
        if node not in case.node_index:
            claims.wrong(f"{place}.{key}", f"{short(node)} is not a node of this cluster")
            return None
    if v is None:
        claims.wrong(f"{place}.vm", f"{short(migration.vm)} is not a VM of this cluster")
    elif case.now[v] < 0 or case.stopped[v]:
        claims.wrong(f"{place}.vm", f"{migration.vm} does not run: it cannot migrate")
    elif case.target[v] >= 0:
        claims.wrong(f"{place}.vm", f"{migration.vm} is being migrated already")
    elif not (case.vm.movable[v] or case.vm.cold[v]):
        claims.wrong(f"{place}.vm", f"{migration.vm} must not move")
    else:
        to = case.node_index[migration.destination]
        if case.drained[to] or case.node.state[to] != "online":  # one that is switched off afterwards may be a stop-over
            claims.wrong(f"{place}.to", f"{migration.destination} takes no VM: it is drained or not online")
        if case.node_pool[to] != case.vm_pool[v]:
            claims.wrong(f"{place}.to", f"{migration.destination} is in another pool than {migration.vm}")
        return v
    return None


def _check_ends(claims: Claims, case: Case, at: dict[int, str]) -> None:
    """Who is elsewhere afterwards has migrated there, and nobody else has; who runs has a node."""
    for v in np.flatnonzero((case.now >= 0) & (case.at < 0) & ~case.stopped).tolist():
        claims.wrong("placement", f"has {case.vm.names[v]} on no node, but it runs on {case.nodes[case.now[v]]}")
    moved = np.flatnonzero((case.now >= 0) & (case.at >= 0) & (case.at != case.now)).tolist()
    for v in sorted({*moved, *at}):
        end, name = case.nodes[case.at[v]], case.vm.names[v]
        if v not in at:
            claims.wrong("migrations", f"does not list {name}, which goes from {case.nodes[case.now[v]]} to {end}")
        elif at[v] != end:
            claims.wrong("migrations", f"leads {name} to {at[v]}, but the placement has it on {end}")


def _check_numbers(claims: Claims, migrations: Sequence[Migration]) -> None:
    """Steps start at 1 and follow one another, or there are none."""
    steps = [migration.step for migration in migrations]
    numbers = [step for step in steps if step is not None]
    if not numbers:
        return
    if len(numbers) < len(steps):
        claims.wrong("migrations", "has a step for some migrations and none for others")
    elif numbers != sorted(numbers) or numbers[0] < 1:
        claims.wrong("migrations", "is not in the order of its steps, from 1")


def check_stops(claims: Claims, cluster: Cluster) -> tuple[Cluster, frozenset[str]]:
    """Re-check who is stopped; returns the cluster with these VMs stopped, and their names."""
    stops: tuple[Stop, ...] = claims.read("stopped", tuple[Stop, ...], ())
    if not stops:
        return cluster, frozenset()
    claims.right("stopped")
    vms, index = cluster.vms, cluster.vms.index_of
    nodes, running = [*cluster.nodes.names, None], cluster.vms.running.copy()
    for number, stop in enumerate(stops):
        v = index.get(stop.vm)
        if v is None or not running[v] or nodes[vms.node[v]] != stop.node or vms.target[v] >= 0:
            claims.wrong(
                f"stopped[{number}]",
                f"{short(stop.vm)} does not run on {short(stop.node)}, is listed twice, or is being migrated",
            )
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
