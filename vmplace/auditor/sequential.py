"""The audit of sequential failures: after each, all VMs that must restart do so before the next failure."""

from collections.abc import Iterator

import numpy as np
from attrs import evolve, field, frozen

from vmplace.auditor.any_order import counterexample_text, find_counterexample
from vmplace.auditor.certificate import doubtful_scenarios
from vmplace.auditor.failures import AuditedFailures, Failure, TooHardError, WorkLimit
from vmplace.auditor.policy import simulate
from vmplace.auditor.restarts import Restarts
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["check_sequence"]

_MOST_PLACES = 100_000
"""States to look at times VMs in each."""


def check_sequence(failures: AuditedFailures) -> None:
    """Record ``unprotected`` for pools that do not survive some sequence, ``unverified`` for those too large to tell.

    What survives so many failures at once in any order of restarts survives them in sequence, however the VMs restart, unless a
    policy does not look at memory. Rules in failover are the exception: a VM bound to one that restarts on the node that fails
    next has one node less than at once.
    """
    case, scenarios = failures.case, failures.scenarios
    asked = case.cluster.guarantee
    bound = asked.any_order and bool(failures.bounds)
    doubtful = np.arange(len(scenarios)) if bound else doubtful_scenarios(failures)
    for pool in np.unique(scenarios.pool_of[doubtful]).tolist():
        sequence = _Sequence(failures, pool)
        try:
            loss = sequence.loss(sequence.begin(), scenarios.failures)
        except TooHardError:
            name = case.pools[pool]
            told = f"too hard to decide whether pool {name} survives {scenarios.failures} failures one after the other"
            case.blame("unverified", name, told)
            continue
        if loss is not None:
            key = "+".join(scenarios.names[unit] for unit in sorted(loss.units))
            case.blame("unprotected", key, f"if {' and then '.join(scenarios.names[u] for u in loss.units)} fails{loss.told}")


@frozen(eq=False)
class _State:
    """Where all VMs are after some failures.

    Parameters
    ----------
    units
        That have failed, in turn.
    failed
        Their nodes, shape (n_nodes + 1,).
    at
        Shape (n_vms,).
    free
        Shape (n_resources, n_nodes).
    """

    units: tuple[int, ...]
    failed: BoolArray = field(repr=False)
    at: IntArray = field(repr=False)
    free: IntArray = field(repr=False)


@frozen
class _Loss:
    """A sequence of failures that is not survived, and the end of a sentence that tells it."""

    units: tuple[int, ...]
    told: str


class _Sequence:
    """Depth-first search over the sequences of failures of one pool, with the states already decided."""

    def __init__(self, failures: AuditedFailures, pool: int) -> None:
        self.all, self.case, self.scenarios, self.pool = failures, failures.case, failures.scenarios, pool
        asked = self.case.cluster.guarantee
        self.policy, self.planned = asked.policy is not None, asked.planned
        unit = self.scenarios.unit
        self.hosts = np.unique(unit[(unit >= 0) & (self.scenarios.pool[unit] == pool)]).tolist()
        # Each state is told apart by where every VM is.
        self.effort = WorkLimit(_MOST_PLACES // max(1, len(failures.kind)))
        self.known: dict[object, _Loss | None] = {}

    def begin(self) -> _State:
        """The placement before any failure."""
        return _State((), np.zeros(len(self.case.node) + 1, dtype=bool), self.case.at, self.all.free)

    def loss(self, state: _State, left: int) -> _Loss | None:
        """Failures of so many more units that are not survived, or None if all are."""
        if not left:
            return None
        self.effort.spend()
        key = self._key(state)
        if key not in self.known:
            units = (unit for unit in self.hosts if unit not in state.units)
            self.known[key] = next((loss for unit in units if (loss := self._unit_loss(state, unit, left))), None)
        return self.known[key]

    def _key(self, state: _State) -> object:
        """What tells states apart, up to VMs of one kind that change places."""
        there = [
            (int(state.at[v]), kind) for v, kind in self.all.kind.items() if state.at[v] >= 0 and not state.failed[state.at[v]]
        ]
        return frozenset(state.units), tuple(sorted(there))

    def _unit_loss(self, state: _State, unit: int, left: int) -> _Loss | None:
        """What is not survived if a unit fails next, with all that may follow."""
        units, failed = (*state.units, unit), state.failed | (self.scenarios.unit == unit)
        displaced = self.all.bearing[self.scenarios.unit[state.at[self.all.bearing]] == unit]
        failure = self.all.after(failed, self.pool, displaced, state.at, state.free)
        then = evolve(state, units=units, failed=failed)
        if self.policy:
            restarts = simulate(failure)
            lost = [v for v in failure.musts if v not in restarts]
            if lost:
                return _Loss(units, f", {self.case.cluster.guarantee.policy} finds no node for {self.case.vm.names[lost[0]]}")
            return self.loss(self._next(then, restarts), left - 1)
        if self.planned:
            if any(self.loss(self._next(then, restarts), left - 1) is None for restarts in self._outcomes(failure)):
                return None
            return _Loss(units, ", however the VMs restart, some further failure is not survived" if left > 1 else _NO_WAY)
        found = find_counterexample(failure, self.effort)
        if found is not None:
            return _Loss(units, counterexample_text(self.case, found))
        outcomes = self._outcomes(failure) if left > 1 else ()
        return next((loss for made in outcomes if (loss := self.loss(self._next(then, made), left - 1))), None)

    def _next(self, state: _State, restarts: dict[int, int]) -> _State:
        """After the restarts; a VM that did not restart stays on its failed node."""
        at, free = state.at.copy(), state.free.copy()
        for v, i in restarts.items():
            at[v] = i
            free[:, i] -= self.all.demand[:, v]
        return evolve(state, at=at, free=free)

    def _outcomes(self, failure: Failure) -> Iterator[dict[int, int]]:
        """The ways in which all that must restart do; in any order others may do so too."""
        return Restarts(failure, self.effort).of(failure.musts if self.planned else failure.displaced.tolist())


_NO_WAY = ", not every VM that must restart can"
