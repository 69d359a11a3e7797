"""How others judge N+1, each in a few lines: sums, shares, slots, and simulations that do not look back.

Written after what their documentation tells; none is the product itself. The sums are necessary, so their *unsafe* is right;
slots and simulations are sufficient, so their *safe* is right.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heapreplace

from attrs import frozen

from vmplace.cluster import Cluster

__all__ = ["POLICIES", "Hosts"]


@frozen
class Hosts:
    """What the policies see: usable memory of each node, and the sizes of the VMs on each in list order, in MiB."""

    usable: tuple[int, ...]
    sizes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, cluster: Cluster) -> "Hosts":
        """Of a cluster whose VMs all run."""
        sizes: dict[str | None, list[int]] = {node.name: [] for node in cluster.nodes}
        for vm in cluster.vms:
            sizes[vm.node].append(vm.memory)
        return cls(tuple(node.usable for node in cluster.nodes), tuple(map(tuple, sizes.values())))

    @property
    def used(self) -> tuple[int, ...]:
        """Memory taken on each node."""
        return tuple(map(sum, self.sizes))

    def survives(self, restart: Callable[[Sequence[int], list[int]], bool]) -> bool:
        """Whether `restart`, given the sizes on a node and the others' free memory, says yes for every node."""
        free = [usable - used for usable, used in zip(self.usable, self.used, strict=True)]
        return all(restart(sizes, free[:failed] + free[failed + 1 :]) for failed, sizes in enumerate(self.sizes))


def _sums(hosts: Hosts) -> bool:
    """VergeOS, Ansible: what runs is no more than what the nodes have without the largest."""
    return sum(hosts.used) <= sum(hosts.usable) - max(hosts.usable)


def _percentage(hosts: Hosts) -> bool:
    """VMware: a share of all memory is kept free, here one node's of so many."""
    count = len(hosts.usable)
    return sum(hosts.used) * count <= sum(hosts.usable) * (count - 1)


def _slots(hosts: Hosts) -> bool:
    """VMware: a slot takes the largest VM; the nodes without the one with most slots have a slot for each VM."""
    slot = max((size for sizes in hosts.sizes for size in sizes), default=1)
    slots = [usable // slot for usable in hosts.usable]
    return sum(slots) - max(slots) >= sum(map(len, hosts.sizes))


def _worst_fit(hosts: Hosts) -> bool:
    """XenServer: of each failed node, the largest VM first, each where most memory is free."""
    return hosts.survives(_restart_spread)


def _restart_spread(sizes: Sequence[int], free: list[int]) -> bool:
    heap = [-room for room in free]  # the most first
    heapify(heap)
    for size in sorted(sizes, reverse=True):
        if -heap[0] < size:
            return False
        heapreplace(heap, heap[0] + size)
    return True


def _first_fit(hosts: Hosts) -> bool:
    """oVirt: of each failed node, the VMs as listed, each on the first node with room."""
    return hosts.survives(_restart_as_listed)


def _restart_as_listed(sizes: Iterable[int], free: list[int]) -> bool:
    for size in sizes:
        node = next((node for node, room in enumerate(free) if room >= size), None)
        if node is None:
            return False
        free[node] -= size
    return True


POLICIES: Mapping[str, Callable[[Hosts], bool]] = {
    "sums": _sums,
    "percentage": _percentage,
    "slots": _slots,
    "worst-fit": _worst_fit,
    "first-fit": _first_fit,
}
"""Whether each says safe."""
