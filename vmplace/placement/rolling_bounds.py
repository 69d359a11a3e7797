"""How many nodes can be out at once, and so how few groups they can be taken out in: by sums and by slots."""

import numpy as np

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.problem import Problem
from vmplace.search.bounds.slots import thresholds

__all__ = ["fewest_groups", "lonely"]


def fewest_groups(problem: Problem, wanted: BoolArray) -> int:
    """A lower bound on the groups in which some nodes can be taken out, one group after the other.

    All VMs must fit on the nodes that are left, and those that must restart on these without the k largest of them. What g nodes
    leave is most if they are the g smallest: of sorted amounts each is then at least as large.

    Parameters
    ----------
    problem
        The cluster with all its nodes.
    wanted
        The nodes that are to be taken out, shape (n_nodes,); those in maintenance do not count.
    """
    return max((_of_pool(problem, wanted & problem.online, pool) for pool in problem.pools), default=0)


def lonely(problem: Problem) -> int | None:
    """A VM that must restart, and whose rules leave too few places for that: one more than may fail at once; None without one.

    It is on one of these places itself, unless it may stay on a node in maintenance.
    """
    if not problem.failures:
        return None
    places = np.array([len(np.unique(problem.unit[row])) for row in problem.restartable], dtype=np.int64)
    needed = problem.failures + ~problem.on_maintenance
    alone = np.flatnonzero(problem.protected & (places[problem.signature] < needed)) if problem.n_vms else np.zeros(0, np.int64)
    return int(alone[0]) if len(alone) else None


def _of_pool(problem: Problem, wanted: BoolArray, pool: int) -> int:
    mine = problem.pool == pool
    out = np.sort(problem.usable[wanted & mine])
    kept = problem.usable[(problem.online | problem.maintenance) & mine & ~wanted]
    if not len(out):
        return 0
    most = max((g for g in range(1, len(out) + 1) if _fits(problem, pool, np.concatenate([kept, out[g:]]))), default=0)
    # Where not even one can be out, nothing is said of groups: a node in none is named by itself.
    return -(-len(out) // most) if most else 1


def _fits(problem: Problem, pool: int, left: IntArray) -> bool:
    """Whether bounds allow that a pool's VMs are all on nodes of these amounts."""
    everyone, protected = problem.sizes(pool), problem.sizes(pool, protected=True)
    surviving = np.sort(left)[: max(0, len(left) - problem.failures)]
    if everyone.total > left.sum() or protected.total > surviving.sum():
        return False
    sizes = thresholds(protected.values) if len(protected.values) else []
    return all(protected.slots(size) <= int((surviving // size).sum()) for size in sizes)
