"""A smaller or weaker question of a compiled problem: without some VMs, rules or nodes, with less promised; no cluster is compiled.

Indices of nodes and of rules stay as they are, and `Problem.original` still leads to the cluster that was compiled: `Names` of
that cluster name what is left. Except for the numbers of pools, each result is what compiling the changed cluster gives.
"""

from collections.abc import Collection, Iterable

import numpy as np
from attrs import evolve

from vmplace.model.entities import Guarantee
from vmplace.problem.problem import BoolArray, CompiledRule, Problem, normal_limit
from vmplace.problem.signatures import signed

__all__ = ["in_state", "only", "promising", "without", "yielding"]

_COLUMNS = ("demand", "node_of", "protected", "evictable", "optional", "movable", "priority", "original")
"""Fields of a problem with an entry for each VM; `signature` is made anew."""


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
    kept = [rule for rule in _rules(problem) if rule.index not in rules]
    if vms is not None and vms.any():
        left = np.flatnonzero(~np.isin(problem.original, problem.original[vms]))
        place = np.full(problem.n_vms, -1, dtype=np.int64)
        place[left] = np.arange(len(left))
        kept = [evolve(rule, vms=place[rule.vms[place[rule.vms] >= 0]]) for rule in kept]
        pool, n_incoming = problem.vm_pool[left], int(problem.incoming[left].sum())
        columns = {name: getattr(problem, name)[left] for name in _COLUMNS}
        # The pool of each VM is looked up by its signature: this one is made anew below.
        problem = evolve(problem, **columns, signature=pool, signature_pool=np.arange(_n_pools(problem)), n_incoming=n_incoming)
    if nodes is not None:
        out = problem.drained | nodes
        problem = evolve(problem, drained=out, online=problem.online & ~out, maintenance=problem.maintenance & ~out)
    return _ruled(problem, [rule for rule in kept if rule.binds])


def only(problem: Problem, pool: int) -> Problem:
    """The problem without the VMs of other pools; their nodes stay."""
    return without(problem, vms=problem.vm_pool != pool)


def yielding(problem: Problem, rules: Collection[int]) -> Problem:
    """The problem with some rules (by index in the cluster) that are a must no more."""
    return _ruled(problem, [evolve(rule, must=rule.must and rule.index not in rules) for rule in _rules(problem)])


def in_state(problem: Problem, state: str, nodes: BoolArray) -> Problem:
    """The problem with some nodes ``online`` or in ``maintenance``; none of them is offline, shape (n_nodes,)."""
    online, maintenance = problem.online & ~nodes, problem.maintenance & ~nodes
    if state == "online":
        online |= nodes
    else:
        maintenance |= nodes
    return _ruled(evolve(problem, online=online, maintenance=maintenance), _rules(problem))


def promising(problem: Problem, guarantee: Guarantee) -> Problem:
    """The problem with another guarantee of the same scope."""
    assert guarantee.scope == problem.guarantee.scope
    limit = problem.limit if guarantee.headroom == problem.guarantee.headroom else normal_limit(problem.usable, guarantee)
    return evolve(problem, guarantee=guarantee, limit=limit)


def _rules(problem: Problem) -> list[CompiledRule]:
    return sorted((*problem.compiled_rules, *problem.unary_rules), key=lambda rule: rule.index)


def _ruled(problem: Problem, rules: Iterable[CompiledRule]) -> Problem:
    """The problem under these rules alone."""
    hosting = problem.online | problem.maintenance
    return evolve(problem, **signed(problem.vm_pool, list(rules), problem.pool, hosting, problem.online))


def _n_pools(problem: Problem) -> int:
    return 1 + max(int(problem.pool.max(initial=-1)), int(problem.signature_pool.max(initial=-1)))
