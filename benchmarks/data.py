"""Readers of real traces, where the folder is there: `VMPLACE_DATA`, or ``shared/data`` beside the checkout."""

import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Together

__all__ = ["FOLDER", "Arrival", "azure_arrivals", "azure_stream", "huawei_racks", "huawei_requests", "huawei_sheet"]

FOLDER = Path(os.environ.get("VMPLACE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Where the traces are."""


@frozen
class Arrival:
    """A VM of a trace: its memory in MiB and how long it ran, in seconds."""

    memory: int
    lifetime: float


def azure_arrivals(count: int, *, nodes: int) -> Cluster:
    """The first arrivals of the development trace, to be started on 448 GiB nodes."""
    vms = [VM(f"vm{i}", memory) for i, memory in enumerate(islice(_azure_memory(), count))]
    return Cluster([Node(f"n{i}", "448GiB") for i in range(nodes)], vms)


def azure_stream() -> list[Arrival]:
    """All arrivals of the development trace, in order.

    Lifetimes are those of the middle of the bins that the trace has them in; of a VM that still ran when the trace ended, how
    long it had run by then.
    """
    bins: dict[int, list[int]] = defaultdict(list)
    for line in (FOLDER / "azure-v1" / "v1.interval_map.txt").read_text().splitlines():
        seconds, number = map(int, line.split())
        bins[number].append(seconds)
    middle = {number: (seconds[0] + seconds[-1]) / 2 + 150 for number, seconds in bins.items()}
    lifetimes = (middle[int(word[1:])] for word in _azure_words("v1.dev.c2100000.txt"))
    return [Arrival(memory, lifetime) for memory, lifetime in zip(_azure_memory(), lifetimes, strict=True)]


def _azure_memory() -> Iterator[int]:
    flavors = {}
    for line in (FOLDER / "azure-v1" / "flav_map.txt").read_text().splitlines():
        size, letter = line.split()
        flavors[letter] = int(float(size.split(",")[1]) * 1024)
    return (flavors[letter] for letter in _azure_words("v1.dev.txt"))


def _azure_words(name: str) -> Iterator[str]:
    """What a trace says of each VM."""
    lines = (FOLDER / "azure-v1" / name).read_text().splitlines()
    return (word for line in lines for word in line.split(" ", 1)[1].split(",") if word not in ("", "|"))


def huawei_requests(sequence: str = "C1", *, nodes: int) -> Cluster:
    """The requests of a sequence, to be started on servers of 256 GiB and 96 processors that are overcommitted threefold.

    The servers are the first of the trace's host table, their racks failure domains; how much memory each of their two NUMA
    nodes has is taken, row by row, from the server table, which names no hosts. Rules:

    - a collocation group is *together*, an anti-collocation group *apart* on nodes;
    - a fault-domain group is *apart* on domains, each VM in a rack of its own: stricter than the trace, where those of one label
      may share a rack;
    - requests of two NUMA nodes are *only on* servers where both have memory;
    - requests of one NUMA node are *not on* servers where neither has as much memory as they ask for.

    A group is a must where that can be: to keep together what one server can take, or apart fewer VMs than there are servers, or
    no more than there are racks. Otherwise it is kept as far as it goes.

    Parameters
    ----------
    sequence
        ``C1``, ``C2`` or ``C3``.
    nodes
        How many servers, up to 1,710.
    """
    requests = [_Request(f"vm{i}", *row) for i, row in enumerate(huawei_sheet(f"VM_data_{sequence}.xlsx"))]
    racks = [int(rack) for _, rack in islice(huawei_racks(), nodes)]
    hosts = [Node(f"host-{i}", "256GiB", domain=f"rack-{rack}", resources={"vcpu": 96}) for i, rack in enumerate(racks)]
    numa = [(int(first), int(second)) for _, first, _, second in islice(huawei_sheet("PM_res.xlsx"), nodes)]
    rules = [*_of_groups(requests, hosts), *_of_numa_nodes(requests, hosts, numa)]
    return Cluster(hosts, [request.vm for request in requests], rules, overcommit={"vcpu": _OVERCOMMIT})


_OVERCOMMIT = 3


@frozen
class _Request:
    """A row of a sequence; memory in GiB."""

    name: str
    processors: int = field(converter=int)
    memory: int = field(converter=int)
    numa_nodes: int = field(converter=int)
    strategy: str | None
    group: object
    label: object

    @property
    def vm(self) -> VM:
        return VM(self.name, f"{self.memory}GiB", resources={"vcpu": self.processors})


def huawei_sheet(name: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, without its header."""
    import openpyxl

    book = openpyxl.load_workbook(FOLDER / "huawei-topology" / name, read_only=True)
    rows = islice(book.active.iter_rows(values_only=True), 1, None)
    return (row for row in rows if row[0] is not None)


def huawei_racks() -> Iterator[tuple[Any, ...]]:
    """Hosts with their racks, without the header: a table in the older format, which openpyxl does not read."""
    import xlrd

    sheet = xlrd.open_workbook(FOLDER / "huawei-topology" / "topology_provider.xls").sheet_by_index(0)
    return (tuple(sheet.row_values(row)) for row in range(1, sheet.nrows))


def _of_groups(requests: list[_Request], hosts: list[Node]) -> Iterator[Rule]:
    groups: dict[tuple[str, object], list[_Request]] = defaultdict(list)
    for request in requests:
        if request.strategy is not None:
            groups[request.strategy, request.group].append(request)
    racks = len({host.domain for host in hosts})
    for (strategy, _), members in groups.items():
        names = tuple(request.name for request in members)
        if len(names) < 2:
            continue
        if strategy == "affinity":
            yield Together(names, must=_fit_on(hosts[0], members))
        elif strategy == "anti-affinity":
            yield Apart(names, must=len(names) < len(hosts))
        else:
            yield Apart(names, scope="domain", must=len(names) <= racks)


def _fit_on(host: Node, members: list[_Request]) -> bool:
    vms = [request.vm for request in members]
    processors = sum(vm.resources["vcpu"] for vm in vms)
    return sum(vm.memory for vm in vms) <= host.usable and processors <= _OVERCOMMIT * host.resources["vcpu"]


def _of_numa_nodes(requests: list[_Request], hosts: list[Node], numa: list[tuple[int, int]]) -> Iterator[Rule]:
    both = tuple(host.name for host, memory in zip(hosts, numa, strict=True) if min(memory) > 0)
    yield OnlyOn(tuple(r.name for r in requests if r.numa_nodes == 2), both)
    for size in sorted({r.memory for r in requests if r.numa_nodes == 1}):
        small = tuple(host.name for host, memory in zip(hosts, numa, strict=True) if max(memory) < size)
        if small:
            yield NotOn(tuple(r.name for r in requests if r.numa_nodes == 1 and r.memory == size), small)
