"""What it takes to block nodes: others restart there until a VM finds no room; and what they have for it."""

import numpy as np

from vmplace.model.columns import IntArray

__all__ = ["NEVER", "any_order_slack", "blocking_cost", "blocking_shares"]

NEVER = np.iinfo(np.int64).max
"""The cost of what cannot be done."""

_SHARES = 2**31
"""A whole resource in shares of it, at most: shares of some thousand nodes sum up below 2**62."""


def blocking_cost(whole: IntArray | int, size: IntArray | int, step: IntArray | int) -> IntArray:
    """How much VMs whose sizes are multiples of `step` take at least of a node until it has no room for a VM of `size`.

    Parameters
    ----------
    whole
        What is free, in whole steps.
    """
    cost: IntArray = np.maximum(whole - size + step, 0)
    return cost


def any_order_slack(cost: IntArray, asked: IntArray | int, size: IntArray | int) -> IntArray:
    """How much more blocking all survivors takes than all others have: above 0, no VM of `size` or less is ever stranded.

    Parameters
    ----------
    cost
        The sum of `blocking_cost` over the survivors.
    asked
        What all VMs take that may restart, the one of `size` among them.
    """
    return cost - asked + size


def blocking_shares(cost: IntArray, budget: IntArray) -> tuple[IntArray, IntArray]:
    """The least share of what others have that blocks each node, and all shares that they have, in one unit.

    Let every node i be blocked by a resource r(i). Nothing is spent twice, so ``sum over i with r(i) = r of cost_ir <= B_r`` for
    each r; divided by B_r and summed over the R resources that block some node at all, ``sum over i of cost_ir / B_r <= R``: if
    the least shares sum up to more, not all nodes can be blocked. Shares are rounded down; a single resource needs none.

    Parameters
    ----------
    cost
        What blocks a node, `NEVER` where a resource cannot, shape (n_resources, ..., n_nodes).
    budget
        What all others have, B, shape (n_resources, ...).

    Returns
    -------
    tuple of IntArray
        Of shape (..., n_nodes) and (...).
    """
    blocking = (cost < NEVER).any(axis=-1)
    several, most = blocking.sum(axis=0), np.where(blocking, budget, 0)
    scale = np.minimum(_SHARES, 2**62 // (most.max(axis=0) + 1))
    limit = np.where(several == 1, most.sum(axis=0), several * scale)
    unit, whole = np.where(several == 1, 1, scale)[..., None], np.where(several == 1, 1, np.maximum(most, 1))[..., None]
    shares = np.minimum(cost, most[..., None] + 1) * unit // whole
    return np.where(cost == NEVER, limit[..., None] + 1, shares).min(axis=0), limit
