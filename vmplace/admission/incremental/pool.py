"""Incremental admission control in a memory-only pool: what one more VM would do to each failure, told from what is known."""

from collections.abc import Mapping

import numpy as np

from vmplace.admission.incremental.failures import LiveFailures
from vmplace.admission.incremental.restart_plans import RestartPlan, find_restart_plan
from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.admission.results import Rejection
from vmplace.failover.regression import FailureLoss, LostMemory
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.budget import Budget

__all__ = ["LivePool"]


class LivePool:
    """Nodes of one pool, any one of which may fail, and what one VM more would do to each failure.

    Parameters
    ----------
    usable, limit
        Memory for VMs, and what of it normal running may use, in MiB, shape (n_nodes,).
    online
        Nodes that take VMs, shape (n_nodes,).

    Attributes
    ----------
    state, failures
        What is there, and what failures do to it.
    """

    def __init__(self, usable: IntArray, limit: IntArray, online: BoolArray) -> None:
        self.state = LiveState(usable, limit, online)
        self.failures = LiveFailures(self.state)

    def rejections(self, memory: int) -> IntArray:
        """What keeps a VM of a size off each node in normal running: a `Rejection` each, shape (n_nodes,)."""
        state = self.state
        found = np.where(state.free < memory, int(Rejection.MEMORY), int(Rejection.NOTHING))
        found[(found == Rejection.NOTHING) & (state.load + memory > state.limit)] = Rejection.HEADROOM
        found[~state.online] = Rejection.STATE
        return found

    def fits(self, node: int, memory: int, *, stays: bool = False) -> Rejection:
        """What keeps a VM of a size off a node in normal running; `stays`: it is there already, if not with all its memory."""
        state = self.state
        if not (state.online[node] or stays):
            return Rejection.STATE
        after = int(state.load[node]) + memory
        if after > state.limit[node]:
            return Rejection.HEADROOM if after <= state.usable[node] else Rejection.MEMORY
        return Rejection.NOTHING

    def judge(
        self, node: int, item: LiveVM, *, budget: Budget, before: Mapping[int, LostMemory | None] | None = None
    ) -> tuple[Rejection, int]:
        """Whether a VM on a node with room for it makes any failure worse; and which, if it does.

        Parameters
        ----------
        before
            What failures left out before what is to be judged began; None: what they leave out now.
        """
        with self.state.supposing(item):
            return self._judged(node, item, budget, before)

    def _judged(
        self, node: int, item: LiveVM, budget: Budget, before: Mapping[int, LostMemory | None] | None
    ) -> tuple[Rejection, int]:
        doubtful = self._doubtful_with(node, item)
        own = item.protected and not item.waits and self.failures.certificates.any_order.slack_with(node, item) <= 0
        if len(doubtful) or own:
            by_slots = self.failures.certificates.slots.survived_with(node, item)
            doubtful, own = doubtful[~by_slots[doubtful]], own and not by_slots[node]
        if (len(doubtful) or own) and not item.waits and before is None:
            short = self.failures.certificates.slots.short_with(np.array([node]), item, self.failures.survived)
            if short[0] >= 0:
                return Rejection.FAILURE, int(short[0])
        doubt = -1
        for failure in [*doubtful.tolist(), *([node] if own else ())]:
            mine = failure == node
            told = self._joined(node, item, budget, before) if mine else self._shrunk(failure, node, item, budget, before)
            if told is Rejection.DOUBT:
                doubt = failure
            elif told is not Rejection.NOTHING:
                return told, failure
        return (Rejection.NOTHING, -1) if doubt < 0 else (Rejection.DOUBT, doubt)

    def _doubtful_with(self, node: int, item: LiveVM) -> IntArray:
        """Failures, other than the node's own, for which its loss of room may matter: no certificate in any order, no plan."""
        state, plans = self.state, self.failures.plans
        if not len(state.sizes):
            return np.zeros(0, dtype=np.int64)
        less = state.above_on(node) - state.above_on(node, item.memory)
        open_ = self.failures.certificates.any_order.slack <= less[state.largest]
        open_[node] = False
        broken = [failure for failure in plans.beyond(node, int(state.free[node]) - item.memory) if open_[failure]]
        open_ &= ~plans.complete
        open_[broken] = True
        return np.flatnonzero(open_ & (state.displaced > 0))

    def _shrunk(
        self, failure: int, node: int, item: LiveVM, budget: Budget, before: Mapping[int, LostMemory | None] | None
    ) -> Rejection:
        """Whether a failure gets worse if a survivor has less free."""
        free, now = int(self.state.free[node]) - item.memory, self.failures.loss(failure, budget)
        if failure in self.failures.plans and self.failures.plans[failure].used.get(node, 0) <= free:
            return Rejection.NOTHING  # it ends as it would now
        allowed = now if before is None else before.get(failure, {})
        kinds, wanted = self.state.kinds[failure], bool(allowed or item.credit)
        plan = find_restart_plan(kinds, self.failures.rooms(failure, node, free), budget=budget, losses=wanted)
        if plan is not None and not plan.lost:
            self.failures.plans.put(failure, plan)  # as good now
        return _weighed(plan, allowed, item)

    def _joined(self, node: int, item: LiveVM, budget: Budget, before: Mapping[int, LostMemory | None] | None) -> Rejection:
        """Whether the failure of the node gets worse with one VM more to restart."""
        now = self.failures.loss(node, budget)
        if self.failures.extended(node, item) is not None:
            return Rejection.NOTHING
        allowed, held = now if before is None else before.get(node, {}), self.state.kinds[node]
        kinds = {**held, item.kind: held.get(item.kind, 0) + 1}
        plan = find_restart_plan(kinds, self.failures.rooms(node, more=1), budget=budget, losses=bool(allowed))
        if plan is not None and not plan.lost:
            self.failures.foresee(node, item, plan)
        return _weighed(plan, allowed, item)

    def sift(self, item: LiveVM) -> tuple[IntArray, IntArray]:
        """What array passes tell of a VM on each node, and which failure speaks against it; what they do not is `DOUBT`.

        Returns
        -------
        tuple of IntArray
            A `Rejection` per node, and a failure (-1: none), each of shape (n_nodes,).
        """
        with self.state.supposing(item):
            return self._sifted(item)

    def _sifted(self, item: LiveVM) -> tuple[IntArray, IntArray]:
        found = self.rejections(item.memory)
        blamed = np.full(len(found), -1, dtype=np.int64)
        open_ = np.flatnonzero(found == Rejection.NOTHING)
        if not len(open_):
            return found, blamed
        if not item.waits:
            failing = self.failures.certificates.slots.short_with(open_, item, self.failures.survived)
            found[open_[failing >= 0]] = Rejection.FAILURE
            blamed[open_] = failing
            open_ = open_[failing < 0]
        found[open_[~self._certain(open_, item)]] = Rejection.DOUBT
        return found, blamed

    def _certain(self, nodes: IntArray, item: LiveVM) -> BoolArray:
        """Nodes with room on which one VM more harms no failure for certain, shape (len(nodes),)."""
        plans = self.failures.plans
        sure = self.failures.certificates.certain(nodes, item, np.zeros_like(plans.complete))
        settled = plans.complete.copy()
        settled[list(plans.partial)] = True
        if not sure.all() and settled.any():
            untouched = plans.need[nodes] <= self.state.free[nodes] - item.memory
            sure |= untouched & self.failures.certificates.certain(nodes, item, settled)
        return sure


def _weighed(plan: RestartPlan | None, allowed: LostMemory | None, item: LiveVM) -> Rejection:
    """Compare what a plan leaves out with what is allowed."""
    now = FailureLoss(None) if plan is None else FailureLoss(plan.lost, exact=plan.proven, certain=bool(plan.lost))
    return Rejection.of(now.worse_than(FailureLoss(allowed), item.credit), survived=not allowed)
