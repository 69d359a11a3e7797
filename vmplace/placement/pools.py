"""Pools that stand alone: where one of them has no placement, what can be done in the others is done."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from attrs import evolve

from vmplace.model.columns import BoolArray
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.results.placement import Solution
from vmplace.results.values import Status

__all__ = ["bounds_with", "left_on", "linked_pools", "solved_apart"]


def solved_apart(names: Names, refused: Solution, run: Callable[[BoolArray], Solution]) -> tuple[Solution, BoolArray]:
    """What can be done in some pools where the others have no placement, and the VMs of these, which stay as they are.

    Parameters
    ----------
    refused
        The answer for all pools together: no placement.
    run
        Makes the problem in which some VMs, shape (n_vms,), stay as they are.
    """
    problem = names.problem
    groups, none = linked_pools(problem), np.zeros(problem.n_vms, dtype=bool)
    if len(groups) < 2:
        return refused, none
    alone = [run(~group) for group in groups]
    bad = [(group, found) for group, found in zip(groups, alone, strict=True) if found.node_of is None]
    if not bad:  # together they are against a limit that they share
        return refused, none
    unsolved = {names.pools[pool]: found.reason for group, found in bad for pool in np.unique(problem.vm_pool[group]).tolist()}
    aside = np.logical_or.reduce([group for group, _ in bad])
    solved = [found for found in alone if found.node_of is not None]
    rest = solved[0] if len(solved) == 1 else run(aside) if solved else refused
    refuted = any(found.status is Status.INFEASIBLE for _, found in bad)
    told = evolve(
        rest,
        # Where nothing is placed, one refuted pool makes the whole unsafe; else nothing is known of it.
        guarantee=rest.guarantee if rest.node_of is not None else Status.UNSAFE if refuted else Status.UNKNOWN,
        status=Status.INFEASIBLE if refuted else Status.UNKNOWN,
        reason="; ".join(f"pool {pool}: {reason}" for pool, reason in unsolved.items()),
        conflict=next((found.conflict for _, found in bad if found.conflict is not None), None),
        unsolved=unsolved,
    )
    return told, aside if rest.node_of is not None else none


def linked_pools(problem: Problem) -> list[BoolArray]:
    """The VMs of each pool, or of the pools that rules link, shape (n_vms,) each, in the order of the pools' numbers."""
    pool = problem.vm_pool
    group = {number: number for number in np.unique(pool).tolist()}
    for rule in problem.compiled_rules:
        spanned = {group[number] for number in np.unique(pool[rule.vms]).tolist()}
        group = {number: min(spanned) if own in spanned else own for number, own in group.items()}
    if len(set(group.values())) < 2:
        return [np.ones(problem.n_vms, dtype=bool)]
    return [np.isin(pool, [number for number, own in group.items() if own == first]) for first in sorted(set(group.values()))]


def left_on(problem: Problem, aside: BoolArray) -> BoolArray:
    """Nodes in the pools of VMs that are left aside, which are not switched off, shape (n_nodes,)."""
    return np.isin(problem.pool, np.unique(problem.vm_pool[aside])) & (problem.online | problem.maintenance)


def bounds_with(
    names: Sequence[str], alone: Sequence[int | Fraction], bounds: Sequence[int | Fraction], together: Sequence[int | Fraction]
) -> tuple[int | Fraction, ...]:
    """Bounds on objectives where other VMs stay as they are: `alone` is the value without these, `together` with them."""
    return tuple(
        (value if value > own else bound) if name == "balance" else bound + value - own
        for name, own, bound, value in zip(names, alone, bounds, together, strict=True)
    )
