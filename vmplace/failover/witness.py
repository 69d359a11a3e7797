"""What was found of a placement, in the cluster's names: shared by all results."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.auditor.audit import audit, audit_plans, audit_running
from vmplace.failover.outcome import Loss, Reason
from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.reasons import scenario_sentence
from vmplace.failover.soft_rules import breaking_plans
from vmplace.failover.verdict import METHODS, ScenarioStatus, Verdict
from vmplace.model.columns import IntArray, NodeColumns, VMColumns
from vmplace.problem.names import Names
from vmplace.problem.rules import offenders
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.unknown_names import unknown_names
from vmplace.results.failover import FailoverPlans
from vmplace.results.placement import Report
from vmplace.results.values import Scenario, Status, Unprotected, Violation

__all__ = [
    "NamedScenarios",
    "Witness",
    "by_method",
    "pool_verdicts",
    "reported",
    "soft_warnings",
    "unprotected",
]

_STATUS = {ScenarioStatus.SAFE: Status.SAFE, ScenarioStatus.UNSAFE: Status.UNSAFE, ScenarioStatus.UNKNOWN: Status.UNKNOWN}
_WEIGHT = {ScenarioStatus.SAFE: 0, ScenarioStatus.UNKNOWN: 1, ScenarioStatus.UNSAFE: 2}


@frozen(eq=False)
class NamedScenarios(Mapping[str, Scenario]):
    """Each failure's verdict, by the names of what fails; made when asked for."""

    names: Names
    verdict: Verdict

    def __getitem__(self, key: str) -> Scenario:
        numbers = self.numbers[key]
        fate, asked = self.verdict.fate, self.verdict.state.asked
        worst = max(numbers, key=lambda number: (_WEIGHT[ScenarioStatus(int(fate[number]))], bool(asked[number])))
        displaced = sum(int(asked[number]) for number in numbers)
        return Scenario(_STATUS[ScenarioStatus(fate[worst])], self.verdict.method(worst), displaced)

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return repr(dict(self))

    def key(self, number: int) -> str:
        """The key of a scenario."""
        return self.names.scenario(self.verdict.state.scenarios, number)

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """The scenarios of each key: several where a failure domain spans pools."""
        return scenario_keys(self.names, self.verdict.state.scenarios)


def scenario_keys(names: Names, scenarios: Scenarios) -> dict[str, list[int]]:
    """Scenarios by the names of what fails, in document order."""
    numbers: dict[str, list[int]] = {}
    for number in names.in_order(scenarios):
        numbers.setdefault(names.scenario(scenarios, number), []).append(number)
    return numbers


@frozen(eq=False)
class Witness:
    """Where VMs restart, by the cluster's columns: made when asked for, and audited before anyone sees it."""

    names: Names
    verdict: Verdict
    node_of: IntArray
    powered: tuple[str, ...] | None = None
    drained: tuple[str, ...] = ()

    def __call__(self) -> FailoverPlans:
        """The failover plans."""
        self._refuse("a failover plan", [violation for violation in self._violations if violation.kind == "failover"])
        return self._plans

    def audit(self, tolerated: Collection[str], faults: Collection[Violation] = ()) -> None:
        """Raise RuntimeError if the placement or its plans break anything but what is tolerated, by kind of violation, and faults
        that were there before.
        """
        wrong = (violation for violation in self._violations if violation.kind not in tolerated)
        self._refuse("the placement", [violation for violation in wrong if violation not in faults])

    def faults(self, pools: Collection[str], node_of: IntArray) -> list[Violation]:
        """What is wrong with the placement, given over the problem's VMs as well, in these pools alone."""
        found = [v for v in self._violations if v.kind in ("overfull", "rule", "placement", "headroom")]
        guilty = _pools_at_fault(found, self.names, node_of)
        return [violation for violation, of in zip(found, guilty, strict=True) if of <= set(pools)]

    @property
    def warnings(self) -> list[str]:
        """The headroom that is not kept, and what the audit could neither confirm nor refute."""
        prefix = {"headroom": "", "unverified": "not re-checked: "}
        return [f"{prefix[v.kind]}{v.message}" for v in self._violations if v.kind in prefix]

    @cached_property
    def _plans(self) -> FailoverPlans:
        restarts = self.verdict.failover if self.verdict.countable else RestartColumns.joined([])
        return FailoverPlans(
            self.names.cluster,
            lambda: self._scenarios.numbers,
            *self._columns(restarts),
            None if self.verdict.countable else self._of,
        )

    @cached_property
    def _scenarios(self) -> NamedScenarios:
        return NamedScenarios(self.names, self.verdict)

    def _columns(self, restarts: RestartColumns) -> tuple[IntArray, IntArray, IntArray]:
        vms = restarts.vm if self.names.identical else self.names.problem.original[restarts.vm]
        return restarts.scenario, vms, restarts.node

    def _of(self, number: int) -> FailoverPlans:
        """The plan of one scenario, where all are too many."""
        columns = self._columns(self.verdict.failover_in(number))
        plans = FailoverPlans(self.names.cluster, lambda: {self._scenarios.key(number): [number]}, *columns)
        self._refuse(
            "a failover plan", audit_plans(self.names.cluster, self.node_of, plans, powered=self.powered, drained=self.drained)
        )
        return plans

    @cached_property
    def _violations(self) -> list[Violation]:
        if not self.verdict.countable:
            # Too many to be made for this; each is audited when it is asked for.
            return audit_running(self.names.cluster, self.node_of, drained=self.drained)
        column = self.names.problem.failures <= 1 and not self.names.problem.evictable.any()
        plans = self._plans.column if column else self._plans
        found = audit(self.names.cluster, self.node_of, plans, powered=self.powered, drained=self.drained)
        # Where time was too short to decide a failure, no plan is claimed, so none is missing.
        return [violation for violation in found if violation.kind != "failover" or violation.subject not in self._undecided]

    @cached_property
    def _undecided(self) -> set[str]:
        """The failures that time was too short for."""
        numbers = np.flatnonzero(self.verdict.fate == ScenarioStatus.UNKNOWN).tolist()
        return {self._scenarios.key(number) for number in numbers}

    def _refuse(self, what: str, wrong: list[Violation]) -> None:
        if wrong:
            raise RuntimeError(f"{what} failed its audit; this is a defect, please report it: {wrong[0].message}")


