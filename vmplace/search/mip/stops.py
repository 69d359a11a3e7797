"""The fewest VMs to be stopped so that the others have a place in normal running, whatever fails: by the MIP, in stages."""

import numpy as np
from attrs import evolve, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import asking
from vmplace.search.goal import Goal, Stage
from vmplace.search.mip.model import CountModel
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.portfolio import Portfolio
from vmplace.solvers.program import Outcome

__all__ = ["Stops", "fewest_stops"]

_STAGE_SHARE = 0.5


@frozen(eq=False)
class Stops:
    """VMs to be stopped.

    Parameters
    ----------
    vms
        Who is stopped, shape (n_vms,).
    node_of
        A placement without them, shape (n_vms,): -1 for them, and for VMs that it says nothing of.
    proved
        Whether it is proved that no others are less: by priority, the highest first, then memory, then number.
    moved
        The least memory that migrates whichever VMs of as much are stopped, in MiB; None if that is not known.
    """

    vms: BoolArray
    node_of: IntArray
    proved: bool
    moved: int | None


def fewest_stops(problem: Problem, goal: Goal, stoppable: BoolArray, *, budget: Budget, portfolio: Portfolio) -> Stops | None:
    """The fewest of some VMs, shape (n_vms,), without which the others have a place; None where it is proved that none suffice.

    Memory of a high priority counts before that of a lower one, then the number of VMs, then the memory that migrates. Raises
    `OutOfTimeError` where none are found in time.
    """
    calm = asking(problem, lambda asked: evolve(asked.eased, failures=0))
    aim = evolve(goal, objectives=("moves",), best_effort=False, worst=None, headroom=False, slack=())
    priorities = np.unique(problem.priority[stoppable])[::-1].tolist()
    stages: list[Stage] = [*(("stopped", priority) for priority in priorities), ("stops", 0), ("moves", 0)]
    values: tuple[int, ...] | None = None
    reached: list[int | None] = []
    try:
        model = CountModel(calm, aim, budget, stoppable=stoppable)
        for stage in stages:
            model.program.objective = model.objective(stage)
            answer = portfolio.solve(model.program, budget=budget.share(_STAGE_SHARE), hint=values)
            if answer.values is None:
                if values is None and answer.outcome is Outcome.INFEASIBLE:
                    return None
                break
            values, value = answer.values, model.program.value(model.program.objective, answer.values)
            reached.append(value if answer.outcome is Outcome.OPTIMAL else None)
            model.program.row(model.program.objective, upper=value)
    except OutOfTimeError:
        pass
    if values is None:
        raise OutOfTimeError
    proved = len(reached) >= len(stages) - 1 and None not in reached[: len(stages) - 1]
    moved = reached[-1] if proved and len(reached) == len(stages) else None
    node_of = _named(calm, model.variables.placement(values)[0], stoppable)
    return Stops(node_of < 0, node_of, proved, None if moved is None else int(model.bound(("moves", 0), moved)))


def _named(problem: Problem, node_of: IntArray, stoppable: BoolArray) -> IntArray:
    """The placement with those stopped that may be, instead of VMs of their class that wait and are to be started."""
    named, kind = node_of.copy(), problem.classes.of
    for vm in np.flatnonzero((named < 0) & ~stoppable).tolist():
        instead = np.flatnonzero((named >= 0) & stoppable & (kind == kind[vm]))[0]
        named[[vm, instead]] = named[[instead, vm]]
    return named
