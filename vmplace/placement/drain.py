"""`drain`: nodes emptied for maintenance by live migration, the guarantee kept among the others."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Unpack

from attrs import evolve

from vmplace.failover.reasons import SHOWN_IN_CONFLICT, listed
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import Flaw, error_of, not_found
from vmplace.model.kinds import name_list
from vmplace.model.units import short
from vmplace.placement.afterwards import started_again
from vmplace.placement.blockers import blockers_of, fixed_on
from vmplace.placement.options import DrainKeywords, PlaceOptions
from vmplace.placement.place import solve, unplaced
from vmplace.placement.reasons import suspended_sentence
from vmplace.placement.stops import least_stops, may_stop, stops_of, yields
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.restrict import apart_from, without
from vmplace.results.placement import Solution
from vmplace.results.values import Blocker, Conflict, Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.solvers.budget import Budget, OutOfTimeError, Progress

__all__ = ["blocked_sentence", "drain", "drained_of", "explained", "named_nodes"]


_STOPPING_SHARE = 0.8
"""Of the time that is left, for a drain in which VMs are stopped; the rest is for their start."""


@door(nodes=name_list)
def drain(
    cluster: Cluster,
    nodes: str | Iterable[str],
    *,
    strict: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Unpack[DrainKeywords],
) -> Solution:
    """Empty nodes for maintenance, migrating as little memory as possible, with the guarantee kept on the other nodes.

    Where the guarantee cannot hold without them (a cluster that is N+1 and no more), they are emptied all the same, and the least
    is left unprotected meanwhile: by priority, then memory; `Solution.suspended` says why. As `repair` otherwise: more VMs may
    migrate if that is needed, waiting ones are placed, and the migrations are in order. While they last, the nodes take in
    nothing, but fail like any other as long as VMs are on them. Stopped VMs stay there.

    Where the other nodes have no room for all VMs, as few evictable ones as can be are stopped, those of low priority first, then
    those with little memory: `Solution.stopped` names them, and `Solution.afterwards` starts them again when the nodes are back.

    Parameters
    ----------
    cluster
        The cluster as it runs.
    nodes
        One or several names. `Solution.to_document` has them in maintenance.
    strict
        Whether to refuse a drain that suspends the guarantee, or stops VMs. ``best_effort`` is its opposite, and accepted as
        well.
    time_limit, progress, cancel
        As for `place`.
    **options
        As for `place`: ``max_moves``, ``objective``, ``method``, ``parallel`` and so on.

    Returns
    -------
    Solution
        ``infeasible`` if some VM cannot leave: `Solution.blockers` has everything that is in the way, and what would help.

    Raises
    ------
    InputError
        (a ValueError) that names the node or argument that is wrong.
    """
    drained, checked = named_nodes(cluster, nodes), PlaceOptions.for_drain(options, strict=strict)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        names = presolved_names(cluster)
        solution = drained_of(names, drained, checked, budget)
        return explained(solution, names, checked, budget) if solution.status is Status.INFEASIBLE else solution


def drained_of(names: Names, drained: tuple[str, ...], options: PlaceOptions, budget: Budget) -> Solution:
    """What `drain` returns for a cluster that is compiled, but not yet why not; the nodes are in document order."""
    fixed = fixed_on(names, drained)
    yielding = options.best_effort and bool(may_stop(names).any())
    if fixed and not (yielding and all(yields(names, blocker) for blocker in fixed)):
        return _blocked(names, drained, fixed, options, budget)
    solution = None if fixed else solve(names, options, budget, drained=drained, explained=not yielding)
    if yielding and (solution is None or solution.status is Status.INFEASIBLE):
        solution = _stopping(names, drained, options, budget)
    if solution is None:  # it cannot be done even so
        return _blocked(names, drained, fixed, options, budget) if fixed else solve(names, options, budget, drained=drained)
    if solution.held and solution.guarantee is not Status.SAFE:
        others = listed([pool for pool, status in solution.pools.items() if status is not Status.SAFE], SHOWN_IN_CONFLICT)
        solution = evolve(solution, suspended=f"drained, and its own pool is safe; not safe, as before: {others}")
    return evolve(solution, warnings=(*solution.warnings, *_stopped(names.cluster, drained)))


def _stopping(names: Names, drained: tuple[str, ...], options: PlaceOptions, budget: Budget) -> Solution | None:
    """A drain for which as few evictable VMs are stopped as can be; None if there is none."""
    try:
        chosen = least_stops(names, drained, options, budget)
    except OutOfTimeError:
        late = "whether it is enough to stop evictable VMs was not found out before the search ended"
        return unplaced(names, options, budget, drained=drained, status=Status.UNKNOWN, reason=late)
    if chosen is None or not chosen.vms.any():
        return None
    solution = solve(names, options, budget.share(_STOPPING_SHARE), drained=drained, stops=chosen, explained=False)
    if solution.node_of is None:
        return None if solution.status is Status.INFEASIBLE else solution
    solution = evolve(solution, stopped=stops_of(names, chosen.vms), stats={**solution.stats, "stops_proved": chosen.proved})
    if solution.status is Status.OPTIMAL and not (chosen.proved and solution.held and solution.objective == chosen.moved):
        doubt = "if others of as much memory stop, less may migrate or be unprotected"
        solution = evolve(solution, status=Status.FEASIBLE, reason=doubt if chosen.proved else "perhaps fewer VMs need to stop")
    return evolve(solution, afterwards=started_again(names, solution, options, budget))


def explained(solution: Solution, names: Names, options: PlaceOptions, budget: Budget) -> Solution:
    """A drain that cannot be done, with everything that is in its way."""
    blockers = blockers_of(names, solution.drained, options, budget)
    if blockers:
        blocked = _blocked(names, solution.drained, blockers, options, budget)
        if options.best_effort or not may_stop(names).any():
            return blocked
        return evolve(blocked, reason=f"{blocked.reason}; without --strict evictable VMs may be stopped for it")
    if options.best_effort or not any(part.failures for part in names.problem.each):
        return solution
    out = names.mask(solution.drained)
    rest = Names(names.cluster, without(names.problem, vms=apart_from(names.problem, out), nodes=out))
    bound = impossible(rest.problem, options.goal)
    why = suspended_sentence(Status.INFEASIBLE, bound, rest, solution.drained, searched=solution.reason)
    return evolve(solution, reason=f"{why}; leave --strict out to drain all the same")


def blocked_sentence(solution: Solution) -> str:
    """Why nodes are not drained, with everything that would help."""
    return "; ".join(f"{blocker.reason}: {blocker.remedy}" for blocker in solution.blockers) or solution.reason


def named_nodes(cluster: Cluster, nodes: str | Iterable[str]) -> tuple[str, ...]:
    """The nodes to drain in document order, each once; InputError for those that cannot be meant."""
    wanted = dict.fromkeys([nodes] if isinstance(nodes, str) else nodes)
    state = dict(zip(cluster.nodes.names, cluster.nodes.state, strict=True))
    flaws = [not_found("nodes", "node", name, state) for name in wanted if name not in state]
    off = [name for name in wanted if state.get(name) == "offline"]
    flaws += [Flaw("nodes", f"{short(name)} is offline: it hosts nothing", "conflict") for name in off]
    if not wanted:
        flaws = [Flaw("nodes", "no node is named: name one or more", "missing")]
    if flaws:
        raise error_of(flaws)
    return tuple(name for name in cluster.nodes.names if name in wanted)


def _blocked(
    names: Names, drained: tuple[str, ...], blockers: Sequence[Blocker], options: PlaceOptions, budget: Budget
) -> Solution:
    """Infeasible, as there are VMs that cannot leave."""
    stuck = {vm for blocker in blockers for vm in blocker.vms}
    vms = tuple(name for name in names.cluster.vms.names if name in stuck)
    reason = blockers[0].reason
    if len(blockers) > 1:
        reason = f"{len(blockers)} obstacles keep VMs on {listed(drained, SHOWN_IN_CONFLICT)}: {listed(vms, SHOWN_IN_CONFLICT)}"
    conflict = Conflict("drain", vms, minimal=len(vms) == 1)
    solution = unplaced(names, options, budget, drained=drained, status=Status.INFEASIBLE, reason=reason, conflict=conflict)
    return evolve(solution, blockers=tuple(blockers))


def _stopped(cluster: Cluster, drained: tuple[str, ...]) -> Iterator[str]:
    """What is left on nodes that are empty otherwise."""
    vms, nodes = cluster.vms, cluster.nodes
    for number in [i for i, name in enumerate(nodes.names) if name in drained]:
        count = int(((vms.node == number) & ~vms.running).sum())
        if count:
            yield f"{count} stopped VM{'s' * (count > 1)} on {nodes.names[number]} {'stay' if count > 1 else 'stays'} there"
