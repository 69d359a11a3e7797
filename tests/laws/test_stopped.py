"""Stopped VMs never count: with any number of them anywhere, every answer is the same."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from vmplace import VM, Cluster
from vmplace.testing import clusters

RELAXED: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}
WIDE: Any = {
    "max_vms": 5,
    "domains": True,
    "resources": True,
    "evictable": True,
    "targets": True,
    "failures": (1, 1, 2),
    "restart": ("planned", "any-order"),
    "policies": True,
}


@st.composite
def with_stopped(draw: Any) -> tuple[Cluster, Cluster]:
    """A cluster, and the same with stopped VMs here and there."""
    plain = draw(clusters(min_nodes=1, **WIDE))
    vms = [vm for vm in plain.vms if vm.running]
    plain = vmplace.what_if(plain, remove_vms=[vm.name for vm in plain.vms if not vm.running])
    more = list(vms)
    for number in range(draw(st.integers(1, 3))):
        node = draw(st.sampled_from([None, *plain.nodes]))
        pool = node.pool if node else draw(st.sampled_from([node.pool for node in plain.nodes]))
        hosts = [other.name for other in plain.nodes if other.pool == pool]
        off = VM(
            f"off{number}",
            draw(st.sampled_from((1, 7, 5000))),
            node.name if node else None,
            target=draw(st.sampled_from([None, *hosts])) if node else None,
            running=False,
            pool=pool,
            resources={"vcpu": draw(st.integers(0, 99))},
            overhead=draw(st.integers(0, 9)),
            tags=draw(st.sampled_from(((), ("red",)))),
            protected=draw(st.booleans()),
            evictable=draw(st.booleans()),
            priority=draw(st.integers(-2, 2)),
        )
        more.insert(draw(st.integers(0, len(more))), off)
    rules = [
        evolve(rule, vms=(*rule.vms, "off0")) if isinstance(rule.vms, tuple) and draw(st.booleans()) else rule
        for rule in plain.rules
    ]
    try:
        return plain, evolve(plain, vms=more, rules=rules)
    except vmplace.InputError:  # a rule that is at odds with another one for what is stopped, which is a flaw of the document
        return plain, evolve(plain, vms=[vm if vm.running else evolve(vm, tags=()) for vm in more])


def told(result: Any) -> dict[str, Any]:
    """All that an answer says but for times, and the nodes on which VMs are stopped."""
    found: dict[str, Any] = {key: part for key, part in result.to_dict().items() if key not in ("stats", "warnings", "plan")}
    if found["placement"] is not None:
        found["placement"] = {vm: node for vm, node in found["placement"].items() if not vm.startswith("off")}
    return found


@settings(max_examples=30, **RELAXED)
@given(with_stopped())
def test_no_verdict_changes(pair: tuple[Cluster, Cluster]) -> None:
    plain, more = map(vmplace.check, pair)
    assert told(plain) == told(more)


@settings(max_examples=12, **RELAXED)
@given(with_stopped(), st.sampled_from(("greedy", "exact")), st.booleans())
def test_no_placement_changes(pair: tuple[Cluster, Cluster], method: str, moving: bool) -> None:
    plain, more = (
        vmplace.place(cluster, method=method, move_running=moving, deterministic=True, ordered=False) for cluster in pair
    )
    assert told(plain) == told(more)
    if more.node_of is not None:
        written = {vm.name: vm for vm in more.to_document().vms if vm.name.startswith("off")}
        assert written == {vm.name: vm for vm in pair[1].vms if vm.name in written}


@settings(max_examples=12, **RELAXED)
@given(with_stopped())
def test_no_admission_changes(pair: tuple[Cluster, Cluster]) -> None:
    new = VM("new", 3, pool=pair[0].nodes[0].pool)
    plain, more = (vmplace.Admitter(cluster).candidates(new).to_dict() for cluster in pair)
    assert plain == more


@pytest.mark.parametrize("kind", ["wait", "run"])
def test_what_runs_or_waits_does_count(kind: str) -> None:
    nodes = [vmplace.Node("a", 8), vmplace.Node("b", 8)]
    off = VM("off", 8, "b" if kind == "run" else None)
    assert vmplace.check(Cluster(nodes, [VM("run", 4, "a"), off])).status == "unsafe"
