"""The ends of a pool's failures that were found, each good until a survivor has less than it takes there."""

from collections.abc import Mapping

import numpy as np

from vmplace.admission.incremental.restart_plans import Loss, RestartPlan
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["RestartPlans"]


class RestartPlans:
    """One `RestartPlan` for each failure at most, found again by the survivors that it takes.

    Attributes
    ----------
    complete : BoolArray
        Failures that have one which leaves nobody out, shape (n_nodes,).
    partial : dict of int to Refuge
        Those whose refuge leaves somebody out, and it is proved that no plan leaves out less.
    """

    def __init__(self, n_nodes: int) -> None:
        self.complete: BoolArray = np.zeros(n_nodes, dtype=bool)
        self.partial: dict[int, RestartPlan] = {}
        self._used: dict[int, Mapping[int, int]] = {}
        self._users: list[dict[int, int]] = [{} for _ in range(n_nodes)]
        self._need: IntArray = np.zeros(n_nodes, dtype=np.int64)
        self._stale: set[int] = set()

    def __contains__(self, failure: int) -> bool:
        return failure in self._used

    def put(self, failure: int, plan: RestartPlan) -> None:
        """Keep how a failure ends; in place of what was kept before."""
        self.drop(failure)
        self._used[failure] = plan.used
        if plan.lost:
            self.partial[failure] = plan
        else:
            self.complete[failure] = True
        for node, amount in plan.used.items():
            self._users[node][failure] = amount
            if amount > self._need[node]:
                self._need[node] = amount

    def drop(self, failure: int) -> None:
        """Forget how a failure ends."""
        used = self._used.pop(failure, None)
        if used is None:
            return
        self.complete[failure] = False
        self.partial.pop(failure, None)
        for node in used:
            del self._users[node][failure]
            self._stale.add(node)

    def drop_partial(self) -> None:
        """Forget those that leave somebody out: now there may be better ones."""
        for failure in list(self.partial):
            self.drop(failure)

    def beyond(self, node: int, free: int) -> list[int]:
        """Failures whose refuge takes more of a node than this."""
        if self._need[node] <= free:
            return []
        return [failure for failure, amount in self._users[node].items() if amount > free]

    def used(self, failure: int) -> Mapping[int, int]:
        """What the refuge of a failure takes of each node, in MiB."""
        return self._used[failure]

    def lost(self, failure: int) -> Loss:
        """Who is left out."""
        plan = self.partial.get(failure)
        return {} if plan is None else plan.lost

    @property
    def need(self) -> IntArray:
        """The most that a refuge takes of each node, in MiB, shape (n_nodes,)."""
        for node in self._stale:
            self._need[node] = max(self._users[node].values(), default=0)
        self._stale.clear()
        return self._need
