"""What is wrong with a placement, so that two of them can be compared: is one worse than the other, and where?"""

from collections.abc import Mapping

import numpy as np
from attrs import field, frozen

from vmplace.admission.incremental.restart_plans import Loss, no_more
from vmplace.admission.results import Rejection
from vmplace.failover.certify import certify
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.search.goal import losses, priorities
from vmplace.solvers.budget import Budget

__all__ = ["Key", "Regression"]

Key = tuple[int, ...]
"""A failure: the units that fail."""


@frozen
class _Unprotected:
    """What a failure leaves without a restart: memory by priority, None where unknown; whether it is exactly that; whether
    somebody is left out for certain."""

    memory: Loss | None = field(factory=dict)
    exact: bool = True
    certain: bool = False


_NOBODY = _Unprotected()


@frozen(eq=False)
class Regression:
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
    left: Mapping[Key, _Unprotected]
    pools: Mapping[int, ScenarioStatus]
    excess: IntArray

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, budget: Budget) -> "Regression":
        """What is wrong with a placement; shape (n_vms,), -1 for a VM without a node."""
        verdict = certify(problem, node_of, budget=budget)
        excess = np.maximum(problem.loads(node_of) - problem.capacity, 0)
        return cls(problem, _left(problem, verdict), _pools(verdict), excess)

    @property
    def known(self) -> bool:
        """Whether time was enough to tell."""
        return all(left.memory is not None for left in self.left.values())

    def worse(self, before: "Regression", credit: Loss, pool: int) -> tuple[Rejection, Key]:
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
            return (Rejection.MEMORY if memory else Rejection.RESOURCE), ()
        doubt: tuple[Rejection, Key] = Rejection.NOTHING, ()
        for key, left in self.left.items():
            own = credit if self.problem.unit_pool[key[0]] == pool else {}
            told = _compared(left, before.left.get(key, _NOBODY), own)
            if told is Rejection.FAILURE:
                return told, key
            if told is Rejection.DOUBT:
                doubt = told, key
        for number, fate in self.pools.items():
            earlier = before.pools.get(number, ScenarioStatus.SAFE)
            if fate is ScenarioStatus.UNSAFE and earlier is ScenarioStatus.SAFE:
                return Rejection.FAILURE, ()
            if fate is not ScenarioStatus.SAFE and not earlier is fate is ScenarioStatus.UNSAFE:
                doubt = Rejection.DOUBT, ()
        return doubt


def _compared(now: _Unprotected, before: _Unprotected, credit: Loss) -> Rejection:
    if before is _NOBODY and now.certain and not credit:
        return Rejection.FAILURE
    if now.memory is None or before.memory is None or not (now.exact and before.exact):
        return Rejection.DOUBT
    allowed = {rank: before.memory.get(rank, 0) + credit.get(rank, 0) for rank in {*before.memory, *credit}}
    return Rejection.NOTHING if no_more(now.memory, allowed) else Rejection.FAILURE


def _left(problem: Problem, verdict: Verdict) -> dict[Key, _Unprotected]:
    ranks, scenarios, table = priorities(problem), verdict.state.scenarios, losses(problem, verdict)
    left: dict[Key, _Unprotected] = {}
    for number in np.flatnonzero(verdict.fate != ScenarioStatus.SAFE).tolist():
        known, certain = verdict.losses.get(number), bool(verdict.fate[number] == ScenarioStatus.UNSAFE)
        memory = None if known is None else {rank: m for rank, m in zip(ranks, table[number], strict=True) if m}
        left[scenarios.key(number)] = _Unprotected(memory, known is not None and bool(known.minimal), certain)
    return left


def _pools(verdict: Verdict) -> dict[int, ScenarioStatus]:
    found, scenarios = dict(verdict.turns), verdict.state.scenarios
    if not scenarios.complete:
        for pool in np.unique(scenarios.pool).tolist():
            if pool not in verdict.certain and found.get(pool) is not ScenarioStatus.UNSAFE:
                found[pool] = ScenarioStatus.UNKNOWN
    return found
