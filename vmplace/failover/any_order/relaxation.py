"""The linear program of `vmplace.failover.any_order.covering`: how much is missing to block all nodes by mixtures of patterns."""

from collections.abc import Mapping, Sequence, Set
from math import inf
from typing import Any

from attrs import frozen

from vmplace.failover.any_order.pricing import Group
from vmplace.solvers.binpacking.instance import Pattern
from vmplace.solvers.budget import Budget

__all__ = ["Duals", "Relaxation", "_Share"]


@frozen
class _Share:
    """How much of a pattern is used on a group's nodes; without one, of blocking a zone by a rule: (index of the rule, zone)."""

    amount: float
    group: Group | None = None
    pattern: Pattern = ()
    zone: tuple[int, int] = (-1, -1)


@frozen
class Duals:
    """A solution.

    Parameters
    ----------
    missing
        What is used of VMs that are not there, in `shares`; nodes left unblocked count, too.
    weights
        Of the kinds.
    prices
        Of the groups.
    """

    missing: float
    weights: Sequence[float]
    prices: Mapping[Group, float]


class Relaxation:
    """The program. It is changed in place, and starts from the last solve's basis.

    Parameters
    ----------
    counts
        Of the kinds.
    shares
        What a VM of each kind that is not there costs.
    groups
        The nodes to block.
    spared
        Zones that no rule blocks, as (index of the rule, zone).
    """

    def __init__(
        self, counts: Sequence[int], shares: Sequence[float], groups: Sequence[Group], spared: Set[tuple[int, int]]
    ) -> None:
        from ortools.linear_solver import pywraplp  # slow to import: only when first solving

        self._solver: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._optimal = pywraplp.Solver.OPTIMAL
        self._infinity = self._solver.infinity()
        self._supply = [self._solver.Constraint(-self._infinity, n) for n in counts]
        self._demand = {group: self._solver.Constraint(len(group.nodes), self._infinity) for group in groups}
        self._used: dict[tuple[Group, Pattern], Any] = {}
        self._banned: set[tuple[Group, Pattern]] = set()
        objective = self._solver.Objective()
        objective.SetMinimization()
        for row, share in zip(self._supply, shares, strict=True):
            missing = self._solver.NumVar(0, self._infinity, "")
            row.SetCoefficient(missing, -1)
            objective.SetCoefficient(missing, share)
        # Where no pattern is known yet (or all are banned), a node stays unblocked: at the price of all VMs there are.
        dear = 1.0 + sum(share * n for share, n in zip(shares, counts, strict=True))
        for unblocked in self._demand.values():
            missing = self._solver.NumVar(0, self._infinity, "")
            unblocked.SetCoefficient(missing, 1)
            objective.SetCoefficient(missing, dear)
        zones = {zone for group in groups for zone in enumerate(group.zones)} - spared
        self._zones = {zone: self._solver.NumVar(0, 1, "") for zone in sorted(zones)}
        self._limits = [self._solver.Constraint(0, 0) for _ in groups[0].zones]
        for zone, blocked in self._zones.items():
            self._limits[zone[0]].SetCoefficient(blocked, 1)

    def add(self, group: Group, pattern: Pattern) -> bool:
        """Take a pattern in; whether it is new."""
        if (group, pattern) in self._used:
            return False
        part = self._used[group, pattern] = self._solver.NumVar(0, self._infinity, "")
        self._demand[group].SetCoefficient(part, 1)
        for kind, n in pattern:
            self._supply[kind].SetCoefficient(part, n)
        return True

    def ban(self, part: _Share) -> None:
        """Use a pattern, or block a zone, no more."""
        if part.group is None:
            self._zones[part.zone].SetUb(0)
        else:
            self._banned.add((part.group, part.pattern))

    def restrict(self, counts: Sequence[int], nodes: Mapping[Group, int], zones: Sequence[int]) -> None:
        """So many of each kind are left, so many nodes of each group to block, and so many zones that each rule may block."""
        for row, n in zip([*self._supply, *self._limits], [*counts, *zones], strict=True):
            row.SetUb(n)
        for group, row in self._demand.items():
            row.SetLb(nodes[group])
            for zone in self._zones.keys() & set(enumerate(group.zones)):
                row.SetCoefficient(self._zones[zone], nodes[group])
        for key, part in self._used.items():
            barred = key in self._banned or any(n > counts[kind] for kind, n in key[1])
            part.SetUb(0 if barred else self._infinity)

    def solve(self, budget: Budget) -> Duals | None:
        """Use the least of what is missing; None where the solver gives up."""
        if budget.left < inf:
            self._solver.SetTimeLimit(max(1, int(1000 * budget.left)))
        if self._solver.Solve() != self._optimal:
            budget.demand()
            return None
        prices = {group: row.dual_value() for group, row in self._demand.items()}
        return Duals(self._solver.Objective().Value(), [-row.dual_value() for row in self._supply], prices)

    def parts(self) -> list[_Share]:
        """What the last solution uses."""
        used = [_Share(part.solution_value(), *key) for key, part in self._used.items()]
        return [*(_Share(part.solution_value(), zone=zone) for zone, part in self._zones.items()), *used]
