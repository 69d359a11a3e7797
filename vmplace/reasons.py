"""Reasons as sentences: figures and names."""

from collections.abc import Sequence

import numpy as np

from vmplace.failures import Failures
from vmplace.goal import Goal
from vmplace.naming import Names
from vmplace.problem import Problem
from vmplace.restart import Reason
from vmplace.results import Conflict
from vmplace.units import spell_memory

__all__ = ["conflict_sentence", "impossible_sentence", "scenario_sentence"]

_SHOWN = 4
_SHOWN_IN_CONFLICT = 12


def scenario_sentence(reason: Reason, failures: Failures, number: int, names: Names) -> str:
    """Why the VMs that a failure displaces cannot all restart."""
    problem, scope = names.problem, names.scenario(failures, number)
    need, free = _amount(reason.need, reason, problem), _amount(reason.free, reason, problem)
    who = _who(reason, names)
    if reason.kind == "alone":
        lone = len(failures.failing(number)) == 1 and _n_nodes(problem, failures, number) == 1
        why = "a single node can never be N+1" if lone else "no other node is there to take them"
        return f"{who} on {scope} would have nowhere to restart: {why}"
    if reason.kind == "rules":
        return f"{who} on {scope} may restart on no other node: the rules leave none"
    if reason.kind == "blend":
        wanted = " and ".join(("memory", *problem.resources[: problem.n_firm - 1]))
        return f"{who} on {scope} needs more {wanted} together than is free on any one other node that the rules allow"
    if reason.kind in ("size", "barred"):
        needs = f"{who} needs {need}" if len(reason.vms) == 1 else f"{who} need {need} together"
        other = "one other node" if reason.kind == "size" else "one other node that the rules allow"
        return f"{needs}; the most that is free on {other} is {free} on {names.node(reason.node)}"
    if reason.kind == "stranded":
        return f"{_who(reason, names)} ({need}) on {scope} {_stranded(reason, names)}"
    if reason.kind == "policy":
        asked = problem.guarantee
        order = f", {asked.order}" if asked.order else ""
        return f"{_who(reason, names)} ({need}) on {scope} finds no node, as the platform restarts VMs ({asked.policy}{order})"
    if reason.kind == "turns":
        return f"{_who(reason, names)} ({need}) finds no node in some order in which {scope} fail and VMs restart in between"
    few = 0 < reason.among < _others(problem, failures, number)
    if reason.kind == "sums":
        has = f"no {reason.among} other nodes have more than {free} free" if few else f"{free} is free on the other nodes in all"
        return f"the VMs on {scope} need {need}; {has}"
    if reason.kind == "slots":
        slots = f"{reason.need} slot{'s' * (reason.need != 1)} of {_amount(reason.size, reason, problem)}"
        has = f"no {reason.among} other nodes have more than" if few else "the other nodes have"
        return f"the VMs on {scope} fill {slots}; {has} {reason.free} such slots free{'' if few else ' in all'}"
    where = f"the {reason.among} other nodes with the most" if few else "the other nodes"
    return (
        f"the {len(reason.vms)} VMs on {scope} need {need}, and {free} is free on {where}, "
        "but no way to divide them among the nodes exists (every one was tried)"
    )


def _stranded(reason: Reason, names: Names) -> str:
    """How it comes that nothing is left for a VM."""
    if not reason.story:
        return "finds no node, even if it is the first to restart"
    by_node: dict[int, list[int]] = {}
    for vm, node in reason.story:
        by_node.setdefault(node, []).append(vm)
    steps = [f"{_listed(names.vms(vms), _SHOWN)} on {names.node(node)}" for node, vms in by_node.items()]
    return f"finds no node if the HA manager restarts {_listed(steps, _SHOWN_IN_CONFLICT)} first"


def _amount(amount: int, reason: Reason, problem: Problem) -> str:
    """Memory, or so much of a further resource."""
    return f"{amount} {problem.resources[reason.resource - 1]}" if reason.resource else spell_memory(amount)


def _n_nodes(problem: Problem, failures: Failures, number: int) -> int:
    """How many nodes that can host something the pool of a failure has."""
    return int(((problem.pool == failures.pool[number]) & (problem.online | problem.maintenance)).sum())


