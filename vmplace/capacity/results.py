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

    @property
    def safe(self) -> bool:
        """Whether there is a placement, and the guarantee is known to hold with it."""
        return self.solution is not None and self.solution.safe


@frozen(kw_only=True, eq=False, repr=False)
class Headroom(_Answer):
    """How many more VMs there can be.

    Parameters
    ----------
    status
        ``optimal``: no more than `count`, proved. ``feasible``: so many, and no more than `bound`. ``infeasible``: the guarantee
        cannot be kept even without new VMs, proved; `count` is 0. ``unknown``: not even that was decided in time.
    bundle
        What is added each time: how many VMs of each memory (MiB).
    overhead
        What the hypervisor takes for each of these VMs beside its memory, in MiB.
    resources
        What each of these VMs needs of further resources.
    count, bound
        How many times the bundle fits in, and the most it could; None where that is unknown.
    solution
        The placement with so many more, with its failover plans; None without one.
    added
        The names of the new VMs in it.
    limits
        The most that each resource allows, all others aside, by its name.
    by_sum
        The same by the sum of what is free of it, as if that were in one piece: where it is more, what is free is in pieces.
    reason
        Why there are no more, or why that is not known.
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
        """The resource that allows least, all others aside."""
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
        if self.solution is None:
            raise ConflictError([Flaw("status", f"{self.status}: there is no placement", "conflict")])
        placed = self.solution.to_document()
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
    """How many more VMs of each of some sizes there can be, one size at a time."""

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
        ``infeasible``: no number of them will do, proved. ``unknown``: none was found in time.
    kinds
        The nodes there were to choose from.
    counts
        How many of each kind, by its name; None without an answer.
    objective_name
        ``nodes``, or ``price`` where there are several kinds.
    objective, bound
        Its value, and the least it could be; None where that is unknown.
    n_vms
        How many VMs the nodes are for, those that come by growth among them.
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
        if self.solution is None:
            raise ConflictError([Flaw("status", f"{self.status}: there is no placement", "conflict")])
        return self.solution.to_document()

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
