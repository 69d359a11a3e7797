"""Column generation [1]_ for the adversary's covering LP: can all nodes be blocked at once, as far as a relaxation tells?

A *pattern* is a choice of others that blocks one node by one resource. Each node needs one pattern (or a mixture of them), and no
more of a kind may be used than there are. Patterns are priced by `any_order.pricing`. An anti-affinity rule between the VM and p
others may block p zones; these others are in no pattern.

The linear program works in floats and is trusted in nothing. A "no" is proved in integers: give kind k the weight w_k, let W_i be
the least weight of a pattern of node i, and take any worths 0 <= v_i <= W_i of the nodes; then the n_k others of each kind do not
suffice if ``sum(v_i) - (the most that p zones are worth, for each rule) > sum(w_k * n_k)``. The weights and worths are rounded
duals. (With demands for weights this is the certificate of `any_order.blocking`.) A "yes" is a state, found by diving: what the
program uses most of is fixed, one by one, and played restart by restart.

Rules among the others are not in the relaxation, and resources beside the blocking one only as exactly as need be: a "no" holds
all the same. Affinity between the VM and others is not in it either: it is for states in which none of these has restarted.

References
----------
.. [1] P. Gilmore, R. Gomory. A linear programming approach to the cutting-stock problem. Operations Research 9, 1961.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.any_order.heuristic import Attack
from vmplace.failover.any_order.pricing import NodeGroup, Pricing
from vmplace.failover.any_order.state import Story
from vmplace.solvers.binpacking.instance import Pattern
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import Outcome

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

_GAIN = 2**10
"""By how much a pattern must be lighter than its node's price: about 1e-6."""


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
        pricing = Pricing(blocking, fine)
        if not pricing.affordable:
            break
        columns = _ColumnGeneration(blocking, pricing, budget)
        if columns.refuted():
            return Outcome.INFEASIBLE, None
        if story := columns.dive():
            return Outcome.OPTIMAL, story
        if pricing.complete:
            break
    return Outcome.UNKNOWN, None


class _ColumnGeneration:
    """The relaxation of what is left: all `nodes` to block, of each group, at first; fewer after each step of the dive.

    What may be used for it are so many (`counts`) of each kind, and so many zones (`zones`) by each anti-affinity rule.
    """

    def __init__(self, blocking: BlockingProblem, pricing: Pricing, budget: Budget) -> None:
        self._pricing = pricing
        self._budget = budget
        self.attempt = Attack(blocking)
        self.nodes = {group: list(group.nodes) for group in pricing.groups}
        self.counts: list[int] = blocking.fillers.tolist()
        self.zones = [blocking.members(rule) for rule in blocking.anti_affinity]
        demand = blocking.problem.kinds.demand
        self._shares: list[float] = (demand / np.maximum(1, demand.max(axis=0))).max(axis=1).tolist()
        self._program = _CoveringProgram(self.counts, self._shares, pricing.groups)

    def refuted(self) -> bool:
        """Whether it is proved that what is left of the others cannot block what is left of the nodes."""
        self._program.restrict(self.counts, {group: len(nodes) for group, nodes in self.nodes.items()}, self.zones)
        proved, new = self._price(self._shares, dict.fromkeys(self.nodes, inf))
        while not proved:
            solved = self._program.solve(self._budget)
            if solved is None or solved[0] < _MISSING:
                return False
            proved, new = self._price(*solved[1:])
            if not new:  # what is missing is lost in rounding
                break
        return proved

    def _price(self, weights: Sequence[float], prices: Mapping[NodeGroup, float]) -> tuple[bool, int]:
        """Whether these duals prove it, and how many patterns that are lighter than their price were added."""
        images = [round(min(max(0.0, weight), 1.0) * _SCALE) for weight in weights]
        self._pricing.fill(self.counts, images, self._budget)
        need = {group: self._pricing.weight(group) for group, nodes in self.nodes.items() if nodes}
        price = {group: min(max(0.0, prices[group]), _DEAR) * _SCALE for group in need}
        budget = sum(image * n for image, n in zip(images, self.counts, strict=True))
        if self._demanded({group: min(weight, round(price[group])) for group, weight in need.items()}) > budget:
            return True, 0
        lighter = [group for group, weight in need.items() if weight < price[group] - _GAIN]
        return False, sum(self._program.add(group, self._pricing.pattern(group)) for group in lighter)

    def _demanded(self, worth: Mapping[NodeGroup, int]) -> int:
        """What the nodes are worth that no anti-affinity rule blocks, at least."""
        total = {group: value * len(self.nodes[group]) for group, value in worth.items()}
        demanded = sum(total.values())
        for index, most in enumerate(self.zones):
            of_zone: dict[int, int] = {}
            for group, value in total.items():
                of_zone[group.zones[index]] = of_zone.get(group.zones[index], 0) + value
            demanded -= sum(sorted(of_zone.values(), reverse=True)[:most])
        return demanded

    def dive(self) -> Story | None:
        """A state, by fixing what the relaxation uses most of and solving it again for the rest, down to a dead end."""
        while self.attempt.story is None and self._fix() and not self.refuted():
            pass
        self.attempt.block_all(dearest_first=True)
        return self.attempt.story

    def _fix(self) -> bool:
        """Use all that the program uses as a whole, or else what it uses most of; whether there is any that may be used."""
        parts = [part for part in self._program.parts() if part.amount > _MISSING]
        fixed = False
        for part in sorted(parts, key=lambda part: -part.amount):
            if fixed and part.amount <= _WHOLE:
                break
            for _ in range(max(1, int(part.amount + 1 - _WHOLE))):
                if self._usable(part):
                    if self._use(part):
                        fixed = True
                    else:
                        self._program.ban(part)
        return fixed

    def _usable(self, part: "_Part") -> bool:
        """Whether there is something that a part could block, and enough for it."""
        if part.group is None:
            index, zone = part.zone
            return self.zones[index] > 0 and any(group.zones[index] == zone for group, nodes in self.nodes.items() if nodes)
        return bool(self.nodes[part.group]) and all(self.counts[kind] >= n for kind, n in part.pattern)

    def _use(self, part: "_Part") -> bool:
        """Restart a pattern on one of its group's nodes, or a VM that blocks a zone; whether that may be."""
        if part.group is None:
            return self._block_zone(*part.zone)
        node = next((i for i in self.nodes[part.group] if self.attempt.restart_all(part.pattern, i)), None)
        if node is None:
            return False
        self.nodes[part.group].remove(node)
        for kind, n in part.pattern:
            self.counts[kind] -= n
        return True

    def _block_zone(self, index: int, zone: int) -> bool:
        blocking = self.attempt.blocking
        rule = blocking.anti_affinity[index]
        if not self.attempt.block_zone(rule, blocking.problem.apart[rule][1] == zone):
            return False
        self.zones[index] -= 1
        for group, nodes in self.nodes.items():
            if group.zones[index] == zone:
                nodes.clear()
        return True


