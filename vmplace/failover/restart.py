"""One failure compiled: the survivors and what rules leave of them; and the question where displaced VMs restart there."""

from functools import cached_property

import numpy as np
from attrs import evolve, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import CompiledRule
from vmplace.problem.state import PlacementState

__all__ = ["Failure", "Item", "RestartProblem"]

_MOST_CODE = 2**62


@frozen(eq=False)
class Failure:
    """What the failure of some nodes leaves.

    Parameters
    ----------
    problem, node_of
        The placement when they fail.
    failed
        The nodes, shape (n_failed,).
    nodes
        Survivors, freest first.
    room
        What they have free, shape (len(nodes), n_firm): memory in MiB first.
    """

    problem: Problem
    node_of: IntArray
    failed: IntArray
    nodes: IntArray
    room: IntArray

    @classmethod
    def of(
        cls, state: PlacementState, failed: IntArray, node_of: IntArray | None = None, *, most: int | None = None
    ) -> "Failure":
        """The failure of nodes of one pool; `node_of`: where VMs are by then; with no more than `most` survivors."""
        freest = state.freest(int(state.problem.pool[failed[0]]))[: None if most is None else most + len(failed)]
        nodes, home = freest[~np.isin(freest, failed)], state.node_of if node_of is None else node_of
        return cls(state.problem, home, failed, nodes, state.room_on(nodes, home))

    def in_order(self, state: PlacementState) -> "Failure":
        """With the survivors in document order."""
        mine = np.zeros(self.problem.n_nodes, dtype=bool)
        mine[self.nodes] = True
        nodes = np.flatnonzero(mine)  # far faster than to sort them
        return evolve(self, nodes=nodes, room=state.room_on(nodes, self.node_of))

    def on(self, chosen: IntArray | BoolArray) -> "Failure":
        """With some of the survivors only, by index."""
        return evolve(self, nodes=self.nodes[chosen], room=self.room[chosen])

    def open_to(self, vms: IntArray) -> BoolArray:
        """Survivors that rules leave each VM, other VMs aside, shape (len(vms), n_nodes)."""
        open_: BoolArray = self.problem.restartable[self.problem.signature[vms]][:, self.nodes]
        return open_

    def standing(self, rule: CompiledRule) -> IntArray:
        """How many VMs of an anti-affinity rule stay in each survivor's zone, shape (n_nodes,); evictable ones may give way."""
        if rule.zone is None:
            return np.zeros(len(self.nodes), dtype=np.int64)
        hosts = self.node_of[rule.vms[~self.problem.evictable[rule.vms]]]
        hosts = hosts[self._stays[hosts]]
        return np.bincount(rule.zone[hosts], minlength=int(rule.zone.max()) + 1)[rule.zone[self.nodes]]

    @cached_property
    def _stays(self) -> BoolArray:
        """Of each node, and of none, whether VMs stay there, shape (n_nodes + 1,)."""
        stays = np.ones(self.problem.n_nodes + 1, dtype=bool)
        stays[self.failed] = stays[-1] = False
        return stays


@frozen(eq=False)
class Item:
    """What restarts on one node: a VM, or the displaced VMs that a rule keeps together.

    Parameters
    ----------
    vms
        Indices into the problem.
    demand
        Of all of them, shape (n_firm,): memory in MiB first.
    priority
        The highest.
    allowed
        Candidates that it may restart on, rules with survivors included, shape (n_candidates,).
    likeness
        Items of equal likeness are interchangeable.
    """

    vms: tuple[int, ...]
    demand: tuple[int, ...]
    priority: int
    allowed: BoolArray
    likeness: tuple[int, ...]

    @property
    def memory(self) -> int:
        """In MiB."""
        return self.demand[0]


