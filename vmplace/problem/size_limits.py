"""The largest VM that each node takes (`Node.max_vm`), compiled to must-rules that bar the VMs that are larger."""

from collections.abc import Iterator

import numpy as np

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.units import spell_memory
from vmplace.problem.rules import CompiledRule

__all__ = ["barred_by_size", "size_limits"]


_SHOWN = 3


def size_limits(cluster: Cluster, original: IntArray) -> list[CompiledRule]:
    """A rule for each limit that some VM exceeds; its own memory counts, without the overhead.

    Parameters
    ----------
    original
        Index of each VM of the problem in the cluster, shape (n_vms,).
    """
    found: list[CompiledRule] = []
    for name, most in _limits(cluster):
        amounts = _amounts(cluster, name)[original]
        for limit in np.unique(most[most >= 0]).tolist():
            too_large, index = np.flatnonzero(amounts > limit), len(cluster.rules) + len(found)
            rule = CompiledRule(index, "max-vm", too_large, most != limit, None, must=True, weight=1, during_failover=True)
            found += [rule] if rule.binds else []
    return found


def barred_by_size(cluster: Cluster, index: int) -> str:
    """Of which resource a VM has more than some nodes take, and which those are; empty if it is small enough for all."""
    for name, most in _limits(cluster):
        amount = int(_amounts(cluster, name)[index])
        barred = np.flatnonzero((most >= 0) & (most < amount))
        if len(barred):
            size = spell_memory(amount) if name == "memory" else f"{amount} {name}"
            if len(barred) == len(most):
                return f"no node takes a VM of {size}: max_vm"
            which = ", ".join(cluster.nodes.names[node] for node in barred[:_SHOWN].tolist())
            which += f" and {len(barred) - _SHOWN} more" if len(barred) > _SHOWN else ""
            return f"{which} {'does' if len(barred) == 1 else 'do'} not take a VM of {size}: max_vm"
    return ""


def _limits(cluster: Cluster) -> Iterator[tuple[str, IntArray]]:
    """Each resource that some node limits, with the limit of each node, -1 for none, shape (n_nodes,)."""
    words, code = cluster.nodes.max_vm.words, cluster.nodes.max_vm.code
    for name in dict.fromkeys(name for word in words for name in word):
        yield name, np.array([word.get(name, -1) for word in words], dtype=np.int64)[code]


def _amounts(cluster: Cluster, name: str) -> IntArray:
    """What each VM has of a resource, shape (n_vms of the cluster,)."""
    if name == "memory":
        return cluster.vms.memory
    return cluster.vms.amounts().get(name, np.broadcast_to(np.int64(0), len(cluster.vms)))