@frozen
class _Part:
    """How much of a pattern is used on a group's nodes; without one, of blocking a zone: (index of the rule, zone)."""

    amount: float
    group: NodeGroup | None = None
    pattern: Pattern = ()
    zone: tuple[int, int] = (-1, -1)


class _CoveringProgram:
    """The linear program, changed in place so that each solve starts from the last one's basis.

    A VM that is used but not there costs its kind's share.
    """

    def __init__(self, counts: Sequence[int], shares: Sequence[float], groups: Sequence[NodeGroup]) -> None:
        from ortools.linear_solver import pywraplp  # slow to import: only when first solving

        self._solver: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._optimal = pywraplp.Solver.OPTIMAL
        self._solved = False
        self._infinity = self._solver.infinity()
        self._supply = [self._solver.Constraint(-self._infinity, n) for n in counts]
        self._demand = {group: self._solver.Constraint(len(group.nodes), self._infinity) for group in groups}
        self._used: dict[tuple[NodeGroup, Pattern], Any] = {}
        self._banned: set[tuple[NodeGroup, Pattern]] = set()
        self._solver.Objective().SetMinimization()
        for row, share in zip(self._supply, shares, strict=True):
            self._missing(row, -1, share)
        # Where no pattern is known yet (or all are banned) a node stays unblocked: at the price of all VMs there are.
        dear = 1.0 + sum(share * n for share, n in zip(shares, counts, strict=True))
        for row in self._demand.values():
            self._missing(row, 1, dear)
        zones = sorted({zone for group in groups for zone in enumerate(group.zones)})
        self._zones = {zone: self._solver.NumVar(0, 1, "") for zone in zones}
        self._limits = [self._solver.Constraint(0, 0) for _ in groups[0].zones]
        for zone, blocked in self._zones.items():
            self._limits[zone[0]].SetCoefficient(blocked, 1)

    def _missing(self, row: Any, sign: int, cost: float) -> None:
        """Let a row be violated, at a cost."""
        missing = self._solver.NumVar(0, self._infinity, "")
        row.SetCoefficient(missing, sign)
        self._solver.Objective().SetCoefficient(missing, cost)

    def add(self, group: NodeGroup, pattern: Pattern) -> bool:
        """Add a pattern as a column; whether it is new."""
        if (group, pattern) in self._used:
            return False
        part = self._used[group, pattern] = self._solver.NumVar(0, self._infinity, "")
        self._demand[group].SetCoefficient(part, 1)
        for kind, n in pattern:
            self._supply[kind].SetCoefficient(part, n)
        return True

    def ban(self, part: _Part) -> None:
        """Use a pattern, or block a zone, no more."""
        if part.group is None:
            self._zones[part.zone].SetUb(0)
        else:
            self._banned.add((part.group, part.pattern))

    def restrict(self, counts: Sequence[int], nodes: Mapping[NodeGroup, int], zones: Sequence[int]) -> None:
        """So many of each kind are left, so many nodes of each group to block, and so many zones that each rule may block."""
        self._solved = False
        for row, n in zip([*self._supply, *self._limits], [*counts, *zones], strict=True):
            row.SetUb(n)
        for group, row in self._demand.items():
            row.SetLb(nodes[group])
            for zone in self._zones.keys() & set(enumerate(group.zones)):
                row.SetCoefficient(self._zones[zone], nodes[group])
        for key, part in self._used.items():
            barred = key in self._banned or any(n > counts[kind] for kind, n in key[1])
            part.SetUb(0 if barred else self._infinity)

    def solve(self, budget: Budget) -> tuple[float, list[float], dict[NodeGroup, float]] | None:
        """The least cost of what is missing, and the duals of kinds and groups; None where the solver gives up."""
        if budget.left < inf:
            self._solver.SetTimeLimit(max(1, int(1000 * budget.left)))
        self._solved = self._solver.Solve() == self._optimal
        if not self._solved:
            budget.demand()
            return None
        prices = {group: row.dual_value() for group, row in self._demand.items()}
        return self._solver.Objective().Value(), [-row.dual_value() for row in self._supply], prices

    def parts(self) -> list[_Part]:
        """What the last solution uses; nothing where there is none."""
        if not self._solved:
            return []
        zones = [_Part(part.solution_value(), zone=zone) for zone, part in self._zones.items()]
        return zones + [_Part(part.solution_value(), *key) for key, part in self._used.items()]
