"""`drain`: nodes emptied for maintenance by live migration, the guarantee kept among the others."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import Flaw, error_of
from vmplace.model.kinds import name_list
from vmplace.model.lookup import not_found
from vmplace.model.units import short
from vmplace.placement.options import PlaceOptions
from vmplace.placement.place import infeasible, solve
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.results.placement import Solution
from vmplace.results.values import Conflict
from vmplace.solvers.budget import Budget, Progress

__all__ = ["Undrainable", "drain", "drained_of", "stuck_on"]


@door(nodes=name_list)
def drain(
    cluster: Cluster,
    nodes: str | Iterable[str],
    *,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Any,
) -> Solution:
    """Empty nodes with the least memory migrated, so that the rest is safe without them: no failover targets, and no failures.

    As `repair` otherwise: more VMs may migrate if that is needed, waiting ones are placed, and the migrations are in order. While
    they last, the nodes take in nothing, but fail like any other as long as VMs are on them. Stopped VMs stay there.

    Parameters
    ----------
    cluster
        What to drain nodes of.
    nodes
        One or several names. `Solution.to_document` has them in maintenance.
    time_limit, progress, cancel
        As for `place`.
    **options
        As for `place`: ``best_effort``, ``max_moves``, ``objective``, ``method``, ``parallel`` and so on.

    Returns
    -------
    Solution
        ``infeasible`` also if a VM there cannot leave: it is not movable, or is being migrated already.

    Raises
    ------
    InputError
        (a ValueError) that names the node or argument that is wrong.
    """
    drained, checked = _named(cluster, nodes), PlaceOptions.for_drain(options)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        return drained_of(Names(cluster, compile_problem(cluster)), drained, checked, budget)


def drained_of(names: Names, drained: tuple[str, ...], options: PlaceOptions, budget: Budget) -> Solution:
    """What `drain` returns for a cluster that is compiled; the nodes are in document order."""
    stuck = stuck_on(names, drained)
    if stuck:
        return _refused(names, drained, stuck, options, budget)
    solution = solve(names, options, budget, drained=drained)
    return evolve(solution, warnings=(*solution.warnings, *_stopped(names.cluster, drained)))


def _named(cluster: Cluster, nodes: str | Iterable[str]) -> tuple[str, ...]:
    """The nodes in document order, each once."""
    wanted = dict.fromkeys([nodes] if isinstance(nodes, str) else nodes)
    state = dict(zip(cluster.nodes.names, cluster.nodes.state, strict=True))
    flaws = [not_found("nodes", "node", name, state) for name in wanted if name not in state]
    off = [name for name in wanted if state.get(name) == "offline"]
    flaws += [Flaw("nodes", f"{short(name)} is offline: it hosts nothing", "conflict") for name in off]
    if not wanted:
        flaws = [Flaw("nodes", "none are named: name one or more", "missing")]
    if flaws:
        raise error_of(flaws)
    return tuple(name for name in cluster.nodes.names if name in wanted)


@frozen
class Undrainable:
    """A VM that cannot leave its node, and why."""

    vm: str
    node: str
    why: str


def stuck_on(names: Names, nodes: Iterable[str]) -> list[Undrainable]:
    """The VMs that cannot leave some nodes: not movable, or half of a migration under way."""
    problem, out = names.problem, names.mask(nodes)
    here = np.flatnonzero((problem.node_of >= 0) & ~problem.movable)
    busy = set(problem.original[problem.incoming].tolist())
    found = []
    for vm in here[out[problem.node_of[here]]].tolist() if len(out) else ():
        why = "is being migrated already: wait until that is done" if problem.original[vm] in busy else "is not movable"
        found.append(Undrainable(names.vm(vm), names.node(problem.node_of[vm]), why))
    return found


def _refused(names: Names, drained: tuple[str, ...], stuck: list[Undrainable], options: PlaceOptions, budget: Budget) -> Solution:
    """Infeasible, as there are VMs that cannot leave."""
    first, more = stuck[0], len(stuck) - 1
    others = f" (and {more} more VM{'s' * (more > 1)} cannot leave)" if more else ""
    vms = tuple(name for name in names.cluster.vms.names if name in {s.vm for s in stuck})
    conflict = Conflict("drain", vms, minimal=len(stuck) == 1)
    reason = f"{first.vm} on {first.node} {first.why}{others}"
    return infeasible(names, options, budget, drained=drained, reason=reason, conflict=conflict)


def _stopped(cluster: Cluster, drained: tuple[str, ...]) -> Iterator[str]:
    """What is left on nodes that are empty otherwise."""
    vms, nodes = cluster.vms, cluster.nodes
    for number in [i for i, name in enumerate(nodes.names) if name in drained]:
        count = int(((vms.node == number) & ~vms.running).sum())
        if count:
            yield f"{count} stopped VM{'s' * (count > 1)} on {nodes.names[number]} {'stay' if count > 1 else 'stays'} there"
