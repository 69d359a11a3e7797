"""The table of nodes: what each has, what takes it, and what comes of its failure."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vmplace.columns import IntArray
from vmplace.results import Report, Solution, Status
from vmplace.screen import ELLIPSIS, ENDLESS, STYLE, Screen, counted, readable

__all__ = ["Figures", "node_table"]

_MANY_NODES = 40
_WORST_NODES = 20
_BAR = 20
_LEAST_NAME, _LEAST_FATE, _BETWEEN = 8, 13, 3
_FATE = "If it fails"
_MARK: dict[Status, tuple[str, str]] = {Status.SAFE: ("✓", "ok"), Status.UNSAFE: ("✗", "NO"), Status.UNKNOWN: ("?", "?")}


@frozen(eq=False)
class Figures:
    """A placement in figures: per node, and which VMs waited before it."""

    found: Report | Solution
    names: Sequence[str]
    vm_names: Sequence[str]
    memory: IntArray
    node_of: IntArray
    waited: npt.NDArray[np.bool_]
    usable: IntArray
    load: IntArray
    hosted: IntArray

    @classmethod
    def of(cls, found: Report | Solution) -> "Figures":
        nodes, vms, node_of = found.cluster.node_columns, found.cluster.vm_columns, found.node_of
        assert node_of is not None
        waited, stopped = _idle(found)
        charged = (node_of >= 0) & ~stopped
        load = np.zeros(len(nodes), dtype=np.int64)
        np.add.at(load, node_of[charged], vms.memory[charged])
        hosted = np.bincount(node_of[charged], minlength=len(nodes))
        return cls(found, nodes.names, vms.names, vms.memory, node_of, waited, nodes.usable, load, hosted)

    @cached_property
    def states(self) -> Sequence[str]:
        return self.found.cluster.node_columns.state

    @cached_property
    def pools(self) -> Sequence[str]:
        return self.found.cluster.node_columns.pool

    @cached_property
    def lost(self) -> dict[str, int]:
        """How many VMs each failure leaves without a restart."""
        return {loss.scenario: len(loss.vms) for loss in self.found.unprotected}

    def share(self, node: int) -> float:
        return float(self.load[node] / self.usable[node])

    def status(self, node: int) -> Status | None:
        """What comes of its failure; None if that is no scenario."""
        scenario = self.found.scenarios.get(self.names[node])
        return None if scenario is None else scenario.status

    def figures(self, node: int) -> tuple[str, ...]:
        used, usable = int(self.load[node]), int(self.usable[node])
        return readable(used), readable(usable), readable(usable - used), f"{self.share(node):.1%}", str(self.hosted[node])

    def started(self) -> list[int]:
        """The VMs that waited and have a node now."""
        started: list[int] = np.flatnonzero(self.waited & (self.node_of >= 0)).tolist()
        return started

    def host(self, vm: int) -> str:
        return self.names[int(self.node_of[vm])]

    def worst_first(self) -> list[int]:
        """Nodes that cannot be lost, then those undecided, then the fullest."""
        rank = {Status.UNSAFE: 0, Status.UNKNOWN: 1}
        return sorted(range(len(self.names)), key=lambda node: (rank.get(self.status(node), 2), -self.share(node)))  # type: ignore[arg-type]


def _idle(found: Report | Solution) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which VMs of the cluster wait, and which are stopped on their node."""
    nodes, vms = found.cluster.node_columns, found.cluster.vm_columns
    # The last entry is for index -1.
    waited = np.append(nodes.state.are("offline"), True)[vms.node]
    return waited, ~waited & ~vms.running


def node_table(found: Report, screen: Screen) -> RenderableType:
    """The table; of very many nodes, the worst and a count of the others."""
    view = Figures.of(found)
    shown = list(range(len(view.names)))
    if len(shown) > _MANY_NODES and not screen.everything:
        shown = view.worst_first()[:_WORST_NODES]
    columns = _that_fit(_columns(view, shown, screen), screen.console.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            column.title,
            justify=column.justify,
            max_width=column.most,
            no_wrap=column.title != _FATE,
            overflow="crop" if screen.ascii else "ellipsis",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    hidden = [] if len(shown) == len(view.names) else [_hidden(view, set(range(len(view.names))) - set(shown), screen)]
    return Group(table, *hidden, Text())


@frozen
class _Column:
    """A column of the table; it can be shown in `least` cells, and takes up to `most`."""

    title: str
    cells: list[Text]
    justify: Literal["left", "right"] = "left"
    most: int | None = None

    @property
    def least(self) -> int:
        """How wide it must be: the fate wraps, the others are shown whole."""
        if self.title == _FATE:
            return _LEAST_FATE
        whole = max([len(self.title), *(cell.cell_len for cell in self.cells)])
        return whole if self.most is None else min(whole, self.most)


def _columns(view: Figures, nodes: Sequence[int], screen: Screen) -> list[_Column]:
    """What there is to say of these nodes; states and pools where they vary."""
    names, states, pools = (
        [Text(screen.clean(column[node])) for node in nodes] for column in (view.names, view.states, view.pools)
    )
    columns = [_Column("Node", names, most=max(_LEAST_NAME, screen.console.width // 3))]
    if len(set(view.states)) > 1:
        columns.append(_Column("State", states))
    if len(set(view.pools)) > 1:
        columns.append(_Column("Pool", pools))
    columns.append(_Column("Load", [_bar(view, node, screen) for node in nodes]))
    figures = [view.figures(node) for node in nodes]
    for position, title in enumerate(("Used", "Usable", "Free", "Share", "VMs")):
        columns.append(_Column(title, [Text(row[position]) for row in figures], "right"))
    if view.found.scenarios:
        columns.append(_Column(_FATE, [_fate(view, node, screen) for node in nodes]))
    return columns


def _that_fit(columns: list[_Column], width: int) -> list[_Column]:
    """The columns without those that matter least, as far as there is no room for all."""
    for title in ("Load", "Usable", "VMs", "Used", "Pool", "State", "Free"):
        if width == ENDLESS or sum(column.least + _BETWEEN for column in columns) - _BETWEEN <= width:
            break
        columns = [column for column in columns if column.title != title]
    return columns


def _bar(view: Figures, node: int, screen: Screen) -> Text:
    share = view.share(node)
    full = min(_BAR, round(share * _BAR))
    bar = screen.choose(("█", "#")) * full + screen.choose(("░", ".")) * (_BAR - full)
    return Text(bar, style="red" if share > 1 else STYLE[view.status(node) or Status.SAFE])


def _fate(view: Figures, node: int, screen: Screen) -> Text:
    status = view.status(node)
    if status is None:
        return Text("-")
    if status is Status.SAFE:
        words = "all restart" if view.found.scenarios[view.names[node]].displaced else "nothing to restart"
    elif status is Status.UNSAFE:
        lost = view.lost.get(view.names[node], 0)
        words = f"{counted(lost, 'VM')} {'does' if lost == 1 else 'do'} not restart" if lost else "not survived"
    else:
        words = "undecided"
    return Text(f"{screen.choose(_MARK[status])} {words}", style=STYLE[status])


def _hidden(view: Figures, nodes: set[int], screen: Screen) -> Text:
    statuses = Counter(view.status(node) for node in nodes)
    unsafe, unknown = statuses[Status.UNSAFE], statuses[Status.UNKNOWN]
    if unsafe or unknown:
        words = f", {unsafe} not survivable, {unknown} undecided"
    else:
        words = ", all survivable" if view.found.scenarios else ""
    return Text(f"{screen.choose(ELLIPSIS)} {counted(len(nodes), 'more node')}{words} (--all lists them)")
