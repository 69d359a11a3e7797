"""Restarts of the VMs that rules bind, for many failures: each on its tightest fit, before the others restart in what is left."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.ruled import RestartRules, RuledItems
from vmplace.model.columns import IntArray

__all__ = ["breaking", "place_ruled"]


def breaking(rules: RestartRules, restarts: RestartColumns) -> IntArray:
    """The failures, ascending, in which restarts, one to a node, break a rule."""
    scenarios = np.unique(restarts.scenario)
    n_vms, found = rules.state.problem.n_vms, [scenarios[:0]]
    ruled = restarts[np.isin(restarts.vm, rules.bound.order)]
    place = np.argsort(ruled.scenario * n_vms + ruled.vm)
    keys = (ruled.scenario * n_vms + ruled.vm)[place]
    for part in rules.parts(scenarios):
        items = rules.items(part)
        single = np.bincount(items.item, minlength=len(items)) == 1
        first = np.searchsorted(items.item, np.arange(len(items)))
        node = ruled.node[place[np.searchsorted(keys, items.scenario * n_vms + items.vm[first])]]
        kept = items.known & single & items.allowed[items.pattern, node]
        kept[items.closed_item[items.closed_node == node[items.closed_item]]] = False
        kept[rules.meeting(items, node)] = False
        found.append(items.scenario[~kept])
    return np.unique(np.concatenate(found))


def place_ruled(rules: RestartRules, scenarios: IntArray) -> RestartColumns:
    """Where the VMs restart that rules bind, as if no others did; node -1 for those that find none this way."""
    parts = [RestartColumns.joined([])]
    for part in rules.parts(scenarios):
        items = rules.items(part)
        node = np.array(_Placing(rules, items).nodes(), dtype=np.int64)
        parts.append(RestartColumns(items.scenario[items.item], items.vm, node[items.item]))
    return RestartColumns.joined(parts)


class _Placing:
    """Items one by one: in each failure those with the fewest nodes first, of these the largest."""

    def __init__(self, rules: RestartRules, items: RuledItems) -> None:
        self._rules, self._items = rules, items
        self._spare: list[list[int]] = rules.state.spare.tolist()
        self._demand: list[list[int]] = items.demand.tolist()
        self._closed_from = np.searchsorted(items.closed_item, np.arange(len(items) + 1)).tolist()
        self._bound = _by_item(items.bound_item, items.bound_rule)
        self._tightest: dict[int, tuple[list[int], list[int]]] = {}
        self._used: dict[int, list[int]] = {}
        self._taken: dict[int, list[int]] = defaultdict(list)

    def nodes(self) -> list[int]:
        """The node of each item."""
        items, state = self._items, self._rules.state
        choice = items.allowed.sum(axis=1)[items.pattern]
        found, last = [-1] * len(items), -1
        for item in np.lexsort((-items.demand[:, 0], choice, items.scenario)).tolist():
            scenario = int(items.scenario[item])
            if scenario != last:
                self._used, self._taken, last = {}, defaultdict(list), scenario
                gone = set(state.scenarios.failing(scenario).tolist())
            if items.known[item]:
                found[item] = self._place(item, gone)
        return found

    def _place(self, item: int, gone: set[int]) -> int:
        need, bound = self._demand[item], self._bound.get(item, ())
        closed = self._items.closed_node[self._closed_from[item] : self._closed_from[item + 1]]
        node = self._find(item, need, gone.union(closed.tolist()), bound)
        if node >= 0:
            used = self._used.setdefault(node, [0] * len(need))
            for r, amount in enumerate(need):
                used[r] += amount
            for rule in bound:
                self._taken[rule].append(node)
        return node

    def _find(self, item: int, need: list[int], shut: set[int], bound: Sequence[int]) -> int:
        """The node with the least memory free, of those that are open to an item."""
        free, nodes = self._ascending(int(self._items.pattern[item]))
        for node in nodes[bisect_left(free, need[0]) :]:
            if node in shut:
                continue
            used = self._used.get(node)
            left = self._spare[node] if used is None else [has - gone for has, gone in zip(self._spare[node], used, strict=True)]
            if all(has >= amount for has, amount in zip(left, need, strict=True)) and not self._meets(node, bound):
                return node
        return -1

    def _meets(self, node: int, bound: Sequence[int]) -> bool:
        """Whether another that restarts in the node's zone must be apart."""
        for rule in bound:
            zone = self._rules.apart[rule].zone
            assert zone is not None
            if any(zone[other] == zone[node] for other in self._taken[rule]):
                return True
        return False

    def _ascending(self, pattern: int) -> tuple[list[int], list[int]]:
        """Free memory and number of the nodes of a pattern, those with least first."""
        if pattern not in self._tightest:
            nodes, free = np.flatnonzero(self._items.allowed[pattern]), self._rules.state.free
            nodes = nodes[np.argsort(free[nodes], kind="stable")]
            self._tightest[pattern] = (free[nodes].tolist(), nodes.tolist())
        return self._tightest[pattern]


def _by_item(item: IntArray, value: IntArray) -> dict[int, list[int]]:
    """The values of each item, pairs being given by item."""
    found = defaultdict(list)
    for one, other in zip(item.tolist(), value.tolist(), strict=True):
        found[one].append(other)
    return found
