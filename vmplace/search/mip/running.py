"""Rows of the MIP for normal running: the nodes' capacities, the moves and their limits, the rules, the peak load."""

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.rules import CompiledRule
from vmplace.search.goal import CandidatePlacement, Shares
from vmplace.search.mip.variables import CountVariables
from vmplace.solvers.pairs import count_pairs, taken_steps
from vmplace.solvers.program import Terms, terms

__all__ = ["Peak", "bound_loads", "count_moves", "state_rule"]


def bound_loads(variables: CountVariables) -> None:
    """No node carries more than its limit, of any resource."""
    limits = variables.goal.limits(variables.problem).T.copy()
    limits[0] //= variables.unit
    crowded = (variables.amount @ variables.fixed > limits).any(axis=0)
    for i in np.flatnonzero(~variables.settled | crowded).tolist():
        variables.budget.demand()
        for resource, limit in enumerate(limits[:, i].tolist()):
            power, constant = variables.within(i, limit)
            variables.program.row([*variables.load(i, resource), *power], upper=constant)


def count_moves(variables: CountVariables) -> IntArray | None:
    """Variables for the VMs of each class that leave each node, shape (n_classes, n_nodes); None where moves do not matter.

    Those that are stopped leave their nodes, too, but do not count for the limits.
    """
    goal, now = variables.goal, variables.now
    if "moves" not in goal.objectives and goal.max_moves is None and goal.max_migrated is None:
        return None
    leaving = now - variables.fixed + variables.yielding
    out = variables.new(leaving, lambda _, counts: np.maximum(now - counts, 0))
    for s, i in zip(*np.nonzero(out >= 0), strict=True):
        variables.program.row([(int(variables.n[s, i]), 1), (int(out[s, i]), 1)], lower=int(now[s, i]))
    if goal.max_migrated is not None:
        migrated = terms(out, variables.amount[0][:, None]) + terms(variables.stopped, -variables.amount[0])
        variables.program.row(migrated, upper=goal.max_migrated // variables.unit)
    if goal.max_moves is not None:
        variables.program.row(terms(out) + terms(variables.stopped, -1), upper=goal.max_moves)
    return out


def state_rule(variables: CountVariables, rule: CompiledRule) -> Terms:
    """The rows of a rule, and its `breaches`: none of a must."""
    mine = np.unique(variables.classes.of[rule.vms])
    if rule.zone is not None:
        return _state_apart(variables, rule, mine, rule.zone)
    if rule.kind == "together":
        return _state_together(variables, rule, mine)
    assert rule.nodes is not None
    return terms(variables.n[np.ix_(mine, ~rule.nodes)])


def _state_apart(variables: CountVariables, rule: CompiledRule, mine: IntArray, zone: IntArray) -> Terms:
    zones, where = np.unique(zone, return_inverse=True)
    coming = [terms(variables.n[np.ix_(mine, where == place)]) for place in range(len(zones))]
    if rule.must:
        for here in coming:
            variables.program.row(here, upper=1)
        return []
    steps, pairs = count_pairs(variables.program, coming, len(rule.vms))
    variables.hint_of(steps, lambda c, _: taken_steps(steps, np.bincount(where[c.node_of[rule.vms]], minlength=len(zones))))
    return pairs


def _state_together(variables: CountVariables, rule: CompiledRule, mine: IntArray) -> Terms:
    n_nodes = variables.problem.n_nodes

    def used(candidate: CandidatePlacement, _: IntArray) -> BoolArray:
        return np.asarray(np.bincount(candidate.node_of[rule.vms], minlength=n_nodes) > 0)

    homes = variables.new(np.any(variables.n[mine] >= 0, axis=0).astype(np.int64), used)
    further = -1
    if not rule.must:
        further = variables.new_one(len(rule.vms) - 1, lambda c, counts: max(0, np.count_nonzero(used(c, counts)) - 1))
    variables.program.row([*terms(homes), (further, -1)], upper=1)
    for s, count in zip(mine.tolist(), variables.total[mine].tolist(), strict=True):
        for v, here in zip(variables.n[s].tolist(), homes.tolist(), strict=True):
            if v >= 0:
                variables.program.row([(v, 1), (here, -count)], upper=0)
    return [(further, 1)] if further >= 0 else []


class Peak:
    """The highest share in use of an online node's memory, as a variable in parts of `Shares.whole`.

    Parameters
    ----------
    variables
        The program.
    least
        A lower bound on the share.
    enough
        A share that is good enough: the variable does not go below it.
    """

    def __init__(self, variables: CountVariables, least: Fraction, enough: Fraction = Fraction(0)) -> None:
        self._variables, self._lowest = variables, least
        self.shares = Shares.of(variables.problem, variables.unit)
        self._enough = floor(enough * self.shares.whole)
        self.least = max(self.shares.ceil(least), self._enough)
        self.variable = variables.new_one(max(self.shares.whole, self.least), self._of)
        variables.program.lower[self.variable] = self.least
        for i in np.flatnonzero(variables.problem.online).tolist():
            usable = int(variables.problem.usable[i])
            factor = self.shares.factor(usable)
            each, parts = (variables.unit * self.shares.whole, usable) if factor is None else (factor, 1)
            variables.program.row([*((v, c * each) for v, c in variables.load(i)), (self.variable, -parts)], upper=0)

    def _of(self, _: CandidatePlacement, counts: IntArray) -> Any:
        online = self._variables.problem.online
        load, usable = (self._variables.amount[0] @ counts)[online], self._variables.problem.usable[online]
        return (-(-load * self._variables.unit * self.shares.whole // usable)).max(initial=0)

    def bound(self, parts: int) -> Fraction:
        """A bound on the variable as a bound on the share."""
        return self.shares.above(parts - 1) if parts > self._enough else self._lowest

    def hold(self, value: int | Fraction, *, strictly: bool) -> None:
        """Demand that no node's share is above this one, or that all are below."""
        variables = self._variables
        for i in np.flatnonzero(variables.problem.online).tolist():
            most = value * int(variables.problem.usable[i]) / variables.unit
            variables.program.row(variables.load(i), upper=int(most) - (1 if strictly and most == int(most) else 0))
