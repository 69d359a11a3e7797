"""Failures in turn: between two of them all VMs that must restart do, and it is not known what fails next.

What survives k failures at once in any order of restarts survives them in turn, however VMs restart, unless rules bind these to
each other. Where that does not tell, all restarts are enumerated, up to a number of states: beyond, the answer is left open.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from attrs import evolve

from vmplace.failover.any_order.decide import strand
from vmplace.failover.any_order.state import AnyOrderProblem, RestartState, any_order_problem
from vmplace.failover.certificates.certificates import Certificates
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import pack_all
from vmplace.failover.restart import RestartProblem
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget, OutOfTimeError

__all__ = ["decide_any_order_in_turn", "survives_in_turn"]

_MOST_STATES, _MOST_PLACES = 20_000, 2_000_000
"""States that are looked at for one answer; and the same times the VMs in each."""


class _StateLimit:
    """Time and states that are left."""

    def __init__(self, budget: Budget, state: PlacementState) -> None:
        self.budget = budget
        self._states = min(_MOST_STATES, _MOST_PLACES // max(1, state.problem.n_vms))

    def take(self) -> None:
        """Count a state; raises OutOfTimeError if none is left."""
        self._states -= 1
        if self._states < 0 or self.budget.spent:
            raise OutOfTimeError


def decide_any_order_in_turn(state: PlacementState, scenario: int, *, budget: Budget) -> Plan:
    """Whether, in every order of failures and of the restarts in between, all VMs that must restart can."""
    vms, _, failure = any_order_problem(state, state.scenarios.failing(scenario), state.node_of)
    # Who fits nowhere once all have failed is lost in any turn.
    hopeless = failure.must & ~(failure.allowed & (failure.free >= failure.demand[:, None]).all(axis=2)).any(axis=1)
    lost, limit, known = set(vms[hopeless].tolist()), _StateLimit(budget, state), True
    none = np.zeros(0, dtype=np.int64)
    turns = permutations(state.scenarios.key(scenario))
    try:
        for turn in turns if not lost else ():
            known &= _collect_lost(state, turn, 1, state.node_of, lost, limit)
            if lost:
                break
        with budget.refining() as limit.budget:
            for turn in turns:
                known &= _collect_lost(state, turn, 1, state.node_of, lost, limit)
    except OutOfTimeError:
        known = False
    if not lost:
        return Plan(True, "adversary", none, none) if known else Plan(None, "time", none, none)
    gone = np.array(sorted(lost), dtype=np.int64)
    known = known or len(lost) == int(failure.must.sum())
    reason = Reason("turns", (int(gone[0]),), int(state.problem.memory[gone[0]]))
    return Plan(False, "adversary", none, none, Loss(gone, reason, minimal=bool(known)))


def _collect_lost(
    state: PlacementState, turn: tuple[int, ...], done: int, node_of: IntArray, lost: set[int], limit: _StateLimit
) -> bool:
    """Add the VMs that the failures from number `done` on may cost a restart; whether these are all.

    A VM that is stranded ends the story: what the failures after it would cost is not looked at.
    """
    failed = np.flatnonzero(np.isin(state.problem.unit, turn[:done]))
    vms, nodes, failure = any_order_problem(state, failed, node_of)
    found = strand(failure, budget=limit.budget, every=True)
    lost.update(vms[found.lost].tolist())
    if found.open.any():
        raise OutOfTimeError
    if done == len(turn):
        return True
    known = not found.lost.any()
    for home in _outcomes(failure, 0, RestartState(failure), limit):
        then = np.where(np.isin(node_of, failed), -1, node_of)
        then[vms[home >= 0]] = nodes[home[home >= 0]]
        known &= _collect_lost(state, turn, done + 1, then, lost, limit)
    return known


def _outcomes(failure: AnyOrderProblem, vm: int, restarts: RestartState, limit: _StateLimit) -> Iterator[IntArray]:
    """All ways in which the VMs from this one on restart, as nodes of all VMs: those that must do, others or not."""
    limit.take()
    if vm == failure.n_vms:
        home = np.full(failure.n_vms, -1, dtype=np.int64)
        for other, node in restarts.placed:
            home[other] = node
        yield home
        return
    for node in np.flatnonzero(restarts.open(vm)).tolist():
        then = restarts.copy()
        then.restart(vm, node)
        yield from _outcomes(failure, vm + 1, then, limit)
    if not failure.must[vm]:
        yield from _outcomes(failure, vm + 1, restarts, limit)


def survives_in_turn(state: PlacementState, pool: int, budget: Budget) -> bool | None:
    """Whether there are plans for a pool's failures in turn, each single failure being survived; None if unknown."""
    mine = state.scenarios.pool == pool
    certain = Certificates(state, everyone=True).any_order(mine & state.unbound) | (state.returning == 0)
    if certain[mine].all():
        return True
    try:
        return _survives(state, pool, _StateLimit(budget, state))
    except OutOfTimeError:
        return None


