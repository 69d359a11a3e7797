"""The claims of `tolerance`: a report of so many failures at once, and one of a failure more."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.solution import check_solution
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.model.what_if import part_of
from vmplace.results.values import Status

__all__ = ["check_tolerance"]


def check_tolerance(claims: Claims, cluster: Cluster) -> None:
    """Re-check how many failures at once are survived."""
    status, scope = claims.read("status", Status), claims.read("scope", str)
    count, bound = claims.read("count", int | None), claims.read("bound", int | None)
    claims.expect("scope", scope, cluster.guarantee.scope)
    claims.right("status")
    if status not in (Status.OPTIMAL, Status.FEASIBLE, Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, which is not optimal, feasible, infeasible or unknown")
    if (status is Status.OPTIMAL) != (count is not None and count == bound):
        claims.wrong("status", f"says {status}, with a count of {count} and a bound of {bound}")
    if count is not None and bound is not None and bound < count:
        claims.wrong("bound", f"says {bound}, less than the count of {count}")
    pools = claims.read("pools", Mapping[str, Mapping[str, int | None]], {})
    if len(pools) == 1 and len(cluster.pools) > 1:
        cluster = part_of(cluster, next(iter(pools)))[0]
    counts = [pool.get("count") for pool in pools.values()]
    if pools and None not in counts:
        claims.expect("count", count, min(c for c in counts if c is not None))
    claims.leave("pools", "what each pool survives has no certificate in the result, beside that of the weakest")
    _check_report(claims, "report", cluster, count, Status.SAFE)
    _check_report(claims, "beyond", cluster, None if count is None else count + 1, Status.UNSAFE if count == bound else None)


def _check_report(claims: Claims, key: str, cluster: Cluster, failures: int | None, right: Status | None) -> None:
    """A report of so many failures at once, with the verdict that it has to have."""
    members = claims.read(key, Mapping[str, Any] | None)
    if members is None or failures is None:
        if members is None and key == "report" and failures:
            claims.wrong("count", f"says {failures}, without a report of so many failures")
        elif key == "beyond" and right is not None:
            claims.leave("bound", "that not one failure more is survived has no report in the result")
        return
    part = claims.within(key, members)
    check_solution(part, evolve(cluster, guarantee=evolve(cluster.guarantee, failures=failures, sequence="at-once")))
    if right is Status.SAFE and part.read("guarantee", Status) is not right:
        claims.wrong(key, f"is not {right}: {failures} failures")
    elif right is not None and part.read("guarantee", Status) is not right:
        claims.leave("bound", "one failure more than a pool has nodes is none, which the report beyond does not show")
    part.rest()
