"""Displaced VMs whose restarts rules bind, many failures at once: what restarts as one, and which survivors rules close to it."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.displaced import Displaced
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule
from vmplace.problem.signatures import rule_sets
from vmplace.problem.sizes import alike, distinct, ranges
from vmplace.problem.state import PlacementState

__all__ = ["RestartRules", "RuledItems"]

_AT_ONCE = 2_000_000
"""Nodes of rules' members that are looked at in one pass, over some failures."""


@frozen(eq=False)
class RuledItems:
    """What restarts as one under rules, one entry for each failure: a displaced VM, or several that a rule keeps together.

    Parameters
    ----------
    scenario
        Of each, ascending, shape (n_items,).
    vm, item
        The VMs, and the item of each, ascending, shape (n_vms,).
    demand
        Of all VMs of each item, shape (n_items, n_firm): memory in MiB first.
    pattern, allowed
        A row of `allowed` for each item: the targets that rules leave it, other VMs aside; shape (n_patterns, n_nodes).
    closed_item, closed_node
        Nodes that anti-affinity with VMs that stay closes to an item, pair by pair, by item.
    rivals
        How many nodes more VMs that restart may close to each at most, shape (n_items,).
    bound_item, bound_rule
        The anti-affinity rules of each item, by their places in `RestartRules.apart`, pair by pair, by item.
    known
        Whether these columns say all of an item, shape (n_items,): not where one rule parts what another joins, nor where
        affinity binds restarts that are not joined.
    """

    scenario: IntArray
    vm: IntArray
    item: IntArray
    demand: IntArray
    pattern: IntArray
    allowed: BoolArray
    closed_item: IntArray
    closed_node: IntArray
    rivals: IntArray
    bound_item: IntArray
    bound_rule: IntArray
    known: BoolArray

    def __len__(self) -> int:
        return len(self.scenario)


