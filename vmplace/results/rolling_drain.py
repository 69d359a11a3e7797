"""The result of `rolling_drain`: groups of nodes drained one after the other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.text import counted, readable
from vmplace.results.actions import Part
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Solution
from vmplace.results.result import Result
from vmplace.results.values import Status

__all__ = ["RollingDrain", "back_in_service", "carried_out", "homeward"]


@frozen(kw_only=True, eq=False, repr=False)
class RollingDrain(Result):
    """Groups of nodes, to be drained one after the other.

    Parameters
    ----------
    status
        ``optimal``: every node is in a group, and no fewer groups are possible. ``feasible``: every node is. ``infeasible``:
        proved that some node cannot be drained; the groups are of the others. ``unknown``: some node was not decided in time.
    groups
        One `drain` for each group, starting from the cluster as the group before leaves it, with that group's nodes back. Where
        the guarantee cannot hold meanwhile, a group is a single node, and its `Solution.suspended` says why.
    bound
        A lower bound on the number of groups for the nodes that are in one.
    undrained
        Nodes that are not in any group, and why.
    stats
        Seconds, and how many drains were tried.
    """

    _keys = "status guarantee bound migrated undrained suspended groups:_groups stats"

    status: Status
    groups: tuple[Solution, ...] = ()
    bound: int = 0
    undrained: Mapping[str, str] = field(factory=dict)
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def nodes(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each group."""
        return tuple(group.drained for group in self.groups)

    @property
    def guarantee(self) -> Status:
        """``safe`` if it holds while any of the groups is out; ``unsafe`` or ``unknown`` if not, or not known to."""
        found = {group.guarantee for group in self.groups}
        return next((status for status in (Status.UNSAFE, Status.UNKNOWN) if status in found), Status.SAFE)

    @property
    def returns(self) -> tuple[MigrationPlan | None, ...]:
        """What is done when the nodes of each group are back: with ``home=True`` its VMs return, and what was stopped is started.

        Empty if nothing is done after any.
        """
        plans = tuple(group.afterwards for group in self.groups)
        return plans if any(plan is not None for plan in plans) else ()

    @property
    def suspended(self) -> tuple[int, ...]:
        """The groups, from 1, during which the guarantee does not hold, or is not known to."""
        return tuple(number for number, group in enumerate(self.groups, 1) if not group.held)

    @property
    def migrated(self) -> int:
        """MiB that migrate in all, stop-overs and ways back among them."""
        there = sum(migration.memory for group in self.groups for migration in group.migrations)
        return there + sum(migration.memory for plan in self.returns if plan is not None for migration in plan.migrations)

    @property
    def todo(self) -> tuple[Part, ...]:
        """What there is to do, in order: each group is emptied and serviced, then what follows once its nodes are back."""
        return tuple(part for group in self.groups for part in group.maintenance)

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return [{"nodes": group.drained, "solution": group} for group in self.groups]

    def to_document(self, cluster: Cluster) -> Cluster:
        """The cluster as the last group leaves it, all nodes back."""
        if not self.groups:
            return cluster
        after, plan = back_in_service(cluster, self.groups[-1]), self.groups[-1].afterwards
        return after if plan is None else carried_out(after, plan)

    @property
    def safe(self) -> bool:
        """Whether every node is in a group, and the guarantee is known to hold while any group is out."""
        return not self.undrained and self.guarantee is Status.SAFE

    def summary(self) -> str:
        """The answer in a line."""
        drained = f"{counted(sum(map(len, self.nodes)), 'node')} in {counted(len(self.groups), 'group')}"
        left = f", {counted(len(self.undrained), 'node')} not drained" if self.undrained else ""
        return f"{self.status}: {drained}{left}, {readable(self.migrated)} migrated, guarantee {self.guarantee}"


def back_in_service(cluster: Cluster, solution: Solution) -> Cluster:
    """The cluster as a drain leaves it, its nodes as they were before."""
    return evolve(solution.to_document(), nodes=cluster.nodes)


def carried_out(cluster: Cluster, plan: MigrationPlan) -> Cluster:
    """The cluster once a plan has been carried out: the VMs that it starts run."""
    ends = {migration.vm: migration.destination for migration in plan.migrations}
    ends |= {start.vm: start.node for _, start in plan.starts}
    if not ends:
        return cluster
    vms, nodes = cluster.vms.index_of, cluster.nodes.index_of
    node, running = cluster.vms.node.copy(), cluster.vms.running.copy()
    for vm, end in ends.items():
        node[vms[vm]], running[vms[vm]] = nodes[end], True
    return evolve(cluster, vms=evolve(cluster.vms, node=node, running=running))


def homeward(cluster: Cluster, target: IntArray) -> IntArray:
    """A placement with those VMs at home that run and have one which is online, shape (n_vms,)."""
    vms, nodes = cluster.vms, cluster.nodes
    if vms.home.words in ((), ("",)):
        return target
    online = {name: i for i, name in enumerate(nodes.names) if nodes.state[i] == "online"}
    home = vms.home.numbered({word: online.get(word, -1) for word in vms.home.words})
    return np.where((home >= 0) & vms.running & (target >= 0), home, target)
