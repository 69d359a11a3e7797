"""Why a problem is infeasible, as data: the VMs that a bound counts, or an irreducible infeasible subset (IIS) of the demands.

An IIS is found by a deletion filter: demands are dropped as long as a solver proves that there is no placement for the rest.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from attrs import define, evolve, field, frozen

from vmplace.failover.outcome import Reason
from vmplace.model.entities import NotOn, OnlyOn
from vmplace.model.references import resolve
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import asking, eased, without
from vmplace.results.values import Conflict
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.deletion_filter import DeletionFilter
from vmplace.search.goal import Goal
from vmplace.search.greedy import construct
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget
from vmplace.solvers.portfolio import Portfolio

__all__ = ["LIMITS", "Demand", "Demands", "PartOracle", "conflict_of_bound", "conflict_of_search", "patience"]

LIMITS = ("max_moves", "max_migrated")
"""Limits of a goal, by the names of its fields."""

_PATIENCE = 2.0
_SHARE = 0.5
_MANY_VMS = 10_000
_FEW_GROUPS, _FEW_VMS, _FEW_NODES = 8, 200, 100
_TRIAL_SHARE = 0.25


class Demand(NamedTuple):
    """One of the things that a cluster asks for: a field of `Demands`, and a member of it."""

    kind: str
    member: Any


@frozen
class Demands:
    """Some of what a cluster asks for. All its nodes are there, and a VM that may not move stays where it is.

    Parameters
    ----------
    vms
        Indices into the problem.
    rules
        Indices into the cluster; must-rules only.
    limits
        Of `LIMITS`.
    nodes
        Those whose memory is limited, as indices into the problem; only what blames a failure looks at them.
    """

    vms: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    limits: frozenset[str] = frozenset()
    nodes: frozenset[int] = frozenset()

    @classmethod
    def whole(cls, names: Names, goal: Goal) -> "Demands":
        """All that is asked for."""
        rules = frozenset(index for index, rule in enumerate(names.cluster.rules) if rule.must)
        limits = frozenset(limit for limit in LIMITS if getattr(goal, limit) is not None)
        return cls(frozenset(range(names.problem.n_vms - names.problem.n_incoming)), rules, limits)

    @classmethod
    def of(cls, elements: Iterable[Demand]) -> "Demands":
        """From its elements."""
        members: dict[str, set[Any]] = {}
        for kind, member in elements:
            members.setdefault(kind, set()).add(member)
        return cls(**{kind: frozenset(some) for kind, some in members.items()})

    @property
    def elements(self) -> frozenset[Demand]:
        """All of it, one by one."""
        members = {"vms": self.vms, "rules": self.rules, "limits": self.limits, "nodes": self.nodes}
        return frozenset(Demand(kind, member) for kind, some in members.items() for member in some)


@define
class PartOracle:
    """Tries whether parts of a cluster's demands can be met.

    Asking for less never does harm: a placement, and its failover plans, remain good when a VM, a rule or a limit is taken
    away (`apart` and `together` bind the VMs that are left no more than before). So what is in a part that cannot be met
    cannot be met in any larger one either.

    Parameters
    ----------
    budget
        For all tries; one takes a share of what is left.
    quick
        Whether to do without the search, so that only bounds and the quick constructions decide.
    """

    names: Names
    goal: Goal
    budget: Budget
    seed: int = 0
    deterministic: bool = False
    quick: bool = False
    tries: int = field(default=0, init=False)

    def fits(self, part: Demands) -> bool | None:
        """Whether there is a placement for this much; None if that could not be told in time."""
        if not part.vms:
            return True
        if self.budget.spent:
            return None
        self.tries += 1
        problem, goal = self._asked(part)
        if impossible(problem, goal) is not None:
            return False
        inner = self.budget.share(_TRIAL_SHARE)
        if construct(problem, goal, budget=inner) is not None:
            return True
        if self.quick:
            return None
        finding = search(problem, goal, budget=inner, portfolio=Portfolio(self.seed, self.deterministic))
        self.budget.work -= finding.stats["work"]
        if finding.infeasible:
            return False
        return None if finding.best is None else True

    def infeasible(self, elements: frozenset[Demand]) -> bool | None:
        """Whether there is proved to be no placement for these: an oracle for `DeletionFilter`."""
        fits = self.fits(Demands.of(elements))
        return None if fits is None else not fits

    def bound(self, part: Demands) -> Reason | None:
        """The bound that proves that no placement exists, if one does: its indices are not the whole problem's."""
        return impossible(*self._asked(part))

    def _asked(self, part: Demands) -> tuple[Problem, Goal]:
        """The problem of just this much, with no guarantee where the goal does without."""
        # No soft rule is left, so that the first placement found is as good as any: the search ends with it.
        limits = {limit: getattr(self.goal, limit) for limit in part.limits}
        goal = Goal(("rules",), move_running=self.goal.move_running, headroom=self.goal.headroom, **limits)
        # What no plan can do, nothing else can.
        whole = eased(self.names.problem)
        if self.goal.best_effort:
            whole = asking(whole, lambda asked: evolve(asked, failures=0))
        gone = ~np.isin(np.arange(whole.n_vms), list(part.vms)) & ~whole.incoming
        given = {rule.index for rule in (*whole.compiled_rules, *whole.unary_rules) if rule.kind != "max-vm"}
        dropped = given - part.rules
        return without(whole, vms=gone, rules=dropped), goal


