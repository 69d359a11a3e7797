"""Maintenance as people do it: situations that were described in public, with the right answer each."""

import json
from pathlib import Path

import pytest

import vmplace
from tests.cases.pools import BAD_POOL
from vmplace import VM, Cluster, Guarantee, Node, NotOn, Status, Tag, drain, rolling_drain
from vmplace.cli import main

FOLDER = Path(__file__).parent / "maintenance"


def test_a_cluster_that_is_n_plus_one_and_no_more_is_drained(capsys):
    path = str(FOLDER / "k1-n1-pool.json")
    solution = drain(vmplace.load(path), "A")
    assert (solution.status, solution.guarantee, solution.objective) == (Status.OPTIMAL, Status.UNSAFE, 80 * 1024)
    assert len(solution.migrations) == 10
    assert {lost.scenario for lost in solution.unprotected} == {"B", "C", "D"}
    assert main(["drain", path, "A"]) == 4
    needed = "N+1 cannot hold while A is out: 320 GiB needed, 240 GiB there if another node fails"
    assert f"{needed}; drained all the same; --strict refuses" in capsys.readouterr().out
    assert main(["drain", path, "A", "--strict"]) == 1
    assert capsys.readouterr().out.startswith("INFEASIBLE: N+1 cannot hold while A is out: ")


def test_all_blockers_in_one_answer(capsys):
    path = str(FOLDER / "k7-blockers.json")
    blockers = {blocker.vms: blocker for blocker in drain(vmplace.load(path), "n1").blockers}
    kinds = {vms[0]: blocker.kind for vms, blocker in blockers.items()}
    assert kinds == {
        "gpu": "movable",
        "local": "movable",
        "zz": "migrating",
        "pinned": "rules",
        "zone": "rules",
        "lic1": "rules",
        "aa1": "apart",
    }
    assert [blocker.rules for vms, blocker in blockers.items() if vms[0] in ("pinned", "lic1", "aa1")] == [(0,), (1,), (2,)]
    assert all(blocker.remedy for blocker in blockers.values())
    assert main(["drain", path, "n1", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["blockers"]) == 7


def test_a_drain_with_several_failures_has_an_answer():
    cluster = Cluster([Node("n0", 6), Node("n1", 16)], [VM("v2", 4)], guarantee=Guarantee(failures=2))
    for options in ({}, {"best_effort": True}):
        solution = drain(cluster, "n1", **options)
        assert (solution.guarantee, solution.placement) == (Status.UNSAFE, {"v2": "n0"})


NODES = [{"name": "n2", "memory": 1}, {"name": "n3", "memory": 1}]
MANY = [
    {"name": "n1", "memory": 512},
    {"name": "n2", "memory": 128},
    {"name": "n3", "memory": 512, "domain": "ra"},
    {"name": "n4", "memory": 128},
]


@pytest.mark.parametrize(
    ("document", "nodes", "status"),
    [
        ({"nodes": NODES, "vms": [{"name": "vm1", "memory": 1}], "guarantee": {"failures": 2}}, ["n3"], 4),
        (
            {
                "nodes": MANY,
                "vms": [
                    {"name": "vm1", "memory": 3, "node": "n3", "movable": False, "protected": False},
                    {"name": "vm2", "memory": 16},
                ],
                "rules": [{"kind": "together", "vms": {"tag": "none"}}],
                "guarantee": {"failures": 3},
            },
            ["n1", "n1"],
            4,
        ),
        (
            {
                "nodes": [{"name": "n1", "memory": "1GiB", "reserve": 1}, {"name": "n2", "memory": 12, "domain": "rc"}],
                "vms": [{"name": "vm1", "memory": 20, "node": "n1"}],
                "guarantee": {"failures": 3},
            },
            ["n2"],
            4,
        ),
    ],
)
def test_no_drain_ends_in_an_error(document, nodes, status, tmp_path, capsys):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(document))
    for options in ([], ["--best-effort"]):
        assert main(["drain", str(path), *nodes, *options, "--json"]) == status
        assert json.loads(capsys.readouterr().out)["drained"] == sorted(set(nodes))


