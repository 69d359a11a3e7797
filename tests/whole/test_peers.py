"""The benchmark `peers`: the policies and Ganeti's formats on clusters with known answers; what they may not get wrong."""

import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from benchmarks import admitted, ganeti, judged, rebalanced
from benchmarks.__main__ import main
from benchmarks.commands import run, run_check
from benchmarks.drawn import drawn, free_memory, joined, node_of, placed_at, placed_by, sizes
from benchmarks.policies import POLICIES, Hosts
from benchmarks.table import Clock
from benchmarks.textbook import survives_all
from vmplace.model.cluster import Cluster

with_ganeti = pytest.mark.skipif(not ganeti.installed(), reason=ganeti.HOW_TO_INSTALL)

CRUMBS = Hosts((4096,) * 4, ((1000,) * 3, (1000,) * 3, (3000,), (1000,) * 3))
"""Enough is free in sum, but nowhere for 3000."""

KNOWN = [
    (CRUMBS, False, {"sum of survivors", "percentage"}),
    (Hosts((4096,) * 4, ((1000,) * 3, (1000,) * 3, (1000,) * 3, ())), True, set(POLICIES)),
    (Hosts((100, 20, 20), ((2, 3, 3, 4, 6), (9,), (11,))), True, {"sum of survivors", "percentage", "worst-fit"}),
    (Hosts((11, 6, 5), ((3, 3, 5), (), ())), True, {"sum of survivors", "percentage", "first-fit"}),
    (Hosts((16, 16, 384), ((), (), (270,))), False, {"percentage"}),
    (Hosts((100, 100), ((100,), ())), True, set(POLICIES)),
]
"""Clusters, whether they are safe, and which policies say so."""


def cluster_of(known: Hosts) -> Cluster:
    """The same as columns, VMs listed node by node."""
    return Cluster.from_arrays(
        node_memory=known.usable,
        vm_memory=[size for on_node in known.sizes for size in on_node],
        vm_node=[node for node, on_node in enumerate(known.sizes) for _ in on_node],
    )


@pytest.mark.parametrize(("known", "safe", "say_safe"), KNOWN)
def test_policies_on_known_clusters(known, safe, say_safe):
    assert {name for name, policy in POLICIES.items() if policy(known)} == say_safe
    assert survives_all(known, time_limit=10) is safe
    assert vmplace.check(cluster_of(known)).status == ("safe" if safe else "unsafe")


def test_hosts_are_those_of_the_cluster():
    assert Hosts.of(cluster_of(CRUMBS)) == CRUMBS


@st.composite
def small_hosts(draw):
    sizes = [tuple(draw(st.lists(st.integers(1, 9), max_size=4))) for _ in range(draw(st.integers(2, 4)))]
    return Hosts(tuple(sum(on_node) + draw(st.integers(1, 12)) for on_node in sizes), tuple(sizes))


@settings(max_examples=60, deadline=None)
@given(small_hosts())
def test_the_textbook_agrees_with_check_and_with_what_policies_cannot_get_wrong(known):
    safe = survives_all(known, time_limit=10)
    assert vmplace.check(cluster_of(known)).status == ("safe" if safe else "unsafe")
    assert POLICIES["sum of survivors"](known) or not safe, "sums are necessary"
    assert safe or not any(POLICIES[name](known) for name in ("slots", "worst-fit", "first-fit"))


def test_drawn_clusters_are_the_same_every_time_and_run_all_their_vms():
    first, again = (list(drawn(6, most_nodes=9, seed=3)) for _ in range(2))
    assert first == again
    assert len({len(cluster.vms) for cluster in first}) > 3
    for cluster in first:
        assert 8 <= len(cluster.nodes) <= 9
        assert node_of(cluster).min() >= 0
        assert free_memory(cluster).min() >= 0


def test_a_drifted_cluster_has_some_vms_elsewhere():
    wanted = {"nodes": 8, "fill": 0.8, "profile": "flavors", "seed": 1}
    greedy, drifted = placed_by("greedy", **wanted), placed_by("drifted", **wanted)
    assert sizes(greedy).tolist() == sizes(drifted).tolist()
    assert 0 < (node_of(greedy) != node_of(drifted)).sum() <= len(greedy.vms) // 10


