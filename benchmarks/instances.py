"""What the exact core is asked: clusters by name and seed, each with its objective and its time limit."""

from collections.abc import Callable, Iterator
from random import Random

import attrs
import numpy as np
from attrs import field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.entities import Apart, OnlyOn, Rule, Together
from vmplace.synthetic import PLACED, generate

__all__ = ["Instance", "balances", "many_sizes", "odd_sizes", "repairs", "under_rules", "uneven"]

_NODE = 512 * 1024


@frozen(kw_only=True)
class Instance:
    """A cluster and what is asked of it.

    Parameters
    ----------
    nodes, profile, fill, seed
        As for `generate`, or as told by the table's note.
    objective
        ``moves`` (a repair of what runs) or ``balance`` (everything waits).
    limit
        Seconds that a call may take.
    make
        Makes the cluster from the instance.
    """

    nodes: int
    profile: str
    fill: float
    objective: str
    limit: float
    seed: int = 1
    make: Callable[["Instance"], Cluster] = field(default=lambda instance: instance.generated())

    def cluster(self) -> Cluster:
        """The cluster, made anew."""
        return self.make(self)

    @property
    def asked(self) -> str:
        """What is asked, in a word."""
        return "repair" if self.objective == "moves" else self.objective

    def generated(self, *, mixed: bool = False) -> Cluster:
        """By `generate`: a worst-fit spread to repair, or all VMs waiting."""
        placed = "worst-fit" if self.objective == "moves" else "none"
        return generate(nodes=self.nodes, fill=self.fill, profile=self.profile, seed=self.seed, placed=placed, mixed=mixed)


def repairs(seed: int) -> Iterator[Instance]:
    """Worst-fit spreads to repair."""
    spreads = [(nodes, fill) for nodes in (8, 16, 32, 64) for fill in (0.8, 0.9, 0.97)]
    for nodes, fill in [*spreads, (128, 0.9), (200, 0.8)]:
        yield Instance(seed=seed, nodes=nodes, profile="flavors", fill=fill, objective="moves", limit=120 if nodes == 128 else 60)
    for nodes in (16, 32, 64):
        yield Instance(seed=seed, nodes=nodes, profile="azure", fill=0.97, objective="moves", limit=60)


def balances(seed: int) -> Iterator[Instance]:
    """Nearly full clusters to place from nothing."""
    fills = {**dict.fromkeys((8, 16, 32, 64), (0.95, 0.97, 0.99)), **dict.fromkeys((128, 200), (0.97, 0.99))}
    for nodes, of_nodes in fills.items():
        for fill in of_nodes:
            yield Instance(
                seed=seed, nodes=nodes, profile="flavors", fill=fill, objective="balance", limit=30 if nodes <= 64 else 60
            )
    for nodes in (32, 64):
        yield Instance(seed=seed, nodes=nodes, profile="azure", fill=0.97, objective="balance", limit=30)


def many_sizes(seed: int) -> Iterator[Instance]:
    """1,500 VMs of as many sizes, to repair in little and in more time."""
    for limit in (5, 60):
        yield Instance(seed=seed, nodes=64, profile="odd sizes", fill=0.9, objective="moves", limit=limit, make=odd_sizes)


def uneven(seed: int) -> Iterator[Instance]:
    """Nodes of three sizes, and VMs under rules."""
    makers = {"flavors, mixed nodes": _mixed, "flavors, rules": under_rules}
    for profile, make in makers.items():
        for objective in ("moves", "balance"):
            for nodes in (16, 32):
                yield Instance(seed=seed, nodes=nodes, profile=profile, fill=0.9, objective=objective, limit=60, make=make)


def _mixed(instance: Instance) -> Cluster:
    return attrs.evolve(instance, profile="flavors").generated(mixed=True)


def odd_sizes(instance: Instance, *, vms: int = 1_500, least: float = 1.5, greatest: float = 80.0) -> Cluster:
    """No two VMs of one size: log-uniform from 1.5 to 80 GiB before they are scaled to the fill; placed worst-fit decreasing."""
    random = Random(instance.seed)
    drawn = [least * (greatest / least) ** random.random() for _ in range(vms)]
    total = instance.fill * (instance.nodes - 1) * _NODE
    memory: list[int] = []
    for share in sorted(drawn):
        memory.append(max(int(share * total / sum(drawn)), memory[-1] + 1 if memory else 1))
    random.shuffle(memory)
    usable = np.full(instance.nodes, _NODE)
    where = PLACED["worst-fit"](usable, np.array(memory))
    return Cluster.from_arrays(node_memory=usable, vm_memory=memory, vm_node=where)


def under_rules(instance: Instance) -> Cluster:
    """Flavours, one VM in five under a must: apart pairs and triples, together pairs, only-on a third of the nodes."""
    cluster = attrs.evolve(instance, profile="flavors").generated()
    return attrs.evolve(cluster, rules=list(_rules(cluster, Random(instance.seed))))


def _rules(cluster: Cluster, random: Random) -> Iterator[Rule]:
    """About a quarter of these VMs for each kind; none is larger than 32 GiB, so that one node can take two."""
    names = [vm.name for vm in cluster.vms if vm.memory <= _NODE // 16]
    each = len(cluster.vms) // 20
    chosen = iter(random.sample(names, 4 * each))
    for size, kind in ((2, Apart), (3, Apart), (2, Together)):
        for _ in range(each // size):
            yield kind(tuple(next(chosen) for _ in range(size)))
    third = tuple(node.name for node in list(cluster.nodes)[: len(cluster.nodes) // 3])
    yield OnlyOn(tuple(chosen), third)
