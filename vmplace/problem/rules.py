"""Compiled rules: affinity and anti-affinity in indices, how far a placement breaks each, and which VMs break it."""

from collections.abc import Iterable

import numpy as np
from attrs import frozen

from vmplace.model.columns import BoolArray, IntArray

__all__ = ["CompiledRule", "breaches", "clashes", "kept", "offenders", "restart_breaches", "soft_cost"]


@frozen(eq=False)
class CompiledRule:
    """A rule in indices.

    Parameters
    ----------
    index
        Its index in the cluster; limits on size, then homes, have those that follow.
    kind
        ``apart``, ``together``, ``only-on`` (which ``not-on`` becomes, too); ``max-vm``: the VMs that are too large for some
        nodes; ``home``: the VMs of one home.
    vms
        Its VMs that take memory, as indices into the problem.
    nodes
        For ``only-on``, ``max-vm`` and ``home``: which nodes it leaves, shape (n_nodes,).
    zone
        For ``apart``: no two of its VMs may be in one of these, shape (n_nodes,): the nodes themselves, or failure domains.
    """

    index: int
    kind: str
    vms: IntArray
    nodes: BoolArray | None
    zone: IntArray | None
    must: bool
    weight: int
    during_failover: bool

    @property
    def binds(self) -> bool:
        """Whether it says anything of its VMs: of fewer than two, none is kept apart from others, or together with them."""
        return len(self.vms) >= (2 if self.nodes is None else 1)


def breaches(rule: CompiledRule, node_of: IntArray) -> int:
    """How far a placement breaks a rule in normal running.

    Of ``apart``, the pairs of VMs in one zone; of ``together``, the nodes beyond one; of ``only-on``, the VMs outside.
    """
    hosts = node_of[rule.vms]
    hosts = hosts[hosts >= 0]
    return restart_breaches(rule, hosts, hosts[:0])


def restart_breaches(rule: CompiledRule, to: IntArray, standing: IntArray) -> int:
    """How far restarts break a rule: as `breaches`, of those that restart; of ``apart``, also pairs with others that stay.

    Parameters
    ----------
    to
        The node of each of its VMs that restarts.
    standing
        How many of its VMs stay in the zone of each of these; what ``together`` and ``only-on`` do not ask for.
    """
    if rule.zone is not None:
        crowd = np.unique(rule.zone[to], return_counts=True)[1]
        return int((crowd * (crowd - 1) // 2).sum() + standing.sum())
    if rule.kind == "together":
        return max(0, len(np.unique(to)) - 1)
    assert rule.nodes is not None
    return int(np.count_nonzero(~rule.nodes[to]))


def kept(rule: CompiledRule, node_of: IntArray) -> bool:
    """Whether a placement keeps a rule in normal running."""
    return not breaches(rule, node_of)


def soft_cost(rules: Iterable[CompiledRule], node_of: IntArray) -> int:
    """What a placement breaks of the soft ones among some rules: the sum of each one's weight times `breaches`."""
    return sum(rule.weight * breaches(rule, node_of) for rule in rules if not rule.must)


def offenders(rule: CompiledRule, node_of: IntArray) -> IntArray:
    """The VMs that break a rule in normal running; of a broken ``together``, all that are placed."""
    vms = rule.vms[node_of[rule.vms] >= 0]
    hosts = node_of[vms]
    if rule.zone is not None:
        _, zone, crowd = np.unique(rule.zone[hosts], return_inverse=True, return_counts=True)
        return vms[crowd[zone] > 1]
    if rule.kind == "together":
        return vms if len(np.unique(hosts)) > 1 else vms[:0]
    assert rule.nodes is not None
    return vms[~rule.nodes[hosts]]


def clashes(rule: CompiledRule, vm: int, node_of: IntArray, n_nodes: int) -> IntArray:
    """How many more `breaches` a VM that a rule binds makes on each node, shape (n_nodes,)."""
    if rule.nodes is not None:
        return (~rule.nodes).astype(np.int64)
    hosts = node_of[rule.vms[rule.vms != vm]]
    hosts = hosts[hosts >= 0]
    if rule.zone is not None:
        return np.bincount(rule.zone[hosts], minlength=int(rule.zone.max(initial=0)) + 1)[rule.zone]
    alone = np.ones(n_nodes, dtype=np.int64) if len(hosts) else np.zeros(n_nodes, dtype=np.int64)
    alone[hosts] = 0
    return alone
