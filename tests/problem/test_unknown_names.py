from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, Tag
from vmplace.problem.unknown_names import unknown_names

CLUSTER = Cluster(
    [Node("n1", 8), Node("n3", 8)],
    [VM("a", 1, "n1", home="n1"), VM("b", 1, "n1", home="m1")],
    [Apart(["a", "c"]), Apart(Tag("db"), name="dbs"), NotOn(["b", "x1", "x2", "x3", "x4", "x5"], ["n1", "n2"])],
    [Guarantee(vms=["a", "z"]), Guarantee(vms=Tag("hana"))],
)


def test_names_and_tags_that_are_not_there_are_told_each():
    assert unknown_names(CLUSTER) == [
        "rules[0] (apart) names VM 'c', which is not in the cluster",
        "rule dbs: no VM has the tag 'db'",
        "rules[2] (not-on) names VM 'x1', which is not in the cluster",
        "rules[2] (not-on) names VM 'x2', which is not in the cluster",
        "rules[2] (not-on) names VM 'x3', which is not in the cluster",
        "rules[2] (not-on) names 2 more VMs that the cluster lacks",
        "rules[2] (not-on) names node 'n2', which is not in the cluster",
        "'m1' is the home of VMs, but not a node of this cluster: it is left out",
        "guarantee 1: guarantee.vms: no VM is called 'z'",
        "guarantee 2: guarantee.vms: no VM has the tag 'hana'",
    ]
    assert unknown_names(Cluster(CLUSTER.nodes, CLUSTER.vms[:1], (), Guarantee(vms=["z"]))) == [
        "guarantee.vms: no VM is called 'z'"
    ]
