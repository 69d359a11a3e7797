"""Failures in turn: between two of them all who must restart do, and nobody knows what fails next.

What survives k failures at once in any order of restarts survives them in turn, however VMs restart, unless rules bind these to
each other. Where that does not tell, all restarts are tried, up to a number of states: on more the answer is left open.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from attrs import evolve

from vmplace.failover.any_order.decide import strand
from vmplace.failover.any_order.state import AnyOrderProblem, RestartState, any_order_problem
from vmplace.failover.certificates import Certificates
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import pack_all
from vmplace.failover.restart import RestartProblem
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["StateLimit", "decide_any_order_in_turn", "survives_in_turn"]

_MOST_STATES, _MOST_PLACES = 20_000, 2_000_000
"""States that are looked at for one answer; and the same times the VMs in each."""


class StateLimit:
    """Time and states that are left."""

    def __init__(self, budget: Budget, state: PlacementState) -> None:
        self.budget = budget
        self._states = min(_MOST_STATES, _MOST_PLACES // max(1, state.problem.n_vms))

    def take(self) -> bool:
        """One more state; False if there is none left."""
        self._states -= 1
        return self._states >= 0 and not self.budget.spent


def decide_any_order_in_turn(state: PlacementState, scenario: int, *, budget: Budget) -> Plan:
    """Whether, in whichever order the units fail and VMs restart in between, all who must always can."""
    lost, effort = set[int](), StateLimit(budget, state)
    none = np.zeros(0, dtype=np.int64)
    turns = permutations(state.scenarios.key(scenario))
    known = all(_harm(state, turn, 1, state.node_of, lost, effort) for turn in turns)
    if not lost:
        return Plan(True, "adversary", none, none) if known else Plan(None, "time", none, none)
    gone = np.array(sorted(lost), dtype=np.int64)
    reason = Reason("turns", (int(gone[0]),), int(state.problem.memory[gone[0]]))
    return Plan(False, "adversary", none, none, Loss(gone, reason, minimal=known))


def _harm(state: PlacementState, turn: tuple[int, ...], done: int, node_of: IntArray, lost: set[int], effort: StateLimit) -> bool:
    """Add all whom the rest of a run may cost a restart; False if that could not be told."""
    failed = np.flatnonzero(np.isin(state.problem.unit, turn[:done]))
    vms, nodes, failure = any_order_problem(state, failed, node_of)
    found = strand(failure, budget=effort.budget, every=True)
    lost.update(vms[found.lost].tolist())
    if found.open.any():
        return False
    if done == len(turn):
        return True
    for home in _outcomes(failure, effort):
        if home is None:
            return False
        then = np.where(np.isin(node_of, failed), -1, node_of)
        then[vms[home >= 0]] = nodes[home[home >= 0]]
        if not _harm(state, turn, done + 1, then, lost, effort):
            return False
    return True


def _outcomes(failure: AnyOrderProblem, effort: StateLimit) -> Iterator[IntArray | None]:
    """All ways in which everyone who must restarts, others or not; None where there are too many."""

    def extend(vm: int, placed: tuple[tuple[int, int], ...]) -> Iterator[IntArray | None]:
        if not effort.take():
            yield None
            return
        restarts = RestartState(failure)
        for other, node in placed:
            restarts.restart(other, node)
        if vm == failure.n_vms:
            home = np.full(failure.n_vms, -1, dtype=np.int64)
            for other, node in placed:
                home[other] = node
            yield home
            return
        for node in np.flatnonzero(restarts.open(vm)).tolist():
            yield from extend(vm + 1, (*placed, (vm, node)))
        if not failure.must[vm]:
            yield from extend(vm + 1, placed)

    return extend(0, ())


def survives_in_turn(state: PlacementState, pool: int, budget: Budget) -> bool | None:
    """Whether there are plans for a pool's failures in turn, each failure by itself being survived; None if that is not known."""
    scenarios = state.scenarios
    mine = scenarios.pool == pool
    careless = Certificates(state, everyone=True).any_order & state.unbound | (state.returning == 0)
    if careless[mine].all():
        return True
    units = np.unique(scenarios.units[mine])
    return _survives(state.problem, state, units[units >= 0].tolist(), StateLimit(budget, state))


