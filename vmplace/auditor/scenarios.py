"""The failure scenarios of a guarantee: the sets of units of a pool that fail together, and the key of each set."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain, combinations
from math import comb

import numpy as np
from attrs import field, frozen

from vmplace.auditor.case import Case, sums
from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["MOST_SCENARIOS", "AuditedScenarios", "unit_names"]

MOST_SCENARIOS = 1_000_000
"""Of several units; pools with more are judged as a whole."""

_NO_UNIT, _PADDING = -1, -2


@frozen(eq=False)
class AuditedScenarios:
    """All failure scenarios. A scenario is a set of units of one pool; a unit is a node, or a pool's nodes of one failure domain.

    Parameters
    ----------
    names
        Of the units; those of two pools may share one.
    unit
        Of each node, -1 for one that never fails or is not a node, shape (n_nodes + 1,).
    unit_of
        The same, of nodes too that host nothing and thus never fail of their own.
    pool
        Of each unit, shape (n_units,).
    units
        Of each scenario, in document order, then -2; shape (n_scenarios, width).
    crowded
        Units of each pool that has too many scenarios to list.
    failures
        How many units fail together where there are so many.
    named
        The keys, where failure domains fail and further nodes with them; None where the units' names tell.
    """

    names: Sequence[str] = field(repr=False)
    unit: IntArray = field(repr=False)
    unit_of: IntArray = field(repr=False)
    pool: IntArray = field(repr=False)
    units: IntArray = field(repr=False)
    crowded: list[IntArray] = field(repr=False)
    failures: int
    named: Sequence[str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, case: Case) -> "AuditedScenarios":
        """The failures of a placement; raises InputError if names of nodes and domains do not tell units apart."""
        names, unit = _domain_units(case) if case.cluster.guarantee.scope == "domain" else _node_units(case)
        hosting = case.online.copy()
        if case.maintenance.any():
            hosting |= case.maintenance & (np.bincount(case.at + 1, minlength=len(hosting))[np.r_[1 : len(hosting), 0]] > 0)
        hosting[-1] = False
        pool = np.zeros(len(names), np.int64)
        pool[unit[:-1]] = case.node_pool[:-1]
        hosts = np.flatnonzero(np.bincount(unit[hosting]))
        failures = case.cluster.guarantee.failures
        if case.cluster.guarantee.domains:
            return _mixed(case, names, unit, hosting)
        listed, crowded = _listed([hosts[pool[hosts] == p] for p in range(len(case.pools))], failures)
        return cls(names, np.where(hosting, unit, _NO_UNIT), unit, pool, _sets(listed, failures), crowded, failures)

    def __len__(self) -> int:
        return len(self.units)

    @cached_property
    def pool_of(self) -> IntArray:
        """The pool of each scenario, shape (n_scenarios,)."""
        pools: IntArray = self.pool[self.units[:, 0]]
        return pools

    def key(self, scenario: int) -> str:
        """The key of a scenario."""
        if self.named is not None:
            return self.named[scenario]
        return "+".join([self.names[unit] for unit in self.units[scenario].tolist() if unit >= 0])

    @cached_property
    def keys(self) -> list[str]:
        """The keys of all scenarios."""
        if self.units.shape[1] > 1 or self.named is not None:
            return [self.key(scenario) for scenario in range(len(self))]
        return [self.names[unit] for unit in self.units.ravel().tolist()]

    @cached_property
    def by_key(self) -> dict[str, list[int]]:
        """The scenarios that share a key: one in each of some pools."""
        found: dict[str, list[int]] = {}
        for s, key in enumerate(self.keys):
            found.setdefault(key, []).append(s)
        return found

    @cached_property
    def alone(self) -> IntArray:
        """The scenario in which a unit fails alone, -1 if there is none, shape (n_units + 1,)."""
        scenario = np.full(len(self.names) + 1, -1)
        lonely = np.flatnonzero((self.units[:, 1:] < 0).all(axis=1))
        scenario[self.units[lonely, 0]] = lonely
        return scenario

    def fail(self, scenario: IntArray, node: IntArray) -> BoolArray:
        """Whether nodes fail in scenarios, pair by pair."""
        unit = self.unit[node]
        if self.units.shape[1] == 1:
            return np.equal(self.units.ravel()[scenario], unit, dtype=bool)
        failed: BoolArray = (self.units[scenario] == unit[:, None]).any(axis=1)
        return failed

    def failing(self, node: int) -> IntArray:
        """The scenarios in which a node fails."""
        unit = self.unit[node]
        return np.flatnonzero((self.units == unit).any(axis=1)) if unit >= 0 else np.arange(0)

    def total(self, amounts: IntArray) -> IntArray:
        """The sum of the units' amounts in each scenario, shape (n_scenarios,)."""
        padded = np.append(amounts, [0, 0])  # -2 and -1 reach these
        total: IntArray = padded[self.units].sum(axis=1)
        return total

    def by_unit(self, nodes: IntArray, amounts: IntArray) -> IntArray:
        """The sum of amounts on nodes, unit by unit, shape (n_units,)."""
        return sums(self.unit[nodes], amounts, len(self.names) + 1)[:-1]

    def is_crowded(self, key: str) -> bool:
        """Whether a key is a scenario of a pool that has too many to list."""
        names = key.split("+")
        places = ({self.names[unit]: place for place, unit in enumerate(hosts.tolist())} for hosts in self.crowded)
        ranks = ([place.get(name, -1) for name in names] for place in places)
        return any(len(rank) == self.failures and min(rank) >= 0 and rank == sorted(set(rank)) for rank in ranks)


