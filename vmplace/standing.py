"""A placement as it stands: loads, free memory, and who each failure would displace."""

from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import Binding, BoolArray, Problem
from vmplace.ranking import ranked

__all__ = ["Standing"]


@frozen(eq=False)
class Standing:
    """What the failure of each node meets.

    Parameters
    ----------
    problem
        The cluster.
    node_of
        Node of each VM, -1 for none, shape (n_vms,).
    target
        Nodes that a restart may use, shape (n_nodes,).
    scenario
        Nodes whose failure counts, shape (n_nodes,).
    free
        Free memory on targets, 0 elsewhere, in MiB, shape (n_nodes,).
    displaced
        Memory of the protected VMs on each node, in MiB, shape (n_nodes,).
    """

    problem: Problem
    node_of: IntArray
    target: BoolArray
    scenario: BoolArray
    free: IntArray
    displaced: IntArray

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, powered: BoolArray | None = None) -> "Standing":
        """The standing of a placement; with `powered`, only those nodes are there."""
        load = problem.load(node_of)
        target = problem.online if powered is None else problem.online & powered
        scenario = target | (problem.maintenance & _hosts(problem, node_of)) if problem.maintenance.any() else target
        if problem.failures == 0:
            scenario = np.zeros_like(scenario)
        free = np.where(target, np.maximum(problem.usable - load, 0), 0)
        displaced = load if problem.all_protected else problem.load(np.where(problem.protected, node_of, -1))
        return cls(problem, node_of, target, scenario, free, displaced)

    @cached_property
    def order(self) -> IntArray:
        """The protected VMs that are placed, by node, and largest first on each."""
        if self._displaceable.all():
            return ranked(self.node_of, -self.problem.memory)
        vms = np.flatnonzero(self._displaceable)
        return vms[ranked(self.node_of[vms], -self.problem.memory[vms])]

    @cached_property
    def start(self) -> IntArray:
        """``order[start[f]:start[f + 1]]`` is displaced when node f fails, shape (n_nodes + 1,)."""
        home = self.node_of if self._displaceable.all() else self.node_of[self._displaceable]
        return np.concatenate(([0], np.cumsum(np.bincount(home, minlength=self.problem.n_nodes))))

    def larger_than(self, size: int) -> IntArray:
        """The protected VMs that are placed and larger than a size."""
        vms = np.flatnonzero(self.problem.memory > size)
        return vms[self._displaceable[vms]]

    @cached_property
    def _displaceable(self) -> BoolArray:
        """The protected VMs that are placed, shape (n_vms,)."""
        placed = self.node_of >= 0
        return placed if self.problem.all_protected else self.problem.protected & placed

    @cached_property
    def plain(self) -> BoolArray:
        """Nodes all of whose displaced VMs may restart on any target of their pool, whoever else is there, shape (n_nodes,)."""
        problem = self.problem
        plain = np.ones(problem.n_nodes, dtype=bool)
        narrowed = _narrowed(problem)
        bound = [binding.vms for binding in problem.bindings if binding.during_failover]
        if narrowed.any():
            bound.append(np.flatnonzero(narrowed[problem.signature]))
        for vms in bound:
            plain[self.node_of[vms[self._displaceable[vms]]]] = False
        return plain

    @cached_property
    def _binding(self) -> dict[int, list[Binding]]:
        found: dict[int, list[Binding]] = {}
        for binding in self.problem.bindings:
            hosts = self.node_of[binding.vms[self.problem.protected[binding.vms]]]
            for node in np.unique(hosts[hosts >= 0]).tolist() if binding.during_failover else ():
                found.setdefault(node, []).append(binding)
        return found

    def binding(self, node: int) -> tuple[Binding, ...]:
        """Rules (of `Problem.bindings`) that bind the restart of a VM that the failure of a node displaces."""
        return tuple(self._binding.get(node, ()))

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
    def refuge(self) -> IntArray:
        """The freest other target of each node's pool, -1 if there is none, shape (n_nodes,)."""
        refuge = np.full(self.problem.n_nodes, -1, dtype=np.int64)
        for pool, freest in self._freest.items():
            first, second = [*freest[:2].tolist(), -1, -1][:2]
            refuge[self.problem.pool == pool] = first
            refuge[freest[:1]] = second
        return refuge

    @cached_property
    def room_elsewhere(self) -> IntArray:
        """What it has free, 0 if there is none, in MiB, shape (n_nodes,)."""
        return np.where(self.refuge >= 0, self.free[self.refuge], 0)

    def displaced_by(self, node: int) -> IntArray:
        """Protected VMs on a node, largest first."""
        return self.order[self.start[node] : self.start[node + 1]]


def _hosts(problem: Problem, node_of: IntArray) -> BoolArray:
    """Nodes that host a VM, shape (n_nodes,)."""
    hosts = np.zeros(problem.n_nodes + 1, dtype=bool)
    hosts[node_of] = True  # -1, no node, reaches the last
    return hosts[:-1]


def _narrowed(problem: Problem) -> BoolArray:
    """Signatures that may not restart on every online node of their pool, shape (n_signatures,)."""
    own = problem.online & (problem.pool == problem.signature_pool[:, None])
    return np.asarray(np.any(own & ~problem.restartable, axis=1))
