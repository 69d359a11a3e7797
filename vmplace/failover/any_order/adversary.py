"""Whether a failure is survived whatever order the HA manager restarts VMs in and whichever fitting node it picks.

An adversary chooses a VM and restarts some of the others so that no node is left to it. Rules and capacities that hold for some
restarts hold for a part of them, too: so any such choice is a state that can arise, and its VMs may have restarted in any order.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from attrs import frozen

from vmplace.failover.any_order.blocking import BlockingProblem
from vmplace.failover.any_order.blocking import certified as quickly_certified
from vmplace.failover.any_order.covering import cover
from vmplace.failover.any_order.exact import search
from vmplace.failover.any_order.heuristic import attack
from vmplace.failover.any_order.state import AnyOrderProblem, Story
from vmplace.model.columns import BoolArray
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.cpsat import Outcome

__all__ = ["Stranding", "strand"]


@frozen(eq=False)
class Stranding:
    """Who can be stranded.

    Parameters
    ----------
    stories
        How, for one VM of each likeness that can be.
    lost
        The VMs that must restart and that some state strands, as far as it was looked for; shape (n_vms,).
    open
        Those of which it is not known; shape (n_vms,).
    """

    stories: tuple[Story, ...]
    lost: BoolArray
    open: BoolArray

    @property
    def survived(self) -> bool | None:
        """Whether nobody can be stranded; None if that is not known."""
        if self.stories:
            return False
        return None if self.open.any() else True


def strand(any_order: AnyOrderProblem, *, budget: Budget, certified: BoolArray | None = None, every: bool = False) -> Stranding:
    """Look for states in which a VM that must restart cannot.

    Parameters
    ----------
    any_order
        The failure.
    budget
        When it is spent, what has not been decided stays open.
    certified
        VMs that are known to be stranded in no state, shape (n_vms,); None: as `blocking.certified` has it.
    every
        Decide about all VMs, instead of ending with the first that can be stranded.
    """
    kinds = any_order.kinds
    sure = quickly_certified(any_order) if certified is None else certified
    siege = _AdversarySearch(any_order, [k for k, vms in enumerate(kinds.vms) if kinds.must[k] and not sure[vms[0]]])
    with suppress(OutOfTimeError):
        siege.quickly(budget, every)
        siege.exactly(budget, every)
    return siege.result()


class _AdversarySearch:
    """What is known of each kind of VM; the largest, which are the easiest to strand, come first."""

    def __init__(self, any_order: AnyOrderProblem, pending: list[int]) -> None:
        self.any_order = any_order
        self.pending = pending
        self.withstood: set[int] = set()
        self.never_alone: set[int] = set()
        self.stories: dict[int, Story] = {}

    def quickly(self, budget: Budget, every: bool) -> None:
        """By filling nodes one by one, by sums that the others' demands can have, and by a relaxation."""
        for kind in self._turns(budget, every):
            if not any(self.any_order.kinds.safe_with(other)[kind] for other in self.pending if other != kind):
                self._attack(kind)
        for kind in self._turns(budget, every):
            if not self._attack(kind):
                self._relax(kind, budget)

    def _attack(self, kind: int) -> bool:
        """Whether a quick adversary has its way."""
        if kind not in self.withstood and (story := attack(BlockingProblem.of(self.any_order, kind))):
            self._settle(kind, story)
            return True
        self.withstood.add(kind)
        return False

    def _relax(self, kind: int, budget: Budget) -> None:
        alone, whole = BlockingProblem.alone(self.any_order, kind).sharp, BlockingProblem.of(self.any_order, kind).sharp
        outcome, story = (Outcome.INFEASIBLE, None) if alone.impossible else cover(alone, budget=budget)
        if outcome is Outcome.INFEASIBLE:
            self.never_alone.add(kind)
        if story is not None or (outcome is Outcome.INFEASIBLE and whole.harmless_mates):
            self._settle(kind, story)

    def exactly(self, budget: Budget, every: bool) -> None:
        """By a search that is exhaustive."""
        for kind in self._turns(budget, every):
            outcome, story = Outcome.INFEASIBLE, None
            for blockade in self._open_cases(kind):
                outcome, story = search(blockade.sharp, budget=budget)
                if outcome is not Outcome.INFEASIBLE:
                    break
            if story is not None or outcome is Outcome.INFEASIBLE:
                self._settle(kind, story)

    def _open_cases(self, kind: int) -> Iterator[BlockingProblem]:
        """One of those that the VM must be together with has restarted; none of them has."""
        whole = BlockingProblem.of(self.any_order, kind)
        if whole.mates.any():
            yield whole
        if kind not in self.never_alone:
            yield BlockingProblem.alone(self.any_order, kind)

    def _turns(self, budget: Budget, every: bool) -> Iterator[int]:
        """Kinds to decide about."""
        for kind in tuple(self.pending):
            if budget.spent or (self.stories and not every):
                return
            if kind in self.pending:
                yield kind

    def _settle(self, kind: int, story: Story | None) -> None:
        if story is not None:
            self.pending.remove(kind)
            self.stories[kind] = story
        else:
            safe = self.any_order.kinds.safe_with(kind)
            self.pending = [k for k in self.pending if not safe[k]]

    def result(self) -> Stranding:
        return Stranding(tuple(self.stories.values()), self._vms(self.stories), self._vms(self.pending))

    def _vms(self, kinds: Iterable[int]) -> BoolArray:
        mask = np.zeros(self.any_order.n_vms, dtype=bool)
        for kind in kinds:
            mask[self.any_order.kinds.vms[kind]] = True
        return mask
