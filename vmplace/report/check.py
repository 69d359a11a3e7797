"""Terminal reports of `check` and `show`: the verdict and its reasons, which those of placements share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.model.guarantee import guarantee_of
from vmplace.model.text import counted, fails
from vmplace.report.nodes import node_table
from vmplace.report.soft_rules import broken_rule_line
from vmplace.report.tables import STYLE, Column, Screen
from vmplace.results.placement import Report, Solution
from vmplace.results.values import Comparison, Status, Unprotected, Violation

__all__ = ["grounds", "left_out", "node_report", "report", "verdict", "verdicts", "violation_text"]


def node_report(found: Report, screen: Screen) -> RenderableType:
    """A table of nodes, and the report below it."""
    return Group(node_table(found, screen), report(found, screen))


def report(found: Report, screen: Screen) -> RenderableType:
    """The verdict and its reasons, and the comparison with other policies if asked for."""
    first = list(verdicts(found, screen)) if found.guarantees else [verdict(found, screen).append(_meant(found))]
    return Group(*first, *_outlook(found, screen), *grounds(found, screen), *left_out(found, screen), *_compared(found, screen))


def verdicts(found: Report | Solution, screen: Screen) -> Iterator[Text]:
    """The verdict; of several guarantees, that on each as well."""
    if not found.guarantees:
        yield verdict(found, screen)
        return
    yield _of_all(found, screen)
    for number, part in enumerate(found.guarantees, 1):
        yield Text(f"guarantee {number}: ").append(verdict(part, screen)).append(_meant(part))


def verdict(found: Report | Solution, screen: Screen) -> Text:
    """The verdict on the guarantee, with what it promises or what is wrong."""
    status = found.guarantee
    line = Text.assemble((status.value.upper(), STYLE[status]), ": ")
    if status is Status.SAFE:
        return line.append(_promise(found))
    if suspended := _suspended(found):
        return line.append(screen.clean(suspended))
    if status is Status.UNSAFE:
        return line.append(screen.clean(_blame(found)))
    return line.append(_doubt(found))


def _suspended(found: Report | Solution) -> str:
    return found.suspended if isinstance(found, Solution) else ""


def _promise(found: Report | Solution) -> str:
    asked = found.cluster.guarantee
    if not asked.failures:
        return "every running VM fits (failures: 0, so no failure is considered)"
    vms = found.cluster.vms
    who = "VM" if vms.protected.all() else "protected VM"
    who = who if asked.vms is None else "VM that the guarantee names"
    spared = " that is not evictable" if vms.evictable.any() else ""
    return f"any {_units(found)} can fail{_together(found)} and every {who}{spared} restarts{_manner(found)}"


def _units(found: Report | Solution) -> str:
    """The noun for what fails."""
    asked = found.cluster.guarantee
    noun = "node" if asked.scope == "node" else "failure domain"
    if asked.domains:
        return f"{counted(asked.domains, 'failure domain')} and {counted(asked.failures - asked.domains, 'further node')}"
    if asked.failures == 1:
        return f"single {noun}"
    return f"{asked.failures} {noun}s{' of a pool' if len(found.pools) > 1 else ''}"


def _together(found: Report | Solution) -> str:
    if found.cluster.guarantee.failures == 1:
        return ""
    return " one after the other" if found.cluster.guarantee.in_turn else " at once"


def _manner(found: Report | Solution) -> str:
    """How restarts are assumed to happen, unless planned."""
    asked = found.cluster.guarantee
    if asked.policy is not None:
        return f", as the platform chooses nodes ({asked.policy}, {asked.order or 'as-listed'})"
    return ", in any order and on any node with room" if asked.any_order else ""


def _of_all(found: Report | Solution, screen: Screen) -> Text:
    """The verdict on several guarantees."""
    kept = sum(part.guarantee is Status.SAFE for part in found.guarantees)
    count = f"{kept} of {len(found.guarantees)} guarantees hold"
    line = Text.assemble((found.guarantee.value.upper(), STYLE[found.guarantee]), ": ")
    return line.append("; ".join(filter(None, (screen.clean(_suspended(found)), count))))


def _meant(found: Report) -> str:
    """Which restarts a verdict is about, where it does not say so itself."""
    asked = found.cluster.guarantee
    if not asked.failures:
        return ""
    if asked.planned:
        return " (planned restarts)"
    if found.guarantee is Status.SAFE:
        return ""
    return f" (restarts by policy: {asked.policy}, {asked.order or 'as-listed'})" if asked.policy else " (restarts in any order)"


def _outlook(found: Report, screen: Screen) -> Iterator[Text]:
    """Whether plans are needed for what is survived."""
    other = found.any_order
    if other is None:
        return
    if other.status is Status.SAFE:
        yield Text("In any order of restarts, too: yes.")
    elif other.status is Status.UNSAFE:
        shown = (
            f"{other.scenario}: {other.reason}"
            if screen.everything
            else f"For example, if {fails(other.scenario)} (--all shows how)."
        )
        yield Text(screen.clean(f"In any order of restarts: no. {shown}"))
        yield Text(_IF_IT_CHOOSES)
    else:
        yield Text("In any order of restarts: not decided in time.")


_IF_IT_CHOOSES = (
    "Nothing to do if your HA manager restarts VMs by the plans; "
    "if it chooses nodes itself, use --restart any-order here and in repair."
)


def _doubt(found: Report | Solution) -> str:
    """What is undecided, and why."""
    if undecided := _failures(found, Status.UNKNOWN):
        # In turn and in any order some are left open by the method, not by the clock.
        late = "" if found.cluster.guarantee.in_turn and found.cluster.guarantee.any_order else " in time"
        return f"{_of_failures(undecided, found)} not decided{late}"
    if found.cluster.guarantee.in_turn:
        return f"whether any {_units(found)} can fail one after the other was not decided in time"
    return f"too many sets of {_units(found)} to examine all: the {len(found.scenarios)} that displace most memory are survived"


def _blame(found: Report | Solution) -> str:
    """The only flaw, or how many there are of each kind."""
    if _one_flaw(found):
        return next(iter([*map(_loss, found.unprotected), *map(violation_text, found.violations)]))
    counts = []
    if lost := _failures(found, Status.UNSAFE):
        counts.append(f"{_of_failures(lost, found)} not survived")
    if found.violations:
        counts.append(f"{counted(len(found.violations), 'violation')} now")
    if found.waiting:
        counts.append(f"{counted(len(found.waiting), 'VM')} waiting")
    return ", ".join(counts) or f"whatever the failover plans, some {_units(found)} cannot fail one after the other"


def _one_flaw(found: Report | Solution) -> bool:
    """Whether one sentence can name every flaw: one unprotected VM, or one violation."""
    if found.waiting or len(found.unprotected) + len(found.violations) != 1:
        return False
    return _failures(found, Status.UNSAFE) == len(found.unprotected) and all(len(loss.vms) == 1 for loss in found.unprotected)


def _failures(found: Report | Solution, status: Status) -> int:
    return sum(scenario.status is status for scenario in found.scenarios.values())


def _of_failures(count: int, found: Report | Solution) -> str:
    """A count out of all failures, with the verb."""
    asked, total = found.cluster.guarantee, len(found.scenarios)
    if asked.failures > 1:
        failures = f"{counted(total, 'failure')} of {_units(found)}{_fewer(found)}"
    else:
        failures = counted(total, "single failure" if asked.scope == "node" else "domain failure")
    return f"{count} of {failures} {'is' if count == 1 else 'are'}"


def _fewer(found: Report | Solution) -> str:
    """The reason where a pool has fewer units than the guarantee lets fail."""
    if len(found.scenarios) != 1 or found.cluster.guarantee.domains:
        return ""
    count = len(next(iter(found.scenarios)).split("+"))
    return f" (there {'is' if count == 1 else 'are'} only {count})" if count < found.cluster.guarantee.failures else ""


def _loss(loss: Unprotected) -> str:
    return f"{loss.scenario}: {loss.reason}"


def violation_text(violation: Violation) -> str:
    """What is wrong, in a sentence that names where."""
    named = violation.kind == "rule" or violation.subject in violation.message  # a rule's message begins with its name
    return violation.message if named else f"{violation.subject}: {violation.message}"


def grounds(found: Report | Solution, screen: Screen) -> Iterator[Text]:
    """What lies behind the verdict: pools, losses, violations, VMs that wait, soft rules and warnings."""
    if len(found.pools) > 1:
        yield Text(screen.clean("Pools: " + ", ".join(f"{pool} {status}" for pool, status in found.pools.items())))
    out = _drained_of(found)
    meanwhile = f" while {screen.few(out)} {'is' if len(out) == 1 else 'are'} out" if out else ""
    if not _one_flaw(found) or _suspended(found):
        losses = (_lost_vms(loss, found, screen) for loss in found.unprotected)
        yield from screen.section(f"Not survived{meanwhile}", losses, len(found.unprotected))
        yield from screen.section("Violations now", map(violation_text, found.violations), len(found.violations))
    if found.waiting:
        yield Text(f"Waiting: {screen.few(found.waiting)}")
    broken = (broken_rule_line(rule, found.cluster, screen) for rule in found.broken_rules)
    breaking = "are broken now" if isinstance(found, Report) else f"are broken{meanwhile}" if out else "this placement breaks"
    yield from screen.section(f"Soft rules that {breaking}", broken, len(found.broken_rules))
    yield from screen.section("Warnings", found.warnings, len(found.warnings))


def _drained_of(found: Report | Solution) -> tuple[str, ...]:
    return found.drained if isinstance(found, Solution) else ()


def _lost_vms(loss: Unprotected, found: Report | Solution, screen: Screen) -> str:
    if not loss.vms:
        return _loss(loss)
    asked = found.cluster.guarantees[guarantee_of(loss.scenario)[0]]
    fate = "that may not restart" if asked.any_order else "cannot restart"
    doubt = "" if loss.minimal else " (perhaps fewer)"
    return f"{_loss(loss)} [{counted(len(loss.vms), 'VM')} {fate}{doubt}: {screen.few(loss.vms)}]"


def left_out(found: Report | Solution, screen: Screen) -> Iterator[Text]:
    """The small print: what presolve has left out, as it never binds here."""
    sentences = found.stats.get("presolve", ())
    for line in screen.section("Never binding, so left out", sentences, len(sentences)):
        yield Text(line.plain, style="dim")


def _compared(found: Report, screen: Screen) -> Iterator[RenderableType]:
    """A table of each policy's verdict, and whether it is wrong; of several guarantees, one for each."""
    for number, rows in groupby(found.comparison, lambda row: row.guarantee):
        yield Text() if number is None else Text(f"\nCompared under guarantee {number}:")
        yield _comparison(list(rows), screen)
    yield from map(Text, _COMPARED if found.comparison else ())


def _comparison(rows: Sequence[Comparison], screen: Screen) -> RenderableType:
    """Long words fold on narrow terminals."""
    roomy = screen.console.width >= _ROOMY

    def column(title: str, texts: Iterable[str], folds: int, style: str = "") -> Column:
        cells = [Text(screen.clean(text), style=style) for text in texts]
        return Column(title, cells, most=None if roomy or title == "Why" else folds, folds=folds)

    columns = (
        column("Policy", (row.policy for row in rows), 10),
        column("Platform", (row.source for row in rows), 9),
        Column("Says", [Text(row.says.value, style=STYLE[row.says]) for row in rows]),
        column("Wrong", (row.wrong for row in rows), 6, STYLE[Status.UNSAFE]),
        column("Why", (row.reason for row in rows), 16),
    )
    return screen.table(columns, ("Platform", "Why"))


_ROOMY = 110
"""Width from which reasons fit beside all other columns."""

_COMPARED = (
    "Wrong: differs from the first row, which is exact for planned restarts. any-order is a stricter promise.",
    "fewest-vms shows what Proxmox VE would do after a failure; it promises nothing beforehand.",
    "first-fit and worst-fit consider rules and all resources, fewest-vms rules alone, the policies above them memory alone.",
)
