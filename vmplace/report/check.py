"""Terminal reports of `check`, `show`, `place`, `repair` and `audit`: the verdict, its reasons and the migrations."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vmplace.model.text import counted, readable
from vmplace.report.drain import order_lines
from vmplace.report.nodes import node_table
from vmplace.report.soft_rules import broken_rule_line
from vmplace.report.tables import FEW, STYLE, Column, Screen
from vmplace.results.placement import Report, Solution, Value
from vmplace.results.values import Migration, Start, Status, Unprotected, Violation

__all__ = ["Draw", "node_report", "report", "solution_report", "value_text", "violation_text"]

Draw = Callable[[Any, Screen], RenderableType]
"""Makes a report of a result."""


def value_text(objective: str, value: Value | float) -> str:
    """The value of an objective in its own unit."""
    if objective == "balance":
        return f"{float(value):.1%}"
    if objective == "moves":
        return readable(round(value))
    if objective == "rules":
        return str(round(value))
    return counted(round(value), "node")


def node_report(found: Report, screen: Screen) -> RenderableType:
    """A table of nodes, and the report below it."""
    return Group(node_table(found, screen), report(found, screen))


def report(found: Report, screen: Screen) -> RenderableType:
    """The verdict and its reasons, and the comparison with other policies if asked for."""
    if found.guarantees:
        each = (
            Text(f"guarantee {number}: ").append(_verdict(part, screen)).append(_meant(part))
            for number, part in enumerate(found.guarantees, 1)
        )
        return Group(_of_all(found), *each, *_grounds(found, screen))
    first = _verdict(found, screen).append(_meant(found))
    return Group(first, *_outlook(found, screen), *_grounds(found, screen), *_compared(found, screen))


def solution_report(found: Solution, screen: Screen) -> RenderableType:
    """The placement: its verdict, its objective values and its migrations."""
    if found.placement is None:
        word, style = found.status.value.upper(), STYLE[found.guarantee]
        reason = found.reason or "no placement was found"
        line = Text.assemble((word, style), f": {screen.clean(reason)}")
        return Group(line, *_obstacles(found, screen), *_grounds(found, screen))
    return Group(
        *(_apart(found, screen) if found.unsolved else (_verdict(found, screen),)),
        *(Text(line) for line in _chosen(found, screen)),
        *_changes(found, screen),
        *(Text(line) for line in (() if found.plan is None else order_lines(found.plan, screen, _open(found)))),
        *_grounds(found, screen),
    )


def _open(found: Solution) -> list[str]:
    """The drained nodes that take restarts as the cluster stands."""
    if not found.drained:
        return []
    nodes = found.cluster.nodes
    online = {name for name, state in zip(nodes.names, nodes.state, strict=True) if state == "online"}
    return [name for name in found.drained if name in online]


def _apart(found: Solution, screen: Screen) -> Iterator[Text]:
    """Which pools have no placement and why, and what was done in the others."""
    yield Text.assemble((found.status.value.upper(), STYLE[found.guarantee]), f": {screen.clean(found.reason)}")
    done = [f"{pool} ({status.value})" for pool, status in found.pools.items() if pool not in found.unsolved]
    noun = "pool" if len(found.unsolved) == 1 else "pools"
    left = f"VMs of {noun} {screen.few(list(found.unsolved))} stay as they are"
    yield Text(f"The other pools are done: {screen.few(done)}; {left}.")


def _verdict(found: Report | Solution, screen: Screen) -> Text:
    verdict = found.guarantee
    line = Text.assemble((verdict.value.upper(), STYLE[verdict]), ": ")
    if verdict is Status.SAFE:
        return line.append(_promise(found))
    if suspended := _suspended(found):
        return line.append(screen.clean(suspended))
    if verdict is Status.UNSAFE:
        return line.append(screen.clean(_blame(found)))
    return line.append(_doubt(found))


def _suspended(found: Report | Solution) -> str:
    return found.suspended if isinstance(found, Solution) else ""


def _obstacles(found: Solution, screen: Screen) -> Iterator[Text]:
    """What keeps VMs on nodes that were to be emptied, where there is more of it than the verdict has said."""
    lines = (f"{blocker.reason}: {blocker.remedy}" for blocker in found.blockers)
    yield from screen.section("In the way, and what would help", lines, len(found.blockers))


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


def _in_turn(found: Report | Solution) -> bool:
    return found.cluster.guarantee.failures > 1 and found.cluster.guarantee.sequence == "sequential"


def _together(found: Report | Solution) -> str:
    if found.cluster.guarantee.failures == 1:
        return ""
    return " one after the other" if _in_turn(found) else " at once"


def _manner(found: Report | Solution) -> str:
    """How restarts are assumed to happen, unless planned."""
    asked = found.cluster.guarantee
    if asked.policy is not None:
        return f", as the platform chooses nodes ({asked.policy}, {asked.order or 'as-listed'})"
    return ", in any order and on any node with room" if asked.restart == "any-order" else ""


def _of_all(found: Report) -> Text:
    """The verdict on several guarantees."""
    kept = sum(part.guarantee is Status.SAFE for part in found.guarantees)
    line = Text.assemble((found.guarantee.value.upper(), STYLE[found.guarantee]), ": ")
    return line.append(f"{kept} of {len(found.guarantees)} guarantees hold")


def _meant(found: Report) -> str:
    """Which restarts a verdict is about, where it does not say so itself."""
    asked = found.cluster.guarantee
    if not asked.failures:
        return ""
    if asked.policy is None and asked.restart == "planned":
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
        verb = "fail" if "+" in other.scenario else "fails"
        shown = (
            f"{other.scenario}: {other.reason}"
            if screen.everything
            else f"For example, if {other.scenario} {verb} (--all tells how)."
        )
        yield Text(screen.clean(f"In any order of restarts: no. {shown}"))
        yield Text("No action is needed where the HA manager restarts VMs by the plans.")
    else:
        yield Text("In any order of restarts: not decided in time.")


def _doubt(found: Report | Solution) -> str:
    """What is undecided, and why."""
    if undecided := _failures(found, Status.UNKNOWN):
        # In turn and in any order some are left open by the method, not by the clock.
        late = "" if _in_turn(found) and found.cluster.guarantee.restart == "any-order" else " in time"
        return f"{_of_failures(undecided, found)} not decided{late}"
    if _in_turn(found):
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
    return ", ".join(counts) or f"some {_units(found)} cannot fail one after the other, with any failover plans"


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
    """That there are not even as many units as are to fail."""
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


def _grounds(found: Report | Solution, screen: Screen) -> Iterator[Text]:
    if len(found.pools) > 1:
        yield Text(screen.clean("Pools: " + ", ".join(f"{pool} {status}" for pool, status in found.pools.items())))
    out = _drained_of(found)
    meanwhile = f" while {screen.few(out)} {'is' if len(out) == 1 else 'are'} out" if out else ""
    if not _one_flaw(found) or _suspended(found):
        asked = found.cluster.guarantee
        fate = "that may not restart" if asked.restart == "any-order" and not asked.policy else "cannot restart"
        losses = (_lost_vms(loss, screen, fate) for loss in found.unprotected)
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


def _lost_vms(loss: Unprotected, screen: Screen, fate: str) -> str:
    if not loss.vms:
        return _loss(loss)
    doubt = "" if loss.minimal else " (perhaps fewer)"
    return f"{_loss(loss)} [{counted(len(loss.vms), 'VM')} {fate}{doubt}: {screen.few(loss.vms)}]"


def _compared(found: Report, screen: Screen) -> Iterator[RenderableType]:
    """A table of each policy's verdict, and whether it is wrong; long words fold on narrow terminals."""
    if not found.comparison:
        return
    yield Text()
    roomy = screen.console.width >= _ROOMY

    def column(title: str, texts: Iterable[str], folds: int, style: str = "") -> Column:
        cells = [Text(screen.clean(text), style=style) for text in texts]
        return Column(title, cells, most=None if roomy or title == "Why" else folds, folds=folds)

    rows = found.comparison
    columns = (
        column("Policy", (row.policy for row in rows), 10),
        column("Who", (row.source for row in rows), 9),
        Column("Says", [Text(row.says.value, style=STYLE[row.says]) for row in rows]),
        column("Wrong", (row.wrong for row in rows), 6, STYLE[Status.UNSAFE]),
        column("Why", (row.reason for row in rows), 16),
    )
    yield screen.table(columns, ("Who", "Why"))
    yield Text(_COMPARED)