def reported(names: Names, verdict: Verdict, witness: Witness, node_of: IntArray, found: Sequence[Violation]) -> Report:
    """The report on a placement over the problem's VMs, under one guarantee.

    Parameters
    ----------
    found
        What it breaks in normal running.
    """
    waiting = names.vms(np.flatnonzero(node_of < 0).tolist())
    waits = frozenset(waiting)
    faults = [v for v in found if v.kind in ("overfull", "rule") or (v.kind == "placement" and v.subject not in waits)]
    pools = pool_verdicts(names, verdict, node_of, faults)
    status = next((s for s in (Status.UNSAFE, Status.UNKNOWN) if s in pools.values()), Status.SAFE)
    return Report(
        cluster=names.cluster,
        status=status,
        guarantee=status,
        node_of=witness.node_of,
        witness=witness,
        scenarios=NamedScenarios(names, verdict),
        unprotected=unprotected(names, verdict.state.scenarios, verdict.losses | _undecided_beside(names, verdict)),
        violations=tuple(faults),
        waiting=waiting,
        warnings=tuple(v.message for v in found if v.kind == "headroom"),
        pools=pools,
        method="exact",
    )


def unprotected(names: Names, scenarios: Scenarios, losses: Mapping[int, Loss]) -> tuple[Unprotected, ...]:
    """The VMs that are left out of which failure's plan, and why."""
    return tuple(
        Unprotected(
            names.scenario(scenarios, number),
            names.vms(loss.vms.tolist()),
            scenario_sentence(loss.reason, scenarios, number, names),
            loss.minimal,
        )
        for number, loss in sorted(losses.items())
    )


def _undecided_beside(names: Names, verdict: Verdict) -> dict[int, Loss]:
    """What a failure that is not survived in one pool displaces in others, where time ended first: no plan restarts it."""
    scenarios, asked = verdict.state.scenarios, names.problem.guarantee
    unknown = np.flatnonzero(verdict.fate == ScenarioStatus.UNKNOWN).tolist()
    if not unknown or (asked.scope == "node" and not asked.domains):
        return {}  # where nodes fail, no failure spans pools
    unsafe = {names.scenario(scenarios, number) for number in verdict.losses}
    beside, losses = [number for number in unknown if names.scenario(scenarios, number) in unsafe], dict[int, Loss]()
    for number in beside:
        vms = verdict.state.displaced_by(np.array([number]))[0]
        losses[number] = Loss(vms, Reason("time", tuple(vms.tolist())), minimal=False)
    return losses


