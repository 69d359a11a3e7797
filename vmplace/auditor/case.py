"""The case under audit: a cluster as columns, a placement as node indices, and the violations found so far.

Names become indices as they are read, so that names and columns are judged by the same lines. The index -1 means no node: it
reaches the last entry of each node column, added for it.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray, VMColumns
from vmplace.model.entities import Tag
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short, spell_memory
from vmplace.results.values import Violation

__all__ = ["Case", "Names", "Placement", "Resource", "node_column", "sums"]

Names = Iterable[str]
Placement = Mapping[str, str | None] | npt.ArrayLike


@frozen(eq=False)
class Resource:
    """Memory, or a further resource: what there is of it, and what is in use.

    Parameters
    ----------
    name
        Empty for memory.
    demand
        Of each VM, shape (n_vms,).
    capacity, load
        Of each node, and 0 for no node, shape (n_nodes + 1,). A migration under way is charged on both nodes.
    fixed
        As `load`, but without evictable VMs: what a failover cannot free.
    binding
        Whether it binds restarts too.
    """

    name: str
    demand: IntArray = field(repr=False)
    capacity: IntArray = field(repr=False)
    load: IntArray = field(repr=False)
    fixed: IntArray = field(repr=False)
    binding: bool = True

    def spell(self, amount: int) -> str:
        """An amount as a sentence has it."""
        return f"{amount} {self.name}" if self.name else spell_memory(amount)

    def excess(self, held: int, limit: int) -> str:
        """What a node holds above its limit, in figures."""
        bare = str if self.name else spell_memory
        return f"{self.spell(held)}, {bare(held - limit)} more than its {bare(limit)}"


class Case:
    """A cluster, a placement of its VMs, and the violations found.

    Parameters
    ----------
    cluster, placement, powered, drained
        As `audit` takes them.
    """

    def __init__(self, cluster: Cluster, placement: Placement, powered: Names | None, drained: Names) -> None:
        self.cluster = cluster
        self.node, self.vm = nodes, vms = cluster.nodes, covered(cluster)
        pools = {pool: i for i, pool in enumerate(sorted({*nodes.pool.words, *vms.pool.words}))}
        self.pools = list(pools)
        self.node_pool, self.vm_pool = np.append(nodes.pool.numbered(pools), -1), vms.pool.numbered(pools)
        online, maintenance = (np.append(nodes.state.are(state), False) for state in ("online", "maintenance"))
        # A VM runs on the node it is on now, or waits (it has no node, or one that is offline), or is stopped.
        somewhere = online | maintenance
        self.now = vms.node if somewhere[:-1].all() else np.where(somewhere, np.arange(len(online)), -1)[vms.node]
        self.stopped = ~vms.running
        self.found: list[Violation] = []
        self.drained, kept = self._among(drained), ~self._among(()) if powered is None else self._among(powered)
        kept &= ~self.drained
        # What is drained is in maintenance afterwards; what is not powered is off.
        self.up = somewhere if powered is None else somewhere & kept
        self.online, self.maintenance = kept & online, kept & maintenance  # or as good as offline
        self.listed = self._read(placement)
        # The node that a VM takes its memory on, and the one that a migration under way leads it to.
        self.at = np.where(self.stopped, -1, self.listed) if self.stopped.any() else self.listed
        leads = somewhere[vms.target] & (self.now >= 0) & vms.running & (vms.target != self.now)
        self.target = np.where(leads, vms.target, -1)
        self.moving = np.flatnonzero(leads)

    @cached_property
    def nodes(self) -> list[str]:
        """The nodes' names, and what no node is called."""
        return [*self.node.names, "no node"]

    @cached_property
    def node_index(self) -> dict[str | None, int]:
        """Index of each node by its name; None stands for a VM without a node."""
        index: dict[str | None, int] = {None: -1}
        index.update(self.node.index_of)
        return index

    @property
    def vm_index(self) -> Mapping[str, int]:
        """Each VM by its name."""
        return self.cluster.vms.index_of

    @cached_property
    def memory(self) -> Resource:
        """The resource that there always is."""
        return self._resource("", self.vm.charged, np.append(self.node.usable, 0))

    @cached_property
    def limit(self) -> IntArray:
        """The memory that normal running may use of each node: without its own headroom, or that of the guarantee, rounded up."""
        shared, kept_free = self.cluster.guarantee.headroom, list[int]()
        if not shared and not any(self.node.headroom.words):
            return self.memory.capacity
        for usable, own in zip(self.node.usable.tolist(), self.node.headroom, strict=True):
            asked = shared if own is None else own
            kept_free.append(asked if isinstance(asked, int) else -(-usable * asked.numerator // asked.denominator))
        return np.asarray(self.memory.capacity - np.array([*kept_free, 0], np.int64))

    @cached_property
    def resources(self) -> list[Resource]:
        """Memory, and the further resources in the order of their names."""
        cluster, nodes, vms = self.cluster, self.node.amounts(), self.vm.amounts()
        none = np.broadcast_to(np.int64(0), len(self.vm)), np.broadcast_to(np.int64(0), len(self.node))
        found = [self.memory]
        for name in sorted({*nodes, *vms, *cluster.overcommit, *cluster.soft_resources}):
            ratio = cluster.overcommit.get(name, 1)
            rated = [amount * ratio.numerator // ratio.denominator for amount in nodes.get(name, none[1]).tolist()]
            found.append(self._resource(name, vms.get(name, none[0]), np.array([*rated, 0])))
        return found

    @property
    def waiting(self) -> IntArray:
        """The VMs that are on no node and should be on one."""
        absent = np.flatnonzero(self.at < 0)
        return absent[~self.stopped[absent]]

    @cached_property
    def must(self) -> BoolArray:
        """Which VMs must restart if their node fails."""
        return self.vm.protected & ~self.vm.evictable if self.vm.evictable.any() else self.vm.protected

    @cached_property
    def by_node(self) -> IntArray:
        """Each node by its own number, shape (n_nodes + 1,)."""
        return np.append(np.arange(len(self.node)), -1)

    @cached_property
    def by_domain(self) -> IntArray:
        """Each node by its failure domain's number, one of its own for a node without, shape (n_nodes + 1,)."""
        labels = self.node.domain
        number = {domain: i for i, domain in enumerate(labels.words)}
        shared = labels.numbered(number) if number else np.zeros(0, np.int64)
        own = len(number) + np.arange(len(self.node))
        return np.append(np.where(labels.are(""), own, shared) if number else own, -1)

    def blame(self, kind: str, subject: str, message: str) -> None:
        """Record a violation."""
        self.found.append(Violation(kind, subject, message))

    def _resource(self, name: str, demand: IntArray, capacity: IntArray) -> Resource:
        binding, evictable = name not in self.cluster.soft_resources or not name, self.vm.evictable
        load = fixed = self._charged(demand, capacity, np.arange(0))
        if evictable.any():
            fixed = self._charged(demand, capacity, np.flatnonzero(evictable))
        return Resource(name, demand, capacity, load, fixed, binding)

    def _charged(self, demand: IntArray, capacity: IntArray, absent: IntArray) -> IntArray:
        """What each node holds without some of the VMs."""
        present = demand
        if len(absent):
            present = demand.copy()
            present[absent] = 0
        total = sums(self.at, present, len(capacity))
        np.add.at(total, self.target[self.moving], present[self.moving])
        total[-1] = 0
        return total

    def _among(self, names: Names) -> BoolArray:
        """Which nodes have one of some names, no node among them."""
        wanted = set(names)
        odd = sorted(wanted.difference(self.node_index)) if wanted else []
        for name in odd:
            self.blame("placement", name, f"{short(name)} is not a node of this cluster")
        among = np.zeros(len(self.node) + 1, dtype=bool)
        among[[self.node_index[name] for name in wanted.difference(odd)]] = True
        return among

    def _read(self, placement: Any) -> IntArray:
        """Each VM's node."""
        if not isinstance(placement, Mapping):
            return node_column("placement", placement, self)
        index, odd = self.node_index, set(placement).difference(self.vm_index)
        for vm in (vm for vm in placement if vm in odd):
            self.blame("placement", vm, f"{short(vm)} is not a VM of this cluster")
        for vm, node in placement.items():
            if node not in index and vm not in odd:
                self.blame("placement", vm, f"{short(node)}, given for {vm}, is not a node of this cluster")
        return np.array([index.get(placement.get(vm), -1) for vm in self.vm.names], np.int64)


def covered(cluster: Cluster) -> VMColumns:
    """The VMs; those that the guarantee does not name are as good as unprotected."""
    asked, vms = cluster.guarantee.vms, cluster.vms
    if asked is None:
        return vms
    if isinstance(asked, Tag):
        among = np.array([asked.tag in tags for tags in vms.tags], dtype=bool)
    else:
        named = set(asked)
        among = np.array([name in named for name in vms.names], dtype=bool)
    return evolve(vms, protected=vms.protected & among)


def node_column(kind: str, given: Any, case: Case) -> IntArray:
    """A column of node indices, one for each VM; raises InputError if it is none."""
    column, last = np.asarray(given), len(case.node) - 1
    whole = column.shape == case.vm.memory.shape and column.dtype.kind in "iu"
    if not whole or (len(column) and not -1 <= int(column.min()) <= int(column.max()) <= last):
        raise InputError([Flaw(kind, f"{short(given)}: give {len(case.vm)} whole numbers from -1 to {last}")])
    return column.astype(np.int64, copy=False)


def sums(groups: IntArray, amounts: IntArray, count: int) -> IntArray:
    """The sum of the amounts of each group, shape (count,)."""
    total = np.zeros(count, np.int64)
    np.add.at(total, groups, amounts)
    return total
