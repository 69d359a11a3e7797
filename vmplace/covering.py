"""Whether all nodes can be blocked at once, as far as a linear relaxation over patterns can tell.

A *pattern* is a choice of others that blocks one node by one resource. Each node needs one pattern (or a mixture of them), and no
more of a kind may be used than there are. Patterns are generated as they are wanted [1]_, by `vmplace.lightest`.

The linear program works in floats and is trusted in nothing. A "no" is proved in integers: give kind k the weight w_k (any will
do; these are the rounded duals), let W_i be the least weight of a pattern of node i; then ``sum(W_i) > sum(w_k * n_k)`` says that
the n_k others of each kind do not suffice. (With demands for weights this is the certificate of `vmplace.anyorder`.) A "yes" is a
state that is found by fixing patterns one by one and played restart by restart.

Rules among the others, and resources other than the one a pattern is for, are not in the relaxation: a "no" holds all the same.
What the VM itself must be apart from or together with is not in it either: it is for VMs that no such rule can block.

References
----------
.. [1] P. Gilmore, R. Gomory. A linear programming approach to the cutting-stock problem. Operations Research 9, 1961.
"""

from math import inf
from typing import Any

import numpy as np

from vmplace.anyorder import Blockade
from vmplace.attack import Attempt
from vmplace.budget import Budget
from vmplace.engine import Outcome
from vmplace.lightest import Group, Lightest
from vmplace.situation import Story
from vmplace.stock import Pattern

__all__ = ["cover"]

_SCALE = 2**30
"""Duals are below 1, nearly: their integer images, summed over some thousand VMs, stay far below 2**61."""

_UNCOVERED = 1e-9
_PART = 1e-7
"""In floats, shares of a VM and of a pattern; it is not these that count in the end, but the state."""

_GAIN = 2**10
"""By how much a pattern must be lighter than its node's dual: about 1e-6."""

_MOST_CELLS = 2**26
"""Of tables, a byte each: more would take seconds for each pattern."""


def cover(blockade: Blockade, *, budget: Budget) -> tuple[Outcome, Story | None]:
    """A state that strands a VM of the kind; INFEASIBLE if it is proved that there is none, UNKNOWN if that stays open.

    Raises
    ------
    OutOfTimeError
        if the budget is spent.
    """
    lightest = Lightest(blockade)
    if lightest.cells > _MOST_CELLS:
        return Outcome.UNKNOWN, None
    covering = _Covering(blockade, lightest, budget)
    if covering.refuted():
        return Outcome.INFEASIBLE, None
    story = covering.dive()
    return (Outcome.UNKNOWN if story is None else Outcome.OPTIMAL), story


class _Covering:
    """The relaxation with what is fixed so far."""

    def __init__(self, blockade: Blockade, lightest: Lightest, budget: Budget) -> None:
        self._lightest = lightest
        self._budget = budget
        self._attempt = Attempt(blockade)
        self._unblocked = {group: list(group.nodes) for group in lightest.groups}
        self._counts = blockade.others.tolist()
        demand = blockade.situation.kinds.demand
        shares = (demand / np.maximum(1, demand.max(axis=0))).max(axis=1)
        self._program = _Relaxation(self._counts, shares.tolist(), lightest.groups)

    def refuted(self) -> bool:
        """Whether it is proved that what is left of the others cannot block what is left of the nodes."""
        proved, new = self._price(self._program.shares, dict.fromkeys(self._unblocked, inf))
        while not proved:
            solved = self._program.solve(self._budget)
            if solved is None or solved[0] < _UNCOVERED:
                return False
            proved, new = self._price(*solved[1:])
            if not new:  # what is missing is lost in rounding
                break
        return proved

    def _price(self, weights: list[float], prices: dict[Group, float]) -> tuple[bool, int]:
        """Whether these weights prove it, and how many patterns that are lighter than their price were added."""
        images = [round(min(max(0.0, weight), 1.0) * _SCALE) for weight in weights]
        self._lightest.fill(self._counts, images, self._budget)
        need = {group: self._lightest.weight(group) for group, nodes in self._unblocked.items() if nodes}
        all_need = sum(weight * len(self._unblocked[group]) for group, weight in need.items())
        if all_need > sum(image * n for image, n in zip(images, self._counts, strict=True)):
            return True, 0
        wanted = [group for group, weight in need.items() if weight < prices[group] * _SCALE - _GAIN]
        return False, sum(self._program.add(group, self._lightest.pattern(group)) for group in wanted)

    def dive(self) -> Story | None:
        """A state, by fixing what the relaxation uses most of and asking it again about the rest."""
        while any(self._unblocked.values()):
            parts = [part for part in self._program.parts() if self._may_use(*part[1:])]
            if not parts:
                return None
            whole = [part for part in parts if part[0] > 1 - _PART]
            for part, group, pattern in whole or [max(parts, key=lambda part: part[0])]:
                for _ in range(max(1, int(part + _PART))):
                    if self._may_use(group, pattern) and not self._use(group, pattern):
                        return None
            if self.refuted():
                return None
        return self._attempt.story

    def _may_use(self, group: Group, pattern: Pattern) -> bool:
        return bool(self._unblocked[group]) and all(self._counts[kind] >= n for kind, n in pattern)

    def _use(self, group: Group, pattern: Pattern) -> bool:
        """Restart a pattern on one of the group's nodes; whether all its VMs may."""
        node = self._unblocked[group].pop()
        for kind, n in pattern:
            self._counts[kind] -= n
        self._program.restrict(self._counts, {g: len(nodes) for g, nodes in self._unblocked.items()})
        return all(self._attempt.restart(kind, node) for kind, n in pattern for _ in range(n))


