"""One failure in any-order restart as arrays: VMs that may restart, survivors and rules; and a state of the restarts."""

from collections.abc import Sequence
from copy import copy
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.failover.restart import Failure
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.state import PlacementState

__all__ = ["AnyOrderProblem", "RestartState", "Story", "VMKinds", "any_order_problem"]


@frozen(eq=False)
class VMKinds:
    """Interchangeable VMs counted, the kind with most memory first.

    Parameters
    ----------
    vms
        The VMs of each kind.
    demand
        Shape (n_kinds, n_resources).
    must
        Shape (n_kinds,).
    fits
        Where one of them can restart as long as no other VM has, shape (n_kinds, n_nodes).
    apart, together
        The rules of each kind, as indices into the problem's.
    """

    vms: tuple[IntArray, ...]
    demand: IntArray
    must: BoolArray
    fits: BoolArray
    apart: tuple[frozenset[int], ...]
    together: tuple[frozenset[int], ...]

    def __len__(self) -> int:
        return len(self.vms)

    @cached_property
    def count(self) -> IntArray:
        """How many VMs there are of each kind, shape (n_kinds,)."""
        return np.array([len(vms) for vms in self.vms], dtype=np.int64)

    def dominated_by(self, kind: int) -> BoolArray:
        """Kinds, this one among them, that no state strands if none strands this one, shape (n_kinds,).

        Those that demand no more, may restart wherever this one may, and have no rule that it has not. Proof: take a state that
        strands one of them. If a VM of this kind has not restarted, it is stranded, too. Otherwise exchange the two: that is a
        state, and the nodes that were blocked still are; on the node of the exchange the difference of the two demands is freed,
        but what was too little for the smaller demand is then too little for the larger one.
        """
        no_more = (self.demand <= self.demand[kind]).all(axis=1) & ~(self.fits[kind] & ~self.fits).any(axis=1)
        fewer = [a <= self.apart[kind] and t <= self.together[kind] for a, t in zip(self.apart, self.together, strict=True)]
        return np.array(no_more & fewer, dtype=bool)


@frozen(eq=False)
class AnyOrderProblem:
    """A failure, once the failed nodes are gone.

    Parameters
    ----------
    demand
        Of the displaced VMs that may restart, shape (n_vms, n_resources), memory in MiB first. A VM that needs nothing of a
        resource is never short of it.
    must
        Which of them must restart, shape (n_vms,).
    free
        What each survivor has left, not negative, shape (n_nodes, n_resources).
    allowed
        Which survivors a VM's rules leave it, survivors' own VMs considered, shape (n_vms, n_nodes).
    likeness
        Equal for VMs that are interchangeable: same demand, same `must`, `allowed` and rules; shape (n_vms,).
    apart
        Anti-affinity rules as (VMs, zone of each node): no two of these VMs restart in one zone.
    together
        Affinity rules as VMs: those of them that restart are all on one node.
    """

    demand: IntArray
    must: BoolArray
    free: IntArray
    allowed: BoolArray
    likeness: IntArray
    apart: tuple[tuple[IntArray, IntArray], ...] = ()
    together: tuple[IntArray, ...] = ()

    @property
    def n_vms(self) -> int:
        """Number of VMs."""
        return len(self.demand)

    @property
    def n_nodes(self) -> int:
        """Number of survivors."""
        return len(self.free)

    @cached_property
    def kinds(self) -> VMKinds:
        """The VMs by likeness."""
        _, first, kind = np.unique(self.likeness, return_index=True, return_inverse=True)
        order = np.argsort(-self.demand[first, 0], kind="stable")
        first = first[order]
        demand = self.demand[first]
        return VMKinds(
            tuple(np.flatnonzero(kind.reshape(-1) == k) for k in order),
            demand,
            self.must[first],
            self.allowed[first] & (self.free >= demand[:, None, :]).all(axis=2),
            tuple(self._apart_of[vm] for vm in first.tolist()),
            tuple(self._together_of[vm] for vm in first.tolist()),
        )

    @cached_property
    def _apart_of(self) -> list[frozenset[int]]:
        return _rules_of([vms for vms, _ in self.apart], self.n_vms)

    @cached_property
    def _together_of(self) -> list[frozenset[int]]:
        return _rules_of(self.together, self.n_vms)


