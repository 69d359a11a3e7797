"""Restarts in any order: nobody who must restart may be stranded by what others did before."""

from vmplace.auditor.any_order import AuditedStranding, find_stranding
from vmplace.auditor.case import Case
from vmplace.auditor.certificate import doubtful_scenarios
from vmplace.auditor.effort import TooHardError, WorkLimit
from vmplace.auditor.failures import AuditedFailures

__all__ = ["check_any_order", "story"]

_TOLD = 8


def check_any_order(failures: AuditedFailures) -> None:
    """Record ``unprotected`` for scenarios in which a VM can be stranded, ``unverified`` for those that are left open."""
    case, scenarios = failures.case, failures.scenarios
    for s in doubtful_scenarios(failures).tolist():
        key = scenarios.key(s)
        try:
            stranding = find_stranding(failures.at_once(s), WorkLimit())
        except TooHardError:
            case.blame("unverified", key, f"if {key} fails, whether some order of restarts strands a VM is too hard to tell")
            continue
        if stranding is not None:
            case.blame("unprotected", key, f"if {key} fails{story(case, stranding)}")


def story(case: Case, stranding: AuditedStranding) -> str:
    """How the VM is stranded, as the end of a sentence."""
    names, vm = case.vm.names, case.vm.names[stranding.vm]
    restarts = [f"{names[v]} restarts on {case.nodes[i]}" for v, i in stranding.restarts.items()]
    if not restarts:
        return f", no survivor can take {vm}"
    more = f" and {len(restarts) - _TOLD} more restart" if len(restarts) > _TOLD else ""
    return f" and {', '.join(restarts[:_TOLD])}{more}, then {vm} is stranded"
