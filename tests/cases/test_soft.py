"""Situations that people described: soft rules that cannot be kept whole."""

from collections import Counter

import pytest

import vmplace
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Tag


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_five_kept_apart_on_three_nodes(method):
    nodes = [Node(f"h{i}", "128GiB") for i in (1, 2, 3)]
    big = [VM("big1", "56GiB", "h1"), VM("big2", "56GiB", "h2")]
    workers = [VM(f"k{i}", "4GiB", tags=["k8s"]) for i in range(5)]
    found = vmplace.place(Cluster(nodes, big + workers, [Apart(Tag("k8s"), must=False)]), method=method)
    assert found.guarantee == "safe"
    assert sorted(Counter(found.placement[f"k{i}"] for i in range(5)).values()) == [1, 2, 2]
    (broken,) = found.broken_rules
    assert (broken.cost, len(broken.vms)) == (2, 4)
    if method == "auto":
        assert found.status == "optimal"


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_four_of_five_on_the_preferred_site(method):
    sites = {"dc1-a": "64GiB", "dc1-b": "64GiB", "dc2-a": "128GiB", "dc2-b": "128GiB", "dc2-c": "128GiB"}
    nodes = [Node(name, memory, tags=[name[:3]], domain=name[:3]) for name, memory in sites.items()]
    vms = [VM(f"p{i}", "30GiB", tags=["p1"]) for i in range(5)]
    found = vmplace.place(Cluster(nodes, vms, [OnlyOn(Tag("p1"), Tag("dc1"), must=False)]), method=method)
    assert Counter(node[:3] for node in found.placement.values()) == {"dc1": 4, "dc2": 1}
    (broken,) = found.broken_rules
    assert broken.cost == 1
    assert [found.placement[vm][:3] for vm in broken.vms] == ["dc2"]
    if method == "auto":
        assert found.status == "optimal"


@pytest.mark.parametrize("method", ["auto", "greedy"])
@pytest.mark.parametrize("home", [None, "node2"])
def test_failback(method, home):
    # 101 restarted on node3 when node2 failed; back it goes, and nothing else moves.
    vms = [VM("101", "4GiB", "node3", home=home), VM("x", "4GiB", "node1"), VM("y", "4GiB", "node2")]
    rules = [OnlyOn(["101"], ["node2"], must=False, weight=2), OnlyOn(["101"], ["node2", "node3"], must=False)]
    cluster = Cluster([Node(f"node{i}", "64GiB") for i in (1, 2, 3)], vms, [] if home else rules)
    found = vmplace.place(cluster, move_running=True, objective="rules", method=method)
    assert [(m.vm, m.source, m.destination) for m in found.migrations] == [("101", "node3", "node2")]
    assert (found.status, found.objective, found.bound, found.broken_rules) == ("optimal", 0, 0, ())
    assert vmplace.place(cluster, move_running=True).placement["101"] == "node2"
    assert vmplace.repair(cluster).migrations == ()
