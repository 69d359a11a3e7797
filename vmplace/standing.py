"""A placement as it stands: loads, free memory, and who each failure would displace."""

from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import Binding, BoolArray, Problem

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
    order
        The protected VMs that are placed, by node, and largest first on each.
    start
        ``order[start[f]:start[f + 1]]`` is displaced when node f fails, shape (n_nodes + 1,).
    displaced
        Memory of these, in MiB, shape (n_nodes,).
    """

    problem: Problem
    node_of: IntArray
    target: BoolArray
    scenario: BoolArray
    free: IntArray
    order: IntArray
    start: IntArray
    displaced: IntArray

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, powered: BoolArray | None = None) -> "Standing":
        """The standing of a placement; with `powered`, only those nodes are there."""
        on = np.ones(problem.n_nodes, dtype=bool) if powered is None else powered
        hosts = np.bincount(node_of[node_of >= 0], minlength=problem.n_nodes) > 0
        target = problem.online & on
        scenario = target | (problem.maintenance & hosts)
        if problem.failures == 0:
            scenario = np.zeros_like(scenario)
        free = np.where(target, np.maximum(problem.usable - problem.load(node_of), 0), 0)
        displaceable = np.flatnonzero(problem.protected & (node_of >= 0))
        order = displaceable[np.lexsort((-problem.memory[displaceable], node_of[displaceable]))]
        start = np.searchsorted(node_of[order], np.arange(problem.n_nodes + 1))
        total = np.concatenate(([0], np.cumsum(problem.memory[order])))
        return cls(problem, node_of, target, scenario, free, order, start, total[start[1:]] - total[start[:-1]])

    @cached_property
    def plain(self) -> BoolArray:
        """Nodes all of whose displaced VMs may restart on any target of their pool, whoever else is there, shape (n_nodes,)."""
        problem = self.problem
        bound = np.zeros(problem.n_vms, dtype=bool)
        for binding in problem.bindings:
            if binding.during_failover:
                bound[binding.vms] = True
        bound |= _narrowed(problem)[problem.signature]
        plain = np.ones(problem.n_nodes, dtype=bool)
        plain[self.node_of[bound & problem.protected & (self.node_of >= 0)]] = False
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
        ranked = np.argsort(-self.free, kind="stable")
        ranked = ranked[self.target[ranked]]
        pools = self.problem.pool[ranked]
        return {int(pool): ranked[pools == pool] for pool in np.unique(self.problem.pool)}

    def freest(self, pool: int) -> IntArray:
        """The targets of a pool, those with most free memory first."""
        return self._freest[pool]

    def displaced_by(self, node: int) -> IntArray:
        """Protected VMs on a node, largest first."""
        return self.order[self.start[node] : self.start[node + 1]]


def _narrowed(problem: Problem) -> BoolArray:
    """Signatures that may not restart on every online node of their pool, shape (n_signatures,)."""
    own = problem.online & (problem.pool == problem.signature_pool[:, None])
    return np.asarray(np.any(own & ~problem.restartable, axis=1))
