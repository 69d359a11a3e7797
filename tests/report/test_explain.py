"""The command ``vmplace explain``: what it tells of the examples, and of what people bring."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn, dump
from vmplace.cli import main
from vmplace.synthetic import generate

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def told(tmp_path, capsys):
    """What the command says of a cluster, or of an example."""

    def told(cluster, *options, status=0):
        path = EXAMPLES / cluster if isinstance(cluster, str) else tmp_path / "cluster.json"
        if not isinstance(cluster, str):
            dump(cluster, path)
        assert main(["explain", str(path), *options]) == status
        return capsys.readouterr().out

    return told


def lines_with(text, *phrases):
    for phrase in phrases:
        assert phrase in text, text


def test_the_story_of_what_looks_safe(told):
    text = told("looks-safe.json")
    lines_with(
        text,
        "UNSAFE: 1 failure is not survived; migrating 24 GiB repairs it",
        "if esx-1 fails: erp-db needs 64 GiB; the most that is free on one other node is 40 GiB on esx-2",
        "80 GiB must restart; the other nodes have 120 GiB free, but in pieces",
        "to blame: erp-db (64 GiB)\n",
        "with 24 GiB more on esx-2 the cluster would survive it",
        "  1. migrate ",
        "[24 GiB migrated]",
        "  2. add a node of 64 GiB",
        "shrink erp-db (64 GiB) to 40 GiB",
        "shut down erp-db (64 GiB)",
    )


def test_the_story_of_what_is_impossible(told):
    text = told("impossible.json")
    lines_with(
        text,
        "INFEASIBLE: 1 failure is not survived; no placement is safe, even if every VM may migrate",
        "Why no migration can help:",
        "warehouse needs 176 GiB; no node but the largest has that much, and it may fail",
        "  1. add a node of 176 GiB",
        "  2. let warehouse (176 GiB) stay down if its node fails (protected: false)",
        "shrink warehouse (176 GiB) to 128 GiB",
        "shut down warehouse (176 GiB)",
    )


def test_the_story_of_what_is_safe(told):
    text = told("safe.yaml")
    lines_with(text, "SAFE: nothing is wrong", "if hv-1 fails, 104 GiB restart, and the others keep 364 GiB free")


def test_the_story_of_what_rules_forbid(told):
    text = told("kept-apart.json")
    lines_with(
        text,
        "if hv-1 fails: db-1 on hv-1 may restart on no other node: the rules leave none",
        "to blame together: db-1 (64 GiB); rules[0] (apart) (without any one of these, the rest of these could be met)",
        "to blame together: license-server (4 GiB); rules[1] (only-on)",
        "  1. bring hv-3 back into service",
        "  2. make rules[0] (apart) and rules[1] (only-on) preferences (must: false)",
        "Tried, and not enough alone:\n  to add up to four nodes",
    )


def ruled():
    nodes = [Node("a", 9), Node("b", 9), Node("c", 9, state="maintenance")]
    vms = [VM("x", 2, "a"), VM("y", 2, "b"), VM("z", 1, "b"), VM("w", 1)]
    return Cluster(nodes, vms, [Apart(["x", "y"]), OnlyOn(["z"], ["b", "c"])])


def test_every_obstacle_and_every_vm_that_finds_no_node_has_its_line(told):
    text = told(ruled())
    lines_with(
        text,
        "if a fails: x on a may restart on no other node: the rules leave none",
        "to blame together: x (2 MiB); rules[0] (apart) (without any one of these, the rest of these could be met)",
        "y on b may restart on no other node: the rules leave none",
        "z on b may restart on no other node: the rules leave none",
        "Waiting for a node, and not running: w",
        "to blame together: z (1 MiB); rules[1] (only-on)",
        "to blame together: x (2 MiB), y (2 MiB); rules[0] (apart)",
        "  1. bring c back into service",
        "  2. make rules[0] (apart) and rules[1] (only-on) preferences (must: false)",
        "to add up to four nodes",
    )


def test_overfull_nodes_and_broken_rules_are_told_first(told):
    nodes = [Node(name, 9) for name in "abc"]
    text = told(Cluster(nodes, [VM("x", 6, "a"), VM("y", 5, "a"), VM("z", 1, "a")], [Apart(["y", "z"])]))
    lines_with(
        text,
        "1 node is overfull",
        "a holds 3 MiB more than it has for VMs",
        "these alone are already too much (11 MiB; one less of these would fit): x (6 MiB), y (5 MiB)",
        "(apart) is broken",
    )


def test_vms_of_which_the_same_is_said_share_a_line(told):
    cluster = Cluster([Node("a", 99), Node("b", 20)], [VM("big", 40, "a"), *(VM(f"v{i}", 19, "a") for i in range(3))])
    lines_with(
        told(cluster),
        "big needs 40 MiB; the most that is free on one other node is 20 MiB on b",
        "big (40 MiB) alone could not restart; 2 more VMs cannot either",
        "2 VMs: v1, v2: each finds a node alone, but not together with all other VMs that must restart",
    )
    few = Cluster([Node("a", 99), Node("b", 9)], [VM(f"v{i}", 19, "a") for i in range(5)])
    lines_with(told(few), "and 2 more: each needs 19 MiB; the most that is free on one other node is 9 MiB on b")
    lines_with(told(few, "--all"), ": each needs 19 MiB")


def test_figures_alone_are_told_where_sums_are_too_much(told):
    cluster = Cluster([Node(name, 9) for name in "abc"], [VM(f"v{i}", 1, "abc"[i % 3]) for i in range(20)])
    text = told(cluster)
    lines_with(text, "the protected VMs need 20 MiB", "missing: 2 MiB")
    assert "too much" not in text.split("Why no migration can help")[1]


def test_a_lack_of_nodes_blames_no_vm(told):
    text = told(Cluster([Node(name, 9) for name in "abc"], [VM("x", 2, "a"), VM("y", 2, "b")], guarantee=Guarantee(quorum=3)))
    assert text.count("a failure of the largest would leave 2 of 3 nodes; quorum needs 3") == 1
    assert not any(word in text for word in ("to blame", "missing: 1 MiB", "0 MiB"))


def test_pools_are_told_apart(told):
    nodes = [Node("a", 9), Node("b", 9), Node("c", 9, pool="p"), Node("d", 9, pool="p")]
    text = told(Cluster(nodes, [VM("x", 6, "a"), VM("y", 6, "b"), VM("z", 1, "c", pool="p"), VM("w", 9, "d", pool="p")]))
    lines_with(
        text, "pool default: the protected VMs need 12 MiB", "pool p: the protected VMs need 10 MiB", "pool p: add a node of"
    )


def test_json_has_it_all(told):
    found = json.loads(told("looks-safe.json", "--json"))
    (blame,) = found["blames"]
    assert (blame["vms"], blame["shortfall"], blame["on"], blame["minimal"]) == (["erp-db"], 24576, "esx-2", True)
    assert [remedy["kind"] for remedy in found["remedies"]][:5] == ["move", "node", "unprotect", "shrink", "stop"]
    assert all(remedy["verified"] for remedy in found["remedies"])
    assert sum(migration["memory"] for migration in found["remedies"][0]["migrations"]) == 24576


@pytest.mark.parametrize("cluster", [Cluster([]), Cluster([Node("a", 9)]), Cluster([Node("a", 9), Node("b", 9)])])
def test_nothing_to_lose_is_safe(told, cluster):
    assert told(cluster) == "SAFE: nothing is wrong: the cluster survives every failure of the guarantee\n"


def test_a_single_node_cannot_be_safe(told):
    lines_with(told(Cluster([Node("a", 9)], [VM("x", 4, "a")])), "a single node can never be N+1", "add a node of 4 MiB")


def any_order():
    """A cluster with a plan for each failure, which is lost where the small ones restart first, each on a node of its own."""
    nodes = [Node(name, size) for name, size in (("a", 10), ("b", 6), ("c", 6))]
    return Cluster(nodes, [VM("x", 4, "a"), VM("y", 3, "a"), VM("z", 3, "a")], guarantee=Guarantee(restart="any-order"))


def test_other_promises_have_a_story_too(told):
    text = told(any_order())
    lines_with(
        text,
        "x (4 MiB) on a finds no node if the HA manager restarts",
        "these alone are already too much (10 MiB; one less of these would fit): x (4 MiB), y (3 MiB), z (3 MiB)",
        "restart VMs by a plan after a failure (restart: planned)",
    )


def test_without_time_it_is_unknown(told):
    text = told(any_order(), "--time-limit", "0", status=3)
    lines_with(text, "UNKNOWN: nothing wrong was found, but some failures are undecided", "whether 1 of the failures")


def test_what_time_runs_out_for_is_said():
    cluster = generate(nodes=64, fill=1.02, profile="flavors", placed="worst-fit", seed=1)
    start = time.monotonic()
    found = vmplace.explain(cluster, time_limit=1)
    assert time.monotonic() - start < 5
    assert found.status in ("unsafe", "infeasible")
    assert found.unfinished


def test_bad_input_is_told_in_a_line(capsys, tmp_path):
    assert main(["explain", str(tmp_path / "none.json")]) == 2
    assert main(["explain", str(EXAMPLES / "looks-safe.json"), "--seed", "x"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(vmplace.InputError, match="seed: "):
        vmplace.explain(Cluster([]), seed=-1)


def test_it_ends_early_when_it_is_cancelled():
    cluster, cancel = generate(nodes=96, fill=1.02, profile="flavors", placed="worst-fit", seed=1), threading.Event()
    threading.Timer(0.7, cancel.set).start()
    start = time.monotonic()
    found = vmplace.explain(cluster, cancel=cancel)
    assert time.monotonic() - start < 10
    assert found.unfinished


@pytest.mark.slow
def test_a_process_explains():
    told = subprocess.run(
        [sys.executable, "-m", "vmplace", "explain", EXAMPLES / "looks-safe.json"], capture_output=True, timeout=60
    )
    assert told.returncode == 0
    assert told.stdout.startswith(b"UNSAFE: 1 failure is not survived")


def test_soft_rules_and_homes_are_told_with_what_mends_them(told):
    vms = [VM("a", 4, "n0", home="n1"), VM("b", 4, "n0")]
    cluster = Cluster([Node("n0", 20), Node("n1", 20)], vms, [Apart(["a", "b"], must=False, name="sql")])
    found = vmplace.explain(cluster)
    assert [broken["kind"] for broken in found.to_dict()["broken_rules"]] == ["apart", "home"]
    lines = told(cluster).splitlines()
    start = lines.index("Soft rules that are broken now (mended by: place --move-running --objective rules):")
    assert lines[start + 1 : start + 3] == [
        "  rule sql (apart): 1 pair shares a node: a, b",
        "  1 VM away from home: a",
    ]


def test_of_several_guarantees_the_one_that_fails_and_the_one_that_is_weakened_are_named(told):
    hosts, asked = [Node(f"n{i}", 20) for i in range(4)], [Guarantee(), Guarantee(failures=2, vms=["a", "b"])]
    vms = [VM("a", 10, "n0"), VM("b", 10, "n0"), VM("c", 10, "n1"), VM("d", 3, "n1"), VM("e", 3, "n3")]
    lines_with(
        told(Cluster(hosts, vms, (), asked)),
        "UNSAFE: 1 failure is not survived; migrating 3 MiB repairs it",
        "  guarantee 2: if n0+n2 fail: the VMs on n0+n2 fill 2 slots of 10 MiB; ",
        "  1. migrate d (3 MiB) from n1 to n3 [3 MiB migrated]",
        "  2. guarantee 2: guarantee no more than 1 failure at the same time (failures: 1)",
    )
    lines_with(
        told(Cluster(hosts, vms[:2], (), asked)),
        "SAFE: nothing is wrong: the cluster survives every failure of each guarantee",
        "  guarantee 2: if n0+n1 fail, 20 MiB restart, and the others keep 20 MiB free, no node more than 20 MiB",
        "  guarantee 1: if n0 fails, 20 MiB restart, ",
    )
