"""The claims of `check`, `place`, `repair` and `drain`: one placement with all that is said of it, under each guarantee."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from vmplace.auditor.audit import Audited, own_keys
from vmplace.auditor.case import Case
from vmplace.auditor.claims.bounds import infeasible
from vmplace.auditor.claims.claims import TEXT, Claims
from vmplace.auditor.claims.migrations import check_migrations, check_stops
from vmplace.auditor.claims.placement import PlacedClaims, Plan
from vmplace.auditor.claims.score import check_scores, check_unscored
from vmplace.auditor.claims.steps import check_afterwards, check_steps, verdict_after
from vmplace.auditor.claims.verdicts import check_verdicts, worst
from vmplace.auditor.failures import WorkLimit
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.errors import Flaw, InputError
from vmplace.model.text import counted
from vmplace.model.units import short
from vmplace.results.values import Status

__all__ = ["check_solution"]


def check_solution(claims: Claims, cluster: Cluster) -> Plan | None:
    """Re-check a result with one placement, or none; returns the placement."""
    placement: Plan | None = claims.read("placement", Mapping[str, str | None] | None)
    if placement is None:
        _check_absent(claims, cluster, claims.read("status", Status))
    elif cluster.further:
        _check_each(claims, cluster)
    else:
        _check_placed(claims, cluster, placement)
    return placement


def _check_each(claims: Claims, cluster: Cluster) -> None:
    """What is said of a placement under each of several guarantees, and that the worst of it is said of all."""
    said = claims.read("guarantees", Any)
    # Normal running keeps the most headroom that any of them asks for.
    most = max(asked.headroom for asked in cluster.guarantees)
    parts = [evolve(part, guarantee=evolve(part.guarantee, headroom=most)) for part in cluster.one_by_one()]
    if not isinstance(said, list) or len(said) != len(parts) or not all(isinstance(one, Mapping) for one in said):
        raise InputError([Flaw("guarantees", f"{short(said)} is not a verdict on each of {len(parts)} guarantees")])
    verdicts = []
    for number, (part, members) in enumerate(zip(parts, said, strict=True), 1):
        verdict = claims.within(f"guarantees[{number - 1}]", members)
        verdicts.append((verdict.read("status", Status), verdict.read("pools", Mapping[str, Status], {})))
        verdict.rest()
        own = Claims(_own(claims, part, number, said), claims.place)
        _check_placed(own, part, own.read("placement", Mapping[str, str | None]))
        claims.found += [evolve(found, message=f"guarantee {number}: {found.message}") for found in own.found]
        claims.checked += [claim for claim in own.checked if claim not in claims.checked]
        claims.unchecked += own.unchecked
        claims.warnings += own.warnings
        claims.adopt(own)
    held = worst(status for status, _ in verdicts)
    solved = claims.members.get("objective") is not None
    for key in ("guarantee",) if solved else ("status", "guarantee"):
        claims.expect(key, claims.read(key, Status), held)
    pools = {pool: worst(own.get(pool) for _, own in verdicts) for pool in verdicts[0][1]}
    claims.expect("pools", dict(claims.read("pools", Mapping[str, Status], {})), pools)
    if claims.read("suspended", str, ""):
        claims.leave("suspended", TEXT)
        if held is Status.SAFE:
            claims.wrong("suspended", "says why the guarantees do not hold, but they are called safe")
    _check_all_steps(claims, parts)


_MARK = re.compile(r"^guarantee \d+: ")
"""What a warning that not all guarantees share begins with."""


def _own(claims: Claims, cluster: Cluster, number: int, said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a result that speak of one of several guarantees, and those that speak of none."""
    count, verdict = len(said), said[number - 1]
    own = {key: value for key, value in claims.members.items() if key not in ("guarantees", "suspended")}
    for name in ("scenarios", "failover"):
        entries = claims.read(name, Mapping[str, Any], {})
        own[name] = {key: entries[whole] for whole, key in own_keys(count, number, entries).items()}
    rows = claims.read("unprotected", tuple[Mapping[str, Any], ...], ())
    keys = own_keys(count, number, [str(row.get("scenario")) for row in rows])
    own["unprotected"] = [{**row, "scenario": keys[key]} for row in rows if (key := str(row.get("scenario"))) in keys]
    warnings = claims.members.get("warnings") or ()
    own |= {"warnings": [_MARK.sub("", str(line)) for line in warnings]}
    own |= {"guarantee": verdict.get("status"), "pools": verdict.get("pools")}
    if own.get("objective") is None:
        own["status"] = verdict.get("status")
    plan = claims.read("plan", Mapping[str, Any] | None)
    if plan is not None:
        steps = [_own_step(step, cluster, number, count) for step in _steps(claims)]
        exposed = [place for place, step in enumerate(steps, 1) if step.get("guarantee") not in (None, Status.SAFE.value)]
        own["plan"] = {**plan, "steps": steps, "exposed": exposed}
    return own


