"""Reports for people: a table of nodes, a verdict, and what there is to know about it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from io import StringIO
from itertools import zip_longest
from typing import Any, Literal, TextIO

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from vmplace.columns import IntArray, NodeColumns, VMColumns
from vmplace.console import printable
from vmplace.results import Report, Solution, Status, Unprotected, Value, Violation

__all__ = ["Draw", "Screen", "node_report", "readable", "report", "solution_report", "value_text", "violation_report"]

_FEW = 12
_MANY_NODES = 40
_WORST_NODES = 20
_ENDLESS = 100_000
_BAR = 20
_ROOM_FOR_BARS, _ROOM_FOR_ALL, _ROOM_FOR_MOST, _ROOM_FOR_WORDS = 100, 75, 55, 14
_ELLIPSIS = ("…", "...")

_STYLE = {Status.SAFE: "green", Status.UNSAFE: "bold red", Status.UNKNOWN: "yellow"}
_MARK: dict[Status, tuple[str, str]] = {Status.SAFE: ("✓", "ok"), Status.UNSAFE: ("✗", "NO"), Status.UNKNOWN: ("?", "?")}


@frozen(eq=False)
class Screen:
    """Where a report is going: how wide, in colour or not, in which characters.

    Parameters
    ----------
    file
        A terminal is asked for its width and colours; anything else gets plain text whose lines are never cut.
    everything
        Whether long lists are given whole.
    """

    file: TextIO
    everything: bool = False
    console: Console = field(init=False)

    @console.default
    def _open(self) -> Console:
        plain = Console(file=_Shadow(self.file), highlight=False, markup=False, emoji=False)
        if plain.is_terminal:
            return plain
        return Console(file=plain.file, highlight=False, markup=False, emoji=False, width=_ENDLESS)

    @property
    def ascii(self) -> bool:
        """Whether only ASCII can be shown."""
        return self.console.options.ascii_only

    def clean(self, text: str) -> str:
        """A name or a message, safe to show."""
        return printable(text, self.console.encoding)

    def choose(self, symbols: tuple[str, str]) -> str:
        """The first of the two, or the second where there is only ASCII."""
        return symbols[self.ascii]

    def few(self, items: Sequence[str], most: int = _FEW) -> str:
        """The items in a line, shortened with a count."""
        shown = items if self.everything else items[:most]
        more = f" and {len(items) - len(shown)} more" if len(shown) < len(items) else ""
        return self.clean(", ".join(shown)) + more

    def render(self, content: RenderableType) -> str:
        """The content as characters for the file."""
        with self.console.capture() as captured:
            self.console.print(content, soft_wrap=not self.console.is_terminal)
        return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


class _Shadow(StringIO):
    """Takes what is meant for a file, and looks like it: rich would write to the file, and end the program if that fails."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._file.isatty()


Draw = Callable[[Any, Screen], RenderableType]
"""Makes a report of a result."""


def readable(mib: int) -> str:
    """Memory as people say it: ``readable(1792) == "1.75 GiB"``."""
    if abs(mib) < 1024:
        return f"{mib} MiB"
    return f"{_two_digits(mib / 1024)} GiB" if abs(mib) < 10 * 1024**2 else f"{_two_digits(mib / 1024**2)} TiB"


def value_text(objective: str, value: Value | float) -> str:
    """The value of an objective in its own unit."""
    if objective == "balance":
        return f"{float(value):.1%}"
    if objective == "moves":
        return readable(round(value))
    return _count(round(value), "node")


def node_report(found: Report, screen: Screen) -> RenderableType:
    """A table of nodes, and the report below it."""
    return Group(_table(found, screen), report(found, screen))


def report(found: Report, screen: Screen) -> RenderableType:
    """The verdict and its grounds."""
    return Group(_verdict(found, screen), *_grounds(found, screen))


def solution_report(found: Solution, screen: Screen) -> RenderableType:
    """What was chosen, how good it is and what it changes."""
    if found.placement is None:
        word, style = found.status.value.upper(), _STYLE[found.guarantee]
        reason = found.reason or "no placement was found"
        return Group(Text.assemble((word, style), f": {screen.clean(reason)}"), *_grounds(found, screen))
    return Group(
        _verdict(found, screen),
        *(Text(line) for line in _chosen(found, screen)),
        *_changes(found, screen),
        *_grounds(found, screen),
    )


