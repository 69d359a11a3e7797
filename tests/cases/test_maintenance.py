"""Maintenance as people do it: situations that were described in public, with the right answer each."""

import json
from pathlib import Path

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, Status, drain
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
