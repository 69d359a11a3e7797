"""Rules that have a name are called by it, wherever a message speaks of one."""

import pytest

import vmplace
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Tag
from vmplace.cli import main


def told(capsys, tmp_path, cluster, *command):
    path = str(tmp_path / "cluster.json")
    vmplace.dump(cluster, path)
    main([command[0], path, *command[1:]])
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "label"), [("sql", "rule sql (apart)"), (None, "rules[0] (apart)")])
def test_in_violations_explanations_and_blockers(name, label, capsys, tmp_path):
    nodes = [Node(f"n{i}", 20) for i in range(3)]
    broken = Cluster(nodes, [VM("a", 4, "n0"), VM("b", 4, "n0")], [Apart(["a", "b"], name=name)])
    assert f"{label} is broken by a, b on n0" in told(capsys, tmp_path, broken, "check")
    assert label in told(capsys, tmp_path, broken, "explain")
    full = Cluster(nodes, [VM(v, 4, f"n{i}", tags=["t"]) for i, v in enumerate("abc")], [Apart(Tag("t"), name=name)])
    assert label in told(capsys, tmp_path, full, "drain", "n0", "--strict")
    new = VM("d", 4, tags=["t"])
    refused = vmplace.Admitter(full).candidates(new)
    assert any(label in candidate.reason for candidate in refused)


def test_soft_rules_by_name_or_number(capsys, tmp_path):
    nodes = [Node(f"n{i}", 20) for i in range(2)]
    rules = [OnlyOn(["a"], ["n0"], must=False, name="license"), OnlyOn(["a"], ["n0"], must=False)]
    text = told(capsys, tmp_path, Cluster(nodes, [VM("a", 4, "n0")], rules), "check")
    assert "If n0 fails, its failover plan breaks soft rule license (only-on): a on n1" in text
    assert "If n0 fails, its failover plan breaks soft rule 1 (only-on): a on n1" in text
