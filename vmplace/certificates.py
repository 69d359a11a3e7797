"""Failures that are survived, told for all nodes at once in a few array passes, without a plan."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import BoolArray
from vmplace.standing import Standing

__all__ = ["any_order_certificate", "slots_certificate"]


@frozen(eq=False)
class _Pool:
    """A pool's targets, and the failures there that displace something.

    Parameters
    ----------
    step
        A common divisor of all VMs' memory, in MiB.
    failing
        Nodes.
    targets
        Nodes, those with least free memory first.
    free, above
        Free memory of the targets in whole steps; the sum of it from each on, shape (n_targets + 1,).
    """

    step: int
    failing: IntArray
    targets: IntArray
    free: IntArray
    above: IntArray

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

    def never_stranded(self, displaced: int) -> int:
        """The largest size of VMs that always find room, whatever else of so much displaced memory has restarted."""
        if len(self.free) < 2:
            return 0
        # Up to what two targets have free, a smaller VM is no harder to restart than a larger one.
        low, high = 0, int(self.free[-2]) // self.step
        while low < high:
            middle = (low + high + 1) // 2
            size = np.array(middle * self.step)
            if self.stranding(size, self.free[-1]) > displaced - size:
                low = middle
            else:
                high = middle - 1
        return low * self.step


def any_order_certificate(standing: Standing) -> BoolArray:
    """Nodes whose failure is survived whatever the order of restarts and whichever fitting node each takes.

    With g a common divisor of the sizes, m the largest VM that node f displaces, L its displaced memory and F the free
    memory of the others in whole multiples of g: a VM of m can only be stranded if every other node has less than m
    left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Sound, not complete. VMs under rules that
    bind restarts are not looked at: the caller leaves their nodes out.

    Returns
    -------
    array of bool, shape (n_nodes,)
    """
    safe = np.zeros(standing.problem.n_nodes, dtype=bool)
    for pool in _pools(standing):
        displaced = standing.displaced[pool.failing]
        small = pool.never_stranded(int(displaced.max()))
        large = standing.larger_than(small)
        largest = np.full(len(safe), small, dtype=np.int64)
        np.maximum.at(largest, standing.node_of[large], standing.problem.memory[large])
        size = largest[pool.failing]
        safe[pool.failing] = pool.stranding(size, standing.free[pool.failing]) > displaced - size
    return safe


def slots_certificate(standing: Standing) -> BoolArray:
    """Nodes whose failure is survived if the largest VMs restart first.

    Whoever is small enough never to be stranded (as in `any_order_certificate`) may wait. The others count with their memory
    rounded up to ``M / 2**k``, M being the largest of all: sizes that divide each other all fit if, for each k, they fill no
    more slots of ``M / 2**k`` than the other nodes have free. Sound, not complete; rules are not looked at.

    Returns
    -------
    array of bool, shape (n_nodes,)
    """
    safe = np.zeros(standing.problem.n_nodes, dtype=bool)
    for pool in _pools(standing):
        small = pool.never_stranded(int(standing.displaced[pool.failing].max()))
        safe[pool.failing] = (small > 0) & _room_for_large(standing, pool, small)
    return safe


def _room_for_large(standing: Standing, pool: _Pool, small: int) -> BoolArray:
    """Of a pool's failures, those whose VMs above a size find slots, shape (n_failing,)."""
    node_of, problem = standing.node_of, standing.problem
    large = standing.larger_than(small)
    large = large[problem.pool[node_of[large]] == problem.pool[pool.failing[0]]]
    memory = problem.memory[large]
    most, least = int(memory.max(initial=1)), int(memory.min(initial=1))
    enough = np.ones(len(pool.failing), dtype=bool)
    taken = np.zeros(problem.n_nodes, dtype=np.int64)
    for k in range((most // least).bit_length()):
        mine = (memory << k <= most) & (memory << k + 1 > most)
        taken = 2 * taken + np.bincount(node_of[large[mine]], minlength=problem.n_nodes)
        slots = (standing.free << k) // most
        enough &= taken[pool.failing] + slots[pool.failing] <= slots[pool.targets].sum()
    return enough


def _pools(standing: Standing) -> Iterator[_Pool]:
    problem = standing.problem
    if not problem.n_vms:
        return
    # The largest power of two that divides all sizes: a common divisor, found in one pass.
    bits = int(np.bitwise_or.reduce(problem.memory))
    step = bits & -bits
    for pool in problem.pools:
        inside = problem.pool == pool
        failing = np.flatnonzero(inside & standing.scenario & (standing.displaced > 0))
        targets = np.flatnonzero(inside & standing.target)
        if len(failing) and len(targets):
            free = standing.free[targets] // step * step
            ascending = np.argsort(free, kind="stable")
            above = np.concatenate((np.cumsum(free[ascending][::-1])[::-1], [0]))
            yield _Pool(step, failing, targets[ascending], free[ascending], above)
