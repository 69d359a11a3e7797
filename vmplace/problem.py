"""A cluster compiled to arrays and classes: names become indices here, and nowhere else (`vmplace.naming` is the way back)."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.cluster import Cluster
from vmplace.columns import BoolArray, IntArray, NodeColumns, VMColumns
from vmplace.model import Apart, Guarantee, NotOn, OnlyOn
from vmplace.references import resolve
from vmplace.sizes import Sizes

__all__ = ["Binding", "BoolArray", "Classes", "Problem", "compile_problem", "domains"]


@frozen(eq=False)
class Binding:
    """A rule in indices.

    Parameters
    ----------
    rule
        Its index in the cluster.
    kind
        ``apart``, ``together``, or ``only-on`` (which ``not-on`` becomes, too).
    vms
        Its VMs that take memory, as indices into the problem.
    nodes
        For ``only-on``: which nodes it leaves, shape (n_nodes,).
    zone
        For ``apart``: no two of its VMs may be in one of these, shape (n_nodes,): the nodes themselves, or failure domains.
    """

    rule: int
    kind: str
    vms: IntArray
    nodes: BoolArray | None
    zone: IntArray | None
    must: bool
    weight: int
    during_failover: bool


@frozen(eq=False)
class Classes:
    """VMs that are interchangeable: same demand, protection, priority and rules; largest first.

    Parameters
    ----------
    of
        Class of each VM, shape (n_vms,).
    demand
        Shape (n_classes, n_resources), memory in MiB first.
    protected, evictable, priority, signature
        Shape (n_classes,).
    returning
        Who may restart, protected or not, shape (n_classes,).
    """

    of: IntArray
    demand: IntArray
    protected: BoolArray
    evictable: BoolArray
    priority: IntArray
    signature: IntArray
    returning: BoolArray

    def __len__(self) -> int:
        return len(self.demand)

    @property
    def memory(self) -> IntArray:
        """Memory in MiB, shape (n_classes,)."""
        return self.demand[:, 0]


@frozen(eq=False)
class Problem:
    """The VMs that take memory (or are to be started) and the nodes, as arrays.

    A migration under way takes memory on both of its nodes: its half on the target is a VM of its own here, the last ones of
    all, that stays where it is, restarts nowhere and is seen by no rule.

    Parameters
    ----------
    resources
        Names of the further resources, those first that bind in a failover.
    n_firm
        How many resources, memory among them, bind in a failover.
    capacity
        What VMs may use, shape (n_nodes, n_resources): memory in MiB first, then the others, overcommitted.
    limit
        The memory that normal running may use (headroom taken off), in MiB, shape (n_nodes,).
    online, maintenance
        State, shape (n_nodes,): a node that is neither hosts nothing.
    drained
        Nodes to be emptied, which are neither, shape (n_nodes,).
    pool, unit
        Pool of each node, and which nodes fail as one: those of one number; numbered as they come, shape (n_nodes,).
    demand
        Shape (n_vms, n_resources), in the order of `capacity`.
    node_of
        Node of each VM now, -1 if it waits, shape (n_vms,).
    protected
        VMs that must restart, shape (n_vms,): evictable ones need not.
    evictable, optional
        VMs that may be stopped in a failover, and those of them that restart where that harms no one, shape (n_vms,).
    movable, priority
        Shape (n_vms,).
    signature
        VMs of one signature are in one pool and under the same rules, shape (n_vms,).
    signature_pool
        Pool of each signature, shape (n_signatures,).
    reachable, restartable
        Which nodes a VM of each signature may be on in normal running, and restart on, as far as pool, state and
        rules that bind each VM alone (only-on, not-on) say; shape (n_signatures, n_nodes). `reachable` leaves
        maintenance nodes in: whoever is there may stay.
    bindings
        The rules that are not in these: apart, together, and whatever is not a must.
    guarantee
        What is to be survived.
    original
        Index of each VM in the cluster, shape (n_vms,).
    n_incoming
        How many of the last are halves of migrations.
    """

    resources: tuple[str, ...]
    n_firm: int
    capacity: IntArray
    limit: IntArray
    online: BoolArray
    maintenance: BoolArray
    drained: BoolArray
    pool: IntArray
    unit: IntArray
    demand: IntArray
    node_of: IntArray
    protected: BoolArray
    evictable: BoolArray
    optional: BoolArray
    movable: BoolArray
    priority: IntArray
    signature: IntArray
    signature_pool: IntArray
    reachable: BoolArray
    restartable: BoolArray
    bindings: tuple[Binding, ...]
    guarantee: Guarantee
    original: IntArray
    n_incoming: int

    @property
    def failures(self) -> int:
        """How many units of a pool fail at once."""
        return self.guarantee.failures

    @property
    def planned(self) -> bool:
        """Whether restarts keep to a plan, rather than to an order and to choices of others."""
        return self.guarantee.restart == "planned" and self.guarantee.policy is None

    @property
    def in_turn(self) -> bool:
        """Whether failures come one after the other."""
        return self.guarantee.sequence == "sequential" and self.failures > 1

    @property
    def plain(self) -> bool:
        """Whether a plan for each failure by itself is all that is asked."""
        return self.planned and not self.in_turn

    @property
    def eased(self) -> "Problem":
        """The same with a plan for each failure: what every promise needs at least."""
        asked = evolve(self.guarantee, restart="planned", policy=None, order=None, sequence="at-once")
        return self if self.plain else evolve(self, guarantee=asked)

    @cached_property
    def usable(self) -> IntArray:
        """Memory for VMs, in MiB, shape (n_nodes,)."""
        return np.ascontiguousarray(self.capacity[:, 0])

    @cached_property
    def unit_pool(self) -> IntArray:
        """Pool of each unit, shape (n_units,)."""
        pools = np.zeros(int(self.unit.max(initial=-1)) + 1, dtype=np.int64)
        pools[self.unit] = self.pool
        return pools

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.capacity)

    @property
    def n_vms(self) -> int:
        """Number of VMs that take memory or are to be started, halves of migrations among them."""
        return len(self.demand)

    @cached_property
    def memory(self) -> IntArray:
        """Memory of each VM in MiB, shape (n_vms,)."""
        return np.ascontiguousarray(self.demand[:, 0])

    @cached_property
    def incoming(self) -> BoolArray:
        """Which are halves of migrations, on the target, shape (n_vms,)."""
        return np.asarray(np.arange(self.n_vms) >= self.n_vms - self.n_incoming)

    @cached_property
    def whole(self) -> IntArray:
        """Each VM itself, or of the half of a migration the VM whose it is, shape (n_vms,)."""
        first, place = np.unique(self.original, return_index=True)
        return place[np.searchsorted(first, self.original)]

    @cached_property
    def lasting(self) -> BoolArray | None:
        """VMs that keep their memory whatever fails elsewhere, shape (n_vms,); None for all."""
        return ~self.evictable if self.evictable.any() else None

    @cached_property
    def pools(self) -> list[int]:
        """The pools that have nodes, ascending."""
        found: list[int] = np.unique(self.pool).tolist()
        return found

    @cached_property
    def all_protected(self) -> bool:
        """Whether every VM is; where one entry stands for all, it is the only one looked at."""
        return bool((self.protected[:1] if self.protected.strides == (0,) else self.protected).all())

    @cached_property
    def vm_pool(self) -> IntArray:
        """Pool of each VM, shape (n_vms,)."""
        if len(self.signature_pool) == 1:
            return np.broadcast_to(self.signature_pool, self.n_vms)
        return self.signature_pool[self.signature]

    @property
    def on_maintenance(self) -> BoolArray:
        """VMs that may stay where nothing new comes, shape (n_vms,)."""
        there: BoolArray = np.append(self.maintenance, False)[self.node_of]  # -1, no node, reaches the last
        return there

    def sizes(self, pool: int, *, protected: bool = False, staying: bool = True) -> Sizes:
        """Sizes of a pool's VMs: of the protected ones only, or without those that may stay on maintenance nodes."""
        # What holds for all needs no column; and what is asked for in two ways is then tallied once.
        apart, protected = bool(np.any(self.signature_pool != pool)), protected and not self.all_protected
        staying = staying or not self.maintenance.any()
        key = (pool, protected, staying)
        if key not in self._sizes:
            masks = [self.vm_pool == pool] if apart else []
            masks += [self.protected] if protected else []
            masks += [] if staying else [~self.on_maintenance]
            self._sizes[key] = Sizes.of(self.memory[np.logical_and.reduce(masks)] if masks else self.memory)
        return self._sizes[key]

    @cached_property
    def _sizes(self) -> dict[tuple[int, bool, bool], Sizes]:
        return {}

    @cached_property
    def classes(self) -> Classes:
        """The classes of interchangeable VMs."""
        flags = [~self.protected, self.evictable, self.optional, self.incoming]
        keys = np.column_stack([-self.demand, *flags, -self.priority, self.signature]).astype(np.int64)
        code = np.zeros(self.n_vms, dtype=np.int64)
        for column in keys.T:
            values, index = np.unique(column, return_inverse=True)
            # Renumber at each step, so that the product of the counts cannot overflow.
            code = np.unique(code * len(values) + index, return_inverse=True)[1]
        _, first = np.unique(code, return_index=True)
        return Classes(
            code,
            self.demand[first],
            self.protected[first],
            self.evictable[first],
            self.priority[first],
            self.signature[first],
            ~self.evictable[first] & ~self.incoming[first],
        )

    def load(self, node_of: IntArray) -> IntArray:
        """Memory in use on each node, in MiB, shape (n_nodes,)."""
        return self._sums(node_of, self.memory)

    def loads(self, node_of: IntArray) -> IntArray:
        """What is in use on each node, shape (n_nodes, n_resources)."""
        return np.column_stack([self._sums(node_of, self.demand[:, r]) for r in range(self.demand.shape[1])])

    def _sums(self, node_of: IntArray, amounts: IntArray) -> IntArray:
        sums = np.zeros(self.n_nodes + 1, dtype=np.int64)
        np.add.at(sums, node_of, amounts)  # -1, no node, reaches the last
        return sums[:-1]

    def counts(self, node_of: IntArray, among: BoolArray | None = None) -> IntArray:
        """VMs of each class on each node, shape (n_classes, n_nodes)."""
        placed = node_of >= 0 if among is None else (node_of >= 0) & among
        flat = self.classes.of[placed] * self.n_nodes + node_of[placed]
        size = len(self.classes) * self.n_nodes
        return np.bincount(flat, minlength=size).reshape(len(self.classes), self.n_nodes).astype(np.int64)


