"""What a drain has to do with, told by names: the pools of the nodes, and those that rules tie to them."""

from collections.abc import Collection

from attrs import evolve

from vmplace.model.cluster import Cluster
from vmplace.model.entities import Apart, Tag, Together


def concerned(cluster: Cluster, drained: Collection[str]) -> Cluster:
    """The cluster without the VMs that a drain leaves as they are."""
    pool_of = {vm.name: vm.pool for vm in cluster.vms}
    members = [
        {vm.name for vm in cluster.vms if rule.vms.tag in vm.tags} if isinstance(rule.vms, Tag) else set(rule.vms)
        for rule in cluster.rules
    ]
    ties = [
        {pool_of[vm] for vm in names}
        for rule, names in zip(cluster.rules, members, strict=True)
        if isinstance(rule, Apart | Together) or not rule.must
    ]
    near = {node.pool for node in cluster.nodes if node.name in drained}
    for _ in ties:
        near = near.union(*(pools for pools in ties if pools & near))
    vms = [vm for vm in cluster.vms if vm.pool in near]
    left = {vm.name for vm in vms}
    rules = [
        (rule, rule.vms if isinstance(rule.vms, Tag) else tuple(name for name in rule.vms if name in left))
        for rule in cluster.rules
    ]
    return evolve(cluster, vms=vms, rules=[evolve(rule, vms=members) for rule, members in rules if members])
