"""What is wrong with a placement, so that two of them can be compared: is one worse than the other, and where?"""

from collections.abc import Mapping

import numpy as np
from attrs import field, frozen

from vmplace.admission.incremental.restart_plans import Loss, no_more
from vmplace.admission.results import Hindrance
from vmplace.failover.certify import certify
from vmplace.failover.verdict import Fate, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.search.goal import losses, priorities
from vmplace.solvers.budget import Budget

__all__ = ["Harm", "Key"]

Key = tuple[int, ...]
"""A failure: the units that fail."""


@frozen
class _Left:
    """What a failure leaves without a restart: memory by priority, None where unknown; whether it is exactly that; whether
    somebody is left out for certain."""

    memory: Loss | None = field(factory=dict)
    exact: bool = True
    certain: bool = False


_NOBODY = _Left()


@frozen(eq=False)
class Harm:
    """What is wrong with a placement, rules aside.

    Parameters
    ----------
    problem
        The cluster.
    left
        By what fails, the failures that are not survived for certain.
    pools
        Fate of pools, where it is more than that of their listed failures: in turn, or too many to be listed.
    excess
        What is in use beyond what there is, shape (n_nodes, n_resources).
    """

    problem: Problem
    left: Mapping[Key, _Left]
    pools: Mapping[int, Fate]
    excess: IntArray

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, budget: Budget) -> "Harm":
        """What is wrong with a placement; shape (n_vms,), -1 for a VM without a node."""
        verdict = certify(problem, node_of, budget=budget)
        excess = np.maximum(problem.loads(node_of) - problem.capacity, 0)
        return cls(problem, _left(problem, verdict), _pools(verdict), excess)

    @property
    def known(self) -> bool:
        """Whether time was enough to tell."""
        return all(left.memory is not None for left in self.left.values())

    def worse(self, before: "Harm", credit: Loss, pool: int) -> tuple[Hindrance, Key]:
        """What is worse here than before, and in which failure; `NOTHING` if nothing is, `DOUBT` if that is not known.

        Parameters
        ----------
        before
            The same nodes, with what was there before.
        credit, pool
            What each failure of a pool may leave out more than before.
        """
        if np.any(self.excess > before.excess):
            memory = bool(np.any(self.excess[:, 0] > before.excess[:, 0]))
            return (Hindrance.MEMORY if memory else Hindrance.RESOURCE), ()
        doubt: tuple[Hindrance, Key] = Hindrance.NOTHING, ()
        for key, left in self.left.items():
            own = credit if self.problem.unit_pool[key[0]] == pool else {}
            told = _compared(left, before.left.get(key, _NOBODY), own)
            if told is Hindrance.FAILURE:
                return told, key
            if told is Hindrance.DOUBT:
                doubt = told, key
        for number, fate in self.pools.items():
            earlier = before.pools.get(number, Fate.SAFE)
            if fate is Fate.UNSAFE and earlier is Fate.SAFE:
                return Hindrance.FAILURE, ()
            if fate is not Fate.SAFE and not earlier is fate is Fate.UNSAFE:
                doubt = Hindrance.DOUBT, ()
        return doubt


def _compared(now: _Left, before: _Left, credit: Loss) -> Hindrance:
    if before is _NOBODY and now.certain and not credit:
        return Hindrance.FAILURE
    if now.memory is None or before.memory is None or not (now.exact and before.exact):
        return Hindrance.DOUBT
    allowed = {rank: before.memory.get(rank, 0) + credit.get(rank, 0) for rank in {*before.memory, *credit}}
    return Hindrance.NOTHING if no_more(now.memory, allowed) else Hindrance.FAILURE


def _left(problem: Problem, verdict: Verdict) -> dict[Key, _Left]:
    ranks, failures, table = priorities(problem), verdict.standing.failures, losses(problem, verdict)
    left: dict[Key, _Left] = {}
    for number in np.flatnonzero(verdict.fate != Fate.SAFE).tolist():
        known, certain = verdict.losses.get(number), bool(verdict.fate[number] == Fate.UNSAFE)
        memory = None if known is None else {rank: m for rank, m in zip(ranks, table[number], strict=True) if m}
        left[failures.key(number)] = _Left(memory, known is not None and bool(known.minimal), certain)
    return left


def _pools(verdict: Verdict) -> dict[int, Fate]:
    found, failures = dict(verdict.turns), verdict.standing.failures
    if not failures.complete:
        for pool in np.unique(failures.pool).tolist():
            if pool not in verdict.certain and found.get(pool) is not Fate.UNSAFE:
                found[pool] = Fate.UNKNOWN
    return found
