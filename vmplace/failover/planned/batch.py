"""Greedy failover plans for many failures at once, best-fit decreasing in array passes; VMs that rules bind come first."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.planned.ruled_first import breaking, place_ruled
from vmplace.failover.ruled import RestartRules
from vmplace.model.columns import IntArray
from vmplace.problem.displaced import Displaced
from vmplace.problem.sizes import ranges
from vmplace.problem.state import PlacementState

__all__ = ["plan_together"]

_FEWEST, _MOST = 8, 128
"""Targets to compare: enough that a plan is likely among them, few enough for a table of failures times targets."""

_AT_ONCE = 4096 * 128
"""Entries in one such table."""

_SHARES = 2**20
"""In so many shares resources are compared."""


def plan_together(state: PlacementState, failing: IntArray, rules: RestartRules | None = None) -> RestartColumns:
    """Plans for some failures, each of which displaces something and leaves a target in its pool; soft rules are kept, too.

    The k-th largest VM restarts on the k-th freest survivor. Where one does not fit there, or a rule is broken, that failure's
    VMs go each where it leaves the least room: first those that rules bind, then the others, largest first. One that finds no
    node is left out.

    Parameters
    ----------
    failing
        Scenarios, of any pools.
    rules
        The rules of planned restarts; None: they are compiled here.
    """
    parts, ruled = [RestartColumns.joined([])], not state.unbound[failing].all()
    rules = (rules or RestartRules(state, planned=True)) if ruled else None
    pool_of, displaced = state.scenarios.pool[failing], state.displacing(failing)
    for pool in np.unique(pool_of).tolist():
        targets, mine = state.freest(pool), failing[pool_of == pool]
        done, undone = _dealt(state, displaced, mine, targets)
        if rules is not None:
            broken = breaking(rules, done)
            done, undone = done[~np.isin(done.scenario, broken)], np.concatenate([undone, broken])
        parts.append(done)
        if len(undone):
            first = RestartColumns.joined([]) if rules is None else place_ruled(rules, undone)
            tightest = _enough(state, undone, targets)
            parts += [first, *(_packed(state, displaced, part, tightest, first) for part in _parts(undone, len(tightest)))]
    return RestartColumns.joined(parts)


def _parts(failing: IntArray, n_targets: int) -> Iterator[IntArray]:
    most = max(1, _AT_ONCE // n_targets)
    return (failing[start : start + most] for start in range(0, len(failing), most))


def _dealt(state: PlacementState, displaced: Displaced, failing: IntArray, targets: IntArray) -> tuple[RestartColumns, IntArray]:
    """Deal VMs out, one to a target; the failures that are not done by that."""
    vms, count = displaced.by(failing)
    place = np.full(state.problem.n_nodes + 1, len(targets), dtype=np.int64)
    place[targets] = np.arange(len(targets))
    rank = ranges(np.zeros_like(count), count)
    # A node is no target of its own failure; the last entry stands for none.
    for skipped in np.sort(place[state.scenarios.nodes[failing]], axis=1).T:
        rank += rank >= np.repeat(skipped, count)
    np.minimum(rank, len(targets), out=rank)
    # The last entry is no target: nothing fits there.
    scenario = np.repeat(failing, count)
    misfit = np.append(state.free[targets], 0)[rank] < state.problem.memory[vms]
    for r in range(1, state.problem.n_firm):
        misfit |= np.append(state.spare[targets, r], 0)[rank] < state.problem.demand[vms, r]
    if not misfit.any():
        return RestartColumns(scenario, vms, targets[rank]), failing[:0]
    undone = np.unique(scenario[misfit])
    done = ~np.isin(scenario, undone)
    return RestartColumns(scenario[done], vms[done], targets[rank[done]]), undone


def _enough(state: PlacementState, failing: IntArray, targets: IntArray) -> IntArray:
    """Enough of the freest targets that plans are likely found among them."""
    if state.problem.n_firm > 1:
        targets = targets[np.argsort(-_scarcest(state.spare[targets]), kind="stable")]
    most, width = int(state.asked[failing].max()), state.scenarios.nodes.shape[1]
    lost = int(state.scenarios.sums(state.free)[failing].max()) if width > 1 else 0
    enough = int(np.searchsorted(np.cumsum(state.free[targets]), most + most // 2 + lost)) + 1 + width
    return targets[: min(max(enough, _FEWEST), _MOST * width)]


def _scarcest(spare: IntArray) -> IntArray:
    """Of each node the least that is free of any resource, in shares of the most that is free anywhere, shape (n_nodes,)."""
    return np.asarray((spare * _SHARES // np.maximum(spare.max(axis=0), 1)).min(axis=1))


def _packed(
    state: PlacementState, displaced: Displaced, failing: IntArray, targets: IntArray, first: RestartColumns
) -> RestartColumns:
    """In each step every failure's next largest VM takes its tightest fit beside those that restart first."""
    room = [np.tile(free, (len(failing), 1)) for free in state.spare[targets].T]
    for node in state.scenarios.nodes[failing].T:
        room[0][targets[None, :] == node[:, None]] = -1
    vms, counts = displaced.by(failing)
    if len(first.vm):
        _take(state, room, failing, targets, first)
        others = ~np.isin(vms, first.vm)
        counts = np.bincount(np.repeat(np.arange(len(failing)), counts)[others], minlength=len(failing))
        vms = vms[others]
    start = np.cumsum(counts) - counts
    node_of = np.full(len(vms), -1, dtype=np.int64)
    full = np.iinfo(np.int64).max
    for step in range(int(counts.max())):
        rows = np.flatnonzero(counts > step)
        entry = start[rows] + step
        need = state.problem.demand[vms[entry]].T
        left = room[0][rows] - need[0][:, None]
        left[left < 0] = full
        for free, amount in zip(room[1:], need[1:], strict=False):
            left[free[rows] < amount[:, None]] = full
        best = left.argmin(axis=1)
        after = left[np.arange(len(rows)), best]
        fits = after < full
        room[0][rows[fits], best[fits]] = after[fits]
        for free, amount in zip(room[1:], need[1:], strict=False):
            free[rows[fits], best[fits]] -= amount[fits]
        node_of[entry[fits]] = targets[best[fits]]
    return RestartColumns(np.repeat(failing, counts), vms, node_of)


def _take(state: PlacementState, room: list[IntArray], failing: IntArray, targets: IntArray, restarts: RestartColumns) -> None:
    """Take what restarts need from the room of each failure, of a row, on each target, of a column."""
    row, column = np.full(len(state.scenarios), -1, dtype=np.int64), np.full(state.problem.n_nodes + 1, -1, dtype=np.int64)
    row[failing], column[targets] = np.arange(len(failing)), np.arange(len(targets))
    there = (row[restarts.scenario] >= 0) & (column[restarts.node] >= 0)
    some = restarts[there]
    for r, free in enumerate(room):
        np.subtract.at(free, (row[some.scenario], column[some.node]), state.problem.demand[some.vm, r])
