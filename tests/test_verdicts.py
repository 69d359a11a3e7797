import vmplace
from vmplace import VM, Apart, Cluster, Node, NotOn


def test_a_rule_that_spans_pools_condemns_only_where_it_is_broken():
    nodes = [Node("a1", 8), Node("a2", 8), *(Node(f"b{i}", 8, pool="b") for i in (1, 2))]
    vms = [VM("x", 4, "a1"), VM("y", 4, "b1", pool="b"), VM("z", 4, "b1", pool="b")]
    report = vmplace.check(Cluster(nodes, vms, [Apart(["x", "y", "z"])]))
    assert report.status == "unsafe"
    assert report.pools == {"default": "safe", "b": "unsafe"}


def test_only_the_pool_of_the_vm_on_a_wrong_node_is_condemned():
    nodes = [Node("a1", 8), Node("a2", 8), *(Node(f"b{i}", 8, pool="b") for i in (1, 2, 3))]
    vms = [VM("x", 4, "a2"), VM("y", 4, "b1", pool="b")]
    report = vmplace.check(Cluster(nodes, vms, [NotOn(["x", "y"], ["b1"])]))
    assert report.pools == {"default": "safe", "b": "unsafe"}


def test_one_bad_pool_does_not_condemn_another():
    nodes = [Node("a1", 8), Node("a2", 8), Node("lone", 8, pool="b")]
    report = vmplace.check(Cluster(nodes, [VM("x", 4, "a1"), VM("y", 4, "lone", pool="b")]))
    assert report.pools == {"default": "safe", "b": "unsafe"}
    (left_out,) = report.unprotected
    assert left_out.vms == ("y",)
    assert left_out.minimal
    assert "a single node can never be N+1" in left_out.reason
