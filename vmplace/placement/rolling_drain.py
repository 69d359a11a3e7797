"""Rolling maintenance: nodes drained one group after the other by live migration, the guarantee kept wherever it can be."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Unpack

import numpy as np
from attrs import define, evolve, field

from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import a_flag, name_list, optional
from vmplace.model.units import short
from vmplace.placement.blockers import fixed_on
from vmplace.placement.drain import blocked_sentence, drained_of, explained, named_nodes
from vmplace.placement.groups import Division, GroupLimits, lonely
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.migration.plan import planned
from vmplace.placement.options import DrainKeywords, PlaceOptions
from vmplace.placement.reasons import impossible_sentence
from vmplace.placement.stops import restarting, yields
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.restrict import apart_from, placed, without
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Solution
from vmplace.results.rolling_drain import RollingDrain, carried_out, homeward
from vmplace.results.values import Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget, Progress

__all__ = ["rolling_drain"]

_PROBE_SHARE, _LEVEL_SHARE, _DRAIN_SHARE, _BEST_SHARE = 0.3, 0.5, 0.5, 0.8


@door(nodes=optional(name_list), order=optional(name_list), home=a_flag)
def rolling_drain(
    cluster: Cluster,
    nodes: str | Iterable[str] | None = None,
    *,
    at_once: int | None = None,
    order: Iterable[str] | None = None,
    strict: bool = False,
    home: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Unpack[DrainKeywords],
) -> RollingDrain:
    """Plan the maintenance of every node once, in as few groups as can be found, with the guarantee kept on the other nodes.

    Where the guarantee cannot hold without a node (a cluster that is N+1 and no more), that node is drained alone, and the least
    is left unprotected meanwhile. A pool never loses its quorum (a majority where none is asked for), but one node at a time
    may be out in any case.

    Parameters
    ----------
    cluster
        As it stands.
    nodes
        The nodes to drain: one or several names; None for all nodes that are not offline.
    at_once
        How many nodes may be out at the same time; None: as many as the guarantee and the quorum allow.
    order
        Names of nodes that come first, in this order; the others follow in the order of the document.
    strict
        Whether to leave out nodes that cannot be drained without suspending the guarantee.
    home
        Whether VMs migrate back after each group: to where they were before it, or home if the guarantee holds then.
    time_limit, progress, cancel
        As for `place`.
    **options
        As for `drain`, for each group.

    Returns
    -------
    RollingDrain
        Each group with its migrations and failover plans.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    best_effort = PlaceOptions.for_drain(options, strict=strict).best_effort
    checked = PlaceOptions.for_drain({**options, "best_effort": False}, strict=True)
    wanted, ordered = _wanted(cluster, nodes, order)
    at_once = MigrationLimits.at_least_one("at_once", at_once)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        names = presolved_names(cluster)
        limits = GroupLimits.of(names.problem, at_once)
        return _Rolling(names, checked, budget, limits, wanted, ordered, not best_effort, home).run()


def _wanted(cluster: Cluster, nodes: str | Iterable[str] | None, order: Iterable[str] | None) -> tuple[list[str], bool]:
    """The nodes to drain, and whether in just this order."""
    columns = cluster.nodes
    if nodes is None:
        wanted = [name for name, state in zip(columns.names, columns.state, strict=True) if state != "offline"]
    else:
        wanted = list(named_nodes(cluster, nodes))
    if order is None:
        return wanted, False
    first = list(dict.fromkeys(order))
    flaws = [Flaw("order", f"{short(name)} is not one of the nodes to drain") for name in first if name not in wanted]
    if flaws:
        raise InputError(flaws)
    return [*first, *(name for name in wanted if name not in first)], True


