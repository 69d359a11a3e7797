"""Gang admission: several VMs are started together, all of them or none."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.guarantee_state import Baseline
from vmplace.admission.ledger import started
from vmplace.admission.results import Admission
from vmplace.model.entities import VM
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["start_together"]


def start_together(state: ChangingCluster, vms: Sequence[VM], budget: Budget, *, keep: bool) -> Admission:
    """All VMs or none, where no failure ends worse once all run: the order in which they are given does not matter.

    The largest first, each on its best node, and another where those after it find none. With `keep` they stay there.
    """
    if len(vms) == 1 and not keep:
        return state.single(vms[0], budget)
    first = vms[0].name
    if contradiction := state.ledger.contradiction(vms):
        return Admission(Status.REFUSED, first, reason=contradiction)
    gang = _Gang(state, state.baseline(vms, budget), budget, keep)
    order = sorted(vms, key=lambda vm: (-vm.charged, vm.name))
    status = gang.assigned(order)
    if status is not Status.ADMITTED and not state.monotone:
        status = gang.assigned(order, whole=True)
    if status is Status.ADMITTED:
        node_of = {vm.name: str(vm.node) for vm in gang.placed}
        return Admission(status, first, node_of[first], {vm.name: node_of[vm.name] for vm in vms})
    if status is Status.UNKNOWN:
        return Admission(status, first, reason="time ran out before it was known whether all of them can be started")
    alone = [state.single(vm, budget) for vm in order]
    hopeless = next((found for found in alone if found.status is Status.REFUSED), None)
    if hopeless is not None:
        return hopeless
    return Admission(status, first, reason=f"each of the {len(vms)} VMs could be started, but not all of them")


@define(eq=False)
class _Gang:
    """VMs on their way: what was tried, and what is placed.

    Parameters
    ----------
    since
        What was wrong before, by guarantee.
    keep
        Whether they stay where they are placed.
    placed
        As what they run, so far.
    """

    state: ChangingCluster
    since: Sequence[Baseline | None]
    budget: Budget
    keep: bool
    placed: list[VM] = field(factory=list)
    _vain: set[tuple[bool, frozenset[Any]]] = field(factory=set)

    def assigned(self, vms: Sequence[VM], *, whole: bool = False) -> Status:
        """Whether all can be started, one after the other.

        With `whole`, failures are looked at only once all are placed: a VM more may make one easier.
        To have VMs that are alike change places leads nowhere: what was tried in vain is not tried again.
        """
        if not vms:
            return Status.ADMITTED
        vm, *others = vms
        known, survey, status = vm.name in self.state.ledger, self.state.survey(vm, self.budget, self.since), Status.REFUSED
        for index in survey.fitting if whole and others else survey.admitted(self.budget):
            self.placed.append(started(vm, survey.known.names[index]))
            likeness, told = (whole, _likeness(self.state, self.placed)), Status.REFUSED
            if likeness not in self._vain:
                self.state.replace(vm.name, self.placed[-1])
                told = Status.UNKNOWN
                try:
                    told = self.assigned(others, whole=whole)
                finally:
                    if told is not Status.ADMITTED or not self.keep:
                        self.state.replace(vm.name, vm if known else None)
            if told is Status.ADMITTED:
                return told
            self._vain.add(likeness)
            self.placed.pop()
            status = told if told is Status.UNKNOWN else status
            if self.budget.spent:
                return Status.UNKNOWN
        return Status.UNKNOWN if survey.known.status is Status.UNKNOWN and not (whole and others) else status


def _likeness(state: ChangingCluster, placed: Sequence[VM]) -> frozenset[Any]:
    """What VMs take of which nodes; without their names, unless a rule or a policy tells VMs that are alike apart."""
    named = not state.interchangeable
    alike = Counter(
        (vm.node, vm.name if named else "", vm.charged, vm.priority, vm.protected, vm.evictable, *sorted(vm.resources.items()))
        for vm in placed
    )
    return frozenset(alike.items())
