"""What array passes tell is true: compared with fresh checks of the same nodes and VMs."""

from random import Random

import numpy as np
import pytest

import vmplace
from vmplace import Cluster
from vmplace.admission.incremental.certificates import LiveCertificates
from vmplace.admission.incremental.state import LiveState, LiveVM

SIZES = ((1, 2, 4, 8), (2, 3, 5), (3, 4, 6, 7, 9))


def drawn(random):
    n_nodes, sizes = random.randint(2, 6), random.choice(SIZES)
    memory, node_of = [], []
    for node in range(n_nodes - 1):
        for _ in range(random.randint(0, 4)):
            memory.append(random.choice(sizes))
            node_of.append(node)
    usable = [sum(m for m, n in zip(memory, node_of, strict=True) if n == node) + random.randint(0, 9) for node in range(n_nodes)]
    return [max(1, room) for room in usable], memory, node_of, random.choice(sizes)


def state_of(usable, memory, node_of):
    room = np.array(usable, dtype=np.int64)
    state = LiveState(room, room, np.ones(len(usable), dtype=bool))
    state.fill(np.array(node_of, dtype=np.int64), [LiveVM(size) for size in memory])
    return state


def survived(usable, memory, node_of):
    report = vmplace.check(Cluster.from_arrays(node_memory=usable, vm_memory=memory, vm_node=node_of))
    return np.array([scenario.status == "safe" for scenario in report.scenarios.values()])


@pytest.mark.parametrize("seed", range(2))
def test_what_is_told_is_true(seed):
    random, told = Random(seed), {"order": 0, "slots": 0, "with": 0, "certain": 0, "short": 0}
    for _ in range(50):
        usable, memory, node_of, size = drawn(random)
        state = state_of(usable, memory, node_of)
        state.learn([size])
        certificates, item, truth = LiveCertificates(state), LiveVM(size), survived(usable, memory, node_of)
        assert truth[certificates.any_order.slack > 0].all()
        assert truth[certificates.slots.survived].all()
        told["order"] += int((certificates.any_order.slack > 0).sum())
        told["slots"] += int((certificates.slots.survived & ~(certificates.any_order.slack > 0)).sum())
        nodes = np.flatnonzero(state.free >= size)
        then = {node: survived(usable, [*memory, size], [*node_of, node]) for node in nodes.tolist()}
        for node in nodes.tolist():
            by_slots = certificates.slots.survived_with(node, item)
            assert then[node][by_slots].all()
            assert certificates.any_order.slack_with(node, item) <= 0 or then[node][node]
            told["with"] += int(by_slots.sum())
        certain = certificates.certain(nodes, item, np.zeros(len(usable), dtype=bool))
        assert all(then[node].all() for node in nodes[certain].tolist())
        short = certificates.slots.short_with(nodes, item, truth)
        assert all(truth[failure] and not then[node][failure] for node, failure in zip(nodes, short, strict=True) if failure >= 0)
        told["certain"] += int(certain.sum())
        told["short"] += int((short >= 0).sum())
    assert all(told.values()), told


def test_slots_tell_all_where_sizes_divide_each_other():
    random = Random(7)
    for _ in range(40):
        usable, memory, node_of, _ = drawn(random)
        sizes = [1 << random.randrange(4) for _ in memory]
        full = [max(1, room - sum(memory) + sum(sizes)) for room in usable]
        state = state_of(full, sizes, node_of)
        certificates, truth = LiveCertificates(state), survived(full, sizes, node_of)
        assert ((certificates.any_order.slack > 0) | certificates.slots.survived).tolist() == truth.tolist()