def _rules_of(members: Sequence[IntArray], n_vms: int) -> list[frozenset[int]]:
    """The rules of each VM."""
    rules: list[set[int]] = [set() for _ in range(n_vms)]
    for rule, vms in enumerate(members):
        for vm in vms.tolist():
            rules[vm].add(rule)
    return [frozenset(mine) for mine in rules]


@frozen
class Story:
    """A sequence of restarts (VM, node) that strands a VM: no node is left to it then. Any other order would do as well."""

    placed: tuple[tuple[int, int], ...]
    stranded: int


class RestartState:
    """A partial restart: (VM, node) in their order, and what each survivor has left, shape (n_nodes, n_resources)."""

    def __init__(self, problem: AnyOrderProblem) -> None:
        self.problem = problem
        self.left = problem.free.copy()
        self.placed: list[tuple[int, int]] = []
        self._taken = [np.zeros(problem.n_nodes, dtype=bool) for _ in problem.apart]
        self._home = [-1] * len(problem.together)

    def copy(self) -> "RestartState":
        """A copy that can go on separately."""
        twin = copy(self)
        twin.left, twin.placed, twin._home = self.left.copy(), self.placed.copy(), self._home.copy()
        twin._taken = [zone.copy() for zone in self._taken]
        return twin

    def open(self, vm: int) -> BoolArray:
        """Where a VM could restart now, shape (n_nodes,)."""
        return np.asarray(self.permitted(vm) & (self.left >= self.problem.demand[vm]).all(axis=1))

    def permitted(self, vm: int) -> BoolArray:
        """Where rules let a VM restart now, shape (n_nodes,)."""
        problem = self.problem
        nodes: BoolArray = problem.allowed[vm].copy()
        for rule in problem._apart_of[vm]:
            nodes &= ~self._taken[rule]
        for rule in problem._together_of[vm]:
            if self._home[rule] >= 0:
                nodes &= np.arange(len(nodes)) == self._home[rule]
        return nodes

    def restart(self, vm: int, node: int) -> None:
        """Restart a VM on a node that is open to it."""
        problem = self.problem
        self.placed.append((vm, node))
        self.left[node] -= problem.demand[vm]
        for rule in problem._apart_of[vm]:
            zone = problem.apart[rule][1]
            self._taken[rule] |= zone == zone[node]
        for rule in problem._together_of[vm]:
            self._home[rule] = node


def any_order_problem(state: PlacementState, failed: IntArray, node_of: IntArray) -> tuple[IntArray, IntArray, AnyOrderProblem]:
    """The VMs that may restart when nodes have failed, the survivors in document order, and the failure in their indices."""
    problem = state.problem
    displaced = np.isin(node_of, failed) & ~problem.evictable & ~problem.incoming
    vms = np.flatnonzero(displaced)
    failure = Failure.of(state, failed, node_of).in_order(state)
    allowed = failure.open_to(vms)
    apart, together = [], []
    for rule in problem.compiled_rules:
        mine = np.flatnonzero(np.isin(vms, rule.vms)) if rule.must and rule.during_failover else vms[:0]
        if not len(mine):
            continue
        if rule.zone is not None:
            allowed[mine] &= failure.standing(rule) == 0
            apart.append((mine, rule.zone[failure.nodes]))
        elif rule.kind == "together":
            together.append(mine)
    compiled = AnyOrderProblem(
        demand=problem.demand[vms, : problem.n_firm],
        must=problem.protected[vms],
        free=failure.room,
        allowed=allowed,
        likeness=problem.classes.of[vms],
        apart=tuple(apart),
        together=tuple(together),
    )
    return vms, failure.nodes, compiled
