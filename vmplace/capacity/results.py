"""What `headroom` and `size` return."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.entities import Node
from vmplace.model.errors import ConflictError, Flaw
from vmplace.model.text import counted, readable
from vmplace.problem.unknown_names import unknown_names
from vmplace.results.placement import Solution
from vmplace.results.result import Result
from vmplace.results.values import Status, relative_gap

__all__ = ["Headroom", "HeadroomTable", "Sizing"]


@frozen(kw_only=True, eq=False, repr=False)
class _Answer(Result):
    """An answer, with the placement that shows it.

    Parameters
    ----------
    cluster
        What was asked about.
    solution
        The placement, with its failover plans; None without one.
    """

    cluster: Cluster = field(repr=False)
    status: Status
    solution: Solution | None = field(default=None, repr=False)

    @property
    def placement(self) -> dict[str, str] | None:
        """VM to node; None without a placement."""
        return None if self.solution is None else self.solution.placement

    @property
    def failover(self) -> Mapping[str, Mapping[str, str | None]]:
        """The failover plans of that placement."""
        return {} if self.solution is None else self.solution.failover

    def figures(self) -> dict[str, Any]:
        """As JSON carries it, without the placement."""
        return super().parts()

    def parts(self) -> dict[str, Any]:
        placed = _nothing_placed(self.status) if self.solution is None else self.solution.parts()
        return {**placed, **self.figures(), "warnings": self._warnings}

    @property
    def _warnings(self) -> tuple[str, ...]:
        """What is told of the placement, or of the names in the rules."""
        return tuple(unknown_names(self.cluster)) if self.solution is None else self.solution.warnings

    def _document(self) -> Cluster:
        """The cluster with the placement; raises ConflictError without one."""
        if self.solution is None:
            raise ConflictError([Flaw("status", f"{self.status}: the answer has no placement", "conflict")])
        return self.solution.to_document()

    @property
    def safe(self) -> bool:
        """Whether there is a placement, and the guarantee is known to hold with it."""
        return self.solution is not None and self.solution.safe


@frozen(kw_only=True, eq=False, repr=False)
class Headroom(_Answer):
    """How many more VMs fit while the guarantee holds.

    Parameters
    ----------
    status
        ``optimal``: `count` fit, and more is proved impossible. ``feasible``: `count` fit, and at most `bound`. ``infeasible``:
        the guarantee is proved impossible even without new VMs; `count` is 0. ``unknown``: not even that was decided in time.
    bundle
        What is added each time: how many VMs of each memory (MiB).
    overhead
        Memory that the hypervisor needs for each of these VMs, on top of its own, in MiB.
    resources
        What each of these VMs needs of further resources.
    count, bound
        How many times the bundle fits, and how many times at most; None where unknown.
    solution
        The placement with so many more, with its failover plans; None without one.
    added
        The names of the new VMs in it.
    limits
        The most that each resource alone allows, by its name.
    by_sum
        The same by sums, as if all that is free were in one piece. Where `by_sum` is higher, what is free is in pieces.
    reason
        Why no more fit, or why that is not known.
    """

    _keys = "status bundle:_bundle overhead resources objective:_score limits by_sum binding reason where method stats"

    bundle: Mapping[int, int]
    overhead: int = 0
    resources: Mapping[str, int] = field(factory=dict)
    count: int | None = None
    bound: int | None = None
    added: tuple[str, ...] = field(default=(), repr=False)
    limits: Mapping[str, int] = field(factory=dict)
    by_sum: Mapping[str, int] = field(factory=dict)
    reason: str = ""
    method: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def gap(self) -> float | None:
        """(bound - count) / bound, 0 where they are equal; None where either is unknown."""
        return relative_gap(self.bound, self.count)

    @property
    def binding(self) -> str | None:
        """The resource that alone allows the fewest."""
        return min(self.limits, key=lambda name: self.limits[name], default=None)

    @property
    def where(self) -> dict[str, int]:
        """How many of the new VMs are on which node."""
        counts: dict[str, int] = {}
        placement = self.placement or {}
        for name in self.added:
            counts[placement[name]] = counts.get(placement[name], 0) + 1
        return counts

    def to_document(self) -> Cluster:
        """The cluster with the new VMs on their nodes; other pools are as they were.

        Raises
        ------
        ConflictError
            (a ValueError) if there is no placement.
        """
        placed = self._document()
        if len(placed.vms) == len(self.cluster.vms) + len(self.added):
            return placed
        here = {vm.name: vm for vm in placed.vms}
        vms = [here.pop(vm.name, vm) for vm in self.cluster.vms]
        return evolve(self.cluster, vms=[*vms, *here.values()])

    @property
    def _bundle(self) -> dict[str, int]:
        return {str(memory): number for memory, number in self.bundle.items()}

    @property
    def _score(self) -> dict[str, Any]:
        return {"name": "headroom", "value": self.count, "bound": self.bound, "gap": self.gap}

    def summary(self) -> str:
        """The answer in a line."""
        what = " + ".join(f"{number} x {readable(memory)}" for memory, number in self.bundle.items())
        most = f"at most {self.bound}" if self.bound is not None and self.bound != self.count else ""
        told = [f"{self.count} more of {what}"] if self.count is not None else [f"unknown how many more of {what}"]
        return f"{self.status}: {', '.join(filter(None, [*told, most]))}"


@frozen(kw_only=True, eq=False, repr=False)
class HeadroomTable(Result):
    """How many more VMs fit while the guarantee holds, for each of several sizes on its own."""

    _keys = "status rows:_rows warnings:_warnings"

    cluster: Cluster = field(repr=False)
    rows: tuple[Headroom, ...]

    @property
    def status(self) -> Status:
        """``infeasible`` or ``unknown`` if any row is, ``optimal`` if all are, else ``feasible``."""
        found = {row.status for row in self.rows}
        weight = (Status.INFEASIBLE, Status.UNKNOWN, Status.FEASIBLE)
        return next((status for status in weight if status in found), Status.OPTIMAL)

    @property
    def _warnings(self) -> list[str]:
        """Of the names in the rules."""
        return unknown_names(self.cluster)

    @property
    def _rows(self) -> list[dict[str, Any]]:
        return [row.figures() for row in self.rows]

    @property
    def safe(self) -> bool:
        """Whether the guarantee is known to hold as it is, and with as many more VMs as each row says."""
        return all(row.safe for row in self.rows)

    def summary(self) -> str:
        """The answer in a line."""
        rows = (f"{readable(sum(m * n for m, n in row.bundle.items()))}: {row.count}" for row in self.rows)
        return f"{self.status}: {', '.join(rows)}"


@frozen(kw_only=True, eq=False, repr=False)
class Sizing(_Answer):
    """How many nodes the VMs need.

    Parameters
    ----------
    status
        ``optimal``: proved that fewer, or cheaper ones, do not suffice. ``feasible``: these suffice; at least `bound` are needed.
        ``infeasible``: proved that no number of them suffices. ``unknown``: none was found in time.
    kinds
        The kinds of nodes to choose from.
    counts
        How many of each kind, by its name; None without an answer.
    objective_name
        ``nodes``, or ``price`` where there are several kinds.
    objective, bound
        Its value, and a lower bound on it; None where unknown.
    n_vms
        How many VMs the nodes are for, including those added by growth.
    solution
        The placement on these nodes, with its failover plans; None without one.
    reason
        Why there is no answer, or why it is not known to be the best.
    """

    _keys = "status counts nodes price:_price vms:n_vms objective:_score reason method stats"

    kinds: tuple[Node, ...]
    counts: Mapping[str, int] | None = None
    objective_name: str = "nodes"
    objective: int | Fraction | None = None
    bound: int | Fraction | None = None
    n_vms: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()
    method: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def nodes(self) -> int | None:
        """How many nodes in all."""
        return None if self.counts is None else sum(self.counts.values())

    @property
    def price(self) -> Fraction | None:
        """What they cost in all."""
        if self.counts is None:
            return None
        return sum((kind.price * self.counts[kind.name] for kind in self.kinds), Fraction(0))

    @property
    def gap(self) -> float | None:
        """(objective - bound) / objective, 0 where they are equal; None where either is unknown."""
        return relative_gap(self.objective, self.bound)

    def to_document(self) -> Cluster:
        """The VMs on these nodes.

        Raises
        ------
        ConflictError
            (a ValueError) if there is no placement.
        """
        return self._document()

    @property
    def _price(self) -> int | Fraction | None:
        return _whole(self.price)

    @property
    def _score(self) -> dict[str, Any]:
        return {"name": self.objective_name, "value": _whole(self.objective), "bound": _whole(self.bound), "gap": self.gap}

    @property
    def _warnings(self) -> tuple[str, ...]:
        return self.warnings if self.solution is None else tuple(dict.fromkeys([*self.warnings, *self.solution.warnings]))

    def summary(self) -> str:
        """The answer in a line."""
        if self.counts is None:
            return f"{self.status}: {self.reason or 'no answer'}"
        which = " + ".join(f"{number} x {name}" for name, number in self.counts.items() if number)
        return f"{self.status}: {counted(self.nodes or 0, 'node')} ({which}) for {counted(self.n_vms, 'VM')}"


def _whole(value: int | Fraction | None) -> int | Fraction | None:
    return None if value is None else value.numerator if value.denominator == 1 else value


def _nothing_placed(status: Status) -> dict[str, Any]:
    """What a result without a placement has in its stead."""
    guarantee = Status.UNKNOWN if status is Status.UNKNOWN else Status.UNSAFE
    empty: dict[str, Any] = {key: [] for key in ("unprotected", "violations", "waiting", "migrations", "powered", "drained")}
    return {"guarantee": guarantee.value, "placement": None, "failover": {}, **empty}
