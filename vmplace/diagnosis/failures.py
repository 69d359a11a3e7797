"""Failures that are not survived: an irreducible set of VMs, rules and nodes to blame (IIS), and the memory that is missing."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from attrs import define, evolve, field

from vmplace.diagnosis.results import Blame, Stuck
from vmplace.failover.certify import certify, certify_failure
from vmplace.failover.outcome import Loss, Reason
from vmplace.failover.reasons import missing_beside_memory, scenario_sentence
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.model.units import spell_memory
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import yielding
from vmplace.search.deletion_filter import DeletionFilter
from vmplace.search.infeasibility import Demand, Demands
from vmplace.solvers.budget import Budget

__all__ = ["failures_lost", "turns_lost"]

_AHEAD = 8
"""A failure may take as much time as there is for so many: most take far less."""

_TRIED_NODES = 16
"""So many survivors, those with most free memory, are asked what they lack."""


def failures_lost(names: Names, verdict: Verdict, budget: Budget) -> Iterator[Blame]:
    """Each failure that is not survived; where time runs out, only with the reason."""
    numbers = sorted(verdict.losses)
    for done, number in enumerate(numbers):
        budget.tell("explain", done=done, total=len(numbers))
        yield _Failure(names, verdict, number, budget.share(min(1.0, _AHEAD / (len(numbers) - done)))).blame()


def turns_lost(names: Names, verdict: Verdict, budget: Budget) -> Iterator[Blame]:
    """Pools that survive each single failure, but not one failure after the other."""
    for pool in [pool for pool, fate in verdict.turns.items() if fate == ScenarioStatus.UNSAFE]:

        def fate(problem: Problem, node_of: IntArray, pool: int = pool) -> ScenarioStatus:
            return certify(problem, node_of, budget=budget, losses=False).of_pool(pool)

        problem = names.problem
        placed = np.flatnonzero((problem.vm_pool == pool) & (problem.node_of >= 0) & ~problem.incoming)
        part, minimal = _irreducible(Demands(frozenset(placed.tolist()), _musts(names)), names, budget, fate)
        reason = "no plan for the first failure leaves room for every failure that may follow"
        vms, rules = names.vms(sorted(part.vms)), tuple(sorted(part.rules))
        yield Blame("turns", names.pools[pool], names.pools[pool], reason, vms, rules, minimal=minimal)


@define
class _SafetyOracle:
    """The oracle of their deletion filter: whether all is safe with fewer VMs, must-rules and limits on memory.

    Parameters
    ----------
    whole
        What may be dropped of them.
    fate
        Decides a placement that lacks VMs (-1), in a problem that lacks rules and limits.
    """

    names: Names
    budget: Budget
    whole: Demands
    fate: Callable[[Problem, IntArray], ScenarioStatus]
    _ruled: dict[frozenset[int], Problem] = field(factory=dict, init=False)

    def unsafe(self, elements: frozenset[Demand]) -> bool | None:
        """Whether it is unsafe with these; None if that is not decided in time."""
        if self.budget.spent:
            return None
        part = Demands.of(elements)
        problem = self._under(part.rules)
        node_of = problem.node_of.copy()
        node_of[sorted(self.whole.vms - part.vms)] = -1
        boundless = sorted(self.whole.nodes - part.nodes)
        if boundless:
            problem = _roomier(problem, boundless, int(problem.memory.sum()))
        fate = self.fate(problem, node_of)
        return None if fate == ScenarioStatus.UNKNOWN else fate == ScenarioStatus.UNSAFE

    def _under(self, rules: frozenset[int]) -> Problem:
        if rules == self.whole.rules:
            return self.names.problem
        if rules not in self._ruled:
            self._ruled[rules] = yielding(self.names.problem, self.whole.rules - rules)
        return self._ruled[rules]


def _musts(names: Names) -> frozenset[int]:
    return frozenset(i for i, rule in enumerate(names.cluster.rules) if rule.must)


def _roomier(problem: Problem, nodes: list[int], amount: int) -> Problem:
    """The problem with so much more memory on some nodes."""
    capacity = problem.capacity.copy()
    capacity[nodes, 0] += amount
    return evolve(problem, capacity=capacity)


def _irreducible(
    whole: Demands,
    names: Names,
    budget: Budget,
    fate: Callable[[Problem, IntArray], ScenarioStatus],
    start: Demands | None = None,
) -> tuple[Demands, bool]:
    """An irreducible part that is unsafe, small VMs dropped first, and whether it is proved irreducible.

    Parameters
    ----------
    start
        A part of it that may be unsafe alone.
    """
    trial = _SafetyOracle(names, budget, whole, fate)
    begin = start if start is not None and trial.unsafe(start.elements) else whole
    shrinking = DeletionFilter(begin.elements, trial.unsafe, budget)
    memory = names.problem.memory
    rules = [Demand("rules", rule) for rule in sorted(begin.rules)]
    vms = [Demand("vms", vm) for vm in sorted(begin.vms, key=lambda vm: (memory[vm], -vm))]
    nodes = [Demand("nodes", node) for node in sorted(begin.nodes)]
    for elements in (rules, vms, nodes):
        shrinking.drop([[element] for element in elements])
    if not names.problem.plain:
        shrinking.settle([*rules, *sorted(vms), *nodes])  # with less to ask for, a failure need not be easier
    return Demands.of(shrinking.kept), shrinking.irreducible


@define
class _Failure:
    """One failure that is not survived."""

    names: Names
    verdict: Verdict
    number: int
    budget: Budget

    def blame(self) -> Blame:
        """What is to blame for it, and what is missing."""
        names, scenarios = self.names, self.verdict.state.scenarios
        loss = self._loss
        part, minimal = (Demands(frozenset(loss.vms.tolist())), False) if self.budget.spent else self._fewest()
        shortfall, on = self._shortfall()
        stuck = tuple(map(self._stuck, loss.vms.tolist()))
        return Blame(
            "failure",
            names.scenario(scenarios, self.number),
            names.pools[int(scenarios.pool[self.number])],
            scenario_sentence(loss.reason, scenarios, self.number, names),
            names.vms(sorted(part.vms)),
            tuple(sorted(part.rules)),
            tuple(names.node(node) for node in sorted(part.nodes)) if self._ruled or not len(self._survivors) else None,
            shortfall,
            None if on is None else names.node(on),
            int(self.verdict.state.asked[self.number]),
            int(self.verdict.state.free[self._survivors].sum()),
            minimal,
            stuck,
            self.budget.spent,
            "" if shortfall is not None or self.budget.spent else missing_beside_memory(loss.reason, names),
        )

    @property
    def _loss(self) -> Loss:
        return self.verdict.losses[self.number]

    @cached_property
    def _survivors(self) -> IntArray:
        """Where its VMs could restart."""
        state = self.verdict.state
        scenarios = state.scenarios
        nodes = state.freest(int(scenarios.pool[self.number]))
        return nodes[~np.isin(nodes, scenarios.failing(self.number))]

    @property
    def _ruled(self) -> bool:
        """Whether more than memory binds the restarts: else one survivor of boundless memory would take all."""
        return not self.verdict.state.plain[self.number]

    def _fate(self, problem: Problem, node_of: IntArray) -> ScenarioStatus:
        return ScenarioStatus(self._decided(problem, node_of, losses=False).fate[0])

    def _decided(self, problem: Problem, node_of: IntArray, *, losses: bool) -> Verdict:
        units = self.verdict.state.scenarios.units[self.number]
        return certify_failure(problem, node_of, units, budget=self.budget, losses=losses)

    @cached_property
    def _sizes(self) -> IntArray:
        """Memory of the VMs that must restart."""
        return self.names.problem.memory[self.verdict.state.displaced_by(np.array([self.number]))[0]]

    @cached_property
    def _memory_binds(self) -> bool:
        """Whether nothing does but memory, of which the arithmetic of sizes tells much without another look at the failure."""
        return self.names.problem.planned and len(self._survivors) > 0 and not self._ruled and self._loss.reason.kind != "quorum"

    def _fewest(self) -> tuple[Demands, bool]:
        reason = self._loss.reason
        if self._memory_binds and reason.kind == "size":  # larger than the largest free piece: alone too much
            return Demands(frozenset(reason.vms)), True
        problem, scenarios = self.names.problem, self.verdict.state.scenarios
        displaced = np.isin(problem.node_of, scenarios.failing(self.number)) & ~problem.incoming & ~problem.evictable
        asked = displaced & problem.protected if problem.planned else displaced
        nodes = frozenset(self._survivors.tolist()) if self._ruled else frozenset[int]()
        whole = Demands(frozenset(np.flatnonzero(asked).tolist()), _musts(self.names), nodes=nodes)
        start = Demands(whole.vms.intersection(reason.vms), whole.rules, nodes=nodes)
        return _irreducible(whole, self.names, self.budget, self._fate, start)

    def _shortfall(self) -> tuple[int | None, int | None]:
        """The least memory that one of the freest survivors would have to have more, and which; by halving."""
        if self.budget.spent or self._loss.reason.kind == "quorum":
            return None, None
        memory, free, best = self.names.problem.memory, self.verdict.state.free, -1
        lost, most = int(memory[self._loss.vms].sum()), int(memory.sum())
        for node in self._survivors[:_TRIED_NODES].tolist():
            few, first = self._least(node) - 1, lost - int(free[node])  # mostly it is room for the lost VMs
            if few >= most or not self._enough(node, most):
                continue
            probes = [first, first - 1]
            while most - few > 1:
                middle = probes.pop(0) if probes else (few + most) // 2
                if few < middle < most:
                    few, most = (few, middle) if self._enough(node, middle) else (middle, most)
            best, most = node, most - 1
        return (None, None) if best < 0 or self.budget.spent else (most + 1, best)

    def _least(self, node: int) -> int:
        """What a survivor must have more at least, in MiB: room for the VMs that fit on no other, and for those for which the
        others have too few slots of some size.
        """
        if not self._memory_binds:
            return 1
        others = self._survivors[self._survivors != node]
        free, sizes = self.verdict.state.free[others], self._sizes
        small = sizes[sizes <= free.max(initial=0)]
        slots = np.append(np.unique(small), np.gcd.reduce(sizes))[:, None]
        lacking = (small // slots).sum(axis=1) - (free // slots).sum(axis=1)
        least = int(sizes.sum() - small.sum()) + int((lacking * slots[:, 0]).max(initial=0)) - int(self.verdict.state.free[node])
        return max(1, least)

    def _enough(self, node: int, amount: int) -> bool:
        problem = self.names.problem
        return not self.budget.spent and self._fate(_roomier(problem, [node], amount), problem.node_of) == ScenarioStatus.SAFE

    def _stuck(self, vm: int) -> Stuck:
        """Why a VM finds no node: even alone, or only beside the others."""
        names, problem = self.names, self.names.problem
        memory = int(problem.memory[vm])
        name = f"{names.vm(vm)} ({spell_memory(memory)})"
        if problem.guarantee.policy is not None:
            return Stuck(names.vm(vm), memory, f"{name} finds no node, as the platform restarts VMs")
        if self.budget.spent:
            return Stuck(names.vm(vm), memory, f"{name} finds no node; time ran out before it was tried alone")
        why = self._alone(vm)
        return Stuck(
            names.vm(vm), memory, why or f"{name} finds a node alone, but not together with all other VMs that must restart"
        )

    def _alone(self, vm: int) -> str:
        """Why a VM finds no node even if no other restarts; empty if it does."""
        names, problem, state = self.names, self.names.problem, self.verdict.state
        if self._loss.reason.kind == "quorum":
            return scenario_sentence(self._loss.reason, state.scenarios, self.number, names)
        if self._memory_binds:
            room = int(state.room_elsewhere[self.number])
            reason = Reason("size", (vm,), int(problem.memory[vm]), room, int(state.plan[self.number]))
            return scenario_sentence(reason, state.scenarios, self.number, names) if reason.need > room else ""
        alone = evolve(problem, protected=np.arange(problem.n_vms) == vm)
        verdict = self._decided(alone, problem.node_of, losses=True)
        if 0 not in verdict.losses:
            return ""
        return scenario_sentence(verdict.losses[0].reason, verdict.state.scenarios, 0, Names(names.cluster, alone))
