"""Readers of real traces, where the folder is there: `VMPLACE_DATA`, or ``shared/data`` beside the checkout."""

import os
from collections import defaultdict
from itertools import islice
from pathlib import Path

from vmplace.cluster import Cluster
from vmplace.model import VM, Apart, Node, Rule, Together

__all__ = ["FOLDER", "azure_arrivals", "huawei_requests"]

FOLDER = Path(os.environ.get("VMPLACE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Where the traces are."""


def azure_arrivals(count: int, *, nodes: int) -> Cluster:
    """The first arrivals of the development trace, to be started on 448 GiB nodes."""
    flavors = {}
    for line in (FOLDER / "azure-v1" / "flav_map.txt").read_text().splitlines():
        size, letter = line.split()
        flavors[letter] = f"{size.split(',')[1]}GiB"
    trace = (FOLDER / "azure-v1" / "v1.dev.txt").read_text().splitlines()
    arrivals = (letter for line in trace for letter in line.split(" ", 1)[1].split(",") if letter in flavors)
    vms = [VM(f"vm{i}", flavors[letter]) for i, letter in enumerate(islice(arrivals, count))]
    return Cluster([Node(f"n{i}", "448GiB") for i in range(nodes)], vms)


def huawei_requests(*, nodes: int, node_memory: str = "256GiB") -> Cluster:
    """The requests of the first sequence, with its collocation and anti-collocation groups as rules.

    A group is a must where one node could take it; what no node could is kept as far as it goes: a collocation group larger
    than a node, or an anti-collocation group with as many VMs as nodes, is not a must.
    """
    import openpyxl

    book = openpyxl.load_workbook(FOLDER / "huawei-topology" / "VM_data_C1.xlsx", read_only=True)
    requests = [row for row in islice(book.active.iter_rows(values_only=True), 1, None) if row[1] is not None]
    groups: dict[tuple[str, object], list[VM]] = defaultdict(list)
    vms = []
    for number, (_, memory, _, strategy, group, _) in enumerate(requests):
        vms.append(VM(f"vm{number}", f"{int(memory)}GiB"))
        if strategy in ("affinity", "anti-affinity"):
            groups[strategy, group].append(vms[-1])
    hosts = [Node(f"n{i}", node_memory) for i in range(nodes)]
    rules: list[Rule] = []
    for (strategy, _), members in groups.items():
        names = tuple(vm.name for vm in members)
        if strategy == "affinity":
            rules.append(Together(names, must=sum(vm.memory for vm in members) <= hosts[0].usable))
        else:
            rules.append(Apart(names, must=len(members) < nodes))
    return Cluster(hosts, vms, [rule for rule in rules if len(rule.vms) > 1])  # type: ignore[arg-type]
