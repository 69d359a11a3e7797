"""Greedy failover plans for one failure: best-fit and worst-fit decreasing, with rules."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.restart import Item, RestartProblem
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.rules import restart_breaches
from vmplace.problem.state import PlacementState

__all__ = ["Assignment", "pack_all", "pack_most", "pack_softest", "plan_among", "soft_cost", "stranded"]

Assignment = list[tuple[Item, int]]
"""Items with the candidate (an index into `RestartProblem.nodes`) each restarts on."""

_FULL = np.iinfo(np.int64).max


def pack_all(restart: RestartProblem, *, soft: bool = False) -> Assignment | None:
    """A plan for all, or None if these quick ways find none; with `soft`, one that keeps every soft rule that can be kept."""
    items = restart.joint_items(soft=soft)
    return next((packed for packed in _ways(restart, items, soft) if len(packed) == len(items)), None)


def pack_softest(restart: RestartProblem) -> Assignment | None:
    """Of such plans the one in which soft rules cost least."""
    kept = pack_all(restart, soft=restart.has_soft)
    if not restart.has_soft or (kept is not None and soft_cost(restart, kept) <= restart.least_soft_cost):
        return kept
    plans = [plan for plan in (kept, pack_all(restart)) if plan is not None]
    return min(plans, key=lambda plan: soft_cost(restart, plan), default=None)


def soft_cost(restart: RestartProblem, plan: Assignment) -> int:
    """What a plan costs in soft rules."""
    cost = 0
    for rule, standing in zip(restart.rules, restart.standing, strict=True):
        if rule.must:
            continue
        to = np.array([i for item, i in plan for _ in range(restart.members(rule, item))], dtype=np.int64)
        if len(to):
            cost += rule.weight * restart_breaches(rule, restart.nodes[to], standing[to])
    return cost


def stranded(restart: RestartProblem) -> list[Item]:
    """The items left out where these quick ways leave out the fewest."""
    items = restart.joint_items()
    most: Assignment = []
    for packed in _ways(restart, items, soft=False):
        most = max(most, packed, key=len)
        if len(most) == len(items):
            break
    placed = {item.vms for item, _ in most}
    return [item for item in items if item.vms not in placed]


def _ways(restart: RestartProblem, items: list[Item], soft: bool) -> Iterator[Assignment]:
    scarce = sorted(items, key=lambda item: (int(item.allowed.sum()), -item.memory))
    for order in (items, scarce):
        for tightest in (True, False):
            yield _pack(restart, order, soft=soft, tightest=tightest)


def pack_most(restart: RestartProblem) -> Assignment:
    """A plan for as many as come: higher priority first, then larger."""
    items = sorted(restart.single_items, key=lambda item: (-item.priority, -item.memory, item.likeness))
    return _pack(restart, items, soft=False)


def _pack(restart: RestartProblem, items: list[Item], *, soft: bool, tightest: bool = True) -> Assignment:
    """Each item in turn onto the fitting candidate where soft rules cost least, of these where it leaves the least room, or the
    most."""
    room = restart.room.copy()
    closed = np.zeros((len(restart.rules), len(room)), dtype=bool)
    costs = _SoftCosts(restart, soft) if restart.has_soft else None
    packed: Assignment = []
    for item in items:
        fits = item.allowed & (room >= np.array(item.demand)).all(axis=1)
        bound = list(_bound(restart, item, soft))
        if bound:
            fits &= ~closed[bound].any(axis=0)
        if costs is not None:
            fits = costs.least(item, fits)
        if not fits.any():
            continue
        free = room[:, 0]
        chosen = int(np.where(fits, free, _FULL).argmin() if tightest else np.where(fits, free, -1).argmax())
        room[chosen] -= item.demand
        for k in bound:
            zone = restart.zones[k]
            if zone is not None:
                closed[k, zone == zone[chosen]] = True
            elif restart.rules[k].kind == "together":
                closed[k] = True
                closed[k, chosen] = False
        if costs is not None:
            costs.take(item, chosen)
        packed.append((item, chosen))
    return packed


def _bound(restart: RestartProblem, item: Item, soft: bool) -> Iterator[int]:
    for k, rule in enumerate(restart.rules):
        if restart.binds(rule, soft=soft) and restart.members(rule, item):
            yield k


class _SoftCosts:
    """What the next item costs on each candidate in soft rules that it need not keep."""

    def __init__(self, restart: RestartProblem, soft: bool) -> None:
        self._restart = restart
        loose = [k for k, rule in enumerate(restart.rules) if not restart.binds(rule, soft=soft)]
        self._here = {k: restart.standing[k].copy() for k in loose}

    def least(self, item: Item, fits: BoolArray) -> BoolArray:
        """Of some candidates those where an item costs least."""
        cost = np.zeros(len(fits), dtype=np.int64)
        for k, here in self._here.items():
            rule, members = self._restart.rules[k], self._restart.members(self._restart.rules[k], item)
            if members and rule.kind == "together":
                cost += rule.weight * (here.any() & (here == 0))
            elif members:
                cost += rule.weight * members * (here if rule.nodes is None else ~rule.nodes[self._restart.nodes])
        return np.asarray(fits & (cost == cost[fits].min(initial=_FULL)))

    def take(self, item: Item, chosen: int) -> None:
        """Count an item in."""
        for k, here in self._here.items():
            zone = self._restart.zones[k]
            near = np.arange(len(here)) == chosen if zone is None else zone == zone[chosen]
            here[near] += self._restart.members(self._restart.rules[k], item)


def plan_among(state: PlacementState, scenario: int, vms: IntArray) -> tuple[IntArray, IntArray]:
    """Where some of the VMs that a failure displaces restart if all units fail at once."""
    part = RestartProblem.of(state, scenario).only(vms)
    pairs = [(vm, i) for item, i in pack_all(part) or pack_most(part) for vm in item.vms]
    placed, chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return placed, part.nodes[chosen]