def soft_warnings(names: Names, verdict: Verdict) -> list[str]:
    """Warnings: names that the cluster lacks, soft rules and resources that failover plans break, pools that fail in turn."""
    found = [*unknown_names(names.cluster), *breaking_plans(names, verdict)]
    return [*found, *_in_turn(names, verdict), *_degraded(names, verdict)]


def _in_turn(names: Names, verdict: Verdict) -> Iterator[str]:
    """Pools that survive each single failure, but not all one after the other."""
    for number, fate in verdict.turns.items():
        if fate == ScenarioStatus.UNSAFE:
            yield f"pool {names.pools[number]}: no plan for the first failure leaves room for every failure that may follow"


def _degraded(names: Names, verdict: Verdict) -> Iterator[str]:
    """Survivors that a plan drives beyond what a soft resource has there."""
    problem, state = names.problem, verdict.state
    soft = range(problem.n_firm, problem.capacity.shape[1])
    if not soft:
        return
    if not verdict.countable:
        return
    load, plans = problem.loads(state.node_of), verdict.failover
    stopped = plans.node < 0
    there = np.where(stopped, state.node_of[plans.vm], plans.node)
    pairs, entry = np.unique(plans.scenario * problem.n_nodes + there, return_inverse=True)
    number, node = pairs // problem.n_nodes, pairs % problem.n_nodes
    for r in soft:
        more, amounts = np.zeros(len(pairs), dtype=np.int64), problem.demand[plans.vm, r]
        np.add.at(more, entry, np.where(stopped, -amounts, amounts))
        over = (more > 0) & (load[node, r] + more > problem.capacity[node, r])
        for k in np.flatnonzero(over).tolist():
            used, has = int(load[node[k], r] + more[k]), int(problem.capacity[node[k], r])
            amount = f"{used} {problem.resources[r - 1]} in use of {has}"
            yield f"if {_fail(names, state.scenarios, int(number[k]))}, {names.node(int(node[k]))} is degraded: {amount}"


def _fail(names: Names, scenarios: Scenarios, number: int) -> str:
    """The nodes that fail, with the verb."""
    key = names.scenario(scenarios, number)
    return f"{key} fail" if "+" in key else f"{key} fails"


def pool_verdicts(names: Names, verdict: Verdict, node_of: IntArray, faults: Sequence[Violation]) -> dict[str, Status]:
    """Each pool's own verdict, in document order: unsafe by a failure, a fault or a protected VM that waits."""
    problem, pools = names.problem, names.pools
    waits = (problem.protected | problem.optional) & (node_of < 0)
    condemned = {pools[pool] for pool in np.unique(problem.vm_pool[waits]).tolist()}
    condemned.update(*_pools_at_fault(faults, names, node_of))
    fates = {pool: _STATUS[verdict.of_pool(number)] for number, pool in enumerate(pools)}
    return {pool: Status.UNSAFE if pool in condemned else fates[pool] for pool in pools}


def _pools_at_fault(faults: Sequence[Violation], names: Names, node_of: IntArray) -> list[set[str]]:
    """The pools that each of some violations is in."""
    on_node = [fault.subject for fault in faults if fault.kind in ("overfull", "headroom")]
    of_node = _pools_of(names.cluster.nodes, on_node)
    of_vm = _pools_of(names.cluster.vms, [fault.subject for fault in faults if fault.kind == "placement"])

    def pools(fault: Violation) -> set[str]:
        if fault.kind in ("overfull", "headroom"):
            return {of_node[fault.subject]}
        if fault.kind == "placement":
            return {of_vm[fault.subject]}
        # A rule may span pools, and be kept in some.
        guilty = offenders(names.problem.rule(int(fault.subject.removeprefix("rules[").removesuffix("]"))), node_of)
        return {names.pools[pool] for pool in names.problem.vm_pool[guilty].tolist()}

    return [pools(fault) for fault in faults]


def _pools_of(columns: NodeColumns | VMColumns, called: Sequence[str]) -> dict[str, str]:
    """The pools of some nodes or VMs; what nobody asks for costs nothing, since there may be millions."""
    wanted = frozenset(called)
    return {name: columns.pool[i] for i, name in enumerate(columns.names if wanted else ()) if name in wanted}


def by_method(verdict: Verdict) -> dict[str, int]:
    """How many scenarios each method decided."""
    count = np.bincount(verdict.told_by, minlength=len(METHODS))
    listed = {how: n for how, n in zip(METHODS, count.tolist(), strict=True) if n}
    scenarios = verdict.state.scenarios
    return listed if scenarios.complete else {**listed, "not listed": scenarios.total - len(scenarios)}
