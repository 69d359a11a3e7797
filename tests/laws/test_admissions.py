"""Whatever is done to an admitter, it decides as enumeration does, and is in the state that the calls make.

VMPLACE_ADMISSION_EXAMPLES sets how many sequences the slow test draws; with ``-s`` it prints how many calls were compared.
"""

import os
from collections import Counter
from itertools import permutations

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.admissions import WORD, after, allowed, assignments, started
from tests.support.brute import World, takes
from tests.support.conjunctions import alone
from tests.support.implied import nearly_implied
from vmplace import VM, Admitter, ConflictError, InputError
from vmplace.testing import clusters
from vmplace.testing.strategies import EXTRAS

PLAIN = {"rules": False, "max_nodes": 5, "max_vms": 9, "overhead": True, "node_headroom": True}
ANY = {
    "max_nodes": 4,
    "max_vms": 6,
    "failures": (0, 1, 1, 2),
    **dict.fromkeys(EXTRAS, True),
    "quorums": True,
    "restart": ("planned", "planned", "any-order"),
    "policies": True,
    "sequences": ("at-once", "at-once", "at-once", "sequential"),
}
KINDS = {
    "plain": clusters(**PLAIN),
    "any": clusters(**ANY),
    "mixed": clusters(**ANY | {"mixed": True, "sequences": ("at-once",)}),
    "implied": nearly_implied(**PLAIN),
    "simple list": clusters(**PLAIN, failures=(1, 1, 1, 2), most_guarantees=3),
    "list": clusters(**ANY | {"max_vms": 5}, most_guarantees=3),
}
FOREVER = float("inf")
COUNTS = Counter()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Counted:
    """An admitter, and how often it is called."""

    def __init__(self, admitter):
        self._admitter = admitter

    def __getattr__(self, name):
        COUNTS["calls"] += name not in ("cluster", "tickets")
        return getattr(self._admitter, name)


def planned(guarantee):
    in_turn = guarantee.sequence == "sequential" and guarantee.failures > 1
    return guarantee.restart == "planned" and guarantee.policy is None and not in_turn


