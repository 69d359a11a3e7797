"""Restrictions of a compiled problem: without some VMs, rules or nodes, or under another guarantee; no cluster is compiled again.

Indices of nodes and of rules stay as they are, and `Problem.original` still leads to the cluster that was compiled: `Names` of
that cluster name what is left. Except for the numbers of pools, each result is what compiling the changed cluster gives.
"""

from collections.abc import Callable, Collection, Sequence
from functools import reduce

import numpy as np
from attrs import evolve

from vmplace.model.columns import IntArray
from vmplace.model.guarantee import Guarantee
from vmplace.problem.problem import BoolArray, Problem, normal_limit
from vmplace.problem.promise import Promise
from vmplace.problem.rules import CompiledRule
from vmplace.problem.signatures import signed

__all__ = [
    "apart_from",
    "asking",
    "eased",
    "in_state",
    "only",
    "placed",
    "promising",
    "repromised",
    "rows_of",
    "ruled",
    "rules_of",
    "sparing",
    "warmed",
    "without",
    "yielding",
]

_COLUMNS = (
    "demand",
    "node_of",
    "protected",
    "evictable",
    "optional",
    "movable",
    "cold",
    "priority",
    "signature",
    "bond",
    "original",
)
"""Fields of a problem with an entry for each VM."""


def without(
    problem: Problem, *, vms: BoolArray | None = None, rules: Collection[int] = (), nodes: BoolArray | None = None
) -> Problem:
    """The problem without some of its parts.

    Parameters
    ----------
    vms
        VMs that are gone, shape (n_vms,); both halves of a migration if either is.
    rules
        By index in the cluster.
    nodes
        Nodes to be emptied, shape (n_nodes,): their VMs are there now, but may not stay; nothing else is there for any VM.
    """
    kept, pool = [rule for rule in rules_of(problem) if rule.index not in rules], problem.vm_pool
    if vms is not None and vms.any():
        left = np.flatnonzero(~np.isin(problem.original, problem.original[vms]))
        place = np.full(problem.n_vms, -1, dtype=np.int64)
        place[left] = np.arange(len(left))
        kept = [evolve(rule, vms=place[rule.vms[place[rule.vms] >= 0]]) for rule in kept]
        pool, n_incoming = pool[left], int(problem.incoming[left].sum())
        problem = evolve(rows_of(problem, left), n_incoming=n_incoming)
    if nodes is not None:
        out = problem.drained | nodes
        problem = evolve(problem, drained=out, online=problem.online & ~out, maintenance=problem.maintenance & ~out)
        kept = [rule for rule in kept if rule.kind != "home" or rule.nodes is None or not out[rule.nodes].all()]
    return ruled(problem, [rule for rule in kept if rule.binds], pool)


def apart_from(problem: Problem, nodes: BoolArray) -> BoolArray:
    """VMs that have nothing to do with some nodes, shape (n_vms,): they are in other pools, under no rule with one that has."""
    near = np.zeros(int(max(problem.pool.max(initial=0), problem.signature_pool.max(initial=0))) + 1, dtype=bool)
    near[problem.pool[nodes]] = True
    if near[problem.signature_pool].all():
        return np.zeros(problem.n_vms, dtype=bool)
    spans = [np.unique(problem.vm_pool[rule.vms]) for rule in problem.compiled_rules]
    for _ in spans:
        for pools in spans:
            near[pools] |= near[pools].any()
    return ~near[problem.vm_pool]


def rows_of(problem: Problem, vms: IntArray) -> Problem:
    """The problem with just these VMs, each as often as it occurs; rules keep the indices that they have."""
    promises = tuple(promise.of(vms) for promise in problem.promises)
    return evolve(problem, **{name: getattr(problem, name)[vms] for name in _COLUMNS}, promises=promises)


def only(problem: Problem, pool: int) -> Problem:
    """The problem without the VMs of other pools; their nodes stay."""
    return without(problem, vms=problem.vm_pool != pool)


