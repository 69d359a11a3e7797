"""What a cluster has become: VMs that came, went or changed, and the states of its nodes."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.admission.results import Synced
from vmplace.model.cluster import Cluster
from vmplace.model.columns import VMColumns
from vmplace.model.entities import VM, Node, Rule, Tag
from vmplace.model.errors import Flaw, InputError, NotFoundError, error_of, not_found
from vmplace.model.kinds import State
from vmplace.model.labels import Labels
from vmplace.model.references import RuledVMs
from vmplace.model.units import short

__all__ = ["Asked", "Difference", "Ledger", "started"]

Asked = VM | str
"""A new VM, or the name of one of the cluster's that waits or is stopped."""


def started(vm: VM, node: str | None = None) -> VM:
    """A VM once it runs on a node: a live migration that it was in has ended."""
    return evolve(vm, node=node, target=None, running=True)


class Ledger:
    """What a cluster has become.

    VMs of the cluster are made only when they are asked for, so that one of columns stays small.

    Attributes
    ----------
    failed : dict of str to str
        The nodes that have failed since, and the state that each was in.
    start : Cluster
        What it was.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.failed: dict[str, State] = {}
        self.start = cluster
        self._cluster: Cluster | None = cluster
        self._nodes = {node.name: node for node in cluster.nodes}
        self._place = {name: place for place, name in enumerate(cluster.vms.names)}
        self._changed: dict[str, VM] = {}

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now."""
        if self._cluster is None:
            nodes = evolve(self.start.nodes, state=Labels.of([node.state for node in self._nodes.values()]))
            self._cluster = evolve(self.start, nodes=nodes, vms=self._vms(), rules=self._rules())
        return self._cluster

    def _vms(self) -> VMColumns:
        """The VMs, in document order, those that came later behind."""
        start, changed = self.start.vms, {name: len(self.start.vms) + i for i, name in enumerate(self._changed)}
        held = [changed.get(name, i) for i, name in enumerate(start.names) if self._place.get(name, -1) >= 0]
        new = [i for name, i in changed.items() if self._place[name] < 0]
        return start.followed_by(self._changed.values()).rows(np.array(held + new, dtype=np.int64))

    def __contains__(self, name: str) -> bool:
        return name in self._place

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return self._nodes

    def node(self, name: str, argument: str = "node") -> Node:
        """A node; raises NotFoundError for an unknown name."""
        try:
            return self._nodes[name]
        except (KeyError, TypeError):
            raise NotFoundError([not_found(argument, "node", name, self._nodes)]) from None

    def migrating(self, node: str) -> list[VM]:
        """The VMs that migrate from a node, or to it."""
        index = list(self._nodes).index(node)
        columns = self.start.vms
        named = np.flatnonzero((columns.target >= 0) & ((columns.target == index) | (columns.node == index)))
        vms = {columns.names[i]: columns[i] for i in named.tolist() if self._place.get(columns.names[i]) == i} | self._changed
        return [vm for vm in vms.values() if vm.target is not None and node in (vm.node, vm.target)]

    def vm(self, name: str, argument: str = "name") -> VM:
        """A VM; raises NotFoundError for an unknown name."""
        place = self._place.get(name) if isinstance(name, str) else None
        if place is None:
            raise NotFoundError([not_found(argument, "VM", name, self._place)])
        return self._changed[name] if name in self._changed else self.start.vms[place]

    def wanted(self, vms: Asked | Sequence[Asked]) -> list[VM]:
        """The VMs to start, which wait, are stopped or are new, as they are now; raises InputError for those that run."""
        asked: Sequence[Asked] = vms if isinstance(vms, Sequence) and not isinstance(vms, str) else [vms]
        flaws = [Flaw("vms", "[] names no VM: give one at least", "missing")] if not asked else []
        found = []
        for vm in asked:
            if isinstance(vm, str):
                known = self.vm(vm, "vm")
                flaws += self._running("vm", known)
                found.append(known)
            elif not isinstance(vm, VM):
                flaws.append(Flaw("vm", f"{short(vm)} is neither a VM nor the name of one: give either", "wrong-type"))
            else:
                flaws += self._flaws(vm)
                found.append(vm)
        names = [vm.name for vm in found]
        flaws += [
            Flaw("vm", f"{short(name)} is asked for twice", "duplicate") for name in dict.fromkeys(names) if names.count(name) > 1
        ]
        if flaws:
            raise error_of(flaws)
        return found

    def _flaws(self, vm: VM) -> list[Flaw]:
        if vm.name in self:
            mend = "choose another name, or give its name without memory to start it"
            taken = Flaw("vm.name", f"{short(vm.name)} is taken by a VM of the cluster: {mend}", "conflict")
            return self._running("vm.name", self.vm(vm.name)) or [taken]
        if vm.node is not None or vm.target is not None:
            return [Flaw("vm.node", f"{short(vm.name)} has a node: leave that to the admission, or use commit", "conflict")]
        return []

    def _running(self, place: str, vm: VM) -> list[Flaw]:
        """The flaw of asking to start a VM that runs."""
        node = self.host(vm)
        mend = "choose another name, or one of a VM that waits or is stopped"
        return [] if node is None else [Flaw(place, f"{short(vm.name)} runs already, on {short(node)}: {mend}", "conflict")]

    def host(self, vm: VM) -> str | None:
        """The node that a VM takes memory on; None if it waits or is stopped."""
        return vm.node if vm.running and not self.waits(vm) else None

    def waits(self, vm: VM) -> bool:
        """Whether a VM is to be started; one that is stopped is not."""
        return vm.running and (vm.node is None or self._nodes[vm.node].state == "offline")

    def on(self, node: str) -> list[VM]:
        """The VMs that name a node."""
        named = np.flatnonzero(self.start.vms.node == list(self._nodes).index(node)).tolist()
        names = self.start.vms.names
        unchanged = (self.start.vms[i] for i in named if self._place.get(names[i]) == i and names[i] not in self._changed)
        return [*unchanged, *(vm for vm in self._changed.values() if vm.node == node)]

    def with_vm(self, vm: VM) -> tuple[Cluster, int]:
        """The cluster with a VM that is new, or has changed, and which of its VMs that is; the ledger stays as it is.

        Raises
        ------
        InputError
            If the rules contradict each other with that VM.
        """
        cluster = self._with([vm])
        return cluster, list(cluster.vms.names).index(vm.name)

    def contradiction(self, vms: Sequence[VM]) -> str:
        """Why rules exclude some VMs, together, from all nodes, as far as the rules alone tell; empty if they do not."""
        try:
            if any(map(self.ruled.holds, vms)):
                self._with(vms)
        except InputError as error:
            return "; ".join(f"{flaw.place} {flaw.message}" for flaw in error.flaws)
        return ""

    @cached_property
    def ruled(self) -> RuledVMs:
        """The VMs that rules bind."""
        return RuledVMs.of(self.start.rules)

    def _with(self, vms: Iterable[VM]) -> Cluster:
        other = copy(self)
        other._place, other._changed = dict(self._place), dict(self._changed)
        for vm in vms:
            other.put(vm)
        return other.cluster

    def put(self, vm: VM) -> None:
        """A VM is new, or has changed."""
        self._place.setdefault(vm.name, -1)
        self._changed[vm.name] = vm
        self._cluster = None

    def remove(self, name: str) -> None:
        """A VM is gone."""
        del self._place[name]
        self._changed.pop(name, None)
        self._cluster = None

    def set_state(self, node: str, state: State) -> None:
        """A node is in another state."""
        self._nodes[node] = evolve(self._nodes[node], state=state)
        self._cluster = None

    def _rules(self) -> tuple[Rule, ...]:
        """The rules without the names of VMs that are gone, and without those that have no name left."""
        rules = []
        for rule in self.start.rules:
            if isinstance(rule.vms, Tag) or all(name in self._place for name in rule.vms):
                rules.append(rule)
            elif left := tuple(name for name in rule.vms if name in self._place):
                rules.append(evolve(rule, vms=left))
        return tuple(rules)