class Sequence:
    """Calls drawn by chance, each compared with the oracle, and the cluster that they make."""

    CALLS = ("start", "start", "several", "reserve", "end", "remove", "move", "move", "resize", "fail", "fail", "recover")

    def __init__(self, cluster, draw):
        self.cluster, self.draw, self.clock, self.count = cluster, draw, Clock(), 0
        self.admitter = Counted(Admitter(cluster, time_limit=FOREVER, clock=self.clock))
        self.failed, self.held = {}, []
        self.exact = all(map(planned, cluster.guarantees))

    def step(self):
        call = self.draw(st.sampled_from(self.CALLS))
        COUNTS[call] += 1
        getattr(self, call)()
        assert self.admitter.cluster == self.cluster

    def agrees(self, status, expected):
        """An answer is right; where restarts are planned, it is known, too."""
        told = WORD[status]
        COUNTS["unknown" if told is None else "known"] += 1
        assert told == expected or (told is None and not self.exact)
        return told

    def pick(self, things):
        return self.draw(st.sampled_from(list(things)))

    def waiting(self):
        """VMs to be started: they wait, or are stopped."""
        world = World(self.cluster)
        return [vm for vm in self.cluster.vms if not vm.running or world.waits(vm)]

    def new(self):
        self.count += 1
        names = sorted({name for node in self.cluster.nodes for name in node.resources})
        plain = not names and not self.cluster.rules
        return VM(
            f"new{self.count}",
            self.draw(st.integers(1, 9)) * self.pick((1, 1, 1, 512)),
            pool=self.pick(("default", "default", "second")),
            protected=self.pick((True, True, False)),
            priority=self.pick((0, 0, 1)),
            evictable=not plain and self.pick((False, False, True)),
            overhead=self.pick((0, 0, 2)),
            tags=() if plain else self.pick(((), ("red",))),
            resources={name: self.draw(st.integers(0, 3)) for name in names},
        )

    def asked(self):
        """A VM that may be started, and how it is asked for."""
        waiting = self.waiting()
        if waiting and self.draw(st.booleans()):
            vm = self.pick(waiting)
            return vm, vm.name
        vm = self.new()
        return vm, vm

    def asked_together(self, count):
        """Several of them, in the order in which they come into the document: the largest first."""
        asked = {vm.name: (vm, how) for vm, how in (self.asked() for _ in range(count))}
        vms, hows = zip(*sorted(asked.values(), key=lambda both: (-takes(both[0]), both[0].name)), strict=True)
        return vms, hows

    # Calls

    def start(self):
        vm, how = self.asked()
        candidates = self.admitter.candidates(how)
        ways = {way for (way,) in assignments(self.cluster, [vm])}
        told = [self.agrees(candidate.status.value, candidate.node in ways) for candidate in candidates]
        found = self.admitter.admit(how)
        assert WORD[found.status.value] == (True if True in told else None if None in told else False)
        assert found.node in ways or not found.admitted
        assert found.admitted or found.reason
        if not self.cluster.nodes:
            return
        node = self.pick([node.name for node in self.cluster.nodes])
        if next(n for n in self.cluster.nodes if n.name == node).pool != vm.pool:
            with pytest.raises(InputError, match="never cross pools"):
                self.admitter.commit(how, node)
            return
        moved = isinstance(how, str) and World(self.cluster).waits(vm) and self.draw(st.booleans())
        change = self.admitter.move if moved else self.admitter.commit
        if self.agrees(change(how, node).status.value, node in ways):
            self.started(vm, node)

    def several(self):
        vms, hows = self.asked_together(self.pick((2, 2, 3)))
        ways = assignments(self.cluster, vms)
        told = {self.agrees(self.admitter.admit(list(order)).status.value, bool(ways)) for order in permutations(hows)}
        assert len(told) == 1
        found = self.admitter.admit(hows)
        assert not found.admitted or tuple(found.placement[vm.name] for vm in vms) in ways

    def reserve(self):
        vms, hows = self.asked_together(self.pick((1, 1, 2)))
        ways = assignments(self.cluster, vms)
        pool = [node.name for node in self.cluster.nodes if node.pool == vms[0].pool]
        node = self.pick(pool) if len(vms) == 1 and pool and self.draw(st.booleans()) else None
        ticket = self.admitter.reserve(hows, node=node, expires_in=self.pick((10, 20)))
        expected = any(node in (None, way[0]) for way in ways)
        if self.agrees(ticket.admission.status.value, expected):
            way = tuple(ticket.admission.placement[vm.name] for vm in vms)
            assert way in ways
            was = {vm.name: vm if any(vm.name == other.name for other in self.cluster.vms) else None for vm in vms}
            for vm, home in zip(vms, way, strict=True):
                self.started(vm, home)
            self.held.append((ticket, was))
        else:
            assert ticket.state == "refused"

    def end(self):
        if not self.held:
            return
        way = self.pick(("commit", "rollback", "expire"))
        if way == "expire":
            self.clock.now += 10
            over = [(ticket, was) for ticket, was in self.held if ticket.expires <= self.clock.now]
            assert {ticket.state.value for ticket, _ in over} <= {"expired"}
        else:
            over = [self.pick(self.held)]
            getattr(over[0][0], way)()
        for ticket, was in over:
            self.held.remove((ticket, was))
            for name, vm in was.items() if way != "commit" else ():
                self.given_back(name, vm)
            with pytest.raises(ConflictError):
                ticket.commit()

    def given_back(self, name, was):
        if was is None:
            self.cluster = evolve(self.cluster, vms=[vm for vm in self.cluster.vms if vm.name != name])
            return
        states = {node.name: node.state for node in self.cluster.nodes}
        node = was.node if was.node and (not was.running or states[was.node] == "offline") else None
        memory = next(vm.memory for vm in self.cluster.vms if vm.name == name)
        self.cluster = after(self.cluster, evolve(was, node=node, target=None, memory=memory))

    def remove(self):
        if self.cluster.vms:
            vm = self.pick(self.cluster.vms)
            self.admitter.remove(vm.name)
            rules = [self.forgetting(rule, vm.name) for rule in self.cluster.rules]
            left = [other for other in self.cluster.vms if other is not vm and other.name != vm.name]
            self.cluster = evolve(self.cluster, vms=left, rules=[rule for rule in rules if rule is not None])
            self.released(vm.name)

    @staticmethod
    def forgetting(rule, name):
        if not isinstance(rule.vms, tuple):
            return rule
        left = tuple(vm for vm in rule.vms if vm != name)
        return evolve(rule, vms=left) if left else None

    def move(self):
        world = World(self.cluster)
        running = [vm for vm in self.cluster.vms if not world.waits(vm)]
        if not running:
            return
        vm = self.pick(running)
        pool = [node.name for node in self.cluster.nodes if node.pool == vm.pool]
        if not pool:
            return
        node, force = self.pick(pool), self.draw(st.booleans()) and self.draw(st.booleans())
        wanted = evolve(vm, node=node, target=None)
        state = next(n.state for n in self.cluster.nodes if n.name == node)
        movable = vm.movable or node == vm.node
        expected = movable and allowed(self.cluster, wanted) if vm.running else state != "offline"
        if self.agrees(self.admitter.move(vm.name, node, force=force).status.value, force or expected):
            self.cluster = after(self.cluster, wanted)
            if node != vm.node:
                self.released(vm.name)

    def resize(self):
        if not self.cluster.vms:
            return
        vm = self.pick(self.cluster.vms)
        wanted = evolve(vm, memory=self.draw(st.integers(1, 12)))
        idle = vm.name in {waiting.name for waiting in self.waiting()}
        expected = idle or allowed(self.cluster, wanted)
        if self.agrees(self.admitter.resize(vm.name, wanted.memory).status.value, expected):
            self.cluster = after(self.cluster, wanted)

    def fail(self):
        if self.cluster.nodes:
            node = self.pick(self.cluster.nodes)
            found = self.admitter.fail(node.name)
            if node.state != "offline":
                self.failed[node.name] = node.state
                self.restated(node, "offline")
            world = World(self.cluster)
            assert sorted(found) == sorted(vm.name for vm in self.cluster.vms if vm.node == node.name and world.waits(vm))

    def recover(self):
        if self.cluster.nodes:
            node = self.pick(self.cluster.nodes)
            self.admitter.recover(node.name)
            if node.state == "offline":
                self.restated(node, self.failed.pop(node.name, "online"))

    # The state that they make

    def started(self, vm, node):
        self.released(vm.name)
        self.cluster = after(self.cluster, started(vm, node))

    def released(self, name):
        for _, was in self.held:
            was.pop(name, None)

    def restated(self, node, state):
        nodes = [evolve(other, state=state) if other.name == node.name else other for other in self.cluster.nodes]
        vms = [evolve(vm, target=None) if node.name in (vm.node, vm.target) else vm for vm in self.cluster.vms]
        self.cluster = evolve(self.cluster, nodes=nodes, vms=vms)

    def verdicts_agree(self):
        told, keys = self.admitter.verdicts(), []
        for number, part in enumerate(alone(self.cluster), 1):
            world, mark = World(part), f"{number}++" if number > 1 else ""
            for key in world.scenarios(world.now):
                keys.append(mark + key)
                word = {"safe": "admitted", "unsafe": "refused"}.get(told[mark + key].value, "unknown")
                self.agrees(word, world.survivable(world.now, key))
        assert list(told) == keys

    def is_as_a_fresh_one(self, folder):
        """A snapshot makes an admitter that is in the same state, and decides the same."""
        self.admitter.save(folder / "state.json")
        again = Admitter.load(folder / "state.json", time_limit=FOREVER, clock=self.clock)
        _, how = self.asked()
        assert again.cluster == self.admitter.cluster == self.cluster
        assert list(again.tickets) == list(self.admitter.tickets) == [ticket.id for ticket, _ in self.held]
        assert again.verdicts() == self.admitter.verdicts()
        assert list(again.candidates(how)) == list(self.admitter.candidates(how))
        for ticket, _ in self.held:
            again.tickets[ticket.id].rollback()
            ticket.rollback()
        assert again.cluster == self.admitter.cluster


