"""Failures that are survived, told for all nodes at once in a few array passes, without a plan."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = ["Certificates", "survived_unblocked"]


@frozen(eq=False)
class _PoolCertificate:
    """A pool's targets, and the failures there that displace something.

    Parameters
    ----------
    state
        The placement.
    number
        Of the pool.
    step
        A common divisor of all VMs' memory, in MiB.
    failing
        Scenarios.
    lost
        Free memory in whole steps of the nodes that fail in each, shape (n_failing, width).
    targets
        Nodes, those with least free memory first.
    free, above
        Free memory of the targets in whole steps; the sum of it from each on, shape (n_targets + 1,).
    asked
        What the failures displace that may restart before the last, in MiB, shape (n_failing,).
    """

    state: PlacementState
    number: int
    step: int
    failing: IntArray
    lost: IntArray
    targets: IntArray
    free: IntArray
    above: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, failing: IntArray, pool: int, step: int, asked: IntArray) -> "_PoolCertificate":
        """A pool with the scenarios to look at; `asked` of all scenarios, shape (n_scenarios,)."""
        targets = np.flatnonzero(state.target & (state.problem.pool == pool))
        whole = state.free // step * step
        free = whole[targets]
        ascending = np.argsort(free)
        above = np.concatenate((np.cumsum(free[ascending][::-1])[::-1], [0]))
        lost = np.append(whole, 0)[state.scenarios.nodes[failing]]
        return cls(state, pool, step, failing, lost, targets[ascending], free[ascending], above, asked[failing])

    @property
    def most(self) -> int:
        """What the failures displace at most, in MiB."""
        return int(self.asked.max(initial=0))

    def stranding(self, size: IntArray, lost: IntArray) -> IntArray:
        """How much restarted memory it takes at least until no surviving target has room for a VM of a size.

        Each must have less than that left: in whole steps, ``sum(max(0, F - size + step))`` is taken of them.

        Parameters
        ----------
        size
            Sizes in MiB, shape (n,).
        lost
            The free memory in whole steps of targets that fail, shape (n, width).
        """
        first = np.searchsorted(self.free, size)
        everywhere = self.above[first] - (len(self.free) - first) * (size - self.step)
        # A node with less free than the size adds nothing: F - size + step <= 0 there, both being whole steps.
        return np.asarray(everywhere - np.maximum(0, lost - size[:, None] + self.step).sum(axis=1))

    @cached_property
    def small(self) -> int:
        """The largest size of VMs that always find room, whatever else has restarted, in MiB."""
        width = self.lost.shape[1]
        if len(self.free) <= width:
            return 0
        # Up to what more targets have free than fail, a smaller VM is no harder to restart than a larger one.
        low, high = 0, int(self.free[-width - 1]) // self.step
        roomiest = self.free[None, -width:]
        while low < high:
            middle = (low + high + 1) // 2
            size = np.array([middle * self.step])
            if self.stranding(size, roomiest)[0] > self.most - size[0]:
                low = middle
            else:
                high = middle - 1
        return low * self.step

    @cached_property
    def large(self) -> IntArray:
        """The VMs above that which the pool's failures displace."""
        pool, large = self.state.problem.pool, self.state.larger_than(self.small)
        mine: IntArray = large[pool[self.state.node_of[large]] == pool[self.targets[0]]]
        return mine

    @property
    def room_for_large(self) -> BoolArray:
        """Failures whose large VMs all find slots, shape (n_failing,)."""
        enough = np.ones(len(self.failing), dtype=bool)
        if not len(self.large):
            return enough
        failures, free = self.state.scenarios, self.state.free
        memory, home = self.state.problem.memory[self.large], self.state.node_of[self.large]
        most, least = int(memory.max()), int(memory.min())
        taken = np.zeros(self.state.problem.n_nodes, dtype=np.int64)
        for k in range((most // least).bit_length()):
            mine = (memory << k <= most) & (memory << k + 1 > most)
            taken = 2 * taken + np.bincount(home[mine], minlength=len(taken))
            slots = (free << k) // most
            enough &= failures.sums(taken + slots)[self.failing] <= slots[self.targets].sum()
        return enough


@frozen(eq=False)
class Certificates:
    """What is certain of the failures that a placement meets. Rules are not looked at: the caller leaves their scenarios out.

    Parameters
    ----------
    state
        The placement.
    everyone
        Whether VMs that need not restart may, too; to show that there is a plan, only those count that must.
    """

    state: PlacementState
    everyone: bool = False

    @property
    def any_order(self) -> BoolArray:
        """Failures survived whatever the order of restarts and whichever fitting node each takes, shape (n_scenarios,).

        With g a common divisor of the sizes, m the largest VM that must restart, L the memory of all that may and F the free
        memory of the survivors in whole multiples of g: a VM of m can only be stranded if every survivor has less than m
        left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Sound, not complete. Of several resources see
        `vmplace.failover.certificates`.
        """
        state = self.state
        if state.problem.n_firm > 1:
            return survived_unblocked(state, state.may_return if self.everyone else state.must_return)
        safe = np.zeros(len(state.scenarios), dtype=bool)
        for pool in self._pools:
            largest = np.full(state.problem.n_nodes, pool.small, dtype=np.int64)
            np.maximum.at(largest, state.node_of[pool.large], state.problem.memory[pool.large])
            size = state.scenarios.largest(largest)[pool.failing]
            safe[pool.failing] = pool.stranding(size, pool.lost) > pool.asked - size
        return safe

    @property
    def certain_pools(self) -> list[int]:
        """Pools that survive every set of so many units that fail, listed or not: no VM there is ever short of room.

        The sets that are listed are those of the units that displace most, so none displaces more; and as much room is lost as
        is free on the freest nodes, as many as ever fail.
        """
        largest = np.zeros(int(self.state.problem.pool.max(initial=0)) + 1, dtype=np.int64)
        mine = self.state.larger_than(0)
        np.maximum.at(largest, self.state.problem.vm_pool[mine], self.state.problem.memory[mine])
        return [pool.number for pool in self._pools if pool.small >= largest[pool.number]]

    @property
    def slots(self) -> BoolArray:
        """Failures survived if the largest VMs restart first, shape (n_scenarios,).

        Whoever is small enough never to be stranded (as in `any_order`) may wait. The others count with their memory rounded
        up to ``M / 2**k``, M being the largest of all: sizes that divide each other all fit if, for each k, they fill no more
        slots of ``M / 2**k`` than the survivors have free. Sound, not complete.
        """
        safe = np.zeros(len(self.state.scenarios), dtype=bool)
        for pool in self._pools:
            if pool.small:
                safe[pool.failing] = pool.room_for_large
        return safe

    @cached_property
    def _pools(self) -> list[_PoolCertificate]:
        state, problem = self.state, self.state.problem
        if not problem.n_vms:
            return []
        # The largest power of two that divides all sizes: a common divisor, found in one pass.
        bits = int(np.bitwise_or.reduce(problem.memory))
        asked, pool_of = state.returning if self.everyone else state.asked, state.scenarios.pool
        failing = ((pool, np.flatnonzero((asked > 0) & (pool_of == pool))) for pool in problem.pools)
        found = (_PoolCertificate.of(state, mine, pool, bits & -bits, asked) for pool, mine in failing if len(mine))
        return [pool for pool in found if len(pool.targets)]


_SHARES = 2**31
"""All that restarts, of one resource, in shares of it."""


_AT_ONCE = 4_000_000
"""Failures times nodes looked at in one pass."""


def survived_unblocked(state: PlacementState, counted: BoolArray) -> BoolArray:
    """Failures survived whatever the order of restarts and whichever fitting node each takes, shape (n_scenarios,).

    Of each resource r let t_r be the most that a VM demands that must restart, L_r what all demand that may, and g_r a common
    divisor of all demands. Whoever is stranded finds every survivor blocked: what node i has free of some r, F_ir in whole
    multiples of g_r, is less than is demanded once others have taken ``max(0, F_ir - t_r + g_r)`` of it or more. In shares of L_r
    that is no less than the least such share of all resources; and of R resources no more than R whole ones can be taken. So
    nobody is stranded if the survivors' least shares sum up to more. Sound, not complete; as `any_order.blocking`, of all VMs at
    once. Rules are not looked at.

    Parameters
    ----------
    state
        The placement.
    counted
        VMs that may restart, shape (n_vms,).
    """
    safe: BoolArray = state.asked == 0
    asking = np.flatnonzero(state.asked > 0)
    for pool in np.unique(state.scenarios.pool[asking]).tolist():
        mine = asking[state.scenarios.pool[asking] == pool]
        blockade = _SeveralResources.of(state, counted, mine, pool)
        safe[mine] = blockade.fails_at_worst or blockade.fails
    return safe


@frozen(eq=False)
class _SeveralResources:
    """What it takes to block all targets of a pool.

    Parameters
    ----------
    state
        The placement.
    scenarios
        Failures in the pool.
    targets
        Its targets.
    reach
        What each target has free of each resource, in whole steps and one more, shape (n_targets, n_firm).
    largest, asked
        By failure what a VM demands at most that must restart, and what all demand that may, shape (n_scenarios, n_firm).
    """

    state: PlacementState
    scenarios: IntArray
    targets: IntArray
    reach: IntArray
    largest: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, counted: BoolArray, scenarios: IntArray, pool: int) -> "_SeveralResources":
        problem, failures, home = state.problem, state.scenarios, state.node_of
        demand = problem.demand[:, : problem.n_firm]
        targets = np.flatnonzero(state.target & (problem.pool == pool))
        step = np.maximum(1, np.gcd.reduce(demand, axis=0, initial=0))
        vms, must = np.flatnonzero(counted & (home >= 0)), state.larger_than(0)
        amount, most = np.zeros((2, problem.n_nodes, problem.n_firm), dtype=np.int64)
        np.add.at(amount, home[vms], demand[vms])
        np.maximum.at(most, home[must], demand[must])
        asked = np.column_stack([failures.sums(column)[scenarios] for column in amount.T])
        largest = np.column_stack([failures.largest(column)[scenarios] for column in most.T])
        return cls(state, scenarios, targets, state.spare[targets] // step * step + step, largest, asked)

    @property
    def fails_at_worst(self) -> bool:
        """Whether it fails though each failure displaced as much as any does, and the roomiest targets failed."""
        worth, limit = self._least(self.largest.max(axis=0, keepdims=True), self.asked.max(axis=0, keepdims=True))
        width = self.state.scenarios.nodes.shape[1]
        return int(np.sort(worth[0])[: max(0, len(self.targets) - width)].sum()) > int(limit[0])

    @property
    def fails(self) -> BoolArray:
        """Failures that do not leave enough to block all survivors, shape (n_scenarios,)."""
        return np.concatenate(list(self._parts()))

    def _parts(self) -> Iterator[BoolArray]:
        position = np.full(self.state.problem.n_nodes + 1, len(self.targets), dtype=np.int64)
        position[self.targets] = np.arange(len(self.targets))
        size = max(1, _AT_ONCE // max(1, len(self.targets)))
        for begin in range(0, len(self.scenarios), size):
            part = slice(begin, begin + size)
            worth, limit = self._least(self.largest[part], self.asked[part])
            lost = position[self.state.scenarios.nodes[self.scenarios[part]]]
            own = np.take_along_axis(np.pad(worth, ((0, 0), (0, 1))), lost, axis=1)
            yield worth.sum(axis=1) - own.sum(axis=1) > limit

    def _least(self, largest: IntArray, asked: IntArray) -> tuple[IntArray, IntArray]:
        """The least share that blocks each target, shape (n, n_targets), and all shares that there are, shape (n,)."""
        resources = (asked > 0).sum(axis=1)
        whole = (len(self.reach.T) + 1) * _SHARES
        least = np.full((len(largest), len(self.targets)), whole, dtype=np.int64)
        for column, size, budget in zip(self.reach.T, largest.T, asked.T, strict=True):
            scale = min(_SHARES, 2**62 // (int(column.max(initial=0)) + 1))
            cost = np.maximum(0, column[None, :] - size[:, None]) * scale // np.maximum(budget, 1)[:, None]
            shares = np.where(budget[:, None] > 0, np.minimum(cost, whole // (_SHARES // scale)) * (_SHARES // scale), whole)
            least = np.minimum(least, shares)
        return least, resources * _SHARES