_ROOMY = 110
"""Width from which reasons fit beside all other columns."""

_COMPARED = (
    "A policy whose verdict differs from the first row is wrong. "
    "Of these policies, only first-fit and worst-fit regard rules and resources other than memory."
)


def _chosen(found: Solution, screen: Screen) -> Iterator[str]:
    """The objectives with value and proof, and the nodes that stay on."""
    for name, value, bound in _objectives(found):
        yield f"{name}: {_MEANING[name].format(value_text(name, value))}{_proof(name, value, bound)}"
    if found.reason and not found.unsolved:
        yield screen.clean(found.reason)
    if found.powered:
        total = counted(len(found.cluster.nodes), "node")
        yield f"Stay powered on ({len(found.powered)} of {total}): {screen.few(found.powered)}"
    if found.drained:
        yield f"Drained: {screen.few(found.drained)}"
    yield screen.clean(f"Method: {found.method}")


_MEANING = {
    "balance": "the fullest online node is {} full",
    "moves": "{} migrated",
    "consolidate": "{} must stay powered on",
    "rules": "what soft rules cost is {}",
}


def _objectives(found: Solution) -> Iterator[tuple[str, Value, Value | None]]:
    names, values, bounds = map(_each, (found.objective_name, found.objective, found.bound))
    for name, value, bound in zip_longest(names, values, bounds):
        if value is not None:
            yield name, value, bound


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _proof(name: str, value: Value, bound: Value | None) -> str:
    if bound is None:
        return " (no bound)"
    if value == bound:
        return " (proved: less is impossible)"
    gap = f", gap {abs(float(value) - float(bound)) / float(value):.1%}" if value else ""
    return f" (bound {value_text(name, bound)}{gap})"


