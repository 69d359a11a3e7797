"""Upper bounds on headroom, without a search: sums, slots and other dual feasible functions of what is free."""

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

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
    """

    resource: int
    most: int
    failure: int | None


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
        balance = _Balance(problem, goal, state, pool, counted & (fixed < 0), bundle[:, resource], resource)
        found.append(balance.least(budget))
    return state, found


@frozen(eq=False)
class _Balance:
    """Supply of and demand for one resource in a pool; `open_` are the VMs whose node is open, shape (n_vms,)."""

    problem: Problem
    goal: Goal
    state: PlacementState
    pool: int
    open_: BoolArray
    bundle: IntArray
    resource: int

    def least(self, budget: Budget) -> CountBound:
        """The least of what all worths allow."""
        best = self._normal(lambda x: x, int(self.bundle.sum()) // self._unit)
        for worth in self._worths():
            price = int(worth(self.bundle // self._unit).sum())
            if price > 0:
                best = min(best, self._normal(worth, price), *self._failing(worth, price), key=lambda bound: bound.most)
            if budget.spent:
                break
        return best

    def _worths(self) -> Iterator[Worth]:
        sizes = np.unique(np.concatenate([self._amounts[self._inside], self.bundle // self._unit]))
        sizes = sizes[sizes > 0]
        most = max(int(room.max(initial=0)) for room in (self._normal_room, self._failing_room, sizes))
        return dual_feasible(evenly(sizes, _MOST_SIZES)[::-1].tolist(), most)

    def _normal(self, worth: Worth, price: int) -> CountBound:
        left = int(worth(self._normal_room).sum()) - _total(worth, self._waiting)
        return CountBound(self.resource, max(0, left // price), None)

    def _failing(self, worth: Worth, price: int) -> Iterator[CountBound]:
        if not len(self._failures):
            return
        room = worth(self._failing_room)
        nodes, sizes, counts = self._displaced
        asked = np.zeros(self.problem.n_nodes, dtype=np.int64)
        np.add.at(asked, nodes, worth(sizes) * counts)
        gone = self.state.scenarios.sums(room + asked)[self._failures]
        left = int(room.sum()) - _total(worth, self._returning) - gone
        worst = int(np.argmin(left))
        yield CountBound(self.resource, max(0, int(left[worst]) // price), int(self._failures[worst]))

    @cached_property
    def _inside(self) -> BoolArray:
        """The pool's VMs, shape (n_vms,)."""
        return np.asarray(self.problem.vm_pool == self.pool)

    @cached_property
    def _unit(self) -> int:
        """What divides all that VMs need."""
        return math.gcd(*np.unique(self.problem.demand[self._inside, self.resource]).tolist(), *self.bundle.tolist()) or 1

    @cached_property
    def _amounts(self) -> IntArray:
        """What each VM needs, in units (of another pool's VMs less than whole ones), shape (n_vms,)."""
        return self.problem.demand[:, self.resource] // self._unit

    @cached_property
    def _failures(self) -> IntArray:
        """The scenarios that must be survived as far as this resource goes."""
        firm = self.resource < self.problem.n_firm
        return np.flatnonzero((self.state.scenarios.pool == self.pool) & firm)

    @cached_property
    def _normal_room(self) -> IntArray:
        """What normal running leaves on each node that takes new VMs, in units, shape (n_nodes,)."""
        problem = self.problem
        free = self.goal.limits(problem)[:, self.resource] - problem.loads(self.state.node_of)[:, self.resource]
        return np.where(problem.online & (problem.pool == self.pool), np.maximum(free, 0), 0) // self._unit

    @cached_property
    def _failing_room(self) -> IntArray:
        """What is free for restarts, in units, shape (n_nodes,)."""
        if not len(self._failures):
            return np.zeros(self.problem.n_nodes, dtype=np.int64)
        return np.where(self.problem.pool == self.pool, self.state.spare[:, self.resource], 0) // self._unit

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
