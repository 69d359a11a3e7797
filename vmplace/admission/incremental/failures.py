"""What the failure of each node of a memory-only pool does now, told by certificates or by plans that are kept."""

from collections.abc import Sequence

import numpy as np

from vmplace.admission.incremental.certificates import LiveCertificates
from vmplace.admission.incremental.restart_plans import RestartPlan, RestartPlans, Room, find_restart_plan
from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.failover.regression import LostMemory
from vmplace.model.columns import BoolArray
from vmplace.solvers.budget import Budget

__all__ = ["LiveFailures"]

_FREEST = 64
"""So many of the freest nodes are found at a time."""


class LiveFailures:
    """The failures of single nodes of a pool, and what is on these.

    A failure is told safe by a certificate for all at once, or by a `RestartPlan`, valid while the survivors have the room;
    unsafe by a search.

    Parameters
    ----------
    state
        The nodes; changed through here.

    Attributes
    ----------
    certificates, plans
        What tells of failures.
    """

    def __init__(self, state: LiveState) -> None:
        self.state, self.certificates, self.plans = state, LiveCertificates(state), RestartPlans(len(state.usable))
        self._freest: tuple[int, list[Room]] = -1, []
        self._doubtful: tuple[int, set[int]] = -1, set()
        self._foreseen: tuple[int, int, LiveVM, RestartPlan] | None = None

    # What is there

    def put(self, node: int, item: LiveVM) -> None:
        """A VM more on a node."""
        if item.protected:
            self._extend(node, item)
        self.state.put(node, item)
        for failure in self.plans.beyond(node, int(self.state.free[node])):
            self.plans.drop(failure)

    def take(self, node: int, item: LiveVM) -> None:
        """A VM less on a node."""
        self.state.take(node, item)
        self.plans.drop_partial()

    def close(self, node: int) -> None:
        """A node is gone, with all that is on it."""
        self.state.close(node)
        self.plans.drop(node)
        for failure in self.plans.beyond(node, 0):
            self.plans.drop(failure)

    def open(self, node: int, items: Sequence[LiveVM], *, online: bool) -> None:
        """A node is back, with all that was on it; `online`: and takes VMs."""
        self.state.open(node, online=online)
        self.plans.drop_partial()
        for item in items:
            self.put(node, item)

    def _extend(self, node: int, item: LiveVM) -> None:
        """One more VM that must restart: the plan of its node takes it in, or is forgotten."""
        foreseen, self._foreseen = self._foreseen, None
        known = foreseen is not None and foreseen[:3] == (self.state.version, node, item)
        plan = foreseen[3] if foreseen is not None and known else self.extended(node, item)
        if plan is None:
            self.plans.drop(node)
        else:
            self.plans.put(node, plan)

    # What failures do now

    @property
    def survived(self) -> BoolArray:
        """Failures that are known to be survived, shape (n_nodes,)."""
        told = (self.certificates.any_order.slack > 0) | self.plans.complete
        return told if told.all() else told | self.certificates.slots.survived

    def losses(self, *, budget: Budget) -> dict[int, LostMemory | None]:
        """What the failures that are not survived leave without a restart; None where that is unknown."""
        untold = np.flatnonzero(~self.survived).tolist()
        found = {failure: self._now(failure, budget) for failure in untold}
        return {failure: loss for failure, loss in found.items() if loss is None or loss}

    def loss(self, failure: int, budget: Budget) -> LostMemory | None:
        """The least that a failure leaves without a restart; None if that is unknown."""
        return {} if self.survived[failure] else self._now(failure, budget)

    def _now(self, failure: int, budget: Budget) -> LostMemory | None:
        """The same of a failure that no certificate tells."""
        if failure not in self.plans:
            version, doubtful = self._doubtful
            if version != self.state.version:
                self._doubtful = self.state.version, (doubtful := set())
            if failure in doubtful and budget.spent:
                return None
            plan = find_restart_plan(self.state.kinds[failure], self.rooms(failure), budget=budget, losses=True)
            if plan is None or not plan.proven:
                doubtful.add(failure)
                return None
            self.plans.put(failure, plan)
        return self.plans[failure].lost

    def rooms(self, failure: int, node: int = -1, free: int = 0, more: int = 0) -> list[Room]:
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

    def foresee(self, node: int, item: LiveVM, plan: RestartPlan) -> None:
        """Keep a plan for the failure of a node with one VM more on it, in case that comes next."""
        self._foreseen = self.state.version, node, item, plan

    def extended(self, node: int, item: LiveVM) -> RestartPlan | None:
        """The plan of a node with one more VM: beside what it takes of the nodes it takes something of, or of the freest."""
        if node not in self.plans:
            return None
        used, lost = self.plans[node].used, self.plans[node].lost
        for other in (*used, *(room[1] for room in self._roomiest(2)[:2])):
            if other != node and int(self.state.free[other]) - used.get(other, 0) >= item.memory:
                return RestartPlan({**used, other: used.get(other, 0) + item.memory}, lost)
        return None
