"""Terminal reports of `drain --rolling`, and of the order of live migrations."""

from collections.abc import Iterator, Sequence
from itertools import chain

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.model.text import counted, lasting, readable
from vmplace.report.next_steps import starts_again
from vmplace.report.soft_rules import broken_rule_line
from vmplace.report.tables import FEW, STYLE, Column, Screen
from vmplace.results.exposure import Exposure
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Solution
from vmplace.results.rolling_drain import RollingDrain
from vmplace.results.values import Status

__all__ = ["order_lines", "rolling_report"]


def rolling_report(found: RollingDrain, screen: Screen) -> RenderableType:
    """The groups, what each migrates, when the guarantee is suspended, and the nodes that are in none."""
    parts = (_stops, _suspensions, _soft_rules, _undrained)
    return Group(*_verdict(found), *_groups(found, screen), *chain.from_iterable(part(found, screen) for part in parts))


_WORDS = {
    Status.OPTIMAL: ("DONE", STYLE[Status.SAFE]),
    Status.FEASIBLE: ("DONE", STYLE[Status.SAFE]),
    Status.INFEASIBLE: ("INFEASIBLE", STYLE[Status.UNSAFE]),
    Status.UNKNOWN: ("UNKNOWN", STYLE[Status.UNKNOWN]),
}


def _verdict(found: RollingDrain) -> Iterator[Text]:
    word, style = _WORDS[found.status]
    groups = counted(len(found.groups), "group")
    suspended = len(found.suspended)
    during = (
        f"; the guarantee is suspended during {'all' if suspended == len(found.groups) > 1 else suspended} of them"
        if suspended
        else ""
    )
    if found.undrained:
        count = len(found.undrained)
        cannot = "cannot be drained" if found.status is Status.INFEASIBLE else f"{'is' if count == 1 else 'are'} not in any group"
        others = f"the others are in {groups}{during}" if found.groups else "no group was found"
        yield Text.assemble((word, style), f": {counted(count, 'node')} {cannot}; {others}")
        return
    proof = "proved: fewer are impossible" if found.status is Status.OPTIMAL else f"at least {found.bound} are needed"
    line = f": every node once, in {groups} ({proof}){during}; {readable(found.migrated)} migrated in all"
    yield Text.assemble((word, style), line)


def _groups(found: RollingDrain, screen: Screen) -> Iterator[RenderableType]:
    if not found.groups:
        return
    columns = [
        Column("Group", _cells([str(number + 1) for number in range(len(found.groups))]), "right"),
        Column("Nodes", _cells([screen.few(nodes) for nodes in found.nodes]), folds=20),
        Column("Migrated", _cells([_migrated(group) for group in found.groups]), "right"),
        Column("Steps", _cells([_steps(group.plan, len(group.migrations)) for group in found.groups]), "right"),
    ]
    if found.returns:
        back = ["" if plan is None else _steps(plan, 0, plan.reason) for plan in found.returns]
        columns.append(Column("Way back", _cells(back), "right"))
    yield screen.table(columns)
    if any(group.plan is not None and group.plan.exposed for group in found.groups):
        yield Text(_closed("the nodes of a group", "its first", "they still take"))


def _stops(found: RollingDrain, screen: Screen) -> Iterator[Text]:
    """Who is stopped during which group, and where it starts again."""
    groups = [(number, group) for number, group in enumerate(found.groups, 1) if group.stopped]
    lines = (
        f"group {number}: {screen.few([f'{stop.vm} on {stop.node}' for stop in group.stopped])}; "
        f"when {screen.few(group.drained)} is back: {starts_again(group, screen)}"
        for number, group in groups
    )
    yield from screen.section("Evictable VMs stop where the other nodes have no room for all", lines, len(groups))


def _suspensions(found: RollingDrain, screen: Screen) -> Iterator[Text]:
    """The groups during which the guarantee does not hold, why, and which VMs are unprotected then."""
    same = _same_reason([found.groups[number - 1] for number in found.suspended])
    if not found.suspended:
        return
    yield Text("Guarantee suspended" + (f": {screen.clean(same)}" if same else ":"))

    def line(number: int) -> str:
        group = found.groups[number - 1]
        why = "" if same else group.suspended or "not known to hold"
        lost = _lost(group.exposure, "meanwhile", screen, _FEW_VMS)
        return f"group {number}: {'; '.join(filter(None, (why, lost)))}"

    yield from map(Text, screen.listed(map(line, found.suspended), len(found.suspended)))


def _same_reason(groups: Sequence[Solution]) -> str:
    """Why the guarantee is suspended, if it is for several single nodes with the same figures, and the worst failure is known."""
    if len(groups) < 2 or any(len(group.drained) > 1 or group.exposure is None for group in groups):
        return ""
    reasons = {group.suspended.replace(f" while {group.drained[0]} is out", _ANY_OUT, 1) for group in groups}
    reason = reasons.pop()
    return reason if not reasons and _ANY_OUT in reason else ""


