"""A cluster that changes, with its certificates: kept incrementally where memory alone binds, else certified anew."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy

import numpy as np
from attrs import evolve, frozen

from vmplace.admission.candidates import CandidateSurvey, outsized
from vmplace.admission.incremental.cluster import LiveCluster, Losses, bare
from vmplace.admission.recheck import RecheckedVM
from vmplace.admission.results import Admission, Rejection
from vmplace.failover.check import check
from vmplace.failover.regression import Defects, LostMemory, added
from vmplace.model.cluster import Cluster
from vmplace.model.columns import VMColumns
from vmplace.model.entities import VM, Node, Rule, Tag
from vmplace.model.errors import Flaw, InputError, NotFoundError, error_of, not_found
from vmplace.model.kinds import State
from vmplace.model.labels import Labels
from vmplace.model.units import short, spell_memory
from vmplace.problem.compile import compile_problem
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["Baseline", "ChangingCluster", "Ledger", "started"]


Asked = VM | str
"""A new VM, or the name of one of the cluster's that waits or is stopped."""


def started(vm: VM, node: str | None = None) -> VM:
    """A VM once it runs on a node: a live migration that it was in has ended."""
    return evolve(vm, node=node, target=None, running=True)


@frozen(eq=False)
class Baseline:
    """What is wrong before VMs are started: after all of them have been, no failure may end worse.

    Parameters
    ----------
    credit
        What each failure of a pool leaves out until they are: those of them that are down.
    defects
        What failures do now.
    losses
        The same where the cluster is live, the credit included; None where it is not, or where `defects` tells.
    """

    credit: Mapping[str, LostMemory]
    defects: Defects | None
    losses: Mapping[str, Losses] | None = None


