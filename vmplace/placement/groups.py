"""Groups of nodes to be drained together: how few there can be, and ways to divide the nodes into so many."""

from collections.abc import Callable, Collection, Iterator, Sequence
from random import Random
from typing import Any

import networkx as nx
import numpy as np
from attrs import define, field, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.search.bounds.slots import thresholds

__all__ = ["Division", "GroupLimits", "fewest_groups", "lonely"]

_TRIES = 4
"""So many ways to divide the nodes into as many groups are tried."""

_MOST_PAIRS = 1_000
"""So many pairs of nodes are looked at for those that rules keep from being drained together."""


@frozen(eq=False)
class GroupLimits:
    """How many nodes may be out at once.

    Parameters
    ----------
    in_all
        Of all pools together.
    of_pool
        Of each pool, by its number.
    """

    in_all: int
    of_pool: dict[int, int]

    @classmethod
    def of(cls, problem: Problem, at_once: int | None) -> "GroupLimits":
        """What leaves each pool its quorum, or a majority where none is asked for; one node of a pool in any case."""
        up, most = problem.online | problem.maintenance, dict[int, int]()
        for pool in problem.pools:
            mine = problem.pool == pool
            majority = int(mine.sum()) // 2 + 1
            asked = [int(part.quorum[pool]) for part in problem.each if part.guarantee.quorum is not None]
            needed = max(asked, default=majority)
            most[pool] = max(1, int(up[mine].sum()) - needed)
        return cls(max(1, problem.n_nodes) if at_once is None else at_once, most)

    def keep(self, pools: Sequence[int]) -> bool:
        """Whether nodes of these pools may be out together."""
        return len(pools) <= self.in_all and all(pools.count(pool) <= self.of_pool[pool] for pool in set(pools))


@define(eq=False)
class Division:
    """Nodes to be divided into groups.

    Parameters
    ----------
    names
        The cluster.
    nodes
        By name.
    limits
        How many may be out at once.
    impossible
        Tells why some nodes cannot be drained together, empty if no bound shows it.
    """

    names: Names
    nodes: Sequence[str]
    limits: GroupLimits
    impossible: Callable[[Collection[str]], str]
    clashes: Any = field(init=False)
    _refuted: list[frozenset[str]] = field(factory=list)

    @clashes.default
    def _clash(self) -> Any:
        """The graph of nodes that rules, or their size, keep from being drained together."""
        graph = nx.Graph()
        graph.add_nodes_from(self.nodes)
        if len(self.nodes) * (len(self.nodes) - 1) // 2 <= _MOST_PAIRS:
            pairs = ((a, b) for number, a in enumerate(self.nodes) for b in self.nodes[number + 1 :])
            graph.add_edges_from(pair for pair in pairs if not self.keeps(pair) or self.impossible(pair))
        return graph

    def refute(self, group: Collection[str]) -> None:
        """That these nodes cannot be drained together: nor can more of them."""
        self._refuted.append(frozenset(group))
        if len(group) == 2:
            self.clashes.add_edge(*group)

    def keeps(self, group: Collection[str]) -> bool:
        """Whether a group is within the limits."""
        return self.limits.keep(self.names.problem.pool[self.names.mask(group)].tolist())

    def bound(self) -> int:
        """No fewer groups are possible: by the limits, by memory, and by nodes no two of which can be drained together."""
        clique = max((len(clique) for clique in _cliques(self.clashes)), default=0)
        return max(fewest_groups(self.names.problem, self.names.mask(self.nodes), self.limits), clique)

    def ways(self, count: int) -> Iterator[list[list[str]]]:
        """Ways to divide the nodes into so many groups, each with as much memory as any other, nodes that clash apart."""
        columns = self.names.cluster.nodes
        memory = dict(zip(columns.names, columns.usable.tolist(), strict=True))
        place = columns.index_of
        tried = set[frozenset[frozenset[str]]]()
        for number in range(_TRIES):
            colours = nx.greedy_color(self.clashes, strategy="DSATUR")
            random = Random(f"{count}/{number}")
            order = sorted(self.nodes, key=lambda name: (-self.clashes.degree(name), -memory[name], place[name]))
            if number:
                order.sort(key=lambda name: (-self.clashes.degree(name), -memory[name], random.random()))
            groups: list[list[str]] = [[] for _ in range(count)]
            for name in order:
                free = [group for group in groups if self._fits(name, group)]
                if not free and colours and max(colours.values()) < count:
                    groups = [[] for _ in range(count)]
                    for node, colour in colours.items():
                        groups[colour].append(node)
                    break
                if not free:
                    return
                min(free, key=lambda group: sum(memory[other] for other in group)).append(name)
            groups = [sorted(group, key=place.__getitem__) for group in groups if group]
            way = frozenset(map(frozenset, groups))
            if way not in tried and all(self._may_be(group) for group in groups):
                tried.add(way)
                yield sorted(groups, key=lambda group: place[group[0]])

    def _fits(self, name: str, group: list[str]) -> bool:
        """Whether a node may come into a group."""
        wider = {*group, name}
        if any(self.clashes.has_edge(name, other) for other in group) or any(refuted <= wider for refuted in self._refuted):
            return False
        return self.keeps(wider)

    def _may_be(self, group: list[str]) -> bool:
        """Whether nothing that is known forbids a group."""
        return self.keeps(group) and not any(map(set(group).issuperset, self._refuted)) and not self.impossible(group)


def _cliques(graph: Any) -> Iterator[Sequence[str]]:
    """Some cliques, not all: each is a bound."""
    for number, clique in enumerate(nx.find_cliques(graph)):
        if number >= _MOST_PAIRS:
            return
        yield clique


def fewest_groups(problem: Problem, wanted: BoolArray, limits: GroupLimits | None = None) -> int:
    """A lower bound on the groups in which some nodes can be taken out, one group after the other.

    All VMs must fit on the nodes that are left, and those that must restart on these without the k largest of them. What g nodes
    leave is most if they are the g smallest: of sorted amounts each is then at least as large.

    Parameters
    ----------
    wanted
        The nodes to take out, shape (n_nodes,); those in maintenance do not count for memory.
    limits
        How many may be out at once; None for any number.
    """
    fewest = [_of_pool(part, wanted & part.online, pool) for part in problem.each for pool in part.pools]
    if limits is not None:
        fewest += [-(-int((wanted & (problem.pool == pool)).sum()) // most) for pool, most in limits.of_pool.items()]
        fewest.append(-(-int(wanted.sum()) // limits.in_all))
    return max(fewest, default=0)


def lonely(problem: Problem) -> int | None:
    """A VM that must restart, and whose rules leave too few places for that: one more than may fail at once; None without one.

    It is on one of these places itself, unless it may stay on a node in maintenance.
    """
    return next((vm for vm in map(_lonely, problem.each) if vm is not None), None)


def _lonely(problem: Problem) -> int | None:
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
