"""Arithmetic that shows failures survived whatever the order of the restarts and whichever fitting node each VM gets.

Let VM v have to restart, with demand d of a resource, while others may have restarted already; D is the demand of all
displaced VMs, so that the others have T = D - d. Say v is stranded. Then each node that v may use whatever has restarted is
closed: for some resource that v needs, what is left there is less than d. The others that restarted on a node with free memory
F then hold more than F - d of it. All demands are multiples of their common divisor g, so they hold a multiple of g, and at
least

    w = max(0, floor(F / g) * g - d + g),

the node's *resistance*. If v needs one resource, the others hold no more than T, so the resistances sum up to T at most:

    sum of w > T  =>  v is never stranded.

If it needs several, a node that resource r closes takes at least w_r of the T_r that there are, so the shares w_r / T_r of the
nodes that r closes sum up to 1 at most, and the least share of each node over all nodes to the number of resources at most:

    sum of min over r of w_r / T_r > number of resources  =>  v is never stranded,

where w_r > T_r says that r cannot close the node. Shares are rounded down to whole parts, which errs on the safe side.

Rules leave v fewer nodes. Those that only-on and not-on ban, or where a member stands from which v is apart, are not summed
over. A member that is to be apart from v and is displaced too may close one place, a node or a failure domain, by being there:
for each such member the place of most resistance is left out. A member that is to be together with v and is displaced too can
draw v to any node: then nothing is shown. What other VMs may not do only makes stranding v harder.
"""

from collections.abc import Iterator

import numpy as np
from attrs import field, frozen

from vmplace.auditing_case import sums
from vmplace.auditing_failures import Failures
from vmplace.auditing_scenarios import Scenarios
from vmplace.columns import BoolArray, IntArray
from vmplace.model import Apart, Together

__all__ = ["doubtful_pools", "doubtful_scenarios", "resistance"]

_MOST = 2**62
_FINEST = 2**30


