"""The way back from a problem's indices to the cluster's names."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.text import rule_label
from vmplace.problem.problem import Problem
from vmplace.problem.rules import CompiledRule
from vmplace.problem.scenarios import Scenarios

__all__ = ["Names"]


@frozen(eq=False)
class Names:
    """The way back from a problem's indices to the cluster's names."""

    cluster: Cluster
    problem: Problem

    @property
    def each(self) -> "tuple[Names, ...]":
        """The same under each of its guarantees alone."""
        return self._alone if len(self.problem.each) > 1 else (self,)

    @cached_property
    def _alone(self) -> "tuple[Names, ...]":
        """The same where there are several."""
        alone = self.cluster.one_by_one()
        return tuple(Names(cluster, problem) for cluster, problem in zip(alone, self.problem.each, strict=True))

    @property
    def presolve_stats(self) -> dict[str, tuple[str, ...]]:
        """What presolve has left out, with its reasons, for the statistics of a result."""
        sentences = self.problem.reductions.sentences(self.cluster)
        return {"presolve": sentences} if sentences else {}

    def node(self, index: int) -> str:
        """A node's name."""
        return self._nodes[index]

    def vm(self, index: int) -> str:
        """A VM's name."""
        return self._vms[int(self.problem.original[index])]

    def vms(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The names of many VMs."""
        original: list[int] = self.problem.original[np.fromiter(indices, dtype=np.int64)].tolist()
        return tuple(self._vms[index] for index in original)

    def unit(self, index: int) -> str:
        """The name of what fails as one."""
        return self._units[index]

    def mask(self, nodes: Iterable[str]) -> BoolArray:
        """Which nodes are among some names, shape (n_nodes,)."""
        wanted = set(nodes)
        return np.array([name in wanted for name in self._nodes], dtype=bool)

    def scenario(self, scenarios: Scenarios, number: int) -> str:
        """The names of what fails in a scenario, joined."""
        if scenarios.parts is not None:
            return "+".join(name for _, name in self._parts(*scenarios.parts[number]))
        units = [unit for unit in scenarios.units[number].tolist() if unit >= 0]
        if len(units) > 1:
            units.sort(key=self._rank.__getitem__)
        return "+".join(self._units[unit] for unit in units)

    def _parts(self, domains: Sequence[int], nodes: Sequence[int]) -> list[tuple[int, str]]:
        """Failure domains and nodes that fail together, with their places in the document."""
        first = [int(np.argmax(self.problem.domain == domain)) for domain in domains]
        named = [(self.cluster.nodes.domain[node] or self._nodes[node]) for node in first]
        whole = {name: place for place, name in reversed(list(enumerate(self.cluster.nodes.domain))) if name}
        return sorted(
            [(whole.get(name, node), name) for node, name in zip(first, named, strict=True)]
            + [(node, self._nodes[node]) for node in nodes]
        )

    def in_order(self, scenarios: Scenarios) -> Sequence[int]:
        """The scenarios in document order of what fails."""
        if scenarios.parts is not None:
            places = [[place for place, _ in self._parts(*parts)] for parts in scenarios.parts]
            return sorted(range(len(scenarios)), key=places.__getitem__)
        if np.all(np.diff(self._rank) > 0):
            return range(len(scenarios))
        none = len(self._units)
        ranks = np.sort(np.append(self._rank, none)[scenarios.units], axis=1)
        ranks[ranks == none] = -1  # at the end, and before any other there
        order: list[int] = np.lexsort(ranks.T[::-1]).tolist()
        return order

    @cached_property
    def _rank(self) -> IntArray:
        """Where the name of each unit comes first in the document: a domain may span pools, shape (n_units,)."""
        place = {name: k for k, name in reversed(list(enumerate(self._units)))}
        return np.array([place[name] for name in self._units], dtype=np.int64)

    @cached_property
    def _units(self) -> list[str]:
        """What fails as one: a node, or a failure domain."""
        first = np.unique(self.problem.unit, return_index=True)[1].tolist()
        if self.problem.guarantee.scope == "node":
            return [self._nodes[node] for node in first]
        domain = self.cluster.nodes.domain
        return [domain[node] or self._nodes[node] for node in first]

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools by their numbers: those of nodes, then those that have VMs only."""
        return self.cluster.pools

    @property
    def identical(self) -> bool:
        """Whether the problem's VMs are the cluster's, one by one."""
        return self.problem.n_incoming == 0 and self.problem.n_vms == len(self.cluster.vms)

    @cached_property
    def _nodes(self) -> Sequence[str]:
        return self.cluster.nodes.names

    @cached_property
    def _vms(self) -> Sequence[str]:
        return self.cluster.vms.names

    def rule(self, rule: CompiledRule) -> str:
        """A rule's kind as the document has it."""
        return rule.kind if rule.kind in ("home", "max-vm") else self.cluster.rules[rule.index].kind

    def rule_label(self, index: int) -> str:
        """How messages call a rule."""
        rule = self.cluster.rules[index]
        return rule_label(index, rule.kind, rule.name)

    def column(self, of_vms: IntArray) -> IntArray:
        """A column over the problem's VMs as one over the cluster's; -1 for those that are stopped."""
        if self.identical:
            return of_vms
        whole = self.problem.n_vms - self.problem.n_incoming
        column = np.full(len(self.cluster.vms), -1, dtype=np.int64)
        column[self.problem.original[:whole]] = of_vms[:whole]
        return column

    def hosts(self, node_of: IntArray) -> IntArray:
        """A placement over the cluster's VMs: those that are stopped keep their node."""
        column = self.column(node_of)
        if not self.identical:
            column = np.where(self._stopped_on >= 0, self._stopped_on, column)
        return column

    @cached_property
    def _stopped_on(self) -> IntArray:
        where = self.cluster.vms.node.copy()
        where[self.problem.original] = -1
        return where
