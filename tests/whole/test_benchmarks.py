"""The benchmarks' own instances and measures."""

from random import Random

import numpy as np
import pytest
from click.testing import CliRunner

import vmplace
from benchmarks.__main__ import main
from benchmarks.comings import comings
from benchmarks.costs import PROMISES
from benchmarks.data import FOLDER
from benchmarks.instances import Instance, balances, many_sizes, odd_sizes, repairs, under_rules, uneven
from benchmarks.loads import LOADS, loads
from benchmarks.migrations import exchanged, pair
from benchmarks.repairing import strewn
from benchmarks.timed import Timed, timed
from vmplace.synthetic import generate


def test_a_quick_table_in_a_pipe_is_markdown():
    ran = CliRunner().invoke(main, ["exact", "--quick", "--only", "limits", "--time-limit", "1"])
    assert ran.exit_code == 0, ran.output
    title, _, header, rule, *rows = ran.output.splitlines()
    assert title == "Time limits"
    assert header.count("|") == rule.count("|") == rows[0].count("|")
    assert sum(row.startswith("| 64 ") for row in rows) == 6


@pytest.mark.slow
def test_what_is_asked_is_told_row_by_row():
    columns, ran = 17, CliRunner().invoke(main, ["exact", "--quick", "--only", "uneven", "--time-limit", "0.5"])
    rows = [row for row in ran.output.splitlines() if row.startswith("| 16 ")]
    assert len(rows) == 8
    assert all(row.count("|") == columns for row in rows)
    assert [row.split(" | ")[7] for row in rows] == ["greedy", "exact"] * 4


@pytest.mark.slow
def test_stronger_guarantees_are_told_row_by_row():
    ran = CliRunner().invoke(main, ["guarantees", "--small", "--time-limit", "2"])
    assert ran.exit_code == 0, ran.output
    times, costs = ran.output.split("What promises cost")
    rows = [row.split(" | ") for row in times.splitlines() if row.startswith("| ") and " nodes, " in row]
    assert [row[1] for row in rows] == ["planned", "any-order", "any-order", *["two nodes"] * 3, *["a rack of 16"] * 2]
    rows = [row.strip("| ").split(" | ") for row in costs.splitlines() if row.startswith("| ")]
    placed = {row[0]: int(row[1]) for row in rows[2:]}
    assert list(placed) == list(PROMISES)
    assert placed["none"] > placed["one node, planned"] > placed["two nodes, planned"] >= placed["two nodes, any-order"] > 0


def test_what_is_strewn_about_is_unsafe_and_where_there_is_room():
    cluster = strewn(Instance(nodes=100, profile="flavors", fill=0.97, objective="moves", limit=1))
    report = vmplace.check(cluster)
    assert (report.status, report.violations, report.waiting) == ("unsafe", (), ())


def test_what_is_exchanged_and_drawn_fits_before_and_after():
    for cluster, final in (exchanged(8, 40, "flavors", 0.9, 1), pair(Random(1), 4)):
        usable, memory = (np.array([thing.memory for thing in things]) for things in (cluster.nodes, cluster.vms))
        for node_of in (cluster.vms.node, final):
            assert (np.bincount(node_of, memory, len(usable)) <= usable).all()
        assert (final != cluster.vms.node).sum() >= 10


def test_an_unknown_table_is_refused():
    assert CliRunner().invoke(main, ["exact", "--only", "nothing"]).exit_code == 2


def test_instances_are_the_same_every_time():
    for instance in (next(repairs(1)), next(balances(1)), next(many_sizes(1)), *uneven(1)):
        assert instance.cluster() == instance.cluster()


def test_odd_sizes_are_all_different_and_unsafe_as_placed():
    cluster = next(many_sizes(1)).cluster()
    memory = [vm.memory for vm in cluster.vms]
    assert len(set(memory)) == len(memory) == 1_500
    assert 0.899 < sum(memory) / (63 * 512 * 1024) < 0.901
    assert all(vm.node is not None for vm in cluster.vms)
    assert vmplace.check(cluster).status == "unsafe"


@pytest.mark.slow
def test_one_vm_in_five_is_under_rules_that_can_all_be_kept():
    for objective in ("moves", "balance"):
        instance = Instance(nodes=16, profile="flavors", fill=0.9, objective=objective, limit=10, make=under_rules)
        cluster = instance.cluster()
        bound = [name for rule in cluster.rules for name in rule.vms]
        assert len(set(bound)) == len(bound)
        assert 0.19 < len(bound) / len(cluster.vms) <= 0.2
        assert {rule.kind for rule in cluster.rules} == {"apart", "together", "only-on"}
        assert timed(cluster, objective, "greedy", 10).solution.guarantee == "safe"


