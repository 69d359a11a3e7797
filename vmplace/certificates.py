"""Failures that are survived, told for all nodes at once in a few array passes, without a plan."""

from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import BoolArray
from vmplace.standing import Standing

__all__ = ["Certificates"]


@frozen(eq=False)
class _Pool:
    """A pool's targets, and the failures there that displace something.

    Parameters
    ----------
    standing
        The placement.
    step
        A common divisor of all VMs' memory, in MiB.
    failing
        Nodes.
    targets
        Nodes, those with least free memory first.
    free, above
        Free memory of the targets in whole steps; the sum of it from each on, shape (n_targets + 1,).
    most
        What the failures displace at most, in MiB.
    """

    standing: Standing
    step: int
    failing: IntArray
    targets: IntArray
    free: IntArray
    above: IntArray
    most: int

    @classmethod
    def of(cls, standing: Standing, failing: BoolArray, pool: int, step: int) -> "_Pool":
        """A pool with the failures to look at, shape (n_nodes,)."""
        targets = np.flatnonzero(standing.target & (standing.problem.pool == pool))
        free = standing.free[targets] // step * step
        ascending = np.argsort(free)
        above = np.concatenate((np.cumsum(free[ascending][::-1])[::-1], [0]))
        most = int(standing.displaced[failing].max(initial=0))
        return cls(standing, step, np.flatnonzero(failing), targets[ascending], free[ascending], above, most)

    def stranding(self, size: IntArray, free: IntArray) -> IntArray:
        """How much restarted memory it takes at least until no target but the failed one has room for a VM of a size.

        Each other target must have less than that left: in whole steps, ``sum(max(0, F - size + step))`` is taken of them.

        Parameters
        ----------
        size, free
            A size and the failed node's own free memory as a target, each of one shape, in MiB.
        """
        first = np.searchsorted(self.free, size)
        everywhere = self.above[first] - (len(self.free) - first) * (size - self.step)
        # A node with less free than the size adds nothing: F - size + step <= 0 there, both being whole steps.
        return np.asarray(everywhere - np.maximum(0, free // self.step * self.step - size + self.step))

    @cached_property
    def small(self) -> int:
        """The largest size of VMs that always find room, whatever else has restarted, in MiB."""
        if len(self.free) < 2:
            return 0
        # Up to what two targets have free, a smaller VM is no harder to restart than a larger one.
        low, high = 0, int(self.free[-2]) // self.step
        while low < high:
            middle = (low + high + 1) // 2
            size = np.array(middle * self.step)
            if self.stranding(size, self.free[-1]) > self.most - size:
                low = middle
            else:
                high = middle - 1
        return low * self.step

    @cached_property
    def large(self) -> IntArray:
        """The VMs above that which the pool's failures displace."""
        pool, large = self.standing.problem.pool, self.standing.larger_than(self.small)
        mine: IntArray = large[pool[self.standing.node_of[large]] == pool[self.targets[0]]]
        return mine

    @property
    def room_for_large(self) -> BoolArray:
        """Failures whose large VMs all find slots, shape (n_failing,)."""
        enough = np.ones(len(self.failing), dtype=bool)
        if not len(self.large):
            return enough
        memory, home = self.standing.problem.memory[self.large], self.standing.node_of[self.large]
        most, least = int(memory.max()), int(memory.min())
        taken = np.zeros(self.standing.problem.n_nodes, dtype=np.int64)
        for k in range((most // least).bit_length()):
            mine = (memory << k <= most) & (memory << k + 1 > most)
            taken = 2 * taken + np.bincount(home[mine], minlength=len(taken))
            slots = (self.standing.free << k) // most
            enough &= taken[self.failing] + slots[self.failing] <= slots[self.targets].sum()
        return enough


@frozen(eq=False)
class Certificates:
    """What is certain of the failures that a placement meets. Rules are not looked at: the caller leaves their nodes out."""

    standing: Standing

    @property
    def any_order(self) -> BoolArray:
        """Nodes whose failure is survived whatever the order of restarts and whichever fitting node each takes, shape (n_nodes,).

        With g a common divisor of the sizes, m the largest VM that node f displaces, L its displaced memory and F the free
        memory of the others in whole multiples of g: a VM of m can only be stranded if every other node has less than m
        left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Sound, not complete.
        """
        standing = self.standing
        safe = np.zeros(standing.problem.n_nodes, dtype=bool)
        for pool in self._pools:
            largest = np.full(len(safe), pool.small, dtype=np.int64)
            np.maximum.at(largest, standing.node_of[pool.large], standing.problem.memory[pool.large])
            size = largest[pool.failing]
            safe[pool.failing] = pool.stranding(size, standing.free[pool.failing]) > standing.displaced[pool.failing] - size
        return safe

    @property
    def slots(self) -> BoolArray:
        """Nodes whose failure is survived if the largest VMs restart first, shape (n_nodes,).

        Whoever is small enough never to be stranded (as in `any_order`) may wait. The others count with their memory rounded
        up to ``M / 2**k``, M being the largest of all: sizes that divide each other all fit if, for each k, they fill no more
        slots of ``M / 2**k`` than the other nodes have free. Sound, not complete.
        """
        safe = np.zeros(self.standing.problem.n_nodes, dtype=bool)
        for pool in self._pools:
            if pool.small:
                safe[pool.failing] = pool.room_for_large
        return safe

    @cached_property
    def _pools(self) -> list[_Pool]:
        standing, problem = self.standing, self.standing.problem
        if not problem.n_vms:
            return []
        # The largest power of two that divides all sizes: a common divisor, found in one pass.
        bits = int(np.bitwise_or.reduce(problem.memory))
        failing = standing.scenario & (standing.displaced > 0)
        found = (_Pool.of(standing, failing & (problem.pool == pool), pool, bits & -bits) for pool in problem.pools)
        return [pool for pool in found if len(pool.failing) and len(pool.targets)]
