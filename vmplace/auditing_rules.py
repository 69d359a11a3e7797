"""Whether must-rules are kept: in normal running, and by the restarts after a failure."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.auditing_case import Case
from vmplace.auditing_plans import Plans
from vmplace.auditing_scenarios import Scenarios
from vmplace.columns import BoolArray, IntArray
from vmplace.model import Apart, OnlyOn, Rule, Together
from vmplace.references import resolve

__all__ = ["Bound", "check_rules", "musts"]

Comers = dict[int, list[int]]
"""Members of a rule by the node that they are on or come to."""


@frozen(eq=False)
class Bound:
    """A must-rule with indices for names.

    Parameters
    ----------
    number
        Of the rule in its cluster.
    rule
        With its members as they are named.
    members
        VMs, in the order in which they are named.
    banned
        Nodes that only-on and not-on leave out, shape (n_nodes + 1,).
    place
        What two nodes share that apart members must not share, shape (n_nodes + 1,).
    """

    number: int
    rule: Rule
    members: list[int]
    banned: BoolArray
    place: IntArray

    @classmethod
    def of(cls, case: Case, number: int, rule: Rule) -> "Bound":
        """A rule of the cluster under audit."""
        members = [case.vm_index[vm] for vm in resolve(rule.vms, case.cluster.vms)]
        banned = np.full(len(case.node) + 1, isinstance(rule, OnlyOn))
        banned[[case.node_index[name] for name in resolve(getattr(rule, "nodes", ()), case.cluster.nodes)]] ^= True
        by_domain = isinstance(rule, Apart) and rule.scope == "domain"
        return cls(number, rule, members, banned, case.place if by_domain else np.append(np.arange(len(case.node)), -1))


def musts(case: Case) -> Iterator[Bound]:
    """The must-rules of a cluster."""
    return (Bound.of(case, r, rule) for r, rule in enumerate(case.cluster.rules) if rule.must)


def check_rules(case: Case, plans: Plans | None = None, scenarios: Scenarios | None = None) -> None:
    """Which must-rules the placement breaks, and which the restarts of the plans break."""
    order = np.argsort(plans.vm, kind="stable") if plans and case.cluster.rules else None
    for bound in musts(case):
        standing = _standing(case, bound)
        _judge(case, bound, "rule", f"rules[{bound.number}]", standing, {})
        if plans is None or scenarios is None or order is None or not bound.rule.during_failover:
            continue
        for s, comers in _comers(bound, plans, order).items():
            _judge(case, bound, "failover", scenarios.key(s), comers, _joined(bound, s, comers, standing, plans, scenarios, case))


def _standing(case: Case, bound: Bound) -> Comers:
    standing: Comers = {}
    for v in bound.members:
        if (at := int(case.at[v])) >= 0:
            standing.setdefault(at, []).append(v)
    return standing


def _comers(bound: Bound, plans: Plans, order: IntArray) -> dict[int, Comers]:
    """The restarts of a rule's members, by scenario."""
    found: dict[int, Comers] = {}
    vms = plans.vm[order]
    for v in bound.members:
        first, last = np.searchsorted(vms, v, "left"), np.searchsorted(vms, v, "right")
        for entry in order[first:last].tolist():
            found.setdefault(int(plans.scenario[entry]), {}).setdefault(int(plans.node[entry]), []).append(v)
    return found


def _joined(
    bound: Bound, scenario: int, comers: Comers, standing: Comers, plans: Plans, scenarios: Scenarios, case: Case
) -> Comers:
    """Members that stand where an apart member comes."""
    if not isinstance(bound.rule, Apart):
        return {}
    places = {int(bound.place[i]) for i in comers}
    failed = set(scenarios.units[scenario].tolist())
    joined = {
        i: [v for v in members if not (case.vm.evictable[v] and plans.evicts(scenario, v))]
        for i, members in standing.items()
        if int(bound.place[i]) in places and int(scenarios.unit[i]) not in failed
    }
    return {i: members for i, members in joined.items() if members}


def _judge(case: Case, bound: Bound, kind: str, subject: str, comers: Comers, standing: Comers) -> None:
    """Record whether members that are on, or come to, some nodes break a rule, seeing those that stand where they come."""
    if isinstance(bound.rule, Apart):
        crowd: dict[int, int] = {}
        for i, members in (*comers.items(), *standing.items()):
            crowd[int(bound.place[i])] = crowd.get(int(bound.place[i]), 0) + len(members)
        bad = [i for i in comers if crowd[int(bound.place[i])] > 1]
    elif isinstance(bound.rule, Together):
        bad = list(comers) if len(comers) > 1 else []
    else:
        bad = [i for i in comers if bound.banned[i]]
    if bad:
        places = "; ".join(f"{', '.join(case.vm.names[v] for v in comers[i])} on {case.nodes[i]}" for i in bad)
        case.blame(kind, subject, f"rules[{bound.number}] ({bound.rule.kind}) is broken by {places}")
