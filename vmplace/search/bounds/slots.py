"""Slot bounds: lower bounds on the peak and on migrated memory, from lifted slot rows summed over all nodes.

Each failure of k units leaves the displaced VMs' slots of t no more than the others' free ones: ``sum(d[t, f] + u[t, f]) <=
U[t]`` over the units f that fail, with ``U[t]`` the free slots of all. On average over all sets of k of the N units that is
``(k / N) (D[t] + U[t]) <= U[t]``, so ``U[t] >= ceil(k D[t] / (N - k))``, D[t] being the slots of all VMs that must restart. What
that many slots need in free memory beyond what each node has anyway, `lifting` tells.
"""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.sizes import evenly, tally
from vmplace.search.bounds.lifting import slot_prices
from vmplace.search.goal import Shares

__all__ = ["least_moved", "least_peak", "thresholds"]

_MOST, _FEW = 24, 12
"""Slot sizes where there are many: of a sum over all nodes that is told once, and of one that is asked for often."""

_KINDS = 128


def thresholds(sizes: IntArray, thinned: int = _MOST) -> list[int]:
    """Slot sizes worth a row, ascending: the VMs' own; where there are more than 24, `thinned` of them, evenly."""
    values, _ = tally(sizes)
    return [int(value) for value in (evenly(values, thinned) if len(values) > _MOST else values)]


def least_peak(problem: Problem, least: Fraction) -> Fraction:
    """A lower bound on the peak share of memory in use, at least `least`, if every failure must be survived.

    If no node were above a share, each would keep ``rho = usable - share * usable`` free; the slots that are needed take more of
    some nodes, as the lifted rows at ``room = rho`` tell, and less is left for the VMs than they need.
    """
    unit = _unit(problem)
    shares, pools = Shares.of(problem, unit), list(_pools(problem, unit, _FEW))
    low, high, step = shares.ceil(least) - 1, shares.whole, 1
    while high - low > 1:
        # Most often little or nothing is refuted: ever longer steps up, then halving.
        middle = min(low + step, (low + high) // 2)
        if any(pool.refutes(shares, middle) for pool in pools):
            low, step = middle, 2 * step
        else:
            high = middle
    return max(least, shares.above(low)) if low >= 0 else least


def least_moved(problem: Problem) -> int:
    """A lower bound in MiB on what must migrate for every failure to be survived: the lifted rows at the present free memory."""
    unit = _unit(problem)
    load = problem.load(problem.node_of)
    return sum(pool.least_leaving(load) for pool in _pools(problem, unit, _MOST)) * unit


@frozen(eq=False)
class _PoolSlots:
    """A pool's online nodes and what must be survived there, memory in whole units.

    Parameters
    ----------
    nodes, usable, capacity
        Online nodes and what they have, in MiB and in whole units.
    need
        What all VMs need that may be on online nodes only.
    sizes, slots
        Slot sizes, and how many free ones there must be in all.
    """

    unit: int
    nodes: IntArray
    usable: IntArray
    capacity: IntArray
    need: int
    sizes: list[int]
    slots: list[int]

    def refutes(self, shares: Shares, parts: int) -> bool:
        """Whether a placement within a share is impossible."""
        most = parts * self.usable // (shares.whole * self.unit)
        return self._least(self.capacity - most) > int(most.sum()) - self.need

    def least_leaving(self, load: IntArray) -> int:
        """The least memory that leaves its nodes, in units."""
        free = self.capacity - -(-load[self.nodes] // self.unit)
        return int(np.maximum(-free, 0).sum()) + self._least(np.maximum(free, 0))

    def _least(self, room: IntArray) -> int:
        """The least free memory beyond `room` that holds the slots."""
        if not self.sizes:
            return 0
        kinds, count = self._kinds(room)
        if len(kinds[0]) > _KINDS:
            # More room than there is makes the bound no less valid, and few kinds make it quick.
            step = max(1, int(self.capacity.max()) // _KINDS)
            kinds, count = self._kinds(np.minimum(-(-room // step) * step, self.capacity))
        have = [int((kinds[0] // size) @ count) for size in self.sizes]
        # Slots that are not missing would only take from the prices of the others.
        missing = {size: need - held for size, need, held in zip(self.sizes, self.slots, have, strict=True) if need > held}
        # Whichever node they are on, the slots cost no less than where they are cheapest.
        cheapest = (prices.min(axis=0) for prices in slot_prices(kinds[0], kinds[1], list(missing)))
        return max((int(prices @ np.array(list(missing.values()))) for prices in cheapest), default=0)

    def _kinds(self, room: IntArray) -> tuple[tuple[IntArray, IntArray], IntArray]:
        """Nodes of one room and capacity are one kind: both of each kind, and how many there are."""
        most = int(self.capacity.max()) + 1
        values, count = tally(room * most + self.capacity)
        return divmod(values, most), count


def _pools(problem: Problem, unit: int, thinned: int) -> Iterator[_PoolSlots]:
    for pool in problem.pools:
        inside = problem.pool == pool
        nodes = np.flatnonzero(inside & problem.online)
        if not len(nodes):
            continue
        n_hosts = len(np.unique(problem.unit[inside & (problem.online | problem.maintenance)]))
        sizes, slots = _needed_slots(problem, pool, n_hosts, unit, thinned)
        yield _PoolSlots(
            unit=unit,
            nodes=nodes,
            usable=problem.usable[nodes],
            capacity=problem.usable[nodes] // unit,
            need=problem.sizes(pool, staying=False).total // unit,
            sizes=sizes,
            slots=slots,
        )


def _needed_slots(problem: Problem, pool: int, n_hosts: int, unit: int, thinned: int) -> tuple[list[int], list[int]]:
    kept = problem.sizes(pool, protected=True)
    k = problem.failures
    # What evictable VMs take of a node is as good as free: these bounds know nothing of that.
    if k == 0 or n_hosts <= k or not len(kept.values) or problem.lasting is not None:
        return [], []
    sizes = thresholds(kept.values // unit, thinned)
    return sizes, [-(-kept.slots(size * unit) * k // (n_hosts - k)) for size in sizes]


def _unit(problem: Problem) -> int:
    """What divides all sizes."""
    pools = np.unique(problem.signature_pool).tolist()
    return math.gcd(*(int(np.gcd.reduce(problem.sizes(pool).values)) for pool in pools)) or 1
