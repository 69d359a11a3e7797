"""The audit of failover plans: which VMs restart, whether they may, and whether their nodes have room."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from vmplace.auditor.case import Case, Resource, node_column, sums
from vmplace.auditor.scenarios import AuditedScenarios, unit_names
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import wrong_type
from vmplace.model.units import short

__all__ = ["AuditedPlans", "Failover", "check_plans", "check_sums", "sums_by_key"]

Failover = Mapping[str, Mapping[str, str | None]] | npt.ArrayLike


@frozen(eq=False)
class AuditedPlans:
    """Failover plans as columns: one entry for each restart, and the evictable VMs that are stopped to make room.

    Parameters
    ----------
    scenario, vm, node
        Of each restart, as long.
    evicted
        Pairs of a scenario and an evictable VM on a survivor that is stopped in it; None: any that need to be.
    """

    scenario: IntArray
    vm: IntArray
    node: IntArray
    evicted: frozenset[tuple[int, int]] | None

    def only(self, right: BoolArray) -> "AuditedPlans":
        """With some of the restarts."""
        return self if right.all() else AuditedPlans(self.scenario[right], self.vm[right], self.node[right], self.evicted)

    def evicts(self, scenario: int, vm: int) -> bool:
        """Whether an evictable VM on a survivor may be taken as stopped."""
        return self.evicted is None or (scenario, vm) in self.evicted


def check_plans(case: Case, scenarios: AuditedScenarios, failover: Failover, *, complete: bool = True) -> AuditedPlans:
    """The restarts that are right one by one; every violation of the plans is recorded.

    Parameters
    ----------
    complete
        Whether every VM that must restart has to be in its plan.
    """
    plans = _Reader(case, scenarios).read(failover) if isinstance(failover, Mapping) else _from_column(case, scenarios, failover)
    stray = plans.scenario < 0
    _blame(case, scenarios, plans.only(stray), _STRAY)
    plans = plans.only(~stray)
    must = case.must[plans.vm]
    if complete:
        _check_missing(case, scenarios, plans if must.all() else plans.only(must))
    plans = _restarts(case, scenarios, plans, must)
    for resource in case.resources:
        if resource.binding:
            _check_room(case, scenarios, plans, resource)
    return plans


def _from_column(case: Case, scenarios: AuditedScenarios, given: Any) -> AuditedPlans:
    """The plans where no VM restarts in two: one node for each VM."""
    if scenarios.failures > 1:
        told = f"one node for each VM cannot describe plans for {scenarios.failures} failures: give VM to node by scenario"
        raise InputError([Flaw("failover", told)])
    to = node_column("failover", given, case)
    return AuditedPlans(scenarios.alone[scenarios.unit][case.at], np.arange(len(to)), to, None).only(to >= 0)


class _Reader:
    """Reads plans by scenario and VM; entries that name no scenario, VM or node are recorded and left out."""

    def __init__(self, case: Case, scenarios: AuditedScenarios) -> None:
        self.case, self.scenarios = case, scenarios
        self.pools = scenarios.pool_of
        self.units = set(scenarios.names) if scenarios.failures < 2 else frozenset()
        self.unit_of = unit_names(case.cluster) if self.units else []

    def read(self, failover: Mapping[str, Mapping[str, str | None]]) -> AuditedPlans:
        vm_index, node_index = self.case.vm_index, self.case.node_index
        scenario: list[int] = []
        vms: list[int] = []
        nodes: list[int] = []
        for key, plan in failover.items():
            if not isinstance(plan, Mapping):
                raise wrong_type(plan, "a plan", "give VM to node", f"failover[{short(key)}]")
            known = self.scenarios.by_key.get(key)
            if known is None and self.scenarios.is_crowded(key):
                continue
            vm, node = [vm_index.get(name, -1) for name in plan], [node_index.get(name, -2) for name in plan.values()]
            if -1 in vm or -2 in node:
                vm, node = self._sift(key, plan, vm, node)
            if known is None:
                vm, node = self._astray(key, vm, node)
            scenario += self._among(known or [-1], vm)
            vms += vm
            nodes += node
        order = np.argsort(np.array(vms, np.int64), kind="stable")
        return self._sort(*(np.array(column, np.int64)[order] for column in (scenario, vms, nodes)))

    def _astray(self, key: str, vms: list[int], nodes: list[int]) -> tuple[list[int], list[int]]:
        """Blame a plan for a key that is not a scenario; a plan for a unit that fails in no scenario may be empty."""
        if key not in self.units:
            self.case.blame("failover", key, f"{short(key)} is not a failure scenario of this cluster")
        at_home = [self._is_home(key, v) for v in vms]
        for v in (v for v, here in zip(vms, at_home, strict=True) if not here):
            self.case.blame("failover", key, f"{self.case.vm.names[v]} is not a VM running on {short(key)}")
        kept = [(v, i) for v, i, here in zip(vms, nodes, at_home, strict=True) if here and i >= 0]
        return [v for v, _ in kept], [i for _, i in kept]

    def _is_home(self, unit: str, vm: int) -> bool:
        """Whether a VM is on a unit that can be named, although no scenario has it."""
        at = int(self.case.at[vm])
        return at >= 0 and unit in self.units and unit == self.unit_of[at]

    def _sift(self, key: str, plan: Mapping[str, str | None], vms: list[int], nodes: list[int]) -> tuple[list[int], list[int]]:
        """The entries without those that name no VM or no node."""
        for (vm, node), v, i in zip(plan.items(), vms, nodes, strict=True):
            if v < 0:
                self.case.blame("failover", key, f"{short(vm)} is not a VM of this cluster")
            elif i < -1:
                self.case.blame("failover", key, f"{short(node)}, given for {vm}, is not a node of this cluster")
        kept = [(v, i) for v, i in zip(vms, nodes, strict=True) if v >= 0 and i >= -1]
        return [v for v, _ in kept], [i for _, i in kept]

    def _among(self, known: Sequence[int], vms: list[int]) -> list[int]:
        """For each VM the one of a key's scenarios that is its pool's."""
        if len(known) == 1:
            return [known[0]] * len(vms)
        of_pool = {int(self.pools[s]): s for s in known}
        return [of_pool.get(pool, known[0]) for pool in self.case.node_pool[self.case.at[vms]].tolist()]

    def _sort(self, scenario: IntArray, vm: IntArray, to: IntArray) -> AuditedPlans:
        """Restarts of displaced VMs, and evictions of others; what is neither is recorded."""
        case, at = self.case, self.case.at[vm]
        displaced, told = at >= 0, scenario >= 0
        displaced[told] &= self.scenarios.fail(scenario[told], at[told])
        stops = (to < 0) & case.vm.evictable[vm] & (at >= 0)
        odd = np.flatnonzero(~displaced & ~stops)
        for s, v in zip(scenario[odd].tolist(), vm[odd].tolist(), strict=True):
            key = self.scenarios.key(s)
            case.blame("failover", key, f"{case.vm.names[v]} is not a VM running on {key}")
        restarts, evicted = displaced & (to >= 0), stops & ~displaced
        found = set(zip(scenario[evicted].tolist(), vm[evicted].tolist(), strict=True))
        if len(self.scenarios.by_key) < len(self.scenarios):
            found.update(self._evicted_elsewhere(scenario[stops], vm[stops]))
        return AuditedPlans(scenario[restarts], vm[restarts], to[restarts], frozenset(found))

    def _evicted_elsewhere(self, scenario: IntArray, vm: IntArray) -> Iterator[tuple[int, int]]:
        """The VMs that are stopped though their node survives, in all scenarios of the key."""
        for s, v in zip(scenario.tolist(), vm.tolist(), strict=True):
            unit = self.scenarios.unit[self.case.at[v]]
            known = self.scenarios.by_key[self.scenarios.key(s)]
            yield from ((other, v) for other in known if unit not in self.scenarios.units[other])


_STRAY = "{vm} restarts on {to}, but is not protected, or no failure displaces it"


def _blame(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans, message: str) -> None:
    for s, v, i in zip(plans.scenario.tolist(), plans.vm.tolist(), plans.node.tolist(), strict=True):
        key = scenarios.key(s) if s >= 0 else case.nodes[case.at[v]]
        case.blame("failover", key, message.format(key=key, vm=case.vm.names[v], to=case.nodes[i]))


def _check_missing(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans) -> None:
    """Record the VMs that must restart and do not; counts are compared first, since mostly all do."""
    if scenarios.units.shape[1] == 1 and len(plans.vm) == np.count_nonzero(case.must):
        return  # each has its one scenario
    musts = np.flatnonzero(case.must)
    needed = scenarios.total(scenarios.by_unit(case.at[musts], np.ones(len(musts), np.int64)))
    lacking = np.flatnonzero(needed > np.bincount(plans.scenario, minlength=len(scenarios)))
    if not len(lacking):
        return
    order = np.argsort(scenarios.unit[case.at[musts]], kind="stable")
    units = scenarios.unit[case.at[musts]][order]
    by_scenario = np.argsort(plans.scenario, kind="stable")
    ends = np.searchsorted(plans.scenario[by_scenario], np.arange(len(scenarios) + 1))
    for s in lacking.tolist():
        there = set(plans.vm[by_scenario[ends[s] : ends[s + 1]]].tolist())
        first, last = (np.searchsorted(units, scenarios.units[s], side=side) for side in ("left", "right"))
        displaced = [v for a, z in zip(first, last, strict=True) for v in musts[order[a:z]].tolist()]
        key = scenarios.key(s)
        for v in (v for v in displaced if v not in there):
            case.blame("unprotected", key, f"if {key} fails, {case.vm.names[v]} restarts nowhere")


def _restarts(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans, must: BoolArray) -> AuditedPlans:
    """The restarts that are right one by one."""
    if not must.all():
        free = ~must & ~case.vm.protected[plans.vm]
        _blame(case, scenarios, plans.only(free), _STRAY)
        plans = plans.only(~free)
    plans = _without(case, scenarios, plans, scenarios.fail(plans.scenario, plans.node), "failed")
    if not case.online[:-1].all():
        plans = _without(case, scenarios, plans, ~case.online[plans.node], "closed")
    if len(case.pools) > 1:
        plans = _without(case, scenarios, plans, case.vm_pool[plans.vm] != case.node_pool[plans.node], "other pool")
    return plans


def _without(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans, wrong: BoolArray, reason: str) -> AuditedPlans:
    """The restarts without the wrong ones, which are recorded."""
    if not wrong.any():
        return plans
    _blame(case, scenarios, plans.only(wrong), "if {key} fails, {vm} cannot restart on {to}: " + reason)
    return plans.only(~wrong)


def _check_room(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans, resource: Resource) -> None:
    """Record survivors that have too little of a resource, for each scenario in which VMs restart on them."""
    count, demand = len(resource.capacity), resource.demand[plans.vm]
    keys = plans.scenario * count + plans.node
    if resource.name:
        keys, demand = keys[demand > 0], demand[demand > 0]
    pairs, arriving = sums_by_key(keys, demand)
    if case.vm.evictable.any():
        arriving -= _freed(case, scenarios, plans, resource, pairs)
    held = resource.fixed if plans.evicted is None else resource.load
    node = pairs % count
    for p in np.flatnonzero(arriving > (resource.capacity - held)[node]).tolist():
        key, i = scenarios.key(int(pairs[p]) // count), int(node[p])
        excess = resource.excess(int(held[i] + arriving[p]), int(resource.capacity[i]))
        case.blame("failover", key, f"if {key} fails, {case.nodes[i]} would hold {excess}")


def _freed(case: Case, scenarios: AuditedScenarios, plans: AuditedPlans, resource: Resource, pairs: IntArray) -> IntArray:
    """What stopped evictable VMs free, for each pair of a scenario and a survivor; negative for one that only restarts.

    A VM that is stopped takes nothing on the target of its migration either, be it displaced or not.
    """
    count = len(resource.capacity)
    moving = case.moving[case.vm.evictable[case.moving]]
    entries = np.isin(plans.vm, moving)
    restarted = set(zip(plans.scenario[entries].tolist(), plans.vm[entries].tolist(), strict=True))
    stopped = sorted(plans.evicted or ())
    freed = [(s * count + int(case.at[v]), int(resource.demand[v])) for s, v in stopped]
    if plans.evicted is None:
        freed += [(s * count + int(case.target[v]), -int(resource.demand[v])) for s, v in restarted]
    else:
        gone = {(s, v) for s, v in stopped if case.target[v] >= 0}
        gone.update((s, v) for v in moving.tolist() for s in scenarios.failing(int(case.at[v])).tolist())
        freed += [(s * count + int(case.target[v]), int(resource.demand[v])) for s, v in gone - restarted]
    total = np.zeros(len(pairs), np.int64)
    keys, amounts = (np.array(column, np.int64) for column in zip(*freed, strict=True)) if freed else (pairs[:0], pairs[:0])
    places = np.searchsorted(pairs, keys)
    hit = np.append(pairs, -1)[places] == keys
    np.add.at(total, places[hit], amounts[hit])
    return total


def sums_by_key(keys: IntArray, amounts: IntArray) -> tuple[IntArray, IntArray]:
    """Each key once, in order, and the sum of its amounts, none negative.

    Both are packed into one number where they fit, which is sorted ten times faster.
    """
    width = int(amounts.max(initial=0)).bit_length()
    if int(keys.max(initial=0)).bit_length() + width > 63:
        order = np.argsort(keys)
        keys, amounts = keys[order], amounts[order]
    else:
        packed = np.sort(keys << width | amounts)
        keys, amounts = packed >> width, packed & ((1 << width) - 1)
    start = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[start], np.add.reduceat(amounts, start) if len(start) else amounts


def check_sums(case: Case, scenarios: AuditedScenarios) -> None:
    """Record ``unprotected`` where what must restart is more than survivors have to spare, else ``unverified``."""
    musts = np.flatnonzero(case.must)
    at, pool_of = case.at[musts], scenarios.pool_of
    told = []
    for resource in (resource for resource in case.resources if resource.binding):
        need = scenarios.total(scenarios.by_unit(at, resource.demand[musts]))
        room = np.where(case.online, np.maximum(resource.capacity - resource.fixed, 0), 0)[:-1]
        of_pool = sums(case.node_pool[:-1], room, len(case.pools))
        told.append((resource, need, of_pool[pool_of] - scenarios.total(scenarios.by_unit(np.arange(len(room)), room))))
    short = np.array([need > left for _, need, left in told])
    worst = np.argmax(short, axis=0)  # memory where nothing is short
    for r, (resource, need, left) in enumerate(told):
        rows = np.flatnonzero((worst == r) & (told[0][1] > 0))
        kinds = np.where(short[r, rows], "unprotected", "unverified").tolist()
        needs, spares = need[rows].tolist(), left[rows].tolist()
        spelled = {amount: resource.spell(amount) for amount in {*needs, *spares}}
        for s, kind, n, spare in zip(rows.tolist(), kinds, needs, spares, strict=True):
            figures = f"{spelled[n]} must restart; the other nodes have {spelled[spare]} free"
            case.blame(kind, scenarios.keys[s], f"if {scenarios.keys[s]} fails, {figures}")
