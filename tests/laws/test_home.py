"""Homes of VMs: where they go back to when asked, and what keeps them away."""

import json

import pytest

import vmplace
from vmplace import VM, Cluster, Node, NotOn, OnlyOn
from vmplace.cli import main


def cluster(*states, rules=(), pool="default"):
    nodes = [Node("n1", "64GiB"), Node("n2", "64GiB", state=states[0] if states else "online", pool=pool), Node("n3", "64GiB")]
    return Cluster(nodes, [VM("a", "4GiB", "n1", home="n2"), VM("b", "4GiB", "n3")], rules)


def test_those_away_from_home_are_counted():
    report = vmplace.check(cluster())
    (away,) = report.broken_rules
    assert away.to_dict() == {"rule": None, "kind": "home", "weight": 1, "cost": 1, "vms": ["a"], "name": None}
    assert report.status == "safe"


@pytest.mark.parametrize(
    "case",
    [
        cluster("offline"),
        cluster("maintenance"),
        cluster(pool="other"),
        cluster(rules=[NotOn(["a"], ["n2"])]),
        Cluster([Node("n1", 9), Node("n3", 9)], [VM("a", 4, "n1", home="gone"), VM("b", 4, "n3")]),
    ],
    ids=["offline", "maintenance", "another pool", "a must-rule", "no node"],
)
def test_a_home_that_cannot_be_had_is_nothing(case):
    report = vmplace.check(case)
    assert report.broken_rules == ()
    found = vmplace.place(case, objective="rules", move_running=True)
    assert (found.status, found.migrations, found.objective) == ("optimal", (), 0)
    assert [line for line in report.warnings if "home" in line] == (
        ["'gone' is the home of VMs, but not a node of this cluster: it is left out"] if len(case.nodes) == 2 else []
    )


def test_a_home_that_is_drained_is_nothing():
    found = vmplace.drain(cluster(), "n2")
    assert (found.broken_rules, found.migrations) == ((), ())
    back = vmplace.place(cluster(), move_running=True, objective="rules").to_document()
    out = vmplace.drain(back, "n2")
    assert [m.vm for m in out.migrations] == ["a"]
    assert out.broken_rules == ()


def test_waiting_vms_start_at_home():
    nodes = [Node(f"n{i}", 10) for i in range(3)]
    vms = [VM(f"v{i}", 2, home="n2") for i in range(2)]
    assert set(vmplace.place(Cluster(nodes, vms)).placement.values()) == {"n2"}
    for rules in ([], [NotOn(["v0"], ["n0"])]):
        full = Cluster(nodes, [VM("v0", 2, "n2")], rules)
        assert vmplace.admit(full, VM("w", 2, home="n1")).node == "n1"
        assert [c.penalty for c in vmplace.Admitter(full).candidates(VM("w", 2, home="n1"))] == [1, 0, 1]
        assert vmplace.admit(full, VM("w", 9, home="n2")).node != "n2"
        assert [c.penalty for c in vmplace.Admitter(full).candidates(VM("w", 2, home="n9"))] == [0, 0, 0]


def test_a_failure_does_not_ask_for_homes():
    assert vmplace.check(cluster()).warnings == ()
    at_home = Cluster([Node("n1", 9), Node("n2", 9)], [VM("a", 4, "n1", home="n1")])
    assert vmplace.check(at_home).warnings == ()


def test_a_new_node_and_homes():
    nodes = [Node(f"n{i}", 10) for i in range(2)]
    full = Cluster(nodes, [VM(f"v{i}", 8, f"n{i}", home="n1") for i in range(2)])
    assert any(remedy.kind == "node" for remedy in vmplace.explain(full).remedies)


def test_the_command_line(tmp_path, capsys):
    file = str(tmp_path / "cluster.json")
    vmplace.dump(cluster(), file)
    assert main(["check", file]) == 0
    assert "1 VM away from home: a" in capsys.readouterr().out
    assert main(["place", file, "--move-running", "--objective", "rules", "-o", file]) == 0
    assert "a  4 GiB  n1 -> n2" in capsys.readouterr().out
    assert main(["check", file]) == 0
    assert "home" not in capsys.readouterr().out


def test_saved_results_are_audited(tmp_path, capsys):
    file, saved = str(tmp_path / "cluster.json"), tmp_path / "result.json"
    vmplace.dump(cluster(rules=[OnlyOn(["b"], ["n1"], must=False, weight=2)]), file)
    for command in (["check", file], ["explain", file], ["place", file, "--move-running", "--objective", "rules"]):
        assert main([*command, "--json"]) == 0
        saved.write_text(capsys.readouterr().out)
        assert main(["audit", file, str(saved)]) == 0
        assert "RIGHT" in capsys.readouterr().out
    assert main(["check", file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    away = told["broken_rules"].pop()
    for entries in ([], [{**away, "cost": 2}], [{**away, "vms": ["b"]}], [away, away]):
        saved.write_text(json.dumps({**told, "broken_rules": told["broken_rules"] + entries}))
        assert main(["audit", file, str(saved)]) == 1
        assert "claim: broken_rules: " in capsys.readouterr().out
    assert main(["place", file, "--move-running", "--objective", "rules", "--json"]) == 0
    placed = json.loads(capsys.readouterr().out)
    placed["objective"] |= {"value": 1, "bound": 1}
    saved.write_text(json.dumps(placed))
    assert main(["audit", file, str(saved)]) == 1
    assert "says rules 1; 0 is right" in capsys.readouterr().out
