import json
import subprocess
import sys
from pathlib import Path

import pytest

import vmplace
from vmplace import VM, Apart, Cluster, ConflictError, InputError, Node
from vmplace.admission.admit import applied
from vmplace.cli import main
from vmplace.formats.document import dump

EXAMPLES = Path(__file__).parents[2] / "examples"
# 4 GiB is free on each of three nodes: no room for 8 GiB unless something migrates.
CRUMBS = Cluster([Node(f"n{i}", 12) for i in range(5)], [VM(f"v{i}", 4, f"n{i // 2}") for i in range(6)], [])


def test_one_vm_is_admitted_where_the_cluster_stays_safe():
    found = vmplace.admit(CRUMBS, VM("new", 8))
    assert found.admitted
    assert vmplace.check(applied(CRUMBS, [VM("new", 8)], found)).status == "safe"


def test_room_is_made_by_the_least_migration():
    cluster = Cluster([Node(f"n{i}", 12) for i in range(4)], [VM(f"v{i}", 3, f"n{i}") for i in range(4)])
    assert vmplace.admit(cluster, VM("new", 10)).status == "refused"
    found = vmplace.admit(cluster, VM("new", 10), make_room=True)
    assert found.admitted
    assert sum(migration.memory for migration in found.migrations) == 6
    then = applied(cluster, [VM("new", 10)], found)
    assert vmplace.check(then).status == "safe"
    waiting = Cluster(cluster.nodes, [*cluster.vms, VM("new", 10)])
    assert vmplace.repair(waiting).objective == 6


def test_where_no_migration_helps_it_is_said():
    full = Cluster([Node("n0", 12), Node("n1", 12)], [VM("v0", 6, "n0"), VM("v1", 6, "n1")])
    found = vmplace.admit(full, VM("new", 7), make_room=True)
    assert found.status == "refused"
    assert "with migrations:" in found.reason


def test_others_that_wait_go_on_waiting():
    cluster = Cluster([Node(f"n{i}", 12) for i in range(4)], [*(VM(f"v{i}", 3, f"n{i}") for i in range(4)), VM("huge", 99)])
    found = vmplace.admit(cluster, VM("new", 10), make_room=True)
    assert found.admitted
    assert [vm.node for vm in applied(cluster, [VM("new", 10)], found).vms if vm.name == "huge"] == [None]


def test_what_is_broken_already_is_no_ground_to_refuse():
    cluster = vmplace.load(EXAMPLES / "impossible.json")
    assert vmplace.check(cluster).status == "unsafe"
    found = vmplace.admit(cluster, VM("new", "8GiB"))
    assert found.admitted
    before, after = (vmplace.check(c) for c in (cluster, applied(cluster, [VM("new", "8GiB")], found)))
    assert [lost.vms for lost in before.unprotected] == [lost.vms for lost in after.unprotected]


def test_rules_are_kept():
    cluster = Cluster(CRUMBS.nodes, [*CRUMBS.vms, VM("w", 1)], [Apart(["w", "v0"])])
    assert vmplace.admit(CRUMBS, VM("new", 1)).node == "n0"
    assert vmplace.admit(cluster, "w").node == "n1"


def test_nothing_admitted_cannot_be_applied():
    with pytest.raises(ConflictError, match="status: refused: nothing was admitted"):
        applied(CRUMBS, [VM("new", 99)], vmplace.admit(CRUMBS, VM("new", 99)))


def test_a_wrong_limit_is_told():
    with pytest.raises(InputError, match="time_limit"):
        vmplace.admit(CRUMBS, VM("new", 1), time_limit="soon")


# The command line


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "cluster.json"
    dump(Cluster([Node(f"n{i}", "64GiB") for i in range(4)], [VM(f"v{i}", "16GiB", f"n{i}") for i in range(4)]), path)
    return str(path)


def test_the_command_is_a_process(document):
    words = [sys.executable, "-m", "vmplace", "admit", document, "--name", "new", "--memory", "8GiB"]
    ran = subprocess.run(words, capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stdout) == (0, "ADMITTED: new (8 GiB) may start on n0\n")


def test_the_document_with_it_is_written(document, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["admit", document, "--name", "new", "--memory", "56GiB", "--make-room", "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("ADMITTED: new (56 GiB) may start on n")
    assert "after 2 VMs (32 GiB) have migrated:\n  v0  16 GiB  n0 -> n" in told
    assert vmplace.check(vmplace.load(out)).status == "safe"


def test_a_refusal_writes_nothing_and_ends_with_one(document, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["admit", document, "--name", "new", "--memory", "56GiB", "-o", str(out)]) == 1
    assert capsys.readouterr().out == (
        "REFUSED: no node has 56 GiB free: n0 has 48 GiB free\n"
        "With --make-room, other VMs may migrate first so that it can start.\n"
    )
    assert not out.exists()


def test_json_has_every_node_if_asked(document, capsys):
    assert main(["admit", document, "--name", "new", "--memory", "48GiB", "--candidates", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["node"], found["score"]) == ("admitted", "n0", 0)
    assert [node["status"] for node in found["candidates"]] == ["admitted"] * 4


def test_every_node_is_shown_with_its_reason(document, capsys):
    assert main(["admit", document, "--name", "new", "--memory", "49GiB", "--candidates"]) == 1
    assert "n3 refused n3 has 48 GiB free" in " ".join(capsys.readouterr().out.split())


def test_a_vm_that_waits_is_admitted_by_name(tmp_path, capsys):
    path = tmp_path / "cluster.json"
    dump(Cluster([Node("n0", 8), Node("n1", 8)], [VM("w", 4)]), path)
    assert main(["admit", str(path), "--name", "w"]) == 0
    assert capsys.readouterr().out == "ADMITTED: w (4 MiB) may start on n0\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--name", "v0", "--memory", "1GiB"), "--name: 'v0' runs already, on 'n0': choose another name, or"),
        (("--name", "who"), "--name: 'who' is not a VM of this cluster: name one of"),
        (("--name", "a+b", "--memory", "1GiB"), "--name: 'a+b'"),
        (("--name", "new", "--memory", "8G"), "write 8GiB"),
        (("--name", "new", "--memory", "1GiB", "--resource", "vcpu"), "write it like vcpu=4"),
        (("--memory", "1GiB"), "--name"),
        (("--name", "new", "--memory", "1GiB", "--json", "-o", "-"), "would both write to stdout"),
    ],
)
def test_bad_usage_is_a_line(document, capsys, options, message):
    assert main(["admit", document, *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
