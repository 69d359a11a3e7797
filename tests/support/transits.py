"""What a migration plan does, replayed step by step, and what plans there are, found by trying all: judges that share no code.

They stand on `tests.support.brute.World`: names, plain numbers, and what a rule forbids.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from itertools import combinations

from tests.support.brute import Placement, World, takes
from vmplace.model.cluster import Cluster
from vmplace.model.entities import Apart, NotOn, OnlyOn, Together


class Journey:
    """From a cluster's placement to another: which rules last, and who moves with whom."""

    def __init__(self, cluster: Cluster, final: Mapping[str, str]) -> None:
        self.world = World(cluster)
        self.now = dict(self.world.now)
        self.final = {**self.now, **{vm.name: final[vm.name] for vm in self.world.charged if vm.name in final}}
        musts = [bound for bound in self.world.rules if bound.rule.must]
        self.lasting = [bound for bound in musts if not bound.broken(self.now) and not bound.broken(self.final)]
        self.placing = [bound for bound in musts if isinstance(bound.rule, OnlyOn | NotOn)]
        self.parties = self._parties()

    def _parties(self) -> list[frozenset[str]]:
        """The running VMs, those that have to be together as one."""
        parties = [frozenset([vm]) for vm in self.now]
        for bound in self.lasting:
            if isinstance(bound.rule, Together):
                met = [party for party in parties if party & bound.vms]
                parties = [party for party in parties if party not in met] + ([frozenset().union(*met)] if met else [])
        return parties

    def may_go(self, vm: str, node: str) -> bool:
        """Whether a VM may come to a node, as far as these two tell."""
        world, there = self.world, self.world.nodes[node]
        mine = world.vms[vm]
        fixed = vm in self.now and (not mine.movable or vm in world.target)
        allowed = all(bound.allows(vm, node, {}) for bound in self.placing)
        return there.state == "online" and there.pool == mine.pool and allowed and not fixed

    def full(self, at: Placement, arriving: list[tuple[str, str]]) -> bool:
        """Whether some arrive for whom there is no room, while nobody has left yet."""
        for resource in self.world.resources:
            loads, more = self.world.loads(at, resource), Counter[str]()
            for vm, node in arriving:
                more[node] += self.world.demand(vm, resource)
            if any(
                amount and loads[node] + amount > self.world.capacity(node, resource=resource) for node, amount in more.items()
            ):
                return True
        return False

    def too_near(self, at: Placement, arriving: list[tuple[str, str]]) -> bool:
        """Whether two share a place that are to be apart, those on their way being in both of theirs."""
        for bound in self.lasting:
            if isinstance(bound.rule, Apart):
                places: dict[object, set[str]] = {}
                for vm, node in [*at.items(), *arriving]:
                    if vm in bound.vms:
                        places.setdefault(bound.place_of[node], set()).add(vm)
                if any(len(there) > 1 for there in places.values()):
                    return True
        return False

    def possible(self, at: Placement, arriving: list[tuple[str, str]]) -> bool:
        """Whether these can all come to these nodes at the same time."""
        seated = all(self.may_go(vm, node) for vm, node in arriving)
        return seated and not self.full(at, arriving) and not self.too_near(at, arriving)

    # What plans there are

    def hops(self, at: Placement) -> Iterator[tuple[frozenset[str], str]]:
        """Who can go where while nothing else moves."""
        for party in self.parties:
            for node in self.world.nodes:
                arriving = [(vm, node) for vm in party]
                if all(at[vm] != node for vm in party) and self.possible(at, arriving):
                    yield party, node

    def least(self) -> int | None:
        """The least memory that has to migrate; None if there is no way."""
        goal = {vm: self.final[vm] for vm in self.now}
        queue, serial, done = [(0, 0, self.now)], 0, set()
        while queue:
            cost, _, at = heappop(queue)
            if at == goal:
                return cost
            if frozenset(at.items()) in done:
                continue
            done.add(frozenset(at.items()))
            for party, node in self.hops(at):
                serial += 1
                heappush(queue, (cost + self.memory(party), serial, {**at, **dict.fromkeys(party, node)}))
        return None

    def memory(self, vms: frozenset[str]) -> int:
        return sum(takes(self.world.vms[vm]) for vm in vms)

    def direct(self) -> int:
        return sum(takes(self.world.vms[vm]) for vm in self.now if self.now[vm] != self.final[vm])

    def least_exposed(self, parallel: int | None = None) -> int | None:
        """The fewest steps after which some failure is not survived, each party going straight to its goal; None: no way."""
        moving = [party for party in self.parties if any(self.now[vm] != self.final[vm] for vm in party)]
        best = {frozenset[frozenset[str]](): 0}
        for count in range(len(moving)):
            for done in [done for done in best if len(done) == count]:
                at = {vm: self.final[vm] if any(vm in party for party in done) else self.now[vm] for vm in self.now}
                left = [party for party in moving if party not in done]
                for batch in (batch for size in range(1, len(left) + 1) for batch in combinations(left, size)):
                    arriving = [(vm, self.final[vm]) for party in batch for vm in party]
                    if self.possible(at, arriving) and (parallel is None or len(batch) == 1 or len(arriving) <= parallel):
                        then, after = done | set(batch), {**at, **dict(arriving)}
                        worth = best[done] + (not self.world.all_survivable(after))
                        best[then] = min(best.get(then, worth), worth)
        return best.get(frozenset(moving))


