"""The claims about steps: replayed, with the memory on both nodes during each, its rules, and the guarantee after it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import define, evolve, field, frozen

from vmplace.auditor.audit import audit_running
from vmplace.auditor.case import Case, Resource, sums
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.failures import AuditedFailures, WorkLimit
from vmplace.auditor.rules import AuditedRule, breakers, musts
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.entities import Apart
from vmplace.model.text import counted
from vmplace.model.units import short
from vmplace.results.values import Migration, Start, Status, Step, Stop

__all__ = ["carried_out", "check_afterwards", "check_steps", "settled", "verdict_after"]


def check_steps(
    claims: Claims,
    case: Case,
    migrations: Sequence[Migration],
    drained: tuple[str, ...],
    *,
    before: Cluster,
    switched_off: bool = False,
) -> None:
    """Re-check the order of a result's migrations.

    Parameters
    ----------
    case
        The placement that they lead to.
    drained
        Nodes that are emptied: they take nothing in on the way, but fail as long as they host.
    before
        The cluster in which those VMs run that are stopped on the way.
    switched_off
        Whether nodes are switched off once the placement is reached; all are on until then.
    """
    outline: Mapping[str, Any] | None = claims.read("plan", Mapping[str, Any] | None)
    if outline is None:
        if any(migration.step is not None for migration in migrations):
            claims.wrong("migrations", "have step numbers, but the result has no plan")
        return
    part = claims.within("plan", outline)
    status = part.read("status", Status)
    steps = _with_migrations(part, migrations)
    claims.right("plan")
    ordered = all(migration.step is not None for migration in migrations)
    if status in (Status.INFEASIBLE, Status.UNKNOWN):
        if steps or (migrations and ordered):
            part.wrong("status", f"says {status}, but there are steps")
        elif status is Status.INFEASIBLE:
            part.leave("status", "the result has no certificate that no order exists")
    elif status not in (Status.OPTIMAL, Status.FEASIBLE):
        part.wrong("status", f"says {short(status and status.value)}, which is not optimal, feasible, infeasible or unknown")
    elif not ordered:
        part.wrong("status", f"says {status}, but not every migration has a step")
    else:
        _check_figures(part, case, steps)
        _Replay(part, case, drained, before, switched_off).run(steps)
        if status is Status.OPTIMAL and (part.members.get("extra") or part.members.get("exposed")):
            part.leave("status", "the result has no certificate that no other order is better")
    part.rest()


def verdict_after(exposed: Sequence[str], undecided: Sequence[str]) -> Status:
    """What is right to say after a step of a guarantee of which some failures are exposed, some of these undecided."""
    if not exposed:
        return Status.SAFE
    return Status.UNKNOWN if set(exposed) <= set(undecided) else Status.UNSAFE


def _with_migrations(part: Claims, migrations: Sequence[Migration]) -> list[Step]:
    """The steps, each with its migrations, which the result lists elsewhere."""
    steps = []
    for number, members in enumerate(part.read("steps", tuple[Mapping[str, Any], ...], ())):
        one = part.within(f"steps[{number}]", {"migrations": [], **members})
        step = one.read("step", int)
        if step != number + 1:
            one.wrong("step", f"says {short(step)}; {number + 1} is right")
        mine = tuple(migration for migration in migrations if migration.step == step)
        starts, guarantee = one.read("starts", tuple[Start, ...], ()), one.read("guarantee", Status | None)
        exposed, crowded, lost = (one.read(key, tuple[str, ...], ()) for key in ("exposed", "crowded", "unprotected"))
        undecided = one.read("undecided", tuple[str, ...], ())
        if not set(undecided) <= set(exposed):
            one.wrong("undecided", f"names {short(min(set(undecided) - set(exposed)))}, which is not among those exposed")
        one.read("migrations", tuple[Any, ...])
        stops = one.read("stops", tuple[Stop, ...], ())
        one.read("seconds", float | None)
        one.rest()
        steps.append(Step(number + 1, mine, starts, guarantee, exposed, crowded, lost, stops=stops, undecided=undecided))
    for migration in migrations:
        if migration.step is not None and not 1 <= migration.step <= len(steps):
            part.wrong("steps", f"has no step {migration.step}, in which {migration.vm} migrates")
    return steps


def _check_figures(part: Claims, case: Case, steps: Sequence[Step]) -> None:
    """What is summed up over all steps."""
    moves = [migration for step in steps for migration in step.migrations]
    direct = (case.now >= 0) & (case.at >= 0) & (case.at != case.now)
    extra = sum(migration.memory for migration in moves) - int(case.memory.demand[direct].sum())
    count = Counter(migration.vm for migration in moves)
    says = part.read("extra", int, 0)
    if extra < 0:
        part.wrong("extra", f"says {says} MiB, but the steps migrate {-extra} MiB less than the placement asks for")
    else:
        part.expect("extra", says, extra, " MiB")
    part.expect("stopovers", list(part.read("stopovers", tuple[str, ...], ())), [vm for vm in count if count[vm] > 1])
    exposed = [step.number for step in steps if step.suspended]
    part.expect("exposed", list(part.read("exposed", tuple[int, ...], ())), exposed)


@frozen(eq=False)
class _Moment:
    """A step while it lasts: VMs on the node they come from, and those that arrive, which take memory there as well."""

    at: IntArray
    vms: IntArray
    to: IntArray

    def free(self, case: Case, resource: Resource) -> IntArray:
        """What is left of a resource on each node, shape (n_nodes + 1,)."""
        count = len(resource.capacity)
        load = sums(self.at, resource.demand, count) + sums(self.to, resource.demand[self.vms], count)
        load += sums(case.target[case.moving], resource.demand[case.moving], count)
        return resource.capacity - load


@define(eq=False)
class _Replay:
    """The steps one after the other.

    Parameters
    ----------
    claims, case, drained, before, switched_off
        As `check_steps` takes them.
    """

    claims: Claims
    case: Case
    drained: tuple[str, ...]
    before: Cluster
    switched_off: bool
    at: IntArray = field(init=False)
    on_the_way: Cluster = field(init=False)
    lasting: list[AuditedRule] = field(init=False)
    pools: set[int] = field(init=False)
    effort: WorkLimit = field(factory=WorkLimit, init=False)

    def __attrs_post_init__(self) -> None:
        case = self.case
        self.at = np.where(self.before.vms.running, case.now, -1)
        self.on_the_way = self.before.in_state("maintenance", self.drained)
        before = Case(self.on_the_way, case.now, None, ())
        self.lasting = [bound for bound in musts(case) if not breakers(before, bound) and not breakers(case, bound)]

    def run(self, steps: Sequence[Step]) -> None:
        concerned = [m.vm for step in steps for m in step.migrations]
        concerned += [s.vm for step in steps for some in (step.starts, step.stops) for s in some]
        self.pools = {int(self.case.vm_pool[self.case.vm_index[vm]]) for vm in concerned if vm in self.case.vm_index}
        started = Counter(start.vm for step in steps for start in step.starts)
        due = [v for v in np.flatnonzero(self.at < 0).tolist() if self.case.at[v] >= 0]
        for v in due:
            if started[self.case.vm.names[v]] != 1:
                self.claims.wrong("steps", f"start {self.case.vm.names[v]} {started[self.case.vm.names[v]]} times, not once")
        for step in steps:
            self._run(step)
        for v in np.flatnonzero(self.case.stopped & (self.at >= 0)).tolist():
            self.claims.wrong("steps", f"do not stop {self.case.vm.names[v]}")

    def _run(self, step: Step) -> None:
        place, case = f"steps[{step.number - 1}]", self.case
        self._stop(place, step)
        starts = [start for start in step.starts if self._may_start(place, start)]
        moves = [m for m in step.migrations if m.vm in case.vm_index and m.destination in case.node_index]
        arriving = [(m.vm, m.destination) for m in moves] + [(start.vm, start.node) for start in starts]
        vms = np.array([case.vm_index[vm] for vm, _ in arriving], np.int64)
        to = np.array([case.node_index[node] for _, node in arriving], np.int64)
        if len(set(vms.tolist())) < len(vms):
            self.claims.wrong(place, "has a VM that migrates or starts twice at the same time")
        moment = _Moment(self.at.copy(), vms, to)
        self._check_room(place, moment)
        self._check_crowded(place, step, moment)
        self.at[vms] = to
        self._check_rules(place, moment)
        reached = self.switched_off and np.array_equal(self.at, case.at)
        self._check_guarantee(place, step, case if reached else Case(self.on_the_way, self.at, None, ()))

    def _stop(self, place: str, step: Step) -> None:
        """VMs that move cold are down from the beginning of a step until they arrive, those that are stopped for good."""
        case = self.case
        for stop in step.stops:
            v, node = case.vm_index.get(stop.vm), case.node_index.get(stop.node, -1)
            there = v is not None and node >= 0 and self.at[v] == node and stop.memory == case.memory.demand[v]
            if v is None or not (there and (case.vm.cold[v] or case.stopped[v])):
                told = "where no VM runs that the plan stops"
                self.claims.wrong(place, f"stops {short(stop.vm)} on {short(stop.node)}, {told}")
            else:
                self.at[v] = -1
        for migration in step.migrations:
            v = case.vm_index.get(migration.vm)
            if v is not None and migration.cold is not bool(self.at[v] < 0):
                self.claims.wrong(place, f"moves {migration.vm} {'without a stop' if migration.cold else 'while it is down'}")

    def _may_start(self, place: str, start: Start) -> bool:
        case, v, to = self.case, self.case.vm_index.get(start.vm), self.case.node_index.get(start.node, -1)
        if v is None or to < 0:
            self.claims.wrong(place, f"starts {short(start.vm)} on {short(start.node)}: not of this cluster")
        elif self.at[v] >= 0:
            self.claims.wrong(place, f"starts {start.vm}, which runs already")
        elif case.at[v] != to:
            self.claims.wrong(place, f"starts {start.vm} on {start.node}, but the placement has it on {case.nodes[case.at[v]]}")
        elif start.memory != int(case.memory.demand[v]):
            self.claims.wrong(place, f"says that {start.vm} has {start.memory} MiB, not {int(case.memory.demand[v])}")
        else:
            return True
        return False

    def _check_room(self, place: str, moment: _Moment) -> None:
        """A node that takes something in is not overfull while it does."""
        for resource in self.case.resources:
            free, arriving = moment.free(self.case, resource), moment.to[resource.demand[moment.vms] > 0]
            for i in np.unique(arriving).tolist():
                if free[i] < 0:
                    excess = resource.excess(int(resource.capacity[i] - free[i]), int(resource.capacity[i]))
                    self.claims.wrong(place, f"has {self.case.nodes[i]} hold {excess} while it lasts")

    def _check_crowded(self, place: str, step: Step, moment: _Moment) -> None:
        """The nodes that take something in and keep less than the headroom free meanwhile."""
        memory = self.case.memory
        tight = memory.capacity - self.case.limit > moment.free(self.case, memory)
        right = [self.case.nodes[i] for i in np.unique(moment.to).tolist() if tight[i]]
        self.claims.expect(f"{place}.crowded", sorted(step.crowded), sorted(right))

    def _check_rules(self, place: str, moment: _Moment) -> None:
        """Rules that are kept now and at the end are kept on the way; a VM that migrates is on both of its nodes."""
        after = Case(self.on_the_way, self.at, None, ())
        for bound in self.lasting:
            bad = bool(breakers(after, bound))
            if isinstance(bound.rule, Apart):
                bad = bad or self._meet(bound, moment)
            if bad:
                self.claims.wrong(place, f"breaks rules[{bound.number}] ({bound.rule.kind}), which is kept before and at the end")

    def _meet(self, bound: AuditedRule, moment: _Moment) -> bool:
        """Whether two members share a place during a step."""
        seen: dict[int, int] = {}
        arriving = dict(zip(moment.vms.tolist(), moment.to.tolist(), strict=True))
        for v in bound.members.tolist():
            for place in {int(bound.place[i]) for i in (int(moment.at[v]), arriving.get(v, -1)) if i >= 0}:
                if seen.setdefault(place, v) != v:
                    return True
        return False

    def _check_guarantee(self, place: str, step: Step, after: Case) -> None:
        """The failures that are survived by what runs after a step, in the pools in which something is done."""
        survival = Survival(AuditedFailures(after, AuditedScenarios.of(after)), self.effort)
        claims, says, key = self.claims, step.guarantee, f"{place}.guarantee"
        if says is None:
            if after.cluster.guarantee.failures:
                claims.wrong(key, "is null, but a guarantee is asked for")
            return
        if says not in (Status.SAFE, Status.UNSAFE, Status.UNKNOWN) or (says is Status.UNKNOWN and step.unprotected):
            claims.wrong(key, f"says {says}, with {counted(len(step.unprotected), 'VM')} left without a node")
        if says is not verdict_after(step.exposed, step.undecided):
            told = f"{counted(len(step.exposed), 'failure')} exposed, {len(step.undecided)} of them undecided"
            claims.wrong(key, f"says {says}, with {told}")
        asked = after.cluster.guarantee
        if asked.in_turn:
            claims.leave(key, "too hard to re-check: failures one after the other between two steps")
            return
        keys = survival.failures.scenarios.by_key
        if step.unprotected:
            claims.leave(f"{place}.unprotected", "the result has no certificate for the VMs that find no node")
        for name in step.exposed:
            if name not in keys:
                claims.wrong(f"{place}.exposed", f"{short(name)} is not a failure scenario after this step")
        if says is Status.SAFE:
            fate = survival.survives_all(self.pools)
            if fate is None:
                claims.leave(key, "too hard to re-check: whether every failure is survived after this step")
            else:
                claims.expect(key, says.value, (Status.SAFE if fate else Status.UNSAFE).value)
            return
        self._check_exposed(
            place, step, {name: survival.survives(name, None if name in step.exposed else self.pools) for name in keys}
        )

    def _check_exposed(self, place: str, step: Step, fates: Mapping[str, bool | None]) -> None:
        wrong = [name for name in fates if fates[name] is (name in step.exposed) and name not in step.undecided]
        for name in wrong:
            self.claims.wrong(f"{place}.exposed", f"{name} is {'' if fates[name] else 'not '}survived after this step")
        if None in fates.values():
            self.claims.leave(f"{place}.exposed", "too hard to re-check: whether some failures are survived after this step")
        self.claims.right(f"{place}.exposed")


def settled(cluster: Cluster, placement: Mapping[str, str | None], stopped: frozenset[str]) -> Cluster:
    """The cluster with VMs where a drain leaves them and its nodes back; those that waited run, and who was stopped waits."""
    vms, index = cluster.vms, cluster.nodes.index_of
    hosts = (None if name in stopped else placement.get(name) for name in vms.names)
    node = np.where(vms.running, np.array([index.get(host or "", -1) for host in hosts], np.int64), vms.node)
    return evolve(cluster, vms=evolve(vms, node=node, target=np.where(node != vms.node, -1, vms.target)))


def carried_out(claims: Claims, cluster: Cluster, stopped: frozenset[str]) -> tuple[Cluster, int]:
    """The cluster once all is done that follows a drain, and the memory that migrates for it in MiB."""
    plan: Mapping[str, Any] = claims.read("afterwards", Mapping[str, Any] | None) or {}
    part = claims.within("afterwards", plan)
    status, steps = part.read("status", Status), part.read("steps", tuple[Step, ...], ())
    if not plan:
        if stopped:
            claims.wrong("afterwards", "does not say how the VMs that are stopped start again")
        return cluster, 0
    claims.leave("afterwards", "the guarantee during these steps is not re-checked")
    migrations = [migration for step in steps for migration in step.migrations]
    starts = [start for step in steps for start in step.starts]
    _check_starts(part, status, Counter(start.vm for start in starts), stopped)
    at = dict(zip(cluster.vms.names, _hosts(cluster), strict=True))
    for migration in migrations:
        if at.get(migration.vm) != migration.source:
            part.wrong("steps", f"have {short(migration.vm)} leave {short(migration.source)}, where it is not")
        at[migration.vm] = migration.destination
    after = settled(cluster, at | {start.vm: start.node for start in starts}, frozenset())
    return after, sum(migration.memory for migration in migrations)


def _check_starts(part: Claims, status: Status | None, started: Counter[str], stopped: frozenset[str]) -> None:
    part.right("steps")
    for vm in started:
        if vm not in stopped or started[vm] > 1:
            part.wrong("steps", f"start {short(vm)}, which was not stopped, or start it twice")
    if status in (Status.OPTIMAL, Status.FEASIBLE) and not stopped <= set(started):
        part.wrong("status", f"says {status}, but {', '.join(sorted(stopped - set(started)))} does not start again")


def check_afterwards(claims: Claims, cluster: Cluster, placement: Mapping[str, str | None], stopped: frozenset[str]) -> None:
    """Re-check that what follows a drain ends well: nothing is overfull or broken then that was not before."""
    before = settled(cluster, placement, stopped)
    after, _ = carried_out(claims, before, stopped)
    if after is before:
        return
    bad = {(v.kind, v.subject) for v in audit_running(cluster, dict(zip(cluster.vms.names, _hosts(cluster), strict=True)))}
    for violation in audit_running(after, dict(zip(after.vms.names, _hosts(after), strict=True))):
        waits = violation.kind == "placement" and violation.subject in stopped
        if (violation.kind, violation.subject) not in bad and not waits and violation.kind != "headroom":
            claims.wrong("afterwards.steps", f"end with this: {violation.message}")


def _hosts(cluster: Cluster) -> list[str | None]:
    names = [*cluster.nodes.names, None]
    return [names[i] for i in cluster.vms.node.tolist()]
