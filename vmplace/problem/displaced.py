"""VMs by the failures that displace them."""

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.sizes import ranges, ranked

__all__ = ["Displaced"]


@frozen(eq=False)
class Displaced:
    """Some VMs by the unit of nodes whose failure displaces them.

    Parameters
    ----------
    scenarios
        Failures.
    memory
        Of each VM of the problem, in MiB, shape (n_vms,).
    order
        The VMs by unit, and largest first in each.
    start
        ``order[start[u]:start[u + 1]]`` is displaced when unit u fails, shape (n_units + 1,).
    """

    scenarios: Scenarios
    memory: IntArray
    order: IntArray
    start: IntArray

    @classmethod
    def of(cls, problem: Problem, scenarios: Scenarios, node_of: IntArray, vms: IntArray | None = None) -> "Displaced":
        """Of some placed VMs; None for all."""
        unit = problem.unit[node_of if vms is None else node_of[vms]]
        order = ranked(unit, -(problem.memory if vms is None else problem.memory[vms]))
        count = np.bincount(unit, minlength=len(problem.unit_pool))
        start = np.concatenate(([0], np.cumsum(count)))
        return cls(scenarios, problem.memory, order if vms is None else vms[order], start)

    def by(self, scenarios: IntArray) -> tuple[IntArray, IntArray]:
        """The VMs that some scenarios displace, one scenario after the other, largest first in each; how many each has."""
        units = self.scenarios.units[scenarios]
        start = np.append(self.start, self.start[-1])  # the last two are for unit -1: no VM
        first, count = start[units], start[units + 1] - start[units]
        count[units < 0] = 0
        vms, counts = self.order[ranges(first.ravel(), count.ravel())], count.sum(axis=1)
        if not self.scenarios.simple:
            vms = vms[ranked(np.repeat(np.arange(len(scenarios)), counts), -self.memory[vms])]
        return vms, counts
