"""How many more VMs: equal to brute force on small clusters of every kind, with a witness that the audit accepts."""

import math
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vmplace
from tests.brute import World
from tests.test_guarantees import FEATURES
from vmplace import VM, Cluster
from vmplace.changes import part_of
from vmplace.testing import clusters

MOST = 5
"""So many more VMs brute force can bear."""

SPECIAL = {name: knobs for name, knobs in FEATURES.items() if not name.startswith("in-turn")}


def more(cluster: Cluster, memory: int, times: int, **fields: Any) -> Cluster:
    return evolve(cluster, vms=[*cluster.vms, *(VM(f"more{i}", memory, **fields) for i in range(times))])


def equals_brute_force(cluster: Cluster, memory: int, pool: str, move_running: bool) -> None:
    amounts = {name: 1 for thing in cluster.nodes for name in thing.resources}
    found = vmplace.headroom(cluster, memory, resources=amounts, pool=pool, move_running=move_running, time_limit=20)
    part, _ = part_of(cluster, pool)

    def fits(times: int) -> bool:
        world = World(more(part, memory, times, pool=pool, resources=amounts))
        return world.optimum("moves", move_running=move_running) is not None

    if found.status == "infeasible":
        assert not fits(0)
        assert found.count == 0
    if found.status in ("optimal", "feasible"):
        assert found.count is not None
        assert found.bound is not None
        assert found.count <= found.bound <= min(found.limits.values())
        assume(found.bound < MOST)
        assert fits(found.count)
        assert not any(fits(times) for times in range(found.bound + 1, MOST + 1))
        accepted(found)
    planned = part.guarantee.restart == "planned" and part.guarantee.policy is None
    if planned and part.guarantee.sequence == "at-once":
        assert found.status in ("optimal", "infeasible")


def accepted(found: Any) -> None:
    """The witness has so many more VMs, and holds."""
    assert found.solution.guarantee == "safe"
    asked = found.solution.cluster
    assert len(found.added) == found.count * sum(found.bundle.values()) == sum(found.where.values())
    assert {vm.name for vm in asked.vms} - {vm.name for vm in found.cluster.vms} == set(found.added)
    wrong = vmplace.audit(asked, found.placement, found.failover)
    assert {violation.kind for violation in wrong} <= {"unverified"}
    document = found.to_document()
    assert [vm.name for vm in document.vms] == [*(vm.name for vm in found.cluster.vms), *found.added]
    assert all(vm.node == found.placement[vm.name] for vm in document.vms if vm.name in found.placement)


@st.composite
def asked(draw: Any, **knobs: Any) -> tuple[Cluster, int, str, bool]:
    """A cluster with room for a few VMs more of the size asked about, or of nearly none."""
    cluster = draw(clusters(max_nodes=3, max_vms=3, min_nodes=1, **knobs))
    unit = math.gcd(*(vm.memory for vm in cluster.vms)) or 1
    memory = unit * draw(st.sampled_from((1, 2, 3, 4, 5, 8)))
    extra = [draw(st.sampled_from((0, 0, 1, 2, 3))) * memory // draw(st.sampled_from((1, 2))) for _ in cluster.nodes]
    hosts = [evolve(node, memory=node.memory + more) for node, more in zip(cluster.nodes, extra, strict=True)]
    pools = sorted({thing.pool for thing in (*hosts, *cluster.vms)})
    return evolve(cluster, nodes=hosts), memory, draw(st.sampled_from(pools)), draw(st.booleans())


def judged(drawn: Any) -> None:
    equals_brute_force(*drawn)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(asked())
def test_the_number_is_that_of_brute_force(drawn):
    judged(drawn)


@pytest.mark.parametrize("feature", SPECIAL)
def test_it_is_for_every_kind_of_guarantee(feature):
    settings(max_examples=12, deadline=None, derandomize=True)(given(asked(**SPECIAL[feature]))(judged))()


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["plain", *FEATURES])
def test_it_is_on_many_clusters(feature):
    settings(max_examples=150, deadline=None, derandomize=True)(given(asked(**FEATURES.get(feature, {})))(judged))()
