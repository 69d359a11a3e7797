"""The pairs that share a place, as rows of an integer program: a convex cost of how many are at each place."""

from collections.abc import Sequence

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.solvers.program import IntegerProgram, Terms

__all__ = ["count_pairs", "taken_steps"]


def count_pairs(
    program: IntegerProgram, coming: Sequence[Terms], total: int, *, standing: Sequence[int] | None = None
) -> tuple[IntArray, Terms]:
    """Rows that count the pairs that share a place: of those that come to it, with each other and with those that are there.

    The k-th that comes to a place makes a pair with each of the k - 1 before: each place has one variable for each such step.
    Of two or three in all, no two places can both take two: one variable for each step serves all places then.

    Parameters
    ----------
    coming
        Per place: how many come.
    total
        How many can come to all places together.
    standing
        Per place: how many are there; None for none.

    Returns
    -------
    tuple
        The steps, shape (n_steps, n_places), -1 where there is no variable; and the number of pairs.
    """
    there = [0] * len(coming) if standing is None else list(standing)
    most = [min(total, sum(factor * program.upper[v] for v, factor in terms)) for terms in coming]
    step = np.arange(max(most, default=0))
    pairs = np.add.outer(step, np.array(there, dtype=np.int64))
    wanted = (pairs > 0) & np.less.outer(step, np.array(most, dtype=np.int64))
    if total <= 3 and not any(there):
        each = program.variables(np.any(wanted, axis=1).astype(np.int64))
        steps, cost = np.where(wanted, each[:, None], -1), [(v, k) for k, v in enumerate(each.tolist()) if v >= 0]
    else:
        steps = program.variables(wanted.astype(np.int64))
        cost = [(int(steps[k, p]), int(pairs[k, p])) for k, p in zip(*np.nonzero(wanted), strict=True)]
    for terms, stand, own in zip(coming, there, steps.T.tolist(), strict=True):
        if terms:
            program.row([*terms, *((v, -1) for v in own)], upper=0 if stand else 1)
    return steps, cost


def taken_steps(steps: IntArray, coming: IntArray) -> IntArray:
    """The values of the steps where so many come to each place, shape (n_steps, n_places)."""
    taken = np.less.outer(np.arange(len(steps)), coming)
    if len(np.unique(steps[steps >= 0])) < np.count_nonzero(steps >= 0):  # a variable for all places
        taken = taken | np.any(taken, axis=1, keepdims=True)
    return taken.astype(np.int64)