def _steps(claims: Claims) -> tuple[Mapping[str, Any], ...]:
    """The steps of a plan."""
    plan = claims.within("plan", claims.members.get("plan") or {})
    steps: tuple[Mapping[str, Any], ...] = plan.read("steps", tuple[Mapping[str, Any], ...], ())
    return steps


def _own_step(step: Mapping[str, Any], cluster: Cluster, number: int, count: int) -> dict[str, Any]:
    """What a step says of one of several guarantees: it holds where no failure of its own is exposed."""
    own = {key: list(own_keys(count, number, map(str, step.get(key) or ())).values()) for key in ("exposed", "undecided")}
    verdict = verdict_after(**own).value if cluster.guarantee.failures else None
    return {**step, **own, "guarantee": verdict, "unprotected": (step.get("unprotected") or ()) if verdict == "unsafe" else ()}


def _check_all_steps(claims: Claims, parts: Sequence[Cluster]) -> None:
    """That steps are called safe just where no failure of any guarantee is exposed, and the plan lists the others."""
    asked, suspended = any(part.guarantee.failures for part in parts), list[int]()
    for place, step in enumerate(_steps(claims)):
        says, exposed = step.get("guarantee"), step.get("exposed") or ()
        if says != (verdict_after(exposed, step.get("undecided") or ()).value if asked else None):
            claims.wrong(f"plan.steps[{place}].guarantee", f"says {short(says)}, with {counted(len(exposed), 'failure')} exposed")
        if says not in (None, Status.SAFE.value):
            suspended.append(place + 1)
    if claims.members.get("plan"):
        claims.expect("plan.exposed", list(claims.members["plan"].get("exposed") or ()), suspended)


def _check_placed(claims: Claims, cluster: Cluster, placement: Plan) -> None:
    """Re-check a placement with all that is said of it, under one guarantee."""
    status = claims.read("status", Status)
    before = cluster
    cluster, stopped = check_stops(claims, before)
    placed = PlacedClaims.of(claims, cluster, placement)
    placed.check()
    check_verdicts(placed)
    unsolved = _unsolved(claims, cluster, placement)
    _check_status(claims, status, unsolved=bool(unsolved))
    case = placed.audited.case
    migrations = check_migrations(claims, case)
    check_steps(claims, case, migrations, placed.drained, before=before, switched_off=placed.powered is not None)
    check_afterwards(claims, before, placement, stopped)
    check_scores(claims, case, placed.powered, placed.drained)
    if claims.read("any_order", Any):
        claims.leave("any_order", "is about restarts that the guarantee does not ask about")
    if claims.read("comparison", Any):
        claims.leave("comparison", "is about what other platforms would promise")
    for key in ("conflict", "blockers"):
        if claims.read(key, Any) and unsolved:
            claims.leave(key, _NO_CERTIFICATE)
        elif claims.read(key, Any):
            claims.wrong(key, "explains a missing placement, but the result has a placement")


