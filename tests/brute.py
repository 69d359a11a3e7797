"""What is true of a small cluster, found by trying everything: the oracle that the property tests judge by.

Plain Python over the Cluster's values; shares no code with the package beyond its model classes. Each rule of the
semantics is written once. Partial plans and placements are judged by the same predicates as complete ones: taking a
VM away never breaks a rule, overfills a node, loses more or costs more, so what a part breaks the whole breaks too.
That alone is what lets the searches stop early; ``prune=False`` does without.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from itertools import combinations, product

from attrs import frozen

from vmplace.cluster import Cluster
from vmplace.model import VM, Apart, Node, NotOn, OnlyOn, Rule, Tag, Together

Placement = Mapping[str, str]  # charged VM -> node, by name; a failover plan is the same: restarted VM -> node
Vector = tuple[int, ...]  # memory per priority, highest priority first: less is better, lexicographically
Value = tuple[Vector | int | Fraction, ...]

GIVE_WAY = ((True, True), (False, True), (True, False), (False, False))
"""Whether a best effort keeps the headroom, and that no failure of a cluster that is unsafe already gets worse, in turn."""


@frozen
class Bound:
    """A rule with the names it stands for."""

    rule: Rule
    vms: frozenset[str]
    nodes: frozenset[str]

    def broken(self, node_of: Placement) -> bool:
        """Whether these VMs, where they are, break the rule among each other."""
        homes = [node_of[vm] for vm in self.vms if vm in node_of]
        if isinstance(self.rule, Apart):
            return len(set(homes)) < len(homes)
        if isinstance(self.rule, Together):
            return len(set(homes)) > 1
        if isinstance(self.rule, OnlyOn):
            return any(home not in self.nodes for home in homes)
        return any(home in self.nodes for home in homes)

    def broken_by_plan(self, node_of: Placement, failed: str, plan: Placement) -> bool:
        """Whether the restarts break the rule: among each other, or by joining a survivor that they must avoid."""
        survivors = {node_of[vm] for vm in self.vms if vm in node_of and node_of[vm] != failed}
        joins = isinstance(self.rule, Apart) and any(plan[vm] in survivors for vm in self.vms if vm in plan)
        return joins or self.broken(plan)


@frozen
class Verdict:
    """What `check` should say."""

    status: str
    losses: Mapping[str, Vector]
    pools: Mapping[str, str]
    overfull: frozenset[str]
    broken_musts: frozenset[int]
    waiting: frozenset[str]


@frozen
class Best:
    """The best placement: what it leaves unprotected and what it costs, in the order in which they count."""

    lost: Vector
    costs: tuple[int | Fraction, ...]
    placement: Placement
    headroom: bool = True
    no_worse: bool = True


class World:
    """A cluster, the only nodes powered (None: all) and those being drained."""

    def __init__(self, cluster: Cluster, *, powered: Collection[str] | None = None, drained: Collection[str] = ()) -> None:
        self.cluster = cluster
        self.nodes = {node.name: node for node in cluster.nodes}
        self.vms = {vm.name: vm for vm in cluster.vms}
        self.powered = frozenset(self.nodes if powered is None else powered)
        self.drained = frozenset(drained)
        self.rules = [
            Bound(rule, _named(rule.vms, cluster.vms), _named(rule.nodes, cluster.nodes) if _has_nodes(rule) else frozenset())
            for rule in cluster.rules
        ]
        self.priorities = sorted({vm.priority for vm in cluster.vms if vm.protected}, reverse=True)
        self.now = {vm.name: vm.node for vm in cluster.vms if vm.node and not self.waits(vm) and not self.stopped(vm)}
        self.charged = [vm for vm in cluster.vms if not self.stopped(vm)]

    # Who takes memory

    def waits(self, vm: VM) -> bool:
        return vm.node is None or self.nodes[vm.node].state == "offline"

    def stopped(self, vm: VM) -> bool:
        return not vm.running and not self.waits(vm)

    # Normal running

    def capacity(self, node: str, headroom: bool = False) -> int:
        usable = self.nodes[node].memory - self.nodes[node].reserve
        return usable - math.ceil(usable * self.cluster.guarantee.headroom) if headroom else usable

    def loads(self, node_of: Placement) -> Counter[str]:
        loads: Counter[str] = Counter()
        for vm, node in node_of.items():
            loads[node] += self.vms[vm].memory
        return loads

    def overfull(self, node_of: Placement, headroom: bool = False) -> frozenset[str]:
        return frozenset(node for node, load in self.loads(node_of).items() if load > self.capacity(node, headroom))

    def broken(self, node_of: Placement, must: bool) -> list[int]:
        return [i for i, bound in enumerate(self.rules) if bound.rule.must is must and bound.broken(node_of)]

    def should_cost(self, node_of: Placement) -> int:
        return sum(self.rules[i].rule.weight for i in self.broken(node_of, must=False))

    def may_be(self, vm: VM, node: Node) -> bool:
        """Whether the VM may be on the node in normal running, as far as these two alone tell."""
        there = self.now.get(vm.name) == node.name
        bears = node.state == "online" or (node.state == "maintenance" and there)
        if not bears or node.pool != vm.pool or node.name in self.drained or node.name not in self.powered:
            return False
        return there or vm.movable or self.now.get(vm.name) in {None, *self.drained}

    def choices(self, vm: VM, move_running: bool) -> list[str]:
        places = [node.name for node in self.cluster.nodes if self.may_be(vm, node)]
        if vm.name in self.now and not move_running:
            return [name for name in places if name == self.now[vm.name]]
        return places

    def right(self, node_of: Placement, headroom: bool = True) -> bool:
        """Whether what is placed is placed rightly (failures apart)."""
        seated = all(self.may_be(self.vms[vm], self.nodes[node]) for vm, node in node_of.items())
        return seated and not self.overfull(node_of, headroom) and not self.broken(node_of, must=True)

    # Failures

    def scenarios(self, node_of: Placement) -> list[str]:
        if self.cluster.guarantee.failures == 0:
            return []
        return [
            node.name
            for node in self.cluster.nodes
            if (node.state == "online" or (node.state == "maintenance" and node.name in node_of.values()))
            and node.name in self.powered
            and node.name not in self.drained
        ]

    def displaced(self, node_of: Placement, failed: str) -> list[VM]:
        """The protected ones, who have to restart."""
        return [self.vms[vm] for vm, node in node_of.items() if node == failed and self.vms[vm].protected]

    def may_restart(self, vm: VM, node: Node, failed: str) -> bool:
        alive = node.name in self.powered and node.name not in self.drained and node.name != failed
        return alive and node.state == "online" and node.pool == vm.pool

    def plan_holds(self, node_of: Placement, failed: str, plan: Placement, shoulds: bool = False) -> bool:
        """Whether these restarts are all possible together; with `shoulds`, keeping the rules that are no must as well."""
        displaced = {vm.name for vm in self.displaced(node_of, failed)}
        if not all(vm in displaced and self.may_restart(self.vms[vm], self.nodes[n], failed) for vm, n in plan.items()):
            return False
        after = self.loads(node_of) + self.loads(plan)
        if any(after[node] > self.capacity(node) for node in plan.values()):
            return False
        binding = (b for b in self.rules if b.rule.during_failover and (b.rule.must or shoulds))
        return not any(bound.broken_by_plan(node_of, failed, plan) for bound in binding)

    def full_plans(self, node_of: Placement, failed: str, vms: Sequence[VM], shoulds: bool = False) -> Iterator[Placement]:
        """All plans that restart exactly these VMs."""

        def extend(plan: Placement, left: Sequence[VM]) -> Iterator[Placement]:
            if not self.plan_holds(node_of, failed, plan, shoulds):
                return
            if not left:
                yield plan
                return
            for node in self.nodes:
                yield from extend({**plan, left[0].name: node}, left[1:])

        return extend({}, sorted(vms, key=lambda vm: -vm.memory))

    def survivable(self, node_of: Placement, failed: str) -> bool:
        return any(True for _ in self.full_plans(node_of, failed, self.displaced(node_of, failed)))

    def vector(self, vms: Collection[VM]) -> Vector:
        return tuple(sum(vm.memory for vm in vms if vm.priority == p) for p in self.priorities)

    def best_loss(self, node_of: Placement, failed: str) -> Vector:
        """The least that any partial plan leaves without a restart."""
        displaced = self.displaced(node_of, failed)
        parts = [set(part) for size in range(len(displaced) + 1) for part in combinations(displaced, size)]
        for left_out in sorted(parts, key=self.vector):
            rest = [vm for vm in displaced if vm not in left_out]
            if any(True for _ in self.full_plans(node_of, failed, rest)):
                return self.vector(left_out)
        raise AssertionError("the empty plan always holds")

    def losses(self, node_of: Placement) -> dict[str, Vector]:
        return {failed: self.best_loss(node_of, failed) for failed in self.scenarios(node_of)}

    def total_loss(self, node_of: Placement) -> Vector:
        return _sum(self.vector(()), *self.losses(node_of).values())

    def all_survivable(self, node_of: Placement) -> bool:
        return all(self.survivable(node_of, failed) for failed in self.scenarios(node_of))

    def flawless(self, placement: Placement, failover: Mapping[str, Placement]) -> bool:
        """What `audit` should have nothing to say about."""
        stopped = {vm.name for vm in self.cluster.vms if self.stopped(vm)}
        node_of = {vm: node for vm, node in placement.items() if vm not in stopped}
        at_home = all(placement[vm] == self.vms[vm].node for vm in stopped if vm in placement)
        complete = len(node_of) == len(self.charged)
        return (
            at_home
            and complete
            and self.right(node_of)
            and all(
                self.plan_holds(node_of, failed, failover.get(failed, {}))
                and len(failover.get(failed, {})) == len(self.displaced(node_of, failed))
                for failed in self.scenarios(node_of)
            )
        )

    # The verdict on the placement as it stands

    def verdict(self) -> Verdict:
        losses = self.losses(self.now)
        overfull = self.overfull(self.now)
        waiting = frozenset(vm.name for vm in self.cluster.vms if self.waits(vm))
        bad_pools = {self.nodes[name].pool for name in [*overfull, *(f for f, loss in losses.items() if any(loss))]}
        bad_pools |= {vm.pool for vm in self.cluster.vms if vm.name in waiting and vm.protected}
        broken = frozenset(self.broken(self.now, must=True))
        pools = {thing.pool for thing in (*self.cluster.nodes, *self.cluster.vms)}
        for pool in pools:
            inside = {vm: node for vm, node in self.now.items() if self.vms[vm].pool == pool}
            if self.broken(inside, must=True):
                bad_pools.add(pool)
        verdicts = {pool: "unsafe" if pool in bad_pools else "safe" for pool in pools}
        return Verdict("unsafe" if bad_pools else "safe", losses, verdicts, overfull, broken, waiting)

    # What a placement costs

    def balance(self, node_of: Placement) -> Fraction:
        loads = self.loads(node_of)
        shares = [Fraction(loads[n.name], self.capacity(n.name)) for n in self.cluster.nodes if n.state == "online"]
        return max(shares, default=Fraction(0))

    def moved(self, node_of: Placement) -> list[VM]:
        return [self.vms[vm] for vm, node in node_of.items() if vm in self.now and self.now[vm] != node]

    def migrated(self, node_of: Placement) -> int:
        return sum(vm.memory for vm in self.moved(node_of))

    def powering(self, nodes: Collection[str]) -> "World":
        world = copy(self)
        world.powered = frozenset(nodes)
        return world

    def survives_on(self, nodes: Collection[str], node_of: Placement, lost: Vector) -> bool:
        """Whether these nodes alone lose no more than that: all hosts are among them, and the failures are theirs."""
        world = self.powering(nodes)
        if not any(lost):
            return world.all_survivable(node_of)
        return world.total_loss(node_of) == lost

    def fewest_powered(self, node_of: Placement) -> int:
        lost = self.vector(()) if self.all_survivable(node_of) else self.total_loss(node_of)
        hosts = set(node_of.values())
        others = [node.name for node in self.cluster.nodes if node.state == "online" and node.name not in hosts]
        for more in range(len(others) + 1):
            if any(self.survives_on({*hosts, *extra}, node_of, lost) for extra in combinations(others, more)):
                return len(hosts) + more
        raise AssertionError("all nodes together lose what all nodes lose")

    def costs(self, node_of: Placement, objective: str | Sequence[str]) -> tuple[int | Fraction, ...]:
        """Objectives in their order, with the weight of broken shoulds: first, or right after moves that are first."""
        measure: dict[str, Callable[[Placement], int | Fraction]] = {
            "balance": self.balance,
            "moves": self.migrated,
            "consolidate": self.fewest_powered,
        }
        names = [objective] if isinstance(objective, str) else list(objective)
        values = [measure[name](node_of) for name in names]
        values.insert(1 if names[0] == "moves" else 0, self.should_cost(node_of))
        return tuple(values)

    # Search

    def placements(self, move_running: bool = False, headroom: bool = True) -> Iterator[Placement]:
        """All right placements (failures apart)."""
        for places in product(*(self.choices(vm, move_running) for vm in self.charged)):
            node_of = {vm.name: place for vm, place in zip(self.charged, places, strict=True)}
            if self.right(node_of, headroom):
                yield node_of

    def least(
        self,
        value: Callable[[Placement], Value],
        allowed: Callable[[Placement], bool],
        *,
        move_running: bool,
        headroom: bool,
        prune: bool = True,
    ) -> tuple[Value, Placement] | None:
        """The least value among right and allowed placements, and the first placement that has it."""
        best: tuple[Value, Placement] | None = None
        if not prune:
            for node_of in filter(allowed, self.placements(move_running, headroom)):
                if best is None or value(node_of) < best[0]:
                    best = value(node_of), node_of
            return best
        order = sorted(self.charged, key=lambda vm: (len(self.choices(vm, move_running)), -vm.memory))

        def extend(node_of: Placement, left: Sequence[VM]) -> None:
            nonlocal best
            if not self.right(node_of, headroom) or not allowed(node_of):
                return
            worth = value(node_of)
            if best is not None and worth >= best[0]:
                return
            if not left:
                best = worth, node_of
                return
            for node in self._distinct(left[0], self.choices(left[0], move_running), node_of):
                extend({**node_of, left[0].name: node}, left[1:])

        extend({}, order)
        return best

    def _distinct(self, vm: VM, choices: Sequence[str], node_of: Placement) -> Iterator[str]:
        """The choices without mirror images: equal VMs in node order, and of equal empty nodes the first."""
        index = list(self.nodes).index
        least = max((index(node_of[twin]) for twin in node_of if self._kind(twin) == self._kind(vm.name)), default=0)
        seen = set()
        for node in choices:
            if node not in node_of.values():
                twin_node = self._node_kind(node)
                if twin_node in seen:
                    continue
                seen.add(twin_node)
            if index(node) >= least:
                yield node

    def _kind(self, name: str) -> tuple[object, ...]:
        vm = self.vms[name]
        rules = frozenset(i for i, bound in enumerate(self.rules) if name in bound.vms)
        return vm.memory, vm.protected, vm.priority, vm.pool, vm.movable, self.now.get(name), rules

    def _node_kind(self, name: str) -> object:
        if name in self.now.values():
            return name  # its own kind: who is on it now may stay
        node = self.nodes[name]
        rules = frozenset(i for i, bound in enumerate(self.rules) if name in bound.nodes)
        return self.capacity(name), node.state, node.pool, rules

    def optimum(
        self,
        objective: str | Sequence[str] = "balance",
        *,
        move_running: bool = False,
        best_effort: bool = False,
        max_moves: int | None = None,
        max_migrated: int | None = None,
        prune: bool = True,
    ) -> Best | None:
        """The best that `place` can find; None if there is nothing to find."""

        def within(node_of: Placement) -> bool:
            few = max_moves is None or len(self.moved(node_of)) <= max_moves
            return few and (max_migrated is None or self.migrated(node_of) <= max_migrated)

        def strict(node_of: Placement) -> bool:
            return within(node_of) and self.all_survivable(node_of)

        safe = self.least(lambda p: self.costs(p, objective), strict, move_running=move_running, headroom=True, prune=prune)
        if safe is not None:
            return Best(self.vector(()), safe[0], safe[1])
        return self._best_effort(objective, within, move_running, prune) if best_effort else None

    def _best_effort(
        self, objective: str | Sequence[str], within: Callable[[Placement], bool], move_running: bool, prune: bool
    ) -> Best | None:
        """The least loss, where what `GIVE_WAY` names gives way only if not every VM can be placed otherwise."""
        ceilings = self.losses_now() if self.verdict().status == "unsafe" else None

        def no_worse(node_of: Placement) -> bool:
            losses = self.losses(node_of) if ceilings is not None else {}
            return within(node_of) and all(loss <= ceilings[failed] for failed, loss in losses.items())

        def value(node_of: Placement) -> Value:
            return self.total_loss(node_of), *self.costs(node_of, objective)

        for headroom, bounded in GIVE_WAY:
            allowed = no_worse if bounded else within
            found = self.least(value, allowed, move_running=move_running, headroom=headroom, prune=prune)
            if found is not None:
                return Best(found[0][0], found[0][1:], found[1], headroom, bounded)
        return None

    def losses_now(self) -> dict[str, Vector]:
        """What each failure loses now, where protected VMs that wait are lost in each."""
        waiting = [vm for vm in self.cluster.vms if self.waits(vm) and vm.protected]
        return {
            failed: _sum(loss, self.vector([vm for vm in waiting if vm.pool == self.nodes[failed].pool]))
            for failed, loss in self.losses(self.now).items()
        }


def _sum(*vectors: Vector) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True)))


def _has_nodes(rule: Rule) -> bool:
    return isinstance(rule, OnlyOn | NotOn)


def _named(members: Sequence[str] | Tag, things: Sequence[Node] | Sequence[VM]) -> frozenset[str]:
    if isinstance(members, Tag):
        return frozenset(thing.name for thing in things if members.tag in thing.tags)
    return frozenset(members)
