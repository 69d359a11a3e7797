"""The claims of `tolerance`: a report of so many failures at once, and one of a failure more, for each guarantee."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.solution import check_solution
from vmplace.model.cluster import Cluster
from vmplace.model.what_if import part_of
from vmplace.results.values import Status

__all__ = ["check_tolerance"]


def check_tolerance(claims: Claims, cluster: Cluster) -> None:
    """Re-check how many failures at once are survived: under each guarantee, and under all of several."""
    said = claims.read("guarantees", tuple[Mapping[str, Any], ...], ())
    parts = cluster.one_by_one()
    if cluster.further and len(said) != len(parts):
        claims.wrong("guarantees", f"answers for {len(said)} guarantees; the cluster asks for {len(parts)}")
        return
    if not cluster.further:
        _check_alone(claims, cluster)
        return
    for number, (part, members) in enumerate(zip(parts, said, strict=True)):
        own = claims.within(f"guarantees[{number}]", members)
        _check_alone(own, part)
        own.rest()
    _check_least(claims, said)


def _check_least(claims: Claims, said: Sequence[Mapping[str, Any]]) -> None:
    """Re-check that the numbers for all guarantees are the least of theirs."""
    pools = claims.read("pools", Mapping[str, Mapping[str, int | None]], {})
    claims.expect("pools", pools, {pool: _least([each["pools"][pool] for each in said]) for pool in said[0]["pools"]})
    numbers = _least(said)
    for key, right in numbers.items():
        claims.expect(key, claims.read(key, int | None), right)
    weakest = next(each for each in said if each["count"] == numbers["count"])
    claims.expect("scope", claims.read("scope", str), weakest["scope"])
    for key in ("report", "beyond"):
        claims.expect(key, claims.read(key, Any), None)
    _check_status(claims, numbers["count"], numbers["bound"])


def _least(numbers: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """The least of each; None is less than any number."""
    return {key: min((each[key] for each in numbers), key=lambda n: -1 if n is None else n) for key in ("count", "bound")}


def _check_alone(claims: Claims, cluster: Cluster) -> None:
    """Re-check the answer for one guarantee."""
    scope = claims.read("scope", str)
    count, bound = claims.read("count", int | None), claims.read("bound", int | None)
    claims.expect("scope", scope, cluster.guarantee.scope)
    _check_status(claims, count, bound)
    pools = claims.read("pools", Mapping[str, Mapping[str, int | None]], {})
    if len(pools) == 1 and len(cluster.pools) > 1:
        cluster = part_of(cluster, next(iter(pools)))[0]
    counts = [pool.get("count") for pool in pools.values()]
    if pools and None not in counts:
        claims.expect("count", count, min(c for c in counts if c is not None))
    claims.leave("pools", "the result has a report for the weakest pool only")
    survived = -1 if count is None else count
    bad = Status.UNSAFE if count == bound else None
    _check_report(claims, "report", cluster, max(survived, 0), bad if count is None else Status.SAFE)
    _check_report(claims, "beyond", cluster, survived + 1, bad)


def _check_status(claims: Claims, count: int | None, bound: int | None) -> None:
    """Re-check that a status goes with what is known: None is less than any number, where not even the present is right."""
    status = Status.OPTIMAL if count == bound else Status.FEASIBLE
    status = status if count is not None else Status.INFEASIBLE if bound is None else Status.UNKNOWN
    claims.expect("status", claims.read("status", Status), status)
    if bound is None and count is not None:
        claims.wrong("bound", f"is missing, with a count of {count}")
    elif bound is not None and count is not None and bound < count:
        claims.wrong("bound", f"says {bound}, less than the count of {count}")


def _check_report(claims: Claims, key: str, cluster: Cluster, failures: int, right: Status | None) -> None:
    """A report of so many failures at once, with the verdict that it has to have."""
    members = claims.read(key, Mapping[str, Any] | None)
    if members is None:
        if key == "report" and failures:
            claims.wrong("count", f"says {failures}, but has no report on {failures} failures")
        elif key == "beyond" and right is not None:
            claims.leave("bound", "the result has no report that shows that one failure more is not survived")
        return
    part = claims.within(key, members)
    check_solution(part, evolve(cluster, guarantee=evolve(cluster.guarantee, failures=failures, domains=0, sequence="at-once")))
    if right is Status.SAFE and part.read("guarantee", Status) is not right:
        claims.wrong(key, f"is not {right}: {failures} failures")
    elif right is not None and part.read("guarantee", Status) is not right and failures:
        claims.leave("bound", "the report beyond is about more failures than a pool has nodes, and shows nothing")
    part.rest()