def test_every_node_of_such_a_cluster_in_turn(capsys):
    path = str(FOLDER / "k1-n1-pool.json")
    found = rolling_drain(vmplace.load(path))
    assert found.nodes == (("A",), ("B",), ("C",), ("D",))
    assert (found.status, found.suspended) == (Status.OPTIMAL, (1, 2, 3, 4))
    assert all(group.plan.exposed and group.plan.steps[-1].unprotected for group in found.groups)
    assert main(["drain", path, "--rolling"]) == 4
    said = capsys.readouterr().out
    assert "DONE: every node once, in 4 groups" in said
    assert "the guarantee is suspended during all of them" in said
    assert "N+1 cannot hold while any of these nodes is out: " in said
    worst = max(len(loss.vms) for loss in found.groups[0].unprotected)
    assert f"  group 1: if one node fails meanwhile, up to {worst} VMs cannot restart (worst: " in said
    assert main(["drain", path, "--rolling", "--strict"]) == 1
    assert "A: N+1 cannot hold while A is out" in capsys.readouterr().out


def test_two_nodes_in_turn():
    cluster = Cluster([Node("a", "64GiB"), Node("b", "64GiB")], [VM("x", "16GiB", "a"), VM("y", "16GiB", "b")])
    found = rolling_drain(cluster)
    assert (found.nodes, found.suspended) == ((("a",), ("b",)), (1, 2))


FIVE = Cluster(
    [Node(f"pve{i}", "256GiB", reserve="16GiB") for i in range(1, 6)],
    [VM(f"v{i}-{k}", "8GiB", f"pve{i}") for i in range(1, 6) for k in range(4)],
)


def test_never_without_a_majority(tmp_path, capsys):
    found = rolling_drain(FIVE)
    assert (found.status, len(found.groups), found.suspended) == (Status.OPTIMAL, 3, ())
    assert max(map(len, found.nodes)) == 2
    assert rolling_drain(FIVE, at_once=1).nodes == tuple((f"pve{i}",) for i in range(1, 6))
    path = tmp_path / "cluster.json"
    vmplace.dump(FIVE, path)
    options = ["--at-once", "1", "--order", "pve3,pve1", "--only", "pve1,pve2,pve3", "--home", "--moves", str(tmp_path / "m.sh")]
    assert main(["drain", str(path), "--rolling", *options]) == 0
    said = capsys.readouterr().out
    assert said.index("pve3") < said.index("pve1") < said.index("pve2")
    assert "Way back" in said
    lines = [line.split("  #")[0] for line in (tmp_path / "m.sh").read_text().splitlines()]
    assert [line for line in lines if line.startswith("_run maintain")] == [
        "_run maintain -- pve3",
        "_run maintain -- pve1",
        "_run maintain -- pve2",
    ]
    assert "_run migrate -- v3-0 pve3" in "\n".join(lines[: lines.index("_run maintain -- pve3")])
    assert any(
        line.startswith("_run migrate -- v3-0 ") and line.endswith(" pve3")
        for line in lines[lines.index("_run maintain -- pve3") :]
    )


def test_a_bad_pool_does_not_keep_another_from_being_drained(tmp_path, capsys):
    for strict in (True, False):
        solution = drain(BAD_POOL, "g2a", strict=strict)
        assert (solution.status, solution.held, solution.pools) == (
            Status.OPTIMAL,
            True,
            {"g1": Status.UNSAFE, "g2": Status.SAFE},
        )
        assert [m.vm for m in solution.migrations] == ["z"]
        found = rolling_drain(BAD_POOL, strict=strict)
        assert found.nodes == (("g2a",), ("g2b",), ("g2c",))
    path = tmp_path / "cluster.json"
    vmplace.dump(BAD_POOL, path)
    assert main(["drain", str(path), "g2a"]) == 4
    assert "g1" in capsys.readouterr().out.splitlines()[0]
    assert main(["drain", str(path), "--rolling"]) == 1
    assert "  g1a: the VMs need 80 GiB" in capsys.readouterr().out


LIMITED = Cluster(
    [Node("n0", 12), Node("n1", 41), Node("n2", 31), Node("n3", 28), Node("n4", 48)],
    [
        VM("v0", 15, "n1"),
        VM("v1", 10, "n3", evictable=True, tags=["b"]),
        VM("v2", 10, "n4"),
        VM("v3", 6, "n3", tags=["b"]),
        VM("v4", 6, "n4"),
        VM("v5", 6, "n3", tags=["b"]),
    ],
    [NotOn(("v5", "v0"), ("n2", "n3")), NotOn(Tag("b"), ("n2",))],
    Guarantee(headroom=0.5),
)


