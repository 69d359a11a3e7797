"""Failures in turn: between two of them all who must restart do, by a plan that does not know what fails next."""

from collections.abc import Iterator

import numpy as np
from attrs import evolve

from vmplace.budget import Budget
from vmplace.certificates import Certificates
from vmplace.columns import IntArray
from vmplace.packing import Assignment, pack_all
from vmplace.problem import Problem
from vmplace.restart import Item, Restart
from vmplace.scenarios import Fate, Verdict, judge
from vmplace.standing import Standing

__all__ = ["fates_in_turn"]


def fates_in_turn(verdict: Verdict, budget: Budget) -> dict[int, Fate]:
    """Of each pool whether it survives failures in turn, as far as the failures at once do not tell already.

    What survives k failures at once in any order of restarts survives them in turn, whatever the plans; otherwise some plan for
    each first failure must leave a placement that survives k - 1 more.
    """
    standing, fates = verdict.standing, {}
    problem, failures = standing.problem, standing.failures
    careless = Certificates(standing, everyone=True).any_order & standing.plain | (standing.returning == 0)
    for pool in np.unique(failures.pool).tolist():
        mine = failures.pool == pool
        if (verdict.fate[mine] == Fate.UNSAFE).any() or careless[mine].all():
            continue
        units = np.unique(failures.units[mine])
        fates[pool] = _survives(problem, standing.node_of, standing, units[units >= 0].tolist(), budget)
    return fates


def _survives(problem: Problem, node_of: IntArray, standing: Standing, units: list[int], budget: Budget) -> Fate:
    """Whether each of some units can fail next."""
    known = [_fails_next(problem, node_of, standing, unit, budget) for unit in units]
    return Fate.UNSAFE if Fate.UNSAFE in known else Fate.UNKNOWN if Fate.UNKNOWN in known else Fate.SAFE


def _fails_next(problem: Problem, node_of: IntArray, standing: Standing, unit: int, budget: Budget) -> Fate:
    """Whether some plan for the failure of a unit leaves a placement that survives the others; all plans are tried."""
    single = _with_failures(problem, 1)
    first = Standing.of(single, node_of, powered=standing.target | problem.maintenance)
    number = first.failures.number.get((unit,))
    if number is None:
        return Fate.SAFE
    unknown = False
    for plan in _plans(Restart.of(first, number, every=True), budget):
        if plan is None:
            return Fate.UNKNOWN
        fate = _after(problem, node_of, standing, unit, plan, budget)
        if fate == Fate.SAFE:
            return fate
        unknown = unknown or fate == Fate.UNKNOWN
    return Fate.UNKNOWN if unknown else Fate.UNSAFE


def _after(
    problem: Problem, node_of: IntArray, standing: Standing, unit: int, plan: list[tuple[int, int]], budget: Budget
) -> Fate:
    """What comes of the rest once a unit has failed and its VMs have restarted."""
    then = np.where((node_of >= 0) & (problem.unit[node_of] == unit), -1, node_of)
    for vm, node in plan:
        then[vm] = node
    gone = problem.unit == unit
    left = evolve(
        _with_failures(problem, problem.failures - 1), online=standing.target & ~gone, maintenance=problem.maintenance & ~gone
    )
    rest = Standing.of(left, then)
    verdict = judge(rest, budget=budget, losses=False, stop_early=True)
    if verdict.unsafe or not left.in_turn:
        return verdict.of_pools
    units = np.unique(rest.failures.units[rest.failures.pool == problem.unit_pool[unit]])
    return _survives(left, then, rest, units[units >= 0].tolist(), budget)


def _with_failures(problem: Problem, failures: int) -> Problem:
    return evolve(problem, guarantee=evolve(problem.guarantee, failures=failures))


def _plans(restart: Restart, budget: Budget) -> Iterator[list[tuple[int, int]] | None]:
    """All plans for a failure, a quick one first; None where time ran out before all were tried."""
    quick = pack_all(restart, soft=False)
    if quick is not None:
        yield _named(restart, quick)
    yield from _extended(restart, restart.joint_items(), [], budget)


def _extended(restart: Restart, left: list[Item], done: Assignment, budget: Budget) -> Iterator[list[tuple[int, int]] | None]:
    if budget.spent:
        yield None
        return
    if not left:
        yield _named(restart, done)
        return
    item, room = left[0], restart.room.copy()
    for other, place in done:
        room[place] -= other.demand
    # Of interchangeable items, the later go no further to the front.
    least = max((place for other, place in done if other.likeness == item.likeness), default=0)
    fits = item.allowed & (room >= np.array(item.demand)).all(axis=1)
    for place in np.flatnonzero(fits).tolist():
        if place >= least and all(_apart(restart, item, place, other, at) for other, at in done):
            yield from _extended(restart, left[1:], [*done, (item, place)], budget)


def _apart(restart: Restart, item: Item, place: int, other: Item, at: int) -> bool:
    """Whether two items may be where they are, as far as rules that keep VMs apart go."""
    for binding, zone in zip(restart.bindings, restart.zones, strict=True):
        if zone is None or not binding.must or zone[place] != zone[at]:
            continue
        if restart.members(binding, item) and restart.members(binding, other):
            return False
    return True


def _named(restart: Restart, assignment: Assignment) -> list[tuple[int, int]]:
    return [(vm, int(restart.nodes[place])) for item, place in assignment for vm in item.vms]
