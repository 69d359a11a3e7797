"""Starts of waiting VMs in a migration plan: as early as they delay no migration and cost no step the guarantee."""

from collections.abc import Callable, Sequence

import numpy as np
from attrs import define, field

from vmplace.model.columns import IntArray
from vmplace.placement.migration.batches import Batch
from vmplace.placement.migration.transit import MigrationProblem, MigrationState
from vmplace.problem.rules import kept

__all__ = ["Starting"]


@define(eq=False)
class Starting:
    """Waiting VMs on their way into batches that are settled.

    Each starts with the first batch from which on it always finds room on its node beside all that moves, and breaks no
    must-rule that holds; those of higher priority first, then the larger. A VM that finds none starts when all have moved.

    Parameters
    ----------
    step
        Batch with which each waiting VM starts, shape (n_vms,): as many as there are batches for after the last; -1 for others.
    """

    transit: MigrationProblem
    batches: Sequence[Batch]
    step: IntArray = field(init=False)
    _moving: list[IntArray] = field(init=False)
    _tight: list[IntArray] = field(init=False)
    _states: list[IntArray] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._moving, self._states = _replayed(self.transit, self.batches)
        self._tight = [room.copy() for room in self._moving]
        self.step = np.full(self.transit.problem.n_vms, -1, dtype=np.int64)
        problem = self.transit.problem
        waiting = np.flatnonzero((problem.node_of < 0) & (self.transit.final >= 0))
        for vm in waiting[np.lexsort((waiting, -problem.memory[waiting], -problem.priority[waiting]))].tolist():
            self._start(vm)

    def _start(self, vm: int) -> None:
        need, node, first = self.transit.problem.demand[vm], int(self.transit.final[vm]), len(self.batches)
        while first and bool(((need <= self._tight[first - 1][node]) | (need == 0)).all()) and self._keeps_rules(vm, first - 1):
            first -= 1
        self.step[vm] = first
        for room in self._tight[first:]:
            room[node] -= need

    def leave(self, vm: int, node: int) -> int:
        """The batch at whose beginning a VM that starts elsewhere, or not, leaves a node at the latest: it is charged there until
        then.
        """
        need, batch = self.transit.problem.demand[vm], 0
        end = len(self._tight) if self.step[vm] < 0 else int(self.step[vm])
        while batch < min(end, len(self._tight)):
            room = self._tight[batch][node]
            if not bool(((need <= room) | (need == 0)).all()):
                break
            room -= need
            batch += 1
        return batch if batch < len(self._tight) else end

    def _keeps_rules(self, vm: int, batch: int) -> bool:
        """Whether it can run before and after a batch, with those that have started by then."""
        mine = [rule for rule in self.transit.lasting if vm in rule.vms]
        return all(kept(rule, self._with(vm, batch, at)) for rule in mine for at in self._states[batch : batch + 2])

    def _with(self, vm: int, batch: int, at: IntArray) -> IntArray:
        node_of = self.placed(at, batch)
        node_of[vm] = self.transit.final[vm]
        return node_of

    def begun(self, batch: int) -> list[int]:
        """The VMs that start with a batch: those of higher priority first, then the larger."""
        problem, vms = self.transit.problem, np.flatnonzero(self.step == batch)
        ordered: list[int] = vms[np.lexsort((vms, -problem.memory[vms], -problem.priority[vms]))].tolist()
        return ordered

    def placed(self, at: IntArray, batch: int) -> IntArray:
        """The placement with the units where they are, and the VMs that have started with a batch or before, shape (n_vms,)."""
        started = (self.step >= 0) & (self.step <= batch)
        return np.where(started, self.transit.final, self.transit.node_of(at))

    def postpone(self, safe: Callable[[IntArray], bool], down: IntArray | Sequence[int] = ()) -> None:
        """Start VMs later that would cost a batch the guarantee, but those that are down for the plan's sake at once.

        `safe` tells of a placement.
        """
        patient = ~np.isin(np.arange(len(self.step)), np.array(down, dtype=np.int64))
        for batch, at in enumerate(self._states[1:]):
            early = (self.step >= 0) & (self.step <= batch) & patient
            if early.any() and not safe(self.placed(at, batch)) and safe(self.transit.node_of(at)):
                self.step[early] = batch + 1


def _replayed(transit: MigrationProblem, batches: Sequence[Batch]) -> tuple[list[IntArray], list[IntArray]]:
    """What is free on each node during each batch, and where the units are before each and at the end."""
    state, tight, states = MigrationState.of(transit), [], [transit.source]
    for batch in batches:
        for unit, _, node in batch:
            state.begin(unit, node)
        tight.append(state.room.copy())
        for unit, _, node in batch:
            state.finish(unit, node)
        states.append(state.at.copy())
    return tight, states