def compile_problem(cluster: Cluster, drained: BoolArray | None = None) -> Problem:
    """The cluster as arrays, not to be written to: where they can be, they are the cluster's own.

    Parameters
    ----------
    cluster
        What to compile.
    drained
        Nodes to be emptied, shape (n_nodes,): their VMs are there now, but may not stay; nothing else is there for anyone.
    """
    nodes, vms = cluster.node_columns, cluster.vm_columns
    online, offline = nodes.state.are("online"), nodes.state.are("offline")
    out = np.zeros(len(nodes), dtype=bool) if drained is None else drained
    where = np.where(offline[vms.node], -1, vms.node) if offline.any() else vms.node
    migrating = _migrating(vms, where, offline)
    # A slice of all leaves the columns as they are.
    active = slice(None) if vms.running.all() else np.flatnonzero(vms.running | (where < 0))
    original = np.arange(len(vms))[active]

    def column(values: IntArray | BoolArray, incoming: Any) -> Any:
        return np.concatenate([values[active], np.broadcast_to(incoming, len(migrating))]) if len(migrating) else values[active]

    pools = {pool: i for i, pool in enumerate(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))}
    pool, domain = nodes.pool.numbered(pools), domains(nodes)
    bindings = list(_bindings(cluster, nodes, vms, original, domain))
    vm_pool = vms.pool.numbered(pools)
    signature, signatures = _signatures(column(vm_pool, vm_pool[migrating]), bindings)
    resources, n_firm = _resources(cluster, nodes, vms)
    moving = np.isin(np.arange(len(vms)), migrating) if len(migrating) else np.False_
    evictable = column(vms.evictable, vms.evictable[migrating])
    return Problem(
        resources=resources,
        n_firm=n_firm,
        capacity=_capacity(cluster, nodes, resources),
        limit=_limit(nodes.usable, cluster),
        online=online & ~out,
        maintenance=~online & ~offline & ~out,
        drained=out,
        pool=pool,
        unit=_units(pool, domain if cluster.guarantee.scope == "domain" else np.arange(len(nodes))),
        demand=_demand(vms, resources)[np.concatenate([original, migrating]) if len(migrating) else active],
        node_of=column(where, vms.target[migrating]),
        protected=column(vms.protected & ~vms.evictable if evictable.any() else vms.protected, False),
        evictable=evictable,
        optional=column(vms.protected & vms.evictable if evictable.any() else vms.evictable, False),
        movable=column(vms.movable & ~moving if len(migrating) else vms.movable, False),
        priority=column(vms.priority, 0),
        signature=signature,
        signature_pool=np.array([pool for pool, _ in signatures], dtype=np.int64),
        reachable=_masks(signatures, pool, ~offline & ~out, [b for b in bindings if b.must]),
        restartable=_masks(signatures, pool, online & ~out, [b for b in bindings if b.must and b.during_failover]),
        bindings=tuple(b for b in bindings if not (b.must and b.kind == "only-on")),
        guarantee=cluster.guarantee,
        original=np.concatenate([original, migrating]) if len(migrating) else original,
        n_incoming=len(migrating),
    )


