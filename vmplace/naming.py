"""The way back from a problem's indices to the cluster's names."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.cluster import Cluster
from vmplace.columns import IntArray, NodeColumns, VMColumns
from vmplace.problem import Binding, Problem

__all__ = ["Names"]


@frozen(eq=False)
class Names:
    """The way back from a problem's indices to the cluster's names."""

    cluster: Cluster
    problem: Problem

    def node(self, index: int) -> str:
        """A node's name."""
        nodes = self.cluster.nodes
        return nodes.names[index] if isinstance(nodes, NodeColumns) else nodes[index].name

    def vm(self, index: int) -> str:
        """A VM's name."""
        vms, original = self.cluster.vms, int(self.problem.original[index])
        return vms.names[original] if isinstance(vms, VMColumns) else vms[original].name

    def vms(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The names of many VMs."""
        names = self._active
        return tuple(names[index] for index in indices)

    @cached_property
    def _active(self) -> list[str]:
        """The names of the problem's VMs."""
        vms = self.cluster.vms
        names = list(vms.names) if isinstance(vms, VMColumns) else [vm.name for vm in vms]
        return [names[index] for index in self.problem.original.tolist()]

    def rule(self, binding: Binding) -> str:
        """A rule's kind as the document has it."""
        return self.cluster.rules[binding.rule].kind

    def column(self, of_vms: IntArray) -> IntArray:
        """A column over the problem's VMs as one over the cluster's; -1 for those that are stopped."""
        if len(of_vms) == len(self.cluster.vms):
            return of_vms
        column = np.full(len(self.cluster.vms), -1, dtype=np.int64)
        column[self.problem.original] = of_vms
        return column

    def hosts(self, node_of: IntArray) -> IntArray:
        """A placement over the cluster's VMs: those that are stopped keep their node."""
        column = self.column(node_of)
        if len(node_of) < len(column):
            column = np.where(self._stopped_on >= 0, self._stopped_on, column)
        return column

    @cached_property
    def _stopped_on(self) -> IntArray:
        nodes = NodeColumns.holding(self.cluster.nodes)
        where = VMColumns.holding(self.cluster.vms, nodes.names).node.copy()
        where[self.problem.original] = -1
        return where
