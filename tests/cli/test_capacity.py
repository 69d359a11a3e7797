"""``vmplace headroom`` and ``size``, and the options that ask what would be."""

import json
import subprocess
import sys

import pytest

import vmplace
from vmplace import VM, Cluster, Node
from vmplace.cli import main

CLUSTER = Cluster(
    [Node(f"n{i}", "64GiB", resources={"vcpu": 16}) for i in range(3)],
    [VM("a", "16GiB", "n0", resources={"vcpu": 2}), VM("b", "16GiB", "n1"), VM("c", "8GiB", "n2")],
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.json"
    vmplace.dump(CLUSTER, path)
    return str(path)


def process(*arguments):
    return subprocess.run([sys.executable, "-m", "vmplace", *arguments], capture_output=True, text=True, check=False)


def test_headroom_in_a_process_of_its_own(file):
    ran = process("headroom", file, "16GiB")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("5 more VMs of 16 GiB fit while the guarantee holds, and no more\nWhy no more: ")
    assert "Where: n" in ran.stdout


def test_size_in_a_process_of_its_own(file):
    ran = process("size", file, "--node-memory", "32GiB", "--resource", "vcpu=8")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("3 nodes run 3 VMs while the guarantee holds, and no fewer nodes suffice\n")
    assert "Each with 32 GiB for VMs, 8 vcpu" in ran.stdout


def test_results_as_json_and_documents(file, tmp_path, capsys):
    out = str(tmp_path / "out.json")
    assert main(["headroom", file, "2x8GiB+16GiB", "--resource", "vcpu=5", "--json", "-o", out]) == 0
    told = json.loads(capsys.readouterr().out)
    count = told["objective"]["value"]
    assert (told["status"], told["objective"]["name"], told["binding"]) == ("optimal", "headroom", "vcpu")
    assert len(vmplace.load(out).vms) == 3 + 3 * count == 3 + sum(told["where"].values())
    saved = tmp_path / "result.json"
    saved.write_text(json.dumps(told))
    assert main(["audit", file, str(saved)]) == 0
    assert main(["audit", out, str(saved)]) == 1
    assert "give the cluster that was asked about" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["size", file, "--node-memory", "32GiB", "--resource", "vcpu=8", "--json", "-o", out]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"node": 3}
    assert vmplace.check(vmplace.load(out)).status == "safe"


def test_without_memory_there_is_a_table(file, capsys):
    assert main(["headroom", file]) == 0
    out = capsys.readouterr().out
    assert [line.split("GiB")[0].strip() for line in out.splitlines() if "GiB" in line][:2] == ["1", "2"]
    assert main(["headroom", file, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 9


def test_several_kinds_are_a_table_with_prices(file, capsys):
    kinds = ["--kind", "small:16GiB,resources.vcpu=8,price=1", "--kind", "big:64GiB,resources.vcpu=8,price=5,most=1"]
    assert main(["size", file, *kinds]) == 0
    out = capsys.readouterr().out
    assert "at a price of 4 in all, and no cheaper nodes suffice" in out
    assert "small       4    16 GiB            1       4" in out
    assert "big " not in out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check"], 0),
        (["check", "--remove-node", "n0"], 1),
        (["check", "--remove-node", "n0", "--remove-vm", "a"], 0),
        (["check", "--add-vm", "d:60GiB,node=n2"], 1),
        (["check", "--resize-vm", "c=60GiB"], 1),
        (["show", "--add-node", "2x64GiB"], 0),
        (["place", "--remove-node", "n0"], 0),
        (["place", "--add-vm", "65GiB"], 1),
        (["repair", "--add-vm", "d:44GiB,node=n2", "--add-node", "n9:64GiB"], 0),
        (["headroom", "16GiB", "--remove-node", "n0", "--remove-node", "n1"], 1),
        (["headroom", "16GiB", "--time-limit", "0"], 3),
        (["headroom", "--time-limit", "0"], 3),
        (["size", "--node-memory", "8GiB"], 1),
        (["size", "--node-memory", "32GiB", "--resource", "vcpu=8", "--time-limit", "0"], 3),
        (["size", "--node-memory", "32GiB", "--resource", "vcpu=8", "--add-vm", "9x8GiB", "--growth", "20%"], 0),
    ],
)
def test_exit_statuses_of_what_would_be(file, arguments, status):
    command, *options = arguments
    assert main([command, file, *options]) == status


def test_headroom_counts_what_would_be(file, capsys):
    counts = []
    for options in ([], ["--add-node", "64GiB"], ["--resize-vm", "a=32GiB"], ["--remove-vm", "b"], ["--remove-node", "n2"]):
        assert main(["headroom", file, "8GiB", "--json", *options]) == 0
        counts.append(json.loads(capsys.readouterr().out)["objective"]["value"])
    assert counts == [11, 19, 9, 13, 3]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["headroom", "FILE", "8G"], "vmplace headroom: Invalid value for '[MEMORY]': '8G' has no known unit: write 8GiB"),
        (["headroom", "FILE", "8GiB", "--pool", "x"], "--pool: 'x' is not a pool of this cluster: choose one of default"),
        (["headroom", "FILE", "-o", "x.json"], "vmplace headroom: -o FILE needs MEMORY"),
        (["headroom", "FILE", "8GiB", "-o", "-", "--json"], "vmplace headroom: --json and -o - would both write to stdout"),
        (["check", "FILE", "--remove-node", "n9"], "--remove-node: 'n9' is not a node of this cluster: name one"),
        (["check", "FILE", "--remove-vm", "z"], "--remove-vm: 'z' is not a VM of this cluster: name one"),
        (["check", "FILE", "--resize-vm", "a"], "vmplace check: Invalid value for '--resize-vm': 'a' names no new size"),
        (["check", "FILE", "--resize-vm", "a=0"], "--resize-vm: 'a': 0 is not above zero"),
        (["check", "FILE", "--add-vm", "a:1GiB"], "--add-vm: 'a' is a VM of this cluster already: give it another name"),
        (
            ["check", "FILE", "--add-vm", "z:1GiB,node=n9"],
            "FILE, as it would be: vms[3].node: 'n9' is not a node of this cluster",
        ),
        (["check", "FILE", "--add-node", "z:1GiB,reserve=2GiB"], "--add-node: 'z': reserve: 2GiB leaves nothing of 1GiB"),
        (["size", "FILE"], "vmplace size: give --node-memory (with --reserve, --resource), or --kind"),
        (["size", "FILE", "--node-memory", "1GiB", "--kind", "2GiB"], "vmplace size: give --node-memory"),
        (["size", "FILE", "--kind", "a:1GiB", "--kind", "a:2GiB"], "--kind: 'a' is given twice: give each its own name"),
        (["size", "FILE", "--node-memory", "1GiB", "--reserve", "1GiB"], "--reserve: 1GiB leaves nothing of 1GiB"),
        (["size", "FILE", "--node-memory", "1GiB", "--growth", "x"], "--growth: 'x' is not a share: write 0.2, or 20%"),
        (
            ["size", "FILE", "--node-memory", "1GiB", "--headroom", "1"],
            "vmplace size: Invalid value for '--headroom': '1' is not",
        ),
    ],
)
def test_what_is_wrong_is_one_line(file, arguments, line, capsys):
    assert main([file if word == "FILE" else word for word in arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.replace(file, "FILE").startswith(line)
    assert errors.count("\n") == 1
