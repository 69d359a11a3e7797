"""The exact search for one failure's plan: all restarts, or the most that can be."""

from collections.abc import Iterator

import numpy as np

from vmplace.failover.planned.first_fit import Assignment, soft_cost
from vmplace.failover.restart import Item, RestartProblem
from vmplace.model.columns import IntArray
from vmplace.problem.rules import CompiledRule
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.pairs import count_pairs
from vmplace.solvers.program import IntegerProgram, Outcome, Terms, terms, weighted

__all__ = ["search_all", "search_most", "search_softest"]

_SOFT_WORK = 4.0
"""Work, as `Budget.work`, that soft rules are worth in a failure which is known to be survived."""


def search_all(restart: RestartProblem, *, budget: Budget) -> tuple[Outcome, Assignment | None]:
    """A plan for all, whatever soft rules it breaks; INFEASIBLE if none exists."""
    model = _RestartModel.of_all(restart)
    answer = CpSat().solve(model.program, budget=budget)
    return answer.outcome, None if answer.values is None else model.assignment(answer.values)


def search_softest(restart: RestartProblem, start: Assignment, *, budget: Budget) -> Assignment:
    """A plan for all in which soft rules cost the least that so much work finds: no more than in the start."""
    model = _RestartModel.of_all(restart)
    model.program.objective = weighted((model.breaches(rule), rule.weight) for rule in restart.rules if not rule.must)
    answer = CpSat().run(model.program, budget=budget, work=_SOFT_WORK)
    plans = [start] if answer.values is None else [start, model.assignment(answer.values)]
    return min(plans, key=lambda plan: soft_cost(restart, plan))


def search_most(restart: RestartProblem, start: Assignment, *, budget: Budget) -> tuple[Assignment, bool]:
    """The plan that restarts most (higher priority first, then memory), and whether that is proved.

    Parameters
    ----------
    restart
        The failure.
    start
        A plan to begin with.
    budget
        When it is spent, the best so far is returned, unproved.
    """
    model = _RestartModel(restart, restart.single_items)
    for kind, count in enumerate(model.count):
        model.program.row(((v, 1) for v in model.on[kind]), 0, count)
    hint: tuple[int, ...] | None = model.hint(start)
    best = start
    for priority in sorted({item.priority for item in model.kinds}, reverse=True):
        stage = [(v, -model.kinds[k].memory) for k in model.of_priority(priority) for v in model.on[k].tolist() if v >= 0]
        if not stage:
            continue
        model.program.objective = stage
        answer = CpSat().solve(model.program, budget=budget, hint=hint)
        if answer.values is None:
            return best, False
        best, hint = model.assignment(answer.values), answer.values
        if answer.outcome is not Outcome.OPTIMAL:
            return best, False
        model.program.row(stage, upper=model.program.value(stage, answer.values))
    return best, True


