"""Reasons as sentences: figures and names."""

from collections.abc import Sequence

import numpy as np

from vmplace.failover.outcome import Reason
from vmplace.model.units import spell_memory
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.size_limits import barred_by_size

__all__ = ["SHOWN_IN_CONFLICT", "amount", "listed", "missing_beside_memory", "named", "scenario_sentence"]

_SHOWN = 4
SHOWN_IN_CONFLICT = 12


def scenario_sentence(reason: Reason, scenarios: Scenarios, number: int, names: Names) -> str:
    """Why the VMs that a failure displaces cannot all restart."""
    problem, scope = names.problem, names.scenario(scenarios, number)
    if reason.kind == "quorum":
        total = int(np.count_nonzero(problem.pool == scenarios.pool[number]))
        return f"{reason.free} of {total} nodes would be left; quorum needs {reason.need}"
    if reason.kind == "time":
        return f"time ended before it was known whether {named(reason, names)} on {scope} can restart"
    need, free = amount(reason.need, reason, problem), amount(reason.free, reason, problem)
    who = named(reason, names)
    if reason.kind == "alone":
        lone = len(scenarios.failing(number)) == 1 and _n_nodes(problem, scenarios, number) == 1
        why = "a single node can never be N+1" if lone else "no other node can take them"
        return f"{who} on {scope} would have nowhere to restart: {why}"
    if reason.kind == "rules":
        return f"{who} on {scope} may restart on no other node: {_leaves_none(reason, names)}"
    if reason.kind == "blend":
        wanted = " and ".join(("memory", *problem.resources[: problem.n_firm - 1]))
        return f"{who} on {scope} needs more {wanted} together than is free on any one other node that the rules allow"
    if reason.kind in ("size", "barred"):
        barred = barred_by_size(names.cluster, int(names.problem.original[reason.vms[0]]))
        needs = f"{who} needs {need}" if len(reason.vms) == 1 else f"{who} need {need} together"
        other = "one other node" if reason.kind == "size" else "one other node that the rules allow"
        most = f"{needs}; the most that is free on {other} is {free} on {names.node(reason.node)}"
        return f"{most}; {barred}" if barred else most
    if reason.kind == "stranded":
        return f"{named(reason, names)} ({need}) on {scope} {_stranded(reason, names)}"
    if reason.kind == "overfull":
        node, policy = names.node(reason.node), problem.guarantee.policy
        return f"the platform restarts {who} on {node} ({policy}), whether there is room or not: {_of(need, free)} on {node}"
    if reason.kind == "policy":
        asked = problem.guarantee
        order = f", {asked.order}" if asked.order else ""
        return f"{named(reason, names)} ({need}) on {scope} finds no node, as the platform restarts VMs ({asked.policy}{order})"
    if reason.kind == "turns":
        return f"{named(reason, names)} ({need}) finds no node in some order in which {scope} fail and VMs restart in between"
    few = 0 < reason.among < _others(problem, scenarios, number)
    if reason.kind == "sums":
        has = f"any {reason.among} other nodes have at most {free} free" if few else f"{free} is free on the other nodes in all"
        return f"the VMs on {scope} need {need}; {has}"
    if reason.kind == "slots":
        slots = f"{reason.need} slot{'s' * (reason.need != 1)} of {amount(reason.size, reason, problem)}"
        has = f"any {reason.among} other nodes have at most" if few else "the other nodes have"
        return f"the VMs on {scope} fill {slots}; {has} {reason.free} such slots free{'' if few else ' in all'}"
    where = f"the {reason.among} other nodes with the most" if few else "the other nodes"
    return (
        f"the {len(reason.vms)} VMs on {scope} need {need}, and {free} is free on {where}, "
        f"but the VMs cannot be divided among these nodes (every way was tried){_some_barred(reason, names)}"
    )


def _some_barred(reason: Reason, names: Names) -> str:
    """That some nodes do not take one of the VMs for its size."""
    original = names.problem.original[list(reason.vms)].tolist() if any(names.cluster.nodes.max_vm.words) else []
    barred = next((why for vm in original if (why := barred_by_size(names.cluster, vm))), "")
    return f"; {barred}" if barred else ""


def missing_beside_memory(reason: Reason, names: Names) -> str:
    """What is missing where memory is not, or not only; empty where nothing else is known to be."""
    if reason.kind == "rules":
        barred = barred_by_size(names.cluster, int(names.problem.original[reason.vms[0]]))
        return f"another node that {'takes VMs of that size' if barred else 'the rules allow'}"
    if not reason.resource:
        return ""
    lacking = amount(reason.need - reason.free, reason, names.problem)
    if reason.kind in ("size", "barred"):
        return f"{lacking} on one more node{' that the rules allow' if reason.kind == 'barred' else ''}"
    return f"{lacking} on the other nodes" if reason.kind == "sums" else f"{names.problem.resources[reason.resource - 1]}"


def _leaves_none(reason: Reason, names: Names) -> str:
    barred = barred_by_size(names.cluster, int(names.problem.original[reason.vms[0]]))
    return f"{barred}, and rules leave none of the others" if barred and names.cluster.rules else barred or "the rules leave none"


def _of(need: str, free: str) -> str:
    """So much of so much, the unit once where it is the same."""
    (much, unit), (_, other) = need.rsplit(" ", 1), free.rsplit(" ", 1)
    return f"{much if unit == other else need} of {free}"


def _stranded(reason: Reason, names: Names) -> str:
    """How it comes that nothing is left for a VM."""
    if not reason.story:
        return "finds no node, even if it is the first to restart"
    by_node: dict[int, list[int]] = {}
    for vm, node in reason.story:
        by_node.setdefault(node, []).append(vm)
    steps = [f"{listed(names.vms(vms), _SHOWN)} on {names.node(node)}" for node, vms in by_node.items()]
    return f"finds no node if the HA manager restarts {listed(steps, SHOWN_IN_CONFLICT)} first"


def amount(amount: int, reason: Reason, problem: Problem) -> str:
    """Memory, or so much of a further resource."""
    return f"{amount} {problem.resources[reason.resource - 1]}" if reason.resource else spell_memory(amount)


def _n_nodes(problem: Problem, scenarios: Scenarios, number: int) -> int:
    """How many nodes that can host something the pool of a failure has."""
    return int(((problem.pool == scenarios.pool[number]) & (problem.online | problem.maintenance)).sum())


def _others(problem: Problem, scenarios: Scenarios, number: int) -> int:
    """How many nodes the VMs of a failure may restart on, rules and switched-off nodes aside."""
    mine = problem.online & (problem.pool == scenarios.pool[number])
    return int(mine.sum()) - int(mine[scenarios.failing(number)].sum())


def named(reason: Reason, names: Names) -> str:
    """The VMs of a reason, by name, the first few of many."""
    return listed([names.vm(vm) for vm in reason.vms[:_SHOWN]], _SHOWN, len(reason.vms))


def listed(items: Sequence[str], most: int, count: int | None = None) -> str:
    """The items as people list them, no more than so many; `count`: how many there are, if not all are given."""
    shown = items[:most]
    more = (len(items) if count is None else count) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return shown[0] if len(shown) == 1 else " and ".join((", ".join(shown[:-1]), shown[-1]))
