"""Signatures: the VMs of one pool under the same rules, and the nodes that pool, state and unary rules leave each of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule

__all__ = ["numbered", "signed"]


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
    signature, signatures = _signatures(vm_pool, rules)
    unary = [rule for rule in rules if rule.must and rule.nodes is not None]
    return {
        "signature": signature,
        "signature_pool": np.array([pool for pool, _ in signatures], dtype=np.int64),
        "reachable": _masks(signatures, pool, hosting, unary),
        "restartable": _masks(signatures, pool, target, [rule for rule in unary if rule.during_failover]),
        "compiled_rules": tuple(rule for rule in rules if not (rule.must and rule.nodes is not None)),
        "unary_rules": tuple(unary),
    }


def _signatures(pool: IntArray, rules: Sequence[CompiledRule]) -> tuple[IntArray, list[tuple[int, frozenset[int]]]]:
    """Signature of each VM, and for each signature its pool and the rules it is under (by index in the cluster)."""
    rules_of: dict[int, list[int]] = {}
    for rule in rules:
        for vm in rule.vms.tolist():
            rules_of.setdefault(vm, []).append(rule.index)
    known: dict[frozenset[int], int] = {frozenset(): 0}
    bound = np.zeros(len(pool), dtype=np.int64)  # which costs nothing until it is written to
    bound[list(rules_of)] = [known.setdefault(frozenset(own), len(known)) for own in rules_of.values()]
    signature, first = numbered(pool * len(known) + bound if rules else pool)
    sets = list(known)
    return signature, [(int(pool[vm]), sets[bound[vm]]) for vm in first.tolist()]


def numbered(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The keys numbered by appearance, and the index at which each appears."""
    if keys.strides == (0,):  # one key for all
        return np.broadcast_to(np.int64(0), len(keys)), np.arange(min(1, len(keys)))
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[index], first[order]


def _masks(
    signatures: list[tuple[int, frozenset[int]]], pool: IntArray, usable: BoolArray, unary: Iterable[CompiledRule]
) -> BoolArray:
    left = {rule.index: rule.nodes for rule in unary if rule.nodes is not None}
    masks = np.zeros((len(signatures), len(pool)), dtype=bool)
    for row, (own, rules) in enumerate(signatures):
        masks[row] = usable & (pool == own)
        for rule in rules & left.keys():
            masks[row] &= left[rule]
    return masks
