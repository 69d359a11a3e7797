"""Whether all nodes can be blocked at once, as far as a linear relaxation over patterns can tell.

A *pattern* is a choice of others that blocks one node by one resource. Each node needs one pattern (or a mixture of them), and no
more of a kind may be used than there are. Patterns are generated as they are wanted [1]_, by `any_order.pricing`. A rule that
keeps the VM apart from p others may block p zones; these others are in no pattern.

The linear program works in floats and is trusted in nothing. A "no" is proved in integers: give kind k the weight w_k, let W_i be
the least weight of a pattern of node i, and take any worths 0 <= v_i <= W_i of the nodes; then the n_k others of each kind do not
suffice if ``sum(v_i) - (the most that p zones are worth, for each rule) > sum(w_k * n_k)``. The weights and worths are rounded
duals. (With demands for weights this is the certificate of `any_order.blocking`.) A "yes" is a state that is found by fixing what
the program uses most of, one by one, and played restart by restart.

Rules among the others are not in the relaxation, and resources beside the blocking one only as exactly as need be: a "no" holds
all the same. What the VM must be together with is not in it either: it is for states in which none of these has restarted.

References
----------
.. [1] P. Gilmore, R. Gomory. A linear programming approach to the cutting-stock problem. Operations Research 9, 1961.
"""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
from attrs import define

from vmplace.failover.any_order.blocking import BlockingProblem
from vmplace.failover.any_order.heuristic import Attack
from vmplace.failover.any_order.pricing import Group, Lightest
from vmplace.failover.any_order.relaxation import Relaxation, _Share
from vmplace.failover.any_order.state import Story
from vmplace.solvers.binpacking.instance import Pattern
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import Outcome

__all__ = ["cover"]

_SCALE = 2**30
"""Duals are 1 at most: their integer images, summed over some thousand VMs, stay far below 2**61."""

_FINENESS = (1, 32, 1024)
"""How exactly to tell resources beside the one that blocks a node, in turn."""

_MISSING = 1e-9
_WHOLE = 1 - 1e-7
"""In floats; it is not these that count in the end, but the state."""

_DEAR = 2.0**30
"""More than any price: its image is below `HEAVY`."""

_PATIENCE = 10
"""How many dead ends to take back."""

_MOST_BRANCHES = 500
"""Of zones that are blocked or not; with more, the search is as good."""

_GAIN = 2**10
"""By how much a pattern must be lighter than its node's price: about 1e-6."""


_Zones = frozenset[tuple[int, int]]
"""Of rules that keep the VM apart from others: (index of the rule, zone)."""


def cover(blocking: BlockingProblem, *, budget: Budget) -> tuple[Outcome, Story | None]:
    """A state that strands a VM of the kind; INFEASIBLE if it is proved that there is none, UNKNOWN if that stays open.

    Raises
    ------
    OutOfTimeError
        if the budget is spent.
    """
    if not len(blocking.nodes):
        return Outcome.OPTIMAL, Attack(blocking).story
    for fine in _FINENESS:
        lightest = Lightest(blocking, fine)
        if not lightest.affordable:
            break
        outcome, story = _branch(blocking, lightest, budget)
        if outcome is not Outcome.UNKNOWN or lightest.complete:
            return outcome, story
    return Outcome.UNKNOWN, None


def _branch(blocking: BlockingProblem, lightest: Lightest, budget: Budget) -> tuple[Outcome, Story | None]:
    """As `cover`, with so fine tables: zones that the program blocks in part are blocked, or not, in turn."""
    known: list[tuple[Group, Pattern]] = []
    branches: list[tuple[_Zones, _Zones]] = [(frozenset(), frozenset())]
    outcome = Outcome.INFEASIBLE
    for _ in range(_MOST_BRANCHES):
        if not branches:
            return outcome, None
        blocked, spared = branches.pop()
        covering = _Covering(blocking, lightest, budget, known, blocked, spared)
        if covering.refuted():
            continue
        zone = covering.zone_in_part
        if story := covering.dive():
            return Outcome.OPTIMAL, story
        if zone is None:
            outcome = Outcome.UNKNOWN
        else:
            branches += [(blocked, spared | {zone}), (blocked | {zone}, spared)]
    return Outcome.UNKNOWN, None


@define
class _Uncovered:
    """What is left once some of it is fixed.

    Parameters
    ----------
    attempt
        The state so far.
    nodes
        Those still to block, of each group.
    counts
        How many of each kind may be used.
    zones
        How many zones each rule that keeps the VM apart from others may block.
    """

    attempt: Attack
    nodes: dict[Group, list[int]]
    counts: list[int]
    zones: list[int]

    def copy(self) -> "_Uncovered":
        """The same, to go on from."""
        nodes = {group: unblocked.copy() for group, unblocked in self.nodes.items()}
        return _Uncovered(self.attempt.copy(), nodes, self.counts.copy(), self.zones.copy())

    def usable(self, part: _Share) -> bool:
        """Whether there is something that a part could block, and enough for it."""
        if part.group is None:
            index, zone = part.zone
            return self.zones[index] > 0 and any(group.zones[index] == zone for group, nodes in self.nodes.items() if nodes)
        return bool(self.nodes[part.group]) and all(self.counts[kind] >= n for kind, n in part.pattern)

    def use(self, part: _Share) -> bool:
        """Restart a pattern on one of its group's nodes, or a VM that blocks a zone; whether that may be."""
        if part.group is None:
            self.zones[part.zone[0]] -= 1
            return self.occupy(*part.zone)
        node = next((i for i in self.nodes[part.group] if self.attempt.restart_all(part.pattern, i)), None)
        if node is None:
            return False
        self.nodes[part.group].remove(node)
        for kind, n in part.pattern:
            self.counts[kind] -= n
        return True

    def occupy(self, index: int, zone: int) -> bool:
        """Restart a VM that keeps the target away from a zone, by the rule of this index; whether one may."""
        blocking = self.attempt.blocking
        rule = blocking.anti_affinity[index]
        if not self.attempt.occupy(rule, blocking.problem.apart[rule][1] == zone):
            return False
        for group, nodes in self.nodes.items():
            if group.zones[index] == zone:
                nodes.clear()
        return True


