"""The audit of must-rules, affinity and anti-affinity among them: in normal running, and for the restarts after a failure."""

from collections.abc import Collection, Iterator
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.auditor.case import Case
from vmplace.auditor.plans import AuditedPlans
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.auditor.suspects import suspects
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Apart, NotOn, OnlyOn, Rule, Together
from vmplace.model.references import members_of
from vmplace.model.text import rule_label
from vmplace.model.units import spell_memory

__all__ = ["AuditedRule", "breakers", "check_rules", "degree", "musts"]

MembersByNode = dict[int, list[int]]
"""Members of a rule by the node that they run or restart on."""


@frozen(eq=False)
class AuditedRule:
    """A must-rule with indices for names.

    Parameters
    ----------
    number
        Of the rule in its cluster; -1 for a limit on the size of VMs, which is the rule's name then.
    rule
        With its members as they are named.
    members
        VMs, in the order in which they are named.
    banned
        Nodes that only-on and not-on leave out, shape (n_nodes + 1,).
    place
        The node or failure domain that anti-affinity members must not share, shape (n_nodes + 1,).
    """

    number: int
    rule: Rule
    members: IntArray
    banned: BoolArray
    place: IntArray

    @classmethod
    def of(cls, case: Case, number: int, rule: Rule) -> "AuditedRule":
        """A rule of the cluster under audit."""
        members = case.cluster.rule_members[number] if number >= 0 else members_of(rule.vms, case.cluster.vms)
        banned = np.broadcast_to(np.False_, len(case.node) + 1)
        if isinstance(rule, OnlyOn | NotOn):
            banned = np.full(len(banned), isinstance(rule, OnlyOn))
            banned[members_of(rule.nodes, case.cluster.nodes)] ^= True
        wide = isinstance(rule, Apart) and rule.scope == "domain"
        return cls(number, rule, members, banned, case.by_domain if wide else case.by_node)

    @cached_property
    def member_set(self) -> frozenset[int]:
        """The members, to be looked up."""
        return frozenset(self.members.tolist())

    def at_places_of(self, nodes: IntArray) -> BoolArray:
        """Which nodes share a place with some nodes, shape (n_nodes,)."""
        taken = np.zeros(int(self.place.max(initial=0)) + 1, dtype=bool)
        taken[self.place[nodes]] = True
        return taken[self.place[:-1]]


def musts(case: Case) -> Iterator[AuditedRule]:
    """The must-rules of a cluster, and the limits on the size of VMs."""
    yield from (AuditedRule.of(case, r, rule) for r, rule in enumerate(case.cluster.rules) if rule.must)
    yield from _size_limits(case)


def _size_limits(case: Case) -> Iterator[AuditedRule]:
    """For each limit that nodes have (`Node.max_vm`), that larger VMs are not on them; each has a number of its own below 0."""
    hosts: dict[tuple[str, int], list[str]] = {}
    for name, most in zip(case.node.names, case.node.max_vm, strict=True) if any(case.node.max_vm.words) else ():
        for resource, amount in most.items():
            hosts.setdefault((resource, amount), []).append(name)
    amounts = {**case.vm.amounts(), "memory": case.vm.memory} if hosts else {}
    for place, ((resource, amount), names) in enumerate(hosts.items(), 1):
        larger = np.flatnonzero(amounts[resource] > amount).tolist() if resource in amounts else []
        if larger:
            size = spell_memory(amount) if resource == "memory" else f"{amount} {resource}"
            yield AuditedRule.of(case, -place, NotOn([case.vm.names[v] for v in larger], names, name=size))


def check_rules(case: Case, plans: AuditedPlans | None = None, scenarios: AuditedScenarios | None = None) -> None:
    """Record the must-rules that the placement breaks, and those that the restarts of the plans break."""
    bounds = [AuditedRule.of(case, number, case.cluster.rules[number]) for number in suspects(case, plans)]
    bounds += _size_limits(case)
    restarts = None if plans is None or scenarios is None or not bounds else _RestartedMembers(case, plans, scenarios, bounds)
    for bound in bounds:
        placed = _placed(case, bound)
        bad = _broken(bound, placed)
        if bad:
            _blame(case, bound, "rule", f"rules[{bound.number}]", placed, bad)
        if restarts is not None and bound.rule.during_failover:
            restarts.judge(bound)


def breakers(case: Case, bound: AuditedRule) -> list[int]:
    """The members that break a rule in normal running."""
    placed = _placed(case, bound)
    return [v for i in _broken(bound, placed) for v in placed[i]]


