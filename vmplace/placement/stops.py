"""Evictable VMs that a drain stops for the maintenance, where the other nodes have no room for all: as few as can be."""

import numpy as np
from attrs import evolve

from vmplace.model.columns import BoolArray, IntArray
from vmplace.placement.options import PlaceOptions
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import apart_from, placed, warmed, without
from vmplace.results.placement import Solution
from vmplace.results.rolling_drain import back_in_service
from vmplace.results.values import Blocker, Stop
from vmplace.search.mip.stops import Stops, fewest_stops
from vmplace.solvers.budget import Budget
from vmplace.solvers.portfolio import Portfolio

__all__ = ["least_stops", "may_stop", "restarting", "stops_of", "with_stopped", "yields"]

_SHARE = 0.5


def may_stop(names: Names) -> BoolArray:
    """The VMs that may be stopped, shape (n_vms,): evictable ones that run and do not migrate."""
    problem = names.problem
    migrating = np.isin(problem.original, problem.original[problem.incoming])
    return np.asarray(problem.evictable & (problem.node_of >= 0) & ~migrating)


def yields(names: Names, blocker: Blocker) -> bool:
    """Whether a VM that cannot leave its node may be stopped there."""
    return set(names.vms(np.flatnonzero(may_stop(names)).tolist())).issuperset(blocker.vms)


def least_stops(names: Names, drained: tuple[str, ...], options: PlaceOptions, budget: Budget) -> Stops | None:
    """The fewest VMs to be stopped so that some nodes can be emptied, the guarantee aside.

    None where none suffice, and where VMs would have to stop even with these nodes: for what is wrong already no VM is stopped.
    Raises `OutOfTimeError` where that is not found out in time.
    """
    problem, out = names.problem, names.mask(drained)
    apart, here = apart_from(problem, out), (problem.node_of >= 0) & np.append(out, False)[problem.node_of]
    open_ = may_stop(names) & ~apart
    forced = open_ & here & ~problem.movable & ~problem.cold
    whole = without(problem, vms=apart)
    if not evolve(options.goal, headroom=False).allowed(whole, whole.node_of):
        now = _fewest(whole, problem.original[open_], options, budget)
        if now is None or now.vms.any():
            return None
    part = without(problem, vms=apart | forced, nodes=out)
    found = _fewest(part, problem.original[open_], options, budget)
    if found is None:
        return None
    vms, node_of, asked = forced.copy(), np.full(problem.n_vms, -1, dtype=np.int64), ~(apart | forced)
    vms[asked], node_of[asked] = found.vms, found.node_of
    return evolve(found, vms=vms, node_of=node_of)


def _fewest(problem: Problem, may: IntArray, options: PlaceOptions, budget: Budget) -> Stops | None:
    """The fewest of some VMs, by their indices in the cluster, without which the others have a place."""
    warm, portfolio = warmed(problem, problem.cold), Portfolio(options.seed, options.deterministic)
    stoppable = np.isin(warm.original, may)
    return fewest_stops(warm, options.goal, stoppable, budget=budget.share(_SHARE), portfolio=portfolio)


def with_stopped(names: Names, stopped: BoolArray) -> Names:
    """The cluster with some VMs stopped, shape (n_vms,)."""
    vms = names.cluster.vms
    running = vms.running.copy()
    running[names.problem.original[stopped]] = False
    cluster = evolve(names.cluster, vms=evolve(vms, running=running))
    return Names(cluster, without(names.problem, vms=stopped))


def restarting(names: Names, solution: Solution) -> Names:
    """The cluster once the nodes that a drain has emptied are back: the VMs that it stopped wait to be started again."""
    after = back_in_service(names.cluster, solution)
    index = after.vms.index_of
    vms, node, running = [index[stop.vm] for stop in solution.stopped], after.vms.node.copy(), after.vms.running.copy()
    node[vms], running[vms] = -1, True
    after = evolve(after, vms=evolve(after.vms, node=node, running=running))
    return Names(after, placed(names.problem, node))


def stops_of(names: Names, stopped: BoolArray) -> tuple[Stop, ...]:
    """The stops of some VMs, in document order."""
    problem = names.problem
    vms = np.flatnonzero(stopped)
    return tuple(
        Stop(names.vm(vm), names.node(problem.node_of[vm]), int(problem.memory[vm]))
        for vm in vms[np.argsort(problem.original[vms])].tolist()
    )
