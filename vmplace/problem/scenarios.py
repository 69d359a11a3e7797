"""Which nodes fail together: the scenarios that a guarantee speaks of, for one placement."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import combinations
from math import comb

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem

__all__ = ["MOST_SCENARIOS", "Scenarios", "failing_together", "most_down"]

MOST_SCENARIOS, _MOST_UNITS = 1_000_000, 4_000_000
"""So many are looked at one by one, with so many units in all; where there are more, those of the units that displace most."""


@frozen(eq=False)
class Scenarios:
    """Scenarios: sets of units (nodes, or failure domains) of one pool that fail at once.

    Parameters
    ----------
    problem
        The cluster.
    units
        Which units fail in each, ascending, -1 where there are fewer; shape (n_scenarios, width).
    total
        How many scenarios there are; more than `units` has where these are too many.
    parts
        Where failure domains fail and further nodes with them: which domains, and which nodes, in each; None elsewhere.
    """

    problem: Problem
    units: IntArray
    total: int
    parts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] | None = None

    @classmethod
    def of(cls, problem: Problem, hosts: BoolArray, weight: IntArray) -> "Scenarios":
        """The scenarios of a placement.

        Parameters
        ----------
        problem
            The cluster.
        hosts
            Nodes that can fail, shape (n_nodes,).
        weight
            What each node's failure displaces, in MiB, shape (n_nodes,): where there are too many scenarios, the heaviest count.
        """
        k = problem.failures
        mine = np.unique(problem.unit[hosts])
        if k == 0 or not len(mine):
            return cls(problem, np.zeros((0, 1), dtype=np.int64), 0)
        if problem.guarantee.domains:
            return _mixed(problem, hosts)
        if k == 1:
            return cls(problem, mine[:, None], len(mine))
        heavy = np.zeros(len(problem.unit_pool), dtype=np.int64)
        np.add.at(heavy, problem.unit, weight)
        pools = [mine[problem.unit_pool[mine] == pool] for pool in np.unique(problem.unit_pool[mine]).tolist()]
        k = min(k, max(map(len, pools)))
        total = sum(comb(len(pool), min(k, len(pool))) for pool in pools)
        share = min(MOST_SCENARIOS, _MOST_UNITS // k) // len(pools)
        chosen = np.concatenate([_padded(_sets(_heaviest(pool, heavy, k, share), k), k) for pool in pools])
        return cls(problem, chosen[np.lexsort(chosen.T[::-1])], total)

    def __len__(self) -> int:
        return len(self.units)

    @property
    def complete(self) -> bool:
        """Whether every scenario is there."""
        return self.total == len(self.units)

    @cached_property
    def number(self) -> dict[tuple[int, ...], int]:
        """The scenario of each set of units."""
        return {self.key(scenario): scenario for scenario in range(len(self))}

    @cached_property
    def simple(self) -> bool:
        """Whether each is a single unit: then no VM is displaced by two."""
        return bool(self.units.shape[1] == 1)

    @cached_property
    def pool(self) -> IntArray:
        """Pool of each scenario, shape (n_scenarios,)."""
        pool: IntArray = self.problem.unit_pool[self.units[:, 0]]
        return pool

    @cached_property
    def nodes(self) -> IntArray:
        """The nodes that fail, in no order, -1 where there are fewer; shape (n_scenarios, width)."""
        unit = self.problem.unit
        size = np.bincount(unit, minlength=1)
        within = np.full((len(size) + 1, int(size.max(initial=1))), -1, dtype=np.int64)
        order = np.argsort(unit, kind="stable")
        start = np.cumsum(size) - size
        within[unit[order], np.arange(len(unit)) - start[unit[order]]] = order
        nodes: IntArray = within[self.units].reshape(len(self), self.units.shape[1] * within.shape[1])
        return nodes

    def key(self, scenario: int) -> tuple[int, ...]:
        """The units that fail in one, ascending."""
        return tuple(unit for unit in self.units[scenario].tolist() if unit >= 0)

    def failing(self, scenario: int) -> IntArray:
        """The nodes that fail in one."""
        nodes = self.nodes[scenario]
        return np.sort(nodes[nodes >= 0])

    def sums(self, amounts: IntArray) -> IntArray:
        """What the failing nodes of each have of something in all, shape (n_scenarios,); `amounts` of shape (n_nodes,)."""
        total = np.zeros(len(self.problem.unit_pool) + 1, dtype=np.int64)
        np.add.at(total, self.problem.unit, amounts)
        sums: IntArray = total[self.units].sum(axis=1)  # the last stands for no unit
        return sums

    def largest(self, amounts: IntArray) -> IntArray:
        """The most that a failing node of each has of something, 0 at least, shape (n_scenarios,)."""
        most = np.zeros(len(self.problem.unit_pool) + 1, dtype=np.int64)
        np.maximum.at(most, self.problem.unit, amounts)
        return np.asarray(most[self.units].max(axis=1, initial=0))

    def any(self, marked: BoolArray) -> BoolArray:
        """Whether some failing node of each is marked, shape (n_scenarios,); `marked` of shape (n_nodes,)."""
        some = np.zeros(len(self.problem.unit_pool) + 1, dtype=bool)
        some[self.problem.unit[marked]] = True
        return np.asarray(some[self.units].any(axis=1))

    def hit(self, scenarios: IntArray, nodes: IntArray) -> BoolArray:
        """Whether a node fails in a scenario, pair by pair; both of one shape."""
        return np.asarray((self.units[scenarios] == self.problem.unit[nodes][..., None]).any(axis=-1))


def failing_together(problem: Problem) -> tuple[IntArray, int, int]:
    """The group of each node whose nodes fail as one; how many groups fail at once; and how many further nodes with them."""
    asked = problem.guarantee
    return (problem.domain, asked.domains, asked.failures - asked.domains) if asked.domains else (problem.unit, asked.failures, 0)


def most_down(problem: Problem, up: IntArray, fails: BoolArray) -> IntArray:
    """The most nodes that one failure takes of each pool, shape (n_pools,), of those up (1 or 0, shape (n_nodes,)).

    Only groups with a node of `fails` fail, and further nodes of these; exact where `fails` are all that are up, else a set that
    may fail.
    """
    group, k, further = failing_together(problem)
    most = np.zeros(int(problem.pool.max(initial=-1)) + 1, dtype=np.int64)
    for pool in problem.pools:
        mine = problem.pool == pool
        groups = np.unique(group[mine & fails])
        sizes = np.bincount(group[mine], up[mine], minlength=int(group.max()) + 1)[groups].astype(np.int64)
        largest = np.argsort(-sizes, kind="stable")[:k]
        rest = mine & fails & ~np.isin(group, groups[largest])
        most[pool] = sizes[largest].sum() + min(further, int(up[rest].sum()))
    return most


def _mixed(problem: Problem, hosts: BoolArray) -> Scenarios:
    """So many failure domains of a pool, and so many further nodes of it; of equal sets of nodes, the first in document order."""
    asked, total = problem.guarantee, 0
    found: dict[tuple[int, ...], tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for pool in np.unique(problem.pool[hosts]).tolist():
        mine = problem.pool == pool
        domains = np.unique(problem.domain[hosts & mine]).tolist()
        for chosen in combinations(domains, min(asked.domains, len(domains))):
            gone = mine & np.isin(problem.domain, chosen)
            inside, others = np.flatnonzero(gone).tolist(), np.flatnonzero(hosts & mine & ~gone).tolist()
            for further in combinations(others, min(asked.failures - asked.domains, len(others))):
                total += 1
                if len(found) < MOST_SCENARIOS and (len(found) + 1) * (len(inside) + len(further)) <= _MOST_UNITS:
                    found.setdefault(tuple(sorted((*inside, *further))), (chosen, further))
                elif total > 2 * MOST_SCENARIOS:
                    break
    width = max(map(len, found), default=1)
    units = np.array([[*nodes, *[-1] * (width - len(nodes))] for nodes in found], dtype=np.int64).reshape(len(found), width)
    listed = total <= MOST_SCENARIOS and total * width <= _MOST_UNITS
    return Scenarios(problem, units, len(found) if listed else max(total, len(found) + 1), list(found.values()))


def _heaviest(units: IntArray, weight: IntArray, k: int, most: int) -> IntArray:
    """As many of the units that displace most as make no more sets of k than these."""
    count = len(units)
    while count > k and comb(count, k) > most:
        count = max(k, count - max(1, count // 64))
    return np.sort(units[np.argsort(-weight[units], kind="stable")[:count]])


def _sets(units: IntArray, k: int) -> IntArray:
    """All sets of k units, or the one of all if they are fewer, shape (n_sets, k or fewer)."""
    if len(units) <= k:
        return units[None, :]
    if k == 2:
        first, second = np.triu_indices(len(units), 1)
        return np.column_stack([units[first], units[second]])

    def flat() -> Iterator[int]:
        for chosen in combinations(units.tolist(), k):
            yield from chosen

    return np.fromiter(flat(), dtype=np.int64, count=comb(len(units), k) * k).reshape(-1, k)


def _padded(sets: IntArray, k: int) -> IntArray:
    return np.pad(sets, ((0, 0), (0, k - sets.shape[1])), constant_values=-1)
