"""Greedy repairs against the exact optimum where that can be had, and against the bound where it cannot."""

from collections.abc import Iterator

import click
import numpy as np

import vmplace
from benchmarks.instances import Instance
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.results.placement import Solution

__all__ = ["command", "strewn"]

_SMALL = {
    "flavors": [*((nodes, fill) for nodes in (16, 32, 64) for fill in (0.8, 0.9, 0.97)), (128, 0.9), (200, 0.8)],
    "azure": [(16, 0.97), (32, 0.97), (64, 0.97)],
    "uniform": [(16, 0.9), (32, 0.9)],
    "big-vms": [(16, 0.8), (32, 0.8)],
}
_LARGE = {"flavors": (0.9, 0.95, 0.97), "azure": (0.97,), "uniform": (0.9, 0.97)}
_BROKEN = 400


@click.command("repair")
@click.option("--nodes", "sizes", multiple=True, type=int, default=(2_000, 5_000, 10_000), help="Large clusters' sizes.")
@click.option("--seed", default=1)
@click.option("--time-limit", "limit", default=60.0, help="Seconds for the exact search.")
def command(sizes: tuple[int, ...] = (2_000, 5_000, 10_000), seed: int = 1, limit: float = 60.0) -> None:
    """`repair(method="greedy")` of worst-fit spreads and of what broke on a few nodes; GiB migrated, the whole call."""
    show(
        "greedy repair of a worst-fit spread against the optimum",
        ("nodes", "VMs", "profile", "fill", "greedy GiB", "greedy s", "auto GiB", "auto s", "status", "bound GiB", "ratio"),
        (_compared(_spread(nodes, profile, fill, seed), limit) for profile, ones in _SMALL.items() for nodes, fill in ones),
        note=f"512 GiB nodes, seed {seed}; auto: {limit:g} s at most; ratio: greedy's GiB to auto's.",
    )
    show(
        "greedy repair of many nodes",
        ("nodes", "VMs", "profile", "fill", "placed", "greedy GiB", "VMs moved", "seconds", "bound GiB", "guarantee"),
        (row for nodes in sizes for row in _large(nodes, seed)),
        note=f"512 GiB nodes, seed {seed}; strewn: safe until {_BROKEN} VMs moved to random nodes with room.",
    )


def _spread(nodes: int, profile: str, fill: float, seed: int) -> Instance:
    return Instance(nodes=nodes, profile=profile, fill=fill, seed=seed, objective="moves", limit=60)


def _compared(instance: Instance, limit: float) -> tuple[object, ...]:
    cluster = instance.cluster()
    with Clock() as quick:
        greedy = vmplace.repair(cluster, method="greedy")
    with Clock() as slow:
        exact = vmplace.repair(cluster, time_limit=limit)
    ours, least = _gib(greedy), _gib(exact)
    ratio = "-" if ours is None or not least else f"{ours / least:.2f}"
    told = (_text(ours), quick.seconds, _text(least), slow.seconds, str(exact.status), _text(_gib(exact, bound=True)), ratio)
    return instance.nodes, len(cluster.vms), instance.profile, f"{instance.fill:.2f}", *told


def _large(nodes: int, seed: int) -> Iterator[tuple[object, ...]]:
    for profile, fills in _LARGE.items():
        for fill in fills:
            instance = _spread(nodes, profile, fill, seed)
            yield _timed(instance, "worst-fit", instance.cluster())
        yield _timed(instance, "strewn", strewn(instance))


def _timed(instance: Instance, placed: str, cluster: Cluster) -> tuple[object, ...]:
    with Clock() as clock:
        solution = vmplace.repair(cluster, method="greedy")
    what = instance.nodes, len(cluster.vms), instance.profile, f"{instance.fill:.2f}", placed
    told = _text(_gib(solution)), len(solution.migrations), clock.seconds, _text(_gib(solution, bound=True))
    return *what, *told, str(solution.guarantee)


def strewn(instance: Instance) -> Cluster:
    """Placed safely by greedy; then some VMs have moved to random nodes that had room."""
    spread = instance.cluster()
    memory, usable = np.array([vm.memory for vm in spread.vms]), np.array([node.usable for node in spread.nodes])
    waiting = Cluster.from_arrays(node_memory=usable, vm_memory=memory)
    node_of = np.array(vmplace.place(waiting, method="greedy").node_of)
    load = np.bincount(node_of, memory, len(usable)).astype(np.int64)
    random = np.random.Generator(np.random.PCG64(instance.seed))
    # Half of them to where holes are, else little would break.
    roomiest = np.argsort(load)[:40]
    for number, vm in enumerate(random.permutation(len(memory))[:_BROKEN].tolist()):
        node = int(random.choice(roomiest) if number % 2 else random.integers(len(usable)))
        if load[node] + memory[vm] <= usable[node]:
            load[node_of[vm]] -= memory[vm]
            node_of[vm], load[node] = node, load[node] + memory[vm]
    return Cluster.from_arrays(node_memory=usable, vm_memory=memory, vm_node=node_of)


def _gib(solution: Solution, *, bound: bool = False) -> float | None:
    value = solution.bound if bound else solution.objective
    return None if value is None else float(value) / 1024  # type: ignore[arg-type]


def _text(gib: float | None) -> str:
    return "-" if gib is None else f"{gib:.1f}"