def degree(case: Case, bound: AuditedRule) -> int:
    """How far normal running breaks a rule: pairs that share a place, nodes beyond one, or VMs outside."""
    placed = _placed(case, bound)
    if isinstance(bound.rule, Apart):
        crowd = np.unique([bound.place[i] for i, members in placed.items() for _ in members], return_counts=True)[1]
        return int((crowd * (crowd - 1) // 2).sum())
    return max(0, len(placed) - 1) if isinstance(bound.rule, Together) else len(breakers(case, bound))


def _placed(case: Case, bound: AuditedRule) -> MembersByNode:
    placed: MembersByNode = {}
    for v, at in zip(bound.members.tolist(), case.at[bound.members].tolist(), strict=True):
        if at >= 0:
            placed.setdefault(at, []).append(v)
    return placed


class _RestartedMembers:
    """The restarts of plans by VM, to be judged rule by rule."""

    def __init__(self, case: Case, plans: AuditedPlans, scenarios: AuditedScenarios, bounds: list[AuditedRule]) -> None:
        self.case, self.plans, self.scenarios = case, plans, scenarios
        self.entries: dict[int, list[tuple[int, int]]] = {}
        mine = plans.only(np.isin(plans.vm, np.concatenate([bound.members for bound in bounds])))
        for s, v, i in zip(mine.scenario.tolist(), mine.vm.tolist(), mine.node.tolist(), strict=True):
            self.entries.setdefault(v, []).append((s, i))

    def judge(self, bound: AuditedRule) -> None:
        """Record the failures after which the restarts break a rule."""
        state: dict[int, list[int]] = {}
        if isinstance(bound.rule, Apart):
            for v, place in zip(bound.members.tolist(), bound.place[self.case.at[bound.members]].tolist(), strict=True):
                state.setdefault(place, []).append(v)
        for s, members_on in self._restarts_of(bound).items():
            places = {int(bound.place[i]) for i in members_on}
            bad = _broken(bound, members_on, {place for place in places if any(self._stays(v, s) for v in state.get(place, ()))})
            if bad:
                _blame(self.case, bound, "failover", self.scenarios.key(s), members_on, bad)

    def _restarts_of(self, bound: AuditedRule) -> dict[int, MembersByNode]:
        """The restarts of a rule's members, by scenario."""
        found: dict[int, MembersByNode] = {}
        for v in bound.members.tolist():
            for s, i in self.entries.get(v, ()):
                found.setdefault(s, {}).setdefault(i, []).append(v)
        return found

    def _stays(self, vm: int, scenario: int) -> bool:
        """Whether a VM is where it was: its node has not failed, and it is not stopped."""
        unit = self.scenarios.unit[self.case.at[vm]]
        stopped = self.case.vm.evictable[vm] and self.plans.evicts(scenario, vm)
        return not stopped and unit not in self.scenarios.units[scenario]


def _broken(bound: AuditedRule, members_on: MembersByNode, taken: Collection[int] = ()) -> list[int]:
    """The nodes on which members break a rule, with other members already in the places taken."""
    if isinstance(bound.rule, Apart):
        crowd: dict[int, int] = {}
        for i, members in members_on.items():
            crowd[int(bound.place[i])] = crowd.get(int(bound.place[i]), 0) + len(members)
        return [i for i in members_on if crowd[int(bound.place[i])] > 1 or int(bound.place[i]) in taken]
    if isinstance(bound.rule, Together):
        return list(members_on) if len(members_on) > 1 else []
    return [i for i in members_on if bound.banned[i]]


def _blame(case: Case, bound: AuditedRule, kind: str, subject: str, members_on: MembersByNode, bad: list[int]) -> None:
    if bound.number < 0:
        for vm, node in [(case.vm.names[v], case.nodes[i]) for i in bad for v in members_on[i]]:
            takes = f"{node}, which takes no VM of more than {bound.rule.name} (max_vm)"
            if kind == "failover":
                case.blame(kind, subject, f"if {subject} fails, {vm} cannot restart on {takes}")
            else:
                case.blame("placement", vm, f"{vm} is on {takes}")
        return
    places = "; ".join(f"{', '.join(case.vm.names[v] for v in members_on[i])} on {case.nodes[i]}" for i in bad)
    case.blame(kind, subject, f"{rule_label(bound.number, bound.rule.kind, bound.rule.name)} is broken by {places}")
