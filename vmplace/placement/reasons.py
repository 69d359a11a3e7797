"""Sentences that say why no placement exists."""

from collections.abc import Sequence

import numpy as np

from vmplace.failover.outcome import Reason
from vmplace.failover.reasons import SHOWN_IN_CONFLICT, amount, listed, named
from vmplace.model.text import rule_name
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.size_limits import barred_by_size
from vmplace.results.values import Conflict, Status
from vmplace.search.goal import Goal

__all__ = ["conflict_sentence", "impossible_sentence", "promised", "suspended_sentence"]


def promised(problem: Problem) -> str:
    """What people call a guarantee; of several, all of them, or the number of one."""
    if len(problem.each) > 1:
        return "all guarantees at once"
    if problem.number is not None:
        return f"guarantee {problem.number + 1}"
    return f"N+{problem.failures}" if problem.guarantee.scope == "node" else "the guarantee for failure domains"


def suspended_sentence(
    strict: Status,
    reason: Reason | None,
    names: Names,
    drained: Sequence[str] = (),
    *,
    searched: str = "every placement was tried",
) -> str:
    """Why the guarantee does not hold, now that it has been given up.

    Parameters
    ----------
    strict
        The status of the search that kept the guarantee.
    reason
        The bound that shows it, if one does.
    drained
        The nodes that are gone for it.
    searched
        The reason where a search shows it, and no bound.
    """
    if reason is not None:
        names = names.each[reason.guarantee]
    problem, what = names.problem, promised(names.problem)
    out = f" while {listed(drained, SHOWN_IN_CONFLICT)} {'is' if len(drained) == 1 else 'are'} out" if drained else ""
    if strict is not Status.INFEASIBLE:
        return f"no placement that keeps {what}{out} was found in time"
    if reason is None:
        return f"{what} cannot hold{out}: {searched}"
    if reason.kind == "alone" and problem.failures == 1:
        noun = "node" if problem.guarantee.scope == "node" else "failure domain"
        return f"{what} cannot hold{out}: only one {noun} is left, and its VMs have nowhere to restart"
    if reason.kind != "sums":
        return f"{what} cannot hold{out}: {_impossible_sentence(reason, names)}"
    need, free = amount(reason.need, reason, problem), amount(reason.free, reason, problem)
    return f"{what} cannot hold{out}: {need} needed, {free} there if {_others(problem, bool(drained))}"


def _others(problem: Problem, drained: bool) -> str:
    """The failure that is the worst, with the verb."""
    noun = "node" if problem.guarantee.scope == "node" else "failure domain"
    if problem.failures == 1:
        return f"another {noun} fails" if drained else f"the largest {noun} fails"
    return f"{problem.failures} more {noun}s fail" if drained else f"the {problem.failures} largest {noun}s fail"


def impossible_sentence(reason: Reason, names: Names) -> str:
    """Why no placement exists, if a bound shows it."""
    several, names = len(names.each) > 1, names.each[reason.guarantee]
    if several and reason.kind in _BY_FAILURES:
        return f"guarantee {reason.guarantee + 1}: {_impossible_sentence(reason, names)}"
    return _impossible_sentence(reason, names)


_BY_FAILURES = ("alone", "apart", "quorum", "slots", "sums")
"""Kinds of reasons that depend on what may fail."""


def _impossible_sentence(reason: Reason, names: Names) -> str:
    problem = names.problem
    need, free = amount(reason.need, reason, problem), amount(reason.free, reason, problem)
    if reason.kind == "apart":
        places = f"{reason.among} places, one of which may fail" if reason.among else f"{reason.free} places"
        return f"the rules keep {named(reason, names)} apart: {reason.need} VMs on {places}"
    if reason.kind == "rules":
        barred = barred_by_size(names.cluster, int(names.problem.original[reason.vms[0]]))
        why = f"{barred}; rules and the nodes' states leave no other" if barred else "its rules and the nodes' states leave none"
        return f"{named(reason, names)} may not be on any node: {why}"
    if reason.kind == "size":
        return f"{named(reason, names)} needs {need}; the most that an allowed node can hold is {free}"
    if reason.kind == "group":
        return f"{named(reason, names)} need {need} together on one node; the most that any node may hold is {free}"
    if reason.kind == "capacity":
        return f"the VMs need {need}; the nodes have {free} for them in all"
    if reason.kind == "alone":
        return _alone(problem)
    largest = _largest(problem)
    if reason.kind == "quorum":
        total = int(np.count_nonzero(problem.pool == problem.vm_pool[reason.vms[0]]))
        return f"a failure of the {largest} would leave {reason.free} of {total} nodes; quorum needs {reason.need}"
    if reason.kind == "sums":
        return f"the protected VMs need {need}; if {_others(problem, False)}, {free} is left"
    size = amount(reason.size, reason, problem)
    if not reason.free:
        need = f"needs {size}" if len(reason.vms) == 1 else f"need {size} or more each"
        may = "it may fail" if largest == "largest" else "they may fail"
        return f"{named(reason, names)} {need}; no node but the {largest} has that much, and {may}"
    return f"the protected VMs fill {reason.need} slots of {size}; if {_others(problem, False)}, {reason.free} are left"


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
    terms = [*(rule_name(rule, names.cluster.rules[rule].name) for rule in conflict.rules), *conflict.limits]
    under = f" under {listed(terms, SHOWN_IN_CONFLICT)}" if terms else ""
    asked = not goal.best_effort and any(part.failures for part in names.problem.each)
    survived = " so that each failure is survived" if asked else ""
    fewer = "without any one of these, the others could be placed" if conflict.minimal else "perhaps fewer of these are to blame"
    cannot = "cannot be placed" if len(conflict.vms) == 1 else "cannot all be placed"
    stuck = f"{listed(conflict.vms, SHOWN_IN_CONFLICT)} {cannot}{under}{survived}{_staying(conflict, goal, names)}"
    index = names.cluster.vms.index_of
    barred = [sentence for vm in conflict.vms[:SHOWN_IN_CONFLICT] if (sentence := barred_by_size(names.cluster, index[vm]))]
    return f"{stuck}: every combination was tried; {fewer}{f' ({barred[0]})' if barred else ''}"


def _staying(conflict: Conflict, goal: Goal, names: Names) -> str:
    """That VMs of a conflict stay, where to move them was not tried."""
    problem, involved = names.problem, set(conflict.vms)
    could_move = np.flatnonzero(problem.movable & (problem.node_of >= 0) & (not goal.move_running)).tolist()
    if involved.isdisjoint(names.vms(could_move)):
        return ""
    return " while running VMs stay (allow them to move with move_running)"
