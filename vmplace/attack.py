"""A quick adversary: it fills the nodes that a VM could use, one by one, each with the least that blocks it."""

from collections.abc import Iterator

import numpy as np

from vmplace.anyorder import NEVER, Blockade
from vmplace.columns import BoolArray
from vmplace.situation import Restarts, Story
from vmplace.subsets import least_choice

__all__ = ["Attempt", "attack"]


def attack(blockade: Blockade) -> Story | None:
    """A state that strands a VM of the kind, if one of a few attempts ends in one."""
    for opening in _openings(blockade):
        for dearest_first in (True, False):
            attempt = Attempt(blockade)
            if all(attempt.restart(kind, node) for kind, node in opening):
                attempt.block_all(dearest_first=dearest_first)
                if attempt.story is not None:
                    return attempt.story
    return None


def _openings(blockade: Blockade) -> Iterator[list[tuple[int, int]]]:
    """Restarts to begin with, as (kind, node): none, or of one that the VM must be together with."""
    yield []
    kinds = blockade.situation.kinds
    for kind, rules in enumerate(kinds.together):
        if blockade.others[kind] and rules & kinds.together[blockade.kind]:
            for node in np.flatnonzero(kinds.fits[kind]).tolist():
                yield [(kind, node)]


class Attempt:
    """One state in the making."""

    def __init__(self, blockade: Blockade) -> None:
        self.blockade = blockade
        self.kinds = blockade.situation.kinds
        self.restarts = Restarts(blockade.situation)
        self.target = int(self.kinds.vms[blockade.kind][0])
        # The target is the first of its kind, and never among those that wait: one at least is left out of that kind.
        self.waiting = [vms[len(vms) - n :].tolist() for vms, n in zip(self.kinds.vms, blockade.others.tolist(), strict=True)]

    def restart(self, kind: int, node: int) -> bool:
        """Restart one of a kind, if one is left and may."""
        if not self._may(kind)[node]:
            return False
        self.restarts.restart(self.waiting[kind].pop(), node)
        return True

    @property
    def story(self) -> Story | None:
        """What has happened, if it strands the target."""
        return None if self.restarts.open(self.target).any() else Story(tuple(self.restarts.placed), self.target)

    def block_all(self, *, dearest_first: bool) -> None:
        """Block whatever is open to the target, as far as it comes."""
        worth, _ = self.blockade.worth
        for rule in self.kinds.apart[self.blockade.kind]:
            self._keep_away(rule)
        order = np.argsort(-worth if dearest_first else worth, kind="stable")
        for at in order.tolist():
            if not self._block(at):
                return

    def _may(self, kind: int) -> BoolArray:
        """Where one more of a kind can restart, shape (n_nodes,)."""
        waiting = self.waiting[kind]
        return self.restarts.open(waiting[-1]) if waiting else np.zeros(self.blockade.situation.n_nodes, dtype=bool)

    def _keep_away(self, rule: int) -> None:
        """Restart those that the target must be apart from in the zones that are dearest to block otherwise."""
        nodes, (worth, _) = self.blockade.nodes, self.blockade.worth
        zone = self.blockade.situation.apart[rule][1]
        value = {z: int(worth[zone[nodes] == z].sum()) for z in zone[nodes].tolist()}
        for z in sorted(value, key=lambda z: -value[z]):
            if self.restarts.open(self.target)[zone == z].any():
                self._occupy(rule, zone == z)

    def _occupy(self, rule: int, zone: BoolArray) -> None:
        """Restart the smallest member of a rule that may be in a zone, on the node with most memory left."""
        for kind in range(len(self.kinds) - 1, -1, -1):
            if rule in self.kinds.apart[kind]:
                may = self._may(kind) & zone
                if may.any():
                    self.restart(kind, int(np.where(may, self.restarts.left[:, 0], -1).argmax()))
                    return

    def _block(self, at: int) -> bool:
        """Block a node, by the resource that is cheapest."""
        node = int(self.blockade.nodes[at])
        by_cost = np.argsort(self.blockade.cost[at], kind="stable").tolist()
        while self.restarts.open(self.target)[node]:
            if not any(self._fill(node, r) for r in by_cost if self.blockade.cost[at, r] < NEVER):
                return False
        return True

    def _fill(self, node: int, r: int) -> bool:
        """Restart on a node what takes the least of a resource that leaves the target too little; whether anything did."""
        demand, left = self.kinds.demand[:, r], int(self.restarts.left[node, r])
        kinds = [k for k in range(len(self.kinds)) if demand[k] and self._may(k)[node]]
        counts = [len(self.waiting[k]) for k in kinds]
        choice = least_choice(demand[kinds].tolist(), counts, left - int(demand[self.blockade.kind]) + 1, left)
        return choice is not None and sum(self.restart(kinds[j], node) for j, n in choice for _ in range(n)) > 0