def _survives(problem: Problem, state: PlacementState, units: list[int], effort: StateLimit) -> bool | None:
    """Whether each of some units can fail next."""
    unknown = False
    for unit in units:
        fate = _fails_next(problem, state, unit, effort)
        if fate is False:
            return False
        unknown = unknown or fate is None
    return None if unknown else True


def _fails_next(problem: Problem, state: PlacementState, unit: int, effort: StateLimit) -> bool | None:
    """Whether some plan for the failure of a unit leaves a placement that survives the others; all plans are tried."""
    first = PlacementState.of(_with_failures(problem, 1), state.node_of, powered=state.target | problem.maintenance)
    number = first.scenarios.number.get((unit,))
    if number is None:
        return True
    unknown = False
    for plan in _plans(RestartProblem.of(first, number, every=True), effort):
        fate = None if plan is None else _after(problem, state, unit, plan, effort)
        if fate or plan is None:
            return fate
        unknown = unknown or fate is None
    return None if unknown else False


def _after(problem: Problem, state: PlacementState, unit: int, plan: list[tuple[int, int]], effort: StateLimit) -> bool | None:
    """Whether the rest survives once a unit has failed and its VMs have restarted."""
    then = np.where((state.node_of >= 0) & (problem.unit[state.node_of] == unit), -1, state.node_of)
    for vm, node in plan:
        then[vm] = node
    gone = problem.unit == unit
    left = evolve(
        _with_failures(problem, problem.failures - 1), online=state.target & ~gone, maintenance=problem.maintenance & ~gone
    )
    rest = PlacementState.of(left, then)
    pool = int(problem.unit_pool[unit])
    units = np.unique(rest.scenarios.units[rest.scenarios.pool == pool])
    if left.failures > 1:
        return _survives(left, rest, units[units >= 0].tolist(), effort)
    return _all_planned(rest, pool, effort)


def _all_planned(state: PlacementState, pool: int, effort: StateLimit) -> bool | None:
    """Whether each failure of a pool has a plan."""
    unknown = False
    for number in np.flatnonzero(state.scenarios.pool == pool).tolist():
        plans = _plans(RestartProblem.of(state, number, every=True), effort)
        plan: list[tuple[int, int]] | bool | None = next(plans, False)
        if plan is False:
            return False
        unknown = unknown or plan is None
    return None if unknown else True


def _with_failures(problem: Problem, failures: int) -> Problem:
    return evolve(problem, guarantee=evolve(problem.guarantee, failures=failures))


def _plans(restart: RestartProblem, effort: StateLimit) -> Iterator[list[tuple[int, int]] | None]:
    """All plans for a failure, a quick one first; None where there are too many to try."""
    quick = pack_all(restart, soft=False) if effort.take() else None
    if quick is not None:
        yield [(vm, int(restart.nodes[place])) for item, place in quick for vm in item.vms]
    yield from _extended(restart, 0, [], effort)


def _extended(
    restart: RestartProblem, done: int, places: list[int], effort: StateLimit
) -> Iterator[list[tuple[int, int]] | None]:
    """All plans that begin with some places of the first items."""
    items = restart.joint_items()
    if not effort.take():
        yield None
        return
    if done == len(items):
        yield [(vm, int(restart.nodes[place])) for item, place in zip(items, places, strict=True) for vm in item.vms]
        return
    item, room = items[done], restart.room.copy()
    for other, place in zip(items, places, strict=False):
        room[place] -= other.demand
    # Of interchangeable items, the later go no further to the front.
    alike = [place for other, place in zip(items, places, strict=False) if other.likeness == item.likeness]
    fits = item.allowed & (room >= np.array(item.demand)).all(axis=1)
    for place in np.flatnonzero(fits).tolist():
        if place >= max(alike, default=0) and _keeps_apart(restart, done, place, places):
            yield from _extended(restart, done + 1, [*places, place], effort)


def _keeps_apart(restart: RestartProblem, number: int, place: int, places: list[int]) -> bool:
    """Whether an item may be at a place beside those before it, as far as rules go that keep VMs apart."""
    items = restart.joint_items()
    for rule, zone in zip(restart.rules, restart.zones, strict=True):
        if zone is None or not rule.must or not restart.members(rule, items[number]):
            continue
        if any(restart.members(rule, items[k]) and zone[at] == zone[place] for k, at in enumerate(places)):
            return False
    return True
