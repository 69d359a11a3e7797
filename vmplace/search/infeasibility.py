"""What forbids a placement, as data: the VMs that a bound counts, or what is left when a search drops all that it can."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from attrs import define, evolve

from vmplace.failover.outcome import Reason
from vmplace.model.entities import NotOn, OnlyOn
from vmplace.model.references import resolve
from vmplace.problem.names import Names
from vmplace.results.placement import Conflict
from vmplace.search.goal import Goal
from vmplace.search.part import LIMITS, Demands, PartOracle
from vmplace.solvers.budget import Budget

__all__ = ["DeletionFilter", "Tries", "conflict_of_bound", "conflict_of_search", "patience"]

_PATIENCE = 2.0
_SHARE = 0.5
_MANY_VMS = 10_000
_FEW_GROUPS, _FEW_VMS, _FEW_NODES = 8, 200, 100


def patience(budget: Budget, work: float, *, deterministic: bool) -> Budget:
    """What finding a conflict may take of what is left: half, and of the clock no more than the proof took, or a few seconds.

    Parameters
    ----------
    budget
        Of the whole call.
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

    A deletion filter: limits first, then rules, then VMs are dropped as long as there is no placement for what is left;
    many at once, then halves of what has to stay, then one by one, or, of VMs that are interchangeable, by bisection. As
    asking for less never does harm (see `PartOracle`), what was needed once is needed in the end. What is undecided when time
    runs out stays, and the result is then not called minimal; so it is with very many VMs, where one try takes too long.
    """
    part = Demands.whole(trial.names, trial.goal)
    thinning = DeletionFilter(part, trial, minimal=len(part.vms) <= _MANY_VMS)
    if thinning.minimal:
        thinning.thin([Demands(limits=frozenset({limit})) for limit in LIMITS if limit in part.limits])
        thinning.thin([Demands(rules=frozenset({rule})) for rule in sorted(part.rules)])
        _thin_vms(thinning, trial)
    # With less to place there would be plans; whether they would keep a promise beyond that was not tried.
    minimal = thinning.minimal and (trial.names.problem.plain or trial.goal.best_effort)
    return _named(Reason("search", ()), thinning.part, trial.names, minimal=minimal)


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
        return [b.rule for b in names.problem.bindings if b.kind == "together" and b.must and tuple(b.vms.tolist()) == reason.vms]
    if reason.kind == "apart":
        bound = ((b.rule, set(b.vms.tolist())) for b in names.problem.bindings if b.zone is not None and b.must)
        return [next(rule for rule, vms in bound if vms.issuperset(reason.vms))]
    if reason.kind not in ("size", "rules"):
        return []
    cluster, vm = names.cluster, names.vm(reason.vms[0])
    rules = [(i, rule) for i, rule in enumerate(cluster.rules) if rule.must and isinstance(rule, OnlyOn | NotOn)]
    return [i for i, rule in rules if vm in resolve(rule.vms, cluster.vms)]


def _less_ruled(part: Demands, reason: Reason, trial: PartOracle) -> Demands:
    """The part without the rules that do not count for a bound."""

    def irrelevant(rules: Demands) -> bool:
        found = trial.bound(part - rules)
        return found is not None and (found.kind, found.need, found.free) == (reason.kind, reason.need, reason.free)

    for rule in sorted(part.rules):
        one = Demands(rules=frozenset({rule}))
        if irrelevant(one):
            part -= one
    return part


def _shown_minimal(part: Demands, trial: PartOracle) -> bool:
    """Whether it shows quickly that without any one member there is a placement."""
    if not trial.names.problem.plain or len(part.vms) > _FEW_VMS or trial.names.problem.n_nodes > _FEW_NODES:
        return False
    rules = [Demands(rules=frozenset({rule})) for rule in part.rules]
    ones = [*rules, *(Demands(frozenset({min(group.vms)})) for group in _groups(part, trial.names, trial.goal))]
    return len(ones) <= _FEW_GROUPS and all(trial.fits(part - one) for one in ones)


def _thin_vms(thinning: "DeletionFilter", trial: PartOracle) -> None:
    """Drop VMs: those under no rule that is left, then the others."""
    if trial.budget.spent:
        thinning.minimal = False
        return
    groups = _groups(thinning.part, trial.names, trial.goal)
    ruled = frozenset(_rules_of(thinning.part, trial.names))
    thinning.thin([group for group in groups if not group.vms & ruled])
    thinning.thin([group for group in groups if group.vms & ruled])


class Tries(Protocol):
    """Tells whether parts of what is asked for can be met."""

    budget: Budget

    def fits(self, part: Demands) -> bool | None:
        """Whether this much can be met; None if that could not be told in time."""


@define
class DeletionFilter:
    """What cannot be met, made smaller by dropping what it does without.

    Parameters
    ----------
    part
        What cannot be met; less and less of it.
    trial
        Tells what can.
    minimal
        Whether all that was kept was kept because it is needed.
    """

    part: Demands
    trial: Tries
    minimal: bool = True

    def thin(self, groups: Sequence[Demands], *, needed: bool = False) -> None:
        """Drop all of these groups, or halves of them, or what each does without; `needed`: it is known that not all can go."""
        if not groups:
            return
        if self.trial.budget.spent:
            self.minimal = False
            return
        if not needed:
            less = self.part - Demands.of(groups)
            fits = self.trial.fits(less)
            if fits is False:
                self.part = less
                return
            needed = fits is True
        if len(groups) == 1:
            self._bisect(groups[0], needed)
            return
        before, half = self.part, len(groups) // 2
        self.thin(groups[:half])
        gone = self.part == before - Demands.of(groups[:half])
        self.thin(groups[half:], needed=needed and gone)

    def _bisect(self, group: Demands, needed: bool) -> None:
        """Keep the fewest of interchangeable members with which there is still no placement; `needed`: none are too few."""
        members = sorted(group.vms)
        few, many, whole = 0, max(1, len(members)), self.part
        while many - few > 1:
            middle = (few + many) // 2
            less = whole - Demands(frozenset(members[middle:]))
            fits = self.trial.fits(less)
            if fits is False:
                many, self.part = middle, less
            else:
                few, needed = middle, fits is True
        self.minimal = self.minimal and needed


def _groups(part: Demands, names: Names, goal: Goal) -> list[Demands]:
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
            bool(problem.protected[vm]),
            bool(problem.evictable[vm]),
            tuple(rules.get(vm, ())),
        )
        keys.setdefault(alike, []).append(vm)
    return [Demands(frozenset(keys[key])) for key in sorted(keys)]


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
