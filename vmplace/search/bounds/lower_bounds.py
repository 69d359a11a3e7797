"""Necessary conditions for a placement, and lower bounds on each objective, without a search."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from attrs import evolve

from vmplace.failover.outcome import Reason
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.rules import CompiledRule
from vmplace.problem.scenarios import most_down
from vmplace.problem.sizes import SizeCounts, evenly
from vmplace.search.bounds.slots import least_moved, least_peak
from vmplace.search.goal import Goal, Stage, priorities

__all__ = ["impossible", "least"]

_MOST_SIZES = 64


def least(problem: Problem, goal: Goal, stage: Stage) -> int | Fraction:
    """A lower bound on one stage of a goal, whatever the other stages are."""
    if stage[0] == "lost":
        return sum(_least_lost(part) for part in problem.each if priorities(part) == [stage[1]])
    return max(_least(part, goal, stage[0]) for part in problem.each)


def _least(problem: Problem, goal: Goal, name: str) -> int | Fraction:
    """What one guarantee allows at least."""
    survives = problem.failures > 0 and not goal.best_effort
    if name == "balance":
        return least_peak(problem, _mean_peak(problem)) if survives else _mean_peak(problem)
    if name == "moves":
        return max(_displaced(problem), least_moved(problem) if survives else 0)
    if name == "consolidate":
        quorum = _nodes_for_quorum(problem) if survives else {}
        return sum(max(_fewest_nodes(problem, pool, spare=survives), quorum.get(pool, 0)) for pool in problem.pools)
    if name == "rules":
        return _least_cost(problem, goal)
    return 0


def _least_lost(problem: Problem) -> int:
    """The memory that all single failures together leave without a restart at least, where all protected VMs have one priority.

    A failure of f leaves no less than the load of f minus what is free elsewhere. Summed over n nodes, that is the whole load
    minus n - 1 times all that is free, wherever VMs are.
    """
    single = problem.failures == 1 and problem.guarantee.scope == "node" and problem.plain
    if not single or problem.maintenance.any():
        return 0
    lost = 0
    for pool in problem.pools:
        mine, open_ = problem.vm_pool == pool, problem.online & (problem.pool == pool)
        free = int(problem.usable[open_].sum()) - int(problem.memory[mine & ~problem.evictable].sum())
        lost += max(0, int(problem.memory[mine & problem.protected].sum()) - (int(open_.sum()) - 1) * free)
    return lost


def _displaced(problem: Problem) -> int:
    """The memory of VMs that run where they may not stay, in MiB."""
    if problem.reachable.all():
        return 0
    running = problem.node_of >= 0
    return int(problem.memory[running & ~problem.reachable[problem.signature, problem.node_of]].sum())


def impossible(problem: Problem, goal: Goal) -> Reason | None:
    """Why no placement can exist, if that shows without a search.

    By VM: one that no node may take. By group: one that no node can hold together, or that has more members to keep apart than
    there are places. By pool: all VMs need no more of a resource than there is; and those that must restart fit without the
    nodes that have most and may fail (whatever runs on these restarts on the others), in amounts and in slots of every size t:
    a VM of m fills at least floor(m / t) of them, a node of C has floor(C / t). And enough nodes are left for the quorum.
    Of several guarantees, each has to be possible.
    """
    for number, part in enumerate(problem.each):
        reason = _impossible(part, goal)
        if reason is not None:
            return evolve(reason, guarantee=number)
    return None


def _impossible(problem: Problem, goal: Goal) -> Reason | None:
    reason = _homeless(problem, goal)
    if reason is not None:
        return reason
    for rule, need, free in _too_large(problem, goal):
        if rule.must:
            return Reason("group", tuple(rule.vms.tolist()), need, free)
    reason = _inseparable(problem, goal)
    if reason is not None:
        return reason
    for pool in problem.pools:
        reason = _crowded(problem, goal, pool) or (
            None if goal.best_effort else _outvoted(problem, pool) or _overfull(problem, pool)
        )
        if reason is not None:
            return reason
    return None


def _homeless(problem: Problem, goal: Goal) -> Reason | None:
    """A waiting VM that is larger than each node it may be on."""
    limits = np.where(problem.online[:, None], goal.limits(problem), -1)
    most = np.array([limits[mask].max(axis=0, initial=-1) for mask in problem.reachable], dtype=np.int64)
    most = most.reshape(len(problem.reachable), limits.shape[1])
    waiting = np.flatnonzero(problem.node_of < 0)
    for resource in range(limits.shape[1]):
        need, free = problem.demand[waiting, resource], most[problem.signature[waiting], resource]
        homeless = np.flatnonzero((need > free) & ((need > 0) | (free < 0)))
        if len(homeless):
            k = int(homeless[0])
            kind = "size" if free[k] >= 0 else "rules"
            return Reason(kind, (int(waiting[k]),), int(need[k]), int(free[k]), resource=resource)
    return None


def _inseparable(problem: Problem, goal: Goal) -> Reason | None:
    """More VMs to keep apart than there are places for them, one more where each must restart in another."""
    for rule in problem.compiled_rules:
        if rule.zone is None or not rule.must:
            continue
        for pool in np.unique(problem.vm_pool[rule.vms]).tolist():
            mine = rule.vms[problem.vm_pool[rule.vms] == pool]
            places = _places(problem, rule, pool)
            # One more than there are places is enough to name, those first that must restart.
            mine = mine[np.argsort(~problem.protected[mine], kind="stable")]
            # Where one fails, it needs a place besides the others'; of these, those on failed nodes may not need any more.
            alone = problem.failures == 1 and problem.guarantee.scope == "node"
            staying = mine[~problem.evictable[mine] if alone else problem.protected[mine]]
            fails = problem.failures > 0 and not goal.best_effort and rule.during_failover and problem.protected[staying].any()
            left = _places_left(problem, rule, pool) if fails and places else places
            if fails and len(staying) > left:
                return Reason("apart", tuple(staying[: left + 1].tolist()), left + 1, left, among=places)
            if len(mine) > places:
                return Reason("apart", tuple(mine[: places + 1].tolist()), places + 1, places)
    return None


def _places(problem: Problem, rule: CompiledRule, pool: int) -> int:
    """How many places there are in a pool for members of an ``apart`` rule."""
    assert rule.zone is not None
    return len(np.unique(rule.zone[(problem.online | problem.maintenance) & (problem.pool == pool)]))


def _places_left(problem: Problem, rule: CompiledRule, pool: int) -> int:
    """How many places there are at most for members of an ``apart`` rule once the unit of one of them has failed."""
    assert rule.zone is not None
    inside = np.flatnonzero((problem.online | problem.maintenance) & (problem.pool == pool))
    zones, units = np.unique(rule.zone[inside], return_inverse=True)[1], problem.unit[inside]
    pairs = np.unique(np.column_stack([zones, units]), axis=0)
    whole = pairs[np.bincount(pairs[:, 0])[pairs[:, 0]] == 1]
    # A unit that fails takes at least the places that are all on it; at best it is one that takes none.
    lost = np.bincount(whole[:, 1], minlength=len(problem.unit_pool))[units]
    return int(zones.max()) + 1 - int(lost.min())


def _crowded(problem: Problem, goal: Goal, pool: int) -> Reason | None:
    """More of a resource than the pool has in normal running."""
    open_ = (problem.pool == pool) & problem.online
    mine = None
    for resource, free in enumerate(goal.limits(problem)[open_].sum(axis=0).tolist()):
        if resource == 0:
            need = problem.sizes(pool, staying=False).total
        else:
            mine = (problem.vm_pool == pool) & ~problem.on_maintenance if mine is None else mine
            need = int(problem.demand[mine, resource].sum())
        if need > free:
            vms = np.flatnonzero((problem.vm_pool == pool) & ~problem.on_maintenance & (problem.demand[:, resource] > 0))
            return Reason("capacity", tuple(np.unique(problem.whole[vms]).tolist()), need, free, resource=resource)
    return None


def _outvoted(problem: Problem, pool: int) -> Reason | None:
    """A failure that leaves too few nodes for a quorum, wherever the pool's protected VMs are."""
    must = np.flatnonzero((problem.vm_pool == pool) & problem.protected)
    if problem.guarantee.quorum is None or not problem.failures or not len(must):
        return None
    # Of units in maintenance it depends on what runs there whether they may fail.
    up = problem.up.astype(np.int64)
    left = int(up[problem.pool == pool].sum()) - int(most_down(problem, up, problem.online)[pool])
    needed = int(problem.quorum[pool])
    return Reason("quorum", (int(must[0]),), needed, left) if left < needed else None


