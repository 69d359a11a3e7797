"""N+1 certificates: the failures that are survived, found for all at once in array passes, without a failover plan.

*In any order.* Others must take `blocking_cost` of a node, at least, until a VM finds no room there. If blocking all survivors
takes more than all displaced VMs have, no order of restarts and no choice of nodes strands the VM. Of several resources, each
node is blocked by the one of which that takes the least share (`blocking_shares`).

*By slots.* Sizes rounded up to ``M / 2**k`` divide each other, and first-fit decreasing never fails on such sizes [1]: they all
fit if, for each k, they fill no more slots of ``M / 2**k`` than the survivors have free.

Both are sound and not complete.

[1] Coffman, Garey and Johnson: Bin packing with divisible item sizes. Journal of Complexity 3 (1987).
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.failover.certificates.memory import MemoryCertificate
from vmplace.failover.certificates.resources import ResourcesCertificate
from vmplace.failover.ruled import RestartRules
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = ["Certificates"]


@frozen(eq=False)
class Certificates:
    """What is certain of the failures that a placement meets.

    Parameters
    ----------
    state
        The placement.
    everyone
        Whether VMs that need not restart may, too; to show that there is a plan, only those count that must.
    """

    state: PlacementState
    everyone: bool = False

    def any_order(self, among: BoolArray | None = None) -> BoolArray:
        """Of some failures (None: of all), those survived whatever the order of restarts and whichever fitting nodes they take.

        Both of shape (n_scenarios,).

        With g a common divisor of the sizes, m the largest VM that must restart, L the memory of all that may and F the free
        memory of the survivors in whole multiples of g: a VM of m can only be stranded if every survivor has less than m
        left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Of several resources see
        `ResourcesCertificate`.

        A VM under rules counts by itself, over the nodes alone that rules leave it; anti-affinity closes those near members that
        stay, and the freest of the others to as many members as restart, too. Where restarts are planned, VMs that must be
        together are one of the sum of their sizes, and soft rules are kept. VMs that no rule names lose nothing by rules.
        """
        safe = np.zeros(len(self.state.scenarios), dtype=bool)
        for pool in self._several if self.state.problem.n_firm > 1 else self._pools:
            survived = pool.survived if among is None else pool.survived & among[pool.failing]
            for part in self.rules.parts(pool.failing[survived & ~self.state.unbound[pool.failing]]):
                items = self.rules.items(part)
                stranded = items.scenario[~(items.known & pool.finds_room(items))]
                survived[np.searchsorted(pool.failing, stranded)] = False
            safe[pool.failing] = survived
        return safe

    @cached_property
    def rules(self) -> RestartRules:
        """The rules that bind restarts."""
        return RestartRules(self.state, planned=not self.everyone)

    @property
    def certain_pools(self) -> list[int]:
        """Pools that survive every set of so many units that fail, listed or not, rules aside: no VM is ever short of room.

        The sets that are listed are those of the units that displace most, so none displaces more; and as much room is lost as
        is free on the freest nodes, as many as ever fail.
        """
        largest = np.zeros(int(self.state.problem.pool.max(initial=0)) + 1, dtype=np.int64)
        mine = self.state.larger_than(0)
        np.maximum.at(largest, self.state.problem.vm_pool[mine], self.state.problem.memory[mine])
        return [pool.number for pool in self._pools if pool.small >= largest[pool.number]]

    @property
    def slots(self) -> BoolArray:
        """Failures survived if the largest VMs restart first, rules aside, shape (n_scenarios,).

        VMs that are small enough never to be stranded (as in `any_order`) may wait. The others count with their memory rounded
        up to ``M / 2**k``, M being the largest of all.
        """
        safe = np.zeros(len(self.state.scenarios), dtype=bool)
        for pool in self._pools:
            if pool.small:
                safe[pool.failing] = pool.room_for_large
        return safe

    @cached_property
    def _pools(self) -> list[MemoryCertificate]:
        # The largest power of two that divides all sizes: a common divisor, found in one pass.
        bits = int(np.bitwise_or.reduce(self.state.problem.memory))
        asked = self.state.returning if self.everyone else self.state.asked
        return [MemoryCertificate.of(self.state, failing, pool, bits & -bits, asked) for pool, failing in self._failing(asked)]

    @cached_property
    def _several(self) -> list[ResourcesCertificate]:
        state = self.state
        counted = state.may_return if self.everyone else state.must_return
        return [ResourcesCertificate.of(state, failing, pool, counted) for pool, failing in self._failing(state.asked)]

    def _failing(self, asked: IntArray) -> Iterator[tuple[int, IntArray]]:
        """The scenarios of each pool that has a target in which something restarts."""
        state = self.state
        for pool in state.problem.pools:
            failing = np.flatnonzero((asked > 0) & (state.scenarios.pool == pool))
            if len(failing) and len(state.freest(pool)):
                yield pool, failing
