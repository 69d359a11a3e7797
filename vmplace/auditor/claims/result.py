"""The audit of a saved result: which command it is of, and all of its claims re-checked without the search."""

from collections.abc import Mapping
from typing import Any

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
from vmplace.results.audit import Audit
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status

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


_CHECKS: Mapping[str, Any] = {
    "admit": check_admission,
    "explain": check_explanation,
    "headroom": check_headroom,
    "rolling drain": check_rolling,
    "size": check_size,
    "tolerance": check_tolerance,
}

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
