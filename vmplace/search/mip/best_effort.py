"""The model of a best effort for several failures at once: each is written out, with what it leaves out."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.state import PlacementState
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.mip.model import CountModel

__all__ = ["EffortModel"]

_MOST_RESTARTS = 200_000
"""Classes times nodes times failures, up to which all are written out."""


class EffortModel(CountModel):
    """As `CountModel`, where a VM is displaced by several failures, and may be left out by some of them only."""

    @staticmethod
    def applies(problem: Problem, goal: Goal) -> bool:
        """Whether the failures are few enough, and the same wherever VMs are."""
        if not problem.plain or goal.consolidates or (goal.move_running and problem.maintenance.any()):
            return False
        scenarios = PlacementState.of(problem, problem.node_of).scenarios
        return scenarios.complete and len(scenarios) * len(problem.classes) * problem.n_nodes <= _MOST_RESTARTS

    @cached_property
    def _failures(self) -> Scenarios:
        return PlacementState.of(self._problem, self._problem.node_of).scenarios

    def _lose(self) -> IntArray:
        """By class and failure."""
        most = np.column_stack([self._most[:, self._failures.failing(n)].sum(axis=1) for n in range(len(self._failures))])
        return self._new(most * self._classes.protected[:, None], self._lost_counts)

    def _lost_counts(self, candidate: CandidatePlacement, counts: IntArray) -> IntArray:
        lost = np.zeros((len(counts), len(self._failures)), dtype=np.int64)
        known = candidate.verdict.state.scenarios
        for scenario, loss in candidate.verdict.losses.items():
            np.add.at(lost[:, self._failures.number[known.key(scenario)]], self._classes.of[loss.vms], 1)
        return lost

    def _lost_in(self, units: tuple[int, ...]) -> list[int]:
        return [self._failures.number[units]]

    def _survive(self, slots: Iterable[int]) -> None:
        for scenario in range(len(self._failures)):
            self._budget.demand()
            self.write_out(self._failures.key(scenario))