class ChangingCluster:
    """What a cluster has become, and what one change more would do to it.

    Parameters
    ----------
    score
        What makes a node the best.
    budget
        What may be spent on failures that only a search can tell.
    """

    def __init__(self, cluster: Cluster, score: str, *, budget: Budget) -> None:
        self.ledger = Ledger(cluster)
        self.interchangeable = not cluster.rules and cluster.guarantee.policy is None
        self._guarantee = cluster.guarantee
        self.live = LiveCluster.of(cluster, budget=budget)
        self._score = score
        self._once_live, self._odd = self.live is not None, set[str]()
        self._defects: Defects | None = None

    def verdicts(self, budget: Budget) -> dict[str, Status]:
        """What would become of each failure now, by its name."""
        if self.live is not None:
            told = self.live.verdicts(budget=budget)
            return {node: told[node] for node in self.ledger.nodes if node in told}
        report = check(self.ledger.cluster, time_limit=budget.left)
        return {name: scenario.status for name, scenario in report.scenarios.items()}

    @property
    def monotone(self) -> bool:
        """Whether one VM more never makes a failure easier: so it is where restarts are planned for each failure alone."""
        asked = self._guarantee
        in_turn = asked.sequence == "sequential" and asked.failures > 1
        return asked.restart == "planned" and asked.policy is None and not in_turn

    def baseline(self, vms: Sequence[VM], budget: Budget) -> Baseline | None:
        """What is wrong before VMs are started; None where each of them in turn may be compared with what was before it."""
        if len(vms) == 1:
            return None
        credit = self._credit(vms)
        if self.live is None or not all(map(bare, vms)):
            return Baseline(credit, self._defects_now(budget))
        if not credit:
            return None
        return Baseline(credit, None, {pool: self.live.losses(pool, credit.get(pool), budget=budget) for pool in credit})

    def _credit(self, vms: Iterable[VM | None]) -> dict[str, LostMemory]:
        """What failures leave out because VMs are down, by pool."""
        credit: dict[str, LostMemory] = {}
        for vm in vms:
            if vm is not None and vm.name in self.ledger and self.ledger.waits(vm) and vm.protected and not vm.evictable:
                credit[vm.pool] = added(credit.get(vm.pool, {}), {vm.priority: vm.charged})
        return credit

    def survey(self, vm: VM, budget: Budget, since: Baseline | None = None) -> CandidateSurvey:
        """The survey of candidate nodes for a VM to start; `since`: what to compare with, if not with what is now."""
        if self.live is not None and bare(started(vm)) and (since is None or since.losses is not None):
            before = None if since is None or since.losses is None else since.losses.get(vm.pool)
            waits = before is None and bool(self._credit([vm]))
            return self.live.survey(vm, waits=waits, score=self._score, budget=budget, before=before)
        return self._rechecked(vm, started(vm), budget, since).survey(self._score, budget)

    def _rechecked(self, vm: VM | None, wanted: VM, budget: Budget, since: Baseline | None = None) -> RecheckedVM:
        """A VM as it is now (None: it is new) and as wanted."""
        if since is None:
            since = Baseline(self._credit([vm]), self._defects_now(budget))
        assert since.defects is not None
        host = None if vm is None or vm.name not in self.ledger else self.ledger.host(vm)
        was = None if host is None else list(self.ledger.nodes).index(host)
        excluded = self.ledger.contradiction([wanted])
        cluster, place = self.ledger.with_vm(evolve(wanted, tags=()) if excluded else wanted)
        grown = vm is not None and wanted.memory > vm.memory
        return RecheckedVM(cluster, place, since.defects, since.credit, was, excluded, grown)

    def single(self, vm: VM, budget: Budget) -> Admission:
        """Where a VM may be started."""
        survey = self.survey(vm, budget)
        known, index = survey.known, next(survey.admitted(budget), None)
        if index is None:
            return Admission(known.status, vm.name, reason=outsized(vm, self.ledger.nodes.values()) or known.refusal())
        node = known.names[index]
        return Admission(Status.ADMITTED, vm.name, node, {vm.name: node}, score=known.scores[index].item())

    def settle(self, vm: VM | None, wanted: VM, budget: Budget, force: bool) -> Admission:
        """Have a VM (None: it is new) as wanted, unless that makes anything worse."""
        name, node = wanted.name, wanted.node
        if node is not None:
            self._refuse_pool(wanted)
        if not (force or self._harmless(vm, wanted)):
            told, reason = self._weigh(vm, wanted, budget)
            if told in (Rejection.MEMORY, Rejection.HEADROOM):
                stays = vm is not None and self.ledger.host(vm) == node
                more = wanted.charged - (vm.charged if vm is not None and stays else 0)
                reason = f"{reason}, and {name} would take {spell_memory(more)}{' more' if stays else ''}"
            if told is not Rejection.NOTHING:
                return Admission(told.status, name, reason=reason)
        elif self.live is None:
            self.ledger.with_vm(wanted)  # which refuses what contradicts the rules
        self.replace(name, wanted)
        return Admission(Status.ADMITTED, name, node, {} if node is None else {name: node})

    def _refuse_pool(self, vm: VM) -> None:
        assert vm.node is not None
        pool = self.ledger.node(vm.node).pool
        if pool != vm.pool:
            pools = f"in pool {short(pool)}, the VM in {short(vm.pool)}"
            raise InputError([Flaw("node", f"{short(vm.node)} is {pools}: VMs never cross pools", "contradiction")])

    def _harmless(self, vm: VM | None, wanted: VM) -> bool:
        """Whether a VM as wanted takes nothing that it does not take already."""
        if wanted.node is None or self.ledger.node(wanted.node).state == "offline":
            return wanted.node is None
        stays = vm is not None and self.ledger.host(vm) == wanted.node
        return not wanted.running or (vm is not None and stays and self.monotone and wanted.charged <= vm.charged)

    def _weigh(self, vm: VM | None, wanted: VM, budget: Budget) -> tuple[Rejection, str]:
        """What speaks against a VM as wanted, and that in a sentence."""
        node, host = str(wanted.node), None if vm is None else self.ledger.host(vm)
        if self.ledger.node(node).state == "offline":
            return Rejection.STATE, Rejection.STATE.sentence(node, 0, "")
        if self.live is None or not bare(wanted):
            return self._rechecked(vm, wanted, budget).weigh(list(self.ledger.nodes).index(node), budget)
        if host is None:
            return self.live.weigh(wanted, node, waits=bool(self._credit([vm])), budget=budget)
        assert vm is not None
        before = self.live.losses(vm.pool, budget=budget)
        self.live.take(vm, host)
        try:
            return self.live.weigh(
                wanted, node, waits=False, held=vm.charged if host == node else 0, budget=budget, before=before
            )
        finally:
            self.live.put(vm, host)

    def _defects_now(self, budget: Budget) -> Defects:
        if self._defects is None or not self._defects.known:
            problem = compile_problem(self.ledger.cluster)
            self._defects = Defects.of(problem, problem.node_of, budget=budget)
        return self._defects

    def replace(self, name: str, vm: VM | None) -> None:
        """A VM is as given from now on; None: it is gone."""
        old = self.ledger.vm(name) if name in self.ledger else None
        host = None if old is None else self.ledger.host(old)
        if self.live is not None and old is not None and host is not None:
            self.live.take(old, host)
        if vm is None:
            self.ledger.remove(name)
        else:
            self.ledger.put(vm)
        self._defects = None
        if vm is not None and not bare(vm):
            self._odd.add(name)
            self.live = None
            return
        self._odd.discard(name)
        if self.live is None:
            if self._once_live and not self._odd:
                self.live = LiveCluster.of(self.ledger.cluster, budget=Budget(0))
        elif vm is not None and (node := self.ledger.host(vm)) is not None:
            self.live.put(vm, node)

    def restate(self, node: str, state: State) -> None:
        """A node fails, or is back: live migrations from it or to it have ended."""
        for vm in self.ledger.migrating(node):
            self.replace(vm.name, evolve(vm, target=None))
        self.ledger.set_state(node, state)
        self._defects = None
        if self.live is not None and state == "offline":
            self.live.close(node)
        elif self.live is not None:
            back = [vm for vm in self.ledger.on(node) if vm.running]
            self.live.open(node, back, online=state == "online")


