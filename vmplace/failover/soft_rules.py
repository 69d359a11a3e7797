"""Soft rules that are broken, in names: in normal running, and by failover plans."""

from collections.abc import Iterator

import numpy as np
from attrs import evolve

from vmplace.failover.verdict import Verdict
from vmplace.model.columns import IntArray
from vmplace.model.entities import Apart
from vmplace.problem.names import Names
from vmplace.problem.rules import CompiledRule, breaches, offenders
from vmplace.results.values import BrokenRule

__all__ = ["breaking_plans", "named_broken_rules"]

_FEW = 5
"""Of so many places a sentence names the VMs."""


def named_broken_rules(names: Names, node_of: IntArray) -> tuple[BrokenRule, ...]:
    """Soft rules that are broken in normal running; at the end, VMs away from home as one."""
    found, away = [], [np.zeros(0, dtype=np.int64)]
    for rule in names.problem.compiled_rules:
        times = 0 if rule.must else breaches(rule, node_of)
        if times and rule.kind == "home":
            away.append(offenders(rule, node_of))
        elif times:
            kind, vms, name = names.rule(rule), offenders(rule, node_of), names.cluster.rules[rule.index].name
            found.append(BrokenRule(rule.index, kind, rule.weight, rule.weight * times, names.vms(vms), name))
    homeless = np.sort(np.concatenate(away))
    if len(homeless):
        found.append(BrokenRule(None, "home", 1, len(homeless), names.vms(homeless)))
    return tuple(found)


def breaking_plans(names: Names, verdict: Verdict) -> Iterator[str]:
    """A sentence for each plan and soft rule that it breaks; what is certified without a plan has one that breaks none."""
    scenarios = verdict.state.scenarios
    for rule in names.problem.compiled_rules:
        if rule.must or not rule.during_failover:
            continue
        mine = verdict.planned[np.isin(verdict.planned.vm, rule.vms)]
        mine = mine[np.argsort(mine.scenario, kind="stable")]
        numbers, first = np.unique(mine.scenario, return_index=True)
        for number, start, stop in zip(numbers.tolist(), first, np.append(first, len(mine.scenario))[1:], strict=True):
            here = mine[np.arange(start, stop)]
            vms, nodes = _broken_by(rule, here.vm, here.node, verdict.state.node_of, scenarios.failing(number))
            if len(vms):
                key = names.scenario(scenarios, number)
                fails = f"{key} fail, their" if "+" in key else f"{key} fails, its"
                yield f"If {fails} failover plan breaks {_label(names, rule)}: {_places(names, rule, vms, nodes)}"


def _label(names: Names, rule: CompiledRule) -> str:
    name = names.cluster.rules[rule.index].name
    return f"soft rule {rule.index if name is None else name} ({names.rule(rule)})"


def _broken_by(rule: CompiledRule, vms: IntArray, to: IntArray, node_of: IntArray, failed: IntArray) -> tuple[IntArray, IntArray]:
    """The VMs by which restarts break a rule, and where they are then: of ``apart``, those too that stay where others come."""
    if rule.zone is not None:
        hosts = node_of[rule.vms]
        near = (hosts >= 0) & ~np.isin(hosts, failed) & np.isin(rule.zone[hosts], rule.zone[to])
        vms, to = np.concatenate([vms, rule.vms[near]]), np.concatenate([to, hosts[near]])
    guilty = offenders(evolve(rule, vms=np.arange(len(vms))), to)
    return vms[guilty], to[guilty]


def _places(names: Names, rule: CompiledRule, vms: IntArray, nodes: IntArray) -> str:
    """Who is where: ``a, b share n3``."""
    zone, own = nodes if rule.zone is None else rule.zone[nodes], names.cluster.rules[rule.index]
    wide, parts = isinstance(own, Apart) and own.scope == "domain", []
    for place in dict.fromkeys(zone.tolist()):
        those = ", ".join(names.vms(np.sort(vms[zone == place])))
        node = int(nodes[zone == place][0])
        where = (names.cluster.nodes.domain[node] if wide else "") or names.node(node)
        parts.append(f"{those} share {where}" if rule.zone is not None else f"{those} on {where}")
    more = f"; {len(parts) - _FEW} more" if len(parts) > _FEW else ""
    return "; ".join(parts[:_FEW]) + more