@frozen(eq=False)
class RestartProblem:
    """Where displaced VMs restart.

    Parameters
    ----------
    vms
        Displaced VMs that must restart, largest first.
    demand
        Of each, shape (n_vms, n_firm): memory in MiB first.
    priority, likeness
        Of each, shape (n_vms,): VMs of equal likeness are interchangeable.
    open_to
        Candidates that rules leave each VM, other VMs aside, shape (n_vms, n_candidates).
    nodes
        Candidate survivors, freest first; no plan needs another.
    room
        What they have free, shape (n_candidates, n_firm).
    rules
        Rules among these VMs that bind restarts beyond `Problem.restartable`.
    standing
        Per rule: how many of its VMs stay in the zone of each candidate, shape (n_candidates,).
    """

    vms: IntArray
    demand: IntArray
    priority: IntArray
    likeness: IntArray
    open_to: BoolArray
    nodes: IntArray
    room: IntArray
    rules: tuple[CompiledRule, ...] = ()
    standing: tuple[IntArray, ...] = ()

    @classmethod
    def of(cls, state: PlacementState, scenario: int, *, every: bool = False) -> "RestartProblem":
        """One failure of a placement; `every`: with all survivors as candidates."""
        failed, (vms, _) = state.scenarios.failing(scenario), state.displaced_by(np.array([scenario]))
        if state.plain[scenario] and not every:
            return cls._asking(Failure.of(state, failed, most=len(vms)), vms)
        failure = Failure.of(state, failed)
        rules = state.restart_rules(failed)
        if not every:
            failure = failure.on(_worth_considering(failure, vms, rules))
        return cls._asking(failure, vms, rules)

    @classmethod
    def _asking(cls, failure: Failure, vms: IntArray, rules: tuple[CompiledRule, ...] = ()) -> "RestartProblem":
        problem = failure.problem
        return cls(
            vms,
            problem.demand[vms, : problem.n_firm],
            problem.priority[vms],
            problem.classes.of[vms],
            failure.open_to(vms),
            failure.nodes,
            failure.room,
            rules,
            tuple(failure.standing(rule) for rule in rules),
        )

    def only(self, vms: IntArray) -> "RestartProblem":
        """The same for some of the VMs."""
        mine = np.isin(self.vms, vms)
        demand, priority, likeness, open_to = self.demand, self.priority, self.likeness, self.open_to
        return evolve(
            self, vms=self.vms[mine], demand=demand[mine], priority=priority[mine], likeness=likeness[mine], open_to=open_to[mine]
        )

    @cached_property
    def free(self) -> IntArray:
        """Free memory of the candidates in MiB, shape (n_candidates,)."""
        return np.ascontiguousarray(self.room[:, 0])

    @cached_property
    def zones(self) -> tuple[IntArray | None, ...]:
        """Per rule that is ``apart``: the zone of each candidate, shape (n_candidates,)."""
        return tuple(None if b.zone is None else b.zone[self.nodes] for b in self.rules)

    def fitting(self, item: Item) -> BoolArray:
        """Candidates that it may restart on and that have the room, others apart, shape (n_candidates,)."""
        return np.asarray(item.allowed & (self.room >= np.array(item.demand)).all(axis=1))

    @cached_property
    def has_soft(self) -> bool:
        """Whether soft rules bind these restarts."""
        return any(not b.must for b in self.rules)

    @cached_property
    def single_items(self) -> list[Item]:
        """Each VM alone."""
        return self._items([[vm] for vm in self.vms.tolist()], soft=False)

    def joint_items(self, *, soft: bool = False) -> list[Item]:
        """The VMs, joined where a rule keeps them together; with `soft`, soft rules bind, too, unless in vain."""
        return self._items(self._joined(soft), soft) if self.rules else self.single_items

    def binds(self, rule: CompiledRule, *, soft: bool) -> bool:
        """Whether a rule must be kept; with `soft`, a soft rule too, unless no plan keeps it."""
        return rule.must or (soft and rule.index not in self._vain)

    @cached_property
    def _vain(self) -> frozenset[int]:
        """Soft rules that no plan keeps, as far as a quick test shows."""
        return frozenset(rule.index for rule, least in self._least_breaches if least)

    @property
    def least_soft_cost(self) -> int:
        """What soft rules cost at least in any plan."""
        return sum(rule.weight * least for rule, least in self._least_breaches)

    @cached_property
    def _least_breaches(self) -> list[tuple[CompiledRule, int]]:
        items = self.joint_items() if self.has_soft else []
        soft = ((place, rule) for place, rule in enumerate(self.rules) if not rule.must)
        bound = ((place, rule, [item for item in items if self.members(rule, item)]) for place, rule in soft)
        return [(rule, self._least(place, mine)) for place, rule, mine in bound if mine]

    def _least(self, place: int, items: list[Item]) -> int:
        """How far any plan breaks a rule among some items at least."""
        rule, fits = self.rules[place], np.array([self.fitting(item) for item in items])
        if rule.kind == "together":
            need = np.array([item.demand for item in items]).sum(axis=0)
            return int(not (fits.all(axis=0) & (self.room >= need).all(axis=1)).any())
        count = np.array([self.members(rule, item) for item in items])
        if rule.nodes is not None:
            return int(count[~(fits & rule.nodes[self.nodes]).any(axis=1)].sum())
        zone, standing = self.zones[place], self.standing[place]
        assert zone is not None
        each = np.where(fits, standing, standing.max(initial=0)).min(axis=1, initial=standing.max(initial=0))
        # Each more that comes to a place makes one more pair there.
        some = np.flatnonzero(np.any(fits, axis=0))
        first = some[np.unique(zone[some], return_index=True)[1]]
        steps = np.sort(np.add.outer(standing[first], np.arange(count.sum())), axis=None)
        return max(int((count * each).sum()), int(steps[: count.sum()].sum()))

    def members(self, rule: CompiledRule, item: Item) -> int:
        """How many of the item's VMs a rule binds."""
        return len(self._members[rule.index].intersection(item.vms))

    @cached_property
    def _members(self) -> dict[int, frozenset[int]]:
        """Of each rule, the VMs that restart."""
        return {b.index: frozenset(self.vms.tolist()).intersection(b.vms.tolist()) for b in self.rules}

    def _joined(self, soft: bool) -> list[list[int]]:
        home = {vm: [vm] for vm in self.vms.tolist()}
        for rule in self.rules:
            if rule.kind == "together" and self.binds(rule, soft=soft):
                homes = {id(home[vm]): home[vm] for vm in rule.vms.tolist() if vm in home}
                joined = [vm for part in homes.values() for vm in part]
                home.update((vm, joined) for vm in joined)
        return list({id(part): part for part in home.values()}.values())

    def _items(self, parts: list[list[int]], soft: bool) -> list[Item]:
        at = {vm: k for k, vm in enumerate(self.vms.tolist())}
        demand, priority, likenesses = self.demand.tolist(), self.priority.tolist(), self.likeness.tolist()
        alike: dict[tuple[int, ...], BoolArray] = {}
        items = []
        for part in parts:
            mine = [at[vm] for vm in part]
            likeness = (likenesses[mine[0]],) if len(part) == 1 else (-1, *part)
            if likeness not in alike:
                alike[likeness] = self._allowed(part, mine, soft)
            size = tuple(map(sum, zip(*(demand[k] for k in mine), strict=True)))
            items.append(Item(tuple(part), size, max(priority[k] for k in mine), alike[likeness], likeness))
        return sorted(items, key=lambda item: (-item.memory, item.likeness))

    def _allowed(self, vms: list[int], rows: list[int], soft: bool) -> BoolArray:
        allowed = np.asarray(self.open_to[rows].all(axis=0))
        for rule, standing in zip(self.rules, self.standing, strict=True):
            bound = len(self._members[rule.index].intersection(vms))
            if not bound or not self.binds(rule, soft=soft):
                continue
            if rule.kind == "apart":
                allowed = allowed & (standing == 0) if bound == 1 else np.zeros_like(allowed)
            elif rule.nodes is not None:
                allowed = allowed & rule.nodes[self.nodes]
        return allowed


