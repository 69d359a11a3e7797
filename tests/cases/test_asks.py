"""Questions that newcomers asked on the command line, each with the answer that tells them what to do."""

import pytest

import vmplace
from vmplace import VM, Cluster, Node
from vmplace.cli import main
from vmplace.formats.document import dump

FULL = Cluster([Node(f"n{i}", "320GiB") for i in range(6)], [VM(f"vm{i}", "190GiB", f"n{i % 6}") for i in range(6)])


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "c.json"
    dump(FULL, path)
    return str(path)


def test_what_no_node_can_hold_is_refused_without_a_hint(document, capsys):
    for options in ([], ["--make-room"]):
        assert main(["admit", document, "--name", "huge", "--memory", "500GiB", *options]) == 1
        expected = "REFUSED: no node can hold 500 GiB: the largest, n0, has 320 GiB for VMs\n"
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize(("memory", "outsized"), [(12, False), (13, True), (20, True)])
def test_only_nodes_that_may_take_it_count(memory, outsized):
    others = [Node("off", 99, state="offline"), Node("down", 99, state="maintenance"), Node("else", 99, pool="p")]
    nodes = [Node("n0", 14, reserve=2), Node("n1", 12), *others]
    found = vmplace.admit(Cluster(nodes, [VM("v", 6, "n0"), VM("w", 6, "n1")]), [VM("x", memory)])
    assert found.status == "refused"
    assert found.reason.startswith("no node can hold") == outsized
