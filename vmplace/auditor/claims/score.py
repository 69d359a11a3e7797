"""The claims about an objective: its value, recomputed; its bound, as far as sums show it; and the gap between them."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.auditor.case import Case, Names
from vmplace.auditor.claims.bounds import fewest_powered, least_moved, least_peak
from vmplace.auditor.claims.broken_rules import soft_cost
from vmplace.auditor.claims.claims import Claims
from vmplace.model.units import short
from vmplace.results.values import Status, relative_gap

__all__ = ["Score", "check_bound", "check_gap", "check_optimal", "check_scores", "check_unscored", "read_scores"]

_CLOSE = 1e-9
"""Fractions come as floating-point numbers."""

Number = int | float


@frozen
class Score:
    """What a result says of one objective; `allowed` is the value up to which it counts as optimal, where it has slack."""

    name: str
    value: Number | None
    bound: Number | None
    gap: float | None
    allowed: Number | None


def read_scores(claims: Claims) -> list[Score]:
    """The objectives in order; empty where there is none."""
    members: Mapping[str, Any] | None = claims.read("objective", Mapping[str, Any] | None)
    if members is None:
        return []
    part = claims.within("objective", members)
    many = isinstance(members.get("name"), list | tuple)
    number = int | float | None
    kinds: dict[str, Any] = {"name": str, "value": number, "bound": number, "gap": float | None, "allowed": number}
    columns = {}
    for key, kind in kinds.items():
        value = part.read(key, _many(kind) if many else kind)
        columns[key] = value if many else (value,)
    part.rest()
    names = columns["name"]
    for key in kinds:
        if columns[key] is None:
            columns[key] = (None,) * len(names)
        if len(columns[key]) != len(names):
            claims.wrong(f"objective.{key}", f"has {len(columns[key])} entries for {len(names)} objectives")
            return []
    return [Score(*row) for row in zip(*(columns[key] for key in kinds), strict=True)]


def _many(kind: Any) -> Any:
    return tuple[kind, ...] | None


def value_of(case: Case, name: str, powered: tuple[str, ...] | None) -> int | Fraction:
    """The value of a placement."""
    if name == "balance":
        capacity, load = case.memory.capacity, case.memory.load
        shares = {(int(load[i]), int(capacity[i])) for i in np.flatnonzero(case.online).tolist()}
        return max((Fraction(*share) for share in shares), default=Fraction(0))
    if name == "moves":
        moved = (case.now >= 0) & (case.at >= 0) & (case.at != case.now)
        return int(case.memory.demand[moved].sum())
    if name == "rules":
        return soft_cost(case)
    return len(powered or ())


_LEAST: Mapping[str, Callable[[Case], int | Fraction]] = {
    "balance": least_peak,
    "moves": least_moved,
    "consolidate": fewest_powered,
    "rules": lambda _: 0,
}


def check_scores(claims: Claims, case: Case, powered: tuple[str, ...] | None, drained: Names) -> None:
    """Re-check the objectives of a placement."""
    scores = read_scores(claims)
    before = Case(case.cluster, case.now, None, drained)
    for score in scores:
        if not _is_known(claims, score):
            continue
        value = value_of(case, score.name, powered)
        if score.value is None or not _equal(score.value, value):
            claims.wrong("objective.value", f"says {score.name} {short(score.value)}; {_shown(value)} is right")
        claims.right("objective.value")
        check_bound(claims, score, _LEAST[score.name](before))
    check_optimal(claims, scores)


def check_unscored(claims: Claims) -> None:
    """Re-check the objectives of a result without a placement: they have no value."""
    for score in read_scores(claims):
        _is_known(claims, score)
        if score.value is not None or score.gap is not None:
            claims.wrong("objective.value", f"says {short(score.value)}, gap {short(score.gap)}, but the result has no placement")
        if score.bound is not None:
            claims.leave("objective.bound", f"the result has no certificate for {short(score.bound)}, and no placement")


def _is_known(claims: Claims, score: Score) -> bool:
    """Whether a placement can have the objective."""
    if score.name not in _LEAST:
        claims.wrong("objective.name", f"{short(score.name)} is not an objective of a placement")
    return score.name in _LEAST


def check_bound(claims: Claims, score: Score, least: int | Fraction) -> None:
    """Re-check a lower bound, and the gap."""
    check_gap(claims, score)
    if score.bound is None:
        return
    if score.value is not None and score.bound > score.value + _CLOSE * abs(score.value):
        claims.wrong(
            "objective.bound", f"says that {score.name} is at least {short(score.bound)}, but it is {short(score.value)}"
        )
    elif score.bound <= least or _equal(score.bound, least):
        claims.right("objective.bound")
    else:
        shown = f"no less than {_shown(least)}"
        claims.leave(
            "objective.bound", f"{score.name}: sums show {shown}; the result has no certificate for {short(score.bound)}"
        )


def check_gap(claims: Claims, score: Score, *, upper: bool = False) -> None:
    """Re-check the arithmetic of a gap; `upper` for a value that is maximised, whose gap is a share of its bound."""
    value, bound = (None if each is None else Fraction(each) for each in (score.value, score.bound))
    gap = relative_gap(bound, value) if upper else relative_gap(value, bound)
    claims.right("objective.gap")
    if (gap is None) != (score.gap is None) or (gap is not None and score.gap is not None and abs(gap - score.gap) > _CLOSE):
        claims.wrong("objective.gap", f"says {short(score.gap)}; {short(gap)} is right")


def check_optimal(claims: Claims, scores: list[Score]) -> None:
    """What is optimal meets its bound, or comes to no more than its slack allows."""
    for score in scores:
        if score.allowed is not None:
            claims.leave("objective.allowed", f"{score.name}: the slack that was asked for is not in the result")
    if claims.members.get("status") != Status.OPTIMAL.value:
        return
    for score in scores:
        if score.value is None or score.bound is None or not _is_met(score.value, score.bound, score.allowed):
            says = f"{short(score.value)} and no less than {short(score.bound)}"
            claims.wrong("status", f"says optimal, but {score.name} is {says}")


def _is_met(value: Number, bound: Number, allowed: Number | None) -> bool:
    return _equal(value, bound) or (allowed is not None and (value <= allowed or _equal(value, allowed)))


def _equal(says: Number, right: int | Fraction | float) -> bool:
    if isinstance(says, int) and isinstance(right, int):
        return says == right
    return abs(says - float(right)) <= _CLOSE * abs(float(right))


def _shown(value: int | Fraction) -> str:
    return short(value if isinstance(value, int) else float(value))