def _others(problem: Problem, failures: Failures, number: int) -> int:
    """How many nodes the VMs of a failure may restart on, rules and switched-off nodes aside."""
    mine = problem.online & (problem.pool == failures.pool[number])
    return int(mine.sum()) - int(mine[failures.failing(number)].sum())


def impossible_sentence(reason: Reason, names: Names) -> str:
    """Why no placement exists, if a bound shows it."""
    problem = names.problem
    need, free = _amount(reason.need, reason, problem), _amount(reason.free, reason, problem)
    if reason.kind == "apart":
        places = f"{reason.among} places, one of which may fail" if reason.among else f"{reason.free} places"
        return f"the rules keep {_who(reason, names)} apart: {reason.need} VMs on {places}"
    if reason.kind == "rules":
        return f"{_who(reason, names)} may be on no node: its rules and the nodes' states leave none"
    if reason.kind == "size":
        return f"{_who(reason, names)} needs {need}; the most that any node it may be on can hold is {free}"
    if reason.kind == "group":
        return f"{_who(reason, names)} need {need} together on one node; the most that any node may hold is {free}"
    if reason.kind == "capacity":
        return f"the VMs need {need}; the nodes have {free} for them in all"
    if reason.kind == "alone":
        return _alone(problem)
    largest = _largest(problem)
    if reason.kind == "sums":
        return f"the protected VMs need {need}; the nodes without the {largest} have {free}"
    size = _amount(reason.size, reason, problem)
    if not reason.free:
        need = f"needs {size}" if len(reason.vms) == 1 else f"need {size} or more each"
        may = "it may fail" if largest == "largest" else "they may fail"
        return f"{_who(reason, names)} {need}; no node but the {largest} has that much, and {may}"
    return f"the protected VMs fill {reason.need} slots of {size}; the nodes without the {largest} have {reason.free}"


def _alone(problem: Problem) -> str:
    what = "node" if problem.guarantee.scope == "node" else "failure domain"
    if problem.failures == 1:
        return f"a single {what} can never be N+1: its VMs have nowhere to restart"
    return f"all {what}s may fail at once: the VMs have nowhere to restart"


def _largest(problem: Problem) -> str:
    """The units that fail at worst."""
    if problem.guarantee.scope == "domain":
        return "largest failure domain" if problem.failures == 1 else f"{problem.failures} largest failure domains"
    return "largest" if problem.failures == 1 else f"{problem.failures} largest"


def conflict_sentence(conflict: Conflict, goal: Goal, names: Names) -> str:
    """Why no placement exists, if only a search shows it."""
    terms = [*(f"rules[{rule}]" for rule in conflict.rules), *conflict.limits]
    under = f" under {_listed(terms, _SHOWN_IN_CONFLICT)}" if terms else ""
    survived = "" if goal.best_effort or not names.problem.failures else " so that each failure is survived"
    fewer = "without any one of these it could be done" if conflict.minimal else "perhaps fewer of these are to blame"
    cannot = "cannot be placed" if len(conflict.vms) == 1 else "cannot all be placed"
    stuck = f"{_listed(conflict.vms, _SHOWN_IN_CONFLICT)} {cannot}{under}{survived}{_staying(conflict, goal, names)}"
    return f"{stuck}: every way was tried; {fewer}"


def _staying(conflict: Conflict, goal: Goal, names: Names) -> str:
    """That VMs of a conflict stay, where to move them was not tried."""
    problem, involved = names.problem, set(conflict.vms)
    could_move = np.flatnonzero(problem.movable & (problem.node_of >= 0) & (not goal.move_running)).tolist()
    if involved.isdisjoint(names.vms(could_move)):
        return ""
    return " while running VMs stay (allow them to move with move_running)"


def _who(reason: Reason, names: Names) -> str:
    return _listed([names.vm(vm) for vm in reason.vms[:_SHOWN]], _SHOWN, len(reason.vms))


def _listed(items: Sequence[str], most: int, count: int | None = None) -> str:
    """The items as people list them, no more than so many; `count`: how many there are, if not all are given."""
    shown = items[:most]
    more = (len(items) if count is None else count) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return shown[0] if len(shown) == 1 else " and ".join((", ".join(shown[:-1]), shown[-1]))