def _nodes_for_quorum(problem: Problem) -> dict[int, int]:
    """How many nodes of each pool must be up before any failure: each that fails is one node at least."""
    if problem.guarantee.quorum is None:
        return {}
    busy = np.unique(problem.vm_pool[problem.protected]).tolist()
    return {pool: int(problem.quorum[pool]) + problem.failures for pool in problem.pools if pool in busy}


def _overfull(problem: Problem, pool: int) -> Reason | None:
    """The slot bound of a pool with those units gone that have most."""
    if problem.failures == 0:
        return None
    nodes = np.flatnonzero((problem.pool == pool) & problem.online)
    mine = (problem.vm_pool == pool) & problem.protected & ~problem.on_maintenance
    for resource in range(problem.n_firm):
        kept = (
            problem.sizes(pool, protected=True, staying=False) if resource == 0 else SizeCounts.of(problem.demand[mine, resource])
        )
        for size in [1, *_some(kept.values)]:
            need, free = kept.slots(size), _left(problem, nodes, problem.capacity[nodes, resource] // size)
            if need > free:
                lone = len(np.unique(problem.unit[nodes])) <= problem.failures
                kind = "alone" if lone else "sums" if size == 1 else "slots"
                large = np.flatnonzero(mine & (problem.demand[:, resource] >= size))
                return Reason(kind, tuple(large.tolist()), need, free, -1, size, resource=resource)
    return None


def _left(problem: Problem, nodes: IntArray, slots: IntArray) -> int:
    """Slots of some nodes without those of the units that have most and may fail at once."""
    by_unit = np.zeros(len(problem.unit_pool), dtype=np.int64)
    np.add.at(by_unit, problem.unit[nodes], slots)
    return int(np.sort(by_unit)[: max(0, len(by_unit) - problem.failures)].sum())


def _mean_peak(problem: Problem) -> Fraction:
    """The mean share of each pool's online nodes, and the share of the largest node that the largest VM or group takes."""
    best = Fraction(0)
    for pool in problem.pools:
        usable = problem.usable[(problem.pool == pool) & problem.online]
        sizes = problem.sizes(pool, staying=False)
        if len(usable):
            best = max(best, Fraction(sizes.total, int(usable.sum())), Fraction(sizes.largest, int(usable.max())))
    for rule in problem.compiled_rules:
        usable = problem.usable[(problem.pool == problem.vm_pool[rule.vms[0]]) & problem.online]
        if rule.must and rule.kind == "together" and len(usable) and not problem.on_maintenance[rule.vms].any():
            best = max(best, Fraction(int(problem.memory[rule.vms].sum()), int(usable.max())))
    return best


def _too_large(problem: Problem, goal: Goal) -> Iterator[tuple[CompiledRule, int, int]]:
    """Groups to keep together that no node can hold, with the memory they need and the most that a node has."""
    room = np.where(problem.online | problem.maintenance, goal.limit(problem), 0)
    for rule in problem.compiled_rules:
        if rule.kind == "together":
            need = int(problem.memory[rule.vms].sum())
            most = int(room[problem.pool == problem.vm_pool[rule.vms[0]]].max(initial=0))
            if need > most:
                yield rule, need, most


def _least_cost(problem: Problem, goal: Goal) -> int:
    """What soft rules cost at least, each alone: by the places that there are for its VMs, and the memory of these."""
    room = np.where(problem.online | problem.maintenance, goal.limit(problem), 0)
    soft = [rule for rule in problem.compiled_rules if not rule.must]
    return sum(rule.weight * _least_breaches(problem, rule, room) for rule in soft)


def _least_breaches(problem: Problem, rule: CompiledRule, room: IntArray) -> int:
    if rule.zone is not None:
        # VMs of one pool make the fewest pairs where they are spread evenly.
        pools, members = np.unique(problem.vm_pool[rule.vms], return_counts=True)
        spread = zip(pools.tolist(), members.tolist(), strict=True)
        return sum(_even_pairs(count, _places(problem, rule, pool)) for pool, count in spread)
    open_ = problem.reachable[problem.signature[rule.vms]].any(axis=0)
    memory = np.sort(problem.memory[rule.vms])
    if rule.kind == "together":
        most = np.cumsum(np.sort(room[open_])[::-1])
        return min(int(np.searchsorted(most, memory.sum())), max(0, len(most) - 1))
    assert rule.nodes is not None
    inside = room[open_ & rule.nodes]
    at_most = min(int((inside // memory[0]).sum()), int(np.searchsorted(np.cumsum(memory), inside.sum(), side="right")))
    return len(memory) - min(len(memory), at_most)


def _even_pairs(members: int, places: int) -> int:
    """The fewest pairs that share a place."""
    each, more = divmod(members, max(1, places))
    return places * each * (each - 1) // 2 + more * each


def _fewest_nodes(problem: Problem, pool: int, *, spare: bool) -> int:
    """How many of the largest nodes hold all VMs, in slots of any size; with `spare`, the protected ones without the largest."""
    usable = np.sort(problem.usable[(problem.pool == pool) & (problem.online | problem.maintenance)])[::-1]
    every, kept = problem.sizes(pool), problem.sizes(pool, protected=True)
    fewest = 0
    for size in [1, *_some(every.values)]:
        slots = np.cumsum(usable // size)
        fewest = max(fewest, _count(slots, every.slots(size)))
        if spare:
            # A domain that fails is one node at least; the largest is among those that may.
            gone = usable[: problem.failures if problem.guarantee.scope == "node" else 1] // size
            lost = np.minimum(slots, int(gone.sum()))
            fewest = max(fewest, _count(slots - lost, kept.slots(size)))
    return fewest


def _count(slots: IntArray, need: int) -> int:
    """How many nodes until the slots suffice; all of them and no more where they never do."""
    return min(int(np.searchsorted(slots, need)) + 1, len(slots)) if need else 0


def _some(sizes: IntArray) -> list[int]:
    """Of sizes, those above 1, or 64 of them."""
    return [size for size in evenly(sizes, _MOST_SIZES).tolist() if size > 1]
