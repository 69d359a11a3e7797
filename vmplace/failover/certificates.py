"""N+1 certificates: the failures that are survived, found for all at once in array passes, without a failover plan.

*In any order.* Others must take `blocking_cost` of a node, at least, until a VM finds no room there. If blocking all survivors
takes more than all displaced VMs have, no order of restarts and no choice of nodes strands the VM. Of several resources, each
node is blocked by the one of which that takes the least share (`blocking_shares`).

*By slots.* Sizes rounded up to ``M / 2**k`` divide each other, and first-fit decreasing never fails on such sizes [1]: they all
fit if, for each k, they fill no more slots of ``M / 2**k`` than the survivors have free.

Both are sound and not complete.

[1] Coffman, Garey and Johnson: Bin packing with divisible item sizes. Journal of Complexity 3 (1987).
"""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = [
    "NEVER",
    "Certificates",
    "any_order_slack",
    "blocking_cost",
    "blocking_shares",
    "free_slots",
    "slot_level",
    "slots_taken",
    "survived_unblocked",
]

NEVER = np.iinfo(np.int64).max
"""The cost of what cannot be done."""

_SHARES = 2**31
"""A whole resource in shares of it, at most: shares of some thousand nodes sum up below 2**62."""

_AT_ONCE = 4_000_000
"""Failures times nodes looked at in one pass."""

_POWERS = 1 << np.arange(62)


def blocking_cost(whole: IntArray | int, size: IntArray | int, step: IntArray | int) -> IntArray:
    """How much VMs whose sizes are multiples of `step` take at least of a node until it has no room for a VM of `size`.

    Parameters
    ----------
    whole
        What is free, in whole steps.
    """
    cost: IntArray = np.maximum(whole - size + step, 0)
    return cost


def any_order_slack(cost: IntArray, asked: IntArray | int, size: IntArray | int) -> IntArray:
    """How much more blocking all survivors takes than all others have: above 0, no VM of `size` or less is ever stranded.

    Parameters
    ----------
    cost
        The sum of `blocking_cost` over the survivors.
    asked
        What all VMs take that may restart, the one of `size` among them.
    """
    return cost - asked + size