def violation_report(violations: Sequence[Violation], screen: Screen) -> RenderableType:
    """What an audit found."""
    if not violations:
        return Text("Nothing is wrong: the placement and its failover plans hold.")
    return Group(*(Text(screen.clean(f"{found.kind}: {_violation(found)}")) for found in violations))


def _verdict(found: Report | Solution, screen: Screen) -> Text:
    verdict = found.guarantee
    line = Text.assemble((verdict.value.upper(), _STYLE[verdict]), ": ")
    if verdict is Status.SAFE:
        return line.append(_promise(found))
    if verdict is Status.UNSAFE:
        return line.append(screen.clean(_blame(found)))
    return line.append(f"{_of_failures(_failures(found, Status.UNKNOWN), len(found.scenarios))} not decided in time")


def _promise(found: Report | Solution) -> str:
    if not found.cluster.guarantee.failures:
        return "every VM that runs fits (failures: 0, so none is to be survived)"
    vms = found.cluster.vms
    whole = isinstance(vms, VMColumns) or all(vm.protected for vm in vms)
    return f"any single node can fail and every {'' if whole else 'protected '}VM restarts"


def _blame(found: Report | Solution) -> str:
    """The one thing that is wrong, or how many of each."""
    if _one_flaw(found):
        return next(iter([*map(_loss, found.unprotected), *map(_violation, found.violations)]))
    counts = []
    if lost := _failures(found, Status.UNSAFE):
        counts.append(f"{_of_failures(lost, len(found.scenarios))} not survived")
    if found.violations:
        counts.append(f"{_count(len(found.violations), 'violation')} now")
    if found.waiting:
        counts.append(f"{_count(len(found.waiting), 'VM')} waiting")
    return ", ".join(counts)


def _one_flaw(found: Report | Solution) -> bool:
    """Whether the verdict can say all: one loss of one VM, or one violation."""
    if found.waiting or len(found.unprotected) + len(found.violations) != 1:
        return False
    return _failures(found, Status.UNSAFE) == len(found.unprotected) and all(len(loss.vms) == 1 for loss in found.unprotected)


def _failures(found: Report | Solution, status: Status) -> int:
    return sum(scenario.status is status for scenario in found.scenarios.values())


def _of_failures(count: int, total: int) -> str:
    return f"{count} of {_count(total, 'single failure')} {'is' if count == 1 else 'are'}"


def _loss(loss: Unprotected) -> str:
    return f"{loss.scenario}: {loss.reason}"


def _violation(violation: Violation) -> str:
    return violation.message if violation.subject in violation.message else f"{violation.subject}: {violation.message}"


def _grounds(found: Report | Solution, screen: Screen) -> Iterator[Text]:
    if len(found.pools) > 1:
        yield Text(screen.clean("Pools: " + ", ".join(f"{pool} {status}" for pool, status in found.pools.items())))
    if not _one_flaw(found):
        losses = (_lost_vms(loss, screen) for loss in found.unprotected)
        yield from _section("Not survived", losses, len(found.unprotected), screen)
        yield from _section("Wrong now", map(_violation, found.violations), len(found.violations), screen)
    if found.waiting:
        yield Text(f"Waiting: {screen.few(found.waiting)}")
    broken = (f"rules[{rule.rule}] ({rule.kind}, weight {rule.weight}): {screen.few(rule.vms)}" for rule in found.broken_rules)
    yield from _section("Rules given up (not a must)", broken, len(found.broken_rules), screen)
    yield from _section("Warnings", found.warnings, len(found.warnings), screen)


def _lost_vms(loss: Unprotected, screen: Screen) -> str:
    doubt = "" if loss.minimal else " (perhaps fewer)"
    return f"{_loss(loss)} [{_count(len(loss.vms), 'VM')} without a restart{doubt}: {screen.few(loss.vms)}]"


def _section(title: str, lines: Iterable[str], count: int, screen: Screen) -> Iterator[Text]:
    if not count:
        return
    yield Text(f"{title}:")
    most = count if screen.everything or count <= _FEW else _FEW
    for _, line in zip(range(most), lines, strict=False):
        yield Text(f"  {screen.clean(line)}")
    if count > most:
        yield Text(f"  {screen.choose(_ELLIPSIS)} {count - most} more (--all lists them)")