def _migrating(vms: VMColumns, where: IntArray, offline: BoolArray) -> IntArray:
    """VMs that take memory on a second node."""
    if not len(vms) or vms.target.max() < 0:
        return np.zeros(0, dtype=np.int64)
    there = (vms.target >= 0) & vms.running & (where >= 0) & (vms.target != where)
    return np.flatnonzero(there & ~np.append(offline, True)[vms.target])


def domains(nodes: NodeColumns) -> IntArray:
    """The failure domain of each node as a number, a node without one being its own, shape (n_nodes,)."""
    own = len(nodes.domain.words) + np.arange(len(nodes))
    named = nodes.domain.numbered({word: i for i, word in enumerate(nodes.domain.words)})
    return np.where(nodes.domain.are(""), own, named)


def _units(pool: IntArray, domain: IntArray) -> IntArray:
    """Which nodes fail as one: those of one domain and pool."""
    return _numbered(domain * (int(pool.max(initial=0)) + 1) + pool)[0]


def _resources(cluster: Cluster, nodes: NodeColumns, vms: VMColumns) -> tuple[tuple[str, ...], int]:
    """Names of the further resources, those last that a failover may exceed; how many others there are, with memory."""
    known = dict.fromkeys([*nodes.resources, *vms.resources, *cluster.overcommit, *cluster.soft_resources])
    firm = [name for name in known if name not in cluster.soft_resources]
    return (*firm, *cluster.soft_resources), 1 + len(firm)


