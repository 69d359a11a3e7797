"""Faults of a cluster as it stands: overfull nodes, broken must-rules and waiting VMs, each with the VMs to blame."""

from collections.abc import Iterator

import numpy as np
from attrs import evolve

from vmplace.diagnosis.results import Blame
from vmplace.model.columns import IntArray
from vmplace.model.units import spell_memory
from vmplace.problem.names import Names
from vmplace.problem.rules import kept, offenders
from vmplace.results.placement import Report
from vmplace.results.values import Violation

__all__ = ["faults_now"]


def faults_now(report: Report, names: Names) -> Iterator[Blame]:
    """What is wrong before anything fails: overfull nodes, broken must-rules, protected VMs that wait."""
    problem = names.problem
    yield from _overfull(names)
    for fault in report.violations:
        if fault.kind == "placement":
            yield _too_large(fault, report, names)
        if fault.kind == "rule":
            yield from _broken(fault, names)
    asked = np.logical_or.reduce([part.protected | part.optional for part in problem.each])
    for vm in np.flatnonzero(asked & (problem.node_of < 0)).tolist():
        reason = f"{names.vm(vm)} ({spell_memory(int(problem.memory[vm]))}) waits for a node: it does not run"
        yield Blame("waiting", names.vm(vm), _pool_of_vm(names, vm), reason, (names.vm(vm),), minimal=True)


def _too_large(fault: Violation, report: Report, names: Names) -> Blame:
    """A VM that is larger than its node takes."""
    node = (report.placement or {})[fault.subject]
    pool = names.cluster.nodes.pool[names.cluster.nodes.names.index(node)]
    return Blame("size", fault.subject, pool, fault.message, (fault.subject,), nodes=(node,), minimal=True)


def _overfull(names: Names) -> Iterator[Blame]:
    """Overfull nodes, each with a minimal set of its VMs, the largest, that is too much for it."""
    problem = names.problem
    excess = problem.loads(problem.node_of) - problem.capacity
    for node, resource in np.argwhere(excess > 0).tolist():
        here = np.flatnonzero(problem.node_of == node)
        vms = _too_many(here, problem.demand[here, resource], int(problem.capacity[node, resource]))
        over = int(excess[node, resource])
        amount = spell_memory(over) if resource == 0 else f"{over} {problem.resources[resource - 1]}"
        reason = f"{names.node(node)} holds {amount} more than it has for VMs"
        yield Blame(
            "overfull",
            names.node(node),
            names.cluster.nodes.pool[node],
            reason,
            names.vms(vms),
            nodes=(names.node(node),),
            shortfall=over if resource == 0 else None,
            on=names.node(node) if resource == 0 else None,
            minimal=True,
        )


def _too_many(vms: IntArray, demand: IntArray, capacity: int) -> list[int]:
    """The largest that are just too much together: without any one of them the others are not."""
    order = np.argsort(-demand, kind="stable")
    taken = order[: int(np.searchsorted(np.cumsum(demand[order]), capacity, side="right")) + 1]
    # All but the last are no more than there is; those that are not needed are the last but one, and so on.
    kept, total = taken.tolist(), int(demand[taken].sum())
    for k in taken[-2::-1].tolist():
        if total - int(demand[k]) > capacity:
            kept.remove(k)
            total -= int(demand[k])
    return sorted(vms[kept].tolist())


def _broken(fault: Violation, names: Names) -> Iterator[Blame]:
    """A broken rule: each VM that is on a wrong node, or the VMs that break it together."""
    problem = names.problem
    rule = problem.rule(int(fault.subject.removeprefix("rules[").removesuffix("]")))
    guilty = offenders(rule, problem.node_of)
    pool_of = problem.vm_pool[guilty]
    for pool in dict.fromkeys(pool_of.tolist()):
        mine = guilty[pool_of == pool].tolist()
        # Two that break it together are enough to blame, even if one is of another pool: the message names all.
        pairs = ([vm, other] for vm in mine for other in guilty.tolist() if other != vm)
        enough = (pair for pair in pairs if not kept(evolve(rule, vms=np.array(pair)), problem.node_of))
        for group in [[vm] for vm in mine] if rule.kind == "only-on" else [next(enough)]:
            yield Blame("rule", fault.subject, names.pools[pool], fault.message, names.vms(group), (rule.index,), minimal=True)


def _pool_of_vm(names: Names, vm: int) -> str:
    return names.cluster.vms.pool[int(names.problem.original[vm])]
