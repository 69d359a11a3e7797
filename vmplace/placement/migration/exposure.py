"""The fewest steps after which the guarantee does not hold, where few moves leave few ways to order them."""

from collections.abc import Iterator
from heapq import heappop, heappush

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.placement.migration.batches import Batch, BatchGate, Safe
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.transit import Hop, MigrationProblem, MigrationState
from vmplace.solvers.budget import Budget

__all__ = ["MOST_UNITS", "least_exposed"]

MOST_UNITS = 8
"""So many units in any order of batches are looked at."""


def least_exposed(transit: MigrationProblem, limits: MigrationLimits, safe: Safe, *, budget: Budget) -> list[Batch] | None:
    """The batches with the fewest states after one that are not safe, and the fewest of such: by all orders of all batches.

    Each unit goes straight to its goal, once. None where that is impossible, or not told in time.

    Parameters
    ----------
    transit, limits
        What is to move, `MOST_UNITS` units at most, and how much at a time.
    safe
        Tells of a state whether the guarantee is known to hold.
    budget
        When it is spent, None is returned.
    """
    units = np.flatnonzero(transit.source != transit.goal)
    queue: list[tuple[int, int, int, tuple[Batch, ...]]] = [(0, 0, 0, ())]
    seen, whole = set[int](), (1 << len(units)) - 1
    while queue and not budget.spent:
        exposed, count, done, made = heappop(queue)
        if done == whole:
            return list(made)
        if done in seen:
            continue
        seen.add(done)
        left = [unit for bit, unit in enumerate(units.tolist()) if not done >> bit & 1]
        at = _after(transit, units, done)
        for batch in _subsets(MigrationState.of(transit, at), left, BatchGate(limits, transit.size)):
            then = done | sum(1 << int(np.searchsorted(units, unit)) for unit, _, _ in batch)
            if then not in seen:
                worse = int(not safe(_after(transit, units, then)))
                heappush(queue, (exposed + worse, count + 1, then, (*made, batch)))
    return None


def _after(transit: MigrationProblem, units: IntArray, done: int) -> IntArray:
    moved = units[[bool(done >> bit & 1) for bit in range(len(units))]] if len(units) else units
    at = transit.source.copy()
    at[moved] = transit.goal[moved]
    return at


def _subsets(migration_state: MigrationState, left: list[int], gate: BatchGate) -> Iterator[Batch]:
    """Every batch that some of the units can make."""
    for number, unit in enumerate(left):
        hop: Hop = unit, int(migration_state.at[unit]), int(migration_state.transit.goal[unit])
        node = hop[2]
        if gate.admits(hop) and migration_state.holds(unit, node) and migration_state.apart(unit, node):
            migration_state.begin(unit, node)
            gate.add(hop)
            yield tuple(gate.hops)
            yield from _subsets(migration_state, left[number + 1 :], gate)
            gate.drop()
            migration_state.cancel(unit, node)