def patience(budget: Budget, work: float, *, deterministic: bool) -> Budget:
    """What finding a conflict may take of what is left: half, and of the clock no more than the proof took, or a few seconds.

    Parameters
    ----------
    work
        What the proof took of `Budget.work`.
    deterministic
        Whether searches are measured in work: the clock is then left out of it, as far as it goes.
    """
    seconds = budget.left * _SHARE
    inner = Budget(seconds if deterministic else min(seconds, max(_PATIENCE, budget.elapsed)), budget.cancel)
    inner.work = (budget.work - work) * _SHARE
    return inner


def conflict_of_search(trial: PartOracle) -> Conflict:
    """Shrink what a search proved impossible: VMs, must-rules and limits that together have no placement.

    By a deletion filter: limits first, then rules, then VMs; of VMs that are interchangeable, by bisection. Asking for less never
    does harm (see `PartOracle`), so that infeasibility is monotone. What is undecided when time runs out stays, and the result is
    then not called minimal. Nor is it with very many VMs, where one try takes too long.
    """
    whole = Demands.whole(trial.names, trial.goal)
    shrinking = DeletionFilter(whole.elements, trial.infeasible, trial.budget, irreducible=len(whole.vms) <= _MANY_VMS)
    if shrinking.irreducible:
        shrinking.drop([[Demand("limits", limit)] for limit in LIMITS if limit in whole.limits])
        shrinking.drop([[Demand("rules", rule)] for rule in sorted(whole.rules)])
        _drop_vms(shrinking, trial)
    # With less to place there would be plans; whether they would keep a promise beyond that was not tried.
    minimal = shrinking.irreducible and (trial.names.problem.plain or trial.goal.best_effort)
    return _named(Reason("search", ()), Demands.of(shrinking.kept), trial.names, minimal=minimal)


def _drop_vms(shrinking: DeletionFilter[Demand], trial: PartOracle) -> None:
    """Drop VMs: those under no rule that is left, then the others."""
    part = Demands.of(shrinking.kept)
    ruled = _rules_of(part, trial.names)
    groups = _groups(part, trial.names, trial.goal)
    for free in (True, False):
        shrinking.drop([[Demand("vms", vm) for vm in group] for group in groups if ruled.keys().isdisjoint(group) is free])


def conflict_of_bound(reason: Reason, names: Names, goal: Goal, budget: Budget) -> Conflict:
    """The VMs that a bound counts, with the rules it rests on; minimal where quick means show it."""
    trial = PartOracle(names, goal, budget, quick=True)
    part = Demands(frozenset(reason.vms), frozenset(_rules_behind(reason, names)))
    if reason.kind in ("size", "rules"):
        part = _less_ruled(part, reason, trial)
    return _named(reason, part, names, minimal=_shown_minimal(part, trial))