def _changes(found: Solution, screen: Screen) -> Iterator[RenderableType]:
    """The VMs that migrate or start."""
    moved, started = found.migrations, found.starts
    count = len(moved) + len(started)
    if not count:
        yield Text("Nothing migrates.")
        return
    yield Text(", ".join(_counts(moved, len(started))) + ":")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    rows = chain(map(_migration, moved), map(_start, started))
    most = count if screen.everything else FEW
    for vm, memory, way, step in islice(rows, most):
        table.add_row(*map(Text, (f"  {screen.clean(vm)}", readable(memory), screen.clean(way), step)))
    yield table
    if count > most:
        yield Text(f"  {screen.omitted(f'{count - most} more')}")


def _counts(moved: Sequence[Migration], started: int) -> Iterator[str]:
    live, cold = ([m for m in moved if m.cold is kind] for kind in (False, True))
    if live:
        yield f"{counted(len(live), 'migration')} ({readable(sum(m.memory for m in live))})"
    if cold:
        yield f"{counted(len(cold), 'VM')} stopped and started elsewhere ({readable(sum(m.memory for m in cold))})"
    if started:
        yield f"{counted(started, 'VM')} started"


_Row = tuple[str, int, str, str]
"""A VM, its memory, its way and the step of a migration."""


def _migration(moved: Migration) -> _Row:
    step = "" if moved.step is None else f"step {moved.step}"
    down = "down, " if moved.cold and step else "down" if moved.cold else ""
    return moved.vm, moved.memory, f"{moved.source} -> {moved.destination}", f"{down}{step}"


def _start(started: Start) -> _Row:
    return started.vm, started.memory, f"starts on {started.node}", ""
