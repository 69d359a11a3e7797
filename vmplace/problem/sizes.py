"""The memory of many VMs, told by size: what sums, slots and ranks need to know of them."""

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.ranking import tally

__all__ = ["SizeCounts"]


@frozen(eq=False)
class SizeCounts:
    """Sizes that occur among some VMs.

    Parameters
    ----------
    values
        In MiB, ascending, shape (n_sizes,).
    counts
        How many VMs have each, shape (n_sizes,).
    """

    values: IntArray
    counts: IntArray

    @classmethod
    def of(cls, memory: IntArray) -> "SizeCounts":
        """The sizes of VMs, shape (n_vms,)."""
        return cls(*tally(memory))

    @property
    def total(self) -> int:
        """All memory, in MiB."""
        return int(self.values @ self.counts)

    @property
    def largest(self) -> int:
        """In MiB; 0 if there is no VM."""
        return int(self.values.max(initial=0))

    def slots(self, size: int) -> int:
        """How many whole slots of a size the VMs fill."""
        return int((self.values // size) @ self.counts)

    def every(self, step: int) -> IntArray:
        """The largest VM's size, and that of each `step`-th after it, shape (ceil(n_vms / step),)."""
        until = np.cumsum(self.counts[::-1])
        return self.values[::-1][np.searchsorted(until, np.arange(0, int(self.counts.sum()), step), side="right")]
