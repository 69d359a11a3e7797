"""What is true of a small cluster, found by trying everything: the oracle that the property tests judge by.

Plain Python over the Cluster's values; shares no code with the package beyond its model classes. Each rule of the
semantics is written once: `Bound.allows` says what a rule forbids, `Aftermath.admits` who may restart where. Plans,
states of a restart in any order and simulated policies are all made of such single restarts. That is enough, as a set
of restarts is possible if and only if each of them is after those before it, whatever their order: what is left of
the room and what rules allow only shrinks as more restart.

What lets the searches stop early; ``prune=False`` does without:

- With planned restarts at once, partial plans and placements are judged by the same predicates as complete ones: taking
  a VM away never breaks a rule, overfills a node, loses more or costs more, so what a part breaks the whole breaks too.
- That is not so in any order or by a policy, where a VM less may do harm. But whoever survives there has a plan: partial
  placements are judged as if restarts were planned and at once, see `World.eased`.
- In any order, whoever some state strands, a state that nobody else can join strands as well: only such are looked at.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from itertools import chain, combinations, product

from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Tag

Placement = Mapping[str, str]  # charged VM -> node, by name; restarts are the same: restarted VM -> node
Plan = Mapping[str, str | None]  # restarts, and None for an evictable VM that is stopped or a displaced one that stays down
Vector = tuple[int, ...]  # memory per priority, highest priority first: less is better, lexicographically
Value = tuple[Vector | int | Fraction, ...]

GIVE_WAY = ((True, True), (False, True), (True, False), (False, False))
"""Whether a best effort keeps the headroom, and that no failure of a cluster that is unsafe already gets worse, in turn."""


@frozen
class Bound:
    """A rule with the names it stands for, and what counts as one place under it: a node or its domain."""

    rule: Rule
    vms: frozenset[str]
    nodes: frozenset[str]
    place_of: Mapping[str, object]

    def allows(self, vm: str, node: str, others: Placement) -> bool:
        """Whether the VM may be on the node while the others are where they are."""
        if vm not in self.vms:
            return True
        if _has_nodes(self.rule):
            return (node in self.nodes) is isinstance(self.rule, OnlyOn)
        homes = [others[other] for other in self.vms if other in others and other != vm]
        if isinstance(self.rule, Apart):
            return all(self.place_of[home] != self.place_of[node] for home in homes)
        return all(home == node for home in homes)

    def broken(self, node_of: Placement) -> bool:
        """Whether these VMs, where they are, break the rule among each other."""
        return not all(self.allows(vm, node_of[vm], node_of) for vm in self.vms if vm in node_of)

    def breaches(self, node_of: Placement) -> int:
        """Pairs that share a place, VMs outside, or nodes beyond one."""
        homes = [node_of[vm] for vm in self.vms if vm in node_of]
        if _has_nodes(self.rule):
            return sum((home in self.nodes) is isinstance(self.rule, NotOn) for home in homes)
        if isinstance(self.rule, Apart):
            return sum(self.place_of[one] == self.place_of[other] for one, other in combinations(homes, 2))
        return max(0, len(set(homes)) - 1)

    def allows_restart(self, vm: str, node: str, restarts: Placement, stay: Placement) -> bool:
        """The same after a failure; those that stay where they are matter only to whom they are to be apart from."""
        return vm not in self.vms or self.allows(vm, node, {**stay, **restarts} if isinstance(self.rule, Apart) else restarts)

    def broken_by_plan(self, node_of: Placement, failed: Collection[str], plan: Placement) -> bool:
        """Whether the restarts break the rule when some nodes fail."""
        return self.breaches_by_plan(node_of, failed, plan) > 0

    def breaches_by_plan(self, node_of: Placement, failed: Collection[str], plan: Placement) -> int:
        """How far the restarts break it: pairs of VMs that stay where they are do not count."""
        homes = {vm: node for vm, node in plan.items() if vm in self.vms}
        if not isinstance(self.rule, Apart):
            return self.breaches(homes)
        stay = {vm: node for vm, node in node_of.items() if vm in self.vms and node not in failed}
        return self.breaches({**stay, **homes}) - self.breaches(stay)


@frozen
class Failure:
    """Units of one pool that fail together: the nodes of each."""

    pool: str
    units: tuple[frozenset[str], ...]

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset().union(*self.units)


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
    """A cluster, the only nodes powered (None: all) and those being drained.

    A scenario is told by its key. `displaced` are those who must restart: protected, and not evictable.
    """

    def __init__(self, cluster: Cluster, *, powered: Collection[str] | None = None, drained: Collection[str] = ()) -> None:
        self.cluster = cluster
        self.nodes = {node.name: node for node in cluster.nodes}
        self.vms = {vm.name: vm for vm in cluster.vms}
        self.powered = frozenset(self.nodes if powered is None else powered)
        self.drained = frozenset(drained)
        self.rules = [self._bound(rule) for rule in cluster.rules]
        self.priorities = sorted({vm.priority for vm in cluster.vms if vm.protected}, reverse=True)
        self.now = {vm.name: vm.node for vm in cluster.vms if vm.node and not self.waits(vm) and not self.stopped(vm)}
        self.charged = [vm for vm in cluster.vms if not self.stopped(vm)]
        self.evictable = frozenset(vm.name for vm in cluster.vms if vm.evictable)
        self.target = {vm.name: vm.target for vm in cluster.vms if self.migrates(vm)}
        named = {r for thing in (*cluster.nodes, *cluster.vms) for r in thing.resources}
        self.resources = [None, *sorted(named.union(cluster.overcommit, cluster.soft_resources))]
        self.hard = [r for r in self.resources if r not in cluster.soft_resources]
        self.needs = {vm: {r: self.demand(vm, r) for r in self.hard if self.demand(vm, r)} for vm in self.vms}
        kept = [bound for bound in self.rules if bound.rule.during_failover]
        self.binding = {False: [bound for bound in kept if bound.rule.must], True: kept}  # True: those that are no must as well
        self._failures: dict[frozenset[str], dict[str, list[Failure]]] = {}
        self._losses: dict[frozenset[tuple[str, str]], dict[str, Vector]] = {}

    def _bound(self, rule: Rule) -> Bound:
        nodes = _named(rule.nodes, self.cluster.nodes) if _has_nodes(rule) else frozenset()
        wide = isinstance(rule, Apart) and rule.scope == "domain"
        place_of = {n.name: ("domain", n.domain) if wide and n.domain else n.name for n in self.cluster.nodes}
        return Bound(rule, _named(rule.vms, self.cluster.vms), nodes, place_of)

    # Who takes memory

    def waits(self, vm: VM) -> bool:
        return vm.running and (vm.node is None or self.nodes[vm.node].state == "offline")

    def stopped(self, vm: VM) -> bool:
        return not vm.running

    def migrates(self, vm: VM) -> bool:
        """Whether it takes memory on its target as well."""
        runs = vm.name in self.now and vm.target not in (None, vm.node)
        return runs and self.nodes[vm.target].state != "offline"

    # Normal running

    def capacity(self, node: str, headroom: bool = False, resource: str | None = None) -> int:
        """Of memory (None) or a further resource; headroom is kept of memory only."""
        if resource is not None:
            ratio = self.cluster.overcommit.get(resource, Fraction(1))
            return math.floor(self.nodes[node].resources.get(resource, 0) * ratio)
        usable, own = self.nodes[node].memory - self.nodes[node].reserve, self.nodes[node].headroom
        if not headroom:
            return usable
        asked = self.cluster.guarantee.headroom if own is None else own
        return usable - (asked if isinstance(asked, int) else math.ceil(usable * asked))

    def demand(self, vm: str, resource: str | None = None) -> int:
        return takes(self.vms[vm]) if resource is None else self.vms[vm].resources.get(resource, 0)

    def loads(self, node_of: Placement, resource: str | None = None, stopped: Collection[str] = ()) -> Counter[str]:
        """What is taken on each node, also by migrations that lead there, unless the VM is stopped."""
        loads: Counter[str] = Counter()
        arriving = [(vm, node) for vm, node in self.target.items() if vm not in stopped]
        for vm, node in (*node_of.items(), *arriving):
            loads[node] += self.demand(vm, resource)
        return loads

    def excesses(self, node_of: Placement, headroom: bool = False) -> frozenset[tuple[str, str | None]]:
        """Nodes with the resources of which they hold too much."""
        return frozenset(
            (node, resource)
            for resource in self.resources
            for node, load in self.loads(node_of, resource).items()
            if load > self.capacity(node, headroom, resource)
        )

    def overfull(self, node_of: Placement, headroom: bool = False) -> frozenset[str]:
        return frozenset(node for node, _ in self.excesses(node_of, headroom))

    def broken(self, node_of: Placement, must: bool) -> list[int]:
        return [i for i, bound in enumerate(self.rules) if bound.rule.must is must and bound.broken(node_of)]

    def should_cost(self, node_of: Placement) -> int:
        cost = sum(bound.rule.weight * bound.breaches(node_of) for bound in self.rules if not bound.rule.must)
        return cost + len(self.away(node_of))

    def away(self, node_of: Placement) -> list[str]:
        """VMs that are not at home, though they could be as far as their home's state and pool and the must-rules go."""
        return [vm for vm, node in node_of.items() if self.vms[vm].home not in (None, node) and self._is_open(self.vms[vm])]

    def _is_open(self, vm: VM) -> bool:
        home = self.nodes.get(vm.home)
        if home is None or home.state != "online" or home.pool != vm.pool or home.name in self.drained:
            return False
        return all(bound.allows(vm.name, home.name, {}) for bound in self.rules if bound.rule.must and _has_nodes(bound.rule))

    def may_be(self, vm: VM, node: Node) -> bool:
        """Whether the VM may be on the node in normal running, as far as these two alone tell."""
        there = self.now.get(vm.name) == node.name
        bears = node.state == "online" or (node.state == "maintenance" and there)
        if not bears or node.pool != vm.pool or node.name in self.drained or node.name not in self.powered:
            return False
        if not small_enough(vm, node):
            return False
        return there or (vm.name not in self.target and (vm.movable or self.now.get(vm.name) in {None, *self.drained}))

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

    def alive(self, node: Node) -> bool:
        return node.name in self.powered and node.name not in self.drained

    def unit(self, node: Node) -> str:
        """The name of what fails with the node."""
        return node.domain if node.domain is not None and self.cluster.guarantee.scope == "domain" else node.name

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where in the document the first node of each unit is."""
        return {self.unit(node): i for i, node in reversed(list(enumerate(self.cluster.nodes)))}

    def hosts(self, node_of: Placement) -> dict[str, dict[str, frozenset[str]]]:
        """Per pool, the units that can fail and their nodes that can, in document order."""
        used, found = set(node_of.values()), defaultdict(lambda: defaultdict(set))
        for node in sorted(self.cluster.nodes, key=lambda node: self.position[self.unit(node)]):
            counts = node.state == "online" or (node.state == "maintenance" and node.name in used)
            if counts and self.alive(node):
                found[node.pool][self.unit(node)].add(node.name)
        return {pool: {unit: frozenset(nodes) for unit, nodes in units.items()} for pool, units in found.items()}

    def failures(self, node_of: Placement) -> dict[str, list[Failure]]:
        """What fails in each scenario, per pool where one domain spans several: each of these pools fails by itself."""
        used = frozenset(node for node in node_of.values() if self.nodes[node].state == "maintenance")
        if used not in self._failures:
            self._failures[used] = self._list_failures(node_of)
        return self._failures[used]

    def _list_failures(self, node_of: Placement) -> dict[str, list[Failure]]:
        most = self.cluster.guarantee.failures
        if self.cluster.guarantee.domains:
            return self._list_mixed(node_of)
        found = [
            ([self.position[unit] for unit in names], "+".join(names), Failure(pool, tuple(units[unit] for unit in names)))
            for pool, units in self.hosts(node_of).items()
            for names in combinations(units, min(most, len(units)))
            if names
        ]
        joined: dict[str, list[Failure]] = {}
        for _, key, failure in sorted(found, key=lambda entry: entry[0]):
            joined.setdefault(key, []).append(failure)
        return joined

    def _list_mixed(self, node_of: Placement) -> dict[str, list[Failure]]:
        """Whole domains and further nodes; of equal sets of nodes the first."""
        asked, index = self.cluster.guarantee, {node.name: i for i, node in enumerate(self.cluster.nodes)}
        first: dict[str, int] = {}
        for i, node in enumerate(self.cluster.nodes):
            first.setdefault(node.domain or node.name, i)
        found: dict[frozenset[str], tuple[list[tuple[int, str]], Failure]] = {}
        for pool in {node.pool: None for node in self.cluster.nodes}:
            mine = [node for node in self.cluster.nodes if node.pool == pool]
            used = set(node_of.values())
            hosts = [n for n in mine if self.alive(n) and (n.state == "online" or (n.state == "maintenance" and n.name in used))]
            domains = [d for d in {n.domain or n.name: None for n in mine} if any((n.domain or n.name) == d for n in hosts)]
            for chosen in combinations(domains, min(asked.domains, len(domains))) if hosts else ():
                inside = [n.name for n in mine if (n.domain or n.name) in chosen]
                others = [n.name for n in hosts if n.name not in inside]
                for more in combinations(others, min(asked.failures - asked.domains, len(others))):
                    names = sorted([(first[d], d) for d in chosen] + [(index[n], n) for n in more])
                    nodes = frozenset({*inside, *more})
                    found.setdefault(nodes, (names, Failure(pool, tuple(frozenset({n}) for n in sorted(nodes)))))
        joined: dict[str, list[Failure]] = {}
        for names, failure in sorted(found.values(), key=lambda entry: [place for place, _ in entry[0]]):
            joined.setdefault("+".join(name for _, name in names), []).append(failure)
        return joined

    def scenarios(self, node_of: Placement) -> list[str]:
        return list(self.failures(node_of))

    def on(self, node_of: Placement, failure: Failure) -> list[VM]:
        """Whom a failure displaces, in document order."""
        return [vm for vm in self.cluster.vms if node_of.get(vm.name) in failure.nodes]

    def may_return(self, node_of: Placement, failure: Failure) -> list[VM]:
        """Whom a manager that follows no plan may restart: all but evictable ones."""
        return [vm for vm in self.on(node_of, failure) if not vm.evictable]

    def must_restart(self, node_of: Placement, failure: Failure) -> list[VM]:
        return [vm for vm in self.may_return(node_of, failure) if vm.protected]

    def displaced(self, node_of: Placement, key: str) -> list[VM]:
        """Those who have to restart: protected, and not evictable."""
        return [vm for failure in self.failures(node_of)[key] for vm in self.must_restart(node_of, failure)]

    def may_restart(self, vm: VM, node: Node, key: str) -> bool:
        return self.alive(node) and self.unit(node) not in key.split("+") and node.state == "online" and node.pool == vm.pool

    def after(self, node_of: Placement, failure: Failure, stopped: Collection[str] | None = None) -> "Aftermath":
        """What the failure leaves; evictable VMs are stopped unless it is said who is."""
        return Aftermath(self, node_of, failure.nodes, self.evictable if stopped is None else stopped)

    # Planned restarts

    def plan_holds(self, node_of: Placement, key: str, plan: Plan, shoulds: bool = False) -> bool:
        """Whether these restarts are all possible together while those evictable VMs are stopped that are given as None.

        None for a displaced VM says that it does not restart. With `shoulds`, the rules that are no must are kept as well.
        """
        failures = self.failures(node_of)[key]
        homeless = {vm.name: vm for failure in failures for vm in self.on(node_of, failure)}
        for vm, node in plan.items():
            down = node is None and (vm in homeless or (vm in node_of and vm in self.evictable))
            if not down and (node is None or vm not in homeless or not homeless[vm].protected):
                return False
        return all(self._part_holds(node_of, failure, plan, shoulds) for failure in failures)

    def _part_holds(self, node_of: Placement, failure: Failure, plan: Plan, shoulds: bool) -> bool:
        comers, down = self._comers(node_of, failure, plan)
        return self.after(node_of, failure, down).possible(comers, shoulds)

    def _comers(self, node_of: Placement, failure: Failure, plan: Plan) -> tuple[Placement, set[str]]:
        """The restarts of a plan, and the evictable VMs that it stops or leaves down."""
        names = {vm.name for vm in self.on(node_of, failure)}
        down = {vm for vm in self.evictable.intersection(node_of) if plan.get(vm) is None and (vm in plan or vm in names)}
        return {vm: node for vm, node in plan.items() if vm in names and node is not None}, down

    def degraded(self, node_of: Placement, key: str, plan: Plan) -> frozenset[tuple[str, str]]:
        """Nodes that a plan drives over what they have of a soft resource, with that resource."""
        found = set()
        for failure in self.failures(node_of)[key]:
            comers, down = self._comers(node_of, failure, plan)
            stay = self.after(node_of, failure, down).stay
            for soft in self.cluster.soft_resources:
                loads = self.loads({**stay, **comers}, soft, down)
                fuller = {node for vm, node in comers.items() if self.demand(vm, soft)}
                found |= {(node, soft) for node in fuller if loads[node] > self.capacity(node, resource=soft)}
        return frozenset(found)

    def full_plans(self, node_of: Placement, key: str, vms: Sequence[VM], shoulds: bool = False) -> Iterator[Plan]:
        """All plans that restart exactly these VMs, with no more evictions than they need."""

        def joined(failures: Sequence[Failure]) -> Iterator[Placement]:
            if not failures:
                yield {}
                return
            mine = [vm for vm in vms if node_of[vm.name] in failures[0].nodes]
            down = self.evictable - {vm.name for vm in mine}
            for plan in self.after(node_of, failures[0], down).full(mine, shoulds):
                yield from ({**plan, **rest} for rest in joined(failures[1:]))

        for restarts in joined(self.failures(node_of)[key]):
            evicted = [vm for vm in node_of if vm in self.evictable and vm not in restarts]
            plan: dict[str, str | None] = {**restarts, **dict.fromkeys(evicted)}
            for vm in evicted:
                if self.plan_holds(node_of, key, {other: node for other, node in plan.items() if other != vm}, shoulds):
                    del plan[vm]
            yield plan

    def best_loss(self, node_of: Placement, key: str) -> Vector:
        """The least that any partial plan leaves without a restart."""
        return self.vector([vm for failure in self.failures(node_of)[key] for vm in self._left_out(node_of, failure)])

    def _left_out(self, node_of: Placement, failure: Failure) -> list[VM]:
        return self.after(node_of, failure).left_out(self.must_restart(node_of, failure))

    # Restarts in any order, or by a policy

    def is_state(self, node_of: Placement, key: str, state: Placement) -> bool:
        """Whether exactly these restarts can have happened, in some order."""
        may = {vm.name for failure in self.failures(node_of)[key] for vm in self.may_return(node_of, failure)}
        return may.issuperset(state) and all(
            self.after(node_of, failure).possible({vm: n for vm, n in state.items() if node_of[vm] in failure.nodes})
            for failure in self.failures(node_of)[key]
        )

    def is_stranded(self, node_of: Placement, key: str, state: Placement, vm: str) -> bool:
        """Whether the VM must restart, has not, and no survivor can take it any more."""
        for failure in self.failures(node_of)[key]:
            if vm not in state and self.vms[vm] in self.must_restart(node_of, failure):
                mine = {other: node for other, node in state.items() if node_of[other] in failure.nodes}
                return not self.after(node_of, failure).nodes_for(mine, self.vms[vm])
        return False

    def stories(self, node_of: Placement, key: str) -> Iterator[tuple[Placement, str]]:
        """States that nobody else can join, each with a VM that it strands."""
        for failure in self.failures(node_of)[key]:
            yield from self._stories(node_of, failure)

    def _stories(self, node_of: Placement, failure: Failure) -> Iterator[tuple[Placement, str]]:
        must = {vm.name for vm in self.must_restart(node_of, failure)}
        for state in self.after(node_of, failure).states(self.may_return(node_of, failure), final=True):
            yield from ((state, vm) for vm in sorted(must.difference(state)))

    def simulated(self, node_of: Placement, failure: Failure) -> Placement:
        """The restarts that the policy makes."""
        policy, order = self.cluster.guarantee.policy, self.cluster.guarantee.order
        rank = {"largest-first": lambda vm: -takes(vm), "priority": lambda vm: -vm.priority}.get(order or "", lambda _: 0)
        after, restarts = self.after(node_of, failure), {}
        if policy == "fewest-vms":
            return self._blindly(node_of, failure, sorted(self.must_restart(node_of, failure), key=rank))
        for vm in sorted(self.must_restart(node_of, failure), key=rank):
            fitting = after.nodes_for(restarts, vm)
            if fitting:
                room = {node: after.room(restarts, node) for node in fitting}
                choices = {
                    "first-fit": fitting[0],
                    "most-free": max(fitting, key=room.get),
                    "best-fit": min(fitting, key=room.get),
                }
                restarts[vm.name] = choices[policy]
        return restarts

    def _blindly(self, node_of: Placement, failure: Failure, vms: Sequence[VM]) -> Placement:
        """To the survivor that runs the fewest, the first by name of several; who finds no room there does not start."""
        after, sent, started = self.after(node_of, failure), {}, {}
        survivors = after.survivors.get(failure.pool, ())
        running = Counter([*node_of.values(), *self.target.values()])
        for vm in vms:
            bounds = self.binding[False]
            open_ = [n for n in survivors if small_enough(vm, self.nodes[n])]
            open_ = [n for n in open_ if all(b.allows_restart(vm.name, n, sent, after.stay) for b in bounds)]
            if not open_:
                continue
            node = min(open_, key=lambda n: (running[n], n.encode()))
            if all(need <= after.room(sent, node, resource) for resource, need in self.needs[vm.name].items()):
                started[vm.name] = node
            sent[vm.name] = node
            running[node] += 1
        return started

    # Failures one after the other

    @property
    def in_turn(self) -> bool:
        return self.cluster.guarantee.sequence == "sequential" and self.cluster.guarantee.failures > 1

    @property
    def planned(self) -> bool:
        return self.cluster.guarantee.policy is None and self.cluster.guarantee.restart == "planned"

    def next_stage(self, node_of: Placement, failed: Collection[str], restarts: Placement) -> tuple["World", Placement]:
        """The world without the failed nodes, and where everybody is once these have restarted; the others are nowhere."""
        stay = {vm: node for vm, node in node_of.items() if node not in failed}
        return self.powering(self.powered - frozenset(failed)), {**stay, **restarts}

    def survives(self, node_of: Placement, pool: str, failures: int) -> bool:
        """Whether restarts can be planned for so many failures of the pool in turn, not knowing what fails next."""
        return failures == 0 or all(
            any(
                world.survives(then, pool, failures - 1)
                for plan in self.after(node_of, failure).full(self.must_restart(node_of, failure))
                for world, then in [self.next_stage(node_of, failure.nodes, plan)]
            )
            for failure in (Failure(pool, (nodes,)) for nodes in self.hosts(node_of).get(pool, {}).values())
        )

    def _outcomes(self, node_of: Placement, failure: Failure) -> Iterator[Placement]:
        """How the restarts can end, so that the next unit may fail."""
        if self.cluster.guarantee.policy is not None:
            yield self.simulated(node_of, failure)
            return
        must = {vm.name for vm in self.must_restart(node_of, failure)}
        for state in self.after(node_of, failure).states(self.may_return(node_of, failure)):
            if must.issubset(state):
                yield state

    def _lost_in_turn(self, node_of: Placement, failure: Failure) -> Iterator[str]:
        for unit in failure.units:
            first, rest = Failure(failure.pool, (unit,)), tuple(other for other in failure.units if other != unit)
            yield from self._lost_at_once(node_of, first)
            for restarts in self._outcomes(node_of, first) if rest else ():
                world, then = self.next_stage(node_of, unit, restarts)
                yield from world._lost_in_turn(then, Failure(failure.pool, rest))

    # What failures cost

    def quorate(self, node_of: Placement, failure: Failure) -> bool:
        """Whether enough nodes are left for anything to restart, or nothing has to: none that is offline is counted."""
        mine = [node for node in self.cluster.nodes if node.pool == failure.pool]
        asked = self.cluster.guarantee.quorum
        needed = len(mine) // 2 + 1 if asked == "majority" else asked or 0
        gone = {self.unit(node) for node in mine if node.name in failure.nodes}  # mixed failures name every node that is gone
        left = sum(n.state != "offline" and n.name in self.powered and self.unit(n) not in gone for n in mine)
        must = [vm.name for vm in self.cluster.vms if vm.protected and not vm.evictable]
        busy = any(node_of[vm] in {node.name for node in mine} for vm in must if vm in node_of)
        return left >= needed or not busy

    def _lost_at_once(self, node_of: Placement, failure: Failure) -> Iterator[str]:
        if self.cluster.guarantee.policy is not None:
            restarts = self.simulated(node_of, failure)
            yield from (vm.name for vm in self.must_restart(node_of, failure) if vm.name not in restarts)
        elif self.planned:
            yield from (vm.name for vm in self._left_out(node_of, failure))
        else:
            yield from (vm for _, vm in self._stories(node_of, failure))

    def lost(self, node_of: Placement, failure: Failure) -> Iterator[str]:
        """Whom a failure costs: those a best plan leaves out, those some state strands, or those the policy finds no node for.

        In turn: those that some order of the failures costs. Of planned restarts in turn, only what is lost at once is told:
        what comes next is no matter of one scenario, see `survives`. Some may be told more than once.
        """
        if not self.quorate(node_of, failure):
            return iter([vm.name for vm in self.must_restart(node_of, failure)])
        if not self.in_turn or self.planned:
            return self._lost_at_once(node_of, failure)
        # Who fits nowhere once all have failed is lost whatever comes before.
        last = self.after(node_of, failure)
        hopeless = [vm.name for vm in self.must_restart(node_of, failure) if not last.nodes_for({}, vm)]
        return chain(hopeless, self._lost_in_turn(node_of, failure))

    def survivable(self, node_of: Placement, key: str) -> bool:
        return all(self._survived(node_of, failure) for failure in self.failures(node_of)[key])

    def _survived(self, node_of: Placement, failure: Failure) -> bool:
        if not self.quorate(node_of, failure):
            return False
        if self.planned:
            return any(True for _ in self.after(node_of, failure).full(self.must_restart(node_of, failure)))
        return not any(True for _ in self.lost(node_of, failure))

    def vector(self, vms: Collection[VM]) -> Vector:
        return tuple(sum(takes(vm) for vm in vms if vm.priority == p) for p in self.priorities)

    def loss(self, node_of: Placement, failure: Failure) -> Vector:
        return self.vector([self.vms[vm] for vm in set(self.lost(node_of, failure))])

    def losses(self, node_of: Placement) -> dict[str, Vector]:
        known = frozenset(node_of.items())
        if known not in self._losses:
            failures = self.failures(node_of).items()
            self._losses[known] = {key: _sum(*(self.loss(node_of, part) for part in parts)) for key, parts in failures}
        return self._losses[known]

    def total_loss(self, node_of: Placement) -> Vector:
        return _sum(self.vector(()), *self.losses(node_of).values())

    def bad_pools(self, node_of: Placement) -> set[str]:
        """The pools in which some failure is not survived."""
        failures = [failure for parts in self.failures(node_of).values() for failure in parts]
        bad = {failure.pool for failure in failures if not self._survived(node_of, failure)}
        return bad | {pool for pool in self.hosts(node_of) if not self.survives_in_turn(node_of, pool)}

    def survives_in_turn(self, node_of: Placement, pool: str) -> bool:
        """What planned restarts in turn ask beyond single scenarios."""
        return not (self.in_turn and self.planned) or self.survives(node_of, pool, self.cluster.guarantee.failures)

    def all_survivable(self, node_of: Placement) -> bool:
        single = all(self.survivable(node_of, key) for key in self.scenarios(node_of))
        return single and all(self.survives_in_turn(node_of, pool) for pool in self.hosts(node_of))

    def flawless(self, placement: Placement, failover: Mapping[str, Plan]) -> bool:
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
                self.plan_holds(node_of, key, failover.get(key, {}))
                and all(failover.get(key, {}).get(vm.name) is not None for vm in self.displaced(node_of, key))
                for key in self.scenarios(node_of)
            )
            and all(self.quorate(node_of, failure) for parts in self.failures(node_of).values() for failure in parts)
            and ((self.planned and not self.in_turn) or self.all_survivable(node_of))
        )

    # The verdict on the placement as it stands

    def verdict(self) -> Verdict:
        overfull = self.overfull(self.now)
        waiting = frozenset(vm.name for vm in self.cluster.vms if self.waits(vm))
        bad_pools = self.bad_pools(self.now) | {self.nodes[name].pool for name in overfull}
        bad_pools |= {vm.pool for vm in self.cluster.vms if vm.name in waiting and vm.protected}
        bad_pools |= {self.vms[vm].pool for vm, node in self.now.items() if not small_enough(self.vms[vm], self.nodes[node])}
        broken = frozenset(self.broken(self.now, must=True))
        bad_pools |= {self.vms[vm].pool for i in broken for vm in self.now if self._breaks(self.rules[i], vm)}
        pools = {thing.pool for thing in (*self.cluster.nodes, *self.cluster.vms)}
        verdicts = {pool: "unsafe" if pool in bad_pools else "safe" for pool in pools}
        return Verdict("unsafe" if bad_pools else "safe", self.losses(self.now), verdicts, overfull, broken, waiting)

    def _breaks(self, bound: Bound, vm: str) -> bool:
        """Whether the VM has a part in breaking the rule."""
        return not bound.allows(vm, self.now[vm], self.now)

    # What a placement costs

    def balance(self, node_of: Placement) -> Fraction:
        loads = self.loads(node_of)
        shares = [Fraction(loads[n.name], self.capacity(n.name)) for n in self.cluster.nodes if n.state == "online"]
        return max(shares, default=Fraction(0))

    def moved(self, node_of: Placement) -> list[VM]:
        return [self.vms[vm] for vm, node in node_of.items() if vm in self.now and self.now[vm] != node]

    def migrated(self, node_of: Placement) -> int:
        return sum(takes(vm) for vm in self.moved(node_of))

    def powering(self, nodes: Collection[str]) -> "World":
        world = copy(self)
        world.powered, world._failures, world._losses = frozenset(nodes), {}, {}
        return world

    def fewest_on(self, node_of: Placement, enough: Callable[["World"], bool]) -> int | None:
        """The fewest nodes that are enough when they alone are on, hosts and targets among them; None if no nodes are."""
        hosts = {*node_of.values(), *self.target.values()}
        others = [node.name for node in self.cluster.nodes if node.state != "offline" and node.name not in hosts]
        for more in range(len(others) + 1):
            if any(enough(self.powering({*hosts, *extra})) for extra in combinations(others, more)):
                return len(hosts) + more
        return None

    def fewest_safe(self, node_of: Placement) -> int | None:
        """The fewest nodes that survive all their failures; beyond plans, fewer may do where all nodes do not."""
        return self.fewest_on(node_of, lambda world: world.all_survivable(node_of))

    def fewest_powered(self, node_of: Placement) -> int:
        """The fewest nodes that survive all their failures, or else that lose no more in any than all nodes do."""
        fewest = self.fewest_safe(node_of)
        if fewest is None:
            losses = self.losses(node_of)
            fewest = self.fewest_on(
                node_of, lambda world: all(loss <= losses.get(key, loss) for key, loss in world.losses(node_of).items())
            )
        assert fewest is not None, "all nodes together lose what all nodes lose"
        return fewest

    def costs(self, node_of: Placement, objective: str | Sequence[str]) -> tuple[int | Fraction, ...]:
        """Objectives in their order; what shoulds cost comes first, or right after moves that are first, unless asked for."""
        measure: dict[str, Callable[[Placement], int | Fraction]] = {
            "balance": self.balance,
            "moves": self.migrated,
            "consolidate": self.fewest_powered,
            "rules": self.should_cost,
        }
        names = [objective] if isinstance(objective, str) else list(objective)
        values = [measure[name](node_of) for name in names]
        if "rules" not in names:
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
        value: Callable[["World", Placement], Value],
        allowed: Callable[["World", Placement], bool],
        *,
        move_running: bool,
        headroom: bool,
        eased: "World | None",
    ) -> tuple[Value, Placement] | None:
        """The least value among right and allowed placements, and the first placement that has it.

        No part of a placement is worth more, or allowed less, in the eased world than the whole is here; None: try all.
        """
        best: tuple[Value, Placement] | None = None
        if eased is None:
            for node_of in self.placements(move_running, headroom):
                if allowed(self, node_of) and (best is None or value(self, node_of) < best[0]):
                    best = value(self, node_of), node_of
            return best
        order = sorted(self.charged, key=lambda vm: (len(self.choices(vm, move_running)), -takes(vm)))

        def extend(node_of: Placement, left: Sequence[VM]) -> None:
            nonlocal best
            if not self.right(node_of, headroom) or not allowed(eased, node_of) or not (left or allowed(self, node_of)):
                return
            worth = value(eased if left else self, node_of)
            if best is not None and worth >= best[0]:
                return
            if not left:
                best = worth, node_of
                return
            for node in self._distinct(left[0], self.choices(left[0], move_running), node_of):
                extend({**node_of, left[0].name: node}, left[1:])

        extend({}, order)
        return best

    def eased(self, *, lost: bool = False) -> "World":
        """The same with restarts planned and failures at once: whoever survives here does so there, in every part.

        With `lost`, whoever loses loses no less here. Of failures in turn with restarts in any order that is not so, as a
        stranded VM ends the story: there, nothing fails at all.
        """
        guarantee = self.cluster.guarantee
        if self.planned and not self.in_turn:
            return self
        ends = lost and self.in_turn and not self.planned and guarantee.policy is None
        easy = {"failures": 0 if ends else guarantee.failures, "sequence": "at-once", "restart": "planned", "policy": None}
        world = copy(self)
        world.cluster, world._failures, world._losses = evolve(self.cluster, guarantee=evolve(guarantee, **easy)), {}, {}
        return world

    def _distinct(self, vm: VM, choices: Sequence[str], node_of: Placement) -> Iterator[str]:
        """The choices without mirror images: equal VMs in node order, and of equal empty nodes the first.

        A policy sees the order of the document, so that mirror images are not equal to it.
        """
        if self.cluster.guarantee.policy is not None:
            yield from choices
            return
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
        resources = tuple(self.demand(name, resource) for resource in self.resources)
        same = (vm.protected, vm.evictable, vm.priority, vm.pool, vm.movable, vm.home, self.now.get(name), self.target.get(name))
        return resources, vm.memory, same, rules

    def _node_kind(self, name: str) -> object:
        if name in (*self.now.values(), *self.target.values(), *(vm.home for vm in self.vms.values())):
            return name  # its own kind: who is on it now may stay, who is at home there wants to
        node = self.nodes[name]
        rules = frozenset(i for i, bound in enumerate(self.rules) if name in bound.nodes)
        return (
            tuple(self.capacity(name, resource=resource) for resource in self.resources),
            self.capacity(name, headroom=True),
            frozenset(node.max_vm.items()),
            node.state,
            node.pool,
            node.domain,
            rules,
        )

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

        consolidates = "consolidate" in ([objective] if isinstance(objective, str) else objective)

        def strict(world: World, node_of: Placement) -> bool:
            if not within(node_of):
                return False
            return world.all_survivable(node_of) or (consolidates and world.fewest_safe(node_of) is not None)

        def costs(world: World, node_of: Placement) -> Value:
            return world.costs(node_of, objective)

        eased = self.eased() if prune else None
        safe = self.least(costs, strict, move_running=move_running, headroom=True, eased=eased)
        if safe is not None:
            return Best(self.vector(()), safe[0], safe[1])
        return self._best_effort(objective, within, move_running, prune) if best_effort else None

    def _best_effort(
        self, objective: str | Sequence[str], within: Callable[[Placement], bool], move_running: bool, prune: bool
    ) -> Best | None:
        """The least loss, where what `GIVE_WAY` names gives way only if not every VM can be placed otherwise."""
        # What is gone for maintenance leaves unprotected what it protected.
        ceilings = self.losses_now() if not self.drained and self.verdict().status == "unsafe" else None

        def some(_world: World, node_of: Placement) -> bool:
            return within(node_of)

        def no_worse(world: World, node_of: Placement) -> bool:
            losses = world.losses(node_of) if ceilings is not None else {}
            return within(node_of) and all(loss <= ceilings.get(key, loss) for key, loss in losses.items())

        def value(world: World, node_of: Placement) -> Value:
            return world.total_loss(node_of), *world.costs(node_of, objective)

        eased = self.eased(lost=True) if prune else None
        for headroom, bounded in GIVE_WAY:
            allowed = no_worse if bounded else some
            found = self.least(value, allowed, move_running=move_running, headroom=headroom, eased=eased)
            if found is not None:
                return Best(found[0][0], found[0][1:], found[1], headroom, bounded)
        return None

    def losses_now(self) -> dict[str, Vector]:
        """What each failure loses now, where those who wait and would have to restart are lost in each of their pool."""
        waiting = [vm for vm in self.cluster.vms if self.waits(vm) and vm.protected and not vm.evictable]
        losses, failures = self.losses(self.now), self.failures(self.now)
        return {
            key: _sum(loss, *(self.vector([vm for vm in waiting if vm.pool == failure.pool]) for failure in failures[key]))
            for key, loss in losses.items()
        }


class Aftermath:
    """What a failure leaves: the survivors, the room on them, and the VMs that stay there."""

    def __init__(self, world: World, node_of: Placement, failed: Collection[str], stopped: Collection[str]) -> None:
        self.world = world
        self.stay = {vm: node for vm, node in node_of.items() if node not in failed and vm not in stopped}
        nodes = [n for n in world.cluster.nodes if n.state == "online" and world.alive(n) and n.name not in failed]
        self.survivors = {pool: [n.name for n in nodes if n.pool == pool] for pool in {n.pool for n in nodes}}
        loads = {resource: world.loads(self.stay, resource, stopped) for resource in world.hard}
        self.free = {(n.name, r): world.capacity(n.name, resource=r) - loads[r][n.name] for n in nodes for r in world.hard}

    def room(self, restarts: Placement, node: str, resource: str | None = None) -> int:
        """What these restarts leave free."""
        taken = [self.world.demand(vm, resource) for vm, at in restarts.items() if at == node]
        return self.free[node, resource] - sum(taken)

    def admits(self, restarts: Placement, vm: VM, node: str, shoulds: bool = False) -> bool:
        """Whether the VM can restart on the node after these restarts; what it needs nothing of does not keep it away."""
        return (
            node in self.survivors.get(vm.pool, ())
            and small_enough(vm, self.world.nodes[node])
            and all(need <= self.room(restarts, node, resource) for resource, need in self.world.needs[vm.name].items())
            and all(bound.allows_restart(vm.name, node, restarts, self.stay) for bound in self.world.binding[shoulds])
        )

    def nodes_for(self, restarts: Placement, vm: VM, shoulds: bool = False) -> list[str]:
        """The survivors that can take the VM after these restarts, in document order."""
        return [node for node in self.survivors.get(vm.pool, ()) if self.admits(restarts, vm, node, shoulds)]

    def possible(self, restarts: Placement, shoulds: bool = False) -> bool:
        """Whether exactly these can all restart."""
        done: dict[str, str] = {}
        for vm, node in restarts.items():
            if not self.admits(done, self.world.vms[vm], node, shoulds):
                return False
            done[vm] = node
        return True

    def full(self, vms: Sequence[VM], shoulds: bool = False) -> Iterator[Placement]:
        """All ways to restart all of them."""

        def extend(restarts: Placement, left: Sequence[VM]) -> Iterator[Placement]:
            if not left:
                yield restarts
                return
            for node in self.nodes_for(restarts, left[0], shoulds):
                yield from extend({**restarts, left[0].name: node}, left[1:])

        return extend({}, sorted(vms, key=lambda vm: -takes(vm)))

    def left_out(self, vms: Sequence[VM]) -> list[VM]:
        """Those whom a best partial plan leaves out."""
        best, least = list(vms), self.world.vector(vms)

        def extend(restarts: Placement, left: Sequence[VM], out: list[VM]) -> None:
            nonlocal best, least
            lost = self.world.vector(out)
            if lost >= least:
                return
            if not left:
                best, least = out, lost
                return
            for node in self.nodes_for(restarts, left[0]):
                extend({**restarts, left[0].name: node}, left[1:], out)
            extend(restarts, left[1:], [*out, left[0]])

        extend({}, sorted(vms, key=lambda vm: (-vm.priority, -takes(vm))), [])
        return best

    def states(self, vms: Sequence[VM], final: bool = False) -> Iterator[Placement]:
        """All that can have restarted, and where; if `final`, only what nobody else can join."""

        def extend(restarts: Placement, left: Sequence[VM], out: list[VM]) -> Iterator[Placement]:
            if not left:
                if not final or not any(self.nodes_for(restarts, vm) for vm in out):
                    yield restarts
                return
            for node in self.nodes_for(restarts, left[0]):
                yield from extend({**restarts, left[0].name: node}, left[1:], out)
            yield from extend(restarts, left[1:], [*out, left[0]])

        return extend({}, sorted(vms, key=lambda vm: -takes(vm)), [])


def small_enough(vm: VM, node: Node) -> bool:
    """Whether the node takes VMs of this size: `max_vm` is of a VM's own memory, and of further resources."""
    return all((vm.memory if name == "memory" else vm.resources.get(name, 0)) <= most for name, most in node.max_vm.items())


def takes(vm: VM) -> int:
    """What a VM takes on a node, in MiB: the hypervisor adds the overhead to its memory."""
    return vm.memory + vm.overhead


def _sum(*vectors: Vector) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True)))


def _has_nodes(rule: Rule) -> bool:
    return isinstance(rule, OnlyOn | NotOn)


def _named(members: Sequence[str] | Tag, things: Sequence[Node] | Sequence[VM]) -> frozenset[str]:
    if isinstance(members, Tag):
        return frozenset(thing.name for thing in things if members.tag in thing.tags)
    return frozenset(members)
