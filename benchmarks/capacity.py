"""How many more VMs, and how many nodes: time and gap on clusters like real ones."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import click
from attrs import evolve

import vmplace
from benchmarks.data import FOLDER, azure_arrivals
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node
from vmplace.model.guarantee import Guarantee
from vmplace.synthetic import generate

__all__ = ["command"]

_NODES = (32, 200, 1_000)
_SIZES = ("1GiB", "8GiB", "64GiB")
_KINDS = (Node("small", "128GiB", price=1), Node("medium", "256GiB", price=1.9), Node("large", "448GiB", price=3.2))
_WITH_CPUS = (
    Node("compute", "256GiB", price=2.1, resources={"vcpu": 128}),
    Node("memory", "512GiB", price=3.3, resources={"vcpu": 128}),
)


@click.command("capacity")
@click.option("--nodes", "sizes", multiple=True, type=int, default=_NODES, help="Cluster sizes for headroom.")
@click.option("--vms", default=5_000, help="Requests to size a cluster for.")
@click.option("--time-limit", default=10.0, help="Seconds for each call.")
@click.option("--repeat", default=3, help="Runs; the medians count.")
def command(sizes: tuple[int, ...] = _NODES, vms: int = 5_000, time_limit: float = 10.0, repeat: int = 3) -> None:
    """`headroom` on clusters placed by `place`, and `size` for the first requests of a public cloud."""
    show(
        "headroom",
        ("nodes", "profile", "VMs", "fill", "more of", "seconds", "status", "count", "bound", "gap"),
        _headrooms(sizes, time_limit, repeat),
        note="512 GiB nodes, seed 1, placed by greedy; fill is the share of what N+1 allows; VMs that run stay.",
    )
    if not FOLDER.exists():
        click.echo(f"no traces in {FOLDER}: size is left out")
        return
    show(
        "size",
        ("VMs", "nodes of", "asked", "seconds", "status", "nodes", "value", "bound", "gap"),
        _sizes(vms, time_limit, repeat),
        note="Azure requests (public dataset V1, development trace) in order; N+1 unless told otherwise; value: nodes, or price.",
    )


def _headrooms(sizes: tuple[int, ...], time_limit: float, repeat: int) -> Iterator[tuple[object, ...]]:
    for nodes in sizes:
        for profile, fill in (("azure", 0.7), ("azure", 0.9), ("flavors", 0.9)):
            cluster = vmplace.place(generate(nodes=nodes, fill=fill, profile=profile, seed=1), method="greedy").to_document()
            for memory in _SIZES:
                found, seconds = _timed(lambda c=cluster, m=memory: vmplace.headroom(c, m, time_limit=time_limit), repeat)
                gap = "-" if found.gap is None else f"{found.gap:.2%}"
                yield nodes, profile, len(cluster.vms), fill, memory, seconds, found.status, found.count, found.bound, gap


def _sizes(vms: int, time_limit: float, repeat: int) -> Iterator[tuple[object, ...]]:
    plain = azure_arrivals(vms, nodes=2)
    asks: list[tuple[str, str, Cluster, Any, dict[str, Any]]] = [
        *((memory, "", plain, memory, {}) for memory in ("448GiB", "256GiB", "112GiB")),
        ("448GiB", "two failures", evolve(plain, guarantee=Guarantee(failures=2)), "448GiB", {}),
        ("448GiB", "headroom 10 %", evolve(plain, guarantee=Guarantee(headroom=0.1)), "448GiB", {}),
        ("448GiB", "growth 20 %", plain, "448GiB", {"growth": "20%"}),
        ("3 kinds", "cheapest", plain, _KINDS, {}),
        ("3 kinds", "cheapest, few large", plain, _KINDS, {"most": {"large": 10, "medium": 12}}),
        ("2 kinds", "cheapest, with vCPUs", _with_cpus(plain), _WITH_CPUS, {}),
    ]
    for nodes, asked, cluster, node, options in asks:
        found, seconds = _timed(lambda c=cluster, n=node, o=options: vmplace.size(c, n, time_limit=time_limit, **o), repeat)
        value, bound = (_shown(amount) for amount in (found.objective, found.bound))
        gap = "-" if found.gap is None else f"{found.gap:.2%}"
        yield found.n_vms, nodes, asked or "-", seconds, found.status, found.nodes, value, bound, gap


def _with_cpus(cluster: Cluster) -> Cluster:
    """Requests alone, with a processor for each 2 GiB of most, for each 8 GiB of every third; overcommitted twofold."""

    def needs(index: int, vm: VM) -> VM:
        return evolve(vm, node=None, resources={"vcpu": max(1, vm.memory // (8192 if index % 3 == 0 else 2048))})

    return evolve(cluster, nodes=[], vms=[needs(index, vm) for index, vm in enumerate(cluster.vms)], overcommit={"vcpu": 2})


def _timed(call: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """What the last run found, and the median of the seconds."""
    seconds = []
    for _ in range(repeat):
        with Clock() as clock:
            found = call()
        seconds.append(clock.seconds)
    return found, statistics.median(seconds)


def _shown(amount: Any) -> str:
    return "-" if amount is None else f"{float(amount):g}"
