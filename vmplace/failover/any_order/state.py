"""One failure as arrays: who may restart, on which survivors, under which rules; and what is left when some have."""

from copy import copy
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.failover.restart import occupied
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.state import PlacementState

__all__ = ["AnyOrderProblem", "RestartState", "Story", "VMKinds", "situation_of"]


@frozen(eq=False)
class VMKinds:
    """VMs that are interchangeable, counted; largest memory first.

    Parameters
    ----------
    vms
        The VMs of each kind.
    demand
        Shape (n_kinds, n_resources).
    must
        Shape (n_kinds,).
    fits
        Where one of them can restart as long as nobody else has, shape (n_kinds, n_nodes).
    apart, together
        The rules of each kind, as indices into the situation's.
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

    def safe_with(self, kind: int) -> BoolArray:
        """Kinds, this one among them, that no state strands if none strands this one; shape (n_kinds,).

        Those are they that demand no more, may restart wherever this one may, and have no rule that it has not. For take a state
        that strands one of them: if one of this kind has not restarted, it is stranded, too. Otherwise let the other take its
        place. That is a state, and what blocked the nodes blocks them still; the place itself has become freer by the difference
        of the two demands: if it lacked room for the other before, it lacks room for this one now.
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
        Of the displaced VMs that may restart, shape (n_vms, n_resources), memory in MiB first. Who needs nothing of a resource
        is never short of it.
    must
        Which of them must restart, shape (n_vms,).
    free
        What each survivor has left, not negative, shape (n_nodes, n_resources).
    allowed
        Which survivors a VM's rules leave it, survivors' own VMs considered, shape (n_vms, n_nodes).
    likeness
        Equal for VMs that are interchangeable: same demand, same `must`, `allowed` and rules; shape (n_vms,).
    apart
        Rules as (VMs, zone of each node): no two of these VMs restart in one zone.
    together
        Rules as VMs: those of them that restart are all on one node.
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
        enough = (self.free >= demand[:, None, :]).all(axis=2)
        return VMKinds(
            tuple(np.flatnonzero(kind.reshape(-1) == k) for k in order),
            demand,
            self.must[first],
            self.allowed[first] & enough,
            tuple(self._apart_of[vm] for vm in first.tolist()),
            tuple(self._together_of[vm] for vm in first.tolist()),
        )

    @cached_property
    def _apart_of(self) -> list[frozenset[int]]:
        return _rules_of([vms for vms, _ in self.apart], self.n_vms)

    @cached_property
    def _together_of(self) -> list[frozenset[int]]:
        return _rules_of(self.together, self.n_vms)


def _rules_of(members: "tuple[IntArray, ...] | list[IntArray]", n_vms: int) -> list[frozenset[int]]:
    """The rules of each VM."""
    rules: list[set[int]] = [set() for _ in range(n_vms)]
    for rule, vms in enumerate(members):
        for vm in vms.tolist():
            rules[vm].add(rule)
    return [frozenset(mine) for mine in rules]


@frozen
class Story:
    """How a VM is stranded.

    Parameters
    ----------
    placed
        (VM, node) in an order in which they restart; any other order would do as well.
    stranded
        The VM to which no node is left then.
    """

    placed: tuple[tuple[int, int], ...]
    stranded: int


class RestartState:
    """What has restarted so far, and what that leaves to the others.

    Attributes
    ----------
    left : IntArray
        What each survivor has left, shape (n_nodes, n_resources).
    placed : list of (int, int)
        (VM, node) in the order of the restarts.
    """

    def __init__(self, any_order: AnyOrderProblem) -> None:
        self.any_order = any_order
        self.left = any_order.free.copy()
        self.placed: list[tuple[int, int]] = []
        self._taken = [np.zeros(any_order.n_nodes, dtype=bool) for _ in any_order.apart]
        self._home = [-1] * len(any_order.together)

    def copy(self) -> "RestartState":
        """The same, to go on from."""
        twin = copy(self)
        twin.left, twin.placed, twin._home = self.left.copy(), self.placed.copy(), self._home.copy()
        twin._taken = [zone.copy() for zone in self._taken]
        return twin

    def open(self, vm: int) -> BoolArray:
        """Where a VM could restart now, shape (n_nodes,)."""
        any_order = self.any_order
        nodes: BoolArray = any_order.allowed[vm] & (self.left >= any_order.demand[vm]).all(axis=1)
        for rule in any_order._apart_of[vm]:
            nodes &= ~self._taken[rule]
        for rule in any_order._together_of[vm]:
            if self._home[rule] >= 0:
                nodes &= np.arange(len(nodes)) == self._home[rule]
        return nodes

    def restart(self, vm: int, node: int) -> None:
        """Restart a VM on a node that is open to it."""
        any_order = self.any_order
        self.placed.append((vm, node))
        self.left[node] -= any_order.demand[vm]
        for rule in any_order._apart_of[vm]:
            zone = any_order.apart[rule][1]
            self._taken[rule] |= zone == zone[node]
        for rule in any_order._together_of[vm]:
            self._home[rule] = node


def situation_of(state: PlacementState, failed: IntArray, node_of: IntArray) -> tuple[IntArray, IntArray, AnyOrderProblem]:
    """The VMs that may restart when nodes have failed, the survivors in document order, and the rest as arrays."""
    problem = state.problem
    displaced = np.isin(node_of, failed) & ~problem.evictable & ~problem.incoming
    vms = np.flatnonzero(displaced)
    pool = problem.pool[failed[0]]
    nodes = np.flatnonzero(state.target & (problem.pool == pool) & ~np.isin(np.arange(problem.n_nodes), failed))
    room = state.room_on(nodes, node_of)
    allowed = problem.restartable[problem.signature[vms]][:, nodes]
    apart, together = [], []
    for rule in problem.compiled_rules:
        mine = np.flatnonzero(np.isin(vms, rule.vms)) if rule.must and rule.during_failover else vms[:0]
        if not len(mine):
            continue
        if rule.zone is not None:
            allowed[mine] &= ~occupied(problem, node_of, rule, failed, nodes)
            apart.append((mine, rule.zone[nodes]))
        elif rule.kind == "together":
            together.append(mine)
    any_order = AnyOrderProblem(
        demand=problem.demand[vms, : problem.n_firm],
        must=problem.protected[vms],
        free=room,
        allowed=allowed,
        likeness=problem.classes.of[vms],
        apart=tuple(apart),
        together=tuple(together),
    )
    return vms, nodes, any_order
