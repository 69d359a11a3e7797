"""What is done once the nodes that a drain has emptied are back: the VMs that it stopped are started again."""

from attrs import evolve

from vmplace.placement.migration.plan import planned
from vmplace.placement.options import PlaceOptions
from vmplace.placement.place import solve
from vmplace.placement.stops import restarting
from vmplace.problem.names import Names
from vmplace.problem.restrict import apart_from, without
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Solution
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["started_again"]

_SHARE = 0.5


def started_again(names: Names, solution: Solution, options: PlaceOptions, budget: Budget) -> MigrationPlan:
    """The plan by which the VMs that a drain stopped run again: others stay where they are, or migrate as little as is needed.

    Parameters
    ----------
    names
        The cluster before the drain.
    """
    after = restarting(names, solution)
    aside = apart_from(after.problem, after.mask(solution.drained))
    concerned = Names(after.cluster, without(after.problem, vms=aside))
    plan = MigrationPlan(status=Status.UNKNOWN)
    for moving, objective in ((False, "balance"), (True, "moves")):
        asked = evolve(options, objective=objective, move_running=moving, best_effort=True, ordered=False)
        found = solve(after, asked, budget.share(_SHARE), aside=aside, explained=False)
        if found.node_of is None:
            plan = MigrationPlan(status=found.status, reason=f"{found.reason or 'the nodes have no room'}, so they stay stopped")
        else:
            plan = planned(concerned, found.node_of, options.limits, budget.share(_SHARE)).timed(options.bandwidth)
        if plan.steps:
            break
    return plan