@pytest.mark.parametrize("seconds", [20, 2, 0.5])
def test_a_bound_holds_for_the_nodes_that_are_in_a_group(seconds):
    found = rolling_drain(LIMITED, strict=True, time_limit=seconds)
    assert {name for group in found.nodes for name in group} <= {"n0", "n2", "n3"}
    assert found.bound <= 2
    assert found.bound <= len(found.groups)


def test_a_container_is_stopped_and_started_elsewhere(tmp_path, capsys):
    nodes = [Node(f"n{i}", "64GiB") for i in (1, 2, 3)]
    vms = [VM("ct", "16GiB", "n1", movable="cold"), VM("v", "16GiB", "n1"), VM("w", "16GiB", "n2")]
    cluster = Cluster(nodes, vms)
    solution = drain(cluster, "n1")
    assert (solution.status, solution.guarantee) == (Status.OPTIMAL, Status.SAFE)
    step = next(step for step in solution.plan.steps if step.stops)
    assert ([stop.vm for stop in step.stops], [(m.vm, m.cold) for m in step.migrations]) == (["ct"], [("ct", True)])
    path, moves = tmp_path / "cluster.json", tmp_path / "m.sh"
    vmplace.dump(cluster, path)
    assert main(["drain", str(path), "n1", "--moves", str(moves)]) == 0
    said = capsys.readouterr().out
    assert "1 VM stopped and started elsewhere (16 GiB)" in said
    assert "down, step 2" in said
    lines = [line.split("  #")[0] for line in moves.read_text().splitlines()]
    begin = lines.index("_run stop -- ct n1")
    assert lines[begin + 1] == "_wait"
    assert lines[begin + 2] in ("_run start -- ct n2", "_run start -- ct n3")
    saved = tmp_path / "result.json"
    assert main(["drain", str(path), "n1", "--json"]) == 0
    saved.write_text(capsys.readouterr().out)
    assert main(["audit", str(path), str(saved)]) == 0


HOSTS = Cluster(
    [Node(f"h{i}", "128GiB", reserve="8GiB") for i in range(4)],
    [VM(f"v{i}-{k}", "18GiB", f"h{i}") for i in range(4) for k in range(3)],
)


def test_what_would_place_the_vms_that_a_change_leaves_waiting(tmp_path, capsys):
    path = tmp_path / "cluster.json"
    vmplace.dump(HOSTS, path)
    assert main(["check", str(path), "--remove-node", "h2"]) == 1
    said = capsys.readouterr().out
    assert "Waiting: v2-0, v2-1, v2-2" in said
    assert (
        "Next: vmplace place, with the same options, starts all 3 VMs, and every failure of the guarantee is survived then"
        in said
    )
    assert main(["place", str(path), "--remove-node", "h2"]) == 0
    capsys.readouterr()
    assert main(["check", str(path)]) == 0
    assert "Next:" not in capsys.readouterr().out


def test_what_to_start_after_a_node_has_failed(tmp_path, capsys):
    nodes = [Node(f"n{i}", "128GiB", state="offline" if i == 3 else "online") for i in range(4)]
    vms = [VM(f"v{i}-{k}", "30GiB", f"n{i}", priority=k) for i in range(4) for k in range(3)]
    path, moves = tmp_path / "cluster.json", tmp_path / "m.sh"
    vmplace.dump(Cluster(nodes, vms), path)
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr().out
    assert "Next: vmplace place --best-effort, with the same options, starts the 3 VMs that wait if there is room" in said
    assert main(["place", str(path), "--best-effort", "--moves", str(moves)]) == 4
    said = capsys.readouterr().out
    assert said.startswith("UNSAFE: N+1 cannot hold: 360 GiB needed, 256 GiB there if the largest node fails")
    starts = [line.split()[3] for line in moves.read_text().splitlines() if line.startswith("_run start ")]
    assert starts == ["v3-2", "v3-1", "v3-0"]


def test_a_drain_moves_little_and_then_balances():
    nodes = [Node(f"node{i}", 95367) for i in (1, 2, 3)]
    vms = [VM("100", 3814, "node1", running=False), VM("101", 38146, "node1")]
    small = [f"10{i}" for i in range(2, 10)]
    solution = drain(Cluster(nodes, [*vms, *(VM(name, 1907, "node1") for name in small)]), "node1")
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 38146 + 8 * 1907)
    assert {solution.placement[name] for name in small} == {"node2", "node3"} - {solution.placement["101"]}
    assert solution.placement["100"] == "node1"