def _lost(exposure: Exposure | None, when: str, screen: Screen, most: int = FEW) -> str:
    """The worst failure with the VMs that cannot restart then."""
    if exposure is None:
        return ""
    return f"{screen.clean(exposure.sentence(when))}: {screen.few(exposure.vms, most)}"


def _soft_rules(found: RollingDrain, screen: Screen) -> Iterator[Text]:
    """Soft rules that are broken while a group is out."""
    lines = (
        f"while {screen.few(group.drained)} {'is' if len(group.drained) == 1 else 'are'} out, "
        + broken_rule_line(rule, group.cluster, screen)
        for group in found.groups
        for rule in group.broken_rules
    )
    count = sum(len(group.broken_rules) for group in found.groups)
    yield from screen.section("Soft rules that are broken meanwhile", lines, count)


def _cells(texts: Sequence[str]) -> list[Text]:
    return [Text(text) for text in texts]


def _migrated(group: Solution) -> str:
    seconds = None if group.plan is None else group.plan.seconds
    moved = readable(sum(migration.memory for migration in group.migrations))
    return moved if seconds is None else f"{moved}, {lasting(seconds)}"


def _steps(plan: MigrationPlan | None, unordered: int, reason: str = "") -> str:
    if plan is None or not plan.steps:
        return reason or ("unordered" if unordered else "0")
    exposed = len(plan.exposed)
    return f"{len(plan.steps)}" + (f" (unsafe after {exposed})" if exposed else "")


def _undrained(found: RollingDrain, screen: Screen) -> Iterator[Text]:
    lines = (f"{node}: {why}" for node, why in found.undrained.items())
    yield from screen.section("Not in any group", lines, len(found.undrained))


_FEW_STEPS, _FEW_VMS = 3, 4
_ANY_OUT = " while any of these nodes is out"


def order_lines(
    plan: MigrationPlan, screen: Screen, drained: Sequence[str] = (), switched_off: Sequence[str] = ()
) -> Iterator[str]:
    """How many steps there are, after which of them the guarantee holds, and which VMs are unprotected after the others.

    Parameters
    ----------
    drained
        Nodes that the steps empty, and that could still take restarts; the steps count none there.
    switched_off
        Nodes that are not needed once all is done.
    """
    if not plan.steps:
        return
    best = " (proved: no order is better)" if plan.status is Status.OPTIMAL and (plan.extra or plan.exposed) else ""
    time = "" if plan.seconds is None else f", about {lasting(plan.seconds)} of migration"
    yield f"In order: {counted(len(plan.steps), 'step')}{time}{_holds(plan, screen)}{best}"
    if drained and plan.exposed:
        yield _closed(screen.few(drained, _FEW_VMS), "the first", "it still takes" if len(drained) == 1 else "they still take")
    if switched_off:
        off = screen.few(switched_off, _FEW_VMS)
        yield f"Then switch off {off}. The verdict after the last step counts no restarts there."
    if plan.stopovers:
        yield f"VMs that migrate more than once, to make way ({readable(plan.extra)} more): {screen.few(plan.stopovers)}"
    # What the last step leaves is what the placement leaves, and told with it.
    suspended = [step for step in plan.steps[:-1] if step.suspended and step.worst]
    lines = (f"after step {step.number}: {_lost(step.worst, 'then', screen)}" for step in suspended)
    yield from screen.listed(lines, len(suspended), _FEW_STEPS)


def _closed(nodes: str, step: str, takes: str) -> str:
    """What steps that empty nodes assume of these."""
    return (
        f"From {step} step on, restarts on {nodes} are not counted, as in maintenance mode. "
        f"More failures may be survived while {takes} restarts."
    )


def _holds(plan: MigrationPlan, screen: Screen) -> str:
    """After which steps the guarantee holds."""
    exposed = _runs(plan.exposed)
    if all(step.guarantee is None for step in plan.steps):
        return "; no guarantee is asked for (failures: 0)"
    if not exposed:
        return ", safe after every step"
    if len(plan.exposed) < len(plan.steps):
        return f", safe after every step except {screen.few(exposed)}"
    unsafe = all(step.guarantee is Status.UNSAFE for step in plan.steps)
    holds = "does not hold" if unsafe else "is not known to hold"
    return f". The guarantee {holds} after {'any of them' if len(plan.exposed) > 1 else 'it'}"


def _runs(numbers: Sequence[int]) -> list[str]:
    """Numbers in words, those that follow each other as one: ``4 to 75``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return [" to ".join(map(str, run)) for run in runs]
