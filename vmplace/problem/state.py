"""The state of a placement: loads, free memory, and the VMs that each failure would displace."""

from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.displaced import Displaced
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import CompiledRule
from vmplace.problem.scenarios import Scenarios

__all__ = ["PlacementState"]

_FEW = 8
"""Where so many times more scenarios are left, some are few."""


@frozen(eq=False)
class PlacementState:
    """What each failure meets.

    Parameters
    ----------
    problem
        The cluster.
    node_of
        Node of each VM, -1 for none, shape (n_vms,).
    target
        Nodes that a restart may use, shape (n_nodes,).
    scenarios
        The scenarios.
    spare
        What is free for restarts on targets, 0 elsewhere, shape (n_nodes, n_firm): evictable VMs make room.
    powered
        Nodes that are there, shape (n_nodes,); None for all.
    displaced
        Memory of the VMs that must restart, by node, in MiB, shape (n_nodes,).
    """

    problem: Problem
    node_of: IntArray
    target: BoolArray
    scenarios: Scenarios
    spare: IntArray
    displaced: IntArray
    powered: BoolArray | None = None

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, powered: BoolArray | None = None) -> "PlacementState":
        """The standing of a placement; with `powered`, only those nodes are there."""
        load = problem.load(node_of)
        target = problem.online if powered is None else problem.online & powered
        hosts = target | (problem.maintenance & _hosts(problem, node_of)) if problem.maintenance.any() else target
        spare = np.where(
            target[:, None], np.maximum(problem.capacity[:, : problem.n_firm] - _lasting(problem, node_of, load), 0), 0
        )
        displaced = load if problem.all_protected else problem.load(np.where(problem.protected, node_of, -1))
        # Where restarts are not planned, VMs that need not restart take room as well.
        may = displaced if problem.planned else problem.load(np.where(problem.evictable | problem.incoming, -1, node_of))
        return cls(problem, node_of, target, Scenarios.of(problem, hosts, may), spare, displaced, powered)

    @cached_property
    def up(self) -> IntArray:
        """Nodes that count for a quorum, 1 or 0, shape (n_nodes,)."""
        there = self.problem.up if self.powered is None else (self.problem.online | self.problem.maintenance) & self.powered
        return there.astype(np.int64)

    @cached_property
    def left_up(self) -> IntArray:
        """How many nodes of its pool each failure leaves up, shape (n_scenarios,)."""
        of_pool = np.bincount(self.problem.pool, self.up).astype(np.int64)
        left: IntArray = of_pool[self.scenarios.pool] - self.scenarios.sums(self.up)
        return left

    @cached_property
    def without_quorum(self) -> BoolArray:
        """Failures that leave fewer nodes up than anything needs to restart, shape (n_scenarios,); none where nothing must."""
        problem = self.problem
        if problem.guarantee.quorum is None or not len(self.scenarios):
            return np.zeros(len(self.scenarios), dtype=bool)
        busy = np.zeros(len(problem.quorum), dtype=bool)
        busy[problem.pool[self.node_of[self.must_return]]] = True
        pool = self.scenarios.pool
        return np.asarray(busy[pool] & (self.left_up < problem.quorum[pool]))

    @cached_property
    def free(self) -> IntArray:
        """Free memory on targets, 0 elsewhere, in MiB, shape (n_nodes,)."""
        return np.ascontiguousarray(self.spare[:, 0])

    def room_on(self, nodes: IntArray, node_of: IntArray) -> IntArray:
        """What other VMs' places would leave free for restarts on some targets, shape (len(nodes), n_firm)."""
        if node_of is self.node_of:
            return self.spare[nodes]
        problem = self.problem
        lasting = _lasting(problem, node_of, problem.load(node_of))
        room: IntArray = np.maximum(problem.capacity[:, : problem.n_firm] - lasting, 0)[nodes]
        return room

    @cached_property
    def returning(self) -> IntArray:
        """Memory of the VMs that may restart, whether they must or not, by scenario, in MiB, shape (n_scenarios,)."""
        problem = self.problem
        if problem.all_protected:
            return self.asked
        return self.scenarios.sums(problem.load(np.where(self.may_return, self.node_of, -1)))

    @property
    def may_return(self) -> BoolArray:
        """VMs that restart if they are displaced, whether they must or not, shape (n_vms,)."""
        return ~self.problem.evictable & ~self.problem.incoming

    @cached_property
    def asked(self) -> IntArray:
        """Memory of the VMs that each failure displaces and that must restart, in MiB, shape (n_scenarios,)."""
        return self.scenarios.sums(self.displaced)

    @cached_property
    def _returned(self) -> Displaced:
        """The VMs that are placed and must restart if displaced."""
        every = self.must_return.all()
        return Displaced.of(self.problem, self.scenarios, self.node_of, None if every else np.flatnonzero(self.must_return))

    def displacing(self, scenarios: IntArray) -> Displaced:
        """The VMs that must restart in some scenarios, by what displaces them; of few scenarios, no others."""
        if len(scenarios) * _FEW >= len(self.scenarios):
            return self._returned
        fails = np.zeros(len(self.problem.unit_pool) + 1, dtype=bool)
        fails[self.scenarios.units[scenarios]] = True
        fails[-1] = False  # which stands for no unit
        vms = np.flatnonzero(fails[self.problem.unit[self.node_of]] & self.must_return)
        return Displaced.of(self.problem, self.scenarios, self.node_of, vms)

    @cached_property
    def restarts(self) -> IntArray:
        """How many VMs must restart in each scenario, shape (n_scenarios,)."""
        home = self.node_of if self.must_return.all() else self.node_of[self.must_return]
        return self.scenarios.sums(np.bincount(home, minlength=self.problem.n_nodes))

    def larger_than(self, size: int) -> IntArray:
        """The VMs that must restart, are placed and are larger than a size."""
        vms = np.flatnonzero(self.problem.memory > size)
        return vms[self.must_return[vms]]

    @cached_property
    def must_return(self) -> BoolArray:
        """VMs that are placed and must restart if they are displaced, shape (n_vms,)."""
        placed = self.node_of >= 0
        return placed if self.problem.all_protected else self.problem.protected & placed

    @property
    def plain(self) -> BoolArray:
        """Scenarios whose displaced VMs may restart on any target of their pool that has the memory, shape (n_scenarios,)."""
        return self.unbound if self.problem.n_firm == 1 else np.zeros(len(self.scenarios), dtype=bool)

    @cached_property
    def unbound(self) -> BoolArray:
        """Scenarios whose displaced VMs may restart on any target of their pool that has room, shape (n_scenarios,)."""
        ruled = self._ruled
        if ruled.all():
            return np.zeros(len(self.scenarios), dtype=bool)
        return ~self.scenarios.any(ruled) if ruled.any() else np.ones(len(self.scenarios), dtype=bool)

    @property
    def unruled(self) -> bool:
        """Whether nothing but memory binds any VM's restart."""
        return self.problem.n_firm == 1 and not self._ruled.any()

    @cached_property
    def _ruled(self) -> BoolArray:
        """Nodes with a VM whose restart rules bind, or places, shape (n_nodes,)."""
        problem = self.problem
        narrowed = _narrowed(problem)
        bound = [rule.vms for rule in problem.compiled_rules if rule.during_failover]
        if narrowed.any():
            bound.append(np.flatnonzero(narrowed[problem.signature]))
        ruled = np.zeros(problem.n_nodes, dtype=bool)
        if bound:
            vms = np.concatenate(bound)
            ruled[self.node_of[vms[self.must_return[vms]]]] = True
        return ruled

    @cached_property
    def _restart_rules(self) -> dict[int, list[CompiledRule]]:
        """By node, the rules that bind the restart of a VM there."""
        found: dict[int, list[CompiledRule]] = {}
        for rule in self.problem.compiled_rules:
            hosts = self.node_of[rule.vms[self.problem.protected[rule.vms]]]
            for node in np.unique(hosts[hosts >= 0]).tolist() if rule.during_failover else ():
                found.setdefault(node, []).append(rule)
        return found

    def restart_rules(self, nodes: IntArray) -> tuple[CompiledRule, ...]:
        """Rules (of `Problem.compiled_rules`) that bind the restart of a VM that the failure of some nodes displaces."""
        found = {b.index: b for node in nodes.tolist() for b in self._restart_rules.get(node, ())}
        return tuple(found[rule] for rule in sorted(found))

    @cached_property
    def _freest(self) -> dict[int, IntArray]:
        freest = np.argsort(-self.free, kind="stable")
        freest = freest[self.target[freest]]
        pools = self.problem.pool[freest]
        return {pool: freest[pools == pool] for pool in self.problem.pools}

    def freest(self, pool: int) -> IntArray:
        """The targets of a pool, those with most free memory first."""
        return self._freest[pool]

    @cached_property
    def plan(self) -> IntArray:
        """The freest surviving target of each scenario, -1 if there is none, shape (n_scenarios,)."""
        scenarios = self.scenarios
        plan = np.full(len(scenarios), -1, dtype=np.int64)
        width = scenarios.nodes.shape[1]
        for pool, freest in self._freest.items():
            mine = np.flatnonzero(scenarios.pool == pool)
            for node in freest[width::-1].tolist():
                plan[mine[~scenarios.hit(mine, np.full(len(mine), node))]] = node
        return plan

    @cached_property
    def room_elsewhere(self) -> IntArray:
        """What it has free, 0 if there is none, in MiB, shape (n_scenarios,)."""
        return np.where(self.plan >= 0, self.free[self.plan], 0)

    def displaced_by(self, scenarios: IntArray) -> tuple[IntArray, IntArray]:
        """The VMs that must restart in some scenarios, one scenario after the other, largest first in each; how many each has."""
        return self._returned.by(scenarios)


def _lasting(problem: Problem, node_of: IntArray, load: IntArray) -> IntArray:
    """What VMs that are not evictable take of each node, shape (n_nodes, n_firm)."""
    if problem.n_firm == 1 and problem.lasting is None:
        return load[:, None]
    kept = node_of if problem.lasting is None else np.where(problem.lasting, node_of, -1)
    return problem.loads(kept)[:, : problem.n_firm]


def _hosts(problem: Problem, node_of: IntArray) -> BoolArray:
    """Nodes that a VM is on, halves of migrations aside, shape (n_nodes,)."""
    hosts = np.zeros(problem.n_nodes + 1, dtype=bool)
    hosts[node_of[: problem.n_vms - problem.n_incoming]] = True  # -1, no node, reaches the last
    return hosts[:-1]


def _narrowed(problem: Problem) -> BoolArray:
    """Signatures that may not restart on every online node of their pool, shape (n_signatures,)."""
    own = problem.online & (problem.pool == problem.signature_pool[:, None])
    return np.asarray(np.any(own & ~problem.restartable, axis=1))
