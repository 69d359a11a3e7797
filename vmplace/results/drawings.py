"""The steps of a migration plan as a graph in DOT and as a picture in SVG."""

from collections.abc import Iterator, Sequence
from html import escape

from vmplace.model.text import printable, readable
from vmplace.results.actions import afterwards
from vmplace.results.values import Step

__all__ = ["dot", "svg"]

_LANE, _BAND, _LEFT, _TOP = 28, 150, 140, 46

_FEW = 3
"""So many VMs are named where an edge or an arrow stands for several."""


def dot(steps: Sequence[Step]) -> Iterator[str]:
    """A graph for Graphviz: an edge for all migrations of a step between the same two nodes."""
    yield "digraph migrations {\n  rankdir=LR;\n  node [shape=box];\n"
    for node in _nodes(steps):
        yield f"  {_quoted(node)};\n"
    for step in steps:
        colour = ", color=red" if step.suspended else ""
        for (source, node), vms in _ways(step).items():
            label = _quoted(f"{step.number}: {_listed(vms)}")
            yield f"  {_quoted(source)} -> {_quoted(node)} [label={label}{colour}];\n"
        for start in step.starts:
            label = _quoted(f"{step.number}: {start.vm} starts")
            yield f"  {_quoted(start.node)} -> {_quoted(start.node)} [label={label}, style=dashed{colour}];\n"
    yield "}\n"


def _quoted(text: str) -> str:
    shown = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def svg(steps: Sequence[Step]) -> Iterator[str]:
    """A picture: a line for each node, a band for each step (red if it is not safe after), an arrow for each edge of `dot`."""
    nodes = _nodes(steps)
    row = {node: _TOP + _LANE * (number + 1) for number, node in enumerate(nodes)}
    width, height = _LEFT + _BAND * max(1, len(steps)), _TOP + _LANE * (len(nodes) + 1)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">\n'
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>\n<rect width="100%" height="100%" fill="white"/>\n'
    for number, step in enumerate(steps):
        left = _LEFT + _BAND * number
        fill = "#fbe3e3" if step.suspended else "#eef6ee"
        yield f'<rect x="{left}" y="18" width="{_BAND - 4}" height="{height - 22}" fill="{fill}"/>\n'
        yield f'<text x="{left + 6}" y="34">step {step.number}<title>{_clean("".join(afterwards(step)))}</title></text>\n'
    for node in nodes:
        yield f'<text x="6" y="{row[node] + 4}">{_clean(node)}</text>\n'
        yield f'<line x1="{_LEFT}" x2="{width - 4}" y1="{row[node]}" y2="{row[node]}" stroke="#bbb"/>\n'
    for number, step in enumerate(steps):
        yield from _arrows(step, _LEFT + _BAND * number, row)
    yield "</svg>\n"


def _arrows(step: Step, left: int, row: dict[str, int]) -> Iterator[str]:
    ways = _ways(step)
    for number, ((source, node), vms) in enumerate(ways.items()):
        x = left + 12 + (_BAND - 28) * (number + 1) // (len(ways) + 1)
        yield f'<g stroke="black"><line x1="{x}" x2="{x}" y1="{row[source]}" y2="{row[node]}" marker-end="url(#tip)"/>'
        yield f"<title>{_clean(f'{_listed(vms, len(vms))}: {source} to {node}')}</title></g>\n"
        if len(ways) <= _FEW:
            y = (row[source] + row[node]) // 2
            yield f'<text x="{x + 4}" y="{y + 4}" font-size="9">{_clean(_listed(vms, 1))}</text>\n'
    for start in step.starts:
        yield f'<circle cx="{left + 8}" cy="{row[start.node]}" r="4"><title>{_clean(f"{start.vm} starts")}</title></circle>\n'


def _clean(text: str) -> str:
    return escape(printable(text))


def _nodes(steps: Sequence[Step]) -> list[str]:
    """The nodes that VMs leave, reach or start on, in the order in which they occur."""
    ends = [end for step in steps for m in step.migrations for end in (m.source, m.destination)]
    return list(dict.fromkeys([*ends, *(start.node for step in steps for start in step.starts)]))


def _ways(step: Step) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """The VMs with their memory, by the nodes they leave and reach."""
    ways: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for m in step.migrations:
        ways.setdefault((m.source, m.destination), []).append((m.vm, m.memory))
    return ways


def _listed(vms: Sequence[tuple[str, int]], most: int = _FEW) -> str:
    named = ", ".join(vm for vm, _ in vms[:most])
    more = f" and {len(vms) - most} more" if len(vms) > most else ""
    return f"{named}{more} ({readable(sum(memory for _, memory in vms))})"
