"""`place` and `repair`: options checked, the strategy run, the placement audited, the result told in names."""

import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Unpack

import numpy as np
from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray
from vmplace.model.door import door
from vmplace.model.kinds import Method
from vmplace.placement.cold import fewest_cold
from vmplace.placement.migration.plan import planned
from vmplace.placement.objectives import Objective
from vmplace.placement.options import PlaceOptions, RepairKeywords
from vmplace.placement.pools import solved_apart
from vmplace.placement.stops import with_stopped
from vmplace.placement.task import PlacementTask
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import apart_from, in_state, without
from vmplace.results.placement import Solution
from vmplace.results.values import Conflict, Status
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.mip.search import Finding
from vmplace.search.mip.stops import Stops
from vmplace.solvers.budget import Budget, Progress

__all__ = ["attempt", "place", "repair", "solution_of", "solve", "unplaced"]

_SEARCH_SHARE, _ORDER_SECONDS = 0.9, 2.0
"""Share of the time for the search if migrations are ordered afterwards; and the seconds that ordering may always take."""


@door()
def place(
    cluster: Cluster,
    *,
    objective: Objective | Sequence[Objective] = "balance",
    gap: float | Fraction | str = 0,
    method: Method = "auto",
    seed: int = 0,
    deterministic: bool = False,
    move_running: bool = False,
    best_effort: bool = False,
    max_moves: int | None = None,
    max_migrated: int | str | None = None,
    ordered: bool = True,
    parallel: int | None = None,
    parallel_per_node: int | None = 1,
    bandwidth: str | None = None,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Solution:
    """Place every VM so that each failure of the guarantee is survived.

    VMs that have a node stay there, unless `move_running`. Soft rules and homes are kept as far as the guarantee allows, at the
    least cost: before ``balance`` and ``consolidate``, but after ``moves``, so that a soft rule alone never causes a migration.

    Parameters
    ----------
    cluster
        What to place.
    objective, gap
        ``balance``: the lowest peak share of usable memory in use on an online node. ``moves``: the least MiB migrated.
        ``consolidate``: the fewest nodes that must stay on. ``rules``: the least cost of soft rules, even by migrations. Several:
        each breaks ties of the ones before it. A pair has slack: ``("balance", 0.05)`` may be worse by that share if that
        improves the objectives after it, ``("balance", "<=80%")`` up to that value. Of equal placements, the one with the least
        memory migrated is returned, then the best balanced one. Gap: so close to its bound, 0.01 or ``"1%"``, a search may end.
    method, seed, deterministic
        ``exact`` (one model of everything, or neighbourhoods where that is too large: the result then says ``improve``),
        ``greedy``, or ``auto``: exact up to 2,000 nodes, above 500 only where greedy leaves a gap of more than 1 %. The seed of
        the solvers; and whether to limit them by work instead of time, so that every run gives the same result.
    move_running, best_effort
        Whether running VMs may migrate; and whether, if not every failure can be survived, every VM is placed all the same, with
        the least left unprotected: by priority, then memory.
    max_moves, max_migrated
        How many running VMs may migrate, and how much memory: MiB or as ``"64GiB"``; stop-overs and cold moves count.
    ordered, parallel, parallel_per_node, bandwidth
        Whether migrations are put in order, how many VMs may migrate at the same time, and how fast; see `plan_moves`.
    time_limit, progress, cancel
        Seconds until the best so far is returned (None: until it is proved); called now and then; set it to end the search.

    Returns
    -------
    Solution
        ``optimal``, ``feasible``, ``infeasible`` (with a `Conflict`) or ``unknown``. A placement returned has passed `audit`.
        Where one pool has no placement, the others are placed, and `Solution.unsolved` says why.

    Raises InputError (a ValueError) that names the argument that is wrong.
    """
    options = PlaceOptions.of_call(locals())
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        return solve(presolved_names(cluster), options, budget, alone=True)


def solve(
    names: Names,
    options: PlaceOptions,
    budget: Budget,
    *,
    drained: tuple[str, ...] = (),
    stops: Stops | None = None,
    aside: BoolArray | None = None,
    alone: bool = False,
    explained: bool = True,
) -> Solution:
    """What `place` returns, with the VMs of some nodes moved away, and these nodes as if they were not there.

    Parameters
    ----------
    stops
        VMs that are stopped to make room; None: no VM is.
    aside
        VMs that nothing is asked of, shape (n_vms,); None: where all that counts is what moves, those of pools that nothing is
        drained of, else none.
    alone
        Whether pools stand alone, so that what can be done in some is done where others have no placement.
    explained
        Whether to say what forbids a placement if there is none.
    """
    out, halted = names.mask(drained), np.zeros(names.problem.n_vms, dtype=bool) if stops is None else stops.vms
    running, hosts = (names, None) if stops is None else (with_stopped(names, stops.vms), names.column(stops.node_of))
    problem = without(running.problem, nodes=out) if drained else running.problem
    if aside is None:
        aside = apart_from(problem, out) if drained and options.goal.objectives == ("moves",) else np.zeros(0, dtype=bool)
    moving = options.ordered and options.move_running
    searching = budget.share(_SEARCH_SHARE) if moving else budget
    whole = Names(running.cluster, problem)

    def run(aside: BoolArray) -> Solution:
        asked = Names(running.cluster, without(problem, vms=aside)) if aside.any() else whole

        def search(part: Problem, within: Budget) -> Solution:
            others = whole if aside.any() else None
            task = PlacementTask(Names(running.cluster, part), options, options.goal, within, drained, others, hosts)
            return task.best_effort(explained=explained) if options.best_effort else task.strict(explained=explained)

        return fewest_cold(asked, out, search, moving=options.move_running, budget=searching)

    solution = run(aside)
    if alone and solution.node_of is None:
        solution, aside = solved_apart(whole, solution, run)
    if solution.node_of is None or not moving or not (solution.migrations or halted.any()):
        return solution
    if aside.any():
        left = halted.copy()
        left[~halted] = ~aside
        names, halted = Names(names.cluster, without(names.problem, vms=~left)), halted[left]
    if drained:
        # Nodes to be emptied take in nothing on the way, but fail as long as they host.
        names = Names(names.cluster.in_state("maintenance", drained), in_state(names.problem, "maintenance", out))
    return _in_order(solution, names, options, budget if options.deterministic else _patience(budget), halted)


def _patience(budget: Budget) -> Budget:
    """What is left, but no more than the search took, or a few seconds."""
    seconds = max(_ORDER_SECONDS, budget.elapsed)
    return budget if budget.left <= seconds else Budget(seconds, budget.cancel)


def _in_order(solution: Solution, names: Names, options: PlaceOptions, budget: Budget, stopped: BoolArray) -> Solution:
    """The same with its migrations in order, and with the stops of some VMs, shape (n_vms,)."""
    assert solution.node_of is not None
    powered = names.mask(solution.powered) if solution.powered else None
    plan = planned(names, solution.node_of, options.limits, budget, powered=powered, stopped=stopped).timed(options.bandwidth)
    if plan.steps:
        return evolve(solution, plan=plan, migrations=plan.migrations)
    return evolve(solution, plan=plan, warnings=(*solution.warnings, f"the migrations are not put in order: {plan.reason}"))


@door()
def repair(cluster: Cluster, **options: Unpack[RepairKeywords]) -> Solution:
    """The least memory migrated that makes a cluster safe: `place` with ``objective="moves", move_running=True``.

    Parameters
    ----------
    cluster
        What to repair.
    **options
        As for `place`.
    """
    asked: dict[str, Any] = {"objective": "moves", "move_running": True, **options}
    return place(cluster, **asked)


def attempt(names: Names, options: PlaceOptions, budget: Budget) -> Solution:
    """As `place`, but any placement as good as asked, and without a word on why there is none, if there is none."""
    return PlacementTask(names, options, options.goal, budget).strict(explained=False, ties=False)


def unplaced(
    names: Names,
    options: PlaceOptions,
    budget: Budget,
    *,
    drained: tuple[str, ...],
    status: Status,
    reason: str,
    conflict: Conflict | None = None,
) -> Solution:
    """A solution without a placement: infeasible, as proved by other means than the search, or unknown."""
    task = PlacementTask(names, options, options.goal, budget, drained)
    return task.empty(status, reason=reason, conflict=conflict)


def solution_of(
    cluster: Cluster, problem: Problem, goal: Goal, best: CandidatePlacement, *, method: str, budget: Budget
) -> Solution:
    """A placement of a compiled cluster that was found by other means, as `place` returns it: audited, its values beside bounds
    that need no search.
    """
    values = goal.values(problem, best.node_of, best.verdict, best.powered)
    bounds = tuple(least(problem, goal, stage) for stage in goal.stages(problem))
    finding = Finding(evolve(best, values=values), bounds, False, {}, ("bounds",) * len(bounds))
    task = PlacementTask(Names(cluster, problem), PlaceOptions(objective=goal.objectives), goal, budget)
    return task.solution(finding, method)
