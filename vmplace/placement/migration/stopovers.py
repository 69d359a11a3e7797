"""Cyclic live migrations: where moves wait for each other in a circle, a VM stops over on an intermediate host."""

from collections.abc import Iterator, Sequence

import networkx as nx
import numpy as np
from attrs import define, field

from vmplace.model.columns import BoolArray, IntArray
from vmplace.placement.migration.transit import Hop, MigrationState
from vmplace.solvers.budget import Budget

__all__ = ["stop_over"]

_TRIED = 12
"""So many blocked moves are tried to be let through."""

_DEPTH = 3
"""So many times room for what makes room is made."""

_WIDE = 4
"""So many nodes are tried for a stop-over that first needs room made."""


def stop_over(state: MigrationState, rank: IntArray, *, budget: Budget) -> list[Hop] | None:
    """Hops, one after the other, that let one blocked unit reach its goal: the cheapest of those tried; None if none is found.

    A move waits for those that leave its target. Where none can go, some wait in a circle: these are the strongly connected
    components of the graph of nodes and moves, and only those count that wait for no other component.

    Parameters
    ----------
    state
        Nothing that is pending can go; it is left as it is.
    """
    best: tuple[bool, int, list[Hop]] | None = None
    for unit in _blocked(state, rank):
        if budget.spent:
            break
        node, before = int(state.transit.goal[unit]), _astray(state)
        clearing = _StopOver(state, rank)
        if clearing.clear(node, unit, frozenset({unit}), 0):
            clearing.hops.append(state.go(unit, node))
            value = _astray(state) >= before, clearing.cost
            if best is None or value < best[:2]:
                best = *value, list(clearing.hops)
        state.take_back(clearing.hops)
    return None if best is None else best[2]


def _astray(state: MigrationState) -> int:
    """The memory that is not where it belongs: what gets less of it cannot go round in circles."""
    return int(state.transit.memory[state.pending].sum())


def _blocked(state: MigrationState, rank: IntArray) -> Sequence[int]:
    """Movable pending units of the circles that wait for no others, those first whose target lacks least."""
    transit, pending = state.transit, state.pending
    pending = pending[transit.movable[pending]]
    graph = nx.DiGraph(zip(state.at[pending].tolist(), transit.goal[pending].tolist(), strict=True))
    order = nx.condensation(graph)
    last = {node for part in order if not order.out_degree(part) for node in order.nodes[part]["members"]}
    mine = pending[[node in last for node in transit.goal[pending].tolist()]] if len(pending) else pending
    lack = np.maximum(transit.demand[mine] - state.room[transit.goal[mine]], 0)[:, 0]
    found: list[int] = mine[np.lexsort((rank[mine], lack))][:_TRIED].tolist()
    return found


@define(eq=False)
class _StopOver:
    """Hops that make room on a node, made on the migration state as they are found."""

    state: MigrationState
    rank: IntArray
    hops: list[Hop] = field(factory=list)

    @property
    def cost(self) -> int:
        """The memory that migrates for this alone: a unit that has to come back counts twice."""
        transit, seen, cost = self.state.transit, set(), 0
        for unit, source, node in self.hops:
            home = int(transit.goal[unit])
            cost += int(transit.memory[unit]) * (node != home) * (2 if source == home and unit not in seen else 1)
            seen.add(unit)
        return cost

    def clear(self, node: int, unit: int, banned: frozenset[int], depth: int) -> bool:
        """Make way for a unit on a node, by moving others away that are not banned; whether it worked."""
        state, moved = self.state, set(banned)
        while not (state.holds(unit, node) and state.apart(unit, node)):
            hop = next(self._ways(node, unit, frozenset(moved), depth), None)
            if hop is None:
                return False
            moved.add(hop[0])
            self.hops.append(state.go(*hop))
        return True

    def _ways(self, node: int, unit: int, banned: frozenset[int], depth: int) -> Iterator[tuple[int, int]]:
        """Units that may leave for another, and where to: those first that cost least, or free most where none is enough."""
        transit, state = self.state.transit, self.state
        rivals, zone = state.rivals(unit, node)
        if rivals:
            away = zone if zone is not None else self._only(node)
            leaving = np.array([rival for rival in rivals if rival not in banned and transit.movable[rival]], dtype=np.int64)
        else:
            away, leaving = self._only(node), self._leaving(node, banned)
        lack = transit.demand[unit] - state.room[node]
        enough = ((transit.demand[leaving] >= lack) | (lack <= 0)).all(axis=1)
        settled = transit.goal[leaving] == state.at[leaving]
        weight = np.where(enough, transit.memory[leaving], -transit.memory[leaving])
        order = leaving[np.lexsort((self.rank[leaving], weight, ~enough, settled))].tolist()
        for other in order:
            target = self._target(other, away)
            if target is not None:
                yield other, target
        if depth < _DEPTH:
            yield from self._made(order, away, banned, depth)

    def _made(self, order: Sequence[int], away: BoolArray, banned: frozenset[int], depth: int) -> Iterator[tuple[int, int]]:
        """The same where room has to be made first, by moving smaller ones."""
        transit, state = self.state.transit, self.state
        for other in order[:_WIDE]:
            kept = banned | {other} | set(np.flatnonzero(transit.memory >= transit.memory[other]).tolist())
            open_ = np.flatnonzero(transit.open_to(other) & ~away)
            for target in open_[np.argsort(-state.room[open_, 0], kind="stable")][:_WIDE].tolist():
                before = len(self.hops)
                if self.clear(target, other, kept, depth + 1):
                    yield other, target
                    return
                state.take_back(self.hops[before:])
                del self.hops[before:]

    def _leaving(self, node: int, banned: frozenset[int]) -> IntArray:
        here = np.flatnonzero((self.state.at == node) & self.state.transit.movable)
        return here[~np.isin(here, list(banned))]

    def _only(self, node: int) -> BoolArray:
        return np.asarray(np.arange(len(self.state.room)) == node)

    def _target(self, unit: int, away: BoolArray) -> int | None:
        """Where a unit can go at once: its goal, or else the node with most room."""
        transit, state = self.state.transit, self.state
        goal = int(transit.goal[unit])
        if goal != state.at[unit] and not away[goal] and state.holds(unit, goal) and state.apart(unit, goal):
            return goal
        nodes = np.flatnonzero(transit.open_to(unit) & ~away)
        nodes = nodes[state.holds(unit, nodes)]
        ordered = nodes[np.argsort(-state.room[nodes, 0], kind="stable")].tolist()
        return next((target for target in ordered if target != state.at[unit] and state.apart(unit, target)), None)
