"""A greedy attack: fill the nodes that a VM could use, one by one, each with the least that blocks it."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.any_order.state import RestartState, Story
from vmplace.failover.certificates.blocking import NEVER
from vmplace.model.columns import BoolArray
from vmplace.solvers.binpacking.instance import Pattern
from vmplace.solvers.binpacking.subset_sum import least_choice

__all__ = ["Attack", "attack"]


_MOST_NODES = 32
"""How many nodes to try for each kind that affinity binds the VM to."""


def attack(blocking: BlockingProblem) -> Story | None:
    """A state that strands a VM of the kind, if one of a few attempts ends in one."""
    for dearest_first in (True, False):
        attempt = Attack(blocking)
        attempt.block_all(dearest_first=dearest_first)
        if attempt.story is not None:
            return attempt.story
    for kind, node in _partner_restarts(blocking):
        attempt = Attack(blocking)
        attempt.restart(kind, node)
        attempt.block_all(dearest_first=True)
        if attempt.story is not None:
            return attempt.story
    return None


def _partner_restarts(blocking: BlockingProblem) -> Iterator[tuple[int, int]]:
    """First restarts of those that affinity binds the VM to, as (kind, node): on nodes that are cheap to block for the VM."""
    kinds = blocking.problem.kinds
    cost = np.zeros(blocking.problem.n_nodes, dtype=np.int64)
    cost[blocking.nodes], _ = blocking.worth
    for kind in np.flatnonzero(blocking.partners).tolist():
        nodes = np.flatnonzero(kinds.fits[kind])
        for node in nodes[np.argsort(cost[nodes], kind="stable")][:_MOST_NODES].tolist():
            yield kind, node


class Attack:
    """One state in the making, against one VM of the kind: the target."""

    def __init__(self, blocking: BlockingProblem) -> None:
        self.blocking = blocking
        self.kinds = blocking.problem.kinds
        self.restarts = RestartState(blocking.problem)
        self.target = int(self.kinds.vms[blocking.kind][0])
        # The target is the first of its kind, and never among those that wait: one at least is left out of that kind.
        self.waiting = [vms[len(vms) - n :].tolist() for vms, n in zip(self.kinds.vms, blocking.others.tolist(), strict=True)]

    @property
    def story(self) -> Story | None:
        """What has happened, if it strands the target."""
        return None if self.restarts.open(self.target).any() else Story(tuple(self.restarts.placed), self.target)

    def restart(self, kind: int, node: int) -> bool:
        """Restart one of a kind, if one is left and may."""
        if not self._may(kind)[node]:
            return False
        self.restarts.restart(self.waiting[kind].pop(), node)
        return True

    def restart_all(self, pattern: Pattern, node: int) -> bool:
        """Restart so many of some kinds on a node, if all of them may; else none."""
        trial = self.restarts.copy()
        for kind, n in pattern:
            for vm in self.waiting[kind][-n:]:
                if not trial.open(vm)[node]:
                    return False
                trial.restart(vm, node)
        self.restarts = trial
        for kind, n in pattern:
            del self.waiting[kind][-n:]
        return True

    def block_all(self, *, dearest_first: bool) -> None:
        """Block the nodes that are open to the target, until one cannot be."""
        worth, _ = self.blocking.worth
        for rule in self.kinds.apart[self.blocking.kind]:
            self._block_zones(rule)
        still_open = np.flatnonzero(self.restarts.open(self.target)[self.blocking.nodes])
        order = np.argsort((-worth if dearest_first else worth)[still_open], kind="stable")
        for at in still_open[order].tolist():
            if not self._block(at):
                return

    def block_zone(self, rule: int, zone: BoolArray) -> bool:
        """Restart the smallest member of a rule that may be in a zone, on the node with most memory left; whether one may."""
        for kind in range(len(self.kinds) - 1, -1, -1):
            if rule in self.kinds.apart[kind]:
                may = self._may(kind) & zone
                if may.any():
                    return self.restart(kind, int(np.where(may, self.restarts.left[:, 0], -1).argmax()))
        return False

    def _may(self, kind: int) -> BoolArray:
        """Where one more of a kind can restart, shape (n_nodes,)."""
        waiting = self.waiting[kind]
        return self.restarts.open(waiting[-1]) if waiting else np.zeros(self.blocking.problem.n_nodes, dtype=bool)

    def _block_zones(self, rule: int) -> None:
        """Restart members of an anti-affinity rule of the target in the zones that are dearest to block otherwise."""
        nodes, (worth, _) = self.blocking.nodes, self.blocking.worth
        zone = self.blocking.problem.apart[rule][1]
        value = {z: int(worth[zone[nodes] == z].sum()) for z in zone[nodes].tolist()}
        for z in sorted(value, key=lambda z: -value[z]):
            if self.restarts.open(self.target)[zone == z].any():
                self.block_zone(rule, zone == z)

    def _block(self, at: int) -> bool:
        """Block a node, by the resource that is cheapest."""
        node = int(self.blocking.nodes[at])
        by_cost = np.argsort(self.blocking.cost[at], kind="stable").tolist()
        while self.restarts.open(self.target)[node]:
            if not any(self._fill(node, r) for r in by_cost if self.blocking.cost[at, r] < NEVER):
                return False
        return True

    def _fill(self, node: int, r: int) -> bool:
        """Restart on a node what takes the least of a resource that leaves the target too little; whether anything did."""
        demand, left = self.kinds.demand[:, r], int(self.restarts.left[node, r])
        kinds = [k for k in range(len(self.kinds)) if demand[k] and self._may(k)[node]]
        counts = [len(self.waiting[k]) for k in kinds]
        choice = least_choice(demand[kinds].tolist(), counts, left - int(demand[self.blocking.kind]) + 1, left)
        return choice is not None and sum(self.restart(kinds[j], node) for j, n in choice for _ in range(n)) > 0