def test_ganeti_reads_nodes_with_one_mib_more_and_sections_apart():
    groups, nodes, instances, rest = ganeti.document(cluster_of(Hosts((100, 50), ((30, 20), (10,))))).split("\n\n")
    assert groups == "group|group-id|preferred||"
    assert [line.split("|")[:4] for line in nodes.splitlines()] == [["n0", "101", "0", "51"], ["n1", "51", "0", "41"]]
    assert instances.splitlines() == [
        "vm0|30|0|1|running|Y|n0||ext||1",
        "vm1|20|0|1|running|Y|n0||ext||1",
        "vm2|10|0|1|running|Y|n1||ext||1",
    ]
    no_tags, *policies = rest.splitlines()
    assert not no_tags
    assert [policy.split("|")[0] for policy in policies] == ["", "group"]


def test_ganeti_is_told_of_no_vm_that_waits():
    with pytest.raises(ValueError, match="vm0 waits"):
        ganeti.document(Cluster.from_arrays(node_memory=[10, 10], vm_memory=[1]))


SAID = "Cluster statistics initially\n    Nodes not directly evacuateable: {}\n    Cluster is not healthy: {}\n"


def test_what_hcheck_says_is_read_strictly():
    assert ganeti.healthy(SAID.format(0, False))
    assert not ganeti.healthy(SAID.format(2, True))
    for odd in ("", SAID.format(0, "maybe"), 2 * SAID.format(0, False)):
        with pytest.raises(ValueError, match="hcheck gave"):
            ganeti.healthy(odd)


def test_what_hail_says_is_read_strictly():
    assert ganeti.chosen('{"success":true,"info":"","result":["n1"]}') == "n1"
    assert ganeti.chosen('{"success":false,"info":"","result":[]}') is None
    for odd in ('{"success":true,"result":["n1","n2"]}', '{"success":false,"result":["n1"]}', "[]", "{", ""):
        with pytest.raises(ValueError, match=r"hail neither|Expecting"):
            ganeti.chosen(odd)


def test_what_hbal_leaves_is_read_strictly(tmp_path):
    left = tmp_path / "cluster.data.balanced"
    left.write_text(ganeti.document(cluster_of(Hosts((9, 9), ((1,), (2, 3))))))
    assert ganeti.balanced(tmp_path / "cluster.data") == {"vm0": "n0", "vm1": "n1", "vm2": "n1"}
    left.write_text("group\n\nnodes\n\nvm0|1|2\n\n")
    with pytest.raises(ValueError, match="not enough values"):
        ganeti.balanced(tmp_path / "cluster.data")
    left.write_text("nothing")
    with pytest.raises(ValueError, match="1 sections"):
        ganeti.balanced(tmp_path / "cluster.data")


