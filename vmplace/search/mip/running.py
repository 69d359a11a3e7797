"""Rows of the MIP for normal running: the nodes' capacities, the moves and their limits, the rules, the peak load."""

from fractions import Fraction
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import CompiledRule, kept
from vmplace.search.goal import CandidatePlacement, Shares
from vmplace.search.mip.variables import CountVariables
from vmplace.solvers.program import terms

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
    """Variables for the VMs of each class that leave each node, shape (n_classes, n_nodes); None where moves do not matter."""
    goal, now = variables.goal, variables.now
    if "moves" not in goal.objectives and goal.max_moves is None and goal.max_migrated is None:
        return None
    out = variables.new(now - variables.fixed, lambda _, counts: np.maximum(now - counts, 0))
    for s, i in zip(*np.nonzero(out >= 0), strict=True):
        variables.program.row([(int(variables.n[s, i]), 1), (int(out[s, i]), 1)], lower=int(now[s, i]))
    if goal.max_migrated is not None:
        variables.program.row(terms(out, variables.amount[0][:, None]), upper=goal.max_migrated // variables.unit)
    if goal.max_moves is not None:
        variables.program.row(terms(out), upper=goal.max_moves)
    return out


def state_rule(variables: CountVariables, rule: CompiledRule) -> int:
    """The rows of a rule; the variable that is 1 where the rule is broken, -1 for a must."""
    mine, n = np.unique(variables.classes.of[rule.vms]), variables.n
    broken = -1 if rule.must else variables.new_one(1, lambda c, _: not kept(rule, c.node_of))
    size = len(rule.vms)
    if rule.zone is not None:
        for here in (np.flatnonzero(rule.zone == zone) for zone in np.unique(rule.zone)):
            variables.program.row([*terms(n[np.ix_(mine, here)]), (broken, -size)], upper=1)
    elif rule.kind == "together":
        _state_together(variables, rule, mine, broken)
    elif rule.nodes is not None:
        variables.program.row([*terms(n[np.ix_(mine, ~rule.nodes)]), (broken, -size)], upper=0)
    return broken


def _state_together(variables: CountVariables, rule: CompiledRule, mine: IntArray, broken: int) -> None:
    n_nodes = variables.problem.n_nodes
    home = variables.new(
        np.ones(n_nodes, dtype=np.int64),
        lambda c, _: np.arange(n_nodes) == np.bincount(c.node_of[rule.vms]).argmax(),
    )
    variables.program.row(terms(home), 1, 1)
    for s, count in zip(mine.tolist(), variables.total[mine].tolist(), strict=True):
        for v, here in zip(variables.n[s].tolist(), home.tolist(), strict=True):
            variables.program.row([(v, 1), (here, -count), (broken, -count)], upper=0)


class Peak:
    """The highest share in use of an online node's memory, as a variable in parts of `Shares.whole`.

    Parameters
    ----------
    variables
        The program.
    least
        A lower bound on the share.
    """

    def __init__(self, variables: CountVariables, least: Fraction) -> None:
        self._variables = variables
        self.shares = Shares.of(variables.problem, variables.unit)
        self.least = self.shares.ceil(least)
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

    def hold(self, value: int | Fraction, *, strictly: bool) -> None:
        """Demand that no node's share is above this one, or that all are below."""
        variables = self._variables
        for i in np.flatnonzero(variables.problem.online).tolist():
            most = value * int(variables.problem.usable[i]) / variables.unit
            variables.program.row(variables.load(i), upper=int(most) - (1 if strictly and most == int(most) else 0))
