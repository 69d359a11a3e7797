"""Gang admission: several VMs are started together, all of them or none."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.results import Admission
from vmplace.model.entities import VM
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["start_together"]


def start_together(state: ChangingCluster, vms: Sequence[VM], budget: Budget, *, keep: bool) -> Admission:
    """All VMs or none: the largest first, each on its best node, and another where those after it find none.

    With `keep` they stay there.
    """
    order = sorted(range(len(vms)), key=lambda i: -vms[i].charged)
    placed: list[VM] = []
    status = _assigned(state, [vms[i] for i in order], placed, set(), budget, keep=keep)
    first = vms[0].name
    if status is Status.ADMITTED:
        node_of = {vm.name: str(vm.node) for vm in placed}
        return Admission(status, first, node_of[first], {vm.name: node_of[vm.name] for vm in vms})
    alone = (state.single(vms[i], budget) for i in order)
    hopeless = next((found for found in alone if found.status is Status.REFUSED), None)
    if hopeless is not None and state.monotone:
        return hopeless
    if status is Status.REFUSED and state.monotone:
        reason = f"each of the {len(vms)} VMs could be started, but not all of them"
        return Admission(status, first, reason=reason)
    return Admission(Status.UNKNOWN, first, reason="no way to start all of them was found, nor a proof that there is none")


def _assigned(
    state: ChangingCluster, vms: Sequence[VM], placed: list[VM], vain: set[frozenset[Any]], budget: Budget, *, keep: bool
) -> Status:
    """Whether all can be started one after the other; as what, is added to those placed.

    `vain` is what has been tried: to have VMs that are alike change places leads nowhere either.
    """
    if not vms:
        return Status.ADMITTED
    vm, *others = vms
    known, survey, status = vm.name in state.ledger, state.survey(vm, budget), Status.REFUSED
    for index in survey.admitted(budget):
        placed.append(evolve(vm, node=survey.known.names[index], running=True))
        likeness, told = _likeness(state, placed), Status.REFUSED
        if likeness not in vain:
            state.replace(vm.name, placed[-1])
            told = Status.UNKNOWN
            try:
                told = _assigned(state, others, placed, vain, budget, keep=keep)
            finally:
                if told is not Status.ADMITTED or not keep:
                    state.replace(vm.name, vm if known else None)
        if told is Status.ADMITTED:
            return told
        vain.add(likeness)
        placed.pop()
        status = told if told is Status.UNKNOWN else status
        if budget.spent:
            return Status.UNKNOWN
    return Status.UNKNOWN if survey.known.status is Status.UNKNOWN else status


def _likeness(state: ChangingCluster, placed: Sequence[VM]) -> frozenset[Any]:
    """What VMs take of which nodes; without their names, unless rules may name them."""
    named = state.ruled
    alike = Counter(
        (vm.node, vm.name if named else "", vm.charged, vm.priority, vm.protected, vm.evictable, *sorted(vm.resources.items()))
        for vm in placed
    )
    return frozenset(alike.items())
