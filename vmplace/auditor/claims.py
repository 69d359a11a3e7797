"""What a saved result says of VMs that are left unprotected, checked against its own plans and against the cluster."""

from collections.abc import Iterable, Iterator, Mapping

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
    known, unit_of = set(cluster.vm_columns.names), _units(cluster)
    for scenario, vm in unprotected:
        restart = failover.get(scenario, {}).get(vm)
        if vm not in known:
            yield Violation("failover", scenario, f"{short(vm)}, listed as unprotected, is no VM of this cluster")
        elif restart is not None and _one_plan_decides(cluster):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but the plan restarts it on {restart}")
        elif unit_of.get(placement.get(vm)) not in scenario.split("+"):
            yield Violation("failover", scenario, f"{vm} is listed as unprotected, but is not on {scenario}")


def _units(cluster: Cluster) -> dict[str | None, str]:
    """What fails with each node: its failure domain, or the node alone."""
    nodes, wide = cluster.node_columns, cluster.guarantee.scope == "domain"
    return {name: domain if wide and domain else name for name, domain in zip(nodes.names, nodes.domain, strict=True)}


def _one_plan_decides(cluster: Cluster) -> bool:
    """Whether a plan that holds shows that its VMs are protected; else it may hold and a VM be lost all the same."""
    asked = cluster.guarantee
    in_turn = asked.sequence == "sequential" and asked.failures > 1
    return not in_turn and (asked.policy is not None or asked.restart == "planned")
