"""Terminal report of `vmplace audit`: what is wrong, what was found right, and what could not be verified."""

import re
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.report.check import violation_text
from vmplace.report.tables import FEW, STYLE, Screen
from vmplace.results.audit import Audit
from vmplace.results.values import Status

__all__ = ["audit_report"]

_WORDS = {
    Status.CONFIRMED: ("RIGHT", STYLE[Status.SAFE]),
    Status.REFUTED: ("WRONG", STYLE[Status.UNSAFE]),
    Status.UNKNOWN: ("UNKNOWN", STYLE[Status.UNKNOWN]),
}


def audit_report(found: Audit, screen: Screen) -> RenderableType:
    """The verdict on a result, and each claim that is wrong or could not be re-checked."""
    word, style = _WORDS[found.status]
    lines = [Text.assemble((word, style), ": ", found.finding)]
    lines += [Text(screen.clean(line)) for line in _violations(found, screen)]
    lines += [Text(screen.clean(warning)) for warning in found.warnings]
    lines += [Text(screen.clean(line)) for line in _checked(found, screen)]
    return Group(*lines)


def _violations(found: Audit, screen: Screen) -> Iterator[str]:
    """What is wrong, the first of it unless all is asked for; so much is often another cluster's."""
    shown = found.violations if screen.everything else found.violations[:FEW]
    for violation in shown:
        yield f"{violation.kind}: {violation_text(violation)}"
    if len(shown) < len(found.violations):
        yield screen.omitted(f"{len(found.violations) - len(shown)} more")
    if len(found.violations) > FEW and found.status is Status.REFUTED:
        yield "So much is wrong: is this the cluster that the result is about?"


def _checked(found: Audit, screen: Screen) -> Iterator[str]:
    wrong = {_head(violation.subject) for violation in found.violations if violation.kind == "claim"}
    for violation in found.violations:
        wrong.update(_ABOUT.get(violation.kind, ("placement",)))
    right = [head for head in dict.fromkeys(map(_head, found.checked)) if head not in wrong]
    yield f"Checked and right: {', '.join(right) or 'nothing'}"
    if found.unchecked:
        yield "Not verified:"
        claims: dict[str, dict[str, None]] = {}
        for left in found.unchecked:
            claims.setdefault(left.reason, {})[left.claim if screen.everything else _INDEX.sub("[*]", left.claim)] = None
        lines = (f"{screen.few(list(named))}: {reason}" for reason, named in claims.items())
        yield from screen.listed(lines, len(claims))


_INDEX = re.compile(r"\[\d*\]")
_ABOUT: Mapping[str, tuple[str, ...]] = {
    "claim": (),
    "failover": ("failover",),
    "unprotected": ("failover", "guarantee", "unprotected"),
    "unverified": ("guarantee",),
}
"""The claims that each kind of violation is about; all others are about the placement."""


def _head(claim: str) -> str:
    return claim.partition(".")[0].partition("[")[0]
