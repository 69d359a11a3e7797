"""A cloud as people have it: vCPUs, groups, GPUs, licences, racks, priorities, and VMs that wait or are stopped."""

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray, VMColumns
from vmplace.model.entities import OnlyOn, Tag
from vmplace.model.labels import Numbered
from vmplace.synthetic.groups import APART, LONE, RACKS, TOGETHER, Bundles, bundled, group_rules
from vmplace.synthetic.hosts import GPU, VCPU, Hosts, licence, resource_labels
from vmplace.synthetic.placing import PLACED, Item, Stage
from vmplace.synthetic.sizes import PROFILES, Weighted, drawn_vcpus
from vmplace.synthetic.wanted import Wanted

__all__ = ["cloud"]

_TOGETHER_SHARE, _APART_SHARE = 8, 2
"""A group that is together is a must up to that part of the smallest node's memory, so that one survivor can take it; one that is
apart on nodes, up to that part of the nodes; one that is apart on racks, up to as many VMs as there are racks. Others are kept as
far as they go."""

# No trace has what follows: it is chosen.
_LICENSED = 25
"""Of so many VMs that are lone or in a small group apart, one is bound to the nodes of a licence."""

_GPUS = {1: 6, 2: 3, 4: 1}
_GPU_MEMORY = 7 * 1024
"""How often a VM needs how many GPUs, and how much memory has one that does. Half of the GPUs are in use, but for a node's."""

_IMPORTANT = 10
"""The VMs of one bundle in so many have priority 1, the others 0."""

_WAITING, _STOPPED = 200, 20
"""One VM in so many waits to be started, unless it is in a group that is together; for so many VMs, one more is stopped."""


@frozen(eq=False)
class _Drawn:
    """VMs that take room: all arrays but `bundles` have the shape (n_vms,).

    Parameters
    ----------
    licences
        The number of the licence whose nodes a VM is bound to, -1 for none.
    """

    bundles: Bundles
    memory: IntArray
    vcpus: IntArray
    gpus: IntArray
    licences: IntArray
    priority: IntArray
    waiting: BoolArray


