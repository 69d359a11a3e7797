"""Evictable VMs in a failover (preemption): which are stopped to make room for a plan, and which restart in what is left."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.planned.columns import RestartColumns
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule
from vmplace.problem.sizes import ranked
from vmplace.problem.state import PlacementState

__all__ = ["with_evictions"]


def with_evictions(state: PlacementState, plans: RestartColumns, scenarios: IntArray) -> RestartColumns:
    """Plans completed with evictable VMs: node -1 for VMs that are stopped, a node for VMs that restart.

    Of the evictable VMs on a survivor those of the lowest priority are stopped, as few as come. Displaced ones restart, the
    highest priority first, where that harms no other VM.

    Parameters
    ----------
    plans
        Restarts of those that must, by scenario.
    scenarios
        Whose plans these are.
    """
    problem, firm = state.problem, state.problem.n_firm
    free = problem.capacity[:, :firm] - problem.loads(state.node_of)[:, :firm]
    ends = np.searchsorted(plans.scenario, np.arange(len(state.scenarios) + 1))
    parts = [plans]
    for scenario in scenarios.tolist():
        mine = plans[np.arange(ends[scenario], ends[scenario + 1])]
        parts.append(_Aftermath(state, scenario, mine, free.copy()).settled())
    joined = RestartColumns.joined(parts)
    return joined[ranked(joined.scenario)]


class _Aftermath:
    """One failure once those that must have restarted."""

    def __init__(self, state: PlacementState, scenario: int, plan: RestartColumns, free: IntArray) -> None:
        self._problem, self._scenario = state.problem, scenario
        self._demand = self._problem.demand[:, : self._problem.n_firm]
        gone = np.zeros(self._problem.n_nodes + 1, dtype=bool)
        gone[state.scenarios.failing(scenario)] = True
        down = gone[state.node_of]
        self._displaced = down & ~self._problem.incoming
        self._home = np.where(down, -1, state.node_of)
        self._where = self._home.copy()
        self._where[plan.vm] = plan.node
        self._open = state.target & (self._problem.pool == state.scenarios.pool[scenario]) & ~gone[:-1]
        self._plan = plan
        self._room = free  # below 0 where a node holds too much
        self._asked = np.zeros_like(free)
        arriving = plan.node >= 0
        np.add.at(self._asked, plan.node[arriving], self._demand[plan.vm[arriving]])
        self._room -= self._asked
        self._stopped: set[int] = set()

    def settled(self) -> RestartColumns:
        """Entries for the evictable VMs that are stopped or restart."""
        self._part()
        self._make_room()
        restarted = dict(self._restart())
        vms = [*sorted(self._stopped), *restarted]
        nodes = [*([-1] * len(self._stopped)), *restarted.values()]
        return RestartColumns.of(self._scenario, np.array(vms, dtype=np.int64), np.array(nodes, dtype=np.int64))

    def _lacking(self, nodes: IntArray) -> IntArray:
        """What nodes lack of what restarts need there, shape (n, n_firm); what they lack besides, they lacked before."""
        return np.where(self._asked[nodes] > 0, np.maximum(-self._room[nodes], 0), 0)

    def _make_room(self) -> None:
        problem, parted = self._problem, frozenset(self._stopped)
        for node in np.unique(self._plan.node[self._plan.node >= 0]).tolist():
            while (lacking := self._lacking(np.array([node]))[0]).any():
                here = np.flatnonzero((self._where == node) & problem.evictable)
                # What a node lacks beyond its evictable VMs, it lacked before the failure.
                helpful = here[np.any(self._demand[here] * (lacking > 0), axis=1)]
                if not len(helpful):
                    break
                self._stop(self._least(helpful, lacking))
        for vm in sorted(self._stopped - parted, key=lambda vm: -int(problem.priority[vm])):
            self._resume(vm)

    def _least(self, vms: IntArray, lacking: IntArray) -> int:
        """Of the lowest priority the smallest that suffices alone, or else the largest."""
        problem = self._problem
        vms = vms[problem.priority[vms] == problem.priority[vms].min()]
        enough = vms[(self._demand[vms] >= lacking).all(axis=1)]
        if len(enough):
            return int(enough[problem.memory[enough].argmin()])
        return int(vms[problem.memory[vms].argmax()])

    def _stop(self, half: int) -> None:
        """Stop a VM, both halves of it where it migrates."""
        whole = self._whole(half)
        self._take(whole, -1)
        self._where[whole] = -1
        self._stopped.add(int(whole[0]))

    def _resume(self, vm: int) -> None:
        """Let a VM that was stopped go on if by now others make room enough."""
        whole = self._whole(vm)
        self._where[whole] = self._home[whole]
        self._take(whole, 1)
        if self._lacking(self._where[whole[self._where[whole] >= 0]]).any():
            self._stop(vm)
        else:
            self._stopped.remove(vm)

    def _whole(self, half: int) -> IntArray:
        return np.flatnonzero(self._problem.original == self._problem.original[half])

    def _take(self, vms: IntArray, times: int) -> None:
        """Use what VMs need where they are, or give it back."""
        vms = vms[self._where[vms] >= 0]
        np.subtract.at(self._room, self._where[vms], times * self._demand[vms])

    def _part(self) -> None:
        """Stop evictable VMs that a VM that restarted must be apart from."""
        problem = self._problem
        for rule in self._apart_rules(self._plan.vm):
            assert rule.zone is not None
            arrived = rule.vms[np.isin(rule.vms, self._plan.vm) & (self._where[rule.vms] >= 0)]
            others = rule.vms[problem.evictable[rule.vms] & (self._where[rule.vms] >= 0)]
            close = np.isin(rule.zone[self._where[others]], rule.zone[self._where[arrived]])
            for vm in others[close].tolist():
                self._stop(vm)

    def _apart_rules(self, vms: IntArray) -> Iterator[CompiledRule]:
        return (b for b in self._rules(vms) if b.kind == "apart")

    def _rules(self, vms: IntArray) -> Iterator[CompiledRule]:
        for rule in self._problem.compiled_rules:
            if rule.must and rule.during_failover and np.isin(rule.vms, vms).any():
                yield rule

    def _restart(self) -> Iterator[tuple[int, int]]:
        problem = self._problem
        vms = np.flatnonzero(self._displaced & problem.optional)
        for vm in vms[ranked(-problem.priority[vms], -problem.memory[vms])].tolist():
            if vm in self._stopped:
                continue
            enough = ((self._room >= self._demand[vm]) | (self._demand[vm] == 0)).all(axis=1)
            nodes = np.flatnonzero(self._allowed(vm) & enough)
            if not len(nodes):
                self._take(self._whole(vm), -1)
                self._where[self._whole(vm)] = -1
                yield vm, -1
                continue
            self._where[vm] = nodes[self._room[nodes, 0].argmin()]
            self._take(np.array([vm]), 1)
            yield vm, int(self._where[vm])

    def _allowed(self, vm: int) -> BoolArray:
        """Survivors that rules leave to a VM as things are now, shape (n_nodes,)."""
        problem = self._problem
        allowed: BoolArray = self._open & problem.restartable[problem.signature[vm]]
        for rule in self._rules(np.array([vm])):
            others = rule.vms[(rule.vms != vm) & (self._where[rule.vms] >= 0)]
            if rule.zone is not None:
                allowed = allowed & ~np.isin(rule.zone, rule.zone[self._where[others]])
            elif rule.kind == "together":
                moved = others[self._displaced[others]]
                allowed = allowed & (np.isin(np.arange(problem.n_nodes), self._where[moved]) if len(moved) else True)
        return allowed