def agrees(cluster, data, steps, folder):
    sequence = Sequence(cluster, data.draw)
    for _ in range(steps):
        sequence.step()
        sequence.verdicts_agree()
    sequence.is_as_a_fresh_one(folder)
    COUNTS["sequences"] += 1


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck)}
EXAMPLES = int(os.environ.get("VMPLACE_ADMISSION_EXAMPLES", "150"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("snapshots")


@settings(max_examples=25, **RELAXED)
@given(KINDS["plain"], st.data())
def test_a_live_cluster_decides_as_enumeration_does(folder, cluster, data):
    agrees(cluster, data, 6, folder)


@settings(max_examples=25, **RELAXED)
@given(KINDS["any"], st.data())
def test_any_cluster_decides_as_enumeration_does(folder, cluster, data):
    agrees(cluster, data, 5, folder)


@settings(max_examples=8, **RELAXED)
@given(KINDS["simple list"], st.data())
def test_several_guarantees_are_kept_all_at_once(folder, cluster, data):
    agrees(cluster, data, 5, folder)


@settings(max_examples=8, **RELAXED)
@given(KINDS["list"], st.data())
def test_several_guarantees_of_any_kind_are_kept_all_at_once(folder, cluster, data):
    agrees(cluster, data, 4, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "steps"), [("plain", 12), ("implied", 10), ("any", 8), ("mixed", 8), ("simple list", 10), ("list", 8)]
)
def test_it_does_so_for_long(folder, kind, steps):
    @settings(max_examples=EXAMPLES, **RELAXED)
    @given(KINDS[kind], st.data())
    def long(cluster, data):
        agrees(cluster, data, steps, folder)

    long()
    print(kind, dict(COUNTS))
