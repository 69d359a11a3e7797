"""What was found of a placement, in the cluster's names: shared by all results."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vmplace.certify import Fate, Verdict
from vmplace.columns import IntArray, NodeColumns, VMColumns
from vmplace.goal import broken_bindings
from vmplace.model import Apart, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.naming import Names
from vmplace.problem import Binding
from vmplace.reasons import scenario_sentence
from vmplace.references import resolve
from vmplace.results import BrokenRule, Scenario, Status, Unprotected, Violation

__all__ = ["broken_rules", "by_method", "pool_verdicts", "scenarios", "soft_warnings", "unprotected"]

_STATUS = {Fate.SAFE: Status.SAFE, Fate.UNSAFE: Status.UNSAFE, Fate.UNKNOWN: Status.UNKNOWN}


def scenarios(names: Names, verdict: Verdict) -> dict[str, Scenario]:
    """Each failure's verdict, by the node's name."""
    return {
        names.node(i): Scenario(_STATUS[Fate(fate)], verdict.method[i], int(verdict.displaced[i]))
        for i, fate in enumerate(verdict.fate.tolist())
        if fate != Fate.NONE
    }


def unprotected(names: Names, verdict: Verdict) -> tuple[Unprotected, ...]:
    """Who is left out of which failure's plan, and why."""
    return tuple(
        Unprotected(
            names.node(node),
            tuple(names.vm(vm) for vm in loss.vms.tolist()),
            scenario_sentence(loss.reason, node, names),
            loss.minimal,
        )
        for node, loss in sorted(verdict.losses.items())
    )


def broken_rules(names: Names, node_of: IntArray) -> tuple[BrokenRule, ...]:
    """Rules that are no must and are not kept in normal running."""
    return tuple(
        BrokenRule(b.rule, names.rule(b), b.weight, tuple(names.vm(vm) for vm in b.vms.tolist()))
        for b in broken_bindings(names.problem, node_of)
        if not b.must
    )


def soft_warnings(names: Names, verdict: Verdict, node_of: IntArray) -> list[str]:
    """What is not wrong but worth saying: rules without members, and rules that are no must and that a failover plan breaks."""
    cluster = names.cluster
    found = [
        f"rules[{i}]: no VM has the tag {rule.vms.tag!r}"
        for i, rule in enumerate(cluster.rules)
        if isinstance(rule.vms, Tag) and not resolve(rule.vms, cluster.vms)
    ]
    for binding in names.problem.bindings:
        if binding.must or not binding.during_failover:
            continue
        for node in _breaking_failures(binding, node_of, verdict.backup_of):
            found.append(
                f"rules[{binding.rule}] ({names.rule(binding)}, weight {binding.weight}) is not kept if {names.node(node)} fails"
            )
    return found


def _breaking_failures(binding: Binding, node_of: IntArray, backup_of: IntArray) -> Iterator[int]:
    """Nodes whose failover plan breaks a rule that was no must."""
    for node in np.unique(node_of[binding.vms]).tolist():
        moved = binding.vms[(node_of[binding.vms] == node) & (backup_of[binding.vms] >= 0)]
        to = backup_of[moved]
        stay = node_of[binding.vms[node_of[binding.vms] != node]]
        if binding.nodes is not None:
            broken = not binding.nodes[to].all()
        elif binding.kind == "together":
            broken = len(np.unique(to)) > 1
        else:
            broken = len(np.unique(to)) < len(to) or bool(np.isin(to, stay).any())
        if node >= 0 and broken:
            yield node


def pool_verdicts(names: Names, verdict: Verdict, node_of: IntArray, faults: Sequence[Violation]) -> dict[str, Status]:
    """Each pool's own verdict, in document order: unsafe by a failure, a fault or a protected VM that waits."""
    cluster, problem = names.cluster, names.problem
    unplaced = problem.original[problem.protected & (node_of < 0)].tolist()
    nodes = NodeColumns.holding(cluster.nodes)
    vms = VMColumns.holding(cluster.vms, nodes.names)
    pools = dict.fromkeys([*nodes.pool.words, *vms.pool.words])
    if len(pools) == 1:
        return dict.fromkeys(pools, Status.UNSAFE if faults or unplaced else _of(verdict.fate))
    pool_of_node = dict(zip(nodes.names, nodes.pool, strict=True))
    pool_of_vm = dict(zip(vms.names, vms.pool, strict=True))
    condemned = {vms.pool[vm] for vm in unplaced}
    host = {names.vm(vm): names.node(i) for vm, i in enumerate(node_of.tolist()) if i >= 0} if faults else {}
    for fault in faults:
        condemned |= _pools_of(fault, names, host, pool_of_node, pool_of_vm)
    return {pool: Status.UNSAFE if pool in condemned else _of(verdict.fate[nodes.pool.are(pool)]) for pool in pools}


def _pools_of(
    fault: Violation, names: Names, host: Mapping[str, str], pool_of_node: Mapping[str, str], pool_of_vm: Mapping[str, str]
) -> set[str]:
    if fault.kind == "overfull":
        return {pool_of_node[fault.subject]}
    if fault.kind == "placement":
        return {pool_of_vm[fault.subject]}
    rule = names.cluster.rules[int(fault.subject.removeprefix("rules[").removesuffix("]"))]
    members = {vm: host[vm] for vm in resolve(rule.vms, names.cluster.vms) if vm in host}
    return {pool_of_vm[vm] for vm in _offenders(rule, members, names)}


def _offenders(rule: Rule, host: Mapping[str, str], names: Names) -> Iterator[str]:
    """Who breaks a rule that is broken: a rule may span pools, and be kept in some."""
    crowd = Counter(host.values())
    nodes = set(resolve(rule.nodes, names.cluster.nodes)) if isinstance(rule, OnlyOn | NotOn) else set()
    for vm, node in host.items():
        if isinstance(rule, Apart):
            offends = crowd[node] > 1
        elif isinstance(rule, Together):
            offends = True
        else:
            offends = (node in nodes) == isinstance(rule, NotOn)
        if offends:
            yield vm


def _of(fate: IntArray) -> Status:
    if np.any(fate == Fate.UNSAFE):
        return Status.UNSAFE
    return Status.UNKNOWN if np.any(fate == Fate.UNKNOWN) else Status.SAFE


def by_method(verdict: Verdict) -> dict[str, int]:
    """How many scenarios each method decided."""
    told = [how for how, fate in zip(verdict.method, verdict.fate.tolist(), strict=True) if fate != Fate.NONE]
    return {how: told.count(how) for how in dict.fromkeys(told)}
