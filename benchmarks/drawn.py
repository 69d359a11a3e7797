"""Random placed clusters, near the edge of N+1, as columns; and the same with VMs elsewhere, or with one more."""

from collections.abc import Iterator
from itertools import count, islice
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.synthetic import PROFILES, generate
from vmplace.synthetic.wanted import CLOUD

__all__ = ["drawn", "free_memory", "joined", "node_of", "placed_at", "placed_by", "sizes"]

_PLACED = ("worst-fit", "best-fit", "greedy", "drifted")
_PROFILES = sorted({*PROFILES} - {CLOUD})
_LEAST_NODES = 8
_FILLS = (70, 97)
"""In per cent of what N+1 allows."""


def drawn(number: int, *, most_nodes: int, seed: int) -> Iterator[Cluster]:
    """So many clusters of 8 nodes or more in which every VM runs; one in four has nodes of three sizes."""
    random = Random(seed)
    made = (_draw(random, most_nodes, number) for number in count())
    return islice((cluster for cluster in made if (node_of(cluster) >= 0).all()), number)


def _draw(random: Random, most_nodes: int, seed: int) -> Cluster:
    return placed_by(
        random.choice(_PLACED),
        nodes=random.randint(_LEAST_NODES, most_nodes),
        profile=random.choice(_PROFILES),
        fill=random.randint(*_FILLS) / 100,
        mixed=random.random() < 1 / 4,
        seed=seed,
    )


def placed_by(placed: str, **wanted: Any) -> Cluster:
    """As `generate` makes it, with two ways to place besides its own; VMs that those find no node for wait.

    ``greedy`` is vmplace's, with its guarantee; ``drifted`` is greedy's after one VM in ten, one after another, has
    migrated to a node with room.
    """
    if placed not in ("greedy", "drifted"):
        return generate(placed=placed, **wanted)
    solution = vmplace.place(generate(**wanted), method="greedy")
    if solution.placement is None:
        return solution.cluster
    cluster = solution.to_document()
    return cluster if placed == "greedy" else _drifted(cluster, Random(wanted["seed"]))


def _drifted(cluster: Cluster, random: Random) -> Cluster:
    memory, where, free = (column.tolist() for column in (sizes(cluster), node_of(cluster), free_memory(cluster)))
    for vm in random.sample(range(len(memory)), len(memory) // 10):
        size, source = memory[vm], where[vm]
        where[vm] = target = random.choice([source, *(node for node, room in enumerate(free) if room >= size)])
        free[source] += size
        free[target] -= size
    return placed_at(cluster, where)


def sizes(cluster: Cluster) -> IntArray:
    """Memory of each VM in MiB, shape (n_vms,)."""
    return np.array([vm.memory for vm in cluster.vms])


def node_of(cluster: Cluster) -> IntArray:
    """Index of each VM's node, -1 for one that waits, shape (n_vms,)."""
    index: dict[str | None, int] = {node.name: number for number, node in enumerate(cluster.nodes)}
    return np.array([index.get(vm.node, -1) for vm in cluster.vms])


def free_memory(cluster: Cluster) -> IntArray:
    """Of each node in MiB, shape (n_nodes,); every VM runs."""
    free = np.array([node.usable for node in cluster.nodes])
    np.subtract.at(free, node_of(cluster), sizes(cluster))
    return free


def placed_at(cluster: Cluster, where: npt.ArrayLike) -> Cluster:
    """The same VMs on these nodes, by index."""
    return Cluster.from_arrays(node_memory=[node.usable for node in cluster.nodes], vm_memory=sizes(cluster), vm_node=where)


def joined(cluster: Cluster, *, memory: int, node: int = -1) -> Cluster:
    """The same with one more VM, the last, on a node; -1: it waits."""
    return Cluster.from_arrays(
        node_memory=[node.usable for node in cluster.nodes],
        vm_memory=[*sizes(cluster), memory],
        vm_node=[*node_of(cluster), node],
    )
