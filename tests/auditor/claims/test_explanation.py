"""The audit of `explain`: verdicts that hold of each guarantee."""

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, Node

NODES = [Node(f"n{i}", 10) for i in range(3)]


@pytest.mark.parametrize(
    ("waits", "asked", "status"),
    [
        (VM("w", 4, evictable=True), Guarantee(vms=["a"]), "safe"),
        (VM("w", 4, evictable=True, protected=False), Guarantee(), "safe"),
        (VM("w", 4, evictable=True), Guarantee(), "unsafe"),
        (VM("w", 4), [Guarantee(vms=["a"]), Guarantee()], "unsafe"),
        (VM("w", 4), [Guarantee(vms=["a"]), Guarantee(vms=["a"], failures=2)], "safe"),
    ],
)
def test_who_waits_makes_it_unsafe_only_if_a_guarantee_protects_it(waits, asked, status):
    cluster = Cluster(NODES, [VM("a", 4, "n0"), waits], (), asked)
    found = vmplace.explain(cluster)
    assert (found.status, vmplace.audit_result(cluster, found.to_dict()).status) == (status, "confirmed")


@pytest.mark.parametrize("subject", ["1++n0", "3++n0", "2++n9", "++n0", "2+n0", "x++n0", "n0+n1"])
def test_a_failure_that_no_guarantee_has_is_found(subject):
    cluster = Cluster(NODES, [VM("a", 8, "n0"), VM("b", 8, "n1"), VM("c", 8, "n2")], (), [Guarantee(failures=0), Guarantee()])
    told = vmplace.explain(cluster).to_dict()
    assert {blame["subject"] for blame in told["blames"]} == {"2++n0", "2++n1", "2++n2"}
    assert vmplace.audit_result(cluster, told).status == "confirmed"
    told["blames"][0]["subject"] = subject
    assert vmplace.audit_result(cluster, told).status == "refuted"
