"""What was found of a placement, in the cluster's names: shared by all results."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.auditor import audit
from vmplace.certify import METHODS, Fate, Verdict
from vmplace.columns import IntArray
from vmplace.goal import broken_bindings
from vmplace.model import Apart, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.naming import Names
from vmplace.problem import Binding
from vmplace.reasons import scenario_sentence
from vmplace.references import resolve
from vmplace.results import BrokenRule, Scenario, Status, Unprotected, Violation

__all__ = ["Scenarios", "Witness", "broken_rules", "by_method", "pool_verdicts", "soft_warnings", "unprotected"]

_STATUS = {Fate.SAFE: Status.SAFE, Fate.UNSAFE: Status.UNSAFE, Fate.UNKNOWN: Status.UNKNOWN}


@frozen(eq=False)
class Scenarios(Mapping[str, Scenario]):
    """Each failure's verdict, by the node's name; made when asked for."""

    names: Names
    verdict: Verdict

    def __getitem__(self, name: str) -> Scenario:
        node = self._nodes[name]
        fate = _STATUS[Fate(self.verdict.fate[node])]
        return Scenario(fate, self.verdict.method(node), int(self.verdict.standing.displaced[node]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.verdict.fate != Fate.NONE))

    def __repr__(self) -> str:
        return repr(dict(self))

    @cached_property
    def _nodes(self) -> dict[str, int]:
        return {self.names.node(node): node for node in np.flatnonzero(self.verdict.fate != Fate.NONE).tolist()}


@frozen(eq=False)
class Witness:
    """Where VMs restart, by the cluster's columns: made when asked for, and audited before anyone sees it."""

    names: Names
    verdict: Verdict
    node_of: IntArray
    powered: tuple[str, ...] | None = None

    def __call__(self) -> IntArray:
        """The index of the node that each VM restarts on, -1 for none, shape (n_vms,)."""
        self._refuse("a failover plan", [violation for violation in self._violations if violation.kind == "failover"])
        return self._backup_of

    def audit(self, tolerated: Collection[str]) -> None:
        """Raise RuntimeError if the placement or its plans break anything but what is tolerated, by kind of violation."""
        self._refuse("the placement", [violation for violation in self._violations if violation.kind not in tolerated])

    @cached_property
    def _backup_of(self) -> IntArray:
        return self.names.column(self.verdict.backup_of)

    @cached_property
    def _violations(self) -> list[Violation]:
        return audit(self.names.cluster, self.node_of, self._backup_of, powered=self.powered)

    def _refuse(self, what: str, wrong: list[Violation]) -> None:
        if wrong:
            raise RuntimeError(f"{what} failed its audit; this is a defect, please report it: {wrong[0].message}")


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
        for node in _breaking_failures(binding, node_of, verdict.planned):
            found.append(
                f"rules[{binding.rule}] ({names.rule(binding)}, weight {binding.weight}) is not kept if {names.node(node)} fails"
            )
    return found


def _breaking_failures(binding: Binding, node_of: IntArray, backup_of: IntArray) -> Iterator[int]:
    """Nodes whose failover plan breaks a rule that was no must; a failure under a rule is never certified without a plan."""
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
    nodes, vms = cluster.node_columns, cluster.vm_columns
    pools = list(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))
    condemned = {pools[pool] for pool in np.unique(problem.vm_pool[problem.protected & (node_of < 0)]).tolist()}
    if faults:
        pool_of_node, pool_of_vm = (dict(zip(column.names, column.pool, strict=True)) for column in (nodes, vms))
        host = {names.vm(vm): names.node(i) for vm, i in enumerate(node_of.tolist()) if i >= 0}
        condemned.update(*(_pools_of(fault, names, host, pool_of_node, pool_of_vm) for fault in faults))
    inside = {pool: nodes.pool.are(pool) for pool in pools}
    return {pool: Status.UNSAFE if pool in condemned else _of(verdict.fate[inside[pool]]) for pool in pools}


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
    count = np.bincount(verdict.told_by[verdict.fate != Fate.NONE], minlength=len(METHODS))
    return {how: n for how, n in zip(METHODS, count.tolist(), strict=True) if n}