def test_times_are_those_of_the_placements_told():
    solution = vmplace.place(generate(nodes=3, fill=0.5))
    assert solution.objective is not None
    value = float(solution.objective)
    call = Timed(solution, 9.0, {2 * value: 1.0, value: 4.0})
    assert (call.first, call.best, call.proof) == (1.0, 4.0, 9.0 if solution.status == "optimal" else None)
    assert Timed(solution, 9.0, {}).first == Timed(solution, 9.0, {}).best == 9.0


def test_few_odd_sizes_stay_different_though_rounded():
    instance = Instance(nodes=2, profile="odd sizes", fill=0.01, objective="moves", limit=1)
    memory = [vm.memory for vm in odd_sizes(instance, vms=90).vms]
    assert len(set(memory)) == 90


def test_capacity_is_told_row_by_row():
    ran = CliRunner().invoke(main, ["capacity", "--nodes", "4", "--vms", "40", "--time-limit", "1", "--repeat", "1"])
    assert ran.exit_code == 0, ran.output
    rows = [row.split(" | ") for row in ran.output.splitlines() if row.startswith("| 4 ")]
    assert [row[4] for row in rows[:3]] == ["1GiB", "8GiB", "64GiB"]
    assert len(rows) == 9


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "azure-v1").is_dir(), reason="no traces here")
def test_a_stream_is_told_for_everyone_who_decides():
    small = ["--nodes", "6", "--arrivals", "60", "--audits", "2", "--planned", "3", "--draws", "1", "--fill", "0.9"]
    ran = CliRunner().invoke(main, ["admission", *small])
    assert ran.exit_code == 0, ran.output
    rows = [row.strip("| ").split(" | ") for row in ran.output.splitlines() if row.startswith(("| 6 ", "| 3 "))]
    assert [row[2] for row in rows[:4]] == ["vmplace tightest", "vmplace balance", "first-fit", "most-free"]
    assert [row[-1] for row in rows[:2]] == ["0 of 2", "0 of 2"]
    assert rows[-1][0] == "3"
    assert float(rows[-1][-1].rstrip("%")) <= 1


def test_loads_are_one_cluster_with_more_and_more():
    made = loads(20, 0.85, seed=1)
    assert tuple(made) == LOADS
    for cluster in made.values():
        assert (cluster.vms.memory == made["all"].vms.memory).all()
        assert (cluster.vms.node == made["all"].vms.node).all()
        assert (cluster.vms.running == (made["all"].vms.node >= 0) & made["all"].vms.running).all()
    resources = {load: set(cluster.nodes.amounts()) for load, cluster in made.items()}
    assert resources == {"memory": set(), "vCPU, idle": {"vcpu"}, "vCPU": {"vcpu"}, "rules": set(), "all": {"vcpu", "gpu"}}
    assert {load for load, cluster in made.items() if cluster.rules} == {"rules", "all"}
    assert made["vCPU, idle"].overcommit["vcpu"] > made["vCPU"].overcommit["vcpu"] == made["all"].overcommit["vcpu"]
    assert {vm.priority for vm in made["all"].vms} == {0, 1}
    assert vmplace.check(made["all"]).violations == ()


@pytest.mark.parametrize("load", ["memory", "all"])
def test_who_leaves_comes_back_within_the_rules(load):
    cluster = loads(4, 0.6, seed=1)[load]
    came = comings(cluster, arrivals=11, seed=1, decision=10.0, limit=60.0)
    assert (len(came.starts), len(came.leaves), len(came.candidates)) == (11, 11, 3)
    assert (came.refused, came.unknown, came.verdict) == (0, 0, "safe")


def test_real_load_is_told_load_by_load():
    asked = ["--call", "check", "--call", "admitter", "--load", "rules", "--time-limit", "0.3"]
    ran = CliRunner().invoke(main, ["real-load", "--quick", *asked])
    assert ran.exit_code == 0, ran.output
    rows = [row.strip("| ").split(" | ") for row in ran.output.splitlines() if row.startswith("| 10 ")]
    assert [row[:1] + row[2:4] for row in rows[:2]] == [["10", "check", "memory"], ["10", "check", "rules"]]
    assert [row[2] for row in rows[2:]] == ["memory", "rules"]
    assert rows[0][5] == rows[2][7] == "1.00 ×"


@pytest.mark.slow
def test_real_load_knows_all_calls():
    ran = CliRunner().invoke(main, ["real-load", "--quick"])
    assert ran.exit_code == 0, ran.output
    rows = [row.strip("| ").split(" | ") for row in ran.output.splitlines() if row.startswith("| 10 ")]
    calls = ("check", "place", "repair", "headroom", "explain", "rolling-drain")
    assert [(row[2], row[3]) for row in rows[:30]] == [(call, load) for call in calls for load in LOADS]
    assert [row[2] for row in rows[30:]] == list(LOADS)
