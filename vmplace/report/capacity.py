"""Terminal reports of `headroom` and `size`."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from vmplace.capacity.results import Headroom, HeadroomTable, Sizing
from vmplace.capacity.tolerance import PoolTolerance, Tolerance
from vmplace.model.text import counted, fails, printable, readable
from vmplace.problem.unknown_names import unknown_names
from vmplace.report.check import report
from vmplace.report.tables import STYLE, Column, Screen
from vmplace.results.values import Status

__all__ = ["headroom_report", "sizing_report", "table_report", "tolerance_report"]

_STYLE = {
    Status.OPTIMAL: STYLE[Status.SAFE],
    Status.FEASIBLE: STYLE[Status.SAFE],
    Status.INFEASIBLE: STYLE[Status.UNSAFE],
    Status.UNKNOWN: STYLE[Status.UNKNOWN],
}

_SHOWN_NODES = 8
_MIGRATE = "Running VMs stay where they are here: add --move-running to count with migrations."
_REPAIR = (
    "Next: vmplace repair looks for migrations that make the cluster safe; vmplace explain says why it is not, and what helps."
)
_TABLE_NOTES = (
    "Each row stands alone: how many more VMs of that size fit while the guarantee holds.",
    "By sum: as many as the sum of the free memory would hold in one piece; fewer fit where it is in pieces.",
)


def headroom_report(found: Headroom, screen: Screen, *, still: bool = False) -> RenderableType:
    """How many more there can be, why no more, and where they go; `still`: running VMs stay where they are."""
    lines = [*_grounds(found, screen), *([_MIGRATE] if still and found.count == 0 and found.solution is not None else [])]
    if found.status is Status.INFEASIBLE:
        lines.append(_REPAIR)
    return Group(_verdict(found.status, _more(found)), *(Text(screen.clean(line)) for line in lines), *_unknown(found, screen))


def table_report(found: HeadroomTable, screen: Screen) -> RenderableType:
    """A line for each size."""
    rows = found.rows
    reasons = {row.reason for row in rows}
    if found.status is Status.INFEASIBLE and len(reasons) == 1:
        return Group(_verdict(found.status, screen.clean(reasons.pop())), Text(_REPAIR), *_unknown(found, screen))
    table = screen.table(
        [
            Column("VM of", [Text(_bundle(row)) for row in rows], "right"),
            Column("More", [Text(_or_unknown(row.count), _STYLE[row.status]) for row in rows], "right"),
            Column("At most", [Text(_or_unknown(row.bound)) for row in rows], "right"),
            Column("By sum", [Text(_or_unknown(min(row.by_sum.values(), default=None))) for row in rows], "right"),
            Column("In all", [Text(readable(_total(row))) for row in rows], "right"),
            Column("Why no more", [Text(screen.clean(row.reason)) for row in rows], folds=30),
        ],
        ("In all",),
    )
    return Group(table, *(Text(line) for line in _TABLE_NOTES), *_unknown(found, screen))


def sizing_report(found: Sizing, screen: Screen) -> RenderableType:
    """How many nodes, of which kinds, and the warnings."""
    lines = [Text(screen.clean(warning)) for warning in found.warnings]
    if found.counts is None:
        fate = "no number of these nodes is enough" if found.status is Status.INFEASIBLE else "no answer in time"
        bound = f"; no fewer than {_amount(found.bound)}" if found.bound and found.status is Status.UNKNOWN else ""
        why = found.reason if found.status is Status.INFEASIBLE else f"{fate}{bound}"
        return Group(_verdict(found.status, why), *lines)
    assert found.nodes is not None
    promise = f"run {counted(found.n_vms, 'VM')} while the guarantee holds"
    first = _verdict(found.status, f"{counted(found.nodes, 'node')} {promise}{_proof(found)}")
    kinds = [kind for kind in found.kinds if found.counts[kind.name]]
    if len(found.kinds) == 1:
        each = [Text(screen.clean(f"Each with {readable(kind.usable)} for VMs{_amounts(kind.resources)}")) for kind in kinds]
        return Group(first, *each, *lines, Text(f"Method: {found.method}"))
    table = screen.table(
        [
            Column("Kind", [Text(screen.clean(kind.name)) for kind in kinds]),
            Column("Nodes", [Text(str(found.counts[kind.name])) for kind in kinds], "right"),
            Column("For VMs", [Text(readable(kind.usable)) for kind in kinds], "right"),
            Column("Price each", [Text(_amount(kind.price)) for kind in kinds], "right"),
            Column("Price", [Text(_amount(kind.price * found.counts[kind.name])) for kind in kinds], "right"),
        ]
    )
    return Group(first, table, *lines, Text(f"Method: {found.method}"))


def tolerance_report(found: Tolerance, screen: Screen) -> RenderableType:
    """How many failures are survived, in which pool, and what one more would do; of several guarantees, of each."""
    if found.guarantees is not None:
        each = [tolerance_report(one, screen) for one in found.guarantees]
        headed = [
            part for number, one in enumerate(each, 1) for part in (Text(f"Guarantee {number}:"), Padding(one, (0, 0, 0, 2)))
        ]
        return Group(*headed)
    lines = [_verdict(found.status, found.summary())]
    if len(found.pools) > 1:
        lines.append(Text(screen.clean("Pools: " + ", ".join(f"{name} {_between(pool)}" for name, pool in found.pools.items()))))
    worse = found.report if found.status is Status.INFEASIBLE else found.beyond
    if worse is None or worse.status is Status.SAFE:
        return Group(*lines)
    asked = worse.cluster.guarantee.failures
    if worse is found.beyond and worse.unprotected and not screen.everything:
        loss = worse.unprotected[0]
        return Group(
            *lines, Text(screen.clean(f"For example, if {fails(loss.scenario)}: {loss.reason} (--all shows every failure)"))
        )
    return Group(*lines, Text(f"With {counted(asked, 'failure')}:" if asked else "Now:"), report(worse, screen))


def _between(pool: PoolTolerance) -> str:
    if pool.count == pool.bound:
        return "none, not right now" if pool.count is None else str(pool.count)
    return f"{pool.count if pool.count is not None else 0} to {pool.bound}"


def _verdict(status: Status, text: str) -> Text:
    """The answer in one line: the number, or the status without one."""
    if status in (Status.OPTIMAL, Status.FEASIBLE):
        return Text(printable(text))
    return Text.assemble((status.value.upper(), _STYLE[status]), ": ", printable(text))


def _more(found: Headroom) -> str:
    if found.status is Status.INFEASIBLE:
        return found.reason
    if found.count is None:
        doubt = "time ran out before it was known whether the guarantee can be kept"
        return f"{doubt}; at most {found.bound} times {_bundle(found)} could fit"
    what = f"more VM{'s' * (found.count != 1)} of {_bundle(found)}" if _single(found) else f"times {_bundle(found)}"
    if not found.count and found.status is Status.OPTIMAL:
        return f"No more VM of {_bundle(found)} fits" if _single(found) else f"No more of {_bundle(found)} fits"
    fit = "fits" if found.count == 1 and _single(found) else "fit"
    if found.status is Status.OPTIMAL:
        return f"{found.count} {what} {fit} while the guarantee holds, and no more"
    return f"{found.count} {what} {fit} while the guarantee holds; at most {found.bound} could"


def _grounds(found: Headroom, screen: Screen) -> Iterator[str]:
    if found.solution is None:
        return
    if found.reason:
        yield f"Why no more: {found.reason}" if found.status is Status.OPTIMAL else found.reason
    by_sum = min(found.by_sum.values(), default=None)
    if by_sum is not None and found.count is not None and by_sum > found.count:
        yield f"By the sum of what is free: {by_sum}"
    if len(found.limits) > 1:
        alone = ", ".join(f"{name} {most}" for name, most in found.limits.items())
        yield f"What each resource alone would allow: {alone}"
    where = [f"{node} {count}" for node, count in found.where.items()]
    if where:
        yield f"Where: {screen.few(where, _SHOWN_NODES)}"
    moved = found.solution.migrations
    if moved:
        yield f"With {counted(len(moved), 'migration')} ({readable(sum(move.memory for move in moved))})"
    yield f"Method: {found.method}"


def _unknown(found: Headroom | HeadroomTable, screen: Screen) -> Iterator[RenderableType]:
    """Names in the rules that the cluster lacks."""
    warnings = unknown_names(found.cluster)
    return screen.section("Warnings", warnings, len(warnings))


def _single(found: Headroom) -> bool:
    return sum(found.bundle.values()) == 1


def _bundle(found: Headroom) -> str:
    parts = (f"{number} x {readable(size)}" if number > 1 else readable(size) for size, number in found.bundle.items())
    overhead = f", {readable(found.overhead)} overhead{'' if _single(found) else ' each'}" if found.overhead else ""
    return " + ".join(parts) + overhead + _amounts(found.resources)


def _amounts(resources: Mapping[str, int]) -> str:
    return "".join(f", {amount} {name}" for name, amount in resources.items())


def _total(found: Headroom) -> int:
    return (found.count or 0) * sum(size * number for size, number in found.bundle.items())


def _or_unknown(number: int | None) -> str:
    return "?" if number is None else str(number)


def _proof(found: Sizing) -> str:
    value = f", at a price of {_amount(found.objective)} in all" if found.objective_name == "price" else ""
    if found.status is Status.OPTIMAL:
        return f"{value}, and no {'fewer' if found.objective_name == 'nodes' else 'cheaper'} nodes suffice"
    return f"{value}; at least {_amount(found.bound)} are needed"


def _amount(value: int | Fraction | None) -> str:
    return "?" if value is None else f"{float(value):g}" if isinstance(value, Fraction) else str(value)
