"""Upper bounds on headroom, without a search: sums, slots and other dual feasible functions of what is free."""

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import evolve, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.restrict import eased
from vmplace.problem.sizes import evenly, tally
from vmplace.problem.state import PlacementState
from vmplace.search.goal import Goal
from vmplace.solvers.binpacking.bounds import Worth, dual_feasible
from vmplace.solvers.budget import Budget

__all__ = ["CountBound", "count_bounds"]

_MOST_SIZES = 128
"""Of so many sizes functions are made."""


@frozen
class CountBound:
    """How many bundles of new VMs one resource allows at most, all others aside.

    Parameters
    ----------
    resource
        Its column in `Problem.capacity`.
    most
        No more than so many times the bundle fit in.
    failure
        The number of the scenario that gives this bound; None for normal running.
    by_sum
        So many times by the sum of what is free: as if it were in one piece.
    """

    resource: int
    most: int
    failure: int | None
    by_sum: int

    @property
    def in_pieces(self) -> bool:
        """Whether enough is free in all for one more, but in pieces that are too small."""
        return self.most < self.by_sum


def count_bounds(
    problem: Problem, goal: Goal, bundle: IntArray, pool: int, *, budget: Budget
) -> tuple[PlacementState, list[CountBound]]:
    """What each resource that the bundle needs allows, and the state of the placement of the VMs that stay.

    By dual feasible functions: for a worth f of sizes that is nondecreasing and superadditive [1]_, the VMs that come to the free
    part of a node are worth no more than that part. In normal running these are the waiting and the new VMs; in a failure, on the
    survivors, those of them that must restart, whether they were on the failed nodes or not, and the displaced.

    Parameters
    ----------
    problem, goal
        The cluster without anything new.
    bundle
        What each VM of it needs, shape (n_new, n_resources).
    pool
        Where it is to run.
    budget
        What is known when it is spent holds all the same.

    References
    ----------
    .. [1] See `vmplace.solvers.binpacking.bounds`.
    """
    problem = eased(problem)
    fixed = np.where(goal.free(problem), -1, problem.node_of)
    state = PlacementState.of(problem, fixed)
    counted = (problem.vm_pool == pool) & ~problem.on_maintenance
    found = []
    for resource in np.flatnonzero(bundle.any(axis=0)).tolist():
        asked, open_ = bundle[:, resource], counted & (fixed < 0)
        sizes = np.unique(problem.demand[problem.vm_pool == pool, resource]).tolist()
        balance = _Balance(problem, goal, state, pool, open_, asked, resource, math.gcd(*sizes, *asked.tolist()) or 1)
        most, failure = evolve(balance, unit=1).by_sum()
        by_sum = CountBound(resource, most, failure, most)
        found.append(
            min(by_sum, *(evolve(by_sum, most=m, failure=f) for m, f in balance.by_pieces(budget)), key=lambda b: b.most)
        )
    return state, found


@frozen(eq=False)
class _Balance:
    """Supply of and demand for one resource in a pool: `open_` are the VMs whose node is open, shape (n_vms,).

    `unit` divides all that VMs need, so that what is free is worth whole units only.
    """

    problem: Problem
    goal: Goal
    state: PlacementState
    pool: int
    open_: BoolArray
    bundle: IntArray
    resource: int
    unit: int

    def by_sum(self) -> tuple[int, int | None]:
        """What the sum of the free amounts allows, and the failure that it is for."""
        return min(self._allowed(lambda x: x), key=lambda bound: bound[0])

    def by_pieces(self, budget: Budget) -> Iterator[tuple[int, int | None]]:
        """What each worth allows, and the failure that it is for."""
        for worth in self._worths():
            yield from self._allowed(worth)
            if budget.spent:
                return

    def _allowed(self, worth: Worth) -> Iterator[tuple[int, int | None]]:
        price = int(worth(self.bundle // self.unit).sum())
        if price > 0:
            yield self._normal(worth, price), None
            yield from self._failing(worth, price)

    def _worths(self) -> Iterator[Worth]:
        sizes = np.unique(np.concatenate([self._amounts[self._inside], self.bundle // self.unit]))
        sizes = sizes[sizes > 0]
        most = max(int(room.max(initial=0)) for room in (self._normal_room, self._failing_room, sizes))
        return dual_feasible(evenly(sizes, _MOST_SIZES)[::-1].tolist(), most)

    def _normal(self, worth: Worth, price: int) -> int:
        left = int(worth(self._normal_room).sum()) - _total(worth, self._waiting)
        return max(0, left // price)

    def _failing(self, worth: Worth, price: int) -> Iterator[tuple[int, int]]:
        if not len(self._failures):
            return
        room = worth(self._failing_room)
        nodes, sizes, counts = self._displaced
        asked = np.zeros(self.problem.n_nodes, dtype=np.int64)
        np.add.at(asked, nodes, worth(sizes) * counts)
        gone = self.state.scenarios.sums(room + asked)[self._failures]
        left = int(room.sum()) - _total(worth, self._returning) - gone
        worst = int(np.argmin(left))
        yield max(0, int(left[worst]) // price), int(self._failures[worst])

    @cached_property
    def _inside(self) -> BoolArray:
        """The pool's VMs, shape (n_vms,)."""
        return np.asarray(self.problem.vm_pool == self.pool)

    @cached_property
    def _amounts(self) -> IntArray:
        """What each VM needs, in units (of another pool's VMs less than whole ones), shape (n_vms,)."""
        return self.problem.demand[:, self.resource] // self.unit

    @cached_property
    def _failures(self) -> IntArray:
        """The scenarios in which new VMs need this resource: none where the guarantee names the VMs that must restart."""
        binds = self.resource < self.problem.n_firm and self.problem.guarantee.vms is None
        return np.flatnonzero((self.state.scenarios.pool == self.pool) & binds)

    @cached_property
    def _normal_room(self) -> IntArray:
        """What normal running leaves on each node that takes new VMs, in units, shape (n_nodes,)."""
        problem = self.problem
        free = self.goal.limits(problem)[:, self.resource] - problem.loads(self.state.node_of)[:, self.resource]
        return np.where(problem.online & (problem.pool == self.pool), np.maximum(free, 0), 0) // self.unit

    @cached_property
    def _failing_room(self) -> IntArray:
        """What is free for restarts, in units, shape (n_nodes,)."""
        if not len(self._failures):
            return np.zeros(self.problem.n_nodes, dtype=np.int64)
        return np.where(self.problem.pool == self.pool, self.state.spare[:, self.resource], 0) // self.unit

    @cached_property
    def _waiting(self) -> tuple[IntArray, IntArray]:
        """Sizes of the VMs whose node is open, and how many there are of each."""
        return tally(self._amounts[self.open_])

    @cached_property
    def _returning(self) -> tuple[IntArray, IntArray]:
        """The same of those of them that must restart."""
        return tally(self._amounts[self.open_ & self.problem.protected])

    @cached_property
    def _displaced(self) -> tuple[IntArray, IntArray, IntArray]:
        """What must restart where its node fails: nodes, sizes there, and how many of each."""
        vms = np.flatnonzero(self.problem.protected & (self.state.node_of >= 0) & self._inside)
        step = int(self._amounts.max(initial=0)) + 1
        keys, counts = tally(self.state.node_of[vms] * step + self._amounts[vms])
        return keys // step, keys % step, counts


def _total(worth: Worth, sizes: tuple[IntArray, IntArray]) -> int:
    return int(worth(sizes[0]) @ sizes[1])