def test_a_command_is_ended_when_its_time_is_up():
    ran = run([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"], time_limit=0.5)
    assert ran.status is ran.text() is None
    assert 0.5 <= ran.clock.seconds < 30


def test_a_command_that_fails_is_an_error_with_its_words():
    ran = run([sys.executable, "-c", "import sys; sys.exit('no such cluster')"], time_limit=60)
    with pytest.raises(RuntimeError, match="exit status 1: no such cluster"):
        ran.text()


@pytest.mark.slow
def test_the_whole_command_ends_with_its_verdict(tmp_path):
    path = tmp_path / "cluster.json"
    vmplace.dump(cluster_of(CRUMBS), path)
    assert run_check(path, time_limit=60).status == 1


@with_ganeti
@pytest.mark.parametrize(("known", "safe"), [(CRUMBS, False), (Hosts((100, 100), ((100,), ())), True)])
def test_hcheck_finds_the_crumbs_and_takes_an_exact_fit(tmp_path, known, safe):
    known_judges = judged.judges(tmp_path)
    for name in ("hcheck", "hcheck --ignore-dynu"):
        assert known_judges[name](cluster_of(known), 30.0)[0] is safe


@with_ganeti
def test_a_judge_whose_time_is_up_has_no_verdict(tmp_path):
    assert judged.judges(tmp_path)["hcheck"](placed_by("worst-fit", nodes=32, seed=1), 0.001)[0] is None


@with_ganeti
def test_hail_keeps_a_cluster_safe_or_refuses(tmp_path):
    cluster, known = cluster_of(Hosts((100,) * 3, ((60,), (30,), ()))), admitted.schedulers(tmp_path)
    assert known["hail"](cluster, 20, 30.0)[0] in admitted.safe_nodes(cluster, 20)
    assert known["hail"](cluster, 101, 30.0)[0] == admitted.REFUSED


@with_ganeti
def test_hbal_leaves_every_vm_somewhere(tmp_path):
    cluster = placed_by("best-fit", nodes=4, fill=0.7, profile="flavors", seed=1)
    for name, balance in rebalanced.balancers(tmp_path).items():
        after, _ = balance(cluster, 60.0)
        assert sizes(after).tolist() == sizes(cluster).tolist(), name
        assert free_memory(after).min() >= 0, name


ONE_HOLE = Hosts((10, 10, 10), ((8,), (3,), ()))
"""The emptiest node is the only one that the first node's VM can restart on."""


def test_safe_nodes_are_those_that_a_check_finds_safe():
    cluster = cluster_of(ONE_HOLE)
    assert {memory: admitted.safe_nodes(cluster, memory) for memory in (2, 3, 11)} == {2: {0, 1, 2}, 3: {1}, 11: set()}


def test_the_emptiest_node_is_not_always_the_one_to_choose(tmp_path, monkeypatch):
    monkeypatch.setattr(ganeti, "_FOLDERS", ())
    cluster, known = cluster_of(ONE_HOLE), admitted.schedulers(tmp_path)
    assert {name: schedule(cluster, 3, 30.0)[0] for name, schedule in known.items()} == {"vmplace place": 1, "emptiest node": 2}
    assert [schedule(cluster, 11, 30.0)[0] for schedule in known.values()] == [admitted.REFUSED] * 2


def test_joined_and_placed_at_change_only_what_they_say():
    cluster = cluster_of(CRUMBS)
    larger = joined(cluster, memory=7, node=2)
    assert (sizes(larger)[-1], node_of(larger)[-1]) == (7, 2)
    assert placed_at(larger, node_of(larger)) == larger
    assert (free_memory(cluster) - free_memory(larger)).tolist() == [0, 0, 7, 0]
    assert np.array_equal(node_of(joined(cluster, memory=7))[:-1], node_of(cluster))


def test_a_tally_counts_wrong_and_missing_verdicts():
    tally = judged.Tally()
    for truth, verdict in ((True, True), (True, False), (True, None), (False, True)):
        tally.add(truth, verdict, Clock())
    assert tally.row() == (3, 1, "33.3", 1, 1, "100.0", 1, "0.000000", "0.000000")


@pytest.mark.parametrize(("table", "columns"), [("verdicts", judged), ("admission", admitted), ("balance", rebalanced)])
def test_without_ganeti_the_rest_is_measured_and_it_says_how_to_install(monkeypatch, table, columns):
    monkeypatch.setattr(ganeti, "_FOLDERS", ())
    ran = CliRunner().invoke(main, ["peers", "--only", table, "--clusters", "2", "--seed", "4"])
    assert ran.exit_code == 0, ran.output
    assert ran.output.startswith(ganeti.HOW_TO_INSTALL)
    table_rows = [line for line in ran.output.splitlines() if line.startswith("| vmplace ")]
    assert table_rows
    assert all(row.count("|") == len(columns.COLUMNS) + 1 for row in table_rows)
    assert "hcheck" not in ran.output


@pytest.mark.slow
def test_times_are_divided_by_check_and_by_the_command(monkeypatch):
    monkeypatch.setattr(ganeti, "_FOLDERS", ())
    ran = CliRunner().invoke(main, ["peers", "--only", "time", "--nodes", "8", "--repeat", "1"])
    assert ran.exit_code == 0, ran.output
    rows = [line.strip("| ").split(" | ") for line in ran.output.splitlines() if line.startswith("| 8 ")]
    assert {row[2] for row in rows} == {"greedy", "worst-fit"}
    for placed in ("greedy", "worst-fit"):
        told = {row[3]: row[4:] for row in rows if row[2] == placed}
        assert told["vmplace check"][3] == told["vmplace check FILE"][4] == "1.00 ×"
        assert told["vmplace check"][0] == told["vmplace check FILE"][0]


def test_cpu_seconds_are_those_of_the_work_here_and_in_commands():
    with Clock() as idle:
        time.sleep(0.2)
    assert idle.seconds >= 0.2 > idle.cpu
    ran = run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], time_limit=60)
    assert 0.3 <= ran.clock.cpu <= ran.clock.seconds + 0.1
