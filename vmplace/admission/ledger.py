"""A cluster that changes, by its names: VMs come, go and change, nodes fail and recover."""

from collections.abc import Iterator, Mapping

import numpy as np
from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.columns import names_of
from vmplace.model.entities import VM, Node, Rule, Tag
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short

__all__ = ["Ledger"]


class Ledger:
    """What a cluster has become.

    VMs of the cluster are made only when they are asked for, so that one of columns stays small.

    Parameters
    ----------
    cluster
        What it was to begin with.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._start = cluster
        self._cluster: Cluster | None = cluster
        self._nodes = {node.name: node for node in cluster.nodes}
        self._place = {name: place for place, name in enumerate(names_of(cluster.vms))}
        self._changed: dict[str, VM] = {}

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now."""
        if self._cluster is None:
            self._cluster = evolve(self._start, nodes=tuple(self._nodes.values()), vms=tuple(self), rules=self._rules())
        return self._cluster

    def __iter__(self) -> Iterator[VM]:
        """The VMs, in document order, those that came later behind."""
        for name, vm in zip(names_of(self._start.vms), self._start.vms, strict=True):
            if self._place.get(name, -1) >= 0:
                yield self._changed.get(name, vm)
        yield from (vm for name, vm in self._changed.items() if self._place[name] < 0)

    def __contains__(self, name: str) -> bool:
        return name in self._place

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return self._nodes

    def node(self, name: str, argument: str = "node") -> Node:
        """A node; raises InputError for an unknown name."""
        try:
            return self._nodes[name]
        except (KeyError, TypeError):
            raise InputError([Flaw(argument, f"{short(name)} is no node of this cluster: name one")]) from None

    def vm(self, name: str) -> VM:
        """A VM; raises InputError for an unknown name."""
        place = self._place.get(name) if isinstance(name, str) else None
        if place is None:
            raise InputError([Flaw("name", f"{short(name)} is no VM of this cluster: name one")])
        return self._changed[name] if name in self._changed else self._start.vms[place]

    def host(self, vm: VM) -> str | None:
        """The node that a VM takes memory on; None if it waits or is stopped."""
        return vm.node if vm.running and not self.waits(vm) else None

    def waits(self, vm: VM) -> bool:
        """Whether a VM is to be started."""
        return vm.node is None or self._nodes[vm.node].state == "offline"

    def on(self, node: str) -> list[VM]:
        """The VMs that name a node."""
        named = np.flatnonzero(self._start.vm_columns.node == list(self._nodes).index(node)).tolist()
        names = names_of(self._start.vms)
        unchanged = (self._start.vms[i] for i in named if self._place.get(names[i]) == i and names[i] not in self._changed)
        return [*unchanged, *(vm for vm in self._changed.values() if vm.node == node)]

    def with_vm(self, vm: VM) -> tuple[Cluster, int]:
        """The cluster with a VM that is new, or has changed, and which of its VMs that is; the ledger stays as it is.

        Raises
        ------
        InputError
            If the rules contradict each other with that VM.
        """
        now, place, changed = self._cluster, self._place.get(vm.name), self._changed.get(vm.name)
        self.put(vm)
        try:
            cluster = self.cluster
        finally:
            if place is None:
                self.remove(vm.name)
            elif changed is None:
                del self._changed[vm.name]
            else:
                self._changed[vm.name] = changed
            self._cluster = now
        return cluster, list(names_of(cluster.vms)).index(vm.name)

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

    def set_state(self, node: str, state: str) -> None:
        """A node is in another state."""
        self._nodes[node] = evolve(self._nodes[node], state=state)
        self._cluster = None

    def _rules(self) -> tuple[Rule, ...]:
        """The rules without the names of VMs that are gone, and without those that have no name left."""
        rules = []
        for rule in self._start.rules:
            if isinstance(rule.vms, Tag) or all(name in self._place for name in rule.vms):
                rules.append(rule)
            elif left := tuple(name for name in rule.vms if name in self._place):
                rules.append(evolve(rule, vms=left))
        return tuple(rules)