class _RestartModel:
    """How many items of each kind restart on each candidate, under the must-rules."""

    def __init__(self, restart: RestartProblem, items: list[Item]) -> None:
        self.restart = restart
        self.program = IntegerProgram()
        self._of_kind: dict[tuple[int, ...], list[Item]] = {}
        for item in items:
            self._of_kind.setdefault(item.likeness, []).append(item)
        self.kinds = [same[0] for same in self._of_kind.values()]
        self.count = [len(same) for same in self._of_kind.values()]
        most = [_most(restart, kind, n) for kind, n in zip(self.kinds, self.count, strict=True)]
        self.on = self.program.variables(np.array(most, dtype=np.int64).reshape(len(self.kinds), len(restart.nodes)))
        for i, room in enumerate(restart.room.tolist()):
            here = self.on[:, i].tolist()
            for r, free in enumerate(room):
                self.program.row(((v, kind.demand[r]) for v, kind in zip(here, self.kinds, strict=True)), upper=free)
        self._together: list[tuple[CompiledRule, IntArray]] = []
        for rule in restart.rules:
            if rule.must and rule.kind == "apart":
                for here, standing in self._by_zone(rule):
                    self.program.row(here, upper=1 - min(standing, 1))
            elif rule.must and rule.kind == "together":
                self._keep_together(rule)

    @classmethod
    def of_all(cls, restart: RestartProblem) -> "_RestartModel":
        """The model in which every item restarts."""
        model = cls(restart, restart.joint_items())
        for on, count in zip(model.on, model.count, strict=True):
            model.program.row(terms(on), count, count)
        return model

    def of_priority(self, priority: int) -> list[int]:
        return [k for k, kind in enumerate(self.kinds) if kind.priority == priority]

    def breaches(self, rule: CompiledRule) -> Terms:
        """How far a soft rule is broken."""
        members = list(self._members(rule))
        if rule.zone is not None:
            coming, standing = zip(*self._by_zone(rule), strict=True)
            return count_pairs(self.program, coming, sum(self.count[k] * m for k, m in members), standing=standing)[1]
        if rule.kind == "together":
            return self._keep_together(rule)
        assert rule.nodes is not None
        outside = np.flatnonzero(~rule.nodes[self.restart.nodes])
        return [term for k, m in members for term in terms(self.on[k, outside], m)]

    def _members(self, rule: CompiledRule) -> Iterator[tuple[int, int]]:
        for k, kind in enumerate(self.kinds):
            members = self.restart.members(rule, kind)
            if members:
                yield k, members

    def _by_zone(self, rule: CompiledRule) -> Iterator[tuple[Terms, int]]:
        """Of each zone of an ``apart`` rule, how many of its VMs restart there, and how many stay."""
        place, members = self.restart.rules.index(rule), list(self._members(rule))
        zone, standing = self.restart.zones[place], self.restart.standing[place]
        assert zone is not None
        for here in (np.flatnonzero(zone == z) for z in np.unique(zone)):
            yield [term for k, m in members for term in terms(self.on[k, here], m)], int(standing[here[0]])

    def _keep_together(self, rule: CompiledRule) -> Terms:
        """Rows for the nodes on which VMs of a rule restart: one of a must, else the nodes beyond one."""
        members = list(self._members(rule))
        home = [self.program.variable(0, 1) for _ in self.restart.nodes]
        self._together.append((rule, np.array(home, dtype=np.int64)))
        further = -1 if rule.must else self.program.variable(0, len(home))
        self.program.row([*((v, 1) for v in home), (further, -1)], upper=1)
        for k, _ in members:
            for i, here in enumerate(home):
                self.program.row([(int(self.on[k, i]), 1), (here, -self.count[k])], upper=0)
        return [] if rule.must else [(further, 1)]

    def hint(self, start: Assignment) -> tuple[int, ...]:
        """The plan as values of every variable (of a model without soft rules)."""
        values = [0] * len(self.program.lower)
        number = {kind.likeness: k for k, kind in enumerate(self.kinds)}
        for item, i in start:
            values[self.on[number[item.likeness], i]] += 1
        for rule, home in self._together:
            for item, i in start:
                if self.restart.members(rule, item):
                    values[home[i]] = 1
        return tuple(values)

    def assignment(self, values: tuple[int, ...]) -> Assignment:
        """The values as a plan."""
        plan: Assignment = []
        for same, on in zip(self._of_kind.values(), self.on, strict=True):
            where = [i for i, v in enumerate(on.tolist()) if v >= 0 for _ in range(values[v])]
            plan += list(zip(same, where, strict=False))
        return plan


def _most(restart: RestartProblem, kind: Item, count: int) -> IntArray:
    """How many of a kind each candidate has room for, shape (n_candidates,)."""
    some = [r for r, amount in enumerate(kind.demand) if amount]
    most: IntArray = (restart.room[:, some] // np.array(kind.demand)[some]).min(axis=1)
    return np.minimum(most, count) * kind.allowed
