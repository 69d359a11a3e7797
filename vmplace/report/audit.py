"""Terminal report of `vmplace audit`: what is wrong, what was verified, and what could not be."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.model.text import counted
from vmplace.report.check import violation_text
from vmplace.report.tables import STYLE, Screen
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
    lines = [_verdict(found)]
    lines += [Text(screen.clean(f"{violation.kind}: {violation_text(violation)}")) for violation in found.violations]
    lines += [Text(screen.clean(warning)) for warning in found.warnings]
    lines += [Text(screen.clean(line)) for line in _checked(found, screen)]
    return Group(*lines)


def _verdict(found: Audit) -> Text:
    word, style = _WORDS[found.status]
    line = Text.assemble((word, style), ": ")
    wrong = [violation for violation in found.violations if violation.kind != "unverified"]
    if wrong:
        return line.append(f"{counted(len(wrong), 'claim')} of this result {'does' if len(wrong) == 1 else 'do'} not hold")
    if found.violations:
        return line.append("nothing wrong was found, but whether the guarantee holds could not be verified")
    return line.append(f"every claim that can be verified holds; the result says {_says(found)}")


def _says(found: Audit) -> str:
    words = [found.says, found.guarantee if found.guarantee is not found.says else None]
    return ", ".join(word.value for word in words if word is not None)


def _checked(found: Audit, screen: Screen) -> Iterator[str]:
    heads = list(dict.fromkeys(claim.partition(".")[0].partition("[")[0] for claim in found.checked))
    yield f"Verified: {', '.join(heads) or 'nothing'}"
    if found.unchecked:
        yield "Not verified:"
        claims: dict[str, list[str]] = {}
        for left in found.unchecked:
            claims.setdefault(left.reason, []).append(left.claim)
        for reason, places in claims.items():
            yield f"  {screen.few(places)}: {reason}"
