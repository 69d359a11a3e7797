"""The claims of `explain`: what is wrong, what a failure leaves, and that a remedy's migrations can be made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.auditor.audit import Audited
from vmplace.auditor.case import Case
from vmplace.auditor.claims.broken_rules import check_broken_rules
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.migrations import check_migrations
from vmplace.auditor.failures import WorkLimit
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.guarantee import scenario_key
from vmplace.model.units import short
from vmplace.results.values import Status

__all__ = ["check_explanation"]

_KINDS = ("failure", "turns", "overfull", "rule", "size", "waiting")
_NO_CERTIFICATE = "has no certificate in the result"
_FLAWS = ("overfull", "rule", "placement")
_BLAMED = {"overfull": "overfull", "rule": "rule", "size": "placement"}
"""The kind of violation that goes with a kind of blame."""


def check_explanation(claims: Claims, cluster: Cluster) -> None:
    """Re-check an explanation."""
    status = claims.read("status", Status)
    now = Case(cluster, np.full(len(cluster.vms), -1), None, ()).now
    parts = _parts(cluster, now)
    blames = claims.read("blames", tuple[Mapping[str, Any], ...], ())
    for number, members in enumerate(blames):
        _check_blame(claims.within(f"blames[{number}]", members), parts)
    for number, members in enumerate(claims.read("tightest", tuple[Mapping[str, Any], ...], ())):
        _check_slack(claims.within(f"tightest[{number}]", members), parts)
    for number, members in enumerate(claims.read("remedies", tuple[Mapping[str, Any], ...], ())):
        if members.get("kind") == "move" and not members.get("pool"):
            _check_remedy(claims.within(f"remedies[{number}]", members), cluster, now)
        else:
            claims.leave(
                f"remedies[{number}]",
                f"describes the change only in words ({short(members.get('kind'))}), so that it cannot be tried",
            )
    for key in ("obstacles", "futile", "unfinished"):
        if claims.read(key, Any):
            claims.leave(key, _NO_CERTIFICATE)
    _check_all_blamed(claims, status, blames, parts)
    check_broken_rules(claims, parts[0].audited.case)
    _check_status(claims, status, bool(blames), parts)


def _check_all_blamed(
    claims: Claims, status: Status | None, blames: Sequence[Mapping[str, Any]], parts: Sequence["_Part"]
) -> None:
    """That each failure which is not survived is blamed, or called undecided."""
    undecided = claims.read("undecided", tuple[str, ...], ())
    known = {whole for part in parts for whole in part.keys}
    for name in undecided:
        if name not in known:
            claims.wrong("undecided", f"names {short(name)}, which is not a failure scenario")
    if undecided and status is Status.SAFE:
        claims.wrong("undecided", f"names failures, but the status is {status}")
    if status is Status.UNKNOWN and not undecided:
        claims.leave("blames", "the result says that no failure was decided")
        return
    told = {blame.get("subject") for blame in blames}.union(undecided)
    for part in parts if "turns" not in {blame.get("kind") for blame in blames} else ():
        for whole, key in part.keys.items():
            if whole not in told and part.survival.survives(key) is False:
                claims.wrong("blames", f"do not name {whole}, which is not survived")


@frozen(eq=False)
class _Part:
    """The cluster as it stands under one of its guarantees.

    Parameters
    ----------
    keys
        The keys of its scenarios, each with the key without the mark of the guarantee.
    """

    audited: Audited
    survival: Survival
    keys: Mapping[str, str]


def _parts(cluster: Cluster, node_of: IntArray) -> list[_Part]:
    """A placement under each guarantee."""
    found = []
    for number, one in enumerate(cluster.one_by_one()):
        audited = Audited.of(one, node_of, {}, None, ())
        survival = Survival(audited.failures, WorkLimit())
        keys = {scenario_key(number, key): key for key in survival.failures.scenarios.by_key}
        found.append(_Part(audited, survival, keys))
    return found


def _found(parts: Sequence[_Part], key: str | None) -> tuple[Survival, str] | None:
    """What a scenario is of, and its key there."""
    return next(((part.survival, part.keys[key]) for part in parts if key is not None and key in part.keys), None)


def _check_status(claims: Claims, status: Status | None, blamed: bool, parts: Sequence[_Part]) -> None:
    claims.right("status")
    if status not in (Status.SAFE, Status.UNSAFE, Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, which is not safe, unsafe, infeasible or unknown")
    if blamed and status in (Status.SAFE, Status.UNKNOWN):
        claims.wrong("status", f"says {status}, but something is blamed")
    if not blamed and status in (Status.UNSAFE, Status.INFEASIBLE):
        claims.wrong("status", f"says {status}, but nothing is blamed")
    if (status is Status.INFEASIBLE) != bool(claims.members.get("obstacles")):
        claims.wrong("status", f"says {status}, which contradicts the obstacles listed")
    fates = [_fate(part) for part in parts]
    right = False if False in fates else None if None in fates else True
    if (status is Status.SAFE and right is False) or (status in (Status.UNSAFE, Status.INFEASIBLE) and right is True):
        claims.wrong("status", f"says {status}, but the cluster is {'safe' if right else 'not'}")
    elif right is None and status is not Status.UNKNOWN:
        claims.leave("status", "too hard to re-check: whether every failure is survived")


def _fate(part: _Part) -> bool | None:
    """Whether the cluster is safe under one guarantee; None where that is too hard to tell."""
    case, waiting = part.audited.case, part.audited.case.waiting
    idle = {case.vm.names[v] for v in waiting.tolist()}
    flawed = any(v.kind in _FLAWS and not (v.kind == "placement" and v.subject in idle) for v in case.found)
    flawed = flawed or bool(case.vm.protected[waiting].any())
    fate = None if case.cluster.guarantee.in_turn else part.survival.survives_all()
    return False if flawed or fate is False else fate


def _check_blame(blame: Claims, parts: Sequence[_Part]) -> None:
    """One thing that is said to be wrong as the cluster stands."""
    kind, subject, case = blame.read("kind", str), blame.read("subject", str), parts[0].audited.case
    vms = blame.read("vms", tuple[str, ...], ())
    blame.right("kind")
    for vm in vms:
        if vm not in case.vm_index:
            blame.wrong("vms", f"{short(vm)} is not a VM of this cluster")
    if kind not in _KINDS:
        blame.wrong("kind", f"says {short(kind)}, which is not one of {', '.join(_KINDS)}")
    if kind == "failure":
        found = _found(parts, subject)
        if found is None:
            blame.wrong("subject", f"{short(subject)} is not a failure scenario of this cluster")
        else:
            if found[0].survives(found[1]):
                blame.wrong("kind", f"says that {subject} is not survived, but it is")
            _check_figures(blame, *found, "displaced", "free")
    elif kind in _BLAMED and (_BLAMED[kind], subject) not in {(v.kind, v.subject) for v in case.found}:
        blame.wrong("kind", f"says {kind} of {short(subject)}, which is wrong")
    elif kind == "waiting" and subject not in {case.vm.names[v] for v in case.waiting.tolist()}:
        blame.wrong("subject", f"{short(subject)} is not a waiting VM")
    pool = blame.read("pool", str)
    if pool not in case.pools:
        blame.wrong("pool", f"{short(pool)} is not a pool of this cluster")
    for key in ("vms", "rules", "nodes", "shortfall", "on", "minimal", "stuck", "late"):
        blame.read(key, Any)
        blame.leave(key, _NO_CERTIFICATE)
    blame.rest()


def _check_figures(part: Claims, survival: Survival, key: str, displaced: str, free: str) -> None:
    """What a failure displaces, and what is free then, in MiB."""
    failures = [survival.failures.at_once(s) for s in survival.failures.scenarios.by_key[key]]
    memory = survival.failures.case.memory.demand
    if len(failures) == 1:
        need = int(memory[failures[0].musts].sum())
        left = int(np.maximum(failures[0].free[0], 0).sum())
        for name, right in ((displaced, need), (free, left if free == "free" else left - need)):
            says = part.read(name, int | None)
            if says is not None:
                part.expect(name, says, right, " MiB")


def _check_slack(slack: Claims, parts: Sequence[_Part]) -> None:
    """How much memory stays free after a failure that is survived."""
    key = slack.read("scenario", str)
    slack.right("scenario")
    found = _found(parts, key)
    if found is None:
        slack.wrong("scenario", f"{short(key)} is not a failure scenario of this cluster")
    else:
        survival, own = found
        _check_figures(slack, survival, own, "displaced", "left")
        scenarios = survival.failures.scenarios
        pools = {survival.failures.case.pools[scenarios.pool_of[s]] for s in scenarios.by_key[own]}
        pool = slack.read("pool", str)
        if pool not in pools:
            slack.wrong("pool", f"says {short(pool)}, but {key} is in another pool")
    slack.read("piece", Any)
    slack.leave("piece", _NO_CERTIFICATE)
    slack.rest()


def _check_remedy(remedy: Claims, cluster: Cluster, now: IntArray) -> None:
    """Migrations that make the whole cluster safe."""
    entries = remedy.members.get("migrations")
    names = dict(zip(cluster.vms.names, now.tolist(), strict=True))
    index = cluster.nodes.index_of
    for entry in entries if isinstance(entries, list | tuple) else ():
        if isinstance(entry, Mapping) and entry.get("vm") in names and entry.get("to") in index:
            names[entry["vm"]] = index[entry["to"]]
    then = np.array(list(names.values()), np.int64)
    parts = _parts(cluster, then)
    case = parts[0].audited.case
    made = check_migrations(remedy, case)
    remedy.expect("moved", remedy.read("moved", int, 0), sum(migration.memory for migration in made), " MiB")
    waits = bool(len(case.waiting))  # and where what waits is started then is not told
    remedy.take(violation for violation in case.found if violation.kind in _FLAWS and not waits)
    fates = [None] if waits else [part.survival.survives_all() for part in parts]
    if False in fates:
        remedy.wrong("verified", "is wrong: with this remedy some failure is not survived")
    elif None in fates:
        remedy.leave("verified", "too hard to re-check: whether every failure is survived with this remedy")
    remedy.expect("verified", remedy.read("verified", bool), True)
    for key in ("bought", "forgone"):
        remedy.expect(key, remedy.read(key, int, 0), 0)
    remedy.expect("given_up", list(remedy.read("given_up", tuple[str, ...], ())), [])
    for key in ("kind", "pool"):
        remedy.read(key, str)
    for key in ("least", "action", "how"):
        remedy.read(key, Any)
        remedy.leave(key, _NO_CERTIFICATE)
    remedy.rest()
