"""Questions that newcomers asked on the command line, each with the answer that tells them what to do."""

import pytest

import vmplace
from vmplace import VM, Cluster, Node
from vmplace.auditor.claims.claims import Claims
from vmplace.cli import main
from vmplace.formats.document import dump

VMS_THERE = [*(VM(f"vm{i}", "100GiB", f"n{i}") for i in range(6)), VM("off", 1, running=False)]
FULL = Cluster([Node(f"n{i}", "320GiB") for i in range(6)], VMS_THERE)


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "c.json"
    dump(FULL, path)
    return str(path)


def test_what_no_node_can_hold_is_refused_with_what_would_help(document, capsys):
    for options in ([], ["--make-room"]):
        assert main(["admit", document, "--name", "huge", "--memory", "500GiB", *options]) == 1
        told = capsys.readouterr().out
        assert told.startswith("REFUSED: no node can hold 500 GiB: the largest, n0, has 320 GiB for VMs")
        assert "make the VM smaller, or add a node that can take it" in told
        assert "--make-room" not in told


@pytest.mark.parametrize(("memory", "outsized"), [(12, False), (13, True), (20, True)])
def test_only_nodes_that_may_take_it_count(memory, outsized):
    others = [Node("off", 99, state="offline"), Node("down", 99, state="maintenance"), Node("else", 99, pool="p")]
    nodes = [Node("n0", 14, reserve=2), Node("n1", 12), *others]
    found = vmplace.admit(Cluster(nodes, [VM("v", 6, "n0"), VM("w", 6, "n1")]), [VM("x", memory)])
    assert found.status == "refused"
    assert found.reason.startswith("no node can hold") == outsized


NODES = "'n0', 'n1', 'n2', 'n3', 'n4', 'n5'"
VMS = "'vm0', 'vm1', 'vm2', 'vm3', 'vm4', 'vm5', 'off'"
NO_NODE, NO_VM = "is not a node of this cluster", "is not a VM of this cluster"
STATES = "is not one of online, maintenance, offline"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "admit FILE --name vm1",
            "--name: 'vm1' runs already, on 'n1': choose another name, or one of a VM that waits or is stopped",
        ),
        ("admit FILE --name off --memory 1GiB", "choose another name, or give its name without memory to start it"),
        ("admit FILE --name none", f"--name: 'none' {NO_VM}: name one of {VMS}, or add --memory to start a new VM"),
        ("admit FILE --name VM1", f"--name: 'VM1' {NO_VM}; did you mean 'vm1'? Or add --memory to start a new VM"),
        ("drain FILE N2", f"c.json: nodes: 'N2' {NO_NODE}; did you mean 'n2'?"),
        ("drain FILE n9", f"c.json: nodes: 'n9' {NO_NODE}: name one of {NODES}"),
        ("check FILE --remove-node n9", f"--remove-node: 'n9' {NO_NODE}: name one of {NODES}"),
        ("check FILE --add-node x:1GiB,state=down", f"state: 'down' {STATES}: write one of these"),
        ("check FILE --add-node x:1GiB,state=Online", f"state: 'Online' {STATES}; did you mean 'online'?"),
    ],
)
def test_an_error_names_what_there_is(words, message, document, capsys):
    assert main([document if word == "FILE" else word for word in words.split()]) == 2
    assert capsys.readouterr().err.endswith(f"{message}\n")


def test_headroom_tells_of_migrations_that_were_not_counted(document, capsys):
    hint = "Running VMs stay where they are here: add --move-running to count with migrations.\n"
    for memory, options, told in (("230GiB", [], True), ("230GiB", ["--move-running"], False), ("32GiB", [], False)):
        assert main(["headroom", document, memory, *options]) == 0
        assert capsys.readouterr().out.endswith(hint) == told


def test_admission_in_a_cluster_as_it_would_be(document, capsys):
    asked = ["admit", document, "--name", "new", "--memory", "250GiB"]
    assert main(asked) == 1
    assert main([*asked, "--add-node", "n9:320GiB", "--add-node", "n10:320GiB"]) == 0
    assert capsys.readouterr().out.endswith("ADMITTED: new (250 GiB) may start on n9\n")


def test_help_says_how_memory_and_bandwidth_are_written(capsys):
    for command, count in (("admit", 5), ("headroom", 5), ("size", 5), ("place", 4), ("check", 3), ("generate", 1)):
        assert main([command, "--help"]) == 0
        assert " ".join(capsys.readouterr().out.split()).count("(MiB where no unit is given)") == count


@pytest.mark.parametrize(
    ("speed", "mend"), [("10GB", "10Gbit or 10GB/s"), ("10 GB", "10Gbit or 10 GB/s"), ("1.5GiB", "1.5Gbit or 1.5GiB/s")]
)
def test_an_amount_is_not_a_bandwidth(speed, mend, document, capsys):
    assert main(["place", document, "--bandwidth", speed]) == 2
    assert f"{speed!r} is an amount, not a bandwidth: write {mend} (see" in capsys.readouterr().err


def test_files_that_are_swapped_are_told(document, tmp_path, capsys):
    assert main(["check", document, "--json"]) == 0
    result = tmp_path / "result.json"
    result.write_text(capsys.readouterr().out)
    assert main(["audit", str(result), document]) == 2
    assert capsys.readouterr().err == f"{result}: is a result, not a cluster: are the two files swapped?\n"
    assert main(["audit", document, str(result)]) == 0


@pytest.mark.parametrize(
    ("says", "right", "message"),
    [
        ([*range(9)], [*range(8)], "says [8] from [8] on; [] is right (9 entries, 8 are right)"),
        ([*range(9)], [*range(8), 9], "says [8] from [8] on; [9] is right (9 entries, 9 are right)"),
        ({f"k{i}": 0 for i in range(9)}, {f"k{i}": i // 8 for i in range(9)}, "says 0 of 'k8'; 1 is right"),
        ([1], [2], "says [1]; [2] is right"),
    ],
)
def test_what_looks_alike_in_short_is_told_apart(says, right, message):
    claims = Claims({})
    assert not claims.expect("plan.exposed", says, right)
    assert claims.found[0].message == message