def _survives(state: PlacementState, pool: int, limit: _StateLimit) -> bool:
    """Whether each unit of a pool can fail next."""
    units = np.unique(state.scenarios.units[state.scenarios.pool == pool])
    return all(_fails_next(state, unit, limit) for unit in units[units >= 0].tolist())


def _fails_next(state: PlacementState, unit: int, limit: _StateLimit) -> bool:
    """Whether some plan for the failure of a unit leaves a placement that survives the others; all plans are tried."""
    problem = state.problem
    first = PlacementState.of(_with_failures(problem, 1), state.node_of, powered=state.target | problem.maintenance)
    number = first.scenarios.number.get((unit,))
    if number is None:
        return True
    plans = _plans(RestartProblem.of(first, number, every=True), limit)
    return any(_rest_survives(state, unit, plan, limit) for plan in plans)


def _rest_survives(state: PlacementState, unit: int, plan: list[tuple[int, int]], limit: _StateLimit) -> bool:
    """Whether the rest survives once a unit has failed and its VMs have restarted."""
    problem = state.problem
    then = np.where((state.node_of >= 0) & (problem.unit[state.node_of] == unit), -1, state.node_of)
    for vm, node in plan:
        then[vm] = node
    gone = problem.unit == unit
    left = evolve(
        _with_failures(problem, problem.failures - 1), online=state.target & ~gone, maintenance=problem.maintenance & ~gone
    )
    rest, pool = PlacementState.of(left, then), int(problem.unit_pool[unit])
    if left.failures > 1:
        return _survives(rest, pool, limit)
    failures = np.flatnonzero(rest.scenarios.pool == pool).tolist()
    return all(any(True for _ in _plans(RestartProblem.of(rest, number, every=True), limit)) for number in failures)


def _with_failures(problem: Problem, failures: int) -> Problem:
    return evolve(problem, guarantee=evolve(problem.guarantee, failures=failures))


def _plans(restart: RestartProblem, limit: _StateLimit) -> Iterator[list[tuple[int, int]]]:
    """All plans for a failure, as (VM, node), a quick one first."""
    limit.take()
    quick = pack_all(restart)
    if quick is not None:
        yield [(vm, int(restart.nodes[place])) for item, place in quick for vm in item.vms]
    yield from _extended(restart, [], limit)


def _extended(restart: RestartProblem, places: list[int], limit: _StateLimit) -> Iterator[list[tuple[int, int]]]:
    """All plans that begin with some places of the first items."""
    items = restart.joint_items()
    limit.take()
    if len(places) == len(items):
        yield [(vm, int(restart.nodes[place])) for item, place in zip(items, places, strict=True) for vm in item.vms]
        return
    item, room = items[len(places)], restart.room.copy()
    for other, place in zip(items, places, strict=False):
        room[place] -= other.demand
    # Of interchangeable items, the later go no further to the front.
    alike = [place for other, place in zip(items, places, strict=False) if other.likeness == item.likeness]
    fits = item.allowed & (room >= np.array(item.demand)).all(axis=1)
    for place in np.flatnonzero(fits).tolist():
        if place >= max(alike, default=0) and _keeps_apart(restart, place, places):
            yield from _extended(restart, [*places, place], limit)


def _keeps_apart(restart: RestartProblem, place: int, places: list[int]) -> bool:
    """Whether anti-affinity rules let the next item be at a place beside those before it."""
    items = restart.joint_items()
    for rule, zone in zip(restart.rules, restart.zones, strict=True):
        if zone is None or not rule.must or not restart.members(rule, items[len(places)]):
            continue
        if any(restart.members(rule, items[k]) and zone[at] == zone[place] for k, at in enumerate(places)):
            return False
    return True