def resistance(free: IntArray, need: IntArray, divisor: IntArray, others: IntArray) -> tuple[IntArray, int]:
    """How hard it is to close each node to a VM, and a limit: if the sum is above it, the VM is never stranded.

    Parameters
    ----------
    free
        Of each resource on each node, shape (n_resources, n_nodes).
    need, divisor, others
        What the VM needs, what divides all demands, and what all other displaced VMs need, shape (n_resources,).
    """
    binding = need > 0
    need, others = need[binding, None], others[binding, None]
    closing = np.maximum(0, free[binding] // divisor[binding, None] * divisor[binding, None] - need + divisor[binding, None])
    if len(need) == 1:
        return closing[0], int(others[0, 0])
    parts = min(_FINEST, _MOST // (int(others.max()) + 1))
    limit = len(need) * parts
    shares = np.minimum(closing, others) * parts // np.maximum(others, 1)
    least: IntArray = np.where(closing > others, limit + 1, shares).min(axis=0)
    return least, limit


@frozen(eq=False)
class _Target:
    """VMs that must restart and are alike to the certificate.

    Parameters
    ----------
    vms
        One, or several without displaced peers.
    allowed
        Nodes that they may use whatever has restarted, shape (n_nodes,).
    apart, together
        Other VMs that matter where they are displaced as well.
    wide
        Whether apart is by failure domain.
    """

    vms: IntArray
    allowed: BoolArray = field(repr=False)
    apart: IntArray = field(factory=lambda: np.arange(0))
    together: IntArray = field(factory=lambda: np.arange(0))
    wide: bool = False


class _Pool:
    """The certificate in one pool."""

    def __init__(self, failures: Failures, pool: int) -> None:
        self.all, self.case, self.scenarios = failures, failures.case, failures.scenarios
        self.online = (self.case.online & (self.case.node_pool == pool))[:-1]
        self.bearing = failures.bearing[self.case.node_pool[self.case.at[failures.bearing]] == pool]
        demand = failures.demand[:, self.bearing]
        self.divisor = np.maximum(1, np.gcd.reduce(demand, axis=1)) if len(self.bearing) else np.ones(len(demand), np.int64)
        self.load = np.array([self.by_unit(self.bearing, amounts) for amounts in demand])

    def by_unit(self, vms: IntArray, amounts: IntArray) -> IntArray:
        return self.scenarios.by_unit(self.case.at[vms], amounts)

    def count(self, vms: IntArray) -> IntArray:
        return self.by_unit(vms, np.ones(len(vms), np.int64))

    def targets(self) -> Iterator[_Target]:
        """All that must restart, by what they need and what binds them."""
        musts = self.bearing[self.case.must[self.bearing]]
        ruled = np.isin(musts, np.fromiter(self.all.bounds_of, np.int64))
        for vms in self._alike(musts[~ruled]):
            yield _Target(vms, self.online)
        static: dict[tuple[int, ...], list[int]] = {}
        for v in musts[ruled].tolist():
            bounds = self.all.bounds_of[v]
            if any(isinstance(bound.rule, Apart | Together) for bound in bounds):
                yield self._bound(v)
            else:
                static.setdefault(tuple(bound.number for bound in bounds), []).append(v)
        for members in static.values():
            allowed = self._bound(members[0]).allowed
            for vms in self._alike(np.array(members)):
                yield _Target(vms, allowed)

    def _alike(self, vms: IntArray) -> Iterator[IntArray]:
        """The VMs by what they need, those of most memory first."""
        if not len(vms):
            return
        demand = self.all.demand[:, vms]
        order = np.lexsort(demand[::-1])
        starts = np.flatnonzero(np.diff(demand[:, order], axis=1).any(axis=0)) + 1
        yield from reversed(np.split(vms[order], starts))

    def _bound(self, vm: int) -> _Target:
        """A VM under rules; where members stand that fail with it is taken for closed too."""
        allowed, wide = self.online.copy(), False
        apart: set[int] = set()
        together: set[int] = set()
        for bound in self.all.bounds_of[vm]:
            allowed &= ~bound.banned[:-1]
            peers = [v for v in bound.members if v != vm and self.case.at[v] >= 0 and not self.case.vm.evictable[v]]
            if isinstance(bound.rule, Apart):
                apart.update(peers)
                wide |= bound.rule.scope == "domain"
                allowed &= ~np.isin(bound.place[:-1], bound.place[self.case.at[peers]])
            elif isinstance(bound.rule, Together):
                together.update(peers)
        return _Target(np.array([vm]), allowed, np.array(sorted(apart), np.int64), np.array(sorted(together), np.int64), wide)

    def resistance(self, target: _Target, others: IntArray) -> tuple[IntArray, IntArray, int]:
        """What each unit resists with, what the places of most resistance do together by their number, and the limit."""
        nodes = np.flatnonzero(target.allowed)
        held, limit = resistance(self.all.free[:, nodes], self.all.demand[:, target.vms[0]], self.divisor, others)
        units = self.scenarios.by_unit(nodes, held)
        if not len(target.apart):
            return units, np.zeros(1, np.int64), limit
        places = sums(np.unique(self.case.place[nodes], return_inverse=True)[1], held, len(nodes)) if target.wide else held
        return units, np.cumsum([0, *sorted(places.tolist(), reverse=True)]), limit


def doubtful_scenarios(failures: Failures) -> IntArray:
    """The scenarios that are not shown to be survived in any order."""
    scenarios = failures.scenarios
    pool_of = scenarios.pool[scenarios.units[:, 0]]
    doubtful = [_doubts(_Pool(failures, pool), np.flatnonzero(pool_of == pool)) for pool in np.unique(pool_of).tolist()]
    return np.sort(np.concatenate([np.arange(0), *doubtful]))


def _doubts(pool: _Pool, told: IntArray) -> IntArray:
    """Which of a pool's scenarios are open."""
    units, doubtful = pool.scenarios.units[told], np.zeros(len(told), dtype=bool)
    demand = np.array([_total(load, units) for load in pool.load])
    settled = np.zeros(len(told), dtype=bool)
    for target in pool.targets():
        plain = not (len(target.apart) or len(target.together)) and target.allowed is pool.online
        present = (_total(pool.count(target.vms), units) > 0) & ~doubtful & ~(settled if plain else False)
        rows = np.flatnonzero(present)
        if not len(rows):
            continue
        if plain and len(demand) == 1:
            settled |= present  # it resists for all that need less of the one resource
        need = pool.all.demand[:, target.vms[0]]
        others = demand[:, rows] - need[:, None]
        by_unit, dearest, limit = pool.resistance(target, others.max(axis=1))
        limits = others[0] if np.count_nonzero(need) == 1 else np.full(len(rows), limit)
        closed = dearest[np.minimum(_total(pool.count(target.apart), units[rows]), len(dearest) - 1)]
        drawn = _total(pool.count(target.together), units[rows]) > 0
        doubtful[rows] |= drawn | (by_unit.sum() - _total(by_unit, units[rows]) - closed <= limits)
    return told[doubtful]


def doubtful_pools(failures: Failures) -> list[int]:
    """Pools of too many scenarios that are not shown to survive even the worst that could be: the sums of the worst units."""
    found = []
    for hosts in failures.scenarios.crowded:
        number = int(failures.scenarios.pool[hosts[0]])
        if _is_doubtful(_Pool(failures, number), failures.scenarios):
            found.append(number)
    return found


def _is_doubtful(pool: _Pool, scenarios: Scenarios) -> bool:
    worst = np.sort(pool.load, axis=1)[:, ::-1][:, : scenarios.failures].sum(axis=1)
    for target in pool.targets():
        by_unit, dearest, limit = pool.resistance(target, worst - pool.all.demand[:, target.vms[0]])
        closed = int(dearest[min(len(target.apart), len(dearest) - 1)])
        left = int(by_unit.sum()) - int(np.sort(by_unit)[::-1][: scenarios.failures].sum()) - closed
        if len(target.together) or left <= limit:
            return True
    return False


def _total(amounts: IntArray, units: IntArray) -> IntArray:
    """The sum of units' amounts in each row; -2 fills up."""
    total: IntArray = np.append(amounts, [0, 0])[units].sum(axis=1)
    return total
