"""A* search over placements: the way to another with the least memory migrated, or a proof that there is none."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.placement.migration.transit import Hop, MigrationProblem, MigrationState
from vmplace.solvers.budget import Budget

__all__ = ["Reachability", "reach", "separated"]

_MOST_STATES = 60_000
"""So many states are come upon at most."""

_HASTE = 4
"""Without a way, what is still to go counts so many times: to find one rather than the best."""


@frozen(eq=False)
class Reachability:
    """What a search over states ends with.

    Parameters
    ----------
    hops
        A way, a hop at a time: the one on which least memory migrates, unless it was a hasty search; None if none was found.
    exhausted
        Whether all that can be reached was looked at: then there is no way.
    """

    hops: list[Hop] | None
    exhausted: bool
    states: int


def reach(transit: MigrationProblem, *, hasty: bool = False, budget: Budget) -> Reachability:
    """The least memory migrated from one placement to the other, by A* over all states, where these are few enough.

    A batch can always be made one hop after the other: while it lasts it takes all that any of these hops needs. So what no
    single hops reach is out of reach. What is still to go straight is a lower bound on what must migrate [1]_.

    Parameters
    ----------
    hasty
        Whether any way will do: it is found sooner, and need not be the one with the least memory.

    References
    ----------
    .. [1] P. E. Hart, N. J. Nilsson, B. Raphael, "A formal basis for the heuristic determination of minimum cost paths", 1968.
    """
    return _ShortestPath(transit, _HASTE if hasty else 1).run(budget)


def separated(transit: MigrationProblem, *, budget: Budget) -> int | None:
    """After how many states it is clear that the target is out of reach even if units that are alike could stand for each other.

    Which hops are possible depends on how many of each kind are where, not on which. None where that does not tell.
    """
    found = _ShortestPath(transit, 0, _kinds(transit)).run(budget)
    return found.states if found.exhausted else None


def _kinds(transit: MigrationProblem) -> list[IntArray]:
    """Units that need the same, may go to the same nodes and are under no rule with others, by kind."""
    kinds: dict[bytes, list[int]] = {}
    for unit in range(transit.n_units):
        if transit.movable[unit] and unit not in transit.rules_of:
            kinds.setdefault(transit.demand[unit].tobytes() + transit.open_to(unit).tobytes(), []).append(unit)
    return [np.array(kind, dtype=np.int64) for kind in kinds.values() if len(kind) > 1]


class _ShortestPath:
    """Best first; states that differ only in which of some alike units are where count as one."""

    def __init__(self, transit: MigrationProblem, weight: int, kinds: Sequence[IntArray] = ()) -> None:
        self.transit, self.weight, self.kinds = transit, weight, kinds
        self.open_to = np.array([transit.open_to(unit) for unit in range(transit.n_units)]).reshape(transit.n_units, -1)
        self.open_to &= transit.movable[:, None]
        moving = np.flatnonzero(transit.movable)
        self.open_to[moving, transit.goal[moving]] = True

    def run(self, budget: Budget) -> Reachability:
        transit = self.transit
        start, goal = self._ordered(transit.source), self._ordered(transit.goal)
        least, came = {start.tobytes(): 0}, dict[bytes, tuple[bytes, Hop]]()
        queue, done, serial = [(0, 0, 0, start)], set[bytes](), 0
        while queue:
            _, _, _, at = heappop(queue)
            key = at.tobytes()
            if key in done:
                continue
            done.add(key)
            if np.array_equal(at, goal):
                return Reachability(_path(came, key), False, len(done))
            if len(least) >= _MOST_STATES or budget.spent:
                return Reachability(None, False, len(done))
            for hop in self._hops(at):
                unit, _, node = hop
                there = at.copy()
                there[unit] = node
                there = self._ordered(there)
                name, cost = there.tobytes(), least[key] + int(transit.memory[unit])
                if cost < least.get(name, cost + 1):
                    least[name], came[name] = cost, (key, hop)
                    rest = int(transit.memory[there != goal].sum())
                    serial -= 1  # of equals the latest, which is furthest on its way
                    heappush(queue, (cost + self.weight * rest, rest, serial, there))
        return Reachability(None, True, len(done))

    def _ordered(self, at: IntArray) -> IntArray:
        at = at.astype(np.int64)
        for kind in self.kinds:
            at[kind] = np.sort(at[kind])
        return at

    def _hops(self, at: IntArray) -> Iterator[Hop]:
        state, transit = MigrationState.of(self.transit, at), self.transit
        need = transit.demand[:, None, :]
        fits = ((need <= state.room[None, :, :]) | (need == 0)).all(axis=2) & self.open_to
        fits[np.arange(len(at)), at] = False
        for unit, node in zip(*(axis.tolist() for axis in np.nonzero(fits)), strict=True):
            if state.apart(unit, node):
                yield unit, int(at[unit]), node


def _path(came: dict[bytes, tuple[bytes, Hop]], key: bytes) -> list[Hop]:
    hops = []
    while key in came:
        key, hop = came[key]
        hops.append(hop)
    return hops[::-1]
