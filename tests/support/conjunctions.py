"""Several guarantees that must all hold, by the oracle of each: what `place` should find then, by trying everything."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

from attrs import evolve

from tests.support.brute import Placement, Vector, Verdict, World
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.guarantee import scenario_key
from vmplace.model.references import resolve

__all__ = ["LISTS", "Conjunction", "all_planned", "alone", "world_of"]

LISTS: Mapping[str, Mapping[str, Any]] = {
    "lists": {"most_guarantees": 3, "failures": (0, 1, 1, 2), "domains": True, "quorums": True, "mixed": True},
    "lists-anyhow": {
        "most_guarantees": 3,
        "failures": (1, 1, 1, 2),
        "domains": True,
        "policies": True,
        "restart": ("planned", "any-order", "any-order"),
        "sequences": ("at-once", "at-once", "at-once", "sequential"),
        "resources": True,
        "evictable": True,
    },
}
"""What clusters with a list of guarantees are drawn with."""


def world_of(cluster: Cluster) -> World:
    """The oracle of all guarantees."""
    return Conjunction(cluster) if cluster.further or cluster.guarantee.vms is not None else World(cluster)


def all_planned(cluster: Cluster) -> bool:
    """Whether a plan for each failure at once is all that is asked."""
    return all(
        asked.restart == "planned" and asked.policy is None and asked.sequence == "at-once" for asked in cluster.guarantees
    )


def alone(cluster: Cluster) -> list[Cluster]:
    """The cluster under each of its guarantees; what one protects is told by the VMs themselves."""
    return [_naming_none(one) for one in cluster.one_by_one()]


def _naming_none(cluster: Cluster) -> Cluster:
    asked = cluster.guarantee
    if asked.vms is None:
        return cluster
    named = set(resolve(asked.vms, cluster.vms))
    vms = [evolve(vm, protected=vm.protected and vm.name in named) for vm in cluster.vms]
    return evolve(cluster, vms=vms, guarantee=evolve(asked, vms=None))


class Conjunction(World):
    """A cluster under all of its guarantees; `parts` are its worlds under each."""

    def __init__(self, cluster: Cluster, *, powered: Collection[str] | None = None, drained: Collection[str] = ()) -> None:
        self.parts = [World(one, powered=powered, drained=drained) for one in alone(cluster)]
        super().__init__(evolve(cluster, guarantee=self.parts[0].cluster.guarantee, further=()), powered=powered, drained=drained)
        self._rank({priority for part in self.parts for priority in part.priorities})

    def _rank(self, priorities: Collection[int]) -> None:
        for world in (self, *self.parts):
            world.priorities = sorted(priorities, reverse=True)

    def _of(self, change: Callable[[World], World]) -> "Conjunction":
        world = copy(self)
        world.parts, world._losses = [change(part) for part in self.parts], {}
        return world

    def powering(self, nodes: Collection[str]) -> "Conjunction":
        world = self._of(lambda part: part.powering(nodes))
        world.powered = frozenset(nodes)
        return world

    def eased(self, *, lost: bool = False) -> "Conjunction":
        return self._of(lambda part: part.eased(lost=lost))

    def right(self, node_of: Placement, headroom: bool = True) -> bool:
        return all(part.right(node_of, headroom) for part in self.parts)

    def all_survivable(self, node_of: Placement) -> bool:
        return all(part.all_survivable(node_of) for part in self.parts)

    def losses(self, node_of: Placement) -> dict[str, Vector]:
        return self._each(lambda part: part.losses(node_of))

    def losses_now(self) -> dict[str, Vector]:
        return self._each(World.losses_now)

    def _each(self, losses: Callable[[World], Mapping[str, Vector]]) -> dict[str, Vector]:
        return {scenario_key(n, key): loss for n, part in enumerate(self.parts) for key, loss in losses(part).items()}

    def verdict(self) -> Verdict:
        found = [part.verdict() for part in self.parts]
        unsafe = any(verdict.status == "unsafe" for verdict in found)
        return evolve(found[0], status="unsafe" if unsafe else "safe", losses=self.losses(self.now))

    def _distinct(self, vm: VM, choices: Sequence[str], node_of: Placement) -> Iterator[str]:
        """Which VMs are alike differs from guarantee to guarantee: none are."""
        return iter(choices)
