"""Presolve: further resources that memory implies, and rules that can bind nothing, are left out of a problem, with the reason.

What is left out changes no verdict, no bound and no optimum: VMs and nodes keep their indices. The reasons are exact, and they
are those of the problem's own VMs and nodes: a problem with other VMs, or with nodes of other sizes, is presolved anew.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.guarantee import FEWEST_VMS
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.reductions import IdleRule, ImpliedResource, Reductions
from vmplace.problem.restrict import ruled, rules_of
from vmplace.problem.rules import CompiledRule

__all__ = ["most_memory", "most_per_memory", "presolved", "presolved_names"]


def presolved(problem: Problem) -> Problem:
    """A problem without what can bind nothing, and with the reasons in its `reductions`."""
    rules = rules_of(problem)
    if not rules and not problem.resources:
        return problem
    bound = most_memory(problem)
    implied = {r: found for r in range(1, problem.demand.shape[1]) if (found := _implied(problem, r, bound)) is not None}
    idle = list(_idle(problem, rules, bound)) if rules else []
    if implied:
        kept = [r for r in range(problem.demand.shape[1]) if r not in implied]
        problem = evolve(
            problem,
            resources=tuple(problem.resources[r - 1] for r in kept[1:]),
            n_firm=sum(r < problem.n_firm for r in kept),
            demand=problem.demand[:, kept],
            capacity=problem.capacity[:, kept],
        )
    if idle:
        gone = {rule.index for rule in idle}
        problem = ruled(problem, [rule for rule in rules if rule.index not in gone], problem.vm_pool)
    return evolve(problem, reductions=Reductions(tuple(implied.values()), tuple(idle))) if implied or idle else problem


def presolved_names(cluster: Cluster) -> Names:
    """A cluster under all its guarantees, compiled and presolved, once."""
    if "presolved" not in cluster.derived:
        cluster.derived["presolved"] = presolved(compile_problem(cluster, several=True))
    return Names(cluster, cluster.derived["presolved"])


def most_memory(problem: Problem) -> IntArray:
    """The most memory that VMs ever take on each node, in MiB, shape (n_nodes,): what is overfull now does not get fuller."""
    return np.maximum(problem.usable, problem.load(problem.node_of))


def _implied(problem: Problem, resource: int, bound: IntArray) -> ImpliedResource | None:
    """The reason why a resource is never short where memory is not; None if it may be."""
    tightest: ImpliedResource | None = None
    for pool in problem.pools:
        nodes = slice(None) if len(problem.pools) == 1 else problem.pool == pool
        vms = problem.vm_pool == pool if np.any(problem.signature_pool != pool) else slice(None)
        asked = _highest(problem.demand[vms, resource], problem.memory[vms])
        there = most_per_memory(problem.capacity[nodes, resource], bound[nodes])
        if asked is None or (there is not None and there < asked):
            return None
        if there is not None and (tightest is None or there - asked < tightest.there - tightest.asked):
            tightest = ImpliedResource(problem.resources[resource - 1], asked, there)
    return tightest


def most_per_memory(amounts: IntArray, memory: IntArray) -> Fraction | None:
    """The least ratio of amounts to memory, over those that have memory; None where none has."""
    some = memory > 0
    if not some.all():
        amounts, memory = amounts[some], memory[some]
    return None if not len(memory) else -_extreme(-amounts, memory)


def _highest(amounts: IntArray, memory: IntArray) -> Fraction | None:
    """The highest ratio of amounts to memory; None where something is asked for without memory."""
    some = memory > 0
    if not some.all():
        if amounts[~some].any():
            return None
        amounts, memory = amounts[some], memory[some]
    return _extreme(amounts, memory) if len(memory) else Fraction(0)


def _extreme(amounts: IntArray, memory: IntArray) -> Fraction:
    """The highest ratio, exactly; memory above 0."""
    first = int((amounts / memory).argmax())
    if max(abs(int(amounts.max())), abs(int(amounts.min()))) * int(memory.max()) >= 2**62:
        return max(map(Fraction, amounts.tolist(), memory.tolist()))
    while True:
        over = amounts * memory[first] > amounts[first] * memory
        if not over.any():
            return Fraction(int(amounts[first]), int(memory[first]))
        first = int(over.argmax())  # the quotients above are rounded


def _idle(problem: Problem, rules: Sequence[CompiledRule], bound: IntArray) -> Iterator[IdleRule]:
    """The rules that bind nothing."""
    single = _single_zones(rules)
    implying, apart = _implying(rules, single), _kept_apart(problem, rules, bound, single)
    for place, rule in enumerate(rules):
        why = "everywhere" if rule.kind == "only-on" and _everywhere(problem, rule) else apart.get(place, "")
        by = rules[implying[place]].index if not why and place in implying else None
        if why or by is not None:
            yield IdleRule(evolve(rule, vms=problem.original[rule.vms]), why or "implied", by)


def _everywhere(problem: Problem, rule: CompiledRule) -> bool:
    assert rule.nodes is not None
    barred = problem.pool[~rule.nodes]
    return not len(barred) or not np.isin(problem.vm_pool[rule.vms], barred).any()


def _kept_apart(problem: Problem, rules: Sequence[CompiledRule], bound: IntArray, single: Mapping[int, bool]) -> dict[int, str]:
    """By place, the must-rules that keep VMs apart of which no two can share a node, and why they cannot."""
    asked = [place for place, rule in enumerate(rules) if rule.must and rule.zone is not None and single[id(rule.zone)]]
    if not asked:
        return {}
    vms = np.concatenate([rules[place].vms for place in asked])
    of = np.repeat(np.arange(len(asked)), [len(rules[place].vms) for place in asked])
    order = np.lexsort((problem.memory[vms], problem.vm_pool[vms], of))
    vms, of = vms[order], of[order]
    pool = problem.vm_pool[vms]
    beside = (of[1:] == of[:-1]) & (pool[1:] == pool[:-1])  # in one pool with the next larger one
    first = np.flatnonzero(beside & np.append(True, ~beside[:-1]))
    most = np.zeros(int(max(problem.pool.max(initial=0), pool.max())) + 1, dtype=np.int64)
    np.maximum.at(most, problem.pool, bound)
    share = problem.memory[vms[first]] + problem.memory[vms[first + 1]] <= most[pool[first]]
    if any(part.guarantee.policy == FEWEST_VMS for part in problem.each):
        share[:] = True  # restarts may overfill a node
    meeting, sharing = set(of[first].tolist()), set(of[first[share]].tolist())
    why = {number: "too-large" if number in meeting else "other-pools" for number in range(len(asked)) if number not in sharing}
    return {asked[number]: reason for number, reason in why.items()}


def _single_zones(rules: Sequence[CompiledRule]) -> dict[int, bool]:
    """Whether each zone of some rules is one node, by the identity of their zones, which many rules share."""
    zones = {id(rule.zone): rule.zone for rule in rules if rule.zone is not None}
    return {key: len(np.unique(zone)) == len(zone) for key, zone in zones.items()}


def _implying(rules: Sequence[CompiledRule], single: Mapping[int, bool]) -> dict[int, int]:
    """By place, the must-rules that another one implies, with the place of that one, which none implies in turn."""
    binding = [place for place, rule in enumerate(rules) if rule.must and rule.kind in ("apart", "together", "only-on")]
    members = np.concatenate([np.zeros(0, dtype=np.int64), *(rules[place].vms for place in binding)])
    if not len(members) or np.bincount(members).max() < 2:
        return {}
    of_vm = defaultdict[int, list[int]](list)
    for place in binding:
        for vm in rules[place].vms.tolist():
            of_vm[vm].append(place)
    found = dict[int, int]()
    for place in sorted(binding, key=lambda place: (len(rules[place].vms), -place)):
        # A stronger rule binds every member: also that one which fewest rules bind.
        rivals = min((of_vm[vm] for vm in rules[place].vms.tolist()), key=len)
        others = (other for other in rivals if other != place and other not in found)
        if (stronger := next((other for other in others if _implies(rules[other], rules[place], single)), None)) is not None:
            found[place] = stronger
    # What implies one may have been left out later, for a third that implies both.
    for place, other in found.items():
        while other in found:
            other = found[other]
        found[place] = other
    return found


def _implies(rule: CompiledRule, other: CompiledRule, single: Mapping[int, bool]) -> bool:
    """Whether what keeps one must-rule keeps another."""
    if rule.kind != other.kind or rule.during_failover < other.during_failover or not np.isin(other.vms, rule.vms).all():
        return False
    if rule.nodes is not None:
        assert other.nodes is not None
        return bool(other.nodes[rule.nodes].all())
    if rule.zone is not None:
        assert other.zone is not None
        return rule.zone is other.zone or single[id(other.zone)] or np.array_equal(rule.zone, other.zone)
    return True
