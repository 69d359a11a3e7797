"""Best effort in the MIP: variables for the protected VMs that a failure leaves out, and limits on their memory.

Where one unit fails at a time a VM is displaced by one failure only, so that ``lost[s, i]`` counts VMs of class s on node i.
Where several fail together, ``lost[s, k]`` counts those that failure k leaves out; each failure is then written out.
"""

from collections.abc import Mapping

import numpy as np

from vmplace.failover.regression import Key, LostMemory
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.state import PlacementState
from vmplace.search.goal import CandidatePlacement, Goal, losses, priorities
from vmplace.search.mip.variables import CountVariables
from vmplace.solvers.program import Terms, terms

__all__ = ["Losses", "applies"]

_MOST_RESTARTS = 200_000
"""Classes times nodes times failures, up to which all are written out."""


def applies(problem: Problem, goal: Goal) -> bool:
    """Whether a best effort for several failures has a model: they are few enough, and the same wherever VMs are."""
    if not problem.plain or goal.consolidates or (goal.move_running and problem.maintenance.any()):
        return False
    parts = [_scenarios(part) for part in problem.each if part.failures > 1]
    restarts = sum(map(len, parts)) * len(problem.classes) * problem.n_nodes
    return all(scenarios.complete for scenarios in parts) and restarts <= _MOST_RESTARTS


def _scenarios(problem: Problem) -> Scenarios:
    return PlacementState.of(problem, problem.node_of).scenarios


class Losses:
    """The variables, and the rows of `Goal.worst`.

    Attributes
    ----------
    scenarios : Scenarios or None
        The failures of several units, by which VMs are counted then.
    """

    def __init__(self, variables: CountVariables) -> None:
        problem = variables.problem
        self._variables, self._problem = variables, problem
        self.scenarios = _scenarios(problem) if problem.failures > 1 else None
        most = variables.most
        if self.scenarios is not None:
            failing = (self.scenarios.failing(number) for number in range(len(self.scenarios)))
            most = np.column_stack([most[:, nodes].sum(axis=1) for nodes in failing])
        self._lost = variables.new(most * variables.classes.protected[:, None], self._counts)
        if self.scenarios is None:
            for s, i in zip(*np.nonzero(self._lost >= 0), strict=True):
                variables.program.row([(int(self._lost[s, i]), 1), (int(variables.n[s, i]), -1)], upper=0)
        if problem.guarantee.quorum is not None:
            self._lose_quorum()
        if variables.goal.worst is not None:
            self._no_worse(variables.goal.worst[problem.number or 0])

    def _lose_quorum(self) -> None:
        """Nothing restarts of what a failure displaces that leaves too few nodes."""
        state = PlacementState.of(self._problem, self._problem.node_of)
        n, protected = self._variables.n, np.flatnonzero(self._variables.classes.protected).tolist()
        for number in np.flatnonzero(state.left_up < self._problem.quorum[state.scenarios.pool]).tolist():
            failing, units = state.scenarios.failing(number), state.scenarios.key(number)
            for s in protected:
                self._variables.program.row([*self.of_failure(s, units), *terms(n[s, failing], -1)], lower=0)

    def _counts(self, candidate: CandidatePlacement, counts: IntArray) -> IntArray:
        lost, of = np.zeros(self._lost.shape, dtype=np.int64), self._problem.classes.of
        verdict = candidate.under(self._problem)
        known = verdict.state.scenarios
        for scenario, loss in verdict.losses.items():
            if self.scenarios is None:
                np.add.at(lost, (of[loss.vms], candidate.node_of[loss.vms]), 1)
            else:
                np.add.at(lost[:, self.scenarios.number[known.key(scenario)]], of[loss.vms], 1)
        return lost

    def _no_worse(self, worst: Mapping[Key, LostMemory]) -> None:
        """No failure loses more than it may, in the order of priorities: more of a lower one only for less of a higher one."""
        program, unit = self._variables.program, self._variables.unit
        for units, allowed in worst.items():
            better: list[int] = []
            for rank, priority in enumerate(priorities(self._problem)):
                most = allowed.get(priority, 0)
                lost = self.memory(priority, units)
                whole = sum(c * program.upper[v] for v, c in lost)
                program.row([*lost, *((b, -whole) for b in better)], upper=most // unit)
                better.append(self._less(units, rank, most))
                slack = max(0, whole - (most - 1) // unit)
                program.row([*lost, (better[-1], slack)], upper=(most - 1) // unit + slack)

    def _less(self, units: tuple[int, ...], rank: int, most: int) -> int:
        """A variable for whether a failure loses less than `most` MiB of a priority."""

        def loses_less(c: CandidatePlacement, _: IntArray) -> bool:
            verdict = c.under(self._problem)
            number = verdict.state.scenarios.number.get(units)
            return number is None or losses(self._problem, verdict)[number][rank] < most

        return self._variables.new_one(1, loses_less)

    def _columns(self, units: tuple[int, ...]) -> IntArray:
        """Which columns of the variables are what a failure leaves out."""
        if self.scenarios is not None:
            return np.array([self.scenarios.number[units]])
        return np.flatnonzero(np.isin(self._problem.unit, units))

    def of_node(self, mine: IntArray, node: int, coefficients: IntArray) -> Terms:
        """VMs of some classes on a node that its failure leaves out; only where one unit fails at a time."""
        return terms(self._lost[mine, node], coefficients)

    def of_failure(self, s: int, units: tuple[int, ...]) -> Terms:
        """VMs of a class that a failure leaves out."""
        return terms(self._lost[s, self._columns(units)])

    def memory(self, priority: int, units: tuple[int, ...] | None = None) -> Terms:
        """Memory of a priority that a failure leaves out, or all failures together."""
        mine = np.flatnonzero(self._problem.classes.priority == priority)
        columns = np.arange(self._lost.shape[1]) if units is None else self._columns(units)
        return terms(self._lost[np.ix_(mine, columns)], self._variables.amount[0][mine][:, None])

    def in_values(self, values: tuple[int, ...], units: tuple[int, ...]) -> tuple[int, ...]:
        """The memory in MiB that a failure leaves out in a solution, by priority, highest first."""
        memory = (self.memory(priority, units) for priority in priorities(self._problem))
        return tuple(self._variables.program.value(lost, values) * self._variables.unit for lost in memory)
