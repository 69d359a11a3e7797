"""Failures survived in any order of restarts where several resources bind, told for all at once in array passes."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = ["survived_unblocked"]

_SHARES = 2**31
"""All that restarts, of one resource, in shares of it."""

_AT_ONCE = 4_000_000
"""Failures times nodes looked at in one pass."""


def survived_unblocked(state: PlacementState, counted: BoolArray) -> BoolArray:
    """Failures survived whatever the order of restarts and whichever fitting node each takes, shape (n_scenarios,).

    Of each resource r let t_r be the most that a VM demands that must restart, L_r what all demand that may, and g_r a common
    divisor of all demands. Whoever is stranded finds every survivor blocked: what node i has free of some r, F_ir in whole
    multiples of g_r, is less than is demanded once others have taken ``max(0, F_ir - t_r + g_r)`` of it or more. In shares of L_r
    that is no less than the least such share of all resources; and of R resources no more than R whole ones can be taken. So
    nobody is stranded if the survivors' least shares sum up to more. Sound, not complete; as `any_order.blocking`, of all VMs at
    once. Rules are not looked at.

    Parameters
    ----------
    state
        The placement.
    counted
        VMs that may restart, shape (n_vms,).
    """
    safe: BoolArray = state.asked == 0
    asking = np.flatnonzero(state.asked > 0)
    for pool in np.unique(state.scenarios.pool[asking]).tolist():
        mine = asking[state.scenarios.pool[asking] == pool]
        blockade = _SeveralResources.of(state, counted, mine, pool)
        safe[mine] = blockade.fails_at_worst or blockade.fails
    return safe


@frozen(eq=False)
class _SeveralResources:
    """What it takes to block all targets of a pool.

    Parameters
    ----------
    state
        The placement.
    scenarios
        Failures in the pool.
    targets
        Its targets.
    reach
        What each target has free of each resource, in whole steps and one more, shape (n_targets, n_firm).
    largest, asked
        By failure what a VM demands at most that must restart, and what all demand that may, shape (n_scenarios, n_firm).
    """

    state: PlacementState
    scenarios: IntArray
    targets: IntArray
    reach: IntArray
    largest: IntArray
    asked: IntArray

    @classmethod
    def of(cls, state: PlacementState, counted: BoolArray, scenarios: IntArray, pool: int) -> "_SeveralResources":
        problem, failures, home = state.problem, state.scenarios, state.node_of
        demand = problem.demand[:, : problem.n_firm]
        targets = np.flatnonzero(state.target & (problem.pool == pool))
        step = np.maximum(1, np.gcd.reduce(demand, axis=0, initial=0))
        vms, must = np.flatnonzero(counted & (home >= 0)), state.larger_than(0)
        amount, most = np.zeros((2, problem.n_nodes, problem.n_firm), dtype=np.int64)
        np.add.at(amount, home[vms], demand[vms])
        np.maximum.at(most, home[must], demand[must])
        asked = np.column_stack([failures.sums(column)[scenarios] for column in amount.T])
        largest = np.column_stack([failures.largest(column)[scenarios] for column in most.T])
        return cls(state, scenarios, targets, state.spare[targets] // step * step + step, largest, asked)

    @property
    def fails_at_worst(self) -> bool:
        """Whether it fails though each failure displaced as much as any does, and the roomiest targets failed."""
        worth, limit = self._least(self.largest.max(axis=0, keepdims=True), self.asked.max(axis=0, keepdims=True))
        width = self.state.scenarios.nodes.shape[1]
        return int(np.sort(worth[0])[: max(0, len(self.targets) - width)].sum()) > int(limit[0])

    @property
    def fails(self) -> BoolArray:
        """Failures that do not leave enough to block all survivors, shape (n_scenarios,)."""
        return np.concatenate(list(self._parts()))

    def _parts(self) -> Iterator[BoolArray]:
        position = np.full(self.state.problem.n_nodes + 1, len(self.targets), dtype=np.int64)
        position[self.targets] = np.arange(len(self.targets))
        size = max(1, _AT_ONCE // max(1, len(self.targets)))
        for begin in range(0, len(self.scenarios), size):
            part = slice(begin, begin + size)
            worth, limit = self._least(self.largest[part], self.asked[part])
            lost = position[self.state.scenarios.nodes[self.scenarios[part]]]
            own = np.take_along_axis(np.pad(worth, ((0, 0), (0, 1))), lost, axis=1)
            yield worth.sum(axis=1) - own.sum(axis=1) > limit

    def _least(self, largest: IntArray, asked: IntArray) -> tuple[IntArray, IntArray]:
        """The least share that blocks each target, shape (n, n_targets), and all shares that there are, shape (n,)."""
        resources = (asked > 0).sum(axis=1)
        whole = (len(self.reach.T) + 1) * _SHARES
        least = np.full((len(largest), len(self.targets)), whole, dtype=np.int64)
        for column, size, budget in zip(self.reach.T, largest.T, asked.T, strict=True):
            scale = min(_SHARES, 2**62 // (int(column.max(initial=0)) + 1))
            cost = np.maximum(0, column[None, :] - size[:, None]) * scale // np.maximum(budget, 1)[:, None]
            shares = np.where(budget[:, None] > 0, np.minimum(cost, whole // (_SHARES // scale)) * (_SHARES // scale), whole)
            least = np.minimum(least, shares)
        return least, resources * _SHARES
