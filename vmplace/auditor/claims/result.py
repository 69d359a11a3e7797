"""The audit of a saved result: which command it is of, and all of its claims re-checked without the search."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from vmplace.auditor.audit import own_keys
from vmplace.auditor.claims.admission import check_admission
from vmplace.auditor.claims.capacity import check_headroom, check_headroom_table, check_size
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.explanation import check_explanation
from vmplace.auditor.claims.rolling import check_rolling
from vmplace.auditor.claims.solution import check_solution
from vmplace.auditor.claims.tolerance import check_tolerance
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import of_type
from vmplace.model.units import short
from vmplace.results.audit import Audit
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status, Violation

__all__ = ["audit_result"]


@door(result=of_type((Mapping, ToDict), "a mapping", "give what a call returned, or what --json printed"))
def audit_result(cluster: Cluster, result: Mapping[str, Any] | ToDict) -> Audit:
    """Re-check every claim of a result, without the search that found it.

    Parameters
    ----------
    cluster
        What the result is of; of `size`, the document that it wrote.
    result
        What a call returned, its ``to_dict()``, or what ``--json`` printed.

    Returns
    -------
    Audit
        ``confirmed``, ``refuted`` or ``unknown``: whether the result is right, not whether the cluster is safe.

    Raises
    ------
    InputError
        (a ValueError) that names the place, if it is no result, or a value is of the wrong kind.
    """
    members = result.to_dict() if isinstance(result, ToDict) else result
    claims, kind = Claims(members), _kind_of(members)
    if cluster.further and kind not in _JOINT:
        return _audit_each(cluster, members)
    if kind == "headroom table":
        check_headroom_table(claims)
    else:
        _CHECKS.get(kind, check_solution)(claims, cluster)
    claims.rest()
    undecided = all(violation.kind == "unverified" for violation in claims.found)
    verdict = Status.CONFIRMED if not claims.found else Status.UNKNOWN if undecided else Status.REFUTED
    return Audit(
        status=verdict,
        kind=kind,
        says=claims.read("status", Status),
        guarantee=claims.read("guarantee", Status),
        checked=tuple(claims.checked),
        unchecked=tuple(dict.fromkeys(claims.unchecked)),
        violations=tuple(dict.fromkeys(claims.found)),
        warnings=tuple(claims.warnings),
    )


def _audit_each(cluster: Cluster, members: Mapping[str, Any]) -> Audit:
    """The audit of a report on several guarantees: what it says of each, and that it says the worst of them."""
    claims, said = Claims(members), members.get("guarantees")
    if not isinstance(said, list) or len(said) != len(cluster.guarantees) or not all(isinstance(one, Mapping) for one in said):
        raise InputError([Flaw("guarantees", f"{short(said)} is not a verdict on each of {len(cluster.guarantees)} guarantees")])
    one_by_one = enumerate(cluster.one_by_one(), 1)
    parts = [audit_result(one, _part(claims, cluster, number, said[number - 1])) for number, one in one_by_one]
    worst = _worst(part.says for part in parts)
    for key in ("status", "guarantee"):
        claims.expect(key, claims.read(key, Status), worst)
    pools = {pool: _worst(one["pools"].get(pool) for one in said) for pool in said[0]["pools"]}
    claims.expect("pools", dict(claims.read("pools", dict[str, Status], {})), pools)
    found = [
        Violation(v.kind, v.subject, f"guarantee {i}: {v.message}") for i, part in enumerate(parts, 1) for v in part.violations
    ]
    statuses = [part.status for part in parts] + [Status.REFUTED for _ in claims.found]
    return evolve(
        parts[0],
        status=next((status for status in (Status.REFUTED, Status.UNKNOWN) if status in statuses), Status.CONFIRMED),
        says=claims.read("status", Status),
        guarantee=claims.read("guarantee", Status),
        checked=tuple(dict.fromkeys([*claims.checked, *(claim for part in parts for claim in part.checked)])),
        unchecked=tuple(dict.fromkeys([*claims.unchecked, *(claim for part in parts for claim in part.unchecked)])),
        violations=tuple(dict.fromkeys([*claims.found, *found])),
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def _worst(statuses: Iterable[Any]) -> Status:
    """The one that counts for all."""
    held = set(statuses)
    return next((status for status in (Status.UNSAFE, Status.UNKNOWN) if status in held), Status.SAFE)


def _part(claims: Claims, cluster: Cluster, number: int, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a report on several guarantees says of one."""
    part = {key: value for key, value in claims.members.items() if key != "guarantees"}
    for name in ("scenarios", "failover"):
        entries = claims.read(name, Mapping[str, Any], {})
        part[name] = {key: entries[whole] for whole, key in own_keys(cluster, number, entries).items()}
    rows = claims.read("unprotected", tuple[Mapping[str, Any], ...], ())
    keys = own_keys(cluster, number, [str(row.get("scenario")) for row in rows])
    named = [(keys.get(str(row.get("scenario"))), row) for row in rows]
    part["unprotected"] = [{**row, "scenario": key} for key, row in named if key is not None]
    told = claims.read("warnings", tuple[str, ...], ())
    part["warnings"] = [warning.removeprefix(f"guarantee {number}: ") for warning in told]
    return part | {"status": said.get("status"), "guarantee": said.get("status"), "pools": said.get("pools")}


_CHECKS: Mapping[str, Any] = {
    "admit": check_admission,
    "explain": check_explanation,
    "headroom": check_headroom,
    "rolling drain": check_rolling,
    "size": check_size,
    "tolerance": check_tolerance,
}

_JOINT = ("admit", "tolerance")
"""The commands whose claims are re-checked under all guarantees of a list at once."""

_MARKS = (
    ("bundle", "headroom"),
    ("rows", "headroom table"),
    ("counts", "size"),
    ("groups", "rolling drain"),
    ("blames", "explain"),
    ("node", "admit"),
    ("beyond", "tolerance"),
)
"""A key that only the results of one command have."""


def _kind_of(members: Mapping[str, Any]) -> str:
    """The command that a result is of."""
    marked = next((kind for key, kind in _MARKS if key in members), None)
    if marked is not None:
        return marked
    if "placement" not in members:
        raise InputError(
            [Flaw("", "has no placement: give what --json printed for place, repair, drain, check or another command")]
        )
    if members.get("drained"):
        return "drain"
    return "check" if members.get("objective") is None and "conflict" not in members else "place"
