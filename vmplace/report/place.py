"""Terminal reports of `place`, `repair` and `drain`: the verdict on the placement, its objectives and the migrations."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vmplace.model.text import counted, readable
from vmplace.report.check import grounds, left_out, verdicts
from vmplace.report.drain import order_lines
from vmplace.report.tables import FEW, STYLE, Screen
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Solution, Value
from vmplace.results.values import Migration, Start, Stop

__all__ = ["solution_report", "value_text"]


def value_text(objective: str, value: Value | float) -> str:
    """The value of an objective in its own unit."""
    if objective == "balance":
        return f"{float(value):.1%}"
    if objective == "moves":
        return readable(round(value))
    if objective == "rules":
        return str(round(value))
    return counted(round(value), "node")


def solution_report(found: Solution, screen: Screen) -> RenderableType:
    """The placement: its verdict, its objective values and its migrations."""
    if found.placement is None:
        word, style = found.status.value.upper(), STYLE[found.guarantee]
        reason = found.reason or "no placement was found"
        line = Text.assemble((word, style), f": {screen.clean(reason)}")
        return Group(line, *_obstacles(found, screen), *grounds(found, screen))
    return Group(
        *(_apart(found, screen) if found.unsolved else verdicts(found, screen)),
        *(Text(line) for line in _chosen(found, screen)),
        *_changes(found, screen),
        *(Text(line) for line in (() if found.plan is None else _order(found, found.plan, screen))),
        *grounds(found, screen),
        *left_out(found, screen),
    )


def _order(found: Solution, plan: MigrationPlan, screen: Screen) -> Iterator[str]:
    """The order of the migrations, with what it assumes of nodes that are drained, or switched off when all is done."""
    state = dict(zip(found.cluster.nodes.names, found.cluster.nodes.state, strict=True)) if found.drained or found.powered else {}
    off = [name for name, now in state.items() if now != "offline" and name not in {*found.powered, *found.drained}]
    still_open = [name for name in found.drained if state[name] == "online"]
    return order_lines(plan, screen, still_open, off if found.powered else ())


def _apart(found: Solution, screen: Screen) -> Iterator[Text]:
    """Which pools have no placement and why, and what was done in the others."""
    yield Text.assemble((found.status.value.upper(), STYLE[found.guarantee]), f": {screen.clean(found.reason)}")
    done = [f"{pool} ({status.value})" for pool, status in found.pools.items() if pool not in found.unsolved]
    noun = "pool" if len(found.unsolved) == 1 else "pools"
    left = f"VMs of {noun} {screen.few(list(found.unsolved))} stay as they are"
    yield Text(f"The other pools are done: {screen.few(done)}; {left}.")


def _obstacles(found: Solution, screen: Screen) -> Iterator[Text]:
    """What keeps VMs on nodes that were to be emptied, where there is more of it than the verdict has said."""
    lines = (f"{blocker.reason}: {blocker.remedy}" for blocker in found.blockers)
    yield from screen.section("In the way, and what would help", lines, len(found.blockers))


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
    "rules": "broken soft rules cost {}",
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
    count = len(moved) + len(started) + len(found.stopped)
    if not count:
        yield Text("Nothing migrates.")
        return
    if found.stopped:
        proof = "proved: fewer are not enough" if found.stats.get("stops_proved") else "perhaps fewer are enough"
        noun = "VM" if len(found.stopped) == 1 else "VMs"
        yield Text(f"The other nodes have no room for all: {len(found.stopped)} evictable {noun} must stop meanwhile ({proof}).")
    yield Text(", ".join(_counts(moved, len(started), found.stopped)) + ":")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    when = {} if found.plan is None else {stop.vm: f"step {step.number}" for step in found.plan.steps for stop in step.stops}
    stops = ((stop.vm, stop.memory, f"stops on {stop.node}", when.get(stop.vm, "")) for stop in found.stopped)
    rows = chain(stops, map(_migration, moved), map(_start, started))
    most = count if screen.everything else FEW
    for vm, memory, way, step in islice(rows, most):
        table.add_row(*map(Text, (f"  {screen.clean(vm)}", readable(memory), screen.clean(way), step)))
    yield table
    if count > most:
        yield Text(f"  {screen.omitted(f'{count - most} more')}")


def _counts(moved: Sequence[Migration], started: int, stopped: Sequence[Stop] = ()) -> Iterator[str]:
    live, cold = ([m for m in moved if m.cold is kind] for kind in (False, True))
    if stopped:
        yield f"{counted(len(stopped), 'VM')} stopped ({readable(sum(stop.memory for stop in stopped))})"
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