def blocking_shares(cost: IntArray, budget: IntArray) -> tuple[IntArray, IntArray]:
    """The least share of what others have that blocks each node, and all shares that they have, in one unit.

    Let every node i be blocked by a resource r(i). Nothing is spent twice, so ``sum over i with r(i) = r of cost_ir <= B_r`` for
    each r; divided by B_r and summed over the R resources that block some node at all, ``sum over i of cost_ir / B_r <= R``: if
    the least shares sum up to more, not all nodes can be blocked. Shares are rounded down; a single resource needs none.

    Parameters
    ----------
    cost
        What blocks a node, `NEVER` where a resource cannot, shape (n_resources, ..., n_nodes).
    budget
        What all others have, B, shape (n_resources, ...).

    Returns
    -------
    tuple of IntArray
        Of shape (..., n_nodes) and (...).
    """
    blocking = (cost < NEVER).any(axis=-1)
    several, most = blocking.sum(axis=0), np.where(blocking, budget, 0)
    scale = np.minimum(_SHARES, 2**62 // (most.max(axis=0) + 1))
    limit = np.where(several == 1, most.sum(axis=0), several * scale)
    unit, whole = np.where(several == 1, 1, scale)[..., None], np.where(several == 1, 1, np.maximum(most, 1))[..., None]
    shares = np.minimum(cost, most[..., None] + 1) * unit // whole
    return np.where(cost == NEVER, limit[..., None] + 1, shares).min(axis=0), limit


def slot_level(size: int, most: int) -> int:
    """The largest k such that a slot of ``most / 2**k`` holds a VM of a size."""
    return (most // size).bit_length() - 1


def slot_levels(sizes: IntArray, most: int) -> IntArray:
    """The same for many."""
    return np.searchsorted(_POWERS, most // sizes, side="right") - 1


def slots_taken(n_levels: int, counts: Callable[[int], IntArray]) -> Iterator[tuple[int, IntArray]]:
    """Of each level k how many slots of ``most / 2**k`` VMs fill on each node; `counts(k)` counts those of the level there."""
    taken: IntArray | int = 0
    for k in range(n_levels):
        taken = 2 * taken + counts(k)
        yield k, taken


def free_slots(free: IntArray, k: int, most: int) -> IntArray:
    """How many slots of ``most / 2**k`` fit in what is free."""
    return np.asarray((free << k) // most)


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
        """The sum of `blocking_cost` over the surviving targets.

        Parameters
        ----------
        size
            Sizes in MiB, shape (n,).
        lost
            The free memory in whole steps of targets that fail, shape (n, width).
        """
        first = np.searchsorted(self.free, size)
        everywhere = self.above[first] - (len(self.free) - first) * (size - self.step)
        # A node with less free than the size adds nothing: its cost is 0, both being whole steps.
        return np.asarray(everywhere - blocking_cost(lost, size[:, None], self.step).sum(axis=1))

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
            if any_order_slack(self.stranding(size, roomiest), self.most, size)[0] > 0:
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
        scenarios, free = self.state.scenarios, self.state.free
        memory, home = self.state.problem.memory[self.large], self.state.node_of[self.large]
        most, n_nodes = int(memory.max()), self.state.problem.n_nodes
        level = slot_levels(memory, most)
        for k, taken in slots_taken(int(level.max()) + 1, lambda k: np.bincount(home[level == k], minlength=n_nodes)):
            slots = free_slots(free, k, most)
            enough &= scenarios.sums(taken + slots)[self.failing] <= slots[self.targets].sum()
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
        left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Of several
        resources see `survived_unblocked`.
        """
        state = self.state
        if state.problem.n_firm > 1:
            return survived_unblocked(state, state.may_return if self.everyone else state.must_return)
        safe = np.zeros(len(state.scenarios), dtype=bool)
        for pool in self._pools:
            largest = np.full(state.problem.n_nodes, pool.small, dtype=np.int64)
            np.maximum.at(largest, state.node_of[pool.large], state.problem.memory[pool.large])
            size = state.scenarios.largest(largest)[pool.failing]
            safe[pool.failing] = any_order_slack(pool.stranding(size, pool.lost), pool.asked, size) > 0
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

        VMs that are small enough never to be stranded (as in `any_order`) may wait. The others count with their memory rounded
        up to ``M / 2**k``, M being the largest of all.
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


def survived_unblocked(state: PlacementState, counted: BoolArray) -> BoolArray:
    """Failures survived whatever the order of restarts and whichever fitting node each takes, shape (n_scenarios,).

    As `any_order.blocking`, for one VM in place of all: of each resource it demands the most that any demands that must restart,
    and the others what all demand that may. Rules are not looked at.

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
        resources = _SeveralResources.of(state, counted, mine, pool)
        safe[mine] = resources.enough_at_worst or resources.enough
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
    step
        A common divisor of all demands, shape (n_firm,).
    whole
        What each target has free of each resource, in whole steps, shape (n_firm, n_targets).
    largest, asked
        By failure what a VM demands at most that must restart, and what all demand that may, shape (n_firm, n_scenarios).
    """

    state: PlacementState
    scenarios: IntArray
    targets: IntArray
    step: IntArray
    whole: IntArray
    largest: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, counted: BoolArray, scenarios: IntArray, pool: int) -> "_SeveralResources":
        problem, home = state.problem, state.node_of
        demand = problem.demand[:, : problem.n_firm]
        targets = np.flatnonzero(state.target & (problem.pool == pool))
        step = np.maximum(1, np.gcd.reduce(demand, axis=0, initial=0))
        vms, must = np.flatnonzero(counted & (home >= 0)), state.larger_than(0)
        amount, most = np.zeros((2, problem.n_nodes, problem.n_firm), dtype=np.int64)
        np.add.at(amount, home[vms], demand[vms])
        np.maximum.at(most, home[must], demand[must])
        asked = np.stack([state.scenarios.sums(column)[scenarios] for column in amount.T])
        largest = np.stack([state.scenarios.largest(column)[scenarios] for column in most.T])
        whole = np.ascontiguousarray((state.spare[targets] // step * step).T)
        return cls(state, scenarios, targets, step, whole, largest, asked)

    @property
    def enough_at_worst(self) -> bool:
        """Whether all survivors cannot be blocked though each failure displaced as much as any does, and the roomiest failed."""
        worth, limit = self._least(self.largest.max(axis=1, keepdims=True), self.asked.max(axis=1, keepdims=True))
        width = self.state.scenarios.nodes.shape[1]
        return int(np.sort(worth[0])[: max(0, len(self.targets) - width)].sum()) > int(limit[0])

    @property
    def enough(self) -> BoolArray:
        """Failures whose survivors cannot all be blocked, shape (n_scenarios,)."""
        return np.concatenate(list(self._parts()))

    def _parts(self) -> Iterator[BoolArray]:
        position = np.full(self.state.problem.n_nodes + 1, len(self.targets), dtype=np.int64)
        position[self.targets] = np.arange(len(self.targets))
        size = max(1, _AT_ONCE // max(1, len(self.targets)))
        for begin in range(0, len(self.scenarios), size):
            part = slice(begin, begin + size)
            worth, limit = self._least(self.largest[:, part], self.asked[:, part])
            lost = position[self.state.scenarios.nodes[self.scenarios[part]]]
            own = np.take_along_axis(np.pad(worth, ((0, 0), (0, 1))), lost, axis=1)
            yield worth.sum(axis=1) - own.sum(axis=1) > limit

    def _least(self, largest: IntArray, asked: IntArray) -> tuple[IntArray, IntArray]:
        """The least share that blocks each target, shape (n, n_targets), and all shares that there are, shape (n,)."""
        cost = blocking_cost(self.whole[:, None, :], largest[..., None], self.step[:, None, None])
        cost[cost > asked[..., None]] = NEVER
        return blocking_shares(cost, asked)
