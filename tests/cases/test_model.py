"""Situations that went wrong once: what the keys of nodes, VMs and rules mean."""

import json
from typing import Any

import vmplace
from vmplace import Cluster
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
