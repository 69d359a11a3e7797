"""`vmplace drain`, and the order of migrations on the command line."""

import json
import subprocess
import sys

import pytest

import vmplace
from vmplace import VM, Cluster, Node
from vmplace.cli import main

CLUSTER = Cluster([Node(f"n{i}", "100GiB") for i in range(4)], [VM(f"v{i}", "20GiB", f"n{i}") for i in range(4)])
CROWDED = Cluster([Node(f"n{i}", "100GiB") for i in range(3)], [VM(f"v{i}", "60GiB", f"n{i}") for i in range(3)])
TIGHT = Cluster([Node(f"n{i}", "100GiB") for i in range(3)], [VM(f"v{k}", "20GiB", f"n{k % 3}") for k in range(9)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.json"
    vmplace.dump(CLUSTER, path)
    return str(path)


def test_a_process_drains_writes_and_is_audited(file, tmp_path):
    out, moves = tmp_path / "out.json", tmp_path / "moves.sh"
    command = [sys.executable, "-m", "vmplace", "drain", file, "n1", "n2", "-o", str(out), "--moves", str(moves), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    assert (result["status"], result["drained"], result["plan"]["status"]) == ("optimal", ["n1", "n2"], "optimal")
    assert [node.state for node in vmplace.load(out).nodes] == ["online", "maintenance", "maintenance", "online"]
    assert sorted(
        line.split("  #")[0].split()[1:5] for line in moves.read_text().splitlines() if line.startswith("_run migrate")
    ) == [
        ["migrate", "--", "v1", "n1"],
        ["migrate", "--", "v2", "n2"],
    ]
    saved = tmp_path / "result.json"
    saved.write_text(ran.stdout)
    assert main(["audit", file, str(saved)]) == 0


def test_the_report_names_the_nodes(file, capsys):
    assert main(["drain", file, "n1"]) == 0
    said = capsys.readouterr().out
    assert "Drained: n1" in said
    assert "In order: 1 step, safe after every step" in said


def test_rolling(file, tmp_path, capsys):
    out, moves = tmp_path / "out.json", tmp_path / "moves.sh"
    assert main(["drain", file, "--rolling", "-o", str(out), "--moves", str(moves)]) == 0
    assert capsys.readouterr().out.startswith("DONE: every node once, in 4 groups")
    assert {node.state for node in vmplace.load(out).nodes} == {"online"}
    assert moves.read_text().count("# drain n") == 4
    assert main(["drain", file, "--rolling", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bound"] == 4


@pytest.mark.parametrize("argv", [["n1", "--strict"], ["n1", "n2"], ["--rolling"]])
def test_what_cannot_be_drained_ends_with_one_and_writes_nothing(argv, tmp_path, capsys):
    path, out = tmp_path / "cluster.json", tmp_path / "out.json"
    vmplace.dump(CROWDED, path)
    assert main(["drain", str(path), *argv, "-o", str(out), "--moves", str(tmp_path / "m.sh")]) == 1
    assert capsys.readouterr().out.startswith("INFEASIBLE")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cluster.json"]


def test_what_suspends_the_guarantee_is_done_and_ends_with_four(tmp_path, capsys):
    path, out = tmp_path / "cluster.json", tmp_path / "out.json"
    vmplace.dump(TIGHT, path)
    assert main(["drain", str(path), "n1", "-o", str(out)]) == 4
    said = capsys.readouterr().out
    assert said.startswith(
        "UNSAFE: N+1 cannot hold while n1 is out: 180 GiB needed, 100 GiB there if another node fails; drained"
    )
    assert "Not survived while n1 is out:\n  n0: " in said
    assert "The guarantee does not hold after any of them" in said
    assert "From the first step on, restarts on n1 are not counted, as in maintenance mode" in said
    assert vmplace.load(out).nodes[1].state == "maintenance"


def test_all_that_is_in_the_way_is_listed(tmp_path, capsys):
    path = tmp_path / "cluster.json"
    vmplace.dump(Cluster(CLUSTER.nodes, [VM("a", 1, "n1", movable=False), VM("b", 1, "n1", target="n2")]), path)
    assert main(["drain", str(path), "n1"]) == 1
    said = capsys.readouterr().out
    assert "In the way, and what would help:\n  a on n1 is not movable: " in said
    assert "\n  b on n1 is being migrated to n2: wait until that is done" in said


def test_without_time_the_status_is_three(file):
    assert main(["drain", file, "--rolling", "--time-limit", "0"]) == 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "name the nodes to drain, or use --rolling"),
        (["n1", "--rolling"], "--rolling drains all nodes: use --only to name some"),
        (["zz"], "nodes: 'zz' is not a node of this cluster"),
        (["n1", "--parallel", "0"], "--parallel"),
        (["n1", "--moves", "x.txt"], "'x.txt' must end in .sh, .csv, .json, .dot or .svg"),
        (["n1", "--moves", "/no/such/place.sh"], "/no/such is not a directory"),
        (["n1", "--json", "-o", "-"], "would both write to stdout"),
        (["--rolling", "--json", "-o", "-"], "would both write to stdout"),
        (["n1", "--strict", "--best-effort"], "--strict: contradicts best_effort"),
        (["n1", "--at-once", "2"], "--at-once needs --rolling"),
        (["n1", "--home"], "--home needs --rolling"),
        (["--rolling", "--order", "zz"], "--order: 'zz' is not one of the nodes to drain"),
        (["--rolling", "--moves", "x.svg"], "ends in .sh, .csv or .json"),
    ],
)
def test_bad_usage_is_one_line(argv, words, file, capsys):
    assert main(["drain", file, *argv]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("suffix", ["sh", "csv", "json", "dot", "svg"])
@pytest.mark.parametrize("command", [["repair"], ["place", "--move-running", "--parallel", "1"]])
def test_other_commands_write_their_migrations_too(command, suffix, tmp_path):
    path, moves = tmp_path / "cluster.json", tmp_path / f"moves.{suffix}"
    vmplace.dump(Cluster(CLUSTER.nodes, [VM(f"v{i}", "20GiB", "n0") for i in range(5)]), path)
    assert main([command[0], str(path), *command[1:], "--moves", str(moves)]) == 0
    assert moves.read_text()


def test_moves_are_written_where_vms_only_start_those_of_higher_priority_first(tmp_path):
    path, moves = tmp_path / "cluster.json", tmp_path / "moves.csv"
    vms = [
        VM("low", "4GiB"),
        VM("big", "8GiB", priority=2),
        VM("small", "4GiB", priority=2),
        VM("off", "4GiB", "n1", running=False),
    ]
    vmplace.dump(Cluster(CLUSTER.nodes, [*vms, VM("runs", "4GiB", "n0")]), path)
    assert main(["place", str(path), "--moves", str(moves)]) == 0
    rows = [row.split(",") for row in moves.read_text().splitlines()[1:]]
    assert [(row[1], row[2], row[3], row[4]) for row in rows] == [
        ("1", "start", "big", ""),
        ("1", "start", "small", ""),
        ("2", "start", "low", ""),
    ]


def test_nothing_to_do_is_written_too(file, tmp_path):
    assert main(["place", file, "--moves", str(tmp_path / "m.sh")]) == 0
    assert (tmp_path / "m.sh").read_text() == "#!/bin/sh\n# nothing to do\n"


def test_bandwidth_tells_how_long_it_takes(file, tmp_path, capsys):
    assert main(["drain", file, "n1", "--bandwidth", "10Gbit", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["seconds"] == sum(step["seconds"] for step in plan["steps"])
    assert main(["drain", file, "n1", "--bandwidth", "10Gbit"]) == 0
    assert "of migration, safe after every step" in capsys.readouterr().out
    assert main(["drain", file, "--rolling", "--bandwidth", "1Gbit"]) == 0
    assert " min" in capsys.readouterr().out
    assert main(["drain", file, "n1", "--bandwidth", "10"]) == 2
    assert "'10' is not a bandwidth: write it like 10Gbit or 1.25GB/s" in capsys.readouterr().err
