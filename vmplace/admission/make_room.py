"""Admission after migrations: the least memory to migrate so that VMs without room can be started."""

from collections.abc import Sequence
from math import isinf

from attrs import evolve

from vmplace.admission.barred import barred
from vmplace.admission.ledger import Ledger, started
from vmplace.admission.results import Admission
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.units import spell_memory
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["room_made"]


def room_made(cluster: Cluster, vms: Sequence[VM], refused: Admission, budget: Budget) -> Admission:
    """Where VMs can be started once others have migrated, in a cluster that is safe then; or why not.

    Other VMs that wait there go on waiting. `refused`: the answer without migrations.
    """
    from vmplace.placement.place import repair

    ledger, wanted = Ledger(cluster), {vm.name for vm in vms}
    if ledger.contradiction(vms):
        return refused
    if why := next(filter(None, (barred(vm, cluster, refused.reason) for vm in vms)), ""):
        return evolve(refused, reason=f"{refused.reason}; no migration can help: {why}")
    for vm in cluster.vms:
        if ledger.waits(vm) and vm.name not in wanted:
            ledger.remove(vm.name)
    for vm in vms:
        ledger.put(started(vm))
    left = None if isinf(budget.limit) else budget.left
    solution = repair(ledger.cluster, time_limit=left, cancel=budget.cancel)
    if solution.placement is None or any(vm.pool in solution.unsolved for vm in vms):
        status = Status.REFUSED if solution.status is Status.INFEASIBLE else Status.UNKNOWN
        return evolve(refused, status=status, reason=f"{refused.reason}; with migrations: {solution.reason}")
    placement = {vm.name: solution.placement[vm.name] for vm in vms}
    memory = sum(migration.memory for migration in solution.migrations)
    proved = "" if solution.status is Status.OPTIMAL else "; less may be enough"
    reason = f"{refused.reason}; once {spell_memory(memory)} has migrated there is room{proved}"
    return Admission(Status.ADMITTED, refused.vm, placement[refused.vm], placement, reason=reason, migrations=solution.migrations)