def replay(cluster, plan, final, *, parallel=None, parallel_per_node=None) -> None:
    """Go through a plan, and hold every step to what it has to keep."""
    journey = Journey(cluster, final)
    world, at, down = journey.world, dict(journey.now), dict[str, str]()
    assert [step.number for step in plan.steps] == list(range(1, len(plan.steps) + 1))
    migrated = 0
    for step in plan.steps:
        assert step.migrations or step.starts or step.stops
        for stop in step.stops:
            assert (at.pop(stop.vm), takes(world.vms[stop.vm])) == (stop.node, stop.memory)
            down[stop.vm] = stop.node
        moving = [m.vm for m in step.migrations]
        assert len(set(moving)) == len(moving)
        live, cold = ([m for m in step.migrations if m.cold is kind] for kind in (False, True))
        for m in step.migrations:
            source = down.pop(m.vm) if m.cold else at[m.vm]
            assert (source, takes(world.vms[m.vm]), m.step) == (m.source, m.memory, step.number)
            assert m.destination != m.source
            assert world.vms[m.vm].movable == ("cold" if m.cold else True)
        assert all(start.vm not in at and start.memory == takes(world.vms[start.vm]) for start in step.starts)
        arriving = [(m.vm, m.destination) for m in live] + [(start.vm, start.node) for start in step.starts]
        assert journey.possible(at, arriving)
        _within(journey, live, parallel, parallel_per_node)
        migrated += sum(m.memory for m in step.migrations)
        at.update(arriving)
        restarted = [(m.vm, m.destination) for m in cold]
        assert journey.possible(at, restarted)
        at.update(restarted)
        assert not any(bound.broken(at) for bound in journey.lasting)
    assert (at, down) == (journey.final, {})
    assert plan.extra == migrated - journey.direct()


def _within(journey, live, parallel, parallel_per_node) -> None:
    """The limits, which a party that is too large for one exceeds alone."""
    moving = {m.vm for m in live}
    parties = [frozenset(vm for vm in party if journey.world.vms[vm].movable != "cold") for party in journey.parties]
    parties = [party for party in parties if party & moving]
    assert all(party <= moving for party in parties)
    assert parallel is None or len(moving) <= parallel or len(parties) == 1
    for node in journey.world.nodes if parallel_per_node else ():
        here = {m.vm for m in live if node in (m.source, m.destination)}
        assert len(here) <= parallel_per_node or len([party for party in parties if party & here]) == 1


def guaranteed(cluster, plan) -> None:
    """Hold what a plan says of the guarantee after each step to what is so."""
    world = World(cluster)
    at = dict(world.now)
    for step in plan.steps:
        at = {vm: node for vm, node in at.items() if vm not in {stop.vm for stop in step.stops}}
        at |= {m.vm: m.destination for m in step.migrations} | {start.vm: start.node for start in step.starts}
        if not cluster.guarantee.failures:
            assert step.guarantee is None
            continue
        assert step.guarantee.value == ("safe" if world.all_survivable(at) else "unsafe")
        failing = {key for key in world.scenarios(at) if not world.survivable(at, key)}
        assert set(step.exposed) == failing
