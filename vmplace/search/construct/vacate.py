"""Room for restarts to which rules leave few nodes: VMs under no rule leave nodes that serve as many failures as possible."""

import numpy as np
from attrs import define, frozen

from vmplace.failover.certify import certify
from vmplace.failover.planned.first_fit import stranded
from vmplace.failover.restart import RestartProblem
from vmplace.failover.verdict import ScenarioStatus
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.state import PlacementState
from vmplace.search.construct.filling import BatchFilling
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget

__all__ = ["vacate"]

_ROUNDS = 12
"""How often what failures still lack is made good."""


def vacate(problem: Problem, goal: Goal, node_of: IntArray, reserved: IntArray, *, budget: Budget) -> IntArray | None:
    """A placement in which every failure has a plan that quick ways find, or None.

    Where a VM finds no room to restart on the nodes that its rules leave it, a node is chosen to have that room: of those where
    it can be made, the one that serves most failures. VMs that no rule binds are placed anew around it.

    Parameters
    ----------
    node_of
        A placement that keeps all that holds in normal running, shape (n_vms,).
    reserved
        What it leaves free on each node on purpose, shape (n_nodes, n_resources).
    """
    return _VacatePlan(problem, goal, node_of, reserved.copy()).run(budget)


@frozen(eq=False)
class _Need:
    """A VM without room in a failure: its demand, and the nodes that rules leave it, shape (n_nodes,)."""

    scenario: int
    demand: IntArray
    allowed: BoolArray


@define(eq=False)
class _VacatePlan:
    problem: Problem
    goal: Goal
    node_of: IntArray
    reserved: IntArray

    def run(self, budget: Budget) -> IntArray | None:
        suspects = np.zeros(0, dtype=np.int64)
        for _ in range(_ROUNDS):
            needs = self._needs(suspects, budget) or self._needs(None, budget)
            if budget.spent:
                return None
            if not needs:
                return self.node_of
            suspects = np.array([need.scenario for need in needs])
            if not self._reserve(needs) or not self._refill():
                return None
        return None

    def _needs(self, scenarios: IntArray | None, budget: Budget) -> list[_Need]:
        """VMs that some failures, or all, leave without room, the largest first."""
        glance = certify(self.problem, self.node_of, budget=Budget(0), losses=False)
        open_ = np.flatnonzero(glance.fate != ScenarioStatus.SAFE)
        needs: list[_Need] = []
        for scenario in (open_ if scenarios is None else np.intersect1d(open_, scenarios)).tolist():
            if budget.spent:
                break
            if stranded(RestartProblem.of(glance.state, scenario)):
                needs += self._lacking(glance.state, scenario)
        return sorted(needs, key=lambda need: (-int(need.demand[0]), need.scenario))

    def _lacking(self, state: PlacementState, scenario: int) -> list[_Need]:
        restart, needs = RestartProblem.of(state, scenario, every=True), []
        for item in stranded(restart):
            allowed = np.zeros(self.problem.n_nodes, dtype=bool)
            allowed[restart.nodes[item.allowed]] = True
            demand = np.zeros(self.problem.capacity.shape[1], dtype=np.int64)
            demand[: len(item.demand)] = item.demand
            needs.append(_Need(scenario, demand, allowed))
        return needs

    def _reserve(self, needs: list[_Need]) -> bool:
        """Choose where to make the room; whether there are nodes for all of it."""
        problem = self.problem
        room = problem.capacity - problem.loads(self._standing)
        free = problem.capacity - problem.loads(self.node_of)
        masks = np.array([need.allowed & (room >= need.demand).all(axis=1) for need in needs])
        served = np.zeros(len(needs), dtype=bool)
        for number, need in enumerate(needs):
            if served[number]:
                continue
            if not masks[number].any():
                return False
            uses = masks[~served].sum(axis=0) * masks[number]
            best = np.flatnonzero(uses == uses.max())
            node = int(best[free[best, 0].argmax()])
            self.reserved[node] = np.maximum(self.reserved[node], need.demand)
            # One hole serves one of each failure.
            alike = np.flatnonzero(masks[:, node] & ~served)
            _, first = np.unique([needs[k].scenario for k in alike.tolist()], return_index=True)
            served[alike[first]] = True
            masks[:, node] = False
        return True

    @property
    def _standing(self) -> IntArray:
        """The placement without the VMs under no rule."""
        return np.where(self.goal.unbound(self.problem), -1, self.node_of)

    def _refill(self) -> bool:
        """Place VMs under no rule anew around the room that must stay free, spread or else packed; whether all fit."""
        cap = np.minimum(self.goal.limits(self.problem), self.problem.capacity - self.reserved)
        for pack in (False, True):
            filling = BatchFilling(self.problem, self._standing, cap, pack=pack)
            filling.place_all()
            if filling.complete:
                self.node_of = filling.node_of
                return True
        return False
