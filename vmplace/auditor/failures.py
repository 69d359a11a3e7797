"""One failure at a time: the displaced VMs, the survivors, and the nodes each VM may restart on once others have restarted."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.auditor.case import Case, Resource
from vmplace.auditor.rules import AuditedRule, musts
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Apart, Together
from vmplace.model.guarantee import FEWEST_VMS

__all__ = ["AuditedFailures", "Failure", "TooHardError", "WorkLimit"]


class AuditedFailures:
    """What all failures of a case share: resources, demands and must-rules. Evictable VMs count for nothing in any failure.

    Parameters
    ----------
    case, scenarios
        What is under audit, and its failures.
    """

    def __init__(self, case: Case, scenarios: AuditedScenarios) -> None:
        self.case, self.scenarios = case, scenarios

    @cached_property
    def bearing(self) -> IntArray:
        """The VMs that take memory and are not evictable, in document order."""
        return np.flatnonzero(~self.case.vm.evictable & (self.case.at >= 0))

    @cached_property
    def resources(self) -> list[Resource]:
        """Memory, and the further resources that bind restarts."""
        return [r for r in self.case.resources if not r.name or (r.binding and r.demand[self.bearing].any())]

    @cached_property
    def demand(self) -> IntArray:
        """Of each resource by each VM, shape (n_resources, n_vms)."""
        return np.array([resource.demand for resource in self.resources])

    @cached_property
    def bounds(self) -> list[AuditedRule]:
        """The must-rules that bind restarts."""
        return [bound for bound in musts(self.case) if bound.rule.during_failover]

    @cached_property
    def free(self) -> IntArray:
        """Free amount of each resource on each node before any failure, shape (n_resources, n_nodes)."""
        return np.array([(resource.capacity - resource.fixed)[:-1] for resource in self.resources])

    @cached_property
    def bounds_of(self) -> dict[int, list[AuditedRule]]:
        """The must-rules of each VM that some bind in failover."""
        found: dict[int, list[AuditedRule]] = {}
        for bound in self.bounds:
            for v in bound.members.tolist():
                found.setdefault(v, []).append(bound)
        return found

    @property
    def blind(self) -> bool:
        """Whether a policy restarts VMs that does not look at memory: it may overfill a node where others have room."""
        return self.case.cluster.guarantee.policy == FEWEST_VMS

    @cached_property
    def kind(self) -> dict[int, tuple[Any, ...]]:
        """Of each VM that may be displaced: its demands, whether it must restart, its rules. Those of equal kinds are alike."""
        demand, must = self.demand, self.case.must
        return {
            v: (*demand[:, v].tolist(), bool(must[v]), tuple(bound.number for bound in self.bounds_of.get(v, ())))
            for v in self.bearing.tolist()
        }

    @cached_property
    def _by_unit(self) -> tuple[IntArray, IntArray]:
        """The VMs that some failure displaces, sorted by failure unit, and the first index of each unit."""
        unit = self.scenarios.unit[self.case.at[self.bearing]]
        order = np.argsort(unit, kind="stable")
        return self.bearing[order], np.searchsorted(unit[order], np.arange(len(self.scenarios.names) + 1))

    def at_once(self, scenario: int) -> "Failure":
        """The failure of all units of one scenario at once."""
        vms, start = self._by_unit
        units = [unit for unit in self.scenarios.units[scenario].tolist() if unit >= 0]
        displaced = np.sort(np.concatenate([vms[start[unit] : start[unit + 1]] for unit in units]))
        failed = np.isin(self.scenarios.unit, units)
        return self.after(failed, int(self.scenarios.pool[units[0]]), displaced, self.case.at, self.free)

    def after(self, failed: BoolArray, pool: int, displaced: IntArray, at: IntArray, free: IntArray) -> "Failure":
        """A failure of some nodes of a pool after other restarts.

        Parameters
        ----------
        failed
            Shape (n_nodes + 1,).
        at
            The node of every other VM, shape (n_vms,).
        free
            Of each resource on each node, shape (n_resources, n_nodes).
        """
        nodes = np.flatnonzero(self.case.online & ~failed & (self.case.node_pool == pool))
        return Failure(self, failed, displaced, at, nodes, free[:, nodes])


@frozen(eq=False)
class Failure:
    """One failure.

    Parameters
    ----------
    all
        What it shares with the other failures.
    failed
        Nodes, shape (n_nodes + 1,).
    displaced
        VMs that are not evictable, in document order.
    at
        The node of every VM that stays, shape (n_vms,).
    nodes
        Survivors in document order, shape (n_survivors,).
    free
        Of each resource on each of them, shape (n_resources, n_survivors).
    """

    all: AuditedFailures
    failed: BoolArray
    displaced: IntArray
    at: IntArray
    nodes: IntArray
    free: IntArray

    @property
    def musts(self) -> list[int]:
        """The VMs that must restart."""
        return [v for v in self.displaced.tolist() if self.all.case.must[v]]

    def allowed(self, vm: int, restarts: Mapping[int, int]) -> BoolArray:
        """Survivors that pool and rules leave to a VM once others have restarted; shape (n_survivors,)."""
        allowed = self._of_pool(vm)
        for bound in self.all.bounds_of.get(vm, ()):
            allowed &= ~bound.banned[self.nodes]
            there = [node for other, node in restarts.items() if other in bound.member_set]
            if isinstance(bound.rule, Apart):
                taken = np.append(self._standing(bound), np.array(there, np.int64))
                allowed &= ~bound.at_places_of(taken)[self.nodes]
            elif isinstance(bound.rule, Together) and there:
                allowed &= self.nodes == there[0]
        return allowed

    def _standing(self, bound: AuditedRule) -> IntArray:
        """The nodes of a rule's members that keep running and are not evictable."""
        at = self.at[bound.members[~self.all.case.vm.evictable[bound.members]]]
        return at[(at >= 0) & ~self.failed[at]]

    def fitting(self, vm: int, free: IntArray, restarts: Mapping[int, int]) -> BoolArray:
        """Survivors that can take a VM with what is free after others have restarted; shape (n_survivors,)."""
        fits = self.allowed(vm, restarts) if vm in self.all.bounds_of else self._of_pool(vm)
        for need, left in zip(self.all.demand[:, vm].tolist(), free, strict=True):
            if need:
                fits &= left >= need
        return fits

    def _of_pool(self, vm: int) -> BoolArray:
        case = self.all.case
        return np.full(len(self.nodes), bool(len(self.nodes)) and case.node_pool[self.nodes[0]] == case.vm_pool[vm])


class TooHardError(Exception):
    """A search has reached its limit of work."""


class WorkLimit:
    """The states that an exhaustive search may still visit: counted, not timed, so that an audit always says the same.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int = 20_000) -> None:
        self.left = most

    def spend(self) -> None:
        """Visit one more state; raises TooHardError if that is too many."""
        if self.left <= 0:
            raise TooHardError
        self.left -= 1
