"""Greedy failover plans for one failure: best-fit and worst-fit decreasing, with rules."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.restart import Item, RestartProblem
from vmplace.model.columns import IntArray
from vmplace.problem.state import PlacementState

__all__ = ["Assignment", "pack_all", "pack_most", "plan_among", "stranded"]

Assignment = list[tuple[Item, int]]
"""Items with the candidate (an index into `RestartProblem.nodes`) each restarts on."""

_FULL = np.iinfo(np.int64).max


def pack_all(restart: RestartProblem, *, soft: bool) -> Assignment | None:
    """A plan for all, or None if these quick ways find none; with `soft`, one that keeps every rule that can be kept."""
    items = restart.joint_items(soft=soft)
    return next((packed for packed in _ways(restart, items, soft) if len(packed) == len(items)), None)


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
    """Each item in turn onto the fitting candidate that it leaves the least room on, or the most."""
    room = restart.room.copy()
    closed = np.zeros((len(restart.rules), len(room)), dtype=bool)
    packed: Assignment = []
    for item in items:
        fits = item.allowed & (room >= np.array(item.demand)).all(axis=1)
        bound = list(_bound(restart, item, soft))
        if bound:
            fits &= ~closed[bound].any(axis=0)
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
        packed.append((item, chosen))
    return packed


def _bound(restart: RestartProblem, item: Item, soft: bool) -> Iterator[int]:
    for k, rule in enumerate(restart.rules):
        if restart.binds(rule, soft=soft) and restart.members(rule, item):
            yield k


def plan_among(state: PlacementState, scenario: int, vms: IntArray) -> tuple[IntArray, IntArray]:
    """Where some of the VMs that a failure displaces restart if all units fail at once."""
    part = RestartProblem.of(state, scenario).only(vms)
    pairs = [(vm, i) for item, i in pack_all(part, soft=False) or pack_most(part) for vm in item.vms]
    placed, chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return placed, part.nodes[chosen]
