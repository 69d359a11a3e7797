"""Situations that went wrong once: what the keys of nodes, VMs and rules mean."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import vmplace
from vmplace import Cluster
from vmplace.cli import main
from vmplace.formats.document import from_document, to_document


def cluster(nodes: list[dict[str, Any]], vms: list[dict[str, Any]], **more: Any) -> Cluster:
    """A cluster as its document has it."""
    return from_document(json.loads(json.dumps({"nodes": nodes, "vms": vms, **more})))


def test_a_powered_off_vm_without_a_node_never_counts() -> None:
    found = cluster(
        [{"name": "a", "memory": "8GiB"}, {"name": "b", "memory": "8GiB"}],
        [{"name": "run", "memory": "4GiB", "node": "a"}, {"name": "off", "memory": "7GiB", "running": False}],
    )
    report = vmplace.check(found)
    assert (report.status, report.waiting, report.placement) == ("safe", (), {"run": "a"})
    assert vmplace.place(found).placement == {"run": "a"}
    started = vmplace.what_if(found, start="all")
    assert vmplace.check(started).waiting == ("off",)


def test_the_overhead_of_a_vm_is_memory_that_its_node_lacks() -> None:
    nodes = [{"name": name, "memory": "16GiB"} for name in ("a", "b")]
    vms = [{"name": f"v{i}", "memory": "4GiB", "node": "a"} for i in range(4)]
    assert vmplace.check(cluster(nodes, vms)).status == "safe"
    heavy = cluster(nodes, [{**vm, "overhead": "256MiB"} for vm in vms])
    report = vmplace.check(heavy)
    assert report.status == "unsafe"
    assert [violation.subject for violation in report.violations] == ["a"]
    assert "17 GiB, 1 GiB more than its 16 GiB" in report.violations[0].message
    assert vmplace.audit(heavy, report.placement or {})[0].kind == "overfull"
    assert not vmplace.admit(cluster(nodes, vms[:3]), vmplace.VM("new", "4GiB", overhead=1)).admitted
    assert vmplace.admit(cluster(nodes, vms[:3]), vmplace.VM("new", "4GiB")).admitted


def test_the_overhead_is_shown_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cluster.json"
    vms = [vmplace.VM("v", "8GiB", "a", overhead="256MiB"), vmplace.VM("w", "4GiB", "a")]
    vmplace.dump(Cluster([vmplace.Node("a", "16GiB"), vmplace.Node("b", "8GiB")], vms), path)
    main(["show", str(path)])
    shown = capsys.readouterr().out
    assert "Overhead" in shown
    assert "256 MiB" in shown
    main(["explain", str(path)])
    assert "v (8.25 GiB, 256 MiB of it overhead)" in capsys.readouterr().out


SMALL_HOST: dict[str, Any] = {
    "nodes": [
        {"name": "s05", "memory": "256GiB", "resources": {"vcpu": 32}},
        {"name": "s06", "memory": "256GiB", "resources": {"vcpu": 32}},
        {"name": "quorum", "memory": "128GiB", "resources": {"vcpu": 4}, "max_vm": {"vcpu": 4}},
    ],
    "vms": [
        {"name": "w", "memory": "16GiB", "resources": {"vcpu": 8}, "node": "s05"},
        {"name": "x", "memory": "100GiB", "resources": {"vcpu": 8}, "node": "s05"},
        {"name": "y", "memory": "100GiB", "resources": {"vcpu": 8}, "node": "s06"},
    ],
    "overcommit": {"vcpu": 4},
}


def test_no_vm_restarts_on_a_host_with_fewer_cores_than_it_has() -> None:
    wide = cluster(**SMALL_HOST)
    report = vmplace.check(wide)
    assert report.status == "safe"
    assert all("quorum" not in plan.values() for plan in report.failover.values())
    narrow = vmplace.what_if(wide, remove_nodes=["s06"], add_nodes=[vmplace.Node("s06", "200GiB", resources={"vcpu": 32})])
    narrow = vmplace.what_if(narrow, remove_vms=["y"], add_vms=[vmplace.VM("y", "100GiB", "s06", resources={"vcpu": 8})])
    report = vmplace.check(narrow)
    assert (report.status, [loss.vms for loss in report.unprotected]) == ("unsafe", [("w",)])
    assert "quorum does not take a VM of 8 vcpu: max_vm" in report.unprotected[0].reason
    free = evolve(narrow, nodes=[evolve(node, max_vm={}) for node in narrow.nodes])
    assert "w" in vmplace.check(free).failover["s05"]
    refused = vmplace.audit(narrow, report.placement or {}, {"s05": {"w": "quorum", "x": "s06"}, "s06": {"y": "s05"}})
    assert [v.message for v in refused] == [
        "if s05 fails, w cannot restart on quorum, which takes no VM of more than 4 vcpu (max_vm)"
    ]


def test_a_vm_larger_than_any_node_takes_is_unsafe_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [{"name": f"node{i}", "memory": "252GiB", "reserve": "16GiB", "max_vm": {"memory": "64GiB"}} for i in (1, 2, 3)]
    vms = [{"name": "big", "memory": "96GiB", "node": "node1"}, {"name": "b", "memory": "32GiB", "node": "node2"}]
    found = cluster(nodes, vms)
    report = vmplace.check(found)
    assert (report.status, [loss.vms for loss in report.unprotected]) == ("unsafe", [("big",)])
    assert [(v.kind, v.subject) for v in report.violations] == [("placement", "big")]
    assert report.violations[0].message == "big is on node1, which takes no VM of more than 64 GiB (max_vm)"
    assert "no node takes a VM of 96 GiB: max_vm" in report.unprotected[0].reason
    assert vmplace.place(found, move_running=True).status == "infeasible"
    assert vmplace.admit(found, vmplace.VM("c", "65GiB")).reason == "no node takes a VM of 65 GiB: max_vm"
    assert vmplace.admit(found, vmplace.VM("c", "64GiB", overhead="1GiB")).admitted
    path = tmp_path / "cluster.json"
    vmplace.dump(found, path)
    main(["explain", str(path)])
    said = capsys.readouterr().out
    assert "missing: another node that takes VMs of that size" in said
    assert "1 VM is too large for its node" in said


def test_a_node_may_keep_more_or_less_free_than_the_guarantee_asks_for() -> None:
    nodes: list[dict[str, Any]] = [{"name": name, "memory": "10GiB"} for name in "abc"]
    nodes[1]["headroom"], nodes[2]["headroom"] = "4GiB", 0
    vms = [{"name": f"v{name}", "memory": "9GiB", "node": name} for name in "abc"]
    report = vmplace.check(cluster(nodes, vms, guarantee={"failures": 0, "headroom": 0.1}))
    assert report.warnings == ("b holds 9 GiB, 3 GiB more than its 6 GiB without headroom",)
    waiting = cluster(nodes, [{"name": f"w{i}", "memory": "6GiB"} for i in range(3)], guarantee={"failures": 0})
    assert set((vmplace.place(waiting).placement or {}).values()) == {"a", "b", "c"}
    assert vmplace.place(vmplace.what_if(waiting, resize_vms={f"w{i}": "7GiB" for i in range(3)})).status == "infeasible"


def test_what_is_missing_is_named_where_memory_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [{"name": "t7920", "memory": "128GiB", "resources": {"gpu": 1}}]
    nodes += [{"name": name, "memory": "128GiB"} for name in ("n2", "n3")]
    gpu = {"name": "gpu-vm", "memory": "22GiB", "resources": {"gpu": 1}, "movable": False, "node": "t7920"}
    path = tmp_path / "cluster.json"
    vmplace.dump(cluster(nodes, [gpu, {"name": "a", "memory": "16GiB", "node": "n2"}]), path)
    main(["explain", str(path)])
    said = capsys.readouterr().out
    assert "missing: 1 gpu on one more node" in said
    assert "in pieces" not in said


TWO: list[dict[str, Any]] = [{"name": name, "memory": "64GiB", "resources": {"vcpu": 8}} for name in ("n1", "n2")]
FULL: list[dict[str, Any]] = [{"name": name, "memory": "48GiB", "node": node} for name, node in (("a", "n1"), ("b", "n2"))]


@pytest.mark.parametrize(
    ("key", "value", "place", "said"),
    [
        ("overcommit", {"memory": 2}, "overcommit.memory", "reserved memory is never overcommitted: leave it out"),
        ("soft_resources", ["memory"], "soft_resources[0]", "memory binds in every failover: leave it out"),
        ("overcommit", {"vpcu": 2}, "overcommit.vpcu", "no node has 'vpcu', so this has no effect; did you mean 'vcpu'?"),
        ("soft_resources", ["vcpu", "gpu"], "soft_resources[1]", "no node has 'gpu', so this has no effect: leave it out"),
    ],
)
def test_a_resource_without_effect_is_an_error(key: str, value: Any, place: str, said: str) -> None:
    with pytest.raises(vmplace.InputError) as caught:
        cluster(TWO, FULL, **{key: value})
    ((flaw),) = caught.value.flaws
    assert (flaw.place, flaw.code) == (place, "no-effect")
    assert flaw.message.startswith(said)
    assert cluster(TWO, FULL, overcommit={"vcpu": 2}, soft_resources=["vcpu"])


def test_a_limit_on_a_resource_that_no_node_has_is_an_error_but_not_once_its_node_is_removed() -> None:
    limited = [{**TWO[0], "max_vm": {"gpu": 1, "memory": "50GiB"}}, {**TWO[1], "resources": {"gpu": 1}}]
    found = cluster(limited, FULL, overcommit={"vcpu": 2, "gpu": 1}, soft_resources=["gpu"])
    with pytest.raises(vmplace.InputError, match=r"nodes\[0\].max_vm.gpu: no node has 'gpu'"):
        cluster(limited[:1], FULL[:1])
    left = vmplace.what_if(found, remove_nodes=["n2"])
    assert (dict(left.overcommit), left.soft_resources) == ({"vcpu": Fraction(2)}, ())
    assert left.nodes[0].max_vm == {"memory": 51200}
    assert from_document(to_document(left)) == left


def test_an_evictable_vm_may_be_evicted_even_if_it_is_not_protected() -> None:
    vms = [vmplace.VM("a", 1, "n2"), vmplace.VM("b", 1, "n2"), vmplace.VM("u", 1, "n1", protected=False, evictable=True)]
    found = Cluster([vmplace.Node("n1", 2), vmplace.Node("n2", 5)], vms)
    report = vmplace.check(found)
    assert (report.status, dict(report.failover)) == ("safe", {"n1": {}, "n2": {"a": "n1", "b": "n1", "u": None}})
    placement = report.placement or {}
    assert vmplace.audit(found, placement, report.failover) == []
    kept: dict[str, Any] = {**report.failover, "n2": {"a": "n1", "b": "n1"}}
    assert [violation.subject for violation in vmplace.audit(found, placement, kept)] == ["n2"]
    stays = evolve(found, vms=[*vms[:2], evolve(vms[2], evictable=False)])
    assert vmplace.check(stays).status == "unsafe"
    assert vmplace.audit(stays, placement, report.failover)


def test_messages_call_a_rule_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = [
        {"kind": "apart", "name": "sql pair", "vms": ["a", "c"]},
        {"kind": "only-on", "name": "licence", "vms": ["a"], "nodes": ["n2"]},
        {"kind": "apart", "name": "spare", "vms": {"tag": "none"}},
    ]
    vms = [{"name": name, "memory": "4GiB", "node": "n1"} for name in ("a", "c")]
    found = cluster(TWO, vms, rules=rules)
    report = vmplace.check(found)
    said = [violation.message for violation in report.violations]
    assert said == ["rule sql pair (apart) is broken by a, c on n1", "rule licence (only-on) is broken by a on n1"]
    assert "rule spare: no VM has the tag 'none'" in report.warnings
    path = tmp_path / "cluster.json"
    vmplace.dump(found, path)
    for command in (["check"], ["explain"], ["place"], ["drain", "n1"], ["size", "--node-memory", "64GiB"]):
        main([command[0], str(path), *command[1:]])
        shown = capsys.readouterr()
        assert "rules[" not in shown.out + shown.err, command
