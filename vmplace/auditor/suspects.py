"""Which affinity and anti-affinity rules may be broken, told in array passes over all of them: the others need no second look."""

import numpy as np

from vmplace.auditor.case import Case
from vmplace.auditor.plans import AuditedPlans
from vmplace.model.columns import IntArray
from vmplace.model.entities import Apart, Together

__all__ = ["suspects"]


def suspects(case: Case, plans: AuditedPlans | None) -> list[int]:
    """The must-rules, by number, that the placement or the restarts of plans may break: few that keep VMs apart or together."""
    rules = [(number, rule) for number, rule in enumerate(case.cluster.rules) if rule.must]
    together = [number for number, rule in rules if isinstance(rule, Together)]
    found = [number for number, rule in rules if not isinstance(rule, Apart | Together)]
    for scope, place in (("node", case.by_node), ("domain", case.by_domain)):
        apart = [number for number, rule in rules if isinstance(rule, Apart) and rule.scope == scope]
        found += _Members(case, apart, place).shared(plans) if apart else []
    found += _Members(case, together, case.by_node).divided(plans) if together else []
    return sorted(set(found))


class _Members:
    """The members of some rules, as long as there are members: the rule of each, its VM, and the place that it runs at."""

    def __init__(self, case: Case, rules: list[int], place: IntArray) -> None:
        members = [case.cluster.rule_members[number] for number in rules]
        rule, vm = np.repeat(rules, [len(own) for own in members]), np.concatenate(members)
        order = np.argsort(vm, kind="stable")
        self._rule, self._vm, self._place, self._width = rule[order], vm[order], place, int(place.max(initial=0)) + 1
        runs = case.at[self._vm] >= 0
        self._running = self._spots(self._rule[runs], case.at[self._vm[runs]])

    def shared(self, plans: AuditedPlans | None) -> list[int]:
        """Rules of which two members are at one place, or restart where another does, or runs now."""
        found = [self._several(self._running)]
        if plans is not None:
            scenario, rule, spot = self._restarts(plans)
            found.append(rule[np.isin(spot, self._running)].tolist())
            order = np.lexsort((spot, scenario))
            again = (np.diff(scenario[order]) == 0) & (np.diff(spot[order]) == 0)
            found.append(rule[order[1:][again]].tolist())
        return [number for part in found for number in part]

    def divided(self, plans: AuditedPlans | None) -> list[int]:
        """Rules of which members are at several places, or restart at several."""
        spots = np.unique(self._running) // self._width
        found = [spots[1:][np.diff(spots) == 0].tolist()]
        if plans is not None:
            scenario, rule, spot = self._restarts(plans)
            order = np.lexsort((spot, scenario))
            scenario, rule, spot = scenario[order], rule[order], spot[order]
            apart = (np.diff(scenario) == 0) & (np.diff(rule) == 0) & (np.diff(spot) != 0)
            found.append(rule[1:][apart].tolist())
        return [number for part in found for number in part]

    def _spots(self, rule: IntArray, node: IntArray) -> IntArray:
        """One number for each rule and place."""
        return rule * self._width + self._place[node]

    def _several(self, spots: IntArray) -> list[int]:
        spots = np.sort(spots)
        found: list[int] = (spots[1:][np.diff(spots) == 0] // self._width).tolist()
        return found

    def _restarts(self, plans: AuditedPlans) -> tuple[IntArray, IntArray, IntArray]:
        """The restarts of members: scenario, rule and spot of each."""
        first, last = np.searchsorted(self._vm, plans.vm), np.searchsorted(self._vm, plans.vm, side="right")
        entry = np.repeat(np.arange(len(plans.vm)), last - first)
        member = np.arange(len(entry)) + np.repeat(first - np.cumsum(last - first) + last - first, last - first)
        return plans.scenario[entry], self._rule[member], self._spots(self._rule[member], plans.node[entry])
