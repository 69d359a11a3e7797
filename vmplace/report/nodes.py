"""The table of nodes: memory, load, and what the failure of each does."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import frozen
from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.model.columns import IntArray
from vmplace.model.text import counted, readable
from vmplace.report.tables import ELLIPSIS, STYLE, Column, Screen
from vmplace.results.placement import Report, Solution
from vmplace.results.values import Scenario, Status

__all__ = ["Figures", "node_table"]

_MANY_NODES = 40
_WORST_NODES = 20
_BAR = 20
_LEAST_NAME, _LEAST_FATE = 8, 13
_DISPENSABLE = ("Overhead", "Load", "Usable", "VMs", "Used", "Pool", "State", "Free")
"""Columns that may be dropped, the least important first."""

_FATE = {"node": "If it fails", "domain": "If its domain fails"}
_MARK: dict[Status, tuple[str, str]] = {Status.SAFE: ("✓", "ok"), Status.UNSAFE: ("✗", "NO"), Status.UNKNOWN: ("?", "?")}


@frozen(eq=False)
class Figures:
    """A placement in figures per node (a migration under way counts on both of its nodes), and the VMs that waited before it."""

    found: Report | Solution
    names: Sequence[str]
    vm_names: Sequence[str]
    memory: IntArray
    node_of: IntArray
    waited: npt.NDArray[np.bool_]
    usable: IntArray
    load: IntArray
    overhead: IntArray
    hosted: IntArray

    @classmethod
    def of(cls, found: Report | Solution) -> "Figures":
        nodes, vms, node_of = found.cluster.nodes, found.cluster.vms, found.node_of
        assert node_of is not None
        waited = _off(found)[vms.node] & vms.running
        here = (node_of >= 0) & vms.running
        arriving = here & ~waited & ~_off(found)[vms.target] & (vms.target != node_of)
        load, overhead = (
            _sums(node_of[here], amounts[here], len(nodes)) + _sums(vms.target[arriving], amounts[arriving], len(nodes))
            for amounts in (vms.charged, vms.overhead)
        )
        hosted = np.bincount(node_of[here], minlength=len(nodes))
        return cls(found, nodes.names, vms.names, vms.charged, node_of, waited, nodes.usable, load, overhead, hosted)

    @cached_property
    def states(self) -> Sequence[str]:
        return self.found.cluster.nodes.state

    @cached_property
    def pools(self) -> Sequence[str]:
        return self.found.cluster.nodes.pool

    @cached_property
    def domains(self) -> Sequence[str]:
        return self.found.cluster.nodes.domain

    @cached_property
    def lost(self) -> dict[str, int]:
        """How many VMs cannot restart after each failure."""
        lost: Counter[str] = Counter()
        for loss in self.found.unprotected:  # two of one name, where a failure domain spans pools
            lost[loss.scenario] += len(loss.vms)
        return lost

    @property
    def foretold(self) -> bool:
        """Whether each failure is of one node or of one domain, so that each node has its own scenario."""
        return self.found.cluster.guarantee.failures == 1 and bool(self.found.scenarios)

    def scenario(self, node: int) -> Scenario | None:
        """The scenario of a node or its domain; None if there is none, or if several fail at once."""
        return self.found.scenarios.get(self.unit(node)) if self.foretold else None

    def unit(self, node: int) -> str:
        """The name of what fails with a node: itself or its failure domain; empty if it is offline."""
        columns = self.found.cluster.nodes
        if columns.state[node] == "offline":
            return ""
        return (self.domains[node] if self.found.cluster.guarantee.scope == "domain" else "") or self.names[node]

    def share(self, node: int) -> float:
        return float(self.load[node] / self.usable[node])

    def status(self, node: int) -> Status | None:
        """The verdict on its failure; None if it is not a scenario."""
        scenario = self.scenario(node)
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


def _sums(nodes: IntArray, amounts: IntArray, count: int) -> IntArray:
    total = np.zeros(count, dtype=np.int64)
    np.add.at(total, nodes, amounts)
    return total


def _off(found: Report | Solution) -> npt.NDArray[np.bool_]:
    """Which nodes are offline; index -1, no node, reaches the last entry."""
    return np.append(found.cluster.nodes.state.are("offline"), True)


def node_table(found: Report, screen: Screen) -> RenderableType:
    """The table; of very many nodes, only the worst, with a count of the others."""
    view = Figures.of(found)
    shown = list(range(len(view.names)))
    if len(shown) > _MANY_NODES and not screen.everything:
        shown = view.worst_first()[:_WORST_NODES]
    table = screen.table(_columns(view, shown, screen), _DISPENSABLE)
    hidden = [] if len(shown) == len(view.names) else [_hidden(view, set(range(len(view.names))) - set(shown), screen)]
    return Group(table, *hidden, Text())


def _columns(view: Figures, nodes: Sequence[int], screen: Screen) -> list[Column]:
    """The columns for these nodes; states and pools only where they vary."""
    names, states, pools = (
        [Text(screen.clean(column[node])) for node in nodes] for column in (view.names, view.states, view.pools)
    )
    columns = [Column("Node", names, most=max(_LEAST_NAME, screen.console.width // 3))]
    if len(set(view.states)) > 1:
        columns.append(Column("State", states))
    if len(set(view.pools)) > 1:
        columns.append(Column("Pool", pools))
    columns.append(Column("Load", [_bar(view, node, screen) for node in nodes]))
    figures = [view.figures(node) for node in nodes]
    for position, title in enumerate(("Used", "Usable", "Free", "Share", "VMs")):
        columns.append(Column(title, [Text(row[position]) for row in figures], "right"))
    if view.overhead.any():
        columns.insert(-4, Column("Overhead", [Text(readable(int(view.overhead[node]))) for node in nodes], "right"))
    if view.foretold:
        fates = [_fate(view, node, screen) for node in nodes]
        columns.append(Column(_FATE[view.found.cluster.guarantee.scope], fates, folds=_LEAST_FATE))
    return columns


def _bar(view: Figures, node: int, screen: Screen) -> Text:
    share = view.share(node)
    full = min(_BAR, round(share * _BAR))
    bar = screen.choose(("█", "#")) * full + screen.choose(("░", ".")) * (_BAR - full)
    return Text(bar, style="red" if share > 1 else STYLE[view.status(node) or Status.SAFE])


def _fate(view: Figures, node: int, screen: Screen) -> Text:
    scenario = view.scenario(node)
    if scenario is None:
        return Text("-")
    status = scenario.status
    if status is Status.SAFE:
        words = "all restart" if scenario.displaced else "nothing to restart"
    elif status is Status.UNSAFE:
        lost = view.lost.get(view.unit(node), 0)
        words = f"{counted(lost, 'VM')} {_lose(view, lost)} not restart" if lost else "not survived"
    else:
        words = "undecided"
    return Text(f"{screen.choose(_MARK[status])} {words}", style=STYLE[status])


def _lose(view: Figures, lost: int) -> str:
    """In any order, a VM that can be stranded need not be, and not all at once."""
    asked = view.found.cluster.guarantee
    if asked.restart == "any-order" and asked.policy is None:
        return "may"
    return "does" if lost == 1 else "do"


def _hidden(view: Figures, nodes: set[int], screen: Screen) -> Text:
    statuses = Counter(view.status(node) for node in nodes)
    unsafe, unknown = statuses[Status.UNSAFE], statuses[Status.UNKNOWN]
    if unsafe or unknown:
        words = f", {unsafe} not survivable, {unknown} undecided"
    else:
        words = ", all survivable" if view.foretold else ""
    return Text(f"{screen.choose(ELLIPSIS)} {counted(len(nodes), 'more node')}{words} (--all lists them)")
