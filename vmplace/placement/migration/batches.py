"""Greedy migration order: batches of as many parallel migrations as possible, fewer where that keeps the guarantee."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from attrs import define, field

from vmplace.model.columns import IntArray
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.stopovers import stop_over
from vmplace.placement.migration.transit import Hop, MigrationProblem, MigrationState
from vmplace.solvers.budget import Budget

__all__ = ["Batch", "BatchGate", "Safe", "batches", "in_batches"]

Batch = tuple[Hop, ...]
"""Hops that are made at the same time."""

Safe = Callable[[IntArray], bool]
"""Whether the guarantee is known to hold with each unit on some node, shape (n_units,)."""

_STOPS = 4
"""So many times as many stops are made as there are moves, before it is given up."""


_PROBED = 12
"""So many moves are looked at one by one for those that keep the guarantee, beside those that would have gone."""


@define(eq=False)
class BatchGate:
    """Lets hops into a batch as long as they are within the limits."""

    limits: MigrationLimits
    size: IntArray
    hops: list[Hop] = field(factory=list)
    _count: int = field(default=0, init=False)
    _busy: Counter[int] = field(factory=Counter, init=False)

    def admits(self, hop: Hop) -> bool:
        """Whether one more hop is within the limits."""
        unit, source, node = hop
        more, each = int(self.size[unit]), self.limits.parallel_per_node
        counts = ((self.limits.parallel, self._count), (each, self._busy[source]), (each, self._busy[node]))
        return all(most is None or not there or there + more <= most for most, there in counts)

    def add(self, hop: Hop) -> None:
        """Let it in."""
        self.hops.append(hop)
        self._tally(hop, 1)

    def drop(self) -> None:
        """Take back the latest."""
        self._tally(self.hops.pop(), -1)

    def _tally(self, hop: Hop, sign: int) -> None:
        unit, source, node = hop
        more = sign * int(self.size[unit])
        self._count += more
        self._busy[source] += more
        self._busy[node] += more


def in_batches(state: MigrationState, hops: Sequence[Hop], limits: MigrationLimits) -> list[Batch]:
    """Hops that can be made one after the other, made: those that follow each other at the same time where that is possible."""
    made, gate = [], BatchGate(limits, state.transit.size)
    for hop in hops:
        unit, _, node = hop
        waits = any(other == unit for other, _, _ in gate.hops)
        if waits or not gate.admits(hop) or not (state.holds(unit, node) and state.apart(unit, node)):
            made.append(_finished(state, gate.hops))
            gate = BatchGate(limits, state.transit.size)
        state.begin(unit, node)
        gate.add(hop)
    return [*made, _finished(state, gate.hops)] if gate.hops else made


def _finished(state: MigrationState, hops: Sequence[Hop]) -> Batch:
    for unit, _, node in hops:
        state.finish(unit, node)
    return tuple(hops)


def batches(
    transit: MigrationProblem, limits: MigrationLimits, safe: Safe, *, budget: Budget, random: Random | None = None
) -> list[Batch] | None:
    """A way to the goal in batches, or None where this finds none.

    Each batch has all that can go straight to its goal, within headroom if possible; of these as many as keep the guarantee
    where some do. Where nothing can go, something stops over (`stop_over`).

    Parameters
    ----------
    random
        Varies the order in which moves are looked at; None: the largest first, of those whose node is waited for.
    """
    return _Rounds(transit, limits, safe, budget, random).run()


@define(eq=False)
class _Rounds:
    transit: MigrationProblem
    limits: MigrationLimits
    safe: Safe
    budget: Budget
    random: Random | None
    state: MigrationState = field(init=False)
    rank: IntArray = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.state = MigrationState.of(self.transit)
        self.rank = np.arange(self.transit.n_units)
        if self.random is not None:
            self.random.shuffle(shuffled := self.rank.tolist())
            self.rank = np.array(shuffled, dtype=np.int64)

    def run(self) -> list[Batch] | None:
        made: list[Batch] = []
        total = len(self.state.pending)
        stops, safe_now, seen = _STOPS * total, self.safe(self.state.at), set()
        while len(pending := self.state.pending):
            self.budget.tell("order", done=total - len(pending), total=total)
            if self.budget.spent:
                return None
            batch = self._direct(pending, safe_now)
            if batch:
                made.append(_finished(self.state, batch))
            else:
                key = self.state.at.tobytes()
                hops = None if key in seen else stop_over(self.state, self.rank, budget=self.budget)
                seen.add(key)
                stops -= 1 if hops is None else len(hops)
                if hops is None or stops < 0:
                    return None
                made += in_batches(self.state, hops, self.limits)
            safe_now = self.safe(self.state.at)
        return made

    def _direct(self, pending: IntArray, safe_now: bool) -> list[Hop]:
        """What goes straight to its goal next; it has taken its room there."""
        transit, state = self.transit, self.state
        headroom = state.headroom
        for spare in (headroom, np.zeros_like(headroom)) if headroom.any() else (headroom,):
            goal = transit.goal[pending]
            ready = self._ordered(pending[state.holds(pending, goal, spare[goal]) & transit.movable[pending]], pending)
            gate = BatchGate(self.limits, transit.size)
            for unit in ready:
                self._admit(unit, gate, spare)
            if gate.hops:
                return self._guarded(gate.hops, ready, spare) if safe_now else gate.hops
        return []

    def _admit(self, unit: int, gate: BatchGate, spare: IntArray) -> bool:
        """Have a unit begin its way to its goal, if there is room and nothing is against it."""
        state = self.state
        source, node = int(state.at[unit]), int(self.transit.goal[unit])
        hop = unit, source, node
        if not (gate.admits(hop) and state.holds(unit, node, spare[node]) and state.apart(unit, node)):
            return False
        state.begin(unit, node)
        gate.add(hop)
        return True

    def _ordered(self, ready: IntArray, pending: IntArray) -> list[int]:
        """Those first that leave a node for which others lack room, the largest of them first."""
        transit, state = self.transit, self.state
        wanted = np.zeros(len(state.room), dtype=np.int64)
        np.add.at(wanted, transit.goal[pending], transit.memory[pending])
        wanting = (wanted > state.room[:, 0])[state.at[ready]]
        size = -transit.memory[ready] if self.random is None or self.random.random() < 0.5 else np.zeros(len(ready))
        ordered: list[int] = ready[np.lexsort((self.rank[ready], size, ~wanting))].tolist()
        return ordered

    def _guarded(self, hops: list[Hop], ready: list[int], spare: IntArray) -> list[Hop]:
        """Of hops that have begun, or could, as many as are found to keep the guarantee; if none do, all that have begun."""
        kept = self._keeping(hops, [])
        if len(kept) == len(hops):
            return hops
        for unit, _, node in hops:
            self.state.cancel(unit, node)
        gate, begun = BatchGate(self.limits, self.transit.size), {unit for unit, _, _ in hops}
        for unit, _, _ in kept:
            self._admit(unit, gate, spare)
        others = sorted((unit for unit in ready if unit not in begun), key=lambda unit: int(self.transit.memory[unit]))
        for unit in others[:_PROBED]:  # the smallest use up least of what the guarantee has to spare
            if self._admit(unit, gate, spare) and self._keeping(gate.hops[-1:], gate.hops[:-1]) == gate.hops[:-1]:
                self.state.cancel(unit, gate.hops[-1][2])
                gate.drop()
        if not gate.hops:
            for unit, _, _ in hops:
                self._admit(unit, gate, spare)
        return gate.hops

    def _keeping(self, hops: list[Hop], kept: list[Hop]) -> list[Hop]:
        """The kept hops and those of the others that go with them, told by halves."""
        if not hops or self.budget.spent:
            return kept
        at = self.state.at.copy()
        for unit, _, node in [*kept, *hops]:
            at[unit] = node
        if self.safe(at):
            return [*kept, *hops]
        if len(hops) == 1:
            return kept
        half = len(hops) // 2
        return self._keeping(hops[half:], self._keeping(hops[:half], kept))
