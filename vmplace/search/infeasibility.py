"""What forbids a placement, as data: the VMs that a bound counts, or what is left when a search drops all that it can."""

import numpy as np
from attrs import evolve

from vmplace.failover.outcome import Reason
from vmplace.model.entities import NotOn, OnlyOn
from vmplace.model.references import resolve
from vmplace.problem.names import Names
from vmplace.results.placement import Conflict
from vmplace.search.deletion_filter import DeletionFilter
from vmplace.search.goal import Goal
from vmplace.search.part import LIMITS, Demand, Demands, PartOracle
from vmplace.solvers.budget import Budget

__all__ = ["conflict_of_bound", "conflict_of_search", "patience"]

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
            bool(problem.protected[vm]),
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