class Ledger:
    """What a cluster has become.

    VMs of the cluster are made only when they are asked for, so that one of columns stays small.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._start = cluster
        self._cluster: Cluster | None = cluster
        self._nodes = {node.name: node for node in cluster.nodes}
        self._place = {name: place for place, name in enumerate(cluster.vms.names)}
        self._changed: dict[str, VM] = {}

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now."""
        if self._cluster is None:
            nodes = evolve(self._start.nodes, state=Labels.of([node.state for node in self._nodes.values()]))
            self._cluster = evolve(self._start, nodes=nodes, vms=self._vms(), rules=self._rules())
        return self._cluster

    def _vms(self) -> VMColumns:
        """The VMs, in document order, those that came later behind."""
        start, changed = self._start.vms, {name: len(self._start.vms) + i for i, name in enumerate(self._changed)}
        held = [changed.get(name, i) for i, name in enumerate(start.names) if self._place.get(name, -1) >= 0]
        new = [i for name, i in changed.items() if self._place[name] < 0]
        return start.followed_by(self._changed.values()).rows(np.array(held + new, dtype=np.int64))

    def __contains__(self, name: str) -> bool:
        return name in self._place

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return self._nodes

    def node(self, name: str, argument: str = "node") -> Node:
        """A node; raises NotFoundError for an unknown name."""
        try:
            return self._nodes[name]
        except (KeyError, TypeError):
            raise NotFoundError([not_found(argument, "node", name, self._nodes)]) from None

    def migrating(self, node: str) -> list[VM]:
        """The VMs that migrate from a node, or to it."""
        index = list(self._nodes).index(node)
        columns = self._start.vms
        named = np.flatnonzero((columns.target >= 0) & ((columns.target == index) | (columns.node == index)))
        vms = {columns.names[i]: columns[i] for i in named.tolist() if self._place.get(columns.names[i]) == i} | self._changed
        return [vm for vm in vms.values() if vm.target is not None and node in (vm.node, vm.target)]

    def vm(self, name: str, argument: str = "name") -> VM:
        """A VM; raises NotFoundError for an unknown name."""
        place = self._place.get(name) if isinstance(name, str) else None
        if place is None:
            raise NotFoundError([not_found(argument, "VM", name, self._place)])
        return self._changed[name] if name in self._changed else self._start.vms[place]

    def wanted(self, vms: Asked | Sequence[Asked]) -> list[VM]:
        """The VMs to start, which wait, are stopped or are new, as they are now; raises InputError for those that run."""
        asked: Sequence[Asked] = vms if isinstance(vms, Sequence) and not isinstance(vms, str) else [vms]
        flaws = [Flaw("vms", "[] names no VM: give one at least", "missing")] if not asked else []
        found = []
        for vm in asked:
            if isinstance(vm, str):
                known = self.vm(vm, "vm")
                flaws += self._running("vm", known)
                found.append(known)
            elif not isinstance(vm, VM):
                flaws.append(Flaw("vm", f"{short(vm)} is neither a VM nor the name of one: give either", "wrong-type"))
            else:
                flaws += self._flaws(vm)
                found.append(vm)
        names = [vm.name for vm in found]
        flaws += [
            Flaw("vm", f"{short(name)} is asked for twice", "duplicate") for name in dict.fromkeys(names) if names.count(name) > 1
        ]
        if flaws:
            raise error_of(flaws)
        return found

    def _flaws(self, vm: VM) -> list[Flaw]:
        if vm.name in self:
            mend = "choose another name, or give its name without memory to start it"
            taken = Flaw("vm.name", f"{short(vm.name)} is taken by a VM of the cluster: {mend}", "conflict")
            return self._running("vm.name", self.vm(vm.name)) or [taken]
        if vm.node is not None or vm.target is not None:
            return [Flaw("vm.node", f"{short(vm.name)} has a node: leave that to the admission, or use commit", "conflict")]
        return []

    def _running(self, place: str, vm: VM) -> list[Flaw]:
        """The flaw of asking to start a VM that runs."""
        node = self.host(vm)
        mend = "choose another name, or one of a VM that waits or is stopped"
        return [] if node is None else [Flaw(place, f"{short(vm.name)} runs already, on {short(node)}: {mend}", "conflict")]

    def host(self, vm: VM) -> str | None:
        """The node that a VM takes memory on; None if it waits or is stopped."""
        return vm.node if vm.running and not self.waits(vm) else None

    def waits(self, vm: VM) -> bool:
        """Whether a VM is to be started; one that is stopped is not."""
        return vm.running and (vm.node is None or self._nodes[vm.node].state == "offline")

    def on(self, node: str) -> list[VM]:
        """The VMs that name a node."""
        named = np.flatnonzero(self._start.vms.node == list(self._nodes).index(node)).tolist()
        names = self._start.vms.names
        unchanged = (self._start.vms[i] for i in named if self._place.get(names[i]) == i and names[i] not in self._changed)
        return [*unchanged, *(vm for vm in self._changed.values() if vm.node == node)]

    def with_vm(self, vm: VM) -> tuple[Cluster, int]:
        """The cluster with a VM that is new, or has changed, and which of its VMs that is; the ledger stays as it is.

        Raises
        ------
        InputError
            If the rules contradict each other with that VM.
        """
        cluster = self._with([vm])
        return cluster, list(cluster.vms.names).index(vm.name)

    def contradiction(self, vms: Sequence[VM]) -> str:
        """Why rules exclude some VMs, together, from all nodes, as far as the rules alone tell; empty if they do not."""
        try:
            if self._start.rules:
                self._with(vms)
        except InputError as error:
            return "; ".join(f"{flaw.place} {flaw.message}" for flaw in error.flaws)
        return ""

    def _with(self, vms: Iterable[VM]) -> Cluster:
        other = copy(self)
        other._place, other._changed = dict(self._place), dict(self._changed)
        for vm in vms:
            other.put(vm)
        return other.cluster

    def put(self, vm: VM) -> None:
        """A VM is new, or has changed."""
        self._place.setdefault(vm.name, -1)
        self._changed[vm.name] = vm
        self._cluster = None

    def remove(self, name: str) -> None:
        """A VM is gone."""
        del self._place[name]
        self._changed.pop(name, None)
        self._cluster = None

    def set_state(self, node: str, state: State) -> None:
        """A node is in another state."""
        self._nodes[node] = evolve(self._nodes[node], state=state)
        self._cluster = None

    def _rules(self) -> tuple[Rule, ...]:
        """The rules without the names of VMs that are gone, and without those that have no name left."""
        rules = []
        for rule in self._start.rules:
            if isinstance(rule.vms, Tag) or all(name in self._place for name in rule.vms):
                rules.append(rule)
            elif left := tuple(name for name in rule.vms if name in self._place):
                rules.append(evolve(rule, vms=left))
        return tuple(rules)
