"""Lower bounds on objectives that sums show, whatever the search did: cheap, and seldom as high as a proof could be."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from vmplace.auditor.case import Case, sums
from vmplace.auditor.rules import musts
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["fewest_of_one_size", "fewest_powered", "infeasible", "least_moved", "least_peak"]


def least_peak(case: Case) -> Fraction:
    """No placement has a lower highest share of usable memory in use on an online node."""
    usable, least = case.memory.capacity[:-1], Fraction(0)
    for pool in range(len(case.pools)):
        nodes = np.flatnonzero(case.online[:-1] & (case.node_pool[:-1] == pool))
        if not len(nodes):
            continue
        # What is on a node in maintenance may stay there.
        vms = np.flatnonzero(_takes(case) & (case.vm_pool == pool) & ~np.append(case.maintenance[:-1], False)[case.now])
        memory = case.memory.demand[vms]
        least = max(least, Fraction(int(memory.sum()), int(usable[nodes].sum())))
        least = max(least, Fraction(int(memory.max(initial=0)), int(usable[nodes].max())))
    return least


def least_moved(case: Case) -> int:
    """No placement migrates less memory, in MiB: what has to leave its node, and what is too much on one."""
    forced, memory = _must_leave(case), case.memory.demand
    here = np.flatnonzero((case.now >= 0) & ~case.stopped)
    load, leaving = (sums(case.now[vms], memory[vms], len(case.memory.capacity)) for vms in (here, here[forced[here]]))
    excess = np.maximum(load - leaving - case.memory.capacity, 0)
    return int(leaving[:-1].sum() + excess[:-1].sum())


def _must_leave(case: Case) -> BoolArray:
    """VMs that may not be where they are: drained nodes, other pools, rules on nodes; shape (n_vms,)."""
    forced = (case.drained[case.now] | (case.node_pool[case.now] != case.vm_pool)) & (case.now >= 0)
    for bound in musts(case):
        forced[bound.members] |= bound.banned[case.now[bound.members]] & (case.now[bound.members] >= 0)
    return np.asarray(forced & ~case.stopped)


def fewest_powered(case: Case) -> int:
    """No fewer nodes can stay on: all VMs fit on them, and those that must restart without the largest that may fail."""
    return sum(_fewest(*_of_pool(case, pool)) for pool in range(len(case.pools)))


def fewest_of_one_size(case: Case) -> int:
    """No fewer nodes will do where all are alike."""
    usable = case.memory.capacity[:-1]
    _, vms, must, failures = _of_pool(case, 0)
    return _fewest(np.full(len(case.vm) + failures + 1, usable.max(initial=0)), vms, must, failures)


def _takes(case: Case) -> BoolArray:
    return np.asarray(~case.stopped)


def _of_pool(case: Case, pool: int) -> tuple[IntArray, IntArray, IntArray, int]:
    """The nodes' memory, the largest first, that of the VMs and of those that must restart, and how many nodes may fail."""
    mine, asked = case.vm_pool == pool, case.cluster.guarantee
    online = (case.online | case.maintenance)[:-1] & (case.node_pool[:-1] == pool)
    failures = asked.failures if asked.scope == "node" and not case.maintenance.any() else 0
    memory = case.memory.demand
    nodes = np.sort(case.memory.capacity[:-1][online])[::-1]
    return nodes, memory[_takes(case) & mine], memory[_takes(case) & mine & case.must], failures


def _fewest(nodes: IntArray, vms: IntArray, must: IntArray, failures: int) -> int:
    """The least number of the largest nodes for which sums and slots speak; one more than there are if none will do."""
    if not len(vms):
        return 0
    spare = failures if len(must) else 0
    needs = [(nodes, int(vms.sum())), (nodes[spare:], int(must.sum()))]
    needs += [(nodes[spare:] // size, int((must // size).sum())) for size in np.unique(must).tolist()]
    counts = []
    for number, (amounts, need) in enumerate(needs):
        enough = np.flatnonzero(np.cumsum(amounts) >= need)
        first = int(enough[0]) + 1 if len(enough) else len(amounts) + 1
        counts.append((first if need else 0) + (spare if number else 0))
    return max(counts)


def infeasible(case: Case) -> Iterator[str]:
    """What keeps any placement from being safe, in sentences: a VM larger than all nodes, or too much memory."""
    for pool, name in enumerate(case.pools):
        nodes, vms, must, failures = _of_pool(case, pool)
        if vms.max(initial=0) > nodes.max(initial=0):
            yield f"a VM of pool {name} is larger than any node"
        elif _fewest(nodes, vms, must, failures) > len(nodes):
            yield f"pool {name} has too little memory, or too few slots"
