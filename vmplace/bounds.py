"""What no placement can beat, told without a search."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from vmplace.columns import IntArray
from vmplace.goal import Goal, Stage
from vmplace.problem import Binding, Problem
from vmplace.ranking import evenly
from vmplace.restart import Reason
from vmplace.slotbounds import least_moved, least_peak

__all__ = ["impossible", "least"]

_MOST_SIZES = 64


def least(problem: Problem, goal: Goal, stage: Stage) -> int | Fraction:
    """A lower bound on one stage of a goal, whatever the other stages are."""
    name, _ = stage
    survives = problem.failures > 0 and not goal.best_effort
    if name == "balance":
        return least_peak(problem, _mean_peak(problem)) if survives else _mean_peak(problem)
    if name == "moves" and survives:
        return least_moved(problem)
    if name == "consolidate":
        return sum(_fewest_nodes(problem, pool, spare=survives) for pool in problem.pools)
    if name == "rules":
        return _least_broken(problem, goal)
    return 0


def impossible(problem: Problem, goal: Goal) -> Reason | None:
    """Why no placement can exist, if that shows without a search.

    By VM: one that no node may take. By group: one that no node can hold together. By pool: all VMs need no more memory than
    there is; and the protected ones fit without the largest node (whatever runs on it restarts on the others, if it fails),
    in memory and in slots of every size t: a VM of m fills at least floor(m / t) of them, a node of C has floor(C / t).
    """
    reason = _homeless(problem, goal)
    if reason is not None:
        return reason
    for binding, need, free in _too_large(problem, goal):
        if binding.must:
            return Reason("group", tuple(binding.vms.tolist()), need, free)
    for pool in problem.pools:
        reason = _crowded(problem, goal, pool) or (None if goal.best_effort else _overfull(problem, pool))
        if reason is not None:
            return reason
    return None


def _homeless(problem: Problem, goal: Goal) -> Reason | None:
    """A waiting VM that is larger than each node it may be on."""
    room = np.where(problem.online, goal.limit(problem), -1)
    most = np.array([room[mask].max(initial=-1) for mask in problem.reachable], dtype=np.int64)
    if problem.memory.max(initial=0) <= most.min(initial=0):
        return None
    homeless = np.flatnonzero((problem.node_of < 0) & (problem.memory > most[problem.signature]))
    if not len(homeless):
        return None
    vm = int(homeless[0])
    free = int(most[problem.signature[vm]])
    return Reason("size" if free >= 0 else "rules", (vm,), int(problem.memory[vm]), free)


def _crowded(problem: Problem, goal: Goal, pool: int) -> Reason | None:
    """More memory than the pool has in normal running."""
    inside = problem.pool == pool
    need, free = problem.sizes(pool, staying=False).total, int(goal.limit(problem)[inside & problem.online].sum())
    if need <= free:
        return None
    vms = np.flatnonzero((problem.vm_pool == pool) & ~problem.on_maintenance)
    return Reason("capacity", tuple(vms.tolist()), need, free)


def _overfull(problem: Problem, pool: int) -> Reason | None:
    """The slot bound of a pool with its largest node gone."""
    if problem.failures == 0:
        return None
    usable = problem.usable[(problem.pool == pool) & problem.online]
    kept = problem.sizes(pool, protected=True, staying=False)
    others = np.sort(usable)[:-1]
    for size in [1, *_some(kept.values)]:
        need, free = kept.slots(size), int((others // size).sum())
        if need > free:
            kind = "alone" if len(usable) <= 1 else "sums" if size == 1 else "slots"
            large = (problem.vm_pool == pool) & problem.protected & ~problem.on_maintenance & (problem.memory >= size)
            return Reason(kind, tuple(np.flatnonzero(large).tolist()), need, free, -1, size)
    return None


def _mean_peak(problem: Problem) -> Fraction:
    """The mean share of each pool's online nodes, and the share of the largest node that the largest VM or group takes."""
    best = Fraction(0)
    for pool in problem.pools:
        usable = problem.usable[(problem.pool == pool) & problem.online]
        sizes = problem.sizes(pool, staying=False)
        if len(usable):
            best = max(best, Fraction(sizes.total, int(usable.sum())), Fraction(sizes.largest, int(usable.max())))
    for binding in problem.bindings:
        usable = problem.usable[(problem.pool == problem.vm_pool[binding.vms[0]]) & problem.online]
        if binding.must and binding.kind == "together" and len(usable) and not problem.on_maintenance[binding.vms].any():
            best = max(best, Fraction(int(problem.memory[binding.vms].sum()), int(usable.max())))
    return best


def _too_large(problem: Problem, goal: Goal) -> Iterator[tuple[Binding, int, int]]:
    """Groups to keep together that no node can hold, with the memory they need and the most that a node has."""
    room = np.where(problem.online | problem.maintenance, goal.limit(problem), 0)
    for binding in problem.bindings:
        if binding.kind == "together":
            need = int(problem.memory[binding.vms].sum())
            most = int(room[problem.pool == problem.vm_pool[binding.vms[0]]].max(initial=0))
            if need > most:
                yield binding, need, most


def _least_broken(problem: Problem, goal: Goal) -> int:
    """The weight of rules that are no must and that no placement can keep."""
    return sum(binding.weight for binding, _, _ in _too_large(problem, goal) if not binding.must)


def _fewest_nodes(problem: Problem, pool: int, *, spare: bool) -> int:
    """How many of the largest nodes hold all VMs, in slots of any size; with `spare`, the protected ones without the largest."""
    usable = np.sort(problem.usable[(problem.pool == pool) & (problem.online | problem.maintenance)])[::-1]
    every, kept = problem.sizes(pool), problem.sizes(pool, protected=True)
    fewest = 0
    for size in [1, *_some(every.values)]:
        slots = np.cumsum(usable // size)
        fewest = max(fewest, _count(slots, every.slots(size)))
        if spare:
            fewest = max(fewest, _count(slots - usable[:1] // size, kept.slots(size)))
    return fewest


def _count(slots: IntArray, need: int) -> int:
    """How many nodes until the slots suffice; all of them and no more where they never do."""
    return min(int(np.searchsorted(slots, need)) + 1, len(slots)) if need else 0


def _some(sizes: IntArray) -> list[int]:
    """Of sizes, those above 1, or 64 of them."""
    return [size for size in evenly(sizes, _MOST_SIZES).tolist() if size > 1]