def yielding(problem: Problem, rules: Collection[int]) -> Problem:
    """The problem with some rules (by index in the cluster) that are a must no more."""
    changed = [evolve(rule, must=rule.must and rule.index not in rules) for rule in rules_of(problem)]
    return ruled(problem, changed, problem.vm_pool)


def in_state(problem: Problem, state: str, nodes: BoolArray) -> Problem:
    """The problem with some nodes ``online`` or in ``maintenance``; none of them is offline, shape (n_nodes,)."""
    online, maintenance = problem.online & ~nodes, problem.maintenance & ~nodes
    if state == "online":
        online |= nodes
    else:
        maintenance |= nodes
    return ruled(evolve(problem, online=online, maintenance=maintenance), rules_of(problem), problem.vm_pool)


def warmed(problem: Problem, vms: BoolArray) -> Problem:
    """The problem in which some VMs may move that otherwise stay, as far as they can be stopped and started, shape (n_vms,)."""
    more = problem.cold & vms
    return evolve(problem, movable=problem.movable | more) if more.any() else problem


def placed(problem: Problem, hosts: IntArray) -> Problem:
    """The problem with its VMs on other nodes; what migrates already does not change.

    Parameters
    ----------
    hosts
        Node of each VM of the cluster, -1 for none, shape (n_vms of the cluster,); one that is offline is none.
    """
    hosting = np.append(problem.online | problem.maintenance | problem.drained, False)
    hosts = np.where(hosting[hosts], hosts, -1)
    return evolve(problem, node_of=np.where(problem.incoming, problem.node_of, hosts[problem.original]))


def repromised(problem: Problem, change: Callable[[Promise], Promise]) -> Problem:
    """The problem with each of its guarantees, and what is its own, changed."""
    return evolve(problem, **change(_own(problem)).own, promises=tuple(map(change, problem.promises)))


def _own(problem: Problem) -> Promise:
    return Promise(problem.guarantee, problem.unit, problem.name_rank, problem.protected, problem.optional)


def asking(problem: Problem, change: Callable[[Guarantee], Guarantee]) -> Problem:
    """The problem with each guarantee changed, but not its scope, VMs or headroom."""
    return repromised(problem, lambda promise: evolve(promise, guarantee=change(promise.guarantee)))


def eased(problem: Problem) -> Problem:
    """The problem with a plan for each failure: what every guarantee needs at least."""
    return problem if problem.plain else asking(problem, lambda asked: asked.eased)


def promising(problem: Problem, asked: Sequence[Guarantee | None]) -> Problem:
    """The problem with others in place of all its guarantees, each of the same scope; None: it is given up, which not all are."""
    both = zip(problem.promises or (_own(problem),), asked, strict=True)
    held = [_asking_for(guarantee, promise) for promise, guarantee in both if guarantee is not None]
    limit = reduce(np.minimum, (normal_limit(problem.usable, problem.own_limit, promise.guarantee) for promise in held))
    return evolve(problem, **held[0].own, promises=tuple(held) if len(held) > 1 else (), limit=limit)


def _asking_for(guarantee: Guarantee, promise: Promise) -> Promise:
    assert guarantee.scope == promise.guarantee.scope
    return evolve(promise, guarantee=guarantee)


def sparing(problem: Problem, vms: BoolArray) -> Problem:
    """The problem in which some VMs need not restart, shape (n_vms,)."""
    return repromised(problem, lambda p: evolve(p, protected=p.protected & ~vms, optional=p.optional & ~vms))


def rules_of(problem: Problem) -> list[CompiledRule]:
    """All its rules, by index in the cluster."""
    return sorted((*problem.compiled_rules, *problem.unary_rules), key=lambda rule: rule.index)


def ruled(problem: Problem, rules: list[CompiledRule], vm_pool: IntArray) -> Problem:
    """The problem under these rules alone."""
    hosting = problem.online | problem.maintenance
    return evolve(problem, **signed(vm_pool, rules, problem.pool, hosting, problem.online))