class _Relaxation:
    """The linear program: the least use of VMs that are not there. Changed in place, it starts from the last solve's basis.

    Parameters
    ----------
    counts
        Of the kinds.
    shares
        What a VM of each kind that is not there costs.
    groups
        The nodes to block.
    """

    def __init__(self, counts: list[int], shares: list[float], groups: list[Group]) -> None:
        from ortools.linear_solver import pywraplp  # slow to import: only when first solving

        self.shares = shares
        self._solver: Any = pywraplp.Solver.CreateSolver("GLOP")
        self._optimal = pywraplp.Solver.OPTIMAL
        self._supply = [self._solver.Constraint(-self._solver.infinity(), n) for n in counts]
        self._demand = {group: self._solver.Constraint(len(group.nodes), self._solver.infinity()) for group in groups}
        self._known: dict[tuple[Group, Pattern], Any] = {}
        objective = self._solver.Objective()
        objective.SetMinimization()
        for row, share in zip(self._supply, shares, strict=True):
            missing = self._solver.NumVar(0, self._solver.infinity(), "")
            row.SetCoefficient(missing, -1)
            objective.SetCoefficient(missing, share)

    def add(self, group: Group, pattern: Pattern) -> bool:
        """Take a pattern in; whether it is new."""
        if (group, pattern) in self._known:
            return False
        part = self._known[group, pattern] = self._solver.NumVar(0, self._solver.infinity(), "")
        self._demand[group].SetCoefficient(part, 1)
        for kind, n in pattern:
            self._supply[kind].SetCoefficient(part, n)
        return True

    def restrict(self, counts: list[int], nodes: dict[Group, int]) -> None:
        """So many of each kind are left, and so many nodes of each group to block."""
        for row, n in zip(self._supply, counts, strict=True):
            row.SetUb(n)
        for group, row in self._demand.items():
            row.SetLb(nodes[group])
        for (_, pattern), part in self._known.items():
            if any(n > counts[kind] for kind, n in pattern):
                part.SetUb(0)

    def solve(self, budget: Budget) -> tuple[float, list[float], dict[Group, float]] | None:
        """How much is missing, and the duals of kinds and groups; None where the solver gives up."""
        if budget.left < inf:
            self._solver.SetTimeLimit(max(1, int(1000 * budget.left)))
        if self._solver.Solve() != self._optimal:
            budget.demand()
            return None
        prices = {group: row.dual_value() for group, row in self._demand.items()}
        return self._solver.Objective().Value(), [-row.dual_value() for row in self._supply], prices

    def parts(self) -> list[tuple[float, Group, Pattern]]:
        """How much the last solution uses of each pattern."""
        return [(part.solution_value(), *key) for key, part in self._known.items()]