@frozen(eq=False)
class RestartRules:
    """The rules that bind restarts, as columns.

    Parameters
    ----------
    state
        The placement.
    planned
        Whether restarts keep to a plan: VMs that must be together then restart as one, and soft rules count like those that must
        be kept. Otherwise VMs come one by one, those too that need not restart, and soft rules count for nothing.
    """

    state: PlacementState
    planned: bool

    @cached_property
    def _rules(self) -> list[CompiledRule]:
        rules = self.state.problem.compiled_rules
        return [rule for rule in rules if rule.during_failover and (rule.must or self.planned)]

    @cached_property
    def apart(self) -> list[CompiledRule]:
        """Anti-affinity."""
        return [rule for rule in self._rules if rule.zone is not None]

    @cached_property
    def _separated(self) -> "_Groups":
        return _Groups.of(self.state, self.apart, planned=self.planned)

    @cached_property
    def _joint(self) -> "_Groups":
        return _Groups.of(self.state, [rule for rule in self._rules if rule.kind == "together"], planned=self.planned)

    @cached_property
    def _zones(self) -> list[tuple[IntArray, BoolArray]]:
        """The zones that rules tell apart, and which of `apart` go by them."""
        zones = {id(rule.zone): rule.zone for rule in self.apart if rule.zone is not None}
        own = np.array([id(rule.zone) for rule in self.apart], dtype=np.uint64)
        return [(zone, own == number) for number, zone in zones.items()]

    @cached_property
    def _patterns(self) -> tuple[IntArray, BoolArray]:
        """The row of each VM, shape (n_vms,), and the rows: targets that rules leave it, other VMs aside."""
        problem, soft = self.state.problem, [rule for rule in self._rules if rule.nodes is not None]
        rows = problem.restartable & self.state.target
        if not soft:
            return problem.signature, rows
        code, sets = rule_sets(soft, problem.n_vms)
        width = problem.n_vms + 1  # there are no more sets than VMs, and the empty one
        pairs, of = np.unique(problem.signature * width + code, return_inverse=True)
        left = [np.logical_and.reduce([np.ones_like(rows[0]), *(soft[k].nodes for k in own)]) for own in sets]
        signature, number = np.divmod(pairs, width)
        return of.reshape(-1), rows[signature] & np.array(left)[number]

    @cached_property
    def bound(self) -> Displaced:
        """The VMs that must restart if they are displaced, and that rules bind then."""
        state, problem, (of, rows) = self.state, self.state.problem, self._patterns
        own = state.target & (problem.pool == problem.signature_pool[:, None])
        narrowed = rows.sum(axis=1)[of] < own.sum(axis=1)[problem.signature]
        narrowed[self._separated.vm] = narrowed[self._joint.vm] = True
        return Displaced.of(problem, state.scenarios, state.node_of, np.flatnonzero(narrowed & state.must_return))

    def parts(self, scenarios: IntArray) -> Iterator[IntArray]:
        """Scenarios in parts, so few in each that the columns of its items are not too long."""
        ends = np.cumsum(self._weight[scenarios])
        cuts = np.searchsorted(ends, np.arange(_AT_ONCE, int(ends.max(initial=0)), _AT_ONCE))
        return (part for part in np.split(scenarios, cuts) if len(part))

    @cached_property
    def _weight(self) -> IntArray:
        """How much there is to look at in each scenario: VMs, and nodes with members of their rules, shape (n_scenarios,)."""
        home, n_nodes = self.state.node_of, self.state.problem.n_nodes
        by_node = np.bincount(home[self.bound.order], minlength=n_nodes)
        for groups in (self._separated, self._joint):
            placed = home[groups.vm] >= 0
            hosts = np.diff(groups.start)[groups.group[placed]]
            np.add.at(by_node, home[groups.vm[placed]], hosts)
        return self.state.scenarios.sums(by_node)

    def items(self, scenarios: IntArray) -> RuledItems:
        """What rules bind of what some scenarios displace."""
        problem, (vm, counts) = self.state.problem, self.bound.by(scenarios)
        place = np.repeat(np.arange(len(scenarios)), counts)
        item = self._joined(place, vm)
        order = np.argsort(item, kind="stable")
        vm, item, place = vm[order], item[order], place[order]
        n_items = int(item.max(initial=-1)) + 1
        scenario, known = np.zeros(n_items, dtype=np.int64), np.ones(n_items, dtype=bool)
        scenario[item] = scenarios[place]
        demand = np.zeros((n_items, problem.n_firm), dtype=np.int64)
        np.add.at(demand, item, problem.demand[vm, : problem.n_firm])
        if not self.planned:
            known[item[self._accompanied(scenario[item], vm)]] = False
        entry, rule = self._separated.of_vms(vm)
        bound, count = np.unique(item[entry] * max(1, len(self.apart)) + rule, return_counts=True)
        bound_item, bound_rule = np.divmod(bound, max(1, len(self.apart)))
        known[bound_item[count > 1]] = False
        closed = self._closed(scenario, bound_item, bound_rule)
        return RuledItems(scenario, vm, item, demand, *self._allowed(vm, item, n_items), *closed, bound_item, bound_rule, known)

    def meeting(self, items: RuledItems, node: IntArray) -> IntArray:
        """Items that restart in one zone with another that must be apart, one on each node, shape (n_items,)."""
        found = [items.bound_item[:0]]
        for zone, rules in self._zones:
            mine = rules[items.bound_rule]
            item, rule = items.bound_item[mine], items.bound_rule[mine]
            which, _ = alike(items.scenario[item], rule, zone[node[item]])
            found.append(item[np.bincount(which)[which] > 1])
        return np.concatenate(found)

    def _joined(self, place: IntArray, vm: IntArray) -> IntArray:
        """The item of each VM, numbered as they come; `place`: which scenario displaces it."""
        entry, rule = self._joint.of_vms(vm)
        if not len(entry) or not self.planned:
            return np.arange(len(vm))
        label, key = np.arange(len(vm)), np.unique(place[entry] * (len(self._rules) + 1) + rule, return_inverse=True)[1]
        while True:
            least = np.full(int(key.max()) + 1, len(vm))
            np.minimum.at(least, key, label[entry])
            joined = label.copy()
            np.minimum.at(joined, entry, least[key])
            if (joined == label).all():
                break
            label = joined
        return np.asarray(np.unique(label, return_inverse=True)[1]).reshape(-1)

    def _accompanied(self, scenario: IntArray, vm: IntArray) -> BoolArray:
        """Whether affinity binds a VM to others that restart, too, shape (len(vm),)."""
        entry, rule = self._joint.of_vms(vm)
        at, host, hit = self._joint.hosts(self.state, scenario[entry], rule)
        count, found = np.zeros(len(entry), dtype=np.int64), np.zeros(len(vm), dtype=bool)
        np.add.at(count, at[hit], self._joint.returning[host[hit]])
        found[entry[count > 1]] = True
        return found

    def _allowed(self, vm: IntArray, item: IntArray, n_items: int) -> tuple[IntArray, BoolArray]:
        """The row of each item, and the rows: more than `_patterns` has where VMs of several are joined."""
        of, rows = self._patterns
        own, pattern = of[vm], np.zeros(n_items, dtype=np.int64)
        pattern[item] = own
        known, more = dict[tuple[int, ...], int](), list[BoolArray]()
        for mixed in np.unique(item[pattern[item] != own]).tolist():
            parts = np.unique(own[slice(*np.searchsorted(item, [mixed, mixed + 1]))])
            key = tuple(parts.tolist())
            if key not in known:
                known[key] = len(rows) + len(more)
                more.append(np.asarray(rows[parts].all(axis=0)))
            pattern[mixed] = known[key]
        return pattern, np.vstack([rows, *more]) if more else rows

    def _closed(self, scenario: IntArray, item: IntArray, rule: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """The nodes that VMs which stay close to items, pair by pair; and how many more others that restart may close to each."""
        groups, n_nodes = self._separated, self.state.problem.n_nodes
        at, host, hit = groups.hosts(self.state, scenario[item], rule)
        coming, rivals = np.zeros(len(item), dtype=np.int64), np.zeros(len(scenario), dtype=np.int64)
        np.add.at(coming, at[hit], groups.returning[host[hit]])
        pairs = [at[:0]]
        for zone, rules in self._zones:
            size, mine = np.bincount(zone), rules[rule]
            np.add.at(rivals, item[mine], np.maximum(coming[mine] - 1, 0) * int(size.max()))
            stay = groups.standing[host] & ~hit & mine[at]
            whose, which = np.divmod(distinct(item[at[stay]] * len(size) + zone[groups.node[host[stay]]]), max(1, len(size)))
            nodes = np.argsort(zone, kind="stable")[ranges((np.cumsum(size) - size)[which], size[which])]
            pairs.append(np.repeat(whose, size[which]) * n_nodes + nodes)
        closed, node = np.divmod(distinct(np.concatenate(pairs)), n_nodes)
        left = ~self.state.scenarios.hit(scenario[closed], node)
        return closed[left], node[left], rivals


@frozen(eq=False)
class _Groups:
    """VMs that rules bind to each other, and the nodes that these are on.

    Parameters
    ----------
    vm, group
        The members, ascending, and the group of each.
    start
        ``node[start[g]:start[g + 1]]`` are the nodes with members of group g.
    node
        By group.
    standing
        Whether there is a member that does not give way.
    returning
        How many members there restart if the node fails.
    """

    vm: IntArray
    group: IntArray
    start: IntArray
    node: IntArray
    standing: BoolArray
    returning: IntArray

    @classmethod
    def of(cls, state: PlacementState, rules: Sequence[CompiledRule], *, planned: bool) -> "_Groups":
        """The members of some rules."""
        none, problem = np.zeros(0, dtype=np.int64), state.problem
        vm = np.concatenate([none, *(rule.vms for rule in rules)])
        group = np.repeat(np.arange(len(rules)), [len(rule.vms) for rule in rules])
        order, placed = np.argsort(vm, kind="stable"), state.node_of[vm] >= 0
        here, those = vm[placed], group[placed]
        pairs, place = np.unique(those * problem.n_nodes + state.node_of[here], return_inverse=True)
        returns = state.must_return[here] if planned else state.may_return[here]
        groups, node = np.divmod(pairs, max(1, problem.n_nodes))
        return cls(
            vm[order],
            group[order],
            np.searchsorted(groups, np.arange(len(rules) + 1)),
            node,
            np.bincount(place, ~problem.evictable[here], minlength=len(pairs)) > 0,
            np.bincount(place[returns], minlength=len(pairs)),
        )

    def of_vms(self, vms: IntArray) -> tuple[IntArray, IntArray]:
        """The groups of some VMs, pair by pair: the index of the VM, and the group."""
        first, last = np.searchsorted(self.vm, vms), np.searchsorted(self.vm, vms, side="right")
        return np.repeat(np.arange(len(vms)), last - first), self.group[ranges(first, last - first)]

    def hosts(self, state: PlacementState, scenario: IntArray, group: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
        """The entries of `node` of some groups in failures: the index of the group, the entry, and whether that node fails."""
        count = self.start[group + 1] - self.start[group]
        at, host = np.repeat(np.arange(len(group)), count), ranges(self.start[group], count)
        return at, host, state.scenarios.hit(scenario[at], self.node[host])