def _capacity(cluster: Cluster, nodes: NodeColumns, resources: tuple[str, ...]) -> IntArray:
    none = np.broadcast_to(np.int64(0), len(nodes))
    ratio = {name: cluster.overcommit.get(name, Fraction(1)) for name in resources}
    amounts = (
        np.array(
            [a * ratio[name].numerator // ratio[name].denominator for a in nodes.resources.get(name, none).tolist()], np.int64
        )
        for name in resources
    )
    return np.column_stack([nodes.usable, *amounts])


def _demand(vms: VMColumns, resources: tuple[str, ...]) -> IntArray:
    if not resources:
        return vms.memory[:, None]
    none = np.broadcast_to(np.int64(0), len(vms))
    return np.column_stack([vms.memory, *(vms.resources.get(name, none) for name in resources)])


def _limit(usable: IntArray, cluster: Cluster) -> IntArray:
    share = cluster.guarantee.headroom
    if not share:
        return usable
    top, bottom = share.numerator, share.denominator
    return np.array([c - -(-c * top // bottom) for c in usable.tolist()], dtype=np.int64)


def _bindings(cluster: Cluster, nodes: NodeColumns, vms: VMColumns, original: IntArray, domain: IntArray) -> Iterator[Binding]:
    if not cluster.rules:
        return
    node_index = {name: i for i, name in enumerate(nodes.names)}
    # Stopped VMs are in no index: no rule sees them.
    vm_index = {vms.names[i]: k for k, i in enumerate(original.tolist())}
    for index, rule in enumerate(cluster.rules):
        members = [vm_index[name] for name in resolve(rule.vms, cluster.vms) if name in vm_index]
        kind, among, zone = rule.kind, None, None
        if isinstance(rule, Apart):
            zone = domain if rule.scope == "domain" else np.arange(len(nodes))
        if isinstance(rule, OnlyOn | NotOn):
            kind, among = "only-on", np.zeros(len(nodes), dtype=bool)
            among[[node_index[name] for name in resolve(rule.nodes, cluster.nodes)]] = True
            if isinstance(rule, NotOn):
                among = ~among
        if len(members) >= (1 if kind == "only-on" else 2):
            own = np.array(members, dtype=np.int64)
            yield Binding(index, kind, own, among, zone, rule.must, rule.weight, rule.during_failover)


def _signatures(pool: IntArray, bindings: list[Binding]) -> tuple[IntArray, list[tuple[int, frozenset[int]]]]:
    """Signature of each VM, and for each signature its pool and the rules it is under (by index in the cluster)."""
    rules_of: dict[int, list[int]] = {}
    for binding in bindings:
        for vm in binding.vms.tolist():
            rules_of.setdefault(vm, []).append(binding.rule)
    rules: dict[frozenset[int], int] = {frozenset(): 0}
    bound = np.zeros(len(pool), dtype=np.int64)  # which costs nothing until it is written to
    bound[list(rules_of)] = [rules.setdefault(frozenset(own), len(rules)) for own in rules_of.values()]
    signature, first = _numbered(pool * len(rules) + bound if bindings else pool)
    known = list(rules)
    return signature, [(int(pool[vm]), known[bound[vm]]) for vm in first.tolist()]


def _numbered(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The keys numbered by appearance, and the index at which each appears."""
    if keys.strides == (0,):  # one key for all
        return np.broadcast_to(np.int64(0), len(keys)), np.arange(min(1, len(keys)))
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[index], first[order]


def _masks(
    signatures: list[tuple[int, frozenset[int]]], pool: IntArray, usable: BoolArray, bindings: Iterable[Binding]
) -> BoolArray:
    left = {b.rule: b.nodes for b in bindings if b.nodes is not None}
    masks = np.zeros((len(signatures), len(pool)), dtype=bool)
    for row, (own, rules) in enumerate(signatures):
        masks[row] = usable & (pool == own)
        for rule in rules & left.keys():
            masks[row] &= left[rule]
    return masks
