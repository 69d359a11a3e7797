"""Failover plans of a memory-only pool: filled greedily or decided exactly, and kept while the survivors have the room."""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import field, frozen

from vmplace.failover.planned.decide import decide
from vmplace.failover.regression import LostMemory, added
from vmplace.failover.restart import RestartProblem
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.budget import Budget

__all__ = ["Kind", "RestartPlan", "RestartPlans", "find_restart_plan"]

Kind = tuple[int, int]
"""What is alike among VMs that must restart: memory in MiB, and priority."""

Room = tuple[int, int]
"""Free memory of a survivor in MiB, and its number."""


@frozen
class RestartPlan:
    """A failover plan in figures.

    Parameters
    ----------
    used
        What restarts take of each survivor, in MiB, by number.
    lost
        What it leaves without a restart; empty if nothing.
    proven
        Whether no plan leaves out less.
    """

    used: Mapping[int, int]
    lost: LostMemory = field(factory=dict)
    proven: bool = True


def find_restart_plan(items: Mapping[Kind, int], rooms: Sequence[Room], *, budget: Budget, losses: bool) -> RestartPlan | None:
    """The best plan for a failure; None if time ran out before it was known.

    Parameters
    ----------
    items
        How many VMs of each kind it displaces.
    rooms
        The freest survivors, those with most room first: as many as there are items, or all. No more are ever needed, since
        a plan for other nodes does as well on freer ones.
    budget
        What the search may take; greedy plans are tried in any case.
    losses
        Whether the least loss is wanted if not all can restart.
    """
    sizes = sorted(((size, count) for (size, _), count in items.items()), reverse=True)
    used = _filled(sizes, rooms)
    if used is not None:
        return RestartPlan(used)
    return _decided(items, rooms, budget, losses)


def _filled(sizes: Sequence[tuple[int, int]], rooms: Sequence[Room]) -> dict[int, int] | None:
    """One survivor after another is filled, largest first; few survivors are used, and those with most room."""
    left, used = dict[int, int](), dict[int, int]()
    for size, count in sizes:
        left[size] = left.get(size, 0) + count
    for room, node in rooms:
        rest = room
        for size in list(left):
            taken = min(left[size], rest // size)
            if taken:
                rest -= taken * size
                left[size] -= taken
                if not left[size]:
                    del left[size]
        if rest < room:
            used[node] = room - rest
        if not left:
            return used
    return None


def _decided(items: Mapping[Kind, int], rooms: Sequence[Room], budget: Budget, losses: bool) -> RestartPlan | None:
    """By the exact decision of one failure."""
    kinds = sorted(items, reverse=True)
    kind = np.repeat(np.arange(len(kinds)), [items[own] for own in kinds])
    memory, priority = np.array(kinds, dtype=np.int64)[kind].T
    free, nodes = np.array(rooms, dtype=np.int64).reshape(-1, 2).T
    open_to = np.ones((len(kind), len(nodes)), dtype=bool)
    restart = RestartProblem(np.arange(len(kind)), memory[:, None], priority, kind, open_to, nodes, free[:, None])
    plan = decide(restart, budget=budget, losses=losses)
    if plan.safe is None:
        return None
    used: dict[int, int] = {}
    for vm, node in zip(plan.vms.tolist(), plan.nodes.tolist(), strict=True):
        used[node] = used.get(node, 0) + int(memory[vm])
    if plan.safe:
        return RestartPlan(used)
    left = np.arange(len(kind)) if plan.loss is None else plan.loss.vms
    lost = added(*({int(priority[vm]): int(memory[vm])} for vm in left.tolist()))
    return RestartPlan(used, lost, proven=plan.loss is not None and plan.loss.minimal)


class RestartPlans:
    """One `RestartPlan` for each failure at most, found again by the survivors that it takes.

    Attributes
    ----------
    complete : BoolArray
        Failures with a plan for all VMs, shape (n_nodes,).
    partial : set of int
        Failures with a plan that leaves VMs out, where it is proved that no plan leaves out less.
    """

    def __init__(self, n_nodes: int) -> None:
        self.complete: BoolArray = np.zeros(n_nodes, dtype=bool)
        self.partial: set[int] = set()
        self._plans: dict[int, RestartPlan] = {}
        self._users: list[dict[int, int]] = [{} for _ in range(n_nodes)]
        self._need: IntArray = np.zeros(n_nodes, dtype=np.int64)
        self._stale: set[int] = set()

    def __contains__(self, failure: int) -> bool:
        return failure in self._plans

    def __getitem__(self, failure: int) -> RestartPlan:
        return self._plans[failure]

    def put(self, failure: int, plan: RestartPlan) -> None:
        """Keep a plan, in place of the one that was kept before."""
        self.drop(failure)
        self._plans[failure] = plan
        if plan.lost:
            self.partial.add(failure)
        else:
            self.complete[failure] = True
        for node, amount in plan.used.items():
            self._users[node][failure] = amount
            if amount > self._need[node]:
                self._need[node] = amount

    def drop(self, failure: int) -> None:
        """Forget a failure's plan."""
        if failure in self._plans:
            self.complete[failure] = False
            self.partial.discard(failure)
            for node in self._plans.pop(failure).used:
                del self._users[node][failure]
                self._stale.add(node)

    def drop_partial(self) -> None:
        """Forget the plans that leave VMs out: now there may be better ones."""
        for failure in list(self.partial):
            self.drop(failure)

    def beyond(self, node: int, free: int) -> list[int]:
        """Failures whose plan takes more of a node than this."""
        if self._need[node] <= free:
            return []
        return [failure for failure, amount in self._users[node].items() if amount > free]

    @property
    def need(self) -> IntArray:
        """The most that a plan takes of each node, in MiB, shape (n_nodes,)."""
        for node in self._stale:
            self._need[node] = max(self._users[node].values(), default=0)
        self._stale.clear()
        return self._need
