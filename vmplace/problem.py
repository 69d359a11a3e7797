"""A cluster compiled to arrays and classes: names become indices here, and nowhere else (`vmplace.naming` is the way back)."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.cluster import Cluster
from vmplace.columns import BoolArray, IntArray, NodeColumns, VMColumns
from vmplace.errors import Flaw, NotSupportedError
from vmplace.model import VM, Apart, Node, NotOn, OnlyOn
from vmplace.references import resolve
from vmplace.sizes import Sizes
from vmplace.units import short

__all__ = ["Binding", "BoolArray", "Classes", "Problem", "compile_problem", "refuse_unsupported"]


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
    """

    rule: int
    kind: str
    vms: IntArray
    nodes: BoolArray | None
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
    protected, priority, signature
        Shape (n_classes,).
    """

    of: IntArray
    demand: IntArray
    protected: BoolArray
    priority: IntArray
    signature: IntArray

    def __len__(self) -> int:
        return len(self.demand)

    @property
    def memory(self) -> IntArray:
        """Memory in MiB, shape (n_classes,)."""
        return self.demand[:, 0]


@frozen(eq=False)
class Problem:
    """The VMs that take memory (or are to be started) and the nodes, as arrays.

    Parameters
    ----------
    usable, limit
        Usable memory and what normal running may use of it (headroom taken off), in MiB, shape (n_nodes,).
    online, maintenance
        State, shape (n_nodes,).
    pool
        Pool of each node, shape (n_nodes,).
    demand
        Shape (n_vms, n_resources), memory in MiB first.
    node_of
        Node of each VM now, -1 if it waits, shape (n_vms,).
    protected, movable, priority
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
    failures
        Number of nodes that fail at once.
    original
        Index of each VM in the cluster, shape (n_vms,).
    """

    usable: IntArray
    limit: IntArray
    online: BoolArray
    maintenance: BoolArray
    pool: IntArray
    demand: IntArray
    node_of: IntArray
    protected: BoolArray
    movable: BoolArray
    priority: IntArray
    signature: IntArray
    signature_pool: IntArray
    reachable: BoolArray
    restartable: BoolArray
    bindings: tuple[Binding, ...]
    failures: int
    original: IntArray

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.usable)

    @property
    def n_vms(self) -> int:
        """Number of VMs that take memory or are to be started."""
        return len(self.demand)

    @property
    def memory(self) -> IntArray:
        """Memory of each VM in MiB, shape (n_vms,)."""
        return self.demand[:, 0]

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
        return (self.node_of >= 0) & self.maintenance[np.maximum(self.node_of, 0)]

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
        keys = np.column_stack([-self.demand, ~self.protected, -self.priority, self.signature]).astype(np.int64)
        code = np.zeros(self.n_vms, dtype=np.int64)
        for column in keys.T:
            values, index = np.unique(column, return_inverse=True)
            # Renumber at each step, so that the product of the counts cannot overflow.
            code = np.unique(code * len(values) + index, return_inverse=True)[1]
        _, first = np.unique(code, return_index=True)
        return Classes(code, self.demand[first], self.protected[first], self.priority[first], self.signature[first])

    def load(self, node_of: IntArray) -> IntArray:
        """Memory in use on each node, in MiB, shape (n_nodes,)."""
        sums = np.zeros(self.n_nodes + 1, dtype=np.int64)
        np.add.at(sums, node_of, self.memory)  # -1, no node, reaches the last
        return sums[:-1]

    def counts(self, node_of: IntArray, among: BoolArray | None = None) -> IntArray:
        """VMs of each class on each node, shape (n_classes, n_nodes)."""
        placed = node_of >= 0 if among is None else (node_of >= 0) & among
        flat = self.classes.of[placed] * self.n_nodes + node_of[placed]
        size = len(self.classes) * self.n_nodes
        return np.bincount(flat, minlength=size).reshape(len(self.classes), self.n_nodes).astype(np.int64)


def compile_problem(cluster: Cluster) -> Problem:
    """The cluster as arrays, not to be written to: where they can be, they are the cluster's own.

    Raises
    ------
    NotSupportedError
        if the cluster asks for what this version cannot do.
    """
    refuse_unsupported(cluster)
    nodes, vms = cluster.node_columns, cluster.vm_columns
    online, offline = nodes.state.are("online"), nodes.state.are("offline")
    where = np.where(offline[vms.node], -1, vms.node) if offline.any() else vms.node
    # A slice of all leaves the columns as they are.
    active = slice(None) if vms.running.all() else np.flatnonzero(vms.running | (where < 0))
    original = np.arange(len(vms))[active]

    pools = {pool: i for i, pool in enumerate(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))}
    pool = nodes.pool.numbered(pools)
    bindings = list(_bindings(cluster, nodes, vms, original))
    signature, signatures = _signatures(vms.pool.numbered(pools)[active], bindings)
    return Problem(
        usable=nodes.usable,
        limit=_limit(nodes.usable, cluster),
        online=online,
        maintenance=~online & ~offline,
        pool=pool,
        demand=vms.memory[active][:, None],
        node_of=where[active],
        protected=vms.protected[active],
        movable=vms.movable[active],
        priority=vms.priority[active],
        signature=signature,
        signature_pool=np.array([pool for pool, _ in signatures], dtype=np.int64),
        reachable=_masks(signatures, pool, ~offline, [b for b in bindings if b.must]),
        restartable=_masks(signatures, pool, online, [b for b in bindings if b.must and b.during_failover]),
        bindings=tuple(b for b in bindings if not (b.must and b.kind == "only-on")),
        failures=cluster.guarantee.failures,
        original=original,
    )


def _limit(usable: IntArray, cluster: Cluster) -> IntArray:
    share = cluster.guarantee.headroom
    if not share:
        return usable
    top, bottom = share.numerator, share.denominator
    return np.array([c - -(-c * top // bottom) for c in usable.tolist()], dtype=np.int64)


def _bindings(cluster: Cluster, nodes: NodeColumns, vms: VMColumns, original: IntArray) -> Iterator[Binding]:
    if not cluster.rules:
        return
    node_index = {name: i for i, name in enumerate(nodes.names)}
    # Stopped VMs are in no index: no rule sees them.
    vm_index = {vms.names[i]: k for k, i in enumerate(original.tolist())}
    for index, rule in enumerate(cluster.rules):
        members = [vm_index[name] for name in resolve(rule.vms, cluster.vms) if name in vm_index]
        kind, among = rule.kind, None
        if isinstance(rule, OnlyOn | NotOn):
            kind, among = "only-on", np.zeros(len(nodes), dtype=bool)
            among[[node_index[name] for name in resolve(rule.nodes, cluster.nodes)]] = True
            if isinstance(rule, NotOn):
                among = ~among
        if len(members) >= (1 if kind == "only-on" else 2):
            yield Binding(index, kind, np.array(members, dtype=np.int64), among, rule.must, rule.weight, rule.during_failover)


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


def refuse_unsupported(cluster: Cluster) -> None:
    """Raise NotSupportedError, listing each use of what this version reads but cannot do."""
    flaws = [*_guarantee_flaws(cluster), *_node_flaws(cluster.nodes), *_vm_flaws(cluster.vms)]
    flaws += [
        Flaw(f"rules[{i}].scope", "'domain' is not supported yet: write 'node'")
        for i, rule in enumerate(cluster.rules)
        if isinstance(rule, Apart) and rule.scope != "node"
    ]
    if flaws:
        raise NotSupportedError(flaws)


def _guarantee_flaws(cluster: Cluster) -> Iterator[Flaw]:
    asked = cluster.guarantee
    if asked.failures > 1:
        yield Flaw("guarantee.failures", f"{asked.failures} is not supported yet: write 1, or 0 for no guarantee")
    for key, known in (("scope", "node"), ("sequence", "at-once"), ("restart", "planned"), ("policy", None), ("order", None)):
        value = getattr(asked, key)
        if value != known:
            yield Flaw(
                f"guarantee.{key}", f"{short(value)} is not supported yet: write {'null' if known is None else repr(known)}"
            )


def _node_flaws(nodes: Sequence[Node]) -> Iterator[Flaw]:
    if isinstance(nodes, NodeColumns):
        return
    for i, node in enumerate(nodes):
        if node.resources:
            yield Flaw(f"nodes[{i}].resources", f"{short(dict(node.resources))} is not supported yet: leave it out")
        if node.price != 1:
            yield Flaw(f"nodes[{i}].price", f"{float(node.price)} is not supported yet: leave it out")


def _vm_flaws(vms: Sequence[VM]) -> Iterator[Flaw]:
    if isinstance(vms, VMColumns):
        return
    for i, vm in enumerate(vms):
        if vm.resources:
            yield Flaw(f"vms[{i}].resources", f"{short(dict(vm.resources))} is not supported yet: leave it out")
        if vm.evictable:
            yield Flaw(f"vms[{i}].evictable", "true is not supported yet: write false")
        if vm.target is not None:
            yield Flaw(f"vms[{i}].target", f"{short(vm.target)} is not supported yet: write null")
