"""The compiled problem: VMs and nodes of a cluster as arrays, its rules, and its classes of interchangeable VMs."""

from functools import cached_property

import numpy as np
from attrs import evolve, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.guarantee import Guarantee, less_share
from vmplace.problem.promise import Promise
from vmplace.problem.reductions import NOTHING_LEFT_OUT, Reductions
from vmplace.problem.rules import CompiledRule
from vmplace.problem.sizes import SizeCounts, alike

__all__ = ["BoolArray", "Classes", "Problem", "normal_limit"]


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
        VMs that may restart, protected or not, shape (n_classes,).
    """

    of: IntArray
    demand: IntArray
    protected: BoolArray
    evictable: BoolArray
    priority: IntArray
    signature: IntArray
    returning: BoolArray

    @classmethod
    def among(cls, problem: "Problem") -> "Classes":
        """The classes of a problem's VMs."""
        # Under one of several guarantees the classes are those of all.
        asked = problem.promises or (problem,)
        protected, optional = [~one.protected for one in asked], [one.optional for one in asked]
        flags = [*protected, problem.evictable, *optional, problem.incoming]
        code, first = alike(*(-problem.demand).T, *flags, -problem.priority, problem.signature, problem.bond)
        return cls(
            code,
            problem.demand[first],
            problem.protected[first],
            problem.evictable[first],
            problem.priority[first],
            problem.signature[first],
            ~problem.evictable[first] & ~problem.incoming[first],
        )

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
    resources, n_firm
        Names of the further resources, those first that bind in a failover; how many bind there, memory among them.
    capacity
        What VMs may use, shape (n_nodes, n_resources): memory in MiB first, then the others, overcommitted.
    limit
        The memory that normal running may use (headroom taken off), in MiB, shape (n_nodes,).
    own_limit
        The same of nodes that have a headroom of their own, -1 for the others, shape (n_nodes,).
    online, maintenance, drained
        State, shape (n_nodes,): drained nodes are to be emptied; a node that is none of these hosts nothing.
    pool, domain, unit
        Pool of each node, the nodes of one failure domain in it, and which nodes fail as one: those of one number; numbered as
        they come, shape (n_nodes,).
    demand
        Shape (n_vms, n_resources), in the order of `capacity`; memory with the overhead.
    node_of
        Node of each VM now, -1 if it waits, shape (n_vms,).
    protected
        VMs that must restart, shape (n_vms,): evictable ones need not.
    evictable, optional
        VMs that may be stopped in a failover, and those of them that restart where that harms no other VM, shape (n_vms,).
    movable, cold, priority
        VMs that may migrate live, those that move by being stopped and started (`restrict.warmed` makes them movable), and
        priorities, shape (n_vms,).
    signature
        VMs of one signature are in one pool and under the same unary rules, shape (n_vms,).
    bond
        VMs of one bond are under the same compiled rules, 0 for none, shape (n_vms,).
    signature_pool
        Pool of each signature, shape (n_signatures,).
    reachable, restartable
        Which nodes a VM of each signature may be on in normal running, and restart on, as far as pool, state and
        rules that bind each VM alone (only-on, not-on) say; shape (n_signatures, n_nodes). `reachable` leaves
        maintenance nodes in: VMs that are there may stay.
    compiled_rules
        The rules that are not in these: apart, together, and all soft rules.
    unary_rules
        The rules that are in these.
    guarantee
        What must be survived.
    name_rank
        Rank of each node by its name, where a policy goes by it, else 0, shape (n_nodes,).
    original
        Index of each VM in the cluster, shape (n_vms,).
    n_incoming
        How many of the last are halves of migrations.
    promises
        Where several guarantees must all hold: these, in the order of the document; `guarantee`, `unit`, `name_rank`, `protected`
        and `optional` are then those of one of them.
    number
        Which of the promises this is the problem of, the others aside; None for all.
    reductions
        What presolve has left out: see `vmplace.problem.presolve`.
    """

    resources: tuple[str, ...]
    n_firm: int
    capacity: IntArray
    limit: IntArray
    own_limit: IntArray
    online: BoolArray
    maintenance: BoolArray
    drained: BoolArray
    pool: IntArray
    domain: IntArray
    unit: IntArray
    demand: IntArray
    node_of: IntArray
    protected: BoolArray
    evictable: BoolArray
    optional: BoolArray
    movable: BoolArray
    cold: BoolArray
    priority: IntArray
    signature: IntArray
    bond: IntArray
    signature_pool: IntArray
    reachable: BoolArray
    restartable: BoolArray
    compiled_rules: tuple[CompiledRule, ...]
    unary_rules: tuple[CompiledRule, ...]
    guarantee: Guarantee
    name_rank: IntArray
    original: IntArray
    n_incoming: int
    promises: tuple[Promise, ...] = ()
    number: int | None = None
    reductions: Reductions = NOTHING_LEFT_OUT

    @property
    def each(self) -> "tuple[Problem, ...]":
        """The problem under each of its guarantees alone."""
        return self._alone or (self,)  # kept, it would hold itself in memory

    @cached_property
    def _alone(self) -> "tuple[Problem, ...]":
        """The same where there are several."""
        joint = self.promises if self.number is None else ()
        return tuple(evolve(self, **promise.own, number=number) for number, promise in enumerate(joint))

    @property
    def failures(self) -> int:
        """How many units of a pool fail at once."""
        return self.guarantee.failures

    @property
    def planned(self) -> bool:
        """Whether restarts keep to a plan, rather than to an order and to choices of others."""
        return self.guarantee.planned

    @property
    def in_turn(self) -> bool:
        """Whether failures come one after the other."""
        return self.guarantee.in_turn

    @property
    def plain(self) -> bool:
        """Whether one plan for each failure is all that is asked, of several guarantees by each."""
        return all(one.guarantee.plain for one in self.each)

    @property
    def up(self) -> BoolArray:
        """Nodes that count for a quorum, shape (n_nodes,): all that are not offline."""
        return self.online | self.maintenance | self.drained

    @cached_property
    def quorum(self) -> IntArray:
        """How many nodes of each pool must be up for anything to restart, 0 for any, shape (n_pools,)."""
        asked = self.guarantee
        return np.array([asked.quorum_of(n) for n in np.bincount(self.pool).tolist()] if asked.quorum else [], dtype=np.int64)

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

    def rule(self, index: int) -> CompiledRule:
        """The rule of an index in the cluster, of those that bind a VM or that presolve has left out."""
        for rule in (*self.compiled_rules, *self.unary_rules):
            if rule.index == index:
                return rule
        idle = next(found.rule for found in self.reductions.rules if found.index == index)
        return evolve(idle, vms=np.flatnonzero(np.isin(self.original[: self.n_vms - self.n_incoming], idle.vms)))

    @cached_property
    def alone(self) -> BoolArray:
        """VMs that no rule binds to other VMs, shape (n_vms,)."""
        alone = np.ones(self.n_vms, dtype=bool)
        for rule in self.compiled_rules:
            if rule.nodes is None:
                alone[rule.vms] = False
        return alone

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
        """Each VM itself; for the half of a migration, the VM that migrates; shape (n_vms,)."""
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

    def sizes(self, pool: int, *, protected: bool = False, staying: bool = True) -> SizeCounts:
        """Sizes of a pool's VMs: of the protected ones only, or without those that may stay on maintenance nodes."""
        # What holds for all needs no column; and what is asked for in two ways is then tallied once.
        apart, protected = bool(np.any(self.signature_pool != pool)), protected and not self.all_protected
        staying = staying or not self.maintenance.any()
        key = (pool, protected, staying)
        if key not in self._sizes:
            masks = [self.vm_pool == pool] if apart else []
            masks += [self.protected] if protected else []
            masks += [] if staying else [~self.on_maintenance]
            self._sizes[key] = SizeCounts.of(self.memory[np.logical_and.reduce(masks)] if masks else self.memory)
        return self._sizes[key]

    @cached_property
    def _sizes(self) -> dict[tuple[int, bool, bool], SizeCounts]:
        return {}

    @cached_property
    def classes(self) -> Classes:
        """The classes of interchangeable VMs."""
        return Classes.among(self)

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


def normal_limit(usable: IntArray, own: IntArray, guarantee: Guarantee) -> IntArray:
    """What normal running may use of each node's memory, in MiB: headroom is taken off, rounded up; shape (n_nodes,).

    Parameters
    ----------
    own
        The limits of nodes that have a headroom of their own, -1 for the others, shape (n_nodes,).
    """
    share = guarantee.headroom
    shared = np.array([less_share(c, share) for c in usable.tolist()], dtype=np.int64) if share else usable
    return np.where(own < 0, shared, own) if own.max(initial=-1) >= 0 else shared
