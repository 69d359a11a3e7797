"""The claims about soft rules: which are broken now, by whom, and what that costs; VMs away from home among them."""

from vmplace.auditor.case import Case
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.rules import AuditedRule, breakers, degree, musts
from vmplace.model.units import short
from vmplace.results.values import BrokenRule

__all__ = ["check_broken_rules", "soft_cost"]


def check_broken_rules(claims: Claims, case: Case) -> None:
    """Re-check the list of broken soft rules; each must name all VMs that break it."""
    claimed, broken, away = claims.read("broken_rules", tuple[BrokenRule, ...], ()), _broken(case), _away(case)
    for says in claimed:
        if says.rule is None and away:
            if (says.kind, says.weight, says.cost, set(says.vms)) != ("home", 1, len(away), set(away)):
                claims.wrong(
                    "broken_rules", f"is not right about homes: {', '.join(away)} are away from home, at a cost of {len(away)}"
                )
            away = []
        elif says.rule not in broken:
            what = (
                "homes, but every VM is at home" if says.rule is None else f"rules[{says.rule}], which is not a broken soft rule"
            )
            claims.wrong("broken_rules", f"lists {what}")
        else:
            _check_one(claims, case, says, broken.pop(says.rule))
    for number in broken:
        claims.wrong("broken_rules", f"does not list rules[{number}], which is broken")
    if away:
        claims.wrong("broken_rules", f"does not list the VMs that are away from home: {', '.join(away)}")
    claims.right("broken_rules")


def _check_one(claims: Claims, case: Case, says: BrokenRule, bound: AuditedRule) -> None:
    right = (bound.rule.kind, bound.rule.weight, {case.vm.names[v] for v in breakers(case, bound)})
    if (says.kind, says.weight, set(says.vms)) != right:
        broken_by = ", ".join(sorted(right[2]))
        claims.wrong("broken_rules", f"rules[{says.rule}] is {right[0]} of weight {right[1]}, broken by {broken_by}")
    cost = bound.rule.weight * degree(case, bound)
    if (says.cost, says.name) != (cost, bound.rule.name):
        claims.wrong("broken_rules", f"rules[{says.rule}] is called {short(bound.rule.name)} and costs {cost}")


def soft_cost(case: Case) -> int:
    """What soft rules and homes cost in all."""
    return sum(bound.rule.weight * degree(case, bound) for bound in _broken(case).values()) + len(_away(case))


def _broken(case: Case) -> dict[int, AuditedRule]:
    """Soft rules that are broken now, by number."""
    soft = (AuditedRule.of(case, number, rule) for number, rule in enumerate(case.cluster.rules) if not rule.must)
    return {bound.number: bound for bound in soft if breakers(case, bound)}


def _away(case: Case) -> list[str]:
    """VMs that are not at home, though state, pool and must-rules would let them be."""
    if case.vm.home.words in ((), ("",)):
        return []
    index, must = case.node_index, list(musts(case))
    online = case.node.state.are("online") & ~case.drained[:-1]
    found = []
    for v, home in enumerate(index.get(name, -1) for name in case.vm.home):
        if home < 0 or case.at[v] in (-1, home) or not online[home] or case.vm_pool[v] != case.node_pool[home]:
            continue
        if not any(bound.banned[home] and v in bound.member_set for bound in must):
            found.append(case.vm.names[v])
    return found
