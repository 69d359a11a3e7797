"""Failover plans of many failures as columns."""

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray

__all__ = ["RestartColumns"]


@frozen(eq=False)
class RestartColumns:
    """Where displaced VMs restart, one entry for each failure and VM.

    Parameters
    ----------
    scenario, vm, node
        Of each entry, shape (n_entries,); node -1 for a VM that finds no room, or is stopped to make some.
    """

    scenario: IntArray
    vm: IntArray
    node: IntArray

    @classmethod
    def of(cls, scenario: int, vms: IntArray, nodes: IntArray) -> "RestartColumns":
        """Of one failure."""
        return cls(np.full(len(vms), scenario), vms, nodes)

    @classmethod
    def joined(cls, parts: "list[RestartColumns]") -> "RestartColumns":
        """Of several."""
        none = np.zeros(0, dtype=np.int64)
        columns = zip(*((part.scenario, part.vm, part.node) for part in parts), strict=True) if parts else [[none]] * 3
        return cls(*(np.concatenate(column) for column in columns))

    def __getitem__(self, chosen: BoolArray | IntArray) -> "RestartColumns":
        return RestartColumns(self.scenario[chosen], self.vm[chosen], self.node[chosen])
