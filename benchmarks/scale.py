"""How time and memory grow with the cluster: greedy, its audit and `check`, from columns, against two floors."""

import multiprocessing
import resource
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from attrs import frozen

import vmplace
from benchmarks.best_fit import best_fit_decreasing
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.problem.compile import compile_problem
from vmplace.synthetic import generate

__all__ = ["command", "exponent"]

COLUMNS = (
    "nodes", "profile", "VMs", "compile ms", "place ms", "check ms", "np.sort ms", "best-fit ms",
    "place / best-fit", "check / sort", "peak / bound", "MiB", "guarantee",
)  # fmt: skip
PROFILES = ("azure", "flavors", "uniform", "mixed")
SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
_LONG = 10.0
_FROM = 1_000
"""Growth is fitted from so many nodes on: below, fixed costs show."""


@frozen(kw_only=True)
class Point:
    """One cluster, measured: seconds are medians, memory is the peak of a process that makes the cluster and does all but the
    floors."""

    nodes: int
    profile: str
    vms: int
    guarantee: str
    ratio: float
    compiling: float
    placing: float
    checking: float
    sorting: float
    packing: float
    mebibytes: int

    @property
    def row(self) -> tuple[object, ...]:
        """As the table has it."""
        seconds = (self.compiling, self.placing, self.checking, self.sorting, self.packing)
        return (
            self.nodes,
            self.profile,
            self.vms,
            *(f"{1000 * second:.2f}" for second in seconds),
            f"{self.placing / self.packing:.2f} ×",
            f"{self.checking / self.sorting:.1f} ×",
            f"{self.ratio:.4f}",
            self.mebibytes,
            self.guarantee,
        )


@click.command("scale")
@click.option("--nodes", "sizes", multiple=True, type=int, default=SIZES, help="Cluster sizes.")
@click.option("--profile", "profiles", multiple=True, type=click.Choice(PROFILES), default=PROFILES)
@click.option("--fill", default=0.9)
@click.option("--repeat", default=5, help="Runs in turn; the medians count. Best-fit is not run again after ten seconds.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the growth into this file (SVG; needs matplotlib).")
def command(
    sizes: tuple[int, ...] = SIZES,
    profiles: tuple[str, ...] = PROFILES,
    fill: float = 0.9,
    repeat: int = 5,
    picture: Path | None = None,
) -> None:
    """`place(method="greedy")` and `check` from columns, beside numpy's sort of the sizes and best-fit decreasing."""
    points: list[Point] = []

    def rows() -> Iterator[tuple[object, ...]]:
        for profile in profiles:
            for nodes in sizes:
                points.append(_point(nodes, profile, fill, repeat))
                yield points[-1].row

    show(
        "growth",
        COLUMNS,
        rows(),
        note=f"512 GiB nodes (mixed: flavors on nodes of 256 to 1,024 GiB), {fill:.0%} of what N+1 allows, seed 1; place: with "
        "certificate, failover plans and audit; MiB: peak of a process that makes, places and checks the cluster.",
    )
    _show_growth(points)
    if picture is not None:
        _draw(points, picture)


def exponent(pairs: list[tuple[float, float]]) -> float:
    """The power of the size that time grows with, fitted by least squares to pairs of size and time."""
    size, time = np.log(np.array(pairs)).T
    return float(np.polyfit(size, time, 1)[0])


def _show_growth(points: list[Point]) -> None:
    rows = []
    for profile in dict.fromkeys(point.profile for point in points):
        mine = [point for point in points if point.profile == profile and point.nodes >= _FROM]
        if len(mine) > 1:
            times = [[(p.vms, seconds(p)) for p in mine] for seconds in _MEASURES.values()]
            rows.append((profile, f"{mine[0].nodes} to {mine[-1].nodes}", *(f"{exponent(pairs):.2f}" for pairs in times)))
    if rows:
        show("growth exponents", ("profile", "nodes", *_MEASURES), rows, note="Time grows with this power of the number of VMs.")


_MEASURES: dict[str, Callable[[Point], float]] = {
    "place": lambda point: point.placing,
    "check": lambda point: point.checking,
    "np.sort": lambda point: point.sorting,
    "best-fit": lambda point: point.packing,
}


def _point(nodes: int, profile: str, fill: float, repeat: int) -> Point:
    """Ours and the floors in processes of their own, so that the peak memory is ours."""
    context = multiprocessing.get_context("spawn")
    measured: dict[str, Any] = {}
    for measure in (_ours, _floors):
        with context.Pool(1) as pool:
            measured |= pool.apply(measure, (nodes, profile, fill, repeat))
    return Point(nodes=nodes, profile=profile, **measured)


def _columns(nodes: int, profile: str, fill: float) -> dict[str, Any]:
    mixed = profile == "mixed"
    cluster = generate(nodes=nodes, fill=fill, profile="flavors" if mixed else profile, seed=1, mixed=mixed)
    return {"node_memory": cluster.nodes.usable, "vm_memory": cluster.vms.memory}  # type: ignore[attr-defined]


def _ours(nodes: int, profile: str, fill: float, repeat: int) -> dict[str, Any]:
    columns = _columns(nodes, profile, fill)
    times: dict[str, list[float]] = {"compiling": [], "placing": [], "checking": []}
    for _ in range(repeat):
        with Clock() as clock:
            compile_problem(Cluster.from_arrays(**columns))
        times["compiling"].append(clock.seconds)
        with Clock() as clock:
            solution = vmplace.place(Cluster.from_arrays(**columns), method="greedy")
        times["placing"].append(clock.seconds)
        placed = Cluster.from_arrays(**columns, vm_node=solution.node_of)
        with Clock() as clock:
            report = vmplace.check(placed)
        times["checking"].append(clock.seconds)
    return {
        "vms": len(columns["vm_memory"]),
        "guarantee": f"{solution.guarantee}, {report.status}",
        "ratio": float(solution.objective / solution.bound),  # type: ignore[operator]
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **{name: statistics.median(seconds) for name, seconds in times.items()},
    }


def _floors(nodes: int, profile: str, fill: float, repeat: int) -> dict[str, Any]:
    columns = _columns(nodes, profile, fill)
    memory, usable = columns["vm_memory"].tolist(), columns["node_memory"].tolist()
    sorting, packing = [], []
    for _ in range(repeat):
        with Clock() as clock:
            np.sort(columns["vm_memory"])
        sorting.append(clock.seconds)
        if sum(packing) < _LONG:
            with Clock() as clock:
                best_fit_decreasing(memory, usable)
            packing.append(clock.seconds)
    return {"sorting": statistics.median(sorting), "packing": statistics.median(packing)}


def _draw(points: list[Point], picture: Path) -> None:
    from matplotlib.figure import Figure

    profiles = list(dict.fromkeys(point.profile for point in points))
    figure = Figure(figsize=(4 * len(profiles), 4), layout="constrained")
    for axes, profile in zip(np.ravel(figure.subplots(1, len(profiles), sharey=True)), profiles, strict=True):
        mine = [point for point in points if point.profile == profile]
        for name, seconds in _MEASURES.items():
            ours = name in ("place", "check")
            axes.loglog([p.nodes for p in mine], [seconds(p) for p in mine], "o-" if ours else "--", label=name, markersize=3)
        axes.set_title(profile)
        axes.set_xlabel("nodes")
        axes.grid(visible=True, which="major", alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    figure.axes[0].legend()
    figure.savefig(picture, metadata={"Date": None})
    click.echo(f"drawn: {picture}")