def _chosen(found: Solution, screen: Screen) -> Iterator[str]:
    """The objectives, what they came to, and the nodes left on."""
    for name, value, bound in _objectives(found):
        yield f"{name}: {_MEANING[name].format(value_text(name, value))}{_proof(name, value, bound)}"
    if found.reason:
        yield screen.clean(found.reason)
    if found.powered:
        yield f"Stay on ({len(found.powered)} of {_count(len(found.cluster.nodes), 'node')}): {screen.few(found.powered)}"
    if found.drained:
        yield f"Drained: {screen.few(found.drained)}"
    yield screen.clean(f"Method: {found.method}")


_MEANING = {
    "balance": "the fullest online node is {} full",
    "moves": "{} migrated",
    "consolidate": "{} must stay on",
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
        return " (proved: no less is possible)"
    gap = f", gap {abs(float(value) - float(bound)) / float(value):.1%}" if value else ""
    return f" (bound {value_text(name, bound)}{gap})"


def _changes(found: Solution, screen: Screen) -> Iterator[RenderableType]:
    """The VMs that get another node, or their first."""
    moved = [(m.vm, m.memory, m.source, m.destination, m.step) for m in found.migrations]
    rows = moved + [(name, memory, None, node, None) for name, memory, node in _started(found)]
    if not rows:
        yield Text("Nothing moves.")
        return
    total = sum(m.memory for m in found.migrations)
    started = len(rows) - len(moved)
    parts = [f"{_count(len(moved), 'migration')} ({readable(total)})"] * bool(moved) + [
        f"{_count(started, 'VM')} started"
    ] * bool(started)
    yield Text(", ".join(parts) + ":")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    shown = rows if screen.everything else rows[:_FEW]
    for vm, memory, source, destination, step in shown:
        way = f"{screen.clean(source)} -> " if source is not None else "starts on "
        table.add_row(*map(Text, (f"  {screen.clean(vm)}", readable(memory), way + screen.clean(destination), _step(step))))
    yield table
    if len(shown) < len(rows):
        yield Text(f"  {screen.choose(_ELLIPSIS)} {len(rows) - len(shown)} more (--all lists them)")


def _step(step: int | None) -> str:
    return "" if step is None else f"step {step}"


def _started(found: Solution) -> Iterator[tuple[str, int, str]]:
    """VMs that waited, with their memory and the node they start on."""
    assert found.node_of is not None
    view = _View.of(found)
    for vm in np.flatnonzero(view.waited & (found.node_of >= 0)).tolist():
        yield view.vm_names[vm], int(view.memory[vm]), view.names[found.node_of[vm]]


@frozen(eq=False)
class _View:
    """A placement in figures: per node, and which VMs waited before it."""

    found: Report | Solution
    names: Sequence[str]
    vm_names: Sequence[str]
    memory: IntArray
    waited: npt.NDArray[np.bool_]
    usable: IntArray
    load: IntArray
    hosted: IntArray

    @classmethod
    def of(cls, found: Report | Solution) -> "_View":
        nodes, vms, node_of = found.cluster.nodes, found.cluster.vms, found.node_of
        assert node_of is not None
        names = nodes.names if isinstance(nodes, NodeColumns) else [node.name for node in nodes]
        vm_names = vms.names if isinstance(vms, VMColumns) else [vm.name for vm in vms]
        usable = nodes.memory if isinstance(nodes, NodeColumns) else np.array([node.usable for node in nodes], dtype=np.int64)
        memory = vms.memory if isinstance(vms, VMColumns) else np.array([vm.memory for vm in vms], dtype=np.int64)
        waited, stopped = _idle(found)
        charged = (node_of >= 0) & ~stopped
        load = np.zeros(len(names), dtype=np.int64)
        np.add.at(load, node_of[charged], memory[charged])
        return cls(found, names, vm_names, memory, waited, usable, load, np.bincount(node_of[charged], minlength=len(names)))

    @cached_property
    def states(self) -> Sequence[str]:
        nodes = self.found.cluster.nodes
        return ["online"] * len(nodes) if isinstance(nodes, NodeColumns) else [node.state for node in nodes]

    @cached_property
    def pools(self) -> Sequence[str]:
        nodes = self.found.cluster.nodes
        return ["default"] * len(nodes) if isinstance(nodes, NodeColumns) else [node.pool for node in nodes]

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

    def worst_first(self) -> list[int]:
        """Nodes that cannot be lost, then those undecided, then the fullest."""
        rank = {Status.UNSAFE: 0, Status.UNKNOWN: 1}
        return sorted(range(len(self.names)), key=lambda node: (rank.get(self.status(node), 2), -self.share(node)))  # type: ignore[arg-type]


def _idle(found: Report | Solution) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which VMs of the cluster wait, and which are stopped on their node."""
    vms = found.cluster.vms
    if isinstance(vms, VMColumns) and isinstance(found.cluster.nodes, NodeColumns):
        return vms.node < 0, np.zeros(len(vms), dtype=bool)
    offline = {node.name for node in found.cluster.nodes if node.state == "offline"}
    waited = np.array([vm.node is None or vm.node in offline for vm in vms], dtype=bool)
    return waited, ~waited & np.array([not vm.running for vm in vms], dtype=bool)


def _table(found: Report, screen: Screen) -> RenderableType:
    view = _View.of(found)
    shown = list(range(len(view.names)))
    if len(shown) > _MANY_NODES and not screen.everything:
        shown = view.worst_first()[:_WORST_NODES]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    columns = _columns(view, screen)
    for title, justify, _ in columns:
        least = _LEAST_WIDTH.get(title)
        table.add_column(
            title, justify=justify, min_width=least, no_wrap=title != _FATE, overflow="crop" if screen.ascii else "ellipsis"
        )
    for node in shown:
        table.add_row(*(cell(node) for _, _, cell in columns))
    hidden = [] if len(shown) == len(view.names) else [_hidden(view, set(range(len(view.names))) - set(shown), screen)]
    return Group(table, *hidden, Text())


_FATE = "If it fails"
_LEAST_WIDTH = {_FATE: 12, "Used": 10, "Usable": 10, "Free": 10, "Share": 6, "VMs": 3}

_Column = tuple[str, Literal["left", "right"], Callable[[int], Text]]


def _columns(view: _View, screen: Screen) -> list[_Column]:
    """Title, side and content of each column worth showing, and for which there is room."""

    def names(column: Sequence[str]) -> Callable[[int], Text]:
        return lambda node: Text(screen.clean(column[node]))

    def figure(position: int) -> Callable[[int], Text]:
        return lambda node: Text(view.figures(node)[position])

    described: list[_Column] = [("State", "left", names(view.states)), ("Pool", "left", names(view.pools))]
    varied = [column for column, values in zip(described, (view.states, view.pools), strict=True) if len(set(values)) > 1]
    room = screen.console.width - _ROOM_FOR_WORDS * len(varied)
    columns: list[_Column] = [("Node", "left", names(view.names)), *varied]
    if room >= _ROOM_FOR_BARS:
        columns.append(("Load", "left", lambda node: _bar(view, node, screen)))
    figures = (("Used", _ROOM_FOR_MOST), ("Usable", _ROOM_FOR_ALL), ("Free", 0), ("Share", 0), ("VMs", _ROOM_FOR_ALL))
    columns += [(title, "right", figure(i)) for i, (title, least) in enumerate(figures) if room >= least]
    if view.found.scenarios:
        columns.append((_FATE, "left", lambda node: _fate(view, node, screen)))
    return columns


def _bar(view: _View, node: int, screen: Screen) -> Text:
    share = view.share(node)
    full = min(_BAR, round(share * _BAR))
    bar = screen.choose(("█", "#")) * full + screen.choose(("░", ".")) * (_BAR - full)
    return Text(bar, style="red" if share > 1 else _STYLE[view.status(node) or Status.SAFE])


def _fate(view: _View, node: int, screen: Screen) -> Text:
    status = view.status(node)
    if status is None:
        return Text("-")
    if status is Status.SAFE:
        words = "all restart" if view.found.scenarios[view.names[node]].displaced else "nothing to restart"
    elif status is Status.UNSAFE:
        lost = view.lost.get(view.names[node], 0)
        words = f"{_count(lost, 'VM')} {'does' if lost == 1 else 'do'} not restart" if lost else "not survived"
    else:
        words = "undecided"
    return Text(f"{screen.choose(_MARK[status])} {words}", style=_STYLE[status])


def _hidden(view: _View, nodes: set[int], screen: Screen) -> Text:
    statuses = Counter(view.status(node) for node in nodes)
    unsafe, unknown = statuses[Status.UNSAFE], statuses[Status.UNKNOWN]
    if unsafe or unknown:
        words = f", {unsafe} not survivable, {unknown} undecided"
    else:
        words = ", all survivable" if view.found.scenarios else ""
    return Text(f"{screen.choose(_ELLIPSIS)} {_count(len(nodes), 'more node')}{words} (--all lists them)")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _two_digits(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
