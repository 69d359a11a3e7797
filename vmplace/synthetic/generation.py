"""A random cluster, by its size, its fill and its profile."""

from fractions import Fraction

import attrs
import numpy as np

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.synthetic.cloud import cloud
from vmplace.synthetic.placing import PLACED
from vmplace.synthetic.sizes import drawn_memory
from vmplace.synthetic.wanted import CLOUD, Placed, Profile, Wanted

__all__ = ["generate"]

_MIX = (Fraction(1), Fraction(1, 2), Fraction(1), Fraction(2))
"""Sizes of mixed nodes, over and over, as multiples of the node memory."""


def generate(
    *,
    nodes: int,
    node_memory: int | str = "512GiB",
    fill: float = 0.9,
    profile: Profile = "azure",
    seed: int = 0,
    placed: Placed | None = None,
    mixed: bool = False,
    overcommit: float | None = None,
) -> Cluster:
    """A random cluster; the same arguments give the same cluster on every machine.

    Parameters
    ----------
    nodes
        The number of nodes, from 2 to a million.
    node_memory
        Memory of each node, in MiB or as ``"512GiB"``.
    fill
        The VMs' memory as a share of what N+1 allows, which is all memory less the largest node's. It is met but for
        less than the smallest size of the profile. Above 1 (up to 2) no placement is N+1. VMs that are stopped come on top.
    profile
        ``azure``: sizes as often as in a public cloud, 0.75 to 112 GiB. ``flavors``: powers of two from 2 to 128 GiB.
        ``uniform``: any whole number of MiB from a 128th to an eighth of the node memory. ``big-vms``: one VM in
        sixteen takes a quarter to a half of the node memory, the others a 64th to a 16th. Sizes above the smallest
        node's memory are left out. ``cloud``: the sizes of ``azure`` with their vCPUs (96 threads per 512 GiB of a node),
        racks, GPU nodes, affinity and anti-affinity groups as large and as frequent as in another cloud's traces, VMs that are
        licensed for some nodes only, two priorities, VMs that wait and VMs that are stopped.
    seed
        A whole number of 0 or more.
    placed
        ``none``: all VMs wait. ``worst-fit``, ``best-fit``: largest first, each on the node with the most, or with the
        least sufficient, free memory; a VM that fits on no node waits. Neither reserves room for failures. ``cloud``, which is
        ``worst-fit`` by default (the others: ``none``), places within the rules: first what is bound to few nodes, then groups,
        then the other VMs, by free memory or free vCPUs, whichever are scarcer on a node.
    mixed
        Of each four nodes, two have the node memory, one has half and one has twice as much.
    overcommit
        ``cloud`` only: vCPUs per processor thread; None: 4, with which they seldom bind. At 2.25 they are as scarce as memory;
        below, scarcer, and `fill` is more than what N+1 allows.

    Raises
    ------
    InputError
        (a ValueError) that names the parameter and the mend.
    """
    wanted = Wanted(**locals())
    capacity, source = _capacity(wanted), np.random.PCG64(wanted.seed)
    memory = drawn_memory(wanted, capacity, source)
    if wanted.profile == CLOUD:
        return cloud(wanted, capacity, memory, source)
    where = PLACED[wanted.method](capacity, memory)
    return attrs.evolve(Cluster.from_arrays(node_memory=capacity, vm_memory=memory, vm_node=where), meta=wanted.meta)


def _capacity(wanted: Wanted) -> IntArray:
    kinds = [int(wanted.node_memory * multiple) for multiple in (_MIX if wanted.mixed else _MIX[:1])]
    return np.resize(np.array(kinds, dtype=np.int64), wanted.nodes)
