"""Plans for many failures at once, in array passes: no rule may bind their restarts."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.columns import IntArray
from vmplace.problem import BoolArray
from vmplace.standing import Standing

__all__ = ["Plans", "plan_together"]

_FEWEST, _MOST = 8, 128
"""Targets to compare: enough that a plan is likely among them, few enough for a table of failures times targets."""

_AT_ONCE = 4096
"""Failures in one such table."""


@frozen(eq=False)
class Plans:
    """Where VMs restart.

    Parameters
    ----------
    backup_of
        Restart node of each VM that a failure asked for displaces, -1 for the others, shape (n_vms,).
    lost
        VMs that found no room.
    """

    backup_of: IntArray
    lost: IntArray


def plan_together(standing: Standing, failing: IntArray) -> Plans:
    """Plans for some failures, each of which displaces something and leaves another target in its pool.

    The k-th largest VM restarts on the k-th freest node. Where one does not fit there, that failure's VMs go, largest first,
    each where it leaves the least room; who finds none is left out.

    Parameters
    ----------
    failing
        Nodes, of any pools.
    """
    backup_of = np.full(standing.problem.n_vms, -1, dtype=np.int64)
    lost = [np.zeros(0, dtype=np.int64)]
    for pool in np.unique(standing.problem.pool[failing]).tolist():
        mine, targets = failing[standing.problem.pool[failing] == pool], standing.freest(pool)
        for part in _parts(_dealt(standing, mine, targets, backup_of)):
            lost.append(_packed(standing, part, _enough(standing, part, targets), backup_of))
    return Plans(backup_of, np.concatenate(lost))


def _parts(failing: IntArray) -> Iterator[IntArray]:
    return (failing[start : start + _AT_ONCE] for start in range(0, len(failing), _AT_ONCE))


def _dealt(standing: Standing, failing: IntArray, targets: IntArray, backup_of: IntArray) -> IntArray:
    """Deal VMs out, one to a target; the failures that are not done by that."""
    wanted = np.zeros(standing.problem.n_nodes, dtype=bool)
    wanted[failing] = True
    vms, count = _displaced_by(standing, wanted)
    place = np.full(len(wanted), len(targets), dtype=np.int64)
    place[targets] = np.arange(len(targets))
    rank = np.arange(len(vms)) - np.repeat(np.cumsum(count) - count, count)
    rank += rank >= np.repeat(place, count)  # a node is no target of its own failure
    np.minimum(rank, len(targets), out=rank)
    # The last entry is no target: nothing fits there.
    backup_of[vms] = np.append(targets, -1)[rank]
    misfits = vms[np.append(standing.free[targets], 0)[rank] < standing.problem.memory[vms]]
    undone = np.zeros_like(wanted)
    undone[standing.node_of[misfits]] = True
    backup_of[_displaced_by(standing, undone)[0]] = -1
    return np.flatnonzero(undone)


def _displaced_by(standing: Standing, nodes: BoolArray) -> tuple[IntArray, IntArray]:
    """Who some nodes' failures displace, largest first on each, and how many each does, shape (n_nodes,)."""
    count = np.diff(standing.start)
    return standing.order[np.repeat(nodes, count)], np.where(nodes, count, 0)


def _enough(standing: Standing, failing: IntArray, targets: IntArray) -> IntArray:
    """Enough of the freest targets that plans are likely found among them."""
    most = int(standing.displaced[failing].max())
    enough = int(np.searchsorted(np.cumsum(standing.free[targets]), most + most // 2)) + 2
    return targets[: min(max(enough, _FEWEST), _MOST)]


def _packed(standing: Standing, failing: IntArray, targets: IntArray, backup_of: IntArray) -> IntArray:
    """In each step every failure's next largest VM takes its tightest fit; who finds none."""
    room = np.where(targets[None, :] == failing[:, None], -1, standing.free[targets][None, :])
    start = standing.start[failing]
    counts = standing.start[failing + 1] - start
    full = np.iinfo(np.int64).max
    lost = []
    for step in range(int(counts.max())):
        rows = np.flatnonzero(counts > step)
        vms = standing.order[start[rows] + step]
        left = room[rows] - standing.problem.memory[vms][:, None]
        left[left < 0] = full
        best = left.argmin(axis=1)
        after = left[np.arange(len(rows)), best]
        fits = after < full
        room[rows[fits], best[fits]] = after[fits]
        backup_of[vms[fits]] = targets[best[fits]]
        lost.append(vms[~fits])
    return np.concatenate(lost)
