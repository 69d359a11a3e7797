"""The independent checker of witnesses: is a placement right, do its failover plans hold, and are a result's claims true?

Whole numbers only, no solver, and no code shared with the search but the cluster as columns.
"""

from collections.abc import Iterable, Iterator, Mapping

from vmplace.auditor.any_order import check_any_order
from vmplace.auditor.case import Case, Names, Placement
from vmplace.auditor.certificate import doubtful_pools
from vmplace.auditor.failures import AuditedFailures
from vmplace.auditor.placement import check_placement
from vmplace.auditor.plans import Failover, check_plans, check_sums
from vmplace.auditor.policy import check_policy
from vmplace.auditor.quorum import check_quorum
from vmplace.auditor.rules import check_rules
from vmplace.auditor.scenarios import AuditedScenarios, unit_names
from vmplace.auditor.sequential import check_sequence
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import name_list, optional
from vmplace.model.units import short
from vmplace.results.values import Violation

__all__ = ["audit", "audit_plans", "audit_running", "false_claims"]

Plan = Mapping[str, str | None]
"""VM to node; None for a VM that has no node."""


@door(powered=optional(name_list), drained=name_list)
def audit(
    cluster: Cluster, placement: Placement, failover: Failover | None = None, *, powered: Names | None = None, drained: Names = ()
) -> list[Violation]:
    """Everything that a placement and its failover plans break; empty if they are good.

    Parameters
    ----------
    placement
        VM to node, or the index of each VM's node, of shape (n_vms,). None or -1: nowhere.
    failover
        Per failure scenario, VM to restart node; None for a VM that does not restart, or that is evictable and stopped to make
        room. A scenario left out has an empty plan. Where one unit fails at a time also the index of each VM's restart node, of
        shape (n_vms,); evictable VMs then give way wherever they have to. Without plans, what needs one is ``unverified``.
    powered, drained
        Nodes that stay powered on (None: all), and nodes to be emptied, even of VMs that are not movable. A node that is
        drained or not powered hosts nothing, takes no restarts and is no failure scenario.

    Raises
    ------
    InputError
        If an array has the wrong shape or type, or an index that is no node; or if a node without a domain is called like
        one where domains fail. Unknown names are violations.
    """
    case = Case(cluster, placement, powered, drained)
    check_placement(case)
    scenarios, plans, asked = AuditedScenarios.of(case), None, cluster.guarantee
    in_turn = _in_turn(asked)
    simulated, planned = asked.policy is not None and not in_turn, asked.policy is None and asked.restart == "planned"
    if failover is not None:
        plans = check_plans(case, scenarios, failover, complete=not simulated)
    elif planned:
        check_sums(case, scenarios)
    check_rules(case, plans, scenarios)
    stopped = check_quorum(case, scenarios)
    failures = AuditedFailures(case, scenarios)
    _check_crowded(failures)
    if simulated:
        check_policy(failures, plans, stopped)
    elif in_turn and not (planned and plans is None):
        check_sequence(failures)
    elif not planned:
        check_any_order(failures)
    return case.found


def audit_plans(
    cluster: Cluster, placement: Placement, failover: Failover, *, powered: Names | None = None, drained: Names = ()
) -> list[Violation]:
    """What these plans break, whatever the others would; who is missing in one is not told. Arguments as for `audit`."""
    case = Case(cluster, placement, powered, drained)
    scenarios = AuditedScenarios.of(case)
    check_rules(case, check_plans(case, scenarios, failover, complete=False), scenarios)
    return [violation for violation in case.found if violation.kind == "failover"]


def _check_crowded(failures: AuditedFailures) -> None:
    """Record pools with too many failures to look at each, unless arithmetic shows that all are survived."""
    case = failures.case
    mixed = failures.scenarios.named is not None  # no sums of single units bound what fails
    every = [int(failures.scenarios.pool[hosts[0]]) for hosts in failures.scenarios.crowded]
    for pool in every if mixed else doubtful_pools(failures):
        name, number = case.pools[pool], failures.scenarios.failures
        case.blame("unverified", name, f"pool {name} has too many sets of {number} that may fail to look at each")


def audit_running(cluster: Cluster, placement: Placement, *, drained: Names = ()) -> list[Violation]:
    """What a placement breaks in normal running, whatever fails; arguments and errors as for `audit`."""
    case = Case(cluster, placement, None, drained)
    check_placement(case)
    check_rules(case)
    return case.found


def false_claims(
    cluster: Cluster, placement: Plan, failover: Mapping[str, Plan], unprotected: Iterable[tuple[str, str]]
) -> Iterator[Violation]:
    """The claims that a VM is unprotected which the plans of the same result, or the cluster, contradict.

    Parameters
    ----------
    placement
        VM to node.
    failover
        Per failure scenario, VM to restart node.
    unprotected
        Pairs of failure scenario and VM.
    """
    known = set(cluster.vms.names)
    unit_of: dict[str | None, str] = dict(zip(cluster.nodes.names, unit_names(cluster), strict=True))
    for scenario, vm in unprotected:
        restart = failover.get(scenario, {}).get(vm)
        if vm not in known:
            yield Violation("failover", scenario, f"{short(vm)}, listed as unprotected, is not a VM of this cluster")
        elif restart is not None and _one_plan_decides(cluster):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but the plan restarts it on {restart}")
        elif unit_of.get(placement.get(vm)) not in scenario.split("+"):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but is not on {scenario}")


def _one_plan_decides(cluster: Cluster) -> bool:
    """Whether a plan that holds shows that its VMs are protected; else a VM may be lost although the plan holds."""
    asked = cluster.guarantee
    return not _in_turn(asked) and (asked.policy is not None or asked.restart == "planned")


def _in_turn(asked: Guarantee) -> bool:
    return asked.sequence == "sequential" and asked.failures > 1
