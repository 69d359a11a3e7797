"""The `objective` of a call: names, each perhaps with the slack that it has for the sake of those after it."""

from fractions import Fraction
from typing import Any

from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import parse_reserve, parse_share, short
from vmplace.search.goal import OBJECTIVES, Slack

__all__ = ["Objective", "parse_gap", "parse_objectives"]

Objective = str | tuple[str, float | int | Fraction | str]
"""A name, or a pair of a name and its slack: a share such as 0.05 or ``"5%"``, or what is good enough, such as ``"<=80%"``."""


def parse_objectives(given: Any) -> tuple[tuple[str, ...], tuple[tuple[str, Slack], ...]]:
    """The names in order of importance, and the slack of those that have one; raises InputError."""
    entries = (given,) if isinstance(given, str) or _is_pair(given) else tuple(given)
    pairs: list[tuple[Any, Any]] = [entry if _is_pair(entry) else (entry, None) for entry in entries]
    names = tuple(name for name, _ in pairs)
    known = all(isinstance(name, str) and name in OBJECTIVES for name in names)
    if not names or not known or len(set(names)) < len(names):
        allowed = ", ".join(OBJECTIVES)
        raise InputError(
            [Flaw("objective", f"{short(given)} is not an objective: give one of {allowed}, or several different ones")]
        )
    return names, tuple((name, _parse_slack(name, slack)) for name, slack in pairs if slack is not None)


def _is_pair(entry: Any) -> bool:
    """Whether it is a name with its slack, rather than two names."""
    if not isinstance(entry, tuple | list) or len(entry) != 2:
        return False
    name, slack = entry
    return isinstance(name, str) and not isinstance(slack, tuple | list) and slack not in OBJECTIVES


def _parse_slack(name: str, slack: object) -> Slack:
    if name == "rules":
        raise InputError([Flaw("objective", "rules cannot have a slack: leave it out, or lower the weights of rules")])
    try:
        if isinstance(slack, str) and slack.startswith("<="):
            return Slack(enough=_parse_value(name, slack[2:].strip()))
        share = _parse_share(slack)
    except ValueError:
        share = Fraction(-1)
    if share < 0:
        example = {"balance": "<=80%", "moves": "<=64GiB"}.get(name, "<=12")
        raise InputError([Flaw("objective", f"{short(slack)} is not a slack for {name}: write a share such as 5%, or {example}")])
    return Slack(share)


def parse_gap(given: Any) -> Fraction:
    """A share below 1, such as 0.01 or ``"1%"``; raises InputError."""
    try:
        gap = _parse_share(given)
    except ValueError:
        gap = Fraction(-1)
    if not 0 <= gap < 1:
        raise InputError([Flaw("gap", f"{short(given)} is not a gap: write a share from 0 to below 1, such as 0.01 or 1%")])
    return gap


def _parse_share(slack: object) -> Fraction:
    """A share: 0.05, or ``5%``."""
    if isinstance(slack, bool) or not isinstance(slack, int | float | Fraction | str):
        raise ValueError(slack)
    return parse_share(slack) if isinstance(slack, str) else Fraction(str(slack))


def _parse_value(name: str, text: str) -> int | Fraction:
    """A value of the objective: a share of memory in use, memory, or a number of nodes."""
    if name == "balance":
        return _parse_share(text)
    if name == "moves":
        return parse_reserve(int(text) if text.isascii() and text.isdigit() else text)
    return int(text)
