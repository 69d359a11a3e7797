"""The claims of `admit`: a node for a VM, and that nothing becomes worse by it."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from attrs import evolve

from vmplace.auditor.audit import Audited
from vmplace.auditor.case import Case
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.migrations import check_migrations
from vmplace.auditor.failures import WorkLimit
from vmplace.auditor.rules import breakers, musts
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.entities import Together
from vmplace.model.units import short
from vmplace.results.values import Status

__all__ = ["check_admission"]


def check_admission(claims: Claims, cluster: Cluster) -> None:
    """Re-check an admission; what the VM needs is known only if the cluster has it, as one that waits."""
    status, vm, node = (claims.read(key, kind) for key, kind in (("status", Status), ("vm", str), ("node", str | None)))
    placement: Mapping[str, str] = claims.read("placement", Mapping[str, str], {})
    for key in ("status", "node", "placement"):
        claims.right(key)
    claims.read("score", Any)
    claims.leave("score", "depends on the method that was asked for, which the result does not say")
    if status not in (Status.ADMITTED, Status.REFUSED, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, which is not admitted, refused or unknown")
    if (status is Status.ADMITTED) != bool(placement) or placement.get(vm) != node:
        claims.wrong("placement", f"has {vm} on {placement.get(vm)}; the node is {node}, the status {status}")
    for name, at in placement.items():
        if at not in cluster.nodes.names:
            claims.wrong("placement", f"{short(at)}, given for {name}, is not a node of this cluster")
    _check_placement(claims, cluster, placement)
    if status is not Status.ADMITTED:
        claims.leave("status", "the result has no certificate that no node can take the VM")


def _check_placement(claims: Claims, cluster: Cluster, placement: Mapping[str, str]) -> None:
    """Where it leads: the cluster with the VM and the migrations made."""
    now = dict(zip(cluster.vms.names, _now(cluster), strict=True))
    then = dict(now)
    for entry in claims.members.get("migrations") or ():
        if isinstance(entry, Mapping) and entry.get("vm") in then:
            then[entry["vm"]] = entry.get("to")
    known = {name: node for name, node in placement.items() if name in now}
    both = zip(cluster.one_by_one(), _running(cluster, known).one_by_one(), strict=True)
    for number, (was, becomes) in enumerate(both, 1):
        before, after = Audited.of(was, now, {}, None, ()), Audited.of(becomes, then | known, {}, None, ())
        if number == 1:
            check_migrations(claims, after.case)
        if placement and len(known) == len(placement):
            _compare(claims, before, after, f"guarantee {number}: " if cluster.further else "")
    if len(known) < len(placement):
        claims.leave("placement", "the cluster does not have this VM: add it as a waiting VM (--add-vm NAME:MEMORY)")


def _running(cluster: Cluster, started: Collection[str]) -> Cluster:
    """The cluster with VMs that are stopped no more, but wait for a node."""
    vms = [evolve(vm, running=True, node=None, target=None) if vm.name in started else vm for vm in cluster.vms]
    return evolve(cluster, vms=vms)


def _now(cluster: Cluster) -> list[str | None]:
    case = Case(cluster, np.full(len(cluster.vms), -1), None, ())
    return [case.nodes[i] if i >= 0 else None for i in case.now.tolist()]


def _worse(before: Case, after: Case) -> set[tuple[str, str]]:
    """What was wrong and becomes worse, by kind and subject: fuller nodes, and rules that a VM breaks where it arrives."""
    found = set[tuple[str, str]]()
    for was, becomes in zip(before.resources, after.resources, strict=True):
        fuller = becomes.load > was.load
        found.update(("overfull", after.nodes[i]) for i in np.flatnonzero(fuller & (becomes.load > becomes.capacity)).tolist())
    fuller = after.memory.load > before.memory.load
    found.update(("headroom", after.nodes[i]) for i in np.flatnonzero(fuller & (after.memory.load > after.limit)).tolist())
    arrived = set(np.flatnonzero(after.at != before.at).tolist())
    for bound in musts(after) if arrived else ():
        if not isinstance(bound.rule, Together) and arrived.intersection(breakers(after, bound)):
            found.add(("rule", f"rules[{bound.number}]"))
    return found


def _compare(claims: Claims, before: Audited, after: Audited, whose: str) -> None:
    """Nothing becomes wrong, and no failure that is survived before is not afterwards; `whose`: which guarantee, if several."""
    wrong = {(violation.kind, violation.subject) for violation in before.case.found} - _worse(before.case, after.case)
    claims.take(
        violation
        for violation in after.case.found
        if violation.kind != "unprotected" and (violation.kind, violation.subject) not in wrong
    )
    asked = after.case.cluster.guarantee
    if asked.in_turn:
        claims.leave("status", f"{whose}too hard to re-check: failures one after the other")
        return
    case, waited = before.case, before.case.waiting
    # While they were down, each failure of their pool left them out.
    credited = {int(case.vm_pool[v]) for v in waited.tolist() if case.must[v] and after.case.at[v] >= 0}
    survivals = [Survival(audited.failures, WorkLimit()) for audited in (before, after)]
    for key in survivals[1].failures.scenarios.by_key:
        fate = survivals[1].survives(key)
        held = fate is True or key not in survivals[0].failures.scenarios.by_key or survivals[0].survives(key)
        pools = {int(survivals[1].failures.scenarios.pool_of[s]) for s in survivals[1].failures.scenarios.by_key[key]}
        if fate is False and held and pools & credited:
            claims.leave(
                "status", f"{whose}too hard to re-check: whether a failure of {key} leaves out more than the VMs that were down"
            )
        elif fate is False and held:
            claims.wrong("status", f"{whose}says admitted, but with the VM the cluster does not survive a failure of {key}")
        elif fate is None and held is not False:
            claims.leave("status", f"{whose}too hard to re-check: whether a failure of {key} is survived with the VM")
