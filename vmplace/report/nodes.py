"""The table of nodes on a terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.model.text import counted, readable
from vmplace.report.tables import STYLE, Column, Screen
from vmplace.results.nodes import NodeRow
from vmplace.results.placement import Report
from vmplace.results.values import Status

__all__ = ["node_table"]

_MANY_NODES = 40
_WORST_NODES = 20
_BAR = 20
_LEAST_NAME, _LEAST_FATE = 8, 13
_DISPENSABLE = ("Overhead", "Load", "Usable", "VMs", "Used", "Pool", "State", "Free")
"""Columns that may be dropped, the least important first."""

_FATE = {"node": "If it fails", "domain": "If its domain fails"}
_MARK: dict[Status, tuple[str, str]] = {Status.SAFE: ("✓", "ok"), Status.UNSAFE: ("✗", "NO"), Status.UNKNOWN: ("?", "?")}


def node_table(found: Report, screen: Screen) -> RenderableType:
    """The table; of very many nodes, only the worst, with a count of the others."""
    rows: Sequence[NodeRow] = found.nodes
    hidden: list[Text] = []
    if len(rows) > _MANY_NODES and not screen.everything:
        ranked = sorted(rows, key=_worst_first)
        rows = ranked[:_WORST_NODES]
        hidden.append(_hidden(found, ranked[_WORST_NODES:], screen))
    return Group(screen.table(_columns(found, rows, screen), _DISPENSABLE), *hidden, Text())


def _worst_first(row: NodeRow) -> tuple[int, float]:
    """Nodes that cannot be lost, then those undecided, then the fullest."""
    return {Status.UNSAFE: 0, Status.UNKNOWN: 1}.get(row.status or Status.SAFE, 2), -row.share


def _foretold(found: Report) -> bool:
    """Whether a guarantee is about failures of one node or one domain, so that each node has its own scenario."""
    return any(asked.failures == 1 for asked in found.cluster.guarantees) and bool(found.scenarios)


def _columns(found: Report, rows: Sequence[NodeRow], screen: Screen) -> list[Column]:
    """The columns for these nodes; states and pools only where they vary."""
    columns = [Column("Node", [Text(screen.clean(row.name)) for row in rows], most=max(_LEAST_NAME, screen.console.width // 3))]
    if len({row.state for row in found.nodes}) > 1:
        columns.append(Column("State", [Text(screen.clean(row.state)) for row in rows]))
    if len({row.pool for row in found.nodes}) > 1:
        columns.append(Column("Pool", [Text(screen.clean(row.pool)) for row in rows]))
    columns.append(Column("Load", [_bar(row, screen) for row in rows]))
    figures = [(readable(row.used), readable(row.usable), readable(row.free), f"{row.share:.1%}", str(row.vms)) for row in rows]
    for position, title in enumerate(("Used", "Usable", "Free", "Share", "VMs")):
        columns.append(Column(title, [Text(texts[position]) for texts in figures], "right"))
    if any(row.overhead for row in found.nodes):
        columns.insert(-4, Column("Overhead", [Text(readable(row.overhead)) for row in rows], "right"))
    if _foretold(found):
        fates = [_fate(found, row, screen) for row in rows]
        columns.append(Column(_FATE[found.cluster.guarantee.scope], fates, folds=_LEAST_FATE))
    return columns


def _bar(row: NodeRow, screen: Screen) -> Text:
    full = min(_BAR, round(row.share * _BAR))
    bar = screen.choose(("█", "#")) * full + screen.choose(("░", ".")) * (_BAR - full)
    return Text(bar, style="red" if row.share > 1 else STYLE[row.status or Status.SAFE])


def _fate(found: Report, row: NodeRow, screen: Screen) -> Text:
    if row.status is None:
        return Text("-")
    if row.status is Status.SAFE:
        words = "all restart" if row.displaced else "nothing to restart"
    elif row.status is Status.UNSAFE:
        words = f"{counted(row.lost, 'VM')} {_lose(found, row.lost)} not restart" if row.lost else "not survived"
    else:
        words = "undecided"
    return Text(f"{screen.choose(_MARK[row.status])} {words}", style=STYLE[row.status])


def _lose(found: Report, lost: int) -> str:
    """In any order, a VM that can be stranded need not be, and not all at once."""
    if any(asked.any_order for asked in found.cluster.guarantees):
        return "may"
    return "does" if lost == 1 else "do"


def _hidden(found: Report, rows: Sequence[NodeRow], screen: Screen) -> Text:
    statuses = Counter(row.status for row in rows)
    unsafe, unknown = statuses[Status.UNSAFE], statuses[Status.UNKNOWN]
    if unsafe or unknown:
        words = f", {unsafe} not survivable, {unknown} undecided"
    else:
        words = ", all survivable" if _foretold(found) else ""
    return Text(screen.omitted(counted(len(rows), "more node") + words))
