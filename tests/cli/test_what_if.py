"""The options that ask what would be, on any command that takes a cluster."""

import pytest

import vmplace
from vmplace import VM, Cluster, Node, OnlyOn
from vmplace.cli import main
from vmplace.cli.specs import Spec
from vmplace.cli.what_if import load_changed

CLUSTER = Cluster([Node(f"n{i}", "64GiB") for i in range(3)], [VM("a", "16GiB", "n0"), VM("b", "16GiB", "n1")])
NOTHING = {"add_nodes": (), "remove_nodes": (), "add_vms": (), "remove_vms": (), "resize_vms": ()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.json"
    vmplace.dump(CLUSTER, path)
    return str(path)


def test_the_options_are_taken_out_and_make_the_cluster(file):
    new = Spec("z", 1, {"memory": 8, "tags": [], "resources": {}})
    options = {**NOTHING, "remove_nodes": ("n1",), "add_vms": (new,), "resize_vms": (("a", "1GiB"),), "seed": 3}
    cluster = load_changed(file, options)
    assert options == {"seed": 3}
    assert list(cluster.vms) == [VM("a", "1GiB", "n0"), VM("b", "16GiB"), VM("z", 8)]
    assert load_changed(file, dict(NOTHING)) == CLUSTER


def test_names_that_are_made_are_not_those_there_are(file):
    spec = Spec(None, 2, {"memory": 8, "tags": [], "resources": {}})
    cluster = load_changed(file, {**NOTHING, "add_nodes": (spec,), "add_vms": (spec,)})
    assert [node.name for node in cluster.nodes[3:]] == [vm.name for vm in cluster.vms[2:]] == ["new-1", "new-2"]


def test_a_rule_that_would_be_left_without_a_node_is_named(tmp_path, capsys):
    path = tmp_path / "ruled.json"
    vmplace.dump(Cluster(CLUSTER.nodes, CLUSTER.vms, [OnlyOn(["a"], ["n0"])]), path)
    assert main(["check", str(path), "--remove-node", "n0"]) == 2
    assert capsys.readouterr().err.startswith("--remove-node: rules[0] leaves its VMs no other node")