def cloud(wanted: Wanted, capacity: IntArray, memory: IntArray, source: np.random.PCG64) -> Cluster:
    """A cloud on nodes of these capacities, with VMs of this memory and some that are stopped beside them."""
    hosts = Hosts.drawn(capacity, source)
    drawn = _drawn(hosts, memory, source)
    room = np.column_stack([capacity, (hosts.threads * wanted.vcpus_each.numerator) // wanted.vcpus_each.denominator, hosts.gpus])
    demand = np.column_stack([memory, drawn.vcpus, drawn.gpus])
    node = PLACED[wanted.method](room, demand, list(_stages(hosts, drawn)))
    node[drawn.waiting] = -1
    nodes = hosts.columns
    vms = _columns(wanted, hosts, drawn, node, source)
    licences = [
        OnlyOn(Tag(licence(number)), Tag(licence(number))) for number in np.unique(drawn.licences).tolist() if number >= 0
    ]
    rules = [*group_rules(drawn.bundles, vms.names), *licences]
    return Cluster(nodes, vms.on(nodes.names), rules, overcommit={VCPU: wanted.vcpus_each}, meta=wanted.meta)


def _drawn(hosts: Hosts, memory: IntArray, source: np.random.PCG64) -> _Drawn:
    vcpus = drawn_vcpus(memory, source.random_raw(len(memory)))
    most = {
        TOGETHER: int(hosts.memory.min()) // _TOGETHER_SHARE,
        APART: len(hosts.memory) // _APART_SHARE,
        RACKS: int(hosts.rack[-1]) + 1,
    }
    bundles = bundled(np.column_stack([memory, vcpus]), most, source)
    licences = bundles.by_vm(_licences(hosts, bundles, source))
    lone = bundles.by_vm(bundles.kinds) == LONE
    important = source.random_raw(len(bundles.sizes)) % np.uint64(_IMPORTANT) == 0
    waiting = source.random_raw(len(memory)) % np.uint64(_WAITING) == 0
    return _Drawn(
        bundles,
        memory,
        vcpus,
        _gpus(hosts, memory, lone & (licences < 0), source),
        licences,
        bundles.by_vm(important.astype(np.int64)),
        waiting & (bundles.by_vm(bundles.kinds) != TOGETHER),
    )


def _licences(hosts: Hosts, bundles: Bundles, source: np.random.PCG64) -> IntArray:
    """The licence of each bundle, -1 for none: a group that is bound to few nodes is small enough to be apart on them."""
    raw, count = source.random_raw(len(bundles.sizes)), int(hosts.licences.max()) + 1
    each = len(hosts.licensed(0))
    small = bundles.must & (bundles.kinds == APART) & (bundles.sizes <= each // _APART_SHARE)
    bound = ((bundles.kinds == LONE) | small) & (raw % np.uint64(_LICENSED) == 0) & (count > 0)
    return np.where(bound, (raw // np.uint64(_LICENSED) % np.uint64(max(1, count))).astype(np.int64), -1)


def _gpus(hosts: Hosts, memory: IntArray, able: BoolArray, source: np.random.PCG64) -> IntArray:
    """The GPUs of each VM; half of those that are left if a node fails, or fewer."""
    able = able & (memory >= _GPU_MEMORY) & (memory <= hosts.memory.min() // 4)
    order = np.flatnonzero(able)[np.argsort(source.random_raw(int(able.sum())), kind="stable")]
    drawn = Weighted.of(_GPUS).draw(source.random_raw(len(order)))
    count = int(np.searchsorted(np.cumsum(drawn), (hosts.gpus.sum() - hosts.gpus.max()) // 2, side="right"))
    gpus = np.zeros(len(memory), dtype=np.int64)
    gpus[order[:count]] = drawn[:count]
    return gpus


def _stages(hosts: Hosts, drawn: _Drawn) -> Iterator[Stage]:
    """What is bound to few nodes, then the groups, those first that are a must and hardest to place."""
    bundles = drawn.bundles
    everywhere, racks = range(len(hosts.memory)), hosts.rack.tolist()
    memory, licences = bundles.total(drawn.memory), drawn.licences[bundles.vms[bundles.starts]]
    by_memory = np.argsort(-memory, kind="stable")
    for number in np.unique(licences[licences >= 0]).tolist():
        bound = by_memory[licences[by_memory] == number].tolist()
        yield Stage(hosts.licensed(number).tolist(), [Item(bundles.members(bundle), everywhere) for bundle in bound])
    computing = np.argsort(-drawn.gpus, kind="stable")[: int((drawn.gpus > 0).sum())].tolist()
    yield Stage(np.flatnonzero(hosts.gpus).tolist(), [Item([vm]) for vm in computing])
    unbound = (bundles.kinds != LONE) & (licences < 0)
    for must in (True, False):
        for kind, zone, amount in ((RACKS, racks, bundles.sizes), (TOGETHER, None, memory), (APART, everywhere, bundles.sizes)):
            chosen = np.flatnonzero(unbound & (bundles.must == must) & (bundles.kinds == kind))
            ordered = chosen[np.argsort(-amount[chosen], kind="stable")].tolist()
            yield Stage(everywhere, [item for bundle in ordered for item in _items(bundles.members(bundle), zone, must)])


def _items(vms: list[int], zone: Sequence[int] | None, must: bool) -> Iterator[Item]:
    """A group, or parts of it, none of more VMs than there are zones: a group that is larger is spread evenly."""
    most = len(vms) if zone is None else len(set(zone))
    return (Item(vms[start : start + most], zone, must) for start in range(0, len(vms), most))


def _columns(wanted: Wanted, hosts: Hosts, drawn: _Drawn, node: IntArray, source: np.random.PCG64) -> VMColumns:
    """The VMs as a cluster has them; those that are stopped come last, half of them without a node, or all where none has one."""
    running, count = len(node), len(node) // _STOPPED
    sizes, most = PROFILES[wanted.profile](wanted.node_memory), int(hosts.memory.min())
    stopped = sizes.draw(source.random_raw(count), most)
    vcpus = drawn_vcpus(stopped, source.random_raw(count))
    raw = source.random_raw(count)
    homeless = (raw % np.uint64(2) == 0) | (wanted.method == "none")
    of_stopped = np.where(homeless, -1, (raw // np.uint64(2) % np.uint64(len(hosts.memory))).astype(np.int64))
    none = np.zeros(count, dtype=np.int64)
    licences = np.concatenate([drawn.licences, none - 1])
    return VMColumns(
        np.concatenate([drawn.memory, stopped]),
        np.concatenate([node, of_stopped]),
        Numbered("vm", running + count),
        Numbered("n", len(hosts.memory)),
        running=np.arange(running + count) < running,
        priority=np.concatenate([drawn.priority, none]),
        tags=hosts.tags_of(licences),
        resources=resource_labels({VCPU: np.concatenate([drawn.vcpus, vcpus]), GPU: np.concatenate([drawn.gpus, none])}),
    )
