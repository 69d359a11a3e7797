"""The audit of the quorum."""

from vmplace import VM, Cluster, Guarantee, Node, audit


def kinds(cluster, placement, **options):
    return [(found.kind, found.subject) for found in audit(cluster, placement, {}, **options)]


def test_failures_that_leave_too_few_are_told_even_if_they_displace_nothing():
    nodes = [Node("a", 9), Node("b", 9), Node("c", 9, domain="r"), Node("d", 9, domain="r", state="maintenance")]
    cluster = Cluster(nodes, [VM("v", 1, "a")], (), Guarantee(scope="domain", quorum=3))
    found = audit(cluster, {"v": "a"}, {"a": {"v": "b"}})
    assert [(v.kind, v.subject) for v in found] == [("unprotected", "r")]  # which takes d along
    assert found[0].message == "if r fails, 2 of 4 nodes are left, and the quorum needs 3"


def test_what_is_switched_off_does_not_count_and_what_is_drained_does():
    cluster = Cluster([Node(n, 9) for n in "abcd"], [VM("v", 1, "a", protected=False), VM("w", 1, "b")], (), Guarantee(quorum=3))
    plan = {"b": {"w": "a"}}
    assert audit(cluster, {"v": "a", "w": "b"}, plan) == []
    assert audit(cluster, {"v": "a", "w": "b"}, plan, drained=["d"]) == []
    lost = audit(cluster, {"v": "a", "w": "b"}, plan, powered=["a", "b", "c"])
    assert {(v.kind, v.subject) for v in lost} == {("unprotected", n) for n in "abc"}
    assert kinds(Cluster(cluster.nodes, [VM("v", 1, "a", protected=False)], (), Guarantee(quorum=9)), {"v": "a"}) == []
