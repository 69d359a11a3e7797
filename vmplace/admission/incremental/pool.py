"""Incremental admission control in a memory-only pool: what one more VM would do to each failure, told from what is known."""

from collections.abc import Mapping, Sequence

import numpy as np

from vmplace.admission.incremental.certificates import LiveCertificates
from vmplace.admission.incremental.restart_plans import RestartPlan, RestartPlans, Room, find_restart_plan
from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.admission.results import Rejection
from vmplace.failover.regression import FailureLoss, LostMemory
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.budget import Budget

__all__ = ["LivePool"]

_FREEST = 64
"""So many of the freest nodes are found at a time."""


class LivePool:
    """Nodes of one pool, any one of which may fail, and what is on them.

    A failure is told safe by a certificate for all at once, or by a `RestartPlan`, valid while the survivors have the room;
    unsafe by slots or by a search.

    Parameters
    ----------
    usable, limit
        Memory for VMs, and what of it normal running may use, in MiB, shape (n_nodes,).
    online
        Nodes that take VMs, shape (n_nodes,).
    """

    def __init__(self, usable: IntArray, limit: IntArray, online: BoolArray) -> None:
        self.state = LiveState(usable, limit, online)
        self._certificates = LiveCertificates(self.state)
        self._plans = RestartPlans(len(usable))
        self._freest: tuple[int, list[Room]] = -1, []
        self._doubtful: tuple[int, set[int]] = -1, set()
        self._foreseen: tuple[int, int, LiveVM, RestartPlan] | None = None

    # What is there

    def put(self, node: int, item: LiveVM) -> None:
        """A VM more on a node."""
        if item.protected:
            self._extend(node, item)
        self.state.put(node, item)
        for failure in self._plans.beyond(node, int(self.state.free[node])):
            self._plans.drop(failure)

    def take(self, node: int, item: LiveVM) -> None:
        """A VM less on a node."""
        self.state.take(node, item)
        self._plans.drop_partial()

    def close(self, node: int) -> None:
        """A node is gone, with all that is on it."""
        self.state.close(node)
        self._plans.drop(node)
        for failure in self._plans.beyond(node, 0):
            self._plans.drop(failure)

    def open(self, node: int, items: Sequence[LiveVM], *, online: bool) -> None:
        """A node is back, with all that was on it; `online`: and takes VMs."""
        self.state.open(node, online=online)
        self._plans.drop_partial()
        for item in items:
            self.put(node, item)

    def _extend(self, node: int, item: LiveVM) -> None:
        """One more VM that must restart: the plan of its node takes it in, or is forgotten."""
        foreseen, self._foreseen = self._foreseen, None
        known = foreseen is not None and foreseen[:3] == (self.state.version, node, item)
        plan = foreseen[3] if foreseen is not None and known else self._extended(node, item)
        if plan is None:
            self._plans.drop(node)
        else:
            self._plans.put(node, plan)

    # What failures do now

    @property
    def survived(self) -> BoolArray:
        """Failures that are known to be survived, shape (n_nodes,)."""
        told = (self._certificates.any_order.slack > 0) | self._plans.complete
        return told if told.all() else told | self._certificates.slots.survived

    def losses(self, *, budget: Budget) -> dict[int, LostMemory | None]:
        """What the failures that are not survived leave without a restart; None where that is unknown."""
        untold = np.flatnonzero(~self.survived).tolist()
        found = {failure: self._now(failure, budget) for failure in untold}
        return {failure: loss for failure, loss in found.items() if loss is None or loss}

    def _loss(self, failure: int, budget: Budget) -> LostMemory | None:
        """The least that a failure leaves without a restart; None if that is unknown."""
        return {} if self.survived[failure] else self._now(failure, budget)

    def _now(self, failure: int, budget: Budget) -> LostMemory | None:
        """The same of a failure that no certificate tells."""
        if failure not in self._plans:
            version, doubtful = self._doubtful
            if version != self.state.version:
                self._doubtful = self.state.version, (doubtful := set())
            if failure in doubtful and budget.spent:
                return None
            plan = find_restart_plan(self.state.kinds[failure], self._rooms(failure), budget=budget, losses=True)
            if plan is None or not plan.proven:
                doubtful.add(failure)
                return None
            self._plans.put(failure, plan)
        return self._plans[failure].lost

    def _rooms(self, failure: int, node: int = -1, free: int = 0, more: int = 0) -> list[Room]:
        """The freest survivors of a failure, as many as it displaces VMs: as they are, but for what one node would have free."""
        count = sum(self.state.kinds[failure].values()) + more
        rooms = [room for room in self._roomiest(count + 2) if room[1] not in (failure, node)]
        if node >= 0 and node != failure:
            rooms.append((free, node))
            rooms.sort(key=lambda room: -room[0])
        return rooms[:count]

    def _roomiest(self, count: int) -> list[Room]:
        """The nodes with most free memory, as many as are asked for at least."""
        version, rooms = self._freest
        free = self.state.free
        if version != self.state.version or len(rooms) < min(count, len(free)):
            count = min(max(count, _FREEST), len(free))
            nodes = np.argpartition(-free, count - 1)[:count] if count < len(free) else np.arange(len(free))
            nodes = nodes[np.lexsort((nodes, -free[nodes]))]
            rooms = list(zip(free[nodes].tolist(), nodes.tolist(), strict=True))
            self._freest = self.state.version, rooms
        return rooms

    # What one more VM would do

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
        own = item.protected and not item.waits and self._certificates.any_order.slack_with(node, item) <= 0
        if len(doubtful) or own:
            by_slots = self._certificates.slots.survived_with(node, item)
            doubtful, own = doubtful[~by_slots[doubtful]], own and not by_slots[node]
        if (len(doubtful) or own) and not item.waits and before is None:
            short = self._certificates.slots.short_with(np.array([node]), item, self.survived)
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
        state, plans = self.state, self._plans
        if not len(state.sizes):
            return np.zeros(0, dtype=np.int64)
        less = state.above_on(node) - state.above_on(node, item.memory)
        open_ = self._certificates.any_order.slack <= less[state.largest]
        open_[node] = False
        broken = [failure for failure in plans.beyond(node, int(state.free[node]) - item.memory) if open_[failure]]
        open_ &= ~plans.complete
        open_[broken] = True
        return np.flatnonzero(open_ & (state.displaced > 0))

    def _shrunk(
        self, failure: int, node: int, item: LiveVM, budget: Budget, before: Mapping[int, LostMemory | None] | None
    ) -> Rejection:
        """Whether a failure gets worse if a survivor has less free."""
        free, now = int(self.state.free[node]) - item.memory, self._loss(failure, budget)
        if failure in self._plans and self._plans[failure].used.get(node, 0) <= free:
            return Rejection.NOTHING  # it ends as it would now
        allowed = now if before is None else before.get(failure, {})
        kinds, wanted = self.state.kinds[failure], bool(allowed or item.credit)
        plan = find_restart_plan(kinds, self._rooms(failure, node, free), budget=budget, losses=wanted)
        if plan is not None and not plan.lost:
            self._plans.put(failure, plan)  # as good now
        return _weighed(plan, allowed, item)

    def _joined(self, node: int, item: LiveVM, budget: Budget, before: Mapping[int, LostMemory | None] | None) -> Rejection:
        """Whether the failure of the node gets worse with one VM more to restart."""
        now = self._loss(node, budget)
        if self._extended(node, item) is not None:
            return Rejection.NOTHING
        allowed, held = now if before is None else before.get(node, {}), self.state.kinds[node]
        kinds = {**held, item.kind: held.get(item.kind, 0) + 1}
        plan = find_restart_plan(kinds, self._rooms(node, more=1), budget=budget, losses=bool(allowed))
        if plan is not None and not plan.lost:
            self._foreseen = self.state.version, node, item, plan
        return _weighed(plan, allowed, item)

    def _extended(self, node: int, item: LiveVM) -> RestartPlan | None:
        """The plan of a node with one more VM: beside what it takes of the nodes it takes something of, or of the freest."""
        if node not in self._plans:
            return None
        used, lost = self._plans[node].used, self._plans[node].lost
        for other in (*used, *(room[1] for room in self._roomiest(2)[:2])):
            if other != node and int(self.state.free[other]) - used.get(other, 0) >= item.memory:
                return RestartPlan({**used, other: used.get(other, 0) + item.memory}, lost)
        return None

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
            failing = self._certificates.slots.short_with(open_, item, self.survived)
            found[open_[failing >= 0]] = Rejection.FAILURE
            blamed[open_] = failing
            open_ = open_[failing < 0]
        found[open_[~self._certain(open_, item)]] = Rejection.DOUBT
        return found, blamed

    def _certain(self, nodes: IntArray, item: LiveVM) -> BoolArray:
        """Nodes with room on which one VM more harms no failure for certain, shape (len(nodes),)."""
        plans = self._plans
        sure = self._certificates.certain(nodes, item, np.zeros_like(plans.complete))
        settled = plans.complete.copy()
        settled[list(plans.partial)] = True
        if not sure.all() and settled.any():
            untouched = plans.need[nodes] <= self.state.free[nodes] - item.memory
            sure |= untouched & self._certificates.certain(nodes, item, settled)
        return sure


def _weighed(plan: RestartPlan | None, allowed: LostMemory | None, item: LiveVM) -> Rejection:
    """Whether an end is no worse than allowed."""
    now = FailureLoss(None) if plan is None else FailureLoss(plan.lost, exact=plan.proven, certain=bool(plan.lost))
    return Rejection.of(now.worse_than(FailureLoss(allowed), item.credit), survived=not allowed)