class _Covering:
    """The relaxation of what is left.

    Parameters
    ----------
    known
        Patterns from elsewhere; new ones are added.
    blocked, spared
        Zones that are blocked by a rule, and that are not.
    """

    def __init__(
        self,
        blocking: BlockingProblem,
        lightest: Lightest,
        budget: Budget,
        known: list[tuple[Group, Pattern]],
        blocked: _Zones,
        spared: _Zones,
    ) -> None:
        self._lightest = lightest
        self._budget = budget
        self._known = known
        self._blocked = blocked
        self._spared = spared
        self._left = _Uncovered(
            Attack(blocking),
            {g: [] if blocked.intersection(enumerate(g.zones)) else list(g.nodes) for g in lightest.groups},
            blocking.fillers.tolist(),
            [blocking.members(rule) for rule in blocking.anti_affinity],
        )
        for index, _ in blocked:
            self._left.zones[index] -= 1
        demand = blocking.problem.kinds.demand
        self._shares: list[float] = (demand / np.maximum(1, demand.max(axis=0))).max(axis=1).tolist()
        self._program = Relaxation(self._left.counts, self._shares, lightest.groups, spared)
        for group, pattern in known:
            self._program.add(group, pattern)

    @property
    def zone_in_part(self) -> tuple[int, int] | None:
        """The zone that is blocked most of those that are blocked in part."""
        parts = [part for part in self._program.parts() if part.group is None and part.zone not in self._blocked]
        parts = [part for part in parts if _MISSING < part.amount <= _WHOLE]
        return max(parts, key=lambda part: part.amount).zone if parts else None

    def refuted(self) -> bool:
        """Whether it is proved that what is left of the others cannot block what is left of the nodes."""
        left = self._left
        self._program.restrict(left.counts, {group: len(nodes) for group, nodes in left.nodes.items()}, left.zones)
        proved, new = self._price(self._shares, dict.fromkeys(left.nodes, inf))
        while not proved:
            duals = self._program.solve(self._budget)
            if duals is None or duals.missing < _MISSING:
                return False
            proved, new = self._price(duals.weights, duals.prices)
            if not new:  # what is missing is lost in rounding
                break
        return proved

    def _price(self, weights: Sequence[float], prices: Mapping[Group, float]) -> tuple[bool, int]:
        """Whether these duals prove it, and how many patterns that are lighter than their price were added."""
        images = [round(min(max(0.0, weight), 1.0) * _SCALE) for weight in weights]
        self._lightest.fill(self._left.counts, images, self._budget)
        need = {group: self._lightest.weight(group) for group, nodes in self._left.nodes.items() if nodes}
        price = {group: min(max(0.0, prices[group]), _DEAR) * _SCALE for group in need}
        budget = sum(image * n for image, n in zip(images, self._left.counts, strict=True))
        if self._demanded({group: min(weight, round(price[group])) for group, weight in need.items()}) > budget:
            return True, 0
        wanted = [group for group, weight in need.items() if weight < price[group] - _GAIN]
        new = [key for key in ((group, self._lightest.pattern(group)) for group in wanted) if self._program.add(*key)]
        self._known += new
        return False, len(new)

    def _demanded(self, worth: Mapping[Group, int]) -> int:
        """What the nodes are worth of which no rule keeps the VM away, at least."""
        total = {group: value * len(self._left.nodes[group]) for group, value in worth.items()}
        demanded = sum(total.values())
        for index, most in enumerate(self._left.zones):
            of_zone: dict[int, int] = {}
            for group, value in total.items():
                zone = group.zones[index]
                if (index, zone) not in self._spared:
                    of_zone[zone] = of_zone.get(zone, 0) + value
            demanded -= sum(sorted(of_zone.values(), reverse=True)[:most])
        return demanded

    def dive(self) -> Story | None:
        """A state, by fixing what the relaxation uses most of and asking it again about the rest; a dead end is taken back."""
        if not all(self._left.occupy(*zone) for zone in sorted(self._blocked)):
            return None
        setbacks = 0
        while self._left.attempt.story is None and setbacks < _PATIENCE:
            before = self._left.copy()
            fixed = self._fix()
            if fixed is None:
                break
            if self.refuted():
                setbacks += 1
                self._left = before
                self._program.ban(fixed)
                self.refuted()
        self._left.attempt.block_all(dearest_first=True)
        return self._left.attempt.story

    def _fix(self) -> _Share | None:
        """Use what the program uses as a whole, or most of; one of these, None if there is none that may be used."""
        parts = [part for part in self._program.parts() if part.amount > _MISSING and self._left.usable(part)]
        parts.sort(key=lambda part: -part.amount)
        fixed = None
        for part in parts:
            if fixed is not None and part.amount <= _WHOLE:
                break
            for _ in range(max(1, int(part.amount + 1 - _WHOLE))):
                if self._left.usable(part):
                    if self._left.use(part):
                        fixed = part
                    else:
                        self._program.ban(part)
        return fixed