def _worth_considering(failure: Failure, vms: IntArray, rules: tuple[CompiledRule, ...]) -> BoolArray:
    """Of nodes that all rules treat alike, the freest, as many as there are VMs that have enough of all else: any plan can be
    moved to these."""
    problem, nodes = failure.problem, failure.nodes
    if len(nodes) <= len(vms):
        return np.ones(len(nodes), dtype=bool)
    patterns: list[IntArray | BoolArray] = [
        problem.restartable[signature][nodes] for signature in np.unique(problem.signature[vms])
    ]
    patterns += [failure.standing(rule) for rule in rules]
    patterns += [rule.nodes[nodes] for rule in rules if rule.nodes is not None]
    # Nodes of one zone that others share are not as good as nodes of several, for more than one VM.
    patterns += [b.zone[nodes] for b in rules if b.zone is not None and _shared(b.zone) and np.isin(b.vms, vms).sum() > 1]
    kind = _kinds(patterns)
    others = problem.demand[vms, 1 : problem.n_firm].sum(axis=0)
    ample = (failure.room[:, 1:] >= others).all(axis=1)
    rank = np.empty(len(nodes), dtype=np.int64)
    for value in range(int(kind.max()) + 1):
        same = np.flatnonzero(kind == value)
        rank[same] = np.cumsum(ample[same]) - ample[same]
    return rank < len(vms)


def _kinds(patterns: list[IntArray | BoolArray]) -> IntArray:
    """Numbers from 0 that are equal where all patterns are."""
    code, most = np.zeros(len(patterns[0]), dtype=np.int64), 1
    for pattern in patterns:
        width = int(pattern.max()) + 1
        if most * width > _MOST_CODE:
            code = np.unique(code, return_inverse=True)[1]
            most = int(code.max()) + 1
        code, most = code * width + pattern, most * width
    return np.unique(code, return_inverse=True)[1]


def _shared(zone: IntArray) -> bool:
    """Whether some zone has several nodes."""
    return len(np.unique(zone)) < len(zone)
