"""The audit of the VMs that a saved result calls unprotected, against its own plans and the cluster."""

from collections.abc import Iterable, Iterator, Mapping

from vmplace.auditor.scenarios import unit_names
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.results.values import Violation

__all__ = ["false_claims"]

Plan = Mapping[str, str | None]
"""VM to node; None for a VM that has no node."""


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
            yield Violation("failover", scenario, f"{short(vm)}, listed as unprotected, is no VM of this cluster")
        elif restart is not None and _one_plan_decides(cluster):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but the plan restarts it on {restart}")
        elif unit_of.get(placement.get(vm)) not in scenario.split("+"):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but is not on {scenario}")


def _one_plan_decides(cluster: Cluster) -> bool:
    """Whether a plan that holds shows that its VMs are protected; else a VM may be lost although the plan holds."""
    asked = cluster.guarantee
    in_turn = asked.sequence == "sequential" and asked.failures > 1
    return not in_turn and (asked.policy is not None or asked.restart == "planned")
