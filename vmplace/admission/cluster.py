"""A cluster that changes under one guarantee or several, all of which count: what one change more would do to it."""

from collections.abc import Sequence

from attrs import evolve

from vmplace.admission.candidates import CandidateSurvey, outsized
from vmplace.admission.guarantee_state import Baseline, GuaranteeState
from vmplace.admission.joint_survey import joint_survey, of_guarantee
from vmplace.admission.ledger import Difference, Ledger, started
from vmplace.admission.results import Admission, Rejection
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.errors import Flaw, InputError
from vmplace.model.guarantee import scenario_key
from vmplace.model.kinds import State
from vmplace.model.units import short, spell_memory
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["ChangingCluster"]

_FEW_CHANGES = 500
"""So many VMs are changed one by one; more, and all is compiled anew."""


class ChangingCluster:
    """What a cluster has become, and whether one change more makes anything worse under any of its guarantees.

    Parameters
    ----------
    score
        What makes a node the best.
    budget
        What may be spent on failures that only a search can tell.
    """

    def __init__(self, cluster: Cluster, score: str, *, budget: Budget) -> None:
        self.ledger = Ledger(cluster)
        self.guarantees = [GuaranteeState(self.ledger, asked, budget=budget) for asked in cluster.guarantees]
        self.interchangeable = not cluster.rules and all(state.interchangeable for state in self.guarantees)
        self._score = score

    def verdicts(self, budget: Budget) -> dict[str, Status]:
        """Whether each failure is survived now, by its key."""
        each = [state.verdicts(budget) for state in self.guarantees]
        return {scenario_key(number, key): status for number, told in enumerate(each) for key, status in told.items()}

    @property
    def monotone(self) -> bool:
        """Whether one VM more never makes a failure easier."""
        return all(state.monotone for state in self.guarantees)

    def baseline(self, vms: Sequence[VM], budget: Budget) -> list[Baseline | None]:
        """What is wrong before VMs are started, by guarantee: see `GuaranteeState.baseline`."""
        return [state.baseline(vms, budget) for state in self.guarantees]

    def survey(self, vm: VM, budget: Budget, since: Sequence[Baseline | None] = ()) -> CandidateSurvey:
        """The survey of candidate nodes for a VM to start; `since`: what to compare with, if not with what is now."""
        before = since or [None] * len(self.guarantees)
        surveys = [state.survey(vm, self._score, budget, own) for state, own in zip(self.guarantees, before, strict=True)]
        return surveys[0] if len(surveys) == 1 else joint_survey(surveys, list(self.ledger.nodes.values()))

    def single(self, vm: VM, budget: Budget) -> Admission:
        """Where a VM may be started."""
        survey = self.survey(vm, budget)
        known, index = survey.known, next(survey.admitted(budget), None)
        if index is None:
            return Admission(known.status, vm.name, reason=outsized(vm, self.ledger.nodes.values()) or known.refusal())
        node = known.names[index]
        return Admission(Status.ADMITTED, vm.name, node, {vm.name: node}, score=known.scores[index].item())

    def start(self, vm: VM, node: str, budget: Budget, force: bool = False) -> Admission:
        """Start a VM that is new, waits or is stopped."""
        return self.settle(vm if vm.name in self.ledger else None, started(vm, node), budget, force)

    def move(self, vm: VM, node: str, budget: Budget, force: bool) -> Admission:
        """Have a VM of the cluster on another node; one that waits is started there."""
        if self.ledger.waits(vm):
            return self.start(vm, node, budget, force)
        if not (force or vm.movable or vm.node == node) and self.ledger.host(vm) is not None:
            self.ledger.node(node)
            return Admission(Status.REFUSED, vm.name, reason=f"{vm.name} is not movable: stop it and start it there")
        return self.settle(vm, evolve(vm, node=node, target=None), budget, force)

    def resize(self, vm: VM, memory: int | str, budget: Budget, force: bool) -> Admission:
        """Give a VM of the cluster more or less memory; one that takes none now may have any."""
        return self.settle(vm, evolve(vm, memory=memory), budget, force or self.ledger.host(vm) is None)

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
        elif self.ledger.ruled.holds(wanted) or not all(state.keeps(wanted) for state in self.guarantees):
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
        """What speaks against a VM as wanted under the first guarantee that does, and that in a sentence."""
        node, doubt = self.ledger.node(str(wanted.node)), (Rejection.NOTHING, "")
        if node.state == "offline":
            return Rejection.STATE, Rejection.STATE.sentence(node.name, 0, "")
        for number, state in enumerate(self.guarantees, 1):
            told, reason = state.weigh(vm, wanted, budget)
            if len(self.guarantees) > 1 and of_guarantee(told, node.headroom is not None):
                reason = f"guarantee {number}: {reason}"
            if told not in (Rejection.NOTHING, Rejection.DOUBT):
                return told, reason
            doubt = (told, reason) if told is Rejection.DOUBT else doubt
        return doubt

    def replace(self, name: str, vm: VM | None) -> None:
        """A VM is as given from now on; None: it is gone."""
        old = self.ledger.vm(name) if name in self.ledger else None
        host = None if old is None else self.ledger.host(old)
        if vm is None:
            self.ledger.remove(name)
        else:
            self.ledger.put(vm)
        for state in self.guarantees:
            state.replaced(name, old, host, vm)

    def synced(self, cluster: Cluster, told: Difference, budget: Budget) -> "ChangingCluster":
        """This, or another in its place, once the cluster is as given."""
        few = len(told.changes.added) + len(told.changes.removed) + len(told.changes.changed) <= _FEW_CHANGES
        if not told.alike or not few or any(state.by_order for state in self.guarantees):
            fresh = ChangingCluster(cluster, self._score, budget=budget)
            offline = {node.name for node in fresh.ledger.nodes.values() if node.state == "offline"}
            fresh.ledger.failed.update((node, state) for node, state in self.ledger.failed.items() if node in offline)
            return fresh
        for node in told.changes.nodes_changed:
            self.ledger.failed.pop(node, None)
            self.restate(node, cluster.node(node).state)
        again = Difference.between(self.ledger, cluster).changes  # live migrations have ended with their nodes
        for name in again.removed:
            self.replace(name, None)
        for name in (*again.added, *again.changed):
            self.replace(name, cluster.vm(name))
        return self

    def fail(self, node: str) -> None:
        """A node is down."""
        state = self.ledger.node(node).state
        if state != "offline":
            self.ledger.failed[node] = state
            self.restate(node, "offline")

    def recover(self, node: str) -> None:
        """A node that is offline is back in the state it failed in."""
        if self.ledger.node(node).state == "offline":
            self.restate(node, self.ledger.failed.pop(node, "online"))

    def restate(self, node: str, state: State) -> None:
        """A node fails, or is back: live migrations from it or to it have ended."""
        for vm in self.ledger.migrating(node):
            self.replace(vm.name, evolve(vm, target=None))
        self.ledger.set_state(node, state)
        for each in self.guarantees:
            each.restated(node, state)
