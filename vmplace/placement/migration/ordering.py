"""Migration planning: live migrations put in order so that the guarantee holds after as many steps as possible."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf
from random import Random

import numpy as np
from attrs import define, field, frozen

from vmplace.failover.certify import certify_all
from vmplace.failover.verdict import JointVerdict
from vmplace.model.columns import BoolArray, IntArray
from vmplace.placement.migration.batches import Batch, BatchGate, Safe, batches, in_batches
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.shortest_path import reach, separated
from vmplace.placement.migration.transit import Hop, MigrationProblem, MigrationState
from vmplace.problem.problem import Problem
from vmplace.solvers.budget import Budget

__all__ = ["GuaranteeWatch", "MigrationOrder", "least_exposed", "order"]

_TRIES, _PATIENCE = 8, 3
"""So many ways are tried, and so many after the best."""

_MANY, _JUDGED = 2_000, 300
"""Of more moves than this, or after so many judged states, no more ways are tried."""

_SMALL = 200
"""Up to so many ways to put one unit on one node, all states are looked at for a better way than one that is known."""

_MOST_WAYS = 1_000_000
"""With more of them no state is looked at."""

_MOST_UNITS = 8
"""Up to so many units, all orders of all batches are looked at."""

_CERTIFY_SHARE, _REACH_SHARE = 0.2, 0.5


@define(eq=False)
class GuaranteeWatch:
    """Whether all guarantees hold in states on the way; each is judged once.

    Parameters
    ----------
    ending
        The placement with which nodes are switched off, shape (n_vms,), and those that stay on, shape (n_nodes,). Until then
        all are on. None: all stay on.
    """

    problem: Problem
    budget: Budget
    ending: tuple[IntArray, BoolArray] | None = None
    _known: dict[bytes, bool] = field(factory=dict)

    @property
    def judged(self) -> int:
        """How many states were."""
        return len(self._known)

    def holds(self, node_of: IntArray) -> bool:
        """Whether it is known to hold."""
        key = node_of.tobytes()
        if key not in self._known:
            budget = self.budget.share(_CERTIFY_SHARE).silent()
            on = self._left_on(node_of)
            verdict = certify_all(self.problem, node_of, budget=budget, powered=on, losses=False, stop_early=True)
            self._known[key] = verdict.safe
        return self._known[key]

    def verdict(self, node_of: IntArray) -> JointVerdict:
        """What each failure does in a state."""
        return certify_all(self.problem, node_of, budget=self.budget, powered=self._left_on(node_of))

    def _left_on(self, node_of: IntArray) -> BoolArray | None:
        final, powered = self.ending or (None, None)
        return powered if final is not None and np.array_equal(node_of, final) else None


@frozen(eq=False)
class MigrationOrder:
    """An order of migrations, or why there is none.

    Parameters
    ----------
    batches
        In order; None if there is no way, or none was found.
    impossible
        Why there is no way, if that is proved.
    extra
        MiB that migrate only to make way.
    extra_proved, exposed_proved
        Whether no way has less of it, or of that fewer steps after which the guarantee does not hold.
    """

    batches: list[Batch] | None
    impossible: str = ""
    extra: int = 0
    extra_proved: bool = False
    exposed_proved: bool = False
    stats: dict[str, int] = field(factory=dict)


def order(
    transit: MigrationProblem, watch: GuaranteeWatch, limits: MigrationLimits, *, budget: Budget, cold: Sequence[int] = ()
) -> MigrationOrder:
    """The best order found: least memory migrated to make way, then fewest steps that leave it exposed, then fewest steps.

    `cold`: the memory of each VM that moves cold beside, in MiB; the limits count it, too.
    """
    return _OrderSearch(transit, watch, limits, budget, cold).run()


@define(eq=False)
class _OrderSearch:
    transit: MigrationProblem
    watch: GuaranteeWatch
    limits: MigrationLimits
    budget: Budget
    cold: Sequence[int]
    stats: dict[str, int] = field(factory=dict)

    def run(self) -> MigrationOrder:
        found = self._tried()
        if found is not None and self._value(found)[:2] == (0, 0):
            return self._judged(found, extra_proved=True)
        if found is None or self._value(found)[0]:
            return self._reached(found)
        if len(self._moving) <= _MOST_UNITS:
            best = least_exposed(self.transit, self.limits, self._safe, budget=self.budget.share(_REACH_SHARE))
            if best is not None:
                return self._judged(best, extra_proved=True, exposed_proved=True)
        return self._judged(found, extra_proved=True)

    @property
    def _moving(self) -> IntArray:
        return np.flatnonzero(self.transit.source != self.transit.goal)

    def _tried(self) -> list[Batch] | None:
        """The best of some ways."""
        best, since = None, 0
        for number in range(_TRIES):
            random = Random(f"{self.limits.seed}/{number}") if number else None
            found = batches(self.transit, self.limits, self._safe, budget=self.budget, random=random)
            self.stats["tries"], since = number + 1, since + 1
            if found is not None and (best is None or self._value(found) < self._value(best)):
                best, since = found, 0
            late = since >= _PATIENCE or len(self._moving) > _MANY or self.watch.judged > _JUDGED
            if self.budget.spent or (best is not None and (late or self._value(best)[:2] == (0, 0))):
                break
        return best

    def _reached(self, found: list[Batch] | None) -> MigrationOrder:
        """A way with stop-overs, or none: all states tell which, where they are few enough."""
        ways = self.transit.n_units * self.transit.problem.n_nodes
        if found is not None and (ways > _SMALL or self.budget.spent):
            return self._judged(found)
        if ways > _MOST_WAYS or self.budget.spent:
            return MigrationOrder(None, stats=self.stats)
        best = known = reach(self.transit, budget=self.budget.share(_REACH_SHARE))
        self.stats["states"] = known.states
        states = known.states if known.exhausted else None
        if found is None and known.hops is None and not known.exhausted:
            states = separated(self.transit, budget=self.budget.share(_REACH_SHARE))
            known = reach(self.transit, hasty=True, budget=self.budget) if states is None else known
        if states is not None:
            many = f"{states} placements can be reached from here, and the target is not one of them"
            return MigrationOrder(None, "no VM can migrate" if states == 1 else many, stats=self.stats)
        if known.hops is not None:
            least = in_batches(MigrationState.of(self.transit), known.hops, self.limits)
            if found is None or self._value(least) < self._value(found):
                found = least
        return (
            MigrationOrder(None, stats=self.stats) if found is None else self._judged(found, extra_proved=best.hops is not None)
        )

    def _judged(self, found: list[Batch], *, extra_proved: bool = False, exposed_proved: bool = False) -> MigrationOrder:
        extra, exposed, _ = self._value(found)
        hops = [hop for batch in found for hop in batch]
        moves = sum(int(self.transit.size[unit]) for unit, _, _ in hops) + len(self.cold)
        migrated = self.transit.direct() + extra + sum(self.cold)
        least_moves = int(self.transit.size[self._moving].sum()) + len(self.cold)
        if least_moves > _most(self.limits.max_moves) or (extra_proved and migrated > _most(self.limits.max_migrated)):
            what = f"{least_moves} VMs have to migrate, max_moves allows {self.limits.max_moves}"
            if least_moves <= _most(self.limits.max_moves):
                what = f"{migrated} MiB have to migrate, max_migrated allows {self.limits.max_migrated}"
            return MigrationOrder(None, what, stats=self.stats)
        if moves > _most(self.limits.max_moves) or migrated > _most(self.limits.max_migrated):
            return MigrationOrder(None, stats=self.stats)
        return MigrationOrder(found, "", extra, extra_proved, exposed_proved or not exposed, self.stats)

    def _value(self, found: Sequence[Batch]) -> tuple[int, int, int]:
        migrated = sum(int(self.transit.memory[unit]) for batch in found for unit, _, _ in batch)
        at, exposed = self.transit.source.copy(), 0
        for batch in found:
            for unit, _, node in batch:
                at[unit] = node
            exposed += not self._safe(at)
        return migrated - self.transit.direct(), exposed, len(found)

    def _safe(self, at: IntArray) -> bool:
        return self.watch.holds(self.transit.node_of(at))


def _most(limit: int | None) -> float:
    return inf if limit is None else limit


def least_exposed(transit: MigrationProblem, limits: MigrationLimits, safe: Safe, *, budget: Budget) -> list[Batch] | None:
    """The batches with the fewest states after one that are not safe, and the fewest of such: by all orders of all batches.

    Each unit goes straight to its goal, once. None where that is impossible, or not told in time.

    Parameters
    ----------
    transit, limits
        What is to move, `_MOST_UNITS` units at most, and how much at a time.
    """
    units = np.flatnonzero(transit.source != transit.goal)
    queue: list[tuple[int, int, int, tuple[Batch, ...]]] = [(0, 0, 0, ())]
    seen, whole = set[int](), (1 << len(units)) - 1
    while queue and not budget.spent:
        exposed, count, done, made = heappop(queue)
        if done == whole:
            return list(made)
        if done in seen:
            continue
        seen.add(done)
        left = [unit for bit, unit in enumerate(units.tolist()) if not done >> bit & 1]
        at = _after(transit, units, done)
        for batch in _subsets(MigrationState.of(transit, at), left, BatchGate(limits, transit.size)):
            then = done | sum(1 << int(np.searchsorted(units, unit)) for unit, _, _ in batch)
            if then not in seen:
                worse = int(not safe(_after(transit, units, then)))
                heappush(queue, (exposed + worse, count + 1, then, (*made, batch)))
    return None


def _after(transit: MigrationProblem, units: IntArray, done: int) -> IntArray:
    moved = units[[bool(done >> bit & 1) for bit in range(len(units))]] if len(units) else units
    at = transit.source.copy()
    at[moved] = transit.goal[moved]
    return at


def _subsets(state: MigrationState, left: list[int], gate: BatchGate) -> Iterator[Batch]:
    """Every batch that some of the units can make."""
    for number, unit in enumerate(left):
        hop: Hop = unit, int(state.at[unit]), int(state.transit.goal[unit])
        node = hop[2]
        if gate.admits(hop) and state.holds(unit, node) and state.apart(unit, node):
            state.begin(unit, node)
            gate.add(hop)
            yield tuple(gate.hops)
            yield from _subsets(state, left[number + 1 :], gate)
            gate.drop()
            state.cancel(unit, node)
