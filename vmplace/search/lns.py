"""Neighbourhood search: free a few VMs of a placement, place them anew exactly, keep what is better, go on.

For clusters too large, or of too many sizes, for one model. Which VMs are freed is drawn from a few kinds of neighbourhoods,
those that have helped more often than others [1]_; how many adapts to what the exact search finishes. Each step is measured in
work, so that the same steps are taken on every run; the clock only ends them.

References
----------
.. [1] S. Ropke, D. Pisinger, "An adaptive large neighborhood search heuristic for the pickup and delivery problem with time
       windows", Transportation Science 40 (2006), 455-472.
"""

from collections.abc import Callable
from fractions import Fraction
from random import Random

import numpy as np
from attrs import define, field, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.neighbourhood import search_among
from vmplace.solvers.budget import Budget

__all__ = ["improve"]

_EFFORT = 0.15
_FEWEST, _FIRST, _MOST = 6, 24, 160
_GROW, _SHRINK = 1.15, 0.8
_MEMORY = 0.8
_TRIES = 400
_OTHERS = 2

Neighbourhood = Callable[["_Neighbourhood", int], IntArray]
"""Of a placement and a number, about so many VMs to free."""


def improve(
    problem: Problem,
    goal: Goal,
    start: CandidatePlacement,
    *,
    budget: Budget,
    bounds: tuple[int | Fraction, ...],
    seed: int = 0,
    steps: int | None = None,
    enough: Callable[[CandidatePlacement], bool] = lambda _: False,
) -> tuple[CandidatePlacement, dict[str, float]]:
    """A candidate that is as good as the start, or better.

    Parameters
    ----------
    problem, goal
        What is asked.
    start
        What to improve.
    budget
        When it is spent, or after 400 steps in a row that did not help, the best is returned.
    bounds
        Of the goal's stages; a candidate that meets them ends the search.
    seed
        Of the random choices.
    steps
        How many neighbourhoods to try at most; None for no such limit.
    enough
        Asked now and then whether the best is good enough.

    Returns
    -------
    Candidate, dict
        The best, and how many steps were taken and how many helped.
    """
    walk = _NeighbourhoodSearch(problem, goal, start, bounds, Random(seed))
    while problem.online.any() and walk.idle < _TRIES and walk.steps != steps and not budget.spent and walk.best.values != bounds:
        if enough(walk.best):
            break
        walk.step(budget)
    return walk.best, {"neighbourhoods": walk.steps, "improvements": walk.helped}


@define
class _NeighbourhoodSearch:
    problem: Problem
    goal: Goal
    best: CandidatePlacement
    bounds: tuple[int | Fraction, ...]
    chance: Random
    steps: int = field(default=0, init=False)
    helped: int = field(default=0, init=False)
    idle: int = field(default=0, init=False)
    _slots: set[int] = field(factory=set, init=False)
    _weight: list[float] = field(init=False)
    _size: list[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._weight = [1.0] * len(_NEIGHBOURHOODS)
        self._size = [float(_FIRST)] * len(_NEIGHBOURHOODS)

    def step(self, budget: Budget) -> None:
        """Try one neighbourhood."""
        kind = self.chance.choices(range(len(_NEIGHBOURHOODS)), self._weight)[0]
        chosen = _NEIGHBOURHOODS[kind](
            _Neighbourhood(self.problem, self.goal, self.best.node_of, self.chance), round(self._size[kind])
        )
        self.steps += 1
        found = self._anew(chosen, budget) if len(chosen) else None
        helped = found is not None and found.values < self.best.values
        if helped and found is not None:
            self.best = found
            found.tell(budget, self.bounds)
        self.helped += helped
        self.idle = 0 if helped else self.idle + 1
        self._weight[kind] = max(0.1, _MEMORY * self._weight[kind] + (1 - _MEMORY) * (3.0 if helped else 0.0))

    def _others(self) -> list[int]:
        """Nodes that the chosen VMs may go to besides their own: the emptiest, and a few at random."""
        online = np.flatnonzero(self.problem.online)
        share = self.problem.load(self.best.node_of)[online] / self.problem.usable[online]
        return [int(online[share.argmin()]), *self.chance.sample(online.tolist(), min(_OTHERS, len(online)))]

    def _anew(self, chosen: IntArray, budget: Budget) -> CandidatePlacement | None:
        """The best placement of the chosen VMs, all others staying; adapts how many are chosen next."""
        onto = np.zeros(self.problem.n_nodes, dtype=bool)
        homes = self.problem.node_of[chosen]
        onto[homes[homes >= 0]] = True
        onto[self.best.node_of[chosen]] = True
        onto[self._others()] = True
        found, proved = search_among(
            self.problem,
            self.goal,
            self.best.node_of,
            chosen,
            onto,
            budget=budget,
            bounds=self.bounds,
            start=self.best,
            slots=self._slots,
            seed=self.chance.randrange(2**31),
            effort=_EFFORT,
        )
        factor = _GROW if proved else _SHRINK
        self._size = [min(max(size * factor, _FEWEST), _MOST) for size in self._size]
        return found


@frozen(eq=False)
class _Neighbourhood:
    """What neighbourhoods choose from."""

    problem: Problem
    goal: Goal
    node_of: IntArray
    chance: Random

    @property
    def free(self) -> BoolArray:
        """VMs that may be placed anew."""
        return self.goal.free(self.problem)

    def on(self, nodes: list[int], most: int, *, at_least: int = 2) -> IntArray:
        """VMs that may be placed anew on these nodes, node by node until there are enough."""
        chosen: list[int] = []
        for number, node in enumerate(nodes):
            here = np.flatnonzero(self.free & (self.node_of == node)).tolist()
            if number >= at_least and len(chosen) + len(here) > most:
                break
            chosen += here
        return np.array(chosen[: max(most, _MOST)], dtype=np.int64)

    def pool(self) -> list[int]:
        """Online nodes of one pool, in random order."""
        online = np.flatnonzero(self.problem.online)
        pool = self.problem.pool[self.chance.choice(online.tolist())]
        nodes = [int(node) for node in online if self.problem.pool[node] == pool]
        self.chance.shuffle(nodes)
        return nodes


def _some_nodes(place: _Neighbourhood, most: int) -> IntArray:
    """All VMs of random nodes."""
    return place.on(place.pool(), most)


def _extremes(place: _Neighbourhood, most: int) -> IntArray:
    """All VMs of the fullest node, of the emptiest, and of random ones."""
    nodes = place.pool()
    load = place.problem.load(place.node_of)
    share = {node: Fraction(int(load[node]), int(place.problem.usable[node])) for node in nodes}
    fullest, emptiest = max(nodes, key=lambda n: share[n]), min(nodes, key=lambda n: share[n])
    return place.on(list(dict.fromkeys([fullest, emptiest, *nodes])), most)


def _moved(place: _Neighbourhood, most: int) -> IntArray:
    """VMs that are not where they were, and all of some random node, which may do better what those do that they left."""
    moved = np.flatnonzero((place.problem.node_of >= 0) & (place.problem.node_of != place.node_of) & place.free).tolist()
    place.chance.shuffle(moved)
    others = place.on(place.pool(), 1, at_least=1)
    return np.unique(np.concatenate([np.array(moved[:most], dtype=np.int64), others]))


def _scattered(place: _Neighbourhood, most: int) -> IntArray:
    """Random VMs anywhere."""
    free = np.flatnonzero(place.free).tolist()
    return np.array(place.chance.sample(free, min(most, len(free))), dtype=np.int64)


_NEIGHBOURHOODS: tuple[Neighbourhood, ...] = (_some_nodes, _extremes, _moved, _scattered)
