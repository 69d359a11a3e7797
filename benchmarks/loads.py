"""One cloud with more and more of what it has: memory only, vCPUs that cannot bind or do, rules, all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.labels import Labels
from vmplace.synthetic import generate

__all__ = ["IDLE", "LOADS", "MEMORY", "SCARCE", "loads"]

MEMORY, VCPU_IDLE, VCPU, RULES, ALL = LOADS = ("memory", "vCPU, idle", "vCPU", "rules", "all")
"""The loads, the one that the others are compared with first."""

SCARCE, IDLE = 2.25, 8
"""vCPUs per processor thread: as scarce as memory, and more than a node full of any flavour takes."""


def loads(nodes: int, fill: float, *, seed: int, overcommit: float = SCARCE) -> Mapping[str, Cluster]:
    """The same VMs on the same nodes, by load; VMs that are to wait are stopped, since a cluster in which VMs wait is unsafe.

    ``vCPU, idle`` has so many vCPUs that memory alone binds; with ``vCPU`` and ``all`` they are what `overcommit` says.
    ``rules`` are groups on nodes and racks, and licences. ``all`` has all of it, GPUs and priorities.
    """
    cloud = generate(nodes=nodes, fill=fill, profile="cloud", seed=seed, overcommit=overcommit)
    hosts, vms = cloud.nodes, evolve(cloud.vms, running=cloud.vms.running & (cloud.vms.node >= 0))
    bare = _only(NodeColumns, hosts, "memory", "names"), _only(VMColumns, vms, *_PLACED)
    with_vcpus = evolve(bare[0], resources=_vcpus(hosts)), evolve(bare[1], resources=_vcpus(vms))
    of_rules = evolve(bare[0], domain=hosts.domain, tags=hosts.tags), evolve(bare[1], tags=vms.tags)
    return {
        MEMORY: Cluster(*bare),
        VCPU_IDLE: Cluster(*with_vcpus, overcommit={"vcpu": IDLE}),
        VCPU: Cluster(*with_vcpus, overcommit=cloud.overcommit),
        RULES: Cluster(*of_rules, cloud.rules),
        ALL: Cluster(hosts, vms, cloud.rules, overcommit=cloud.overcommit),
    }


_PLACED = ("memory", "node", "names", "node_names", "running")


def _only(kind: type[Any], columns: Any, *keys: str) -> Any:
    return kind(**{key: getattr(columns, key) for key in keys})


def _vcpus(columns: NodeColumns | VMColumns) -> Labels[Mapping[str, int]]:
    counts, code = np.unique(columns.amounts()["vcpu"], return_inverse=True)
    return Labels(tuple({"vcpu": count} for count in counts.tolist()), code.astype(np.int64))
