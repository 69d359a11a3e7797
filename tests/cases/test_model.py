"""Situations that went wrong once: what the keys of nodes, VMs and rules mean."""

import json
from pathlib import Path
from typing import Any

import pytest

import vmplace
from vmplace import Cluster
from vmplace.cli import main
from vmplace.formats.document import from_document


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
