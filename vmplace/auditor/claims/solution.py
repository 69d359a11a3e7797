"""The claims of `check`, `place`, `repair` and `drain`: one placement with all that is said of it."""

from collections.abc import Mapping
from typing import Any

from vmplace.auditor.audit import Audited
from vmplace.auditor.case import Case
from vmplace.auditor.claims.bounds import infeasible
from vmplace.auditor.claims.claims import TEXT, Claims
from vmplace.auditor.claims.migrations import check_migrations
from vmplace.auditor.claims.placement import PlacedClaims, Plan
from vmplace.auditor.claims.score import check_scores, check_unscored
from vmplace.auditor.claims.steps import check_steps
from vmplace.auditor.claims.verdicts import check_verdicts
from vmplace.auditor.failures import WorkLimit
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.results.values import Status

__all__ = ["check_solution"]


def check_solution(claims: Claims, cluster: Cluster) -> Plan | None:
    """Re-check a result with one placement, or none; returns the placement."""
    status = claims.read("status", Status)
    placement: Plan | None = claims.read("placement", Mapping[str, str | None] | None)
    if placement is None:
        _check_absent(claims, cluster, status)
        return None
    placed = PlacedClaims.of(claims, cluster, placement)
    placed.check()
    check_verdicts(placed)
    unsolved = _unsolved(claims, cluster, placement)
    _check_status(claims, status, unsolved=bool(unsolved))
    case = placed.audited.case
    migrations = check_migrations(claims, case)
    check_steps(claims, case, migrations, placed.drained, switched_off=placed.powered is not None)
    check_scores(claims, case, placed.powered, placed.drained)
    if claims.read("any_order", Any):
        claims.leave("any_order", "is about restarts that the guarantee does not ask about")
    if claims.read("comparison", Any):
        claims.leave("comparison", "is about what other platforms would promise")
    for key in ("conflict", "blockers"):
        if claims.read(key, Any) and unsolved:
            claims.leave(key, _NO_CERTIFICATE)
        elif claims.read(key, Any):
            claims.wrong(key, "says why there is no placement, but there is one")
    return placement


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
    for key in ("failover", "migrations", "powered", "unprotected", "scenarios", "pools", "broken_rules", "plan", "suspended"):
        if claims.read(key, Any):
            claims.wrong(key, "is given, but there is no placement")
    for key in ("waiting", "violations", "conflict", "unsolved", "blockers"):
        if claims.read(key, Any):
            claims.leave(key, "the result has no placement to compare it with")
    drained = claims.read("drained", tuple[str, ...], ())
    guarantee = claims.read("guarantee", Status)
    check_unscored(claims)
    if status not in (Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, but there is no placement")
    right = Status.UNSAFE if status is Status.INFEASIBLE else Status.UNKNOWN
    if guarantee is not None and status in (Status.INFEASIBLE, Status.UNKNOWN):
        claims.expect("guarantee", guarantee.value, right.value)
    if status is Status.INFEASIBLE:
        _check_infeasible(claims, cluster, drained)


def _check_infeasible(claims: Claims, cluster: Cluster, drained: tuple[str, ...]) -> None:
    """That there is no placement is shown by sums, refuted by the placement of now, or left open."""
    audited = Audited.of(cluster, Case(cluster, {}, None, ()).now, {}, None, drained)
    case = audited.case
    flawed = any(violation.kind != "unprotected" for violation in case.found)
    if not flawed and Survival(audited.failures, WorkLimit()).survives_all():
        claims.wrong("status", "says infeasible, but nothing is wrong with the cluster as it stands")
    elif not list(infeasible(case)):
        claims.leave("status", "the result has no certificate that no placement is safe, and sums do not show it")
