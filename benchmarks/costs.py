"""What each promise costs in capacity: the share of all memory that VMs can take before it is lost."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
from attrs import evolve, frozen

import vmplace
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.model.guarantee import Guarantee
from vmplace.synthetic import generate

__all__ = ["COLUMNS", "Cost", "costs", "draw"]

PROMISES: Mapping[str, Guarantee] = {
    "none": Guarantee(failures=0),
    "one node, planned": Guarantee(),
    "one node, first-fit, largest first": Guarantee(policy="first-fit", order="largest-first"),
    "one node, first-fit, as listed": Guarantee(policy="first-fit", order="as-listed"),
    "one node, most-free, as listed": Guarantee(policy="most-free", order="as-listed"),
    "one node, any-order": Guarantee(restart="any-order"),
    "two nodes, planned": Guarantee(failures=2),
    "two nodes, any-order": Guarantee(failures=2, restart="any-order"),
    "two in turn, planned": Guarantee(failures=2, sequence="sequential"),
    "a rack, planned": Guarantee(scope="domain"),
    "a rack, any-order": Guarantee(scope="domain", restart="any-order"),
}

COLUMNS = ("promise", "VMs placed", "share of memory", "at most", "costs", "seconds")


@frozen
class Cost:
    """How many of the VMs of a list can be placed, from its beginning, and how many provably cannot.

    Parameters
    ----------
    promise
        A name in `PROMISES`.
    placed, refused
        The most VMs that were placed, and the fewest that were proved not to fit.
    share, most
        The memory of those placed, and of one fewer than those refused, as a share of all nodes' memory.
    seconds
        For the largest placement.
    """

    promise: str
    placed: int
    refused: int
    share: float
    most: float
    seconds: float

    def row(self, free: "Cost") -> tuple[object, ...]:
        """A line of the table, beside what can be placed if nothing is promised."""
        lost = "" if self is free else f"{free.share - self.share:.1%}"
        return self.promise, self.placed, f"{self.share:.1%}", f"{self.most:.1%}", lost, self.seconds


def costs(*, nodes: int, profile: str, limit: float) -> Iterator[Cost]:
    """For each promise in turn; nodes are in four racks, and each call of `place` takes `limit` seconds at most."""
    cluster = generate(nodes=nodes, fill=1.2, profile=profile, seed=1)
    racks = [evolve(node, domain=f"rack{number * 4 // nodes}") for number, node in enumerate(cluster.nodes)]
    for promise, guarantee in PROMISES.items():
        yield _cost(promise, evolve(cluster, nodes=racks, guarantee=guarantee), limit)


def _cost(promise: str, cluster: Cluster, limit: float) -> Cost:
    found: dict[int, tuple[str, float]] = {}

    def status(number: int) -> str:
        if number not in found:
            with Clock() as clock:
                solution = vmplace.place(evolve(cluster, vms=cluster.vms[:number]), time_limit=limit)
            found[number] = solution.status.value, clock.seconds
        return found[number][0]

    everyone = len(cluster.vms)
    placed = _edge(0, everyone, lambda number: status(number) in ("optimal", "feasible"))[0]
    refused = _edge(placed, everyone, lambda number: status(number) != "infeasible")[1]
    capacity = sum(node.memory for node in cluster.nodes)
    share, most = (sum(vm.memory for vm in cluster.vms[:number]) / capacity for number in (placed, refused - 1))
    return Cost(promise, placed, refused, share, most, found[placed][1])


def _edge(low: int, high: int, holds: Callable[[int], bool]) -> tuple[int, int]:
    """Two numbers next to each other, the lower of which holds and the higher does not: what holds for many does for few."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def draw(found: list[Cost], title: str, picture: Path) -> None:
    """Bars of what is usable under each promise, with what is neither placed nor refused in a lighter colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    names = [cost.promise for cost in found]
    axes.barh(names, [cost.most for cost in found], color="#c6dbef", label="not refuted")
    bars = axes.barh(names, [cost.share for cost in found], color="#2171b5", label="placed")
    axes.bar_label(bars, [f"{cost.share:.1%}" for cost in found], label_type="center", color="white")
    axes.invert_yaxis()
    axes.set_xlim(0.5, 1)
    axes.set_xlabel("share of all nodes' memory that VMs take")
    axes.set_title(title)
    axes.legend(loc="lower right")
    figure.savefig(picture, metadata={"Date": None})
    click.echo(f"drawn: {picture}")