@frozen(eq=False)
class Difference:
    """What tells a cluster from what a ledger holds.

    Parameters
    ----------
    changes
        By names.
    alike
        Whether the nodes are the same but for their states, and all settings.
    """

    changes: Synced
    alike: bool

    @classmethod
    def between(cls, ledger: Ledger, cluster: Cluster) -> "Difference":
        """From a ledger to a cluster."""
        was = ledger.cluster
        settings = any(getattr(ledger.start, key) != getattr(cluster, key) for key in _SETTINGS)
        names = tuple(dict.fromkeys([*was.nodes.names, *cluster.nodes.names]))
        of_vms, of_nodes = _differing(was.vms.on(names), cluster.vms.on(names)), _differing(was.nodes, cluster.nodes)
        fixed = list(was.nodes.names) == list(cluster.nodes.names) and not was.nodes.unlike(cluster.nodes, but="state").any()
        return cls(Synced(*of_vms, *of_nodes, settings), fixed and not settings)


_SETTINGS = ("rules", "guarantees", "overcommit", "soft_resources")


def _differing(was: Any, now: Any) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the entries that are new, gone, and changed, of columns with the same names of nodes."""
    here = np.array([was.index_of.get(name, -1) for name in now.names], dtype=np.int64)
    both = np.flatnonzero(here >= 0)
    differ = both[was.rows(here[both]).unlike(now.rows(both))] if len(both) else both
    added = tuple(name for name, index in zip(now.names, here.tolist(), strict=True) if index < 0)
    removed = tuple(name for name in was.names if name not in now.index_of)
    return added, removed, tuple(now.names[i] for i in differ.tolist())
