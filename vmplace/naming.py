"""The way back from a problem's indices to the cluster's names."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.cluster import Cluster
from vmplace.columns import IntArray, names_of
from vmplace.problem import Binding, Problem

__all__ = ["Names"]


@frozen(eq=False)
class Names:
    """The way back from a problem's indices to the cluster's names."""

    cluster: Cluster
    problem: Problem

    def node(self, index: int) -> str:
        """A node's name."""
        return self._nodes[index]

    def vm(self, index: int) -> str:
        """A VM's name."""
        return self._vms[int(self.problem.original[index])]

    def vms(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The names of many VMs."""
        original = self.problem.original.tolist()
        return tuple(self._vms[original[index]] for index in indices)

    @cached_property
    def _nodes(self) -> Sequence[str]:
        return names_of(self.cluster.nodes)

    @cached_property
    def _vms(self) -> Sequence[str]:
        return names_of(self.cluster.vms)

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
        where = self.cluster.vm_columns.node.copy()
        where[self.problem.original] = -1
        return where
