"""All ways in which the VMs that a failure displaces restart, and whether there is one at all."""

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import define

from vmplace.auditor.failures import Failure, WorkLimit
from vmplace.model.columns import IntArray

__all__ = ["Restarts", "is_impossible"]


@define(eq=False)
class Restarts:
    """The restarts of one failure, VM by VM: the largest first, VMs of one kind in ascending order of their nodes.

    Parameters
    ----------
    failure, effort
        What fails, and the states that may be visited.
    """

    failure: Failure
    effort: WorkLimit

    def of(self, vms: Sequence[int]) -> Iterator[dict[int, int]]:
        """Every way in which all of these that must restart do; of the others, some may."""
        memory, kind = self.failure.all.case.memory.demand, self.failure.all.kind
        order = sorted(vms, key=lambda v: (-int(memory[v]), kind[v]))
        yield from self._extend(order, {}, self.failure.free)

    def _extend(self, vms: list[int], restarts: dict[int, int], free: IntArray) -> Iterator[dict[int, int]]:
        self.effort.spend()
        if len(restarts) == len(vms):
            yield {v: i for v, i in restarts.items() if i >= 0}
            return
        failure, kind = self.failure, self.failure.all.kind
        v, made = vms[len(restarts)], {u: i for u, i in restarts.items() if i >= 0}
        twin = vms[len(restarts) - 1] if restarts else v
        least = restarts.get(twin, -1) if kind[twin] == kind[v] else -1
        for place in np.flatnonzero(failure.fitting(v, free, made)).tolist():
            i = int(failure.nodes[place])
            if i >= least:
                left = free.copy()
                left[:, place] -= failure.all.demand[:, v]
                yield from self._extend(vms, {**restarts, v: i}, left)
        if not failure.all.case.must[v] and least < 0:
            yield from self._extend(vms, {**restarts, v: -1}, free)


def is_impossible(failure: Failure) -> bool:
    """Whether sums or slots show that not all that must restart can, whatever rules say."""
    musts, shared = failure.musts, failure.all
    for demand, free in zip(shared.demand[:, musts], np.maximum(failure.free, 0), strict=True):
        if int(demand.sum()) > int(free.sum()):
            return True
        for size in np.unique(demand[demand > 0]).tolist():
            if int((demand // size).sum()) > int((free // size).sum()):
                return True
    return False
