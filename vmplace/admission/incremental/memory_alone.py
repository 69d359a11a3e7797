"""Where memory alone binds: clusters that are kept live, and the VMs that leave it so."""

from collections.abc import Mapping
from fractions import Fraction

from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.problem.compile import compile_problem
from vmplace.problem.presolve import most_memory, most_per_memory, presolved
from vmplace.problem.problem import Problem

__all__ = ["MemoryAlone"]


@frozen(eq=False)
class MemoryAlone:
    """What VMs may ask for beside memory, so that memory alone binds them.

    Parameters
    ----------
    most
        By pool, the further resources that memory implies, with the most of each that a VM may ask for per MiB.
    """

    most: Mapping[str, Mapping[str, Fraction]]

    @classmethod
    def of(cls, cluster: Cluster) -> "tuple[MemoryAlone, Problem] | None":
        """That of a cluster, which is compiled; None if more than memory binds it, or more fails than single nodes by name."""
        whole = compile_problem(cluster)
        problem = presolved(whole)
        if not _nothing_else(cluster, problem):
            return None
        pools, bound, most = cluster.pools, most_memory(whole), dict[str, dict[str, Fraction]]()
        for number in whole.pools if whole.resources else ():
            mine = whole.pool == number
            ratios = (most_per_memory(amounts, bound[mine]) for amounts in whole.capacity[mine, 1:].T)
            named = zip(whole.resources, ratios, strict=True)
            most[pools[number]] = {name: ratio for name, ratio in named if ratio is not None}
        return cls(most), problem

    def binds(self, vm: VM) -> bool:
        """Whether memory alone binds a VM, on one node."""
        return self.binds_once_started(vm) and vm.target is None

    def binds_once_started(self, vm: VM) -> bool:
        """Whether it will once it is started: a live migration that it was in has ended then."""
        if vm.evictable:
            return False
        most = self.most.get(vm.pool, {})
        return all(name in most and amount <= most[name] * vm.charged for name, amount in vm.resources.items())


def _nothing_else(cluster: Cluster, problem: Problem) -> bool:
    """Whether only memory counts, and single nodes fail, under their own names."""
    alone = problem.guarantee.scope == "node" or bool(cluster.nodes.domain.are("").all())
    nothing_else = (
        not cluster.rules
        and not any(cluster.nodes.max_vm.words)
        and not problem.resources
        and not problem.evictable.any()
        and not problem.n_incoming
    )
    return problem.failures == 1 and problem.plain and alone and nothing_else and problem.guarantee.quorum is None
