"""Clusters of which memory nearly implies a further resource."""

from attrs import evolve
from hypothesis import strategies as st

from vmplace.testing import clusters

__all__ = ["nearly_implied"]


@st.composite
def nearly_implied(draw, **features):
    """Clusters of which memory implies a resource, or not by one unit; some of their rules are given twice."""
    cluster = draw(clusters(**features))
    per = draw(st.integers(1, 3))
    slack = draw(st.sampled_from([0, 0, 0, -1, 1]))
    on = {node.name: 0 for node in cluster.nodes}
    for vm in cluster.vms:
        for name in {vm.node, vm.target} - {None}:
            on[name] += vm.charged
    bound = {node.name: max(node.usable, on[node.name]) for node in cluster.nodes}
    nodes = [evolve(n, resources={**n.resources, "cpu": max(0, per * bound[n.name] + slack)}) for n in cluster.nodes]
    vms = [evolve(v, resources={**v.resources, "cpu": draw(st.integers(0, per * v.charged))}) for v in cluster.vms]
    again = [evolve(rule, name=f"again {i}") for i, rule in enumerate(cluster.rules) if draw(st.booleans())]
    soft = [*cluster.soft_resources, *(["cpu"] if draw(st.booleans()) and cluster.nodes else [])]
    return evolve(cluster, nodes=nodes, vms=vms, rules=[*cluster.rules, *again], soft_resources=soft)
