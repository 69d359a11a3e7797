"""Rows of the MIP for the restarts of single failures, written out where a candidate fails its exact check.

As in logic-based Benders decomposition a check of a candidate tells what the model misses; but it comes back as rows in new
variables instead of a cut: ``r[s, i]`` VMs of class s restart on node i.
"""

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule
from vmplace.search.goal import CandidatePlacement
from vmplace.search.mip.best_effort import Losses
from vmplace.search.mip.variables import CountVariables
from vmplace.solvers.program import terms

__all__ = ["RestartRows"]

_ANY = 2**40


class RestartRows:
    """Failures written out: how many VMs of each class restart on each node, within capacities and rules."""

    def __init__(self, variables: CountVariables, losses: Losses | None) -> None:
        self._v, self._losses = variables, losses
        self._written: set[tuple[int, ...]] = set()

    def write_out(self, units: tuple[int, ...]) -> bool:
        """State one failure exactly; False if it is already."""
        if units in self._written:
            return False
        self._written.add(units)
        v, problem, classes = self._v, self._v.problem, self._v.classes
        down = np.isin(problem.unit, units)
        failed = np.flatnonzero(down)
        targets = problem.restartable[classes.signature] & classes.protected[:, None] & ~down
        firm = slice(problem.n_firm)  # what may be exceeded in a failover limits no restart
        most = np.minimum(v.most[:, failed].sum(axis=1)[:, None], _holds(v.capacity[firm], v.amount[firm])) * targets
        restarts = v.new(most, lambda c, counts: self._restarts(c, units))
        for s in np.flatnonzero(classes.protected & (v.n[:, failed] >= 0).any(axis=1)).tolist():
            lost = [] if self._losses is None else self._losses.of_failure(s, units)
            v.program.row([*terms(restarts[s]), *lost, *terms(v.n[s, failed], -1)], 0, 0)
        for i in np.flatnonzero(~down).tolist():
            for resource in range(problem.n_firm):
                coming = terms(restarts[:, i], v.amount[resource])
                power, capacity = v.within(i, int(v.capacity[resource, i]))
                if coming:
                    v.program.row([*coming, *v.load(i, resource, lasting=True), *power], upper=capacity)
        for rule in problem.compiled_rules:
            if rule.must and rule.during_failover:
                self._bind(rule, units, down, restarts)
        return True

    def _restarts(self, candidate: CandidatePlacement, units: tuple[int, ...]) -> IntArray:
        """VMs of each class that restart on each node when the units fail, shape (n_classes, n_nodes)."""
        verdict = candidate.under(self._v.problem)
        number, restarts = verdict.state.scenarios.number.get(units), verdict.restarts
        mine = restarts[restarts.scenario == (-1 if number is None else number)]
        counts = np.zeros_like(self._v.n)
        np.add.at(counts, (self._v.classes.of[mine.vm], mine.node), 1)
        return counts

    def _bind(self, rule: CompiledRule, units: tuple[int, ...], down: BoolArray, restarts: IntArray) -> None:
        v, mine = self._v, np.unique(self._v.classes.of[rule.vms])
        if not (restarts[mine] >= 0).any():
            return
        lasting = mine[~v.classes.evictable[mine]]
        if rule.zone is not None:
            for here in (np.flatnonzero((rule.zone == zone) & ~down) for zone in np.unique(rule.zone[~down])):
                coming = terms(restarts[np.ix_(mine, here)])
                if coming:
                    v.program.row([*terms(v.n[np.ix_(lasting, here)]), *coming], upper=1)
        elif rule.kind == "together":
            homes = v.new(
                np.any(restarts[mine] >= 0, axis=0).astype(np.int64),
                lambda c, counts: np.any(self._restarts(c, units)[mine], axis=0),
            )
            v.program.row(terms(homes), upper=1)
            for s in mine.tolist():
                most = int(v.most[s, down].sum())
                for r, home in zip(restarts[s].tolist(), homes.tolist(), strict=True):
                    if r >= 0:
                        v.program.row([(r, 1), (home, -most)], upper=0)


def _holds(capacity: IntArray, amount: IntArray) -> IntArray:
    """How many VMs of each class each node has room for when empty, shape (n_classes, n_nodes)."""
    each = [
        np.where(a[:, None] > 0, c[None, :] // np.maximum(a, 1)[:, None], _ANY) for c, a in zip(capacity, amount, strict=True)
    ]
    return np.asarray(np.min(each, axis=0))