def _rules_behind(reason: Reason, names: Names) -> list[int]:
    """The rules that a bound rests on, or may rest on."""
    if reason.kind == "group":
        return [
            b.index
            for b in names.problem.compiled_rules
            if b.kind == "together" and b.must and tuple(b.vms.tolist()) == reason.vms
        ]
    if reason.kind == "apart":
        bound = ((b.index, set(b.vms.tolist())) for b in names.problem.compiled_rules if b.zone is not None and b.must)
        return [next(rule for rule, vms in bound if vms.issuperset(reason.vms))]
    if reason.kind not in ("size", "rules"):
        return []
    cluster, vm = names.cluster, names.vm(reason.vms[0])
    rules = [(i, rule) for i, rule in enumerate(cluster.rules) if rule.must and isinstance(rule, OnlyOn | NotOn)]
    return [i for i, rule in rules if vm in resolve(rule.vms, cluster.vms)]


def _less_ruled(part: Demands, reason: Reason, trial: PartOracle) -> Demands:
    """The part without the rules that do not count for a bound."""

    def irrelevant(rules: frozenset[int]) -> bool:
        found = trial.bound(evolve(part, rules=rules))
        return found is not None and (found.kind, found.need, found.free) == (reason.kind, reason.need, reason.free)

    shrinking = DeletionFilter(part.rules, irrelevant)
    shrinking.drop_each(sorted(part.rules))
    return evolve(part, rules=shrinking.kept)


def _shown_minimal(part: Demands, trial: PartOracle) -> bool:
    """Whether it shows quickly that without any one member there is a placement."""
    if not trial.names.problem.plain or len(part.vms) > _FEW_VMS or trial.names.problem.n_nodes > _FEW_NODES:
        return False
    groups = _groups(part, trial.names, trial.goal)
    ones = [*(Demand("rules", rule) for rule in part.rules), *(Demand("vms", group[0]) for group in groups)]
    return len(ones) <= _FEW_GROUPS and all(trial.infeasible(part.elements - {one}) is False for one in ones)


def _groups(part: Demands, names: Names, goal: Goal) -> list[list[int]]:
    """The VMs in groups of interchangeable ones: by pool, by node where that matters, the smaller before the larger."""
    problem, rules = names.problem, _rules_of(part, names)
    nowhere_else = ~goal.free(problem) | np.isin(problem.node_of, np.flatnonzero(problem.maintenance))
    place = np.where(nowhere_else | bool(part.limits), problem.node_of, -1)
    keys: dict[tuple[object, ...], list[int]] = {}
    for vm in sorted(part.vms):
        alike = (
            int(problem.vm_pool[vm]),
            int(place[vm]),
            tuple(problem.demand[vm].tolist()),
            tuple(bool(part.protected[vm]) for part in problem.each),
            bool(problem.evictable[vm]),
            tuple(rules.get(vm, ())),
        )
        keys.setdefault(alike, []).append(vm)
    return [keys[key] for key in sorted(keys)]


def _rules_of(part: Demands, names: Names) -> dict[int, list[int]]:
    """For each VM under rules of the part, these."""
    index = dict(zip(names.vms(part.vms), part.vms, strict=True)) if part.rules else {}
    rules: dict[int, list[int]] = {}
    for rule in sorted(part.rules):
        for name in resolve(names.cluster.rules[rule].vms, names.cluster.vms):
            if name in index:
                rules.setdefault(index[name], []).append(rule)
    return rules


def _named(reason: Reason, part: Demands, names: Names, *, minimal: bool) -> Conflict:
    conflict = Conflict(
        reason.kind,
        vms=names.vms(sorted(part.vms)),
        rules=tuple(sorted(part.rules)),
        limits=tuple(limit for limit in LIMITS if limit in part.limits),
        minimal=minimal,
    )
    if reason.kind == "search":
        return conflict
    # No node at all has less than none free.
    free = None if reason.free < 0 else reason.free
    return evolve(conflict, need=reason.need, free=free, slot=reason.size if reason.kind == "slots" else None)