_NO_CERTIFICATE = "the result has no certificate that the pool has no placement"


def _unsolved(claims: Claims, cluster: Cluster, placement: Plan) -> Mapping[str, str]:
    """The pools that are said to have no placement: their VMs must be where they were."""
    unsolved: Mapping[str, str] = claims.read("unsolved", Mapping[str, str], {}) or {}
    if not unsolved:
        return unsolved
    claims.leave("unsolved", _NO_CERTIFICATE)
    for pool in unsolved:
        if pool not in cluster.pools:
            claims.wrong("unsolved", f"names {short(pool)}, which is not a pool of the cluster")
    for vm in cluster.vms:
        if vm.pool in unsolved and placement.get(vm.name) not in (None, vm.node):
            claims.wrong("unsolved", f"{short(vm.name)} of pool {short(vm.pool)} does not stay where it is")
    return unsolved


def _check_status(claims: Claims, status: Status | None, *, unsolved: bool) -> None:
    """The status of a report is its guarantee; a solution is optimal or feasible, unless some pools have none."""
    guarantee = claims.read("guarantee", Status)
    claims.right("status")
    reported = (Status.SAFE, Status.UNSAFE, Status.UNKNOWN)
    if not unsolved and status in reported and guarantee is not None and status is not guarantee:
        claims.wrong("status", f"says {status}, but the guarantee is called {guarantee}")
    solved = claims.members.get("objective") is not None
    meant = (Status.INFEASIBLE, Status.UNKNOWN) if unsolved else (Status.OPTIMAL, Status.FEASIBLE)
    if status not in (meant if solved else (Status.SAFE, Status.UNSAFE, Status.UNKNOWN)):
        claims.wrong(
            "status", f"says {short(status and status.value)}, with a placement and {'an' if solved else 'no'} objective"
        )
    if claims.read("suspended", str, ""):
        claims.leave("suspended", TEXT)
        if guarantee is Status.SAFE:
            claims.wrong("suspended", "says why the guarantee does not hold, but it is called safe")


def _check_absent(claims: Claims, cluster: Cluster, status: Status | None) -> None:
    """Re-check a result without a placement."""
    claims.right("placement")
    claims.right("status")
    placed = "failover migrations powered unprotected scenarios pools broken_rules plan suspended stopped afterwards"
    for key in placed.split():
        if claims.read(key, Any):
            claims.wrong(key, "needs a placement, and the result has none")
    for key in ("waiting", "violations", "conflict", "unsolved", "blockers"):
        if claims.read(key, Any):
            claims.leave(key, "the result has no placement to compare it with")
    drained = claims.read("drained", tuple[str, ...], ())
    guarantee = claims.read("guarantee", Status)
    check_unscored(claims)
    if status not in (Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, but the result has no placement")
    right = Status.UNSAFE if status is Status.INFEASIBLE else Status.UNKNOWN
    if guarantee is not None and status in (Status.INFEASIBLE, Status.UNKNOWN):
        claims.expect("guarantee", guarantee.value, right.value)
    if status is Status.INFEASIBLE:
        _check_infeasible(claims, cluster, drained)


def _check_infeasible(claims: Claims, cluster: Cluster, drained: tuple[str, ...]) -> None:
    """An infeasible status: sums prove it, the current placement refutes it, or it stays unchecked."""
    each = [Audited.of(part, Case(part, {}, None, ()).now, {}, None, drained) for part in cluster.one_by_one()]
    flawed = any(violation.kind != "unprotected" for audited in each for violation in audited.case.found)
    if not flawed and all(Survival(audited.failures, WorkLimit()).survives_all() for audited in each):
        claims.wrong("status", "says infeasible, but nothing is wrong with the cluster as it stands")
    elif not any(list(infeasible(audited.case)) for audited in each):
        claims.leave("status", "the result has no certificate that no placement is safe, and sums do not show it")
