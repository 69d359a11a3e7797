"""Signatures: VMs of one pool under the same unary rules, and the nodes that pool, state and these rules leave each of them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule

__all__ = ["numbered", "rule_sets", "signed"]


def signed(
    vm_pool: IntArray, rules: Sequence[CompiledRule], pool: IntArray, hosting: BoolArray, target: BoolArray
) -> dict[str, Any]:
    """The fields of a `Problem` that follow from its rules.

    Parameters
    ----------
    vm_pool, pool
        Pool of each VM, shape (n_vms,), and of each node, shape (n_nodes,).
    rules
        All of them, by index in the cluster.
    hosting, target
        Nodes that VMs may be on in normal running, and restart on, as far as their state goes, shape (n_nodes,).
    """
    unary = [rule for rule in rules if rule.must and rule.nodes is not None]
    others = tuple(rule for rule in rules if not (rule.must and rule.nodes is not None))
    code, sets = rule_sets(unary, len(vm_pool))
    known = list(sets)
    signature, first = numbered(vm_pool * len(known) + code if unary else vm_pool)
    signatures = [(int(vm_pool[vm]), known[code[vm]]) for vm in first.tolist()]
    restart = frozenset(place for place, rule in enumerate(unary) if rule.during_failover)
    return {
        "signature": signature,
        "bond": rule_sets(others, len(vm_pool))[0],
        "signature_pool": np.array([pool for pool, _ in signatures], dtype=np.int64),
        "reachable": _masks(signatures, pool, hosting, unary),
        "restartable": _masks([(own, restart.intersection(among)) for own, among in signatures], pool, target, unary),
        "compiled_rules": others,
        "unary_rules": tuple(unary),
    }


def rule_sets(rules: Sequence[CompiledRule], n_vms: int) -> tuple[IntArray, Iterator[frozenset[int]]]:
    """The number of the set of rules that each VM is under, 0 for none, shape (n_vms,); and the sets, as places in `rules`."""
    none = np.broadcast_to(np.int64(0), n_vms)
    if not rules:
        return none, iter([frozenset[int]()])
    members = np.concatenate([rule.vms for rule in rules])
    order = np.argsort(members, kind="stable")
    place = np.repeat(np.arange(len(rules)), [len(rule.vms) for rule in rules])[order]
    vms, start, count = np.unique(members[order], return_index=True, return_counts=True)
    code = np.zeros(len(vms), dtype=np.int64)
    for nth in range(int(count.max(initial=0))):
        # Renumber at each step, so that the product of the counts cannot overflow.
        more = np.where(count > nth, place[np.minimum(start + nth, len(place) - 1)] + 1, 0)
        code = np.asarray(np.unique(code * (len(rules) + 1) + more, return_inverse=True)[1]).reshape(-1)
    number, first = numbered(code)
    of_vm = none.copy()
    of_vm[vms] = number + 1
    sets = (frozenset(place[start[k] : start[k] + count[k]].tolist()) for k in first.tolist())
    return of_vm, chain([frozenset[int]()], sets)


def numbered(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The keys numbered by appearance, and the index at which each appears."""
    if keys.strides == (0,):  # one key for all
        return np.broadcast_to(np.int64(0), len(keys)), np.arange(min(1, len(keys)))
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[index], first[order]


def _masks(
    signatures: Sequence[tuple[int, frozenset[int]]], pool: IntArray, usable: BoolArray, unary: Sequence[CompiledRule]
) -> BoolArray:
    masks = np.zeros((len(signatures), len(pool)), dtype=bool)
    for row, (own, rules) in enumerate(signatures):
        masks[row] = usable & (pool == own)
        for place in rules:
            masks[row] &= unary[place].nodes
    return masks
