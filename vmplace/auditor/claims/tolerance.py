"""The claims of `tolerance`: a report of so many failures at once, and one of a failure more, for each guarantee."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.auditor.case import Case
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.solution import check_solution
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.cluster import Cluster
from vmplace.model.text import counted
from vmplace.model.what_if import part_of
from vmplace.results.values import Status

__all__ = ["check_tolerance"]


_Numbers = Mapping[str, int | None]
"""A count and a bound; None: not even the present is right."""


@frozen
class _Said:
    """What an answer says in numbers."""

    scope: str | None
    count: int | None
    bound: int | None
    pools: Mapping[str, _Numbers]

    @classmethod
    def of(cls, claims: Claims) -> "_Said":
        """As it is read."""
        count, bound = (claims.read(key, int | None) for key in ("count", "bound"))
        return cls(claims.read("scope", str), count, bound, claims.read("pools", Mapping[str, Mapping[str, int | None]], {}))

    @property
    def numbers(self) -> _Numbers:
        """Of all pools."""
        return {"count": self.count, "bound": self.bound}


def check_tolerance(claims: Claims, cluster: Cluster) -> None:
    """Re-check how many failures at once are survived: under each guarantee, and under all of several."""
    answers = claims.read("guarantees", tuple[Mapping[str, Any], ...], ())
    parts = cluster.one_by_one()
    if cluster.further and len(answers) != len(parts):
        claims.wrong("guarantees", f"answers for {len(answers)} guarantees; the cluster asks for {len(parts)}")
        return
    if not cluster.further:
        _check_alone(claims, cluster)
        return
    each = []
    for number, (part, members) in enumerate(zip(parts, answers, strict=True)):
        own = claims.within(f"guarantees[{number}]", members)
        each.append(_check_alone(own, part))
        own.rest()
    _check_least(claims, each)


def _check_least(claims: Claims, each: Sequence[_Said]) -> None:
    """Re-check that the numbers for all guarantees are the least of theirs."""
    said = _Said.of(claims)
    least = _least([one.numbers for one in each])
    claims.expect("pools", said.pools, {pool: _least([one.pools.get(pool, {}) for one in each]) for pool in each[0].pools})
    for key, right in least.items():
        claims.expect(key, said.numbers[key], right)
    claims.expect("scope", said.scope, next(one.scope for one in each if one.count == least["count"]))
    for key in ("report", "beyond"):
        claims.expect(key, claims.read(key, Any), None)
    _check_status(claims, said.count, said.bound)


def _least(numbers: Sequence[_Numbers]) -> dict[str, int | None]:
    """The least of each; None is less than any number."""
    return {key: min((each.get(key) for each in numbers), key=lambda n: -1 if n is None else n) for key in ("count", "bound")}


def _check_alone(claims: Claims, cluster: Cluster) -> _Said:
    """Re-check the answer for one guarantee."""
    said = _Said.of(claims)
    claims.expect("scope", said.scope, cluster.guarantee.scope)
    _check_status(claims, said.count, said.bound)
    if len(said.pools) == 1 and len(cluster.pools) > 1:
        cluster = part_of(cluster, next(iter(said.pools)))[0]
    claims.expect("pools", sorted(said.pools), sorted(cluster.pools))
    if said.pools:
        least = _least(list(said.pools.values()))
        for key, right in least.items():
            claims.expect(key, said.numbers[key], right)
    claims.leave("pools", "the result has a report for the weakest pool only")
    survived = -1 if said.count is None else said.count
    bad = Status.UNSAFE if said.count == said.bound else None
    _check_report(claims, "report", cluster, max(survived, 0), bad if said.count is None else Status.SAFE)
    _check_report(claims, "beyond", cluster, survived + 1, bad)
    return said


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
            claims.wrong("count", f"says {failures}, but has no report on {counted(failures, 'failure')}")
        elif right is Status.UNSAFE:
            claims.leave("bound", "the result has no report that shows that one failure more is not survived")
        return
    part = claims.within(key, members)
    failing = evolve(cluster, guarantee=evolve(cluster.guarantee, failures=failures, domains=0, sequence="at-once"))
    check_solution(part, failing)
    says = part.read("guarantee", Status)
    if right is Status.UNSAFE and says is Status.UNKNOWN:
        claims.leave("bound", f"the report on {counted(failures, 'failure')} does not tell whether that is survived")
    elif right is Status.UNSAFE and says is Status.SAFE and failures > _fewest_units(failing):
        claims.leave("bound", "the report beyond is about more failures than a pool has nodes, and shows nothing")
    elif right is not None and says is not right:
        claims.wrong(key, f"is not {right}, but a report on {counted(failures, 'failure')} has to be")
    part.rest()


def _fewest_units(cluster: Cluster) -> int:
    """How many nodes or failure domains can fail in the pool that has the fewest."""
    single = evolve(cluster, guarantee=evolve(cluster.guarantee, failures=1))
    case = Case(single, Case(single, {}, None, ()).now, None, ())
    units = np.bincount(AuditedScenarios.of(case).pool_of, minlength=len(case.pools)).tolist()
    return min(units, default=0)
