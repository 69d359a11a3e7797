"""One call of `place`, with the times at which it had what."""

from collections.abc import Iterator
from typing import Any

import attrs
from attrs import define, field

import vmplace
from benchmarks.instances import Instance
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.results.placement import Solution
from vmplace.results.values import Status
from vmplace.solvers.budget import Progress

__all__ = ["COLUMNS", "Timed", "gap_text", "rows_of", "timed"]

COLUMNS = (
    "nodes", "VMs", "profile", "fill", "seed", "asked", "limit s", "method", "status",
    "first s", "best s", "proof s", "value", "bound", "gap %", "bound by",
)  # fmt: skip


@define
class Timed:
    """A call that has ended.

    Parameters
    ----------
    solution
        What it returned.
    seconds
        How long it took.
    told
        Values that the search told of, each with the second at which it was first told.
    """

    solution: Solution
    seconds: float
    told: dict[float, float]

    @property
    def value(self) -> float | None:
        """MiB or share; None without a placement."""
        return None if self.solution.objective is None else float(self.solution.objective)  # type: ignore[arg-type]

    @property
    def first(self) -> float | None:
        """Seconds to the first placement."""
        return None if self.value is None else min([*self.told.values(), self.seconds])

    @property
    def best(self) -> float | None:
        """Seconds to the value returned."""
        if self.value is None:
            return None
        return min([*(second for value, second in self.told.items() if _same(value, self.value)), self.seconds])

    @property
    def proof(self) -> float | None:
        """Seconds to the proof."""
        return self.seconds if self.solution.status in (Status.OPTIMAL, Status.INFEASIBLE) else None


@define
class _Listener:
    told: dict[float, float] = field(factory=dict)

    def hear(self, progress: Progress) -> None:
        if progress.phase == "search" and progress.value is not None:
            self.told.setdefault(progress.value, progress.elapsed)


def timed(cluster: Cluster, objective: str, method: str, time_limit: float) -> Timed:
    """Call `place`; running VMs may migrate."""
    listener = _Listener()
    with Clock() as clock:
        solution = vmplace.place(
            cluster, objective=objective, method=method, move_running=True, time_limit=time_limit, progress=listener.hear
        )
    return Timed(solution, clock.seconds, listener.told)


def rows_of(instance: Instance, methods: tuple[str, ...], most: float) -> Iterator[tuple[object, ...]]:
    """A row for each method."""
    instance = attrs.evolve(instance, limit=min(instance.limit, most))
    cluster = instance.cluster()
    for method in methods:
        yield _row(instance, cluster, method, timed(cluster, instance.objective, method, instance.limit))


def _row(instance: Instance, cluster: Cluster, method: str, call: Timed) -> tuple[object, ...]:
    solution = call.solution
    told = (
        *(_seconds(second) for second in (call.first, call.best, call.proof)),
        *(_amount(instance.objective, value) for value in (solution.objective, solution.bound)),
        gap_text(solution),
        solution.stats.get("bound_by", {}).get(instance.objective, "-"),
    )
    asked = (instance.nodes, len(cluster.vms), instance.profile, f"{instance.fill:.2f}", instance.seed, instance.asked)
    return *asked, f"{instance.limit:g}", method, str(solution.status), *told


def gap_text(solution: Solution) -> str:
    """The gap in per cent."""
    return f"{100 * solution.gap:.1f}" if isinstance(solution.gap, float) else "-"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _amount(objective: str, value: Any) -> str:
    """GiB or share."""
    if value is None:
        return "-"
    return f"{value / 1024:.1f}" if objective == "moves" else f"{float(value):.4f}"


def _same(told: float, value: float) -> bool:
    return abs(told - value) <= 1e-9 * abs(value)
