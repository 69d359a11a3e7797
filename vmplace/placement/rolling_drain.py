"""Rolling maintenance: every node drained once by live migration, in as few groups as are found, N+1 kept by the others."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import networkx as nx
import numpy as np
from attrs import define, evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.placement.blockers import fixed_on
from vmplace.placement.drain import drained_of
from vmplace.placement.options import PlaceOptions
from vmplace.placement.reasons import impossible_sentence
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import placed, without
from vmplace.results.placement import Solution
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.bounds.slots import thresholds
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget, Progress

__all__ = ["RollingDrain", "fewest_groups", "lonely", "rolling_drain"]

_TRIES = 4
"""So many ways to divide the nodes into as many groups are tried."""

_PROBE_SHARE, _LEVEL_SHARE, _DRAIN_SHARE, _BEST_SHARE = 0.3, 0.5, 0.5, 0.8

_MOST_PAIRS = 1_000
"""So many pairs of nodes are looked at for those that rules keep from being drained together."""


@frozen(kw_only=True)
class RollingDrain(ToDict):
    """Groups of nodes, to be drained one after the other.

    Parameters
    ----------
    status
        ``optimal``: every node is in a group, and no fewer groups are possible. ``feasible``: every node is. ``infeasible``: some
        node cannot be drained, as was proved; the groups are of the others. ``unknown``: of some it was not found out.
    groups
        Each a `drain` of some nodes of the cluster as the one before leaves it, whose nodes are back by then; no VM goes back.
    bound
        No fewer groups are possible for the nodes that are in one.
    undrained
        Nodes that are in no group, and why.
    stats
        Seconds, and how many drains were tried.
    """

    _keys = "status bound migrated undrained groups:_groups stats"

    status: Status
    groups: tuple[Solution, ...] = ()
    bound: int = 0
    undrained: Mapping[str, str] = field(factory=dict)
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def nodes(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each group."""
        return tuple(group.drained for group in self.groups)

    @property
    def migrated(self) -> int:
        """MiB that migrate in all, stop-overs among them."""
        return sum(migration.memory for group in self.groups for migration in group.migrations)

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return [{"nodes": group.drained, "solution": group} for group in self.groups]

    def to_document(self, cluster: Cluster) -> Cluster:
        """The cluster as the last group leaves it, all nodes back."""
        return _back(cluster, self.groups[-1]) if self.groups else cluster


