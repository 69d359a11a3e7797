"""The options that ask what would be, on any command that takes a cluster."""

import json

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, OnlyOn
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


@pytest.mark.parametrize(("asked", "waiting"), [(["off"], ["off"]), (["all"], ["off", "out"]), (["out", "off"], ["off", "out"])])
def test_stopped_vms_as_if_they_were_to_be_started(asked, waiting, tmp_path, capsys):
    path = tmp_path / "stopped.json"
    stopped = [VM("off", "8GiB", "n0", running=False), VM("out", "8GiB", running=False)]
    vmplace.dump(Cluster(CLUSTER.nodes, [*CLUSTER.vms, *stopped]), path)
    options = [word for name in asked for word in ("--start", name)]
    assert main(["check", str(path)]) == 0
    capsys.readouterr()
    assert main(["check", str(path), "--json", *options]) == 1
    assert json.loads(capsys.readouterr().out)["waiting"] == waiting
    assert main(["place", str(path), "--json", *options]) == 0
    placed = json.loads(capsys.readouterr().out)["placement"]
    assert set(waiting) <= set(placed)


def test_what_runs_cannot_be_started(file, capsys):
    assert main(["check", file, "--start", "a"]) == 2
    assert capsys.readouterr().err == "--start: 'a' runs on n0: name VMs that do not run\n"
    assert main(["check", file, "--start", "zz"]) == 2
    assert "--start: 'zz' is not a VM of this cluster" in capsys.readouterr().err


def test_names_that_are_made_are_not_those_there_are(file):
    spec = Spec(None, 2, {"memory": 8, "tags": [], "resources": {}})
    cluster = load_changed(file, {**NOTHING, "add_nodes": (spec,), "add_vms": (spec,)})
    assert [node.name for node in cluster.nodes[3:]] == [vm.name for vm in cluster.vms[2:]] == ["new-1", "new-2"]


def test_a_rule_that_is_left_without_a_node_is_named(tmp_path, capsys):
    path = tmp_path / "ruled.json"
    vmplace.dump(Cluster(CLUSTER.nodes, CLUSTER.vms, [OnlyOn(["a"], ["n0"])]), path)
    assert main(["check", str(path), "--remove-node", "n0"]) == 1
    assert "rules[0] (only-on) names node 'n0', which is not in the cluster" in capsys.readouterr().out


ASKED = [
    (["--failures", "2"], {"failures": 2}),
    (["--scope", "domain", "--sequence", "sequential"], {"scope": "domain", "sequence": "sequential"}),
    (["--restart", "any-order"], {"restart": "any-order"}),
    (["--policy", "most-free"], {"policy": "most-free"}),
    (["--headroom", "10%"], {"headroom": 0.1}),
]


@pytest.mark.parametrize(("options", "changes"), ASKED)
def test_each_key_of_the_guarantee_may_be_replaced_and_is_written(file, tmp_path, options, changes):
    out = str(tmp_path / "out.json")
    assert main(["convert", file, *options, "-o", out]) == 0
    assert vmplace.load(out) == vmplace.what_if(CLUSTER, guarantee=changes)
    assert vmplace.load(out).guarantee == Guarantee(**changes)


def test_a_replaced_restart_ends_a_policy_and_none_takes_it_away(tmp_path):
    path, out = str(tmp_path / "policy.json"), str(tmp_path / "out.json")
    vmplace.dump(vmplace.what_if(CLUSTER, guarantee=Guarantee(policy="best-fit", order="priority", failures=2)), path)
    for options, left in (
        (["--restart", "any-order"], Guarantee(restart="any-order", failures=2)),
        (["--policy", "none"], Guarantee(order="priority", failures=2)),
        (["--restart", "planned", "--policy", "first-fit"], Guarantee(policy="first-fit", order="priority", failures=2)),
    ):
        assert main(["convert", path, *options, "-o", out]) == 0
        assert vmplace.load(out).guarantee == left


def test_every_command_that_reads_a_document_takes_them(file, tmp_path, capsys):
    result = str(tmp_path / "result.json")
    commands = {
        "check": [], "show": [], "place": [], "repair": [], "drain": ["n2"], "headroom": ["1GiB"],
        "size": ["--node-memory", "64GiB"], "explain": [], "admit": ["--name", "z", "--memory", "1GiB"],
    }  # fmt: skip
    for command, arguments in commands.items():
        status = main([command, file, *arguments, "--failures", "3"])
        expected = {"show": 0, "explain": 0, "size": 0, "drain": 4}  # drained, though nothing survives three failures
        assert status == expected.get(command, 1), command
        assert "Traceback" not in capsys.readouterr().err
    assert main(["check", file, "--json", "--failures", "0"]) == 0
    with open(result, "w") as stream:
        stream.write(capsys.readouterr().out)
    assert main(["audit", file, result, "--failures", "0"]) == 0
    assert main(["audit", file, result]) == 1


def test_what_is_no_value_of_a_key_is_refused_by_its_option(file, capsys):
    for option, value in (("failures", "-1"), ("scope", "rack"), ("policy", "worst"), ("headroom", "1GiB"), ("headroom", "1")):
        assert main(["check", file, f"--{option}", value]) == 2
        assert f"'--{option}'" in capsys.readouterr().err
