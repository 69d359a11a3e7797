"""All restarts of a failure, and what shows that there is none."""

import pytest

from vmplace.auditor.audit import Audited
from vmplace.auditor.failures import WorkLimit
from vmplace.auditor.restarts import Restarts, is_impossible
from vmplace.auditor.survival import Survival
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node


def failures(displaced, free):
    nodes = [Node("n0", 100), *(Node(f"n{i}", size) for i, size in enumerate(free, 1))]
    vms = [VM(f"v{i}", memory, "n0") for i, memory in enumerate(displaced)]
    return Audited.of(Cluster(nodes, vms), {vm.name: vm.node for vm in vms}, {}, None, ()).failures


@pytest.mark.parametrize(
    ("displaced", "free", "ways", "impossible"),
    [
        ([4], [4, 4], 2, False),
        ([4, 4], [4, 4], 1, False),  # of one kind, which is which does not matter
        ([4, 4], [8, 8], 3, False),
        ([4, 3], [4, 4], 2, False),
        ([5], [4, 4], 0, True),
        ([4, 4, 4], [6, 6], 0, True),
        ([4, 4], [7, 7], 1, False),
        ([6, 5], [6, 4], 0, True),
        ([5, 4, 3], [6, 6], 0, False),
    ],
)
def test_every_way_is_found_once(displaced, free, ways, impossible):
    failure = failures(displaced, free).at_once(0)
    found = list(Restarts(failure, WorkLimit()).of(failure.musts))
    assert len(found) == len({tuple(sorted(way.items())) for way in found}) == ways
    assert is_impossible(failure) is impossible
    assert Survival(failures(displaced, free), WorkLimit()).survives("n0") is (ways > 0)


def test_what_is_too_hard_is_left_open():
    hard = failures([5, 4, 3, 3], [7, 6, 3])
    assert Survival(hard, WorkLimit(1)).survives("n0") is None
    assert Survival(hard, WorkLimit(1)).survives_all() is None
    assert Survival(hard, WorkLimit()).survives_all() is not None