def _mixed(case: Case, names: Sequence[str], unit: IntArray, hosting: BoolArray) -> AuditedScenarios:
    """Domains and further nodes that fail at once: sets of nodes, each under the first names that tell it."""
    asked, nodes = case.cluster.guarantee, case.cluster.nodes
    called = [domain or name for name, domain in zip(nodes.names, nodes.domain, strict=True)]
    first = {name: i for i, name in reversed(list(enumerate(called)))}
    place = [first[name] for name in called]  # of each node's domain: where it comes first
    found: dict[tuple[int, ...], tuple[list[int], str]] = {}
    crowded: list[IntArray] = []
    more = asked.failures - asked.domains
    for p in range(len(case.pools)):
        members = [i for i in range(len(called)) if case.node_pool[i] == p]
        hosts = [i for i in members if hosting[i]]
        # In the order in which the pool's nodes bring them up.
        domains = [at for at in dict.fromkeys(place[i] for i in members) if any(place[i] == at for i in hosts)]
        if comb(len(domains), min(asked.domains, len(domains))) * comb(len(hosts), min(more, len(hosts))) > MOST_SCENARIOS:
            crowded.append(np.array(hosts, np.int64))
            continue
        for chosen in combinations(domains, min(asked.domains, len(domains))) if hosts else ():
            inside = {i for i in members if place[i] in chosen}
            others = [i for i in hosts if i not in inside]
            for further in combinations(others, min(more, len(others))):
                ranked = sorted([(at, called[at]) for at in chosen] + [(i, nodes.names[i]) for i in further])
                key = "+".join(name for _, name in ranked)
                found.setdefault(tuple(sorted(inside.union(further))), ([at for at, _ in ranked], key))
    order = sorted(found, key=lambda failing: found[failing][0])
    width = max(map(len, order), default=1)
    units = np.array([[*failing, *[_PADDING] * (width - len(failing))] for failing in order], np.int64).reshape(len(order), width)
    keys = [found[failing][1] for failing in order]
    unit_of = np.where(hosting, unit, _NO_UNIT)
    return AuditedScenarios(names, unit_of, unit, case.node_pool[:-1], units, crowded, asked.failures, keys)


def unit_names(cluster: Cluster) -> list[str]:
    """The name of each node's unit: its failure domain under a guarantee for domains, else its own."""
    nodes, wide = cluster.nodes, cluster.guarantee.scope == "domain"
    return [domain if wide and domain else name for name, domain in zip(nodes.names, nodes.domain, strict=True)]


def _node_units(case: Case) -> tuple[Sequence[str], IntArray]:
    return case.node.names, np.append(np.arange(len(case.node)), _NO_UNIT)


def _domain_units(case: Case) -> tuple[list[str], IntArray]:
    """Units in document order: of two that share a name the order is that of their name."""
    called, first = unit_names(case.cluster), dict[str, int]()
    for i, name in enumerate(called):
        first.setdefault(name, i)
    pairs = list(zip(called, case.node_pool[:-1].tolist(), strict=True))
    number = {pair: u for u, pair in enumerate(sorted(set(pairs), key=lambda pair: (first[pair[0]], pair[1])))}
    return [name for name, _ in number], np.array([*(number[pair] for pair in pairs), _NO_UNIT], np.int64)


def _listed(hosts: Iterable[IntArray], failures: int) -> tuple[list[IntArray], list[IntArray]]:
    """The pools whose scenarios are listed, the small ones first, and those that have too many."""
    left = MOST_SCENARIOS
    listed: list[IntArray] = []
    crowded: list[IntArray] = []
    for members in sorted((members for members in hosts if len(members) and failures), key=len):
        left -= comb(len(members), min(failures, len(members)))
        (listed if left >= 0 or failures == 1 else crowded).append(members)
    return listed, crowded


def _sets(pools: list[IntArray], failures: int) -> IntArray:
    """All sets of units that fail together, in lexicographic order."""
    width = max((min(failures, len(hosts)) for hosts in pools), default=1)
    blocks = [np.zeros((0, width), np.int64)]
    for hosts in pools:
        size = min(failures, len(hosts))
        sets = chain.from_iterable(combinations(hosts.tolist(), size)) if size > 1 else hosts
        rows = np.fromiter(sets, np.int64).reshape(-1, size)
        blocks.append(np.pad(rows, ((0, 0), (0, width - size)), constant_values=_PADDING))
    units = np.concatenate(blocks)
    return units if len(pools) < 2 else units[np.lexsort(units.T[::-1])]
