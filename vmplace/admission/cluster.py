"""A cluster that changes, with its certificates: kept incrementally where memory alone binds, else certified anew."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from attrs import evolve

from vmplace.admission.candidates import CandidateSurvey
from vmplace.admission.incremental.cluster import LiveCluster, bare
from vmplace.admission.recheck import RecheckedVM
from vmplace.admission.results import Admission, Rejection
from vmplace.failover.check import check
from vmplace.failover.regression import Defects
from vmplace.model.cluster import Cluster
from vmplace.model.columns import VMColumns
from vmplace.model.entities import VM, Node, Rule, Tag
from vmplace.model.errors import Flaw, InputError, NotFoundError, error_of
from vmplace.model.labels import Labels
from vmplace.model.lookup import not_found
from vmplace.model.units import short
from vmplace.problem.compile import compile_problem
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["ChangingCluster", "Ledger"]


Asked = VM | str
"""A new VM, or the name of one of the cluster's that does not run."""


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
        self.ruled = bool(cluster.rules)
        self._guarantee = cluster.guarantee
        self.live = LiveCluster.of(cluster, budget=budget)
        self._score = score
        self._once_live, self._odd = self.live is not None, set[str]()
        self._defects: Defects | None = None

    def verdicts(self, budget: Budget) -> dict[str, Status]:
        """What would become of each failure now, by its name."""
        if self.live is not None:
            return self.live.verdicts(budget=budget)
        report = check(self.ledger.cluster, time_limit=budget.left)
        return {name: scenario.status for name, scenario in report.scenarios.items()}

    def survey(self, vm: VM, budget: Budget) -> CandidateSurvey:
        """The survey of candidate nodes for a VM to start."""
        waits = vm.name in self.ledger and self.ledger.waits(vm)
        if self.live is not None and bare(vm):
            return self.live.survey(vm, waits=waits, score=self._score, budget=budget)
        cluster, place = self.ledger.with_vm(evolve(vm, node=None, target=None, running=True))
        return RecheckedVM(cluster, place, self._defects_now(budget), None, waits).survey(self._score, budget)

    def single(self, vm: VM, budget: Budget) -> Admission:
        """Where a VM may be started."""
        survey = self.survey(vm, budget)
        known, index = survey.known, next(survey.admitted(budget), None)
        if index is None:
            return Admission(known.status, vm.name, reason=known.summary())
        node = known.names[index]
        return Admission(Status.ADMITTED, vm.name, node, {vm.name: node}, score=known.scores[index].item())

    @property
    def monotone(self) -> bool:
        """Whether one VM more never makes a failure easier: so it is where restarts are planned for each failure alone."""
        asked = self._guarantee
        in_turn = asked.sequence == "sequential" and asked.failures > 1
        return asked.restart == "planned" and asked.policy is None and not in_turn

    def settle(self, vm: VM, wanted: VM, budget: Budget, force: bool) -> Admission:
        """Have a VM as wanted, unless that makes anything worse."""
        name, node = wanted.name, wanted.node
        if node is not None:
            self._refuse_pool(wanted)
        if self.live is None:
            self.ledger.with_vm(wanted)  # which refuses what contradicts the rules
        known = name in self.ledger
        if not (force or self._harmless(vm if known else None, wanted)):
            told, free, failing = self._weigh(vm if known else None, wanted, budget)
            if told is not Rejection.NOTHING:
                assert node is not None
                return Admission(told.status, name, reason=told.sentence(node, free, failing))
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
        stays = vm is not None and vm.node == wanted.node
        if wanted.node is None or not wanted.running or (stays and self.ledger.waits(wanted)):
            return True
        return vm is not None and stays and self.monotone and wanted.charged <= vm.charged

    def _weigh(self, vm: VM | None, wanted: VM, budget: Budget) -> tuple[Rejection, int, str]:
        """What speaks against a VM as wanted, what is free there, and which failure is to blame."""
        host, waits = None if vm is None else self.ledger.host(vm), vm is not None and self.ledger.waits(vm)
        node = wanted.node
        assert node is not None
        if self.live is None or not bare(wanted):
            cluster, place = self.ledger.with_vm(wanted)
            names = list(self.ledger.nodes)
            was, index = None if host is None else names.index(host), names.index(node)
            smaller = vm is not None and wanted.charged <= vm.charged
            return RecheckedVM(cluster, place, self._defects_now(budget), was, waits, smaller).weigh(index, budget)
        if host is None:
            return self.live.weigh(wanted, node, waits=waits, stays=False, budget=budget)
        assert vm is not None
        before = self.live.losses(vm.pool, budget=budget)
        self.live.take(vm, host)
        try:
            return self.live.weigh(wanted, node, waits=False, stays=host == node, budget=budget, before=before)
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

    def restate(self, node: str, state: str) -> None:
        """A node fails, or is back."""
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
                flaws += [] if self.host(known) is None else [Flaw("vm", f"{short(vm)} runs already: use move", "conflict")]
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
            return [
                Flaw("vm.name", f"{short(vm.name)} is taken: give each its own name, or the name alone if it waits", "duplicate")
            ]
        if vm.node is not None or vm.target is not None:
            return [Flaw("vm.node", f"{short(vm.name)} has a node: leave that to the admission, or use commit", "conflict")]
        return []

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
        other = copy(self)
        other._place, other._changed = dict(self._place), dict(self._changed)
        other.put(vm)
        return other.cluster, list(other.cluster.vms.names).index(vm.name)

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

    def set_state(self, node: str, state: str) -> None:
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
