"""The any-order certificate where several resources bind: what it takes to block all targets of a pool, whichever blocks each."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.failover.certificates.blocking import NEVER, blocking_cost, blocking_shares
from vmplace.failover.ruled import RuledItems
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.sizes import alike
from vmplace.problem.state import PlacementState

__all__ = ["ResourcesCertificate"]

_AT_ONCE = 4_000_000
"""Failures times nodes looked at in one pass."""

_SCALE = 2**31
"""All of a resource is worth so much."""

_LEVELS = 64
"""So many different demands are looked at: more are rounded up to fewer."""


@frozen(eq=False)
class ResourcesCertificate:
    """What it takes to block all targets of a pool.

    *With fixed weights*, others that block every node i by some resource r(i) take what is worth ``sum of w_r(i) * cost_ir(i)``,
    no less than ``sum over i of min over r of w_r * cost_ir``; all that they have is worth ``sum over r of w_r * B_r``. Weights
    being the same in all failures, the sum over nodes is made once for each demand. *With shares*, each failure has weights of
    its own (`blocking_shares`), for those that are left.

    Parameters
    ----------
    state
        The placement.
    failing
        Failures in the pool.
    targets
        Its targets.
    step
        A common divisor of all demands, shape (n_firm,).
    whole
        What each target has free of each resource, in whole steps, shape (n_firm, n_targets).
    largest, asked
        By failure what a VM demands at most that must restart, and what all demand that may, shape (n_firm, n_failing).
    """

    state: PlacementState
    failing: IntArray
    targets: IntArray
    step: IntArray
    whole: IntArray
    largest: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, failing: IntArray, pool: int, counted: BoolArray) -> "ResourcesCertificate":
        """A pool with the failures to look at; `counted`: VMs that may restart, shape (n_vms,)."""
        problem, home, scenarios = state.problem, state.node_of, state.scenarios
        targets = np.flatnonzero(state.target & (problem.pool == pool))
        vms, must = np.flatnonzero(counted & (home >= 0)), state.larger_than(0)
        step, asked, largest = [], [], []
        for column in np.ascontiguousarray(problem.demand[:, : problem.n_firm].T):
            amount, most = np.zeros((2, problem.n_nodes), dtype=np.int64)
            np.add.at(amount, home[vms], column[vms])
            np.maximum.at(most, home[must], column[must])
            step.append(max(1, int(np.gcd.reduce(column, initial=0))))
            asked.append(scenarios.sums(amount)[failing])
            largest.append(scenarios.largest(most)[failing])
        steps = np.array(step)
        whole = np.ascontiguousarray((state.spare[targets] // steps * steps).T)
        return cls(state, failing, targets, steps, whole, np.stack(largest), np.stack(asked))

    @property
    def survived(self) -> BoolArray:
        """Failures whose survivors cannot all be blocked, rules aside, shape (n_failing,)."""
        every, none = np.zeros(len(self.failing), dtype=np.int64), np.zeros(0, dtype=np.int64)
        allowed = np.ones((1, self.state.problem.n_nodes), dtype=bool)
        safe = self._unblocked(self.largest.T, np.arange(len(self.failing)), every, allowed, none, none, every)
        left = np.flatnonzero(~safe)
        safe[left] = np.concatenate([safe[:0], *self._shares(left)])
        return safe

    def finds_room(self, items: RuledItems) -> BoolArray:
        """Whether others cannot block all nodes that each item may use, shape (n_items,); items of these failures."""
        return self._unblocked(
            items.demand,
            np.searchsorted(self.failing, items.scenario),
            items.pattern,
            items.allowed,
            items.closed_item,
            items.closed_node,
            items.rivals,
        )

    def _unblocked(
        self,
        demand: IntArray,
        failure: IntArray,
        pattern: IntArray,
        allowed: BoolArray,
        closed: IntArray,
        closed_node: IntArray,
        rivals: IntArray,
    ) -> BoolArray:
        """Whether VMs of some demands, one a row, find a node, whatever others take.

        Parameters
        ----------
        demand, failure
            Of each, and the failure that displaces it, by its place here.
        pattern, allowed
            The nodes that it may use, as a row of `allowed`.
        closed, closed_node
            Nodes that it may not use for all that, pair by pair.
        rivals
            How many more may be closed to each.
        """
        level, rows = _rounded(demand)
        worth, weight = self._worth(rows)
        place = np.full(self.state.problem.n_nodes + 1, len(self.targets), dtype=np.int64)
        place[self.targets] = np.arange(len(self.targets))
        padded = np.pad(worth, ((0, 0), (0, 1)))
        gone = self.state.scenarios.nodes[self.failing[failure]]
        usable = np.pad(allowed, ((0, 0), (0, 1)))
        lost = (padded[level[:, None], place[gone]] * usable[pattern[:, None], gone]).sum(axis=1)
        np.add.at(lost, closed, padded[level[closed], place[closed_node]] * allowed[pattern[closed], closed_node])
        limit = (weight[level] * self.asked.T[failure]).sum(axis=1)
        left = np.zeros(len(demand), dtype=np.int64)
        for row in np.unique(pattern).tolist():
            mine = pattern == row
            own = worth[:, allowed[row][self.targets]]
            if rivals[mine].any():
                own = np.sort(own, axis=1)
            until = np.concatenate((np.zeros((len(own), 1), dtype=np.int64), np.cumsum(own, axis=1)), axis=1)
            left[mine] = until[level[mine], np.maximum(own.shape[1] - rivals[mine], 0)]
        return np.asarray(left - lost > limit)

    def _worth(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """What others must take at least to block each target for a VM of each demand, shape (n, n_targets), and the weights."""
        most = self.asked.max(axis=1)
        unit = np.maximum(1, _SCALE // np.maximum(most, 1))
        weight = np.zeros(rows.shape, dtype=np.int64)
        worth = np.full((len(rows), len(self.targets)), NEVER)
        for r, whole in enumerate(self.whole):
            cost = blocking_cost(whole, rows[:, r, None], self.step[r])
            # What no node is ever blocked by, all that there is of it may be taken of.
            blocks = (rows[:, r] > 0) & (cost.min(axis=1, initial=NEVER) <= most[r])
            weight[blocks, r] = unit[r]
            worth[blocks] = np.minimum(worth[blocks], np.minimum(cost[blocks], most[r] + 1) * unit[r])
        limit = (weight * most).sum(axis=1)
        return np.minimum(worth, limit[:, None] + 1), weight

    def _shares(self, chosen: IntArray) -> Iterator[BoolArray]:
        """The same for some failures by shares of their own, shape (n,) in all."""
        position = np.full(self.state.problem.n_nodes + 1, len(self.targets), dtype=np.int64)
        position[self.targets] = np.arange(len(self.targets))
        size = max(1, _AT_ONCE // max(1, len(self.targets)))
        for part in (chosen[begin : begin + size] for begin in range(0, len(chosen), size)):
            asked = self.asked[:, part]
            cost = blocking_cost(self.whole[:, None, :], self.largest[:, part, None], self.step[:, None, None])
            cost[cost > asked[..., None]] = NEVER
            worth, limit = blocking_shares(cost, asked)
            lost = position[self.state.scenarios.nodes[self.failing[part]]]
            own = np.take_along_axis(np.pad(worth, ((0, 0), (0, 1))), lost, axis=1)
            yield worth.sum(axis=1) - own.sum(axis=1) > limit


def _rounded(demand: IntArray) -> tuple[IntArray, IntArray]:
    """Few rows that demand no less than those given, and which stands for each; shape (n,) and (n_levels, n_firm)."""
    rounded = demand
    for bits in (62, 5, 3, 1):
        drop = np.maximum(np.frexp(demand.astype(np.float64))[1] - bits, 0)
        rounded = -(-demand >> drop) << drop
        level, first = alike(*rounded.T)
        if len(first) <= _LEVELS:
            return level, rounded[first]
    return np.zeros(len(demand), dtype=np.int64), rounded.max(axis=0, keepdims=True)