@define(eq=False)
class _Rolling:
    """One call of `rolling_drain`: the cluster is compiled once, and restricted for each drain.

    Parameters
    ----------
    options
        Of a strict drain.
    exposed
        Nodes of which it is proved that the guarantee cannot hold without them.
    """

    now: Names
    options: PlaceOptions
    budget: Budget
    limits: GroupLimits
    wanted: list[str]
    ordered: bool
    strict: bool
    home: bool
    undrained: dict[str, str] = field(factory=dict)
    exposed: set[str] = field(factory=set)
    refuted: bool = False
    drains: int = 0

    def run(self) -> RollingDrain:
        names = self._drainable()
        groups = self._found(names)
        grouped = {name for group in groups for name in group.drained}
        late = [name for name in names if name not in self.undrained and name not in grouped]
        self.undrained |= dict.fromkeys(late, "not decided in time")
        bound = self._bound([name for name in self.wanted if name in grouped])
        if self.undrained:
            status = Status.INFEASIBLE if self.refuted else Status.UNKNOWN
        else:
            status = Status.OPTIMAL if len(groups) == bound else Status.FEASIBLE
        stats = {"seconds": round(self.budget.elapsed, 3), "drains": self.drains}
        return RollingDrain(status=status, groups=tuple(groups), bound=bound, undrained=self.undrained, stats=stats)

    def _bound(self, names: Sequence[str]) -> int:
        """No fewer groups are possible for some nodes: those without which the guarantee cannot hold are alone in theirs."""
        together = [name for name in names if name not in self.exposed]
        return self._division(together).bound() + len(names) - len(together)

    def _division(self, names: Sequence[str]) -> Division:
        return Division(self.now, names, self.limits, lambda group: "" if self.budget.spent else self._impossible(group))

    @property
    def _lasting(self) -> bool:
        """Whether what cannot be drained now cannot be later: where VMs are by then makes no difference."""
        limits = self.options.limits
        # What has left a node in maintenance does not come back.
        bound = self._settling or bool(self.now.problem.on_maintenance.any())
        return not bound and limits.max_moves is None and limits.max_migrated is None

    @property
    def _settling(self) -> bool:
        """Whether a VM waits that is not movable: it starts in the first drain, on a node that never can be drained then."""
        problem = self.now.problem
        return bool(np.any((problem.node_of < 0) & ~problem.movable))

    # Nodes one by one

    def _drainable(self) -> list[str]:
        """The nodes that can be drained, or may be; the reason why the others cannot is kept."""
        fixed = {b.node for b in fixed_on(self.now, self.wanted) if self.strict or not yields(self.now, b)}
        for name in self.wanted:
            if name in fixed:
                self._unable(name, None, self.now)
        left = [name for name in self.wanted if name not in fixed]
        probes = self.budget.share(_PROBE_SHARE)
        return [name for number, name in enumerate(left) if self._drains(name, probes, len(left) - number)]

    def _drains(self, name: str, budget: Budget, left: int) -> bool:
        self.budget.tell("drain", done=0, total=left)
        if budget.spent:
            return True  # it is found out when its turn comes
        why = self._impossible([name])
        solution = None if why else self._drain(self.now, [name], budget.share(1 / left))
        if solution is not None and solution.status is not Status.INFEASIBLE:
            return True
        if self.strict:
            self._unable(name, solution, self.now, why=why)
            return False
        self.exposed.add(name)
        return True

    def _impossible(self, nodes: Collection[str]) -> str:
        """What a bound has against draining some nodes together."""
        out = self.now.mask(nodes)
        problem = without(self.now.problem, vms=apart_from(self.now.problem, out), nodes=out)
        names, alone = Names(self.now.cluster, problem), lonely(problem)
        if alone is not None:
            return f"{names.vm(alone)} would have too few nodes left to restart on"
        reason = impossible(problem, Goal(("moves",), move_running=True))
        return "" if reason is None else impossible_sentence(reason, names)

    def _drain(self, names: Names, nodes: Sequence[str], budget: Budget, *, quick: bool = True) -> Solution:
        """A drain that keeps the guarantee: where it is only to be known whether it can be done, greedy comes first, and no order
        is asked for.
        """
        if not quick:
            return self._timed(names, nodes, self.options, budget.left)
        options = evolve(self.options, ordered=False)
        first = self._timed(names, nodes, evolve(options, method="greedy"), budget.left)
        if first.node_of is not None or first.status is Status.INFEASIBLE or options.method == "greedy":
            return first
        return self._timed(names, nodes, options, budget.left * _DRAIN_SHARE)

    def _alone(self, names: Names, name: str, budget: Budget) -> Solution:
        """A drain of one node, where the guarantee may be suspended unless that is refused."""
        options = evolve(self.options, best_effort=not self.strict)
        return self._timed(names, [name], options, budget.left)

    def _timed(self, names: Names, nodes: Sequence[str], options: PlaceOptions, seconds: float) -> Solution:
        self.drains += 1
        order = self.now.cluster.nodes.index_of
        with Budget(seconds, self.budget.cancel).interruptible() as inner:
            return drained_of(names, tuple(sorted(nodes, key=order.__getitem__)), options, inner)

    # Groups

    def _found(self, names: Sequence[str]) -> "_Run":
        """The drains of the first division into groups that works, from the fewest groups up."""
        together = [name for name in names if name not in self.exposed]
        if self.ordered:
            divided = self._in_order(names)
            return self._well(divided) or self._singly(names)
        division = self._division(together)
        for count in range(max(division.bound(), 1), len(together)):
            level = self.budget.share(_LEVEL_SHARE)
            for groups in division.ways(count):
                if level.spent:
                    break
                divided = self._placed([*groups, *([name] for name in names if name in self.exposed)])
                if self._run(divided, level, quick=True, division=division) is not None:
                    # Once it is known to work, it is done well.
                    best = self._well(divided)
                    if best is not None:
                        return best
        return self._singly(names)

    def _placed(self, groups: Sequence[list[str]]) -> list[list[str]]:
        """Groups in document order of their first nodes; last those with a node in maintenance, as nothing returns to it."""
        nodes = self.now.cluster.nodes
        place, off = nodes.index_of, self.now.problem.maintenance.tolist()
        return sorted(groups, key=lambda group: (any(off[place[name]] for name in group), min(place[name] for name in group)))

    def _in_order(self, names: Sequence[str]) -> list[list[str]]:
        """Groups of nodes that follow each other, each as long as can be: fewer nodes are never harder to drain."""
        division, groups = self._division(()), list[list[str]]()
        for name in names:
            wider = [*groups[-1], name] if groups else []
            fits = wider and self.exposed.isdisjoint(wider) and division.keeps(wider) and not self._impossible(wider)
            if fits and not self.budget.spent and self._drain(self.now, wider, self.budget.share(_LEVEL_SHARE)).held:
                groups[-1] = wider
            else:
                groups.append([name])
        return groups

    def _well(self, division: Sequence[Sequence[str]]) -> "_Run | None":
        """The drains of a division that is known to work, with few migrations, in order."""
        best = self._run(division, self.budget.share(_BEST_SHARE), quick=False)
        return best or self._run(division, self.budget, quick=True)

    def _run(
        self, groups: Sequence[Sequence[str]], budget: Budget, *, quick: bool, division: Division | None = None
    ) -> "_Run | None":
        """The drains of each group in turn, if all succeed; the division is told which of them is impossible."""
        state, made = self.now, list[Solution]()
        for number, group in enumerate(groups):
            self.budget.tell("drain", done=number, total=len(groups))
            share = budget.share(1 / (len(groups) - number))
            alone = not self.exposed.isdisjoint(group)
            if alone and group[0] in self.undrained:
                continue
            solution = self._alone(state, group[0], share) if alone else self._drain(state, group, share, quick=quick)
            if alone and solution.status is Status.INFEASIBLE:
                self._unable(group[0], solution, state, first=not made)
                continue
            if solution.node_of is None or not (alone or solution.held):
                if division is not None and solution.status is Status.INFEASIBLE and self._lasting:
                    division.refute(group)
                return None
            solution, state = self._next(state, solution, share)
            made.append(solution)
        return made

    def _singly(self, names: Sequence[str]) -> "_Run":
        """Each node alone; the reason is kept for those that fail."""
        state, made = self.now, list[Solution]()
        names = names if self.ordered else [name for group in self._placed([[name] for name in names]) for name in group]
        for number, name in enumerate(names):
            if self.budget.spent:
                break
            share = self.budget.share(1 / (len(names) - number))
            solution = self._alone(state, name, share)
            if solution.node_of is None:
                self._unable(name, solution, state, first=not made)
                continue
            solution, state = self._next(state, solution, share)
            made.append(solution)
        return made

    def _unable(self, name: str, solution: Solution | None, state: Names, *, first: bool = True, why: str = "") -> None:
        """Keep everything that is in the way of a node, or what a bound says.

        Parameters
        ----------
        first
            Whether nothing has been drained before.
        """
        options = evolve(self.options, best_effort=not self.strict)
        if solution is None:
            solution = self._timed(state, [name], options, self.budget.left * _DRAIN_SHARE)
        if solution.status is Status.INFEASIBLE:
            # What cannot be done now might have been, before others were drained.
            self.refuted |= first or self._settling
            solution = explained(solution, state, options, self.budget.share(_DRAIN_SHARE))
            why = blocked_sentence(solution)
        self.undrained[name] = why or solution.reason
        self.refuted |= solution.node_of is None and bool(why) and first

    def _next(self, state: Names, solution: Solution, budget: Budget) -> tuple[Solution, Names]:
        """A group with what is done when its nodes are back (with `home` its VMs return; what it stopped starts again), and the
        cluster then.
        """
        after = restarting(state, solution)
        if self.home:
            concerned = without(after.problem, vms=apart_from(after.problem, after.mask(solution.drained)))
            # A VM that waited stays where it has been started.
            target = state.hosts(state.problem.node_of)
            plan, names = MigrationPlan(status=Status.UNKNOWN), Names(after.cluster, concerned)
            for goal in (homeward(after.cluster, target), target):
                plan = planned(names, goal, self.options.limits, budget)
                if plan.status is not Status.INFEASIBLE and not any(step.suspended for step in plan.steps[-1:]):
                    break
            if plan.steps or not solution.stopped:  # or else what is stopped is started where it can be
                solution = evolve(solution, afterwards=plan)
        if solution.afterwards is None:
            return solution, after
        cluster = carried_out(after.cluster, solution.afterwards)
        return solution, Names(cluster, placed(after.problem, cluster.vms.node))


_Run = list[Solution]
"""The drains of groups, each with the way back."""
