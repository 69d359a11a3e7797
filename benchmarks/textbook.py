"""N+1 by the textbook: a model of each failure in integers for CP-SAT. Shares nothing with vmplace's check."""

from collections import Counter

from ortools.sat.python import cp_model

from benchmarks.policies import Hosts

__all__ = ["survives_all"]


def survives_all(hosts: Hosts, *, time_limit: float) -> bool | None:
    """Whether every failure is survived; None if one is open after so many seconds, and none is known not to be."""
    verdicts = []
    for failed in range(len(hosts.usable)):
        verdicts.append(_survives(hosts, failed, time_limit))
        if verdicts[-1] is False:
            return False
    return True if all(verdicts) else None


def _survives(hosts: Hosts, failed: int, time_limit: float) -> bool | None:
    """How many VMs of each size restart on each survivor."""
    free = [usable - used for usable, used in zip(hosts.usable, hosts.used, strict=True)]
    survivors, sizes = [node for node in range(len(free)) if node != failed], Counter(hosts.sizes[failed])
    model = cp_model.CpModel()
    restarts = {(size, node): model.new_int_var(0, number, "") for size, number in sizes.items() for node in survivors}
    for size, number in sizes.items():
        model.add(sum(restarts[size, node] for node in survivors) == number)
    for node in survivors:
        model.add(sum(size * restarts[size, node] for size in sizes) <= free[node])
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.num_workers = 1
    match solver.solve(model):
        case cp_model.OPTIMAL | cp_model.FEASIBLE:
            return True
        case cp_model.INFEASIBLE:
            return False
        case _:
            return None
