"""Is a placement no worse than another: for each failure, the memory left without a restart, by priority.

That a cluster is not N+1 already is not a reason to refuse a change. A change that makes some failure worse is refused.
Admission and the best effort of `place` both decide that here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import field, frozen

from vmplace.failover.certify import certify
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.solvers.budget import Budget

__all__ = ["Defects", "FailureLoss", "Key", "LostMemory", "added", "by_priority", "lost_memory", "no_worse"]

Key = tuple[int, ...]
"""A failure: the units that fail, ascending."""

LostMemory = Mapping[int, int]
"""Memory that a failure leaves without a restart, in MiB, by priority."""


def by_priority(problem: Problem, vms: IntArray) -> LostMemory:
    """The memory of some VMs."""
    return added({}, *({int(problem.priority[vm]): int(problem.memory[vm])} for vm in vms.tolist()))


def added(*amounts: LostMemory) -> LostMemory:
    """Several amounts together."""
    total: dict[int, int] = {}
    for amount in amounts:
        for priority, memory in amount.items():
            total[priority] = total.get(priority, 0) + memory
    return total


def lost_memory(verdict: Verdict) -> dict[int, LostMemory]:
    """What each scenario that is not survived leaves out, as far as it is known which VMs that are."""
    return {number: by_priority(verdict.state.problem, loss.vms) for number, loss in verdict.losses.items()}


def no_worse(now: LostMemory, before: LostMemory) -> bool:
    """Whether a loss is at most as bad as another: by priority, highest first, then by memory."""
    priorities = sorted({*now, *before}, reverse=True)
    return [now.get(priority, 0) for priority in priorities] <= [before.get(priority, 0) for priority in priorities]


@frozen
class FailureLoss:
    """What is known of the least loss that a failure can end with.

    Parameters
    ----------
    memory
        What is left out; None where that is unknown.
    exact
        Whether no plan leaves out less.
    enough
        Whether some plan leaves out no more.
    certain
        Whether it is certain that the failure is not survived; without a quorum, perhaps with nothing to restart.
    """

    memory: LostMemory | None = field(factory=dict)
    exact: bool = True
    enough: bool = True
    certain: bool = False

    def worse_than(self, before: "FailureLoss", credit: LostMemory) -> bool | None:
        """Whether this is worse than what was before and a credit together; None where that is unknown."""
        if self.enough and self.memory is not None and not self.memory and not self.certain:
            return False
        if before.memory is None:
            return None
        allowed = added(before.memory, credit)
        if not allowed and self.certain and not before.certain:
            return True
        if self.memory is None or not before.exact:
            return None
        if no_worse(self.memory, allowed):
            return False if self.enough else None
        return True if self.exact else None


NOTHING_LOST = FailureLoss()


@frozen(eq=False)
class Defects:
    """What failures do to a placement, and what it has in use.

    Parameters
    ----------
    problem
        The cluster.
    loads
        What is in use on each node, shape (n_nodes, n_resources).
    losses
        By what fails, the failures that are not survived for certain.
    pools
        Fate of pools, where more than their listed failures count: in turn, or too many to be listed.
    """

    problem: Problem
    loads: IntArray
    losses: Mapping[Key, FailureLoss]
    pools: Mapping[int, ScenarioStatus]

    @classmethod
    def of(cls, problem: Problem, node_of: IntArray, *, budget: Budget) -> "Defects":
        """Of a placement; shape (n_vms,), -1 for a VM without a node."""
        return cls.told(certify(problem, node_of, budget=budget))

    @classmethod
    def told(cls, verdict: Verdict) -> "Defects":
        """What a verdict tells."""
        state = verdict.state
        scenarios, memory, losses = state.scenarios, lost_memory(verdict), dict[Key, FailureLoss]()
        for number in np.flatnonzero(verdict.fate != ScenarioStatus.SAFE).tolist():
            exact = number in memory and bool(verdict.losses[number].minimal)
            certain = bool(verdict.fate[number] == ScenarioStatus.UNSAFE)
            # In any order, the VMs that are known to be left out need not be all.
            losses[scenarios.key(number)] = FailureLoss(memory.get(number), exact, exact, certain)
        return cls(state.problem, state.problem.loads(state.node_of), losses, _pools(verdict))

    @property
    def known(self) -> bool:
        """Whether time was enough to tell."""
        return all(loss.memory is not None for loss in self.losses.values())

    def loads_of(self, resources: Sequence[str]) -> IntArray:
        """What is in use of memory and of further resources by their names, shape (n_nodes, 1 + len(resources))."""
        column = {name: self.loads[:, i + 1] for i, name in enumerate(self.problem.resources)}
        none = np.zeros(len(self.loads), dtype=np.int64)
        return np.column_stack([self.loads[:, 0], *(column.get(name, none) for name in resources)])

    def failure_worse(self, before: "Defects", credit: Mapping[int, LostMemory]) -> tuple[bool | None, Key]:
        """Whether a failure is worse than before, and which; None if that is unknown.

        Parameters
        ----------
        before
            The same nodes, with what was there before.
        credit
            What each failure of a pool may leave out more than before, by the pool's number.
        """
        told: tuple[bool | None, Key] = False, ()
        for key, loss in self.losses.items():
            own = credit.get(int(self.problem.unit_pool[key[0]]), {})
            worse = loss.worse_than(before.losses.get(key, NOTHING_LOST), own)
            if worse:
                return worse, key
            told = told if worse is False else (worse, key)
        for number, fate in self.pools.items():
            earlier = ScenarioStatus.UNSAFE if credit.get(number) else before.pools.get(number, ScenarioStatus.SAFE)
            if fate is ScenarioStatus.UNSAFE and earlier is ScenarioStatus.SAFE:
                return True, ()
            if fate is not ScenarioStatus.SAFE and not earlier is fate is ScenarioStatus.UNSAFE:
                told = None, ()
        return told


def _pools(verdict: Verdict) -> dict[int, ScenarioStatus]:
    scenarios, problem = verdict.state.scenarios, verdict.state.problem
    pools = np.unique(scenarios.pool).tolist()
    found = {pool: verdict.of_pool(pool) for pool in pools} if problem.in_turn and problem.planned else {}
    if not scenarios.complete:
        found.update((pool, ScenarioStatus.UNKNOWN) for pool in pools if pool not in verdict.certain)
    return found
