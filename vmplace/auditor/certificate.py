"""The certificate for restarts in any order: arithmetic that shows a failure survived whichever fitting node each VM gets.

Let VM v have to restart, with demand d of a resource, while others may have restarted already; D is the demand of all
displaced VMs, so that the others have T = D - d. Say v is stranded. Then each node that v may use whatever has restarted is
closed: for some resource that v needs, what is left there is less than d. The others that restarted on a node with free memory
F then hold more than F - d of it. All demands are multiples of their common divisor g, so they hold a multiple of g, and at
least

    w = max(0, floor(F / g) * g - d + g),

the node's *resistance*. If v needs one resource, the others hold no more than T, so the resistances sum up to T at most:

    sum of w > T  =>  v is never stranded.

VMs that are larger than any resistance waste what is above it, so demands may be cut down to a cap c: what closes a node sums
up to min(w, c) at least, each VM counted as min(its demand, c). For any c at all

    sum of min(w, c) > sum of min(demand, c) over the others  =>  v is never stranded.

If it needs several, a node that resource r closes takes at least w_r of the T_r that there are, so the shares w_r / T_r of the
nodes that r closes sum up to 1 at most, and the least share of each node over all nodes to the number of resources at most:

    sum of min over r of w_r / T_r > number of resources  =>  v is never stranded,

where w_r > T_r says that r cannot close the node, and a resource that can close none does not count. Shares are rounded down
to whole parts, which errs on the safe side.

Rules leave v fewer nodes. Those that only-on and not-on ban, or where a member stands from which v is apart, are not summed
over. A displaced member that must be apart from v may close one place, a node or a failure domain, by being there:
for each such member the place of most resistance is left out. A displaced member that must be together with v can
draw v to any node: then nothing is shown. What other VMs may not do only makes stranding v harder.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from attrs import field, frozen

from vmplace.auditor.case import sums
from vmplace.auditor.failures import AuditedFailures
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Apart, Together

__all__ = ["caps", "closing", "doubtful_pools", "doubtful_scenarios", "resistance"]

_MOST = 2**62
_FINEST = 2**30
_MOST_CAPS = 16
_MOST_LOADS = 128


def closing(free: IntArray, need: IntArray, divisor: IntArray) -> IntArray:
    """The least that others hold of each resource where it closes a node, shape (n_resources, n_nodes).

    Parameters
    ----------
    free
        Of each resource on each node, shape (n_resources, n_nodes).
    need, divisor
        What the VM needs, and what divides all demands, shape (n_resources,).
    """
    need, divisor = need[:, None], divisor[:, None]
    least: IntArray = np.maximum(0, free // divisor * divisor - need + divisor)
    return least


def caps(least: IntArray) -> Iterator[IntArray]:
    """What demands are cut down to, to see how far they go: the most first, of each resource, shape (n_resources,)."""
    if len(least) > 1:
        yield least.max(axis=1, initial=0)
        return
    values = np.unique(least)[::-1]
    if len(values) > _MOST_CAPS:
        values = values[np.arange(_MOST_CAPS) * (len(values) - 1) // (_MOST_CAPS - 1)]
    yield from values[:, None]


def resistance(least: IntArray, others: IntArray) -> tuple[IntArray, int]:
    """How hard it is to close each node to a VM, and a limit: if the sum is above it, the VM is never stranded.

    Parameters
    ----------
    least
        What closes each node, as `closing` tells, of each resource that the VM needs, shape (n_resources, n_nodes).
    others
        What all other displaced VMs need, shape (n_resources,).
    """
    if len(least) > 1:
        closes = (least <= others[:, None]).any(axis=1)
        least, others = (least[closes], others[closes]) if closes.any() else (least[:1], others[:1])
    if len(least) == 1:
        return least[0], int(others[0])
    parts = min(_FINEST, _MOST // (int(others.max()) + 1))
    limit, others = len(least) * parts, others[:, None]
    shares = np.minimum(least, others) * parts // np.maximum(others, 1)
    held: IntArray = np.where(least > others, limit + 1, shares).min(axis=0)
    return held, limit


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


class _PoolFailures:
    """The certificate in one pool."""

    def __init__(self, failures: AuditedFailures, pool: int) -> None:
        self.all, self.case, self.scenarios = failures, failures.case, failures.scenarios
        self.online = (self.case.online & (self.case.node_pool == pool))[:-1]
        self.bearing = failures.bearing[self.case.node_pool[self.case.at[failures.bearing]] == pool]
        demand = failures.demand[:, self.bearing]
        self.divisor = np.maximum(1, np.gcd.reduce(demand, axis=1, initial=0))
        self.capped_load = lru_cache(_MOST_LOADS)(self._capped_load)

    def by_unit(self, vms: IntArray, amounts: IntArray) -> IntArray:
        return self.scenarios.by_unit(self.case.at[vms], amounts)

    def count(self, vms: IntArray) -> IntArray:
        return self.by_unit(vms, np.ones(len(vms), np.int64))

    def _capped_load(self, resource: int, cap: int) -> IntArray:
        """What each unit displaces of a resource, where no VM counts for more than the cap."""
        return self.by_unit(self.bearing, np.minimum(self.all.demand[resource, self.bearing], cap))

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
        apart, together = [np.arange(0)], [np.arange(0)]
        for bound in self.all.bounds_of[vm]:
            allowed &= ~bound.banned[:-1]
            others = bound.members[bound.members != vm]
            peers = others[(self.case.at[others] >= 0) & ~self.case.vm.evictable[others]]
            if isinstance(bound.rule, Apart):
                apart.append(peers)
                wide |= bound.rule.scope == "domain"
                allowed &= ~bound.at_places_of(self.case.at[peers])
            elif isinstance(bound.rule, Together):
                together.append(peers)
        return _Target(np.array([vm]), allowed, np.unique(np.concatenate(apart)), np.unique(np.concatenate(together)), wide)

    def shown(self, target: _Target, total: Callable[[IntArray], IntArray]) -> BoolArray:
        """In which scenarios that displace a target it is never stranded, by the sums there of amounts of units."""
        need = self.all.demand[:, target.vms[0]]
        binding, nodes = np.flatnonzero(need), np.flatnonzero(target.allowed)
        least = closing(self.all.free[np.ix_(binding, nodes)], need[binding], self.divisor[binding])
        place = np.unique(self.case.by_domain[nodes], return_inverse=True)[1] if target.wide else np.arange(len(nodes))
        peers, drawn = total(self.count(target.apart)), total(self.count(target.together)) > 0
        shown = np.zeros(len(drawn), dtype=bool)
        for cap in caps(least):
            loads = [self.capped_load(r, c) for r, c in zip(binding.tolist(), cap.tolist(), strict=True)]
            others = np.array([total(load) for load in loads]) - np.minimum(need[binding], cap)[:, None]
            held, limit = resistance(np.minimum(least, cap[:, None]), others.max(axis=1))
            own = total(self.scenarios.by_unit(nodes, held))
            barred = np.cumsum([0, *np.sort(sums(place, held, len(nodes)))[::-1]])[np.minimum(peers, len(nodes))]
            shown |= held.sum() - own - barred > (others[0] if len(binding) == 1 else limit)
            if shown.all():
                break
        return shown & ~drawn


def doubtful_scenarios(failures: AuditedFailures) -> IntArray:
    """The scenarios that are not shown to be survived in any order: all, where a policy does not look at memory."""
    if failures.blind:
        return np.arange(len(failures.scenarios))
    pool_of = failures.scenarios.pool_of
    doubtful = [_doubts(_PoolFailures(failures, pool), np.flatnonzero(pool_of == pool)) for pool in np.unique(pool_of).tolist()]
    return np.sort(np.concatenate([np.arange(0), *doubtful]))


def _doubts(pool: _PoolFailures, told: IntArray) -> IntArray:
    """Which of a pool's scenarios are open."""
    units, doubtful, settled = pool.scenarios.units[told], np.zeros(len(told), dtype=bool), np.zeros(len(told), dtype=bool)
    for target in pool.targets():
        plain = target.allowed is pool.online
        rows = np.flatnonzero((_total(pool.count(target.vms), units) > 0) & ~doubtful & ~(settled if plain else False))
        if len(rows):
            doubtful[rows] = ~pool.shown(target, partial(_total, units=units[rows]))
        if plain and len(pool.divisor) == 1:
            settled[rows] = True  # what strands one that needs less strands this one in its stead
    return told[doubtful]


def doubtful_pools(failures: AuditedFailures) -> list[int]:
    """Pools of too many scenarios that are not shown to survive even the worst that could be: the sums of the worst units.

    All of them, where a policy does not look at memory.
    """

    def worst(amounts: IntArray) -> IntArray:
        total: IntArray = np.sort(amounts)[::-1][: failures.scenarios.failures].sum(keepdims=True)
        return total

    numbers = [int(failures.scenarios.pool[hosts[0]]) for hosts in failures.scenarios.crowded]
    pools = {number: _PoolFailures(failures, number) for number in numbers}
    return [
        number
        for number, pool in pools.items()
        if failures.blind or not all(pool.shown(target, worst).all() for target in pool.targets())
    ]


def _total(amounts: IntArray, units: IntArray) -> IntArray:
    """The sum of units' amounts in each row; -2 fills up."""
    total: IntArray = np.append(amounts, [0, 0])[units].sum(axis=1)
    return total
