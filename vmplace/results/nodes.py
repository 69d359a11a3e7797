"""The table of nodes: memory, load, and what the failure of each does."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.guarantee import Guarantee, less_share, scenario_key
from vmplace.results.tables import Table
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Scenario, Status, Unprotected

__all__ = ["NodeRow", "NodeTable", "node_table"]


@frozen
class NodeRow(ToDict):
    """A node with its load, and what its failure does; memory in MiB.

    Parameters
    ----------
    memory, usable
        Usable is memory without the hypervisor's reserve.
    used, free
        What running VMs take, their overhead included, and usable memory without that; below 0 if the node is overfull. A live
        migration under way counts on both of its nodes.
    overhead
        The part of `used` that is overhead.
    headroom
        What normal running must leave free, by the guarantee or the node's own headroom.
    vms
        Number of running VMs.
    scenario
        Key of the scenario in which this node, or its failure domain, fails alone; None if there is none, as where the node is
        offline or several fail at once. Of several guarantees, the one for which the failure is worst.
    status
        Whether that failure is survived: ``safe``, ``unsafe`` or ``unknown``; None without a scenario.
    displaced
        Memory of the protected VMs that it displaces.
    lost
        Number of VMs that cannot restart then.
    """

    name: str
    state: str
    pool: str
    memory: int
    usable: int
    used: int
    free: int
    overhead: int
    headroom: int
    vms: int
    scenario: str | None = None
    status: Status | None = None
    displaced: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        """The share of usable memory in use."""
        return self.used / self.usable


class NodeTable(Table[NodeRow]):
    """Nodes in document order."""

    __slots__ = ()

    _row = NodeRow


_RANK = (Status.UNSAFE, Status.UNKNOWN, Status.SAFE)


def node_table(
    cluster: Cluster, node_of: IntArray, scenarios: Mapping[str, Scenario], unprotected: Iterable[Unprotected]
) -> NodeTable:
    """The table of a placement.

    Parameters
    ----------
    node_of
        Index of each VM's node, -1 for none, shape (n_vms,).
    scenarios, unprotected
        What each failure does, under the keys of `scenario_key`.
    """
    nodes = cluster.nodes
    load, overhead, hosted = (sums.tolist() for sums in _loads(cluster, node_of))
    fates = _Fates.of(cluster, scenarios, unprotected)
    columns = (nodes.names, nodes.state, nodes.pool, nodes.domain, nodes.memory.tolist(), nodes.usable.tolist())
    rows = zip(*columns, nodes.headroom, load, overhead, hosted, strict=True)
    share = max(asked.headroom for asked in cluster.guarantees)
    return NodeTable(
        NodeRow(
            name,
            state,
            pool,
            memory,
            usable,
            used,
            usable - used,
            extra,
            _headroom(usable, share if own is None else own),
            vms,
            *(fates.of_node(name, domain) if state != "offline" else ()),
        )
        for name, state, pool, domain, memory, usable, own, used, extra, vms in rows
    )


def _headroom(usable: int, amount: Fraction | int) -> int:
    return amount if isinstance(amount, int) else usable - less_share(usable, amount)


def _loads(cluster: Cluster, node_of: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Memory in use, the overhead in it, and the number of VMs, each of shape (n_nodes,)."""
    vms, count = cluster.vms, len(cluster.nodes)
    off: BoolArray = np.append(cluster.nodes.state.are("offline"), True)  # index -1, no node, reaches the last entry
    here = (node_of >= 0) & vms.running
    arriving = here & ~off[vms.node] & ~off[vms.target] & (vms.target != node_of)
    load, overhead = (
        _sums(node_of[here], amounts[here], count) + _sums(vms.target[arriving], amounts[arriving], count)
        for amounts in (vms.charged, vms.overhead)
    )
    return load, overhead, np.bincount(node_of[here], minlength=count)


def _sums(nodes: IntArray, amounts: IntArray, count: int) -> IntArray:
    total = np.zeros(count, dtype=np.int64)
    np.add.at(total, nodes, amounts)
    return total


@frozen
class _Fates:
    """What the failures of single nodes or domains do, under each guarantee that asks for these."""

    asked: tuple[tuple[int, Guarantee], ...]
    scenarios: Mapping[str, Scenario]
    lost: Mapping[str, int]

    @classmethod
    def of(cls, cluster: Cluster, scenarios: Mapping[str, Scenario], unprotected: Iterable[Unprotected]) -> "_Fates":
        lost: dict[str, int] = {}
        for loss in unprotected:  # two of one name, where a failure domain spans pools
            lost[loss.scenario] = lost.get(loss.scenario, 0) + len(loss.vms)
        asked = tuple((number, one) for number, one in enumerate(cluster.guarantees) if one.failures == 1)
        return cls(asked, scenarios, lost)

    def of_node(self, name: str, domain: str) -> tuple[str, Status, int, int] | tuple[()]:
        """The key of the worst scenario of a node, its status, the memory displaced and the number of VMs lost."""
        keys = (scenario_key(number, (domain if one.scope == "domain" else "") or name) for number, one in self.asked)
        found = [(key, self.scenarios[key]) for key in keys if key in self.scenarios]
        if not found:
            return ()
        key, scenario = min(found, key=lambda each: (_RANK.index(each[1].status), -self.lost.get(each[0], 0)))
        return key, scenario.status, scenario.displaced, self.lost.get(key, 0)
