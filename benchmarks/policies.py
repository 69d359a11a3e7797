"""How others judge N+1: the policies of `vmplace.failover.platforms`, as judges of clusters in which every VM runs."""

from collections.abc import Callable, Mapping
from functools import partial

from attrs import evolve, field, frozen

from vmplace.failover.certify import certify
from vmplace.failover.platforms import COUNTING, SIMULATIONS, Capacity, CountingPolicy, Simulation
from vmplace.model.cluster import Cluster
from vmplace.problem.compile import compile_problem
from vmplace.problem.problem import Problem
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["POLICIES", "Hosts"]


@frozen
class Hosts:
    """What the policies see: usable memory of each node, and the sizes of the VMs on each in list order, in MiB.

    `problem` and `pools` are the same in arrays, made beforehand: not what is measured.
    """

    usable: tuple[int, ...]
    sizes: tuple[tuple[int, ...], ...]
    problem: Problem = field(init=False, eq=False, repr=False)
    pools: Mapping[str, Capacity] = field(init=False, eq=False, repr=False)

    @problem.default
    def _problem(self) -> Problem:
        memory = [size for on_node in self.sizes for size in on_node]
        node = [node for node, on_node in enumerate(self.sizes) for _ in on_node]
        return compile_problem(Cluster.from_arrays(node_memory=self.usable, vm_memory=memory, vm_node=node))

    @pools.default
    def _pools(self) -> Mapping[str, Capacity]:
        return {str(number): pool for number, pool in Capacity.of(self.problem).items()}

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


def _counts(policy: CountingPolicy, hosts: Hosts) -> bool:
    return policy.says(hosts.pools)[0] is Status.SAFE


def _simulates(simulation: Simulation, hosts: Hosts) -> bool:
    asked = evolve(hosts.problem, guarantee=simulation.promise(hosts.problem.guarantee))
    return certify(asked, asked.node_of, budget=Budget(), losses=False, stop_early=True).safe


POLICIES: Mapping[str, Callable[[Hosts], bool]] = {
    **{policy.policy: partial(_counts, policy) for policy in COUNTING},
    **{simulation.policy: partial(_simulates, simulation) for simulation in SIMULATIONS if simulation.promises},
}
"""Whether each says safe."""