@door()
def rolling_drain(
    cluster: Cluster,
    *,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Any,
) -> RollingDrain:
    """Take every node for maintenance once, in as few groups as are found, the guarantee kept among the others throughout.

    Parameters
    ----------
    cluster
        Its nodes are drained, except those that are offline.
    time_limit, progress, cancel
        As for `place`.
    **options
        As for `drain`, for each group; no ``best_effort``.

    Returns
    -------
    RollingDrain
        Each group with its migrations and failover plans.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    if options.get("best_effort"):
        raise InputError([Flaw("best_effort", "rolling_drain keeps the guarantee: leave it out, or drain single nodes")])
    checked = PlaceOptions.for_drain(options, strict=True)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        return _Rolling(Names(cluster, compile_problem(cluster)), checked, budget).run()


@define(eq=False)
class _Rolling:
    """One call of `rolling_drain`: the cluster is compiled once, and restricted for each drain."""

    now: Names
    options: PlaceOptions
    budget: Budget
    undrained: dict[str, str] = field(factory=dict)
    refuted: bool = False
    drains: int = 0
    _clashes: Any = field(init=False, default=None)

    def run(self) -> RollingDrain:
        names = self._drainable()
        bound = self._bound(names)
        groups = self._found(names, bound)
        late = [name for name in names if name not in self.undrained and not any(name in group.drained for group in groups)]
        self.undrained |= dict.fromkeys(late, "not decided in time")
        if self.undrained:
            status = Status.INFEASIBLE if self.refuted else Status.UNKNOWN
        else:
            status = Status.OPTIMAL if len(groups) == bound else Status.FEASIBLE
        stats = {"seconds": round(self.budget.elapsed, 3), "drains": self.drains}
        return RollingDrain(status=status, groups=tuple(groups), bound=bound, undrained=self.undrained, stats=stats)

    @property
    def _settling(self) -> bool:
        """Whether a VM waits that is not movable: it starts in the first drain, on a node that never can be drained then."""
        problem = self.now.problem
        return bool(np.any((problem.node_of < 0) & ~problem.movable))

    # Nodes one by one

    def _drainable(self) -> list[str]:
        """The nodes that can be drained alone; the reason why the others cannot is kept."""
        nodes = self.now.cluster.nodes
        names = [name for name, state in zip(nodes.names, nodes.state, strict=True) if state != "offline"]
        stuck = {blocker.node: blocker.reason for blocker in reversed(fixed_on(self.now, names))}
        self.undrained.update((name, stuck[name]) for name in names if name in stuck)
        self.refuted = bool(stuck)
        left = [name for name in names if name not in stuck]
        probes = self.budget.share(_PROBE_SHARE)
        return [name for number, name in enumerate(left) if self._drains(name, probes, len(left) - number)]

    def _drains(self, name: str, budget: Budget, left: int) -> bool:
        self.budget.tell("drain", done=0, total=left)
        if budget.spent:
            return True  # it is found out when its turn comes
        why = self._impossible([name])
        solution = None if why else self._drain(self.now, [name], budget.share(1 / left))
        if solution is not None and (solution.node_of is not None or solution.status is Status.UNKNOWN):
            return True
        self.refuted = True
        self.undrained[name] = why or (solution.reason if solution else "")
        return False

    def _impossible(self, nodes: Collection[str]) -> str:
        """What a bound has against draining some nodes together."""
        problem = without(self.now.problem, nodes=self.now.mask(nodes))
        names, alone = Names(self.now.cluster, problem), lonely(problem)
        if alone is not None:
            return f"{names.vm(alone)} would have too few nodes left to restart on"
        reason = impossible(problem, Goal(("moves",), move_running=True))
        return "" if reason is None else impossible_sentence(reason, names)

    def _drain(self, names: Names, nodes: Sequence[str], budget: Budget, *, quick: bool = True) -> Solution:
        """A drain: where it is only to be known whether it can be done, greedy comes first, and no order is asked for."""

        def drained(options: PlaceOptions, seconds: float) -> Solution:
            with Budget(seconds, self.budget.cancel).interruptible() as inner:
                return drained_of(names, tuple(nodes), options, inner)

        self.drains += 1
        if not quick:
            return drained(self.options, budget.left)
        options = evolve(self.options, ordered=False)
        first = drained(evolve(options, method="greedy"), budget.left)
        if first.node_of is not None or first.status is Status.INFEASIBLE or options.method == "greedy":
            return first
        return drained(options, budget.left * _DRAIN_SHARE)

    # Groups

    def _bound(self, names: Sequence[str]) -> int:
        """No fewer groups are possible: by memory, and by nodes no two of which can be drained together."""
        self._clashes = self._conflicts(names)
        clique = max(map(len, _cliques(self._clashes)), default=0)
        return max(fewest_groups(self.now.problem, self.now.mask(names)), clique)

    def _conflicts(self, names: Sequence[str]) -> Any:
        """The graph of nodes that rules, or their size, keep from being drained together."""
        graph = nx.Graph()
        graph.add_nodes_from(names)
        if len(names) * (len(names) - 1) // 2 <= _MOST_PAIRS:
            pairs = ((a, b) for number, a in enumerate(names) for b in names[number + 1 :])
            graph.add_edges_from(pair for pair in pairs if not self.budget.spent and self._impossible(pair))
        return graph

    def _found(self, names: Sequence[str], bound: int) -> list[Solution]:
        """The drains of the first division into groups that works, from the fewest groups up."""
        for count in range(max(bound, 1), len(names)):
            level = self.budget.share(_LEVEL_SHARE)
            for division in self._divisions(names, count):
                if level.spent:
                    break
                if self._run(division, level, quick=True) is not None:
                    # Once it is known to work, it is done well.
                    best = self._run(division, self.budget.share(_BEST_SHARE), quick=False) or self._run(
                        division, self.budget, quick=True
                    )
                    if best is not None:
                        return best
        return self._singly(names)

    def _divisions(self, names: Sequence[str], count: int) -> Iterator[list[list[str]]]:
        """Ways to divide the nodes into so many groups, each with as much memory as any other, nodes that clash apart."""
        nodes = self.now.cluster.nodes
        memory = dict(zip(nodes.names, nodes.usable.tolist(), strict=True))
        place = {name: number for number, name in enumerate(nodes.names)}
        colours = nx.greedy_color(self._clashes, strategy="DSATUR")
        for number in range(_TRIES):
            random = Random(f"{count}/{number}")
            order = sorted(names, key=lambda name: (-self._clashes.degree(name), -memory[name], place[name]))
            if number:
                order.sort(key=lambda name: (-self._clashes.degree(name), -memory[name], random.random()))
            groups: list[list[str]] = [[] for _ in range(count)]
            for name in order:
                free = [group for group in groups if not any(self._clashes.has_edge(name, other) for other in group)]
                if not free and colours and max(colours.values()) < count:
                    groups = [[] for _ in range(count)]
                    for node, colour in colours.items():
                        groups[colour].append(node)
                    break
                if not free:
                    return
                min(free, key=lambda group: sum(memory[other] for other in group)).append(name)
            groups = [sorted(group, key=place.__getitem__) for group in groups if group]
            if not any(self._impossible(group) for group in groups):
                yield sorted(groups, key=lambda group: place[group[0]])

    def _run(self, division: Sequence[Sequence[str]], budget: Budget, *, quick: bool) -> list[Solution] | None:
        """The drains of each group in turn, if all succeed."""
        state, made = self.now, list[Solution]()
        for number, group in enumerate(division):
            self.budget.tell("drain", done=number, total=len(division))
            solution = self._drain(state, group, budget.share(1 / (len(division) - number)), quick=quick)
            if solution.node_of is None or solution.guarantee is not Status.SAFE:
                return None
            made.append(solution)
            state = _after(state, solution)
        return made

    def _singly(self, names: Sequence[str]) -> list[Solution]:
        """Each node alone; the reason is kept for those that fail."""
        state, made = self.now, list[Solution]()
        for number, name in enumerate(names):
            if self.budget.spent:
                break
            solution = self._drain(state, [name], self.budget.share(1 / (len(names) - number)), quick=False)
            if solution.node_of is None:
                self.undrained[name] = solution.reason
                # What cannot be done now might have been, before others were drained.
                self.refuted |= solution.status is Status.INFEASIBLE and (not made or self._settling)
                continue
            made.append(solution)
            state = _after(state, solution)
        return made


def _after(names: Names, solution: Solution) -> Names:
    """The cluster as a drain leaves it, with all nodes as they were before."""
    assert solution.node_of is not None
    return Names(_back(names.cluster, solution), placed(names.problem, solution.node_of))


def _back(cluster: Cluster, solution: Solution) -> Cluster:
    return evolve(solution.to_document(), nodes=cluster.nodes)


def _cliques(graph: Any) -> Iterator[Sequence[str]]:
    """Some cliques, not all: each is a bound."""
    for number, clique in enumerate(nx.find_cliques(graph)):
        if number >= _MOST_PAIRS:
            return
        yield clique


def fewest_groups(problem: Problem, wanted: BoolArray) -> int:
    """A lower bound on the groups in which some nodes can be taken out, one group after the other.

    All VMs must fit on the nodes that are left, and those that must restart on these without the k largest of them. What g nodes
    leave is most if they are the g smallest: of sorted amounts each is then at least as large.

    Parameters
    ----------
    wanted
        The nodes that are to be taken out, shape (n_nodes,); those in maintenance do not count.
    """
    return max((_of_pool(problem, wanted & problem.online, pool) for pool in problem.pools), default=0)


def lonely(problem: Problem) -> int | None:
    """A VM that must restart, and whose rules leave too few places for that: one more than may fail at once; None without one.

    It is on one of these places itself, unless it may stay on a node in maintenance.
    """
    if not problem.failures:
        return None
    places = np.array([len(np.unique(problem.unit[row])) for row in problem.restartable], dtype=np.int64)
    needed = problem.failures + ~problem.on_maintenance
    alone = np.flatnonzero(problem.protected & (places[problem.signature] < needed)) if problem.n_vms else np.zeros(0, np.int64)
    return int(alone[0]) if len(alone) else None


def _of_pool(problem: Problem, wanted: BoolArray, pool: int) -> int:
    mine = problem.pool == pool
    out = np.sort(problem.usable[wanted & mine])
    kept = problem.usable[(problem.online | problem.maintenance) & mine & ~wanted]
    if not len(out):
        return 0
    most = max((g for g in range(1, len(out) + 1) if _fits(problem, pool, np.concatenate([kept, out[g:]]))), default=0)
    # Where not even one node can be out, there are no groups to bound: each undrained node is named.
    return -(-len(out) // most) if most else 1


def _fits(problem: Problem, pool: int, left: IntArray) -> bool:
    """Whether bounds allow that a pool's VMs are all on nodes of these amounts."""
    everyone, protected = problem.sizes(pool), problem.sizes(pool, protected=True)
    surviving = np.sort(left)[: max(0, len(left) - problem.failures)]
    if everyone.total > left.sum() or protected.total > surviving.sum():
        return False
    sizes = thresholds(protected.values) if len(protected.values) else []
    return all(protected.slots(size) <= int((surviving // size).sum()) for size in sizes)
