"""Terminal report of `admit`: where a VM may start or why not, what must migrate first, and every node if asked."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vmplace.admission.results import Admission, Candidate, Candidates
from vmplace.model.text import counted, readable
from vmplace.report.tables import FEW, Column, Screen
from vmplace.results.values import Migration, Status

__all__ = ["admission_report", "room_hint"]

_STYLE = {Status.ADMITTED: "green", Status.REFUSED: "bold red", Status.UNKNOWN: "yellow"}


def room_hint(barred: str) -> str:
    """Whether migrations may help, which were not tried; `barred`: what keeps the VM off every node."""
    return (
        f"Migrations cannot help: {barred}." if barred else "With --make-room, other VMs may migrate first so that it can start."
    )


def admission_report(found: tuple[Admission, int, Candidates | None, str], screen: Screen) -> RenderableType:
    """The answer for one VM of some MiB; with every node, if asked for; and a hint of what else may be tried."""
    admission, memory, nodes, hint = found
    parts: list[RenderableType] = [_verdict(admission, memory, screen)]
    if hint:
        parts.append(Text(screen.clean(hint)))
    if admission.migrations:
        parts.append(_migrations(admission.migrations, screen))
        more = len(admission.migrations) - FEW
        if more > 0 and not screen.everything:
            parts.append(Text(f"  {screen.omitted(f'{more} more')}"))
    parts += () if nodes is None else _nodes(nodes, screen)
    return Group(*parts, *screen.section("Warnings", admission.warnings, len(admission.warnings)))


def _verdict(found: Admission, memory: int, screen: Screen) -> Text:
    line = Text.assemble((found.status.value.upper(), _STYLE[found.status]), ": ")
    if not found.admitted:
        return line.append(screen.clean(found.reason))
    line.append(screen.clean(f"{found.vm} ({readable(memory)}) may start on {found.node}"))
    if found.migrations:
        moved = sum(migration.memory for migration in found.migrations)
        one = len(found.migrations) == 1
        line.append(f" after {counted(len(found.migrations), 'VM')} ({readable(moved)}) {'has' if one else 'have'} migrated:")
    return line


def _migrations(moved: tuple[Migration, ...], screen: Screen) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify)
    for migration in moved if screen.everything else moved[:FEW]:
        way = f"{migration.source} -> {migration.destination}"
        table.add_row(*map(Text, (f"  {screen.clean(migration.vm)}", readable(migration.memory), screen.clean(way))))
    return table


def _nodes(nodes: Candidates, screen: Screen) -> Iterator[RenderableType]:
    """The nodes, best first, refused ones last."""
    ranked = sorted(nodes, key=_rank)
    shown = ranked if screen.everything else ranked[: 2 * FEW]
    yield screen.table(
        [
            Column("Node", [Text(screen.clean(node.node)) for node in shown], folds=12),
            Column("Verdict", [Text(node.status.value, _STYLE[node.status]) for node in shown]),
            Column(
                "Score (lower is better)",
                [Text("" if node.score is None else f"{node.score:.10g}") for node in shown],
                justify="right",
            ),
            Column("Why", [Text(screen.clean(node.reason)) for node in shown], folds=20),
        ]
    )
    if len(shown) < len(ranked):
        yield Text(screen.omitted(f"{len(ranked) - len(shown)} more"))


def _rank(node: Candidate) -> tuple[bool, bool, int, float]:
    return node.status is Status.REFUSED, node.score is None, node.penalty, node.score or 0
