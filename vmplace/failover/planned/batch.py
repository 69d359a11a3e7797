"""Greedy failover plans for many failures at once, best-fit decreasing in array passes: of memory alone, without rules."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.state import PlacementState

__all__ = ["RestartColumns", "plan_together"]

_FEWEST, _MOST = 8, 128
"""Targets to compare: enough that a plan is likely among them, few enough for a table of failures times targets."""

_AT_ONCE = 4096 * 128
"""Entries in one such table."""


@frozen(eq=False)
class RestartColumns:
    """Where displaced VMs restart, one entry for each failure and VM.

    Parameters
    ----------
    scenario, vm, node
        Of each entry, shape (n_entries,); node -1 for a VM that finds no room, or is stopped to make some.
    """

    scenario: IntArray
    vm: IntArray
    node: IntArray

    @classmethod
    def of(cls, scenario: int, vms: IntArray, nodes: IntArray) -> "RestartColumns":
        """Of one failure."""
        return cls(np.full(len(vms), scenario), vms, nodes)

    @classmethod
    def joined(cls, parts: "list[RestartColumns]") -> "RestartColumns":
        """Of several."""
        none = np.zeros(0, dtype=np.int64)
        columns = zip(*((part.scenario, part.vm, part.node) for part in parts), strict=True) if parts else [[none]] * 3
        return cls(*(np.concatenate(column) for column in columns))

    def __getitem__(self, chosen: BoolArray | IntArray) -> "RestartColumns":
        return RestartColumns(self.scenario[chosen], self.vm[chosen], self.node[chosen])


def plan_together(state: PlacementState, failing: IntArray) -> RestartColumns:
    """Plans for some failures, each of which displaces something and leaves a target in its pool.

    The k-th largest VM restarts on the k-th freest survivor. Where one does not fit there, that failure's VMs go, largest first,
    each where it leaves the least room; one that fits nowhere is left out.

    Parameters
    ----------
    failing
        Scenarios, of any pools.
    """
    parts = [RestartColumns.joined([])]
    pool_of = state.scenarios.pool[failing]
    for pool in np.unique(pool_of).tolist():
        targets, mine = state.freest(pool), failing[pool_of == pool]
        done, undone = _dealt(state, mine, targets)
        parts.append(done)
        if len(undone):
            tightest = _enough(state, undone, targets)
            parts += [_packed(state, part, tightest) for part in _parts(undone, len(tightest))]
    return RestartColumns.joined(parts)


def _parts(failing: IntArray, n_targets: int) -> Iterator[IntArray]:
    most = max(1, _AT_ONCE // n_targets)
    return (failing[start : start + most] for start in range(0, len(failing), most))


def _dealt(state: PlacementState, failing: IntArray, targets: IntArray) -> tuple[RestartColumns, IntArray]:
    """Deal VMs out, one to a target; the failures that are not done by that."""
    vms, count = state.displaced_by(failing)
    place = np.full(state.problem.n_nodes + 1, len(targets), dtype=np.int64)
    place[targets] = np.arange(len(targets))
    rank = np.arange(len(vms)) - np.repeat(np.cumsum(count) - count, count)
    # A node is no target of its own failure; the last entry stands for none.
    for skipped in np.sort(place[state.scenarios.nodes[failing]], axis=1).T:
        rank += rank >= np.repeat(skipped, count)
    np.minimum(rank, len(targets), out=rank)
    # The last entry is no target: nothing fits there.
    scenario = np.repeat(failing, count)
    misfit = np.append(state.free[targets], 0)[rank] < state.problem.memory[vms]
    if not misfit.any():
        return RestartColumns(scenario, vms, targets[rank]), failing[:0]
    undone = np.unique(scenario[misfit])
    done = ~np.isin(scenario, undone)
    return RestartColumns(scenario[done], vms[done], targets[rank[done]]), undone


def _enough(state: PlacementState, failing: IntArray, targets: IntArray) -> IntArray:
    """Enough of the freest targets that plans are likely found among them."""
    most, width = int(state.asked[failing].max()), state.scenarios.nodes.shape[1]
    lost = int(state.scenarios.sums(state.free)[failing].max()) if width > 1 else 0
    enough = int(np.searchsorted(np.cumsum(state.free[targets]), most + most // 2 + lost)) + 1 + width
    return targets[: min(max(enough, _FEWEST), _MOST * width)]


def _packed(state: PlacementState, failing: IntArray, targets: IntArray) -> RestartColumns:
    """In each step every failure's next largest VM takes its tightest fit."""
    room = np.tile(state.free[targets], (len(failing), 1))
    for node in state.scenarios.nodes[failing].T:
        room[targets[None, :] == node[:, None]] = -1
    vms, counts = state.displaced_by(failing)
    start = np.cumsum(counts) - counts
    node_of = np.full(len(vms), -1, dtype=np.int64)
    full = np.iinfo(np.int64).max
    for step in range(int(counts.max())):
        rows = np.flatnonzero(counts > step)
        entry = start[rows] + step
        left = room[rows] - state.problem.memory[vms[entry]][:, None]
        left[left < 0] = full
        best = left.argmin(axis=1)
        after = left[np.arange(len(rows)), best]
        fits = after < full
        room[rows[fits], best[fits]] = after[fits]
        node_of[entry[fits]] = targets[best[fits]]
    return RestartColumns(np.repeat(failing, counts), vms, node_of)
