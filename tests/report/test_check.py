"""Reports for people, made from results put together by hand."""

import io
import re

import numpy as np
import pytest
from attrs import evolve

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Together
from vmplace.model.guarantee import Guarantee
from vmplace.report.check import node_report, report
from vmplace.report.place import solution_report
from vmplace.report.tables import Screen
from vmplace.results.placement import Report
from vmplace.results.values import BrokenRule, Comparison, Scenario, Status, Unprotected, Violation


def stream(encoding="utf-8"):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def drawn(draw, result, *, encoding="utf-8", everything=False):
    screen = Screen(stream(encoding), everything)
    return screen.render(draw(result, screen))


def found(cluster, statuses=None, **extra):
    """A report on the cluster as it stands, with the statuses given for the failures of its nodes, in order."""
    names = [node.name for node in cluster.nodes]
    node_of = np.array([-1 if vm.node is None else names.index(vm.node) for vm in cluster.vms], dtype=np.int64)
    statuses = statuses or [Status.SAFE] * len(names)
    scenarios = {name: Scenario(status, "packing", 1) for name, status in zip(names, statuses, strict=True) if status}
    verdict = Status.UNSAFE if Status.UNSAFE in statuses else Status.UNKNOWN if Status.UNKNOWN in statuses else Status.SAFE
    verdict = extra.pop("verdict", verdict)
    return Report(cluster=cluster, status=verdict, guarantee=verdict, node_of=node_of, scenarios=scenarios, **extra)


def cluster_of(*vms, nodes=("n1", "n2", "n3"), memory="64GiB", **options):
    return Cluster([Node(name, memory) for name in nodes], list(vms), **options)


def row(text, name):
    return next(line for line in text.splitlines() if line.lstrip().startswith(name))


def test_each_node_has_its_figures():
    text = drawn(node_report, found(cluster_of(VM("a", "16GiB", "n1"), VM("b", 1792, "n1"), VM("c", 100, "n2"))))
    figures = ["17.75", "GiB", "64", "GiB", "46.25", "GiB", "27.7%", "2"]
    assert row(text, "n1").split() == ["n1", "█" * 6 + "░" * 14, *figures, "✓", "all", "restart"]
    assert "100 MiB" in row(text, "n2")
    assert "0 MiB" in row(text, "n3")
    assert "SAFE: any single node can fail and every VM restarts (planned restarts)" in text.splitlines()


def test_reserve_is_not_usable():
    cluster = Cluster([Node("n1", "64GiB", reserve="16GiB"), Node("n2", "64GiB")], [VM("a", "24GiB", "n1")])
    assert "24 GiB   48 GiB" in row(drawn(node_report, found(cluster)), "n1")
    assert "50.0%" in row(drawn(node_report, found(cluster)), "n1")


def test_state_and_pool_are_shown_where_they_vary():
    plain = drawn(node_report, found(cluster_of(VM("a", 1, "n1"))))
    assert "State" not in plain
    assert "Pool" not in plain
    nodes = [Node("n1", 10), Node("n2", 10, state="maintenance"), Node("n3", 10, pool="gpu")]
    varied = drawn(node_report, found(Cluster(nodes), [Status.SAFE, None, Status.SAFE]))
    assert "maintenance" in row(varied, "n2")
    assert row(varied, "n2").endswith("-")
    assert "gpu" in row(varied, "n3")


def test_stopped_vms_take_nothing():
    text = drawn(node_report, found(cluster_of(VM("a", "16GiB", "n1"), VM("off", "32GiB", "n1", running=False))))
    assert "25.0%" in row(text, "n1")


def test_what_fails_is_said_in_words_and_in_the_verdict():
    lost = Unprotected("n2", ("db-1",), "db-1 needs 64 GiB, the most free is 40 GiB", minimal=True)
    result = found(cluster_of(VM("db-1", 10, "n2")), [Status.SAFE, Status.UNSAFE, Status.UNKNOWN], unprotected=(lost,))
    text = drawn(node_report, result)
    assert "✗ 1 VM does not restart" in row(text, "n2")
    assert "? undecided" in row(text, "n3")
    assert text.splitlines()[-1] == "UNSAFE: n2: db-1 needs 64 GiB, the most free is 40 GiB (planned restarts)"


def test_of_several_guarantees_each_node_tells_the_worst():
    vms = [VM("a", "40GiB", "n1", tags=["hana"]), VM("b", "40GiB", "n2"), VM("c", "40GiB", "n3")]
    nodes = [*(Node(name, "64GiB") for name in ("n1", "n2", "n3")), Node("n4", "64GiB", pool="other")]
    asked = [Guarantee(vms={"tag": "hana"}), Guarantee()]
    text = drawn(node_report, vmplace.check(Cluster(nodes, vms, guarantee=asked)))
    assert row(text, "n2").endswith("✗ 1 VM does not restart")
    assert row(text, "n4").endswith("✓ nothing to restart")


def test_several_reasons_are_counted_and_listed():
    losses = tuple(Unprotected(f"n{i}", (f"a{i}", f"b{i}"), "no room", minimal=i == 1) for i in (1, 2))
    result = found(
        cluster_of(VM("w", 10), VM("a1", 1), VM("b1", 1), rules=[Apart(["a1", "b1"], must=False, weight=3)]),
        [Status.UNSAFE, Status.UNSAFE, Status.SAFE],
        unprotected=losses,
        violations=(Violation("overfull", "n3", "70 GiB on 64 GiB"),),
        waiting=("w",),
        warnings=("n1 has no headroom",),
        broken_rules=(BrokenRule(0, "apart", 3, 3, ("a1", "b1")),),
    )
    lines = drawn(report, result).splitlines()
    assert lines[0] == "UNSAFE: 2 of 3 single failures are not survived, 1 violation now, 1 VM waiting (planned restarts)"
    assert "  n1: no room [2 VMs cannot restart: a1, b1]" in lines
    assert "  n2: no room [2 VMs cannot restart (perhaps fewer): a2, b2]" in lines
    assert "  n3: 70 GiB on 64 GiB" in lines
    assert "Waiting: w" in lines
    assert (
        lines[lines.index("Soft rules that are broken now:") + 1] == "  rules[0] (apart, weight 3): 1 pair shares a node: a1, b1"
    )
    assert "  n1 has no headroom" in lines


def test_soft_rules_are_called_by_name_and_say_how_far_they_are_broken():
    nodes = [Node("n1", 64, domain="r"), Node("n2", 64, domain="r"), Node("n3", 64, domain="s"), Node("n4", 64)]
    vms = [VM("a", 1, "n1"), VM("b", 1, "n2"), VM("c", 1, "n3")]
    rules = [
        Apart(["a", "b", "c"], scope="domain", must=False, name="sql"),
        Together(["a", "b", "c"], must=False, weight=2),
        OnlyOn(["a", "b", "c"], ["n3"], must=False),
        NotOn(["a"], ["n1"], must=False),
    ]
    cluster = Cluster(nodes, vms, rules, guarantee=Guarantee(failures=0))
    lines = drawn(report, vmplace.check(cluster)).splitlines()
    assert lines[lines.index("Soft rules that are broken now:") + 1 :] == [
        "  rule sql (apart): 1 pair shares a domain: a, b",
        "  rules[1] (together, weight 2): on 3 nodes: a, b, c",
        "  rules[2] (only-on): 2 VMs on other nodes: a, b",
        "  rules[3] (not-on): 1 VM on nodes to avoid: a",
    ]
    lines = drawn(solution_report, vmplace.place(cluster)).splitlines()
    assert "Soft rules that this placement breaks:" in lines
    lines = drawn(solution_report, vmplace.drain(cluster, "n4")).splitlines()
    assert "Soft rules that are broken while n4 is out:" in lines


def test_an_undecided_report_counts_what_is_open():
    text = drawn(report, found(cluster_of(), [Status.SAFE, Status.UNKNOWN, Status.UNKNOWN]))
    assert text == "UNKNOWN: 2 of 3 single failures are not decided in time (planned restarts)\n"


def test_what_is_promised_names_its_limits():
    some = cluster_of(VM("a", 1, "n1"), VM("b", 1, "n1", protected=False))
    assert "every protected VM restarts" in drawn(report, found(some))
    none = cluster_of(guarantee=Guarantee(failures=0))
    text = drawn(node_report, found(none, [None] * 3))
    assert "SAFE: every running VM fits" in text
    assert "If it fails" not in text


PROMISES = [
    ({"failures": 2}, "any 2 nodes can fail at once and every VM restarts"),
    ({"failures": 2, "sequence": "sequential"}, "any 2 nodes can fail one after the other and every VM restarts"),
    ({"sequence": "sequential"}, "any single node can fail and every VM restarts"),
    ({"scope": "domain"}, "any single failure domain can fail and every VM restarts"),
    ({"scope": "domain", "failures": 3}, "any 3 failure domains can fail at once and every VM restarts"),
    ({"restart": "any-order"}, "any single node can fail and every VM restarts, in any order and on any node with room"),
    (
        {"policy": "most-free", "restart": "any-order"},
        "any single node can fail and every VM restarts, as the platform chooses nodes (most-free, as-listed)",
    ),
    (
        {"policy": "first-fit", "order": "priority", "failures": 2},
        "any 2 nodes can fail at once and every VM restarts, as the platform chooses nodes (first-fit, priority)",
    ),
]


@pytest.mark.parametrize(("asked", "words"), PROMISES)
def test_what_is_promised_is_what_was_asked(asked, words):
    text = drawn(report, found(cluster_of(VM("a", 1, "n1"), guarantee=Guarantee(**asked))))
    meant = " (planned restarts)" if asked.get("restart") is None and asked.get("policy") is None else ""
    assert text == f"SAFE: {words}{meant}\n"


def test_a_promise_for_several_nodes_is_of_each_pool_and_leaves_the_evictable_out():
    cluster = cluster_of(VM("a", 1, "n1", evictable=True), guarantee=Guarantee(failures=2))
    pools = {"default": Status.SAFE, "gpu": Status.SAFE}
    line = drawn(report, found(cluster, pools=pools)).splitlines()[0]
    assert line == "SAFE: any 2 nodes of a pool can fail at once and every VM that is not evictable restarts (planned restarts)"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "2 of 3 single failures are"),
        ({"scope": "domain"}, "2 of 3 domain failures are"),
        ({"failures": 2}, "2 of 3 failures of 2 nodes are"),
        ({"failures": 2, "scope": "domain"}, "2 of 3 failures of 2 failure domains are"),
    ],
)
def test_failures_are_counted_as_what_they_are(asked, words):
    cluster = cluster_of(guarantee=Guarantee(**asked))
    lost = tuple(Unprotected(name, ("a",), "no room", minimal=True) for name in ("n1", "n2"))
    unsafe = found(cluster, [Status.UNSAFE] * 2 + [Status.SAFE], unprotected=lost)
    assert drawn(report, unsafe).splitlines()[0] == f"UNSAFE: {words} not survived (planned restarts)"
    unknown = found(cluster, [Status.UNKNOWN] * 2 + [Status.SAFE])
    assert drawn(report, unknown) == f"UNKNOWN: {words} not decided in time (planned restarts)\n"


def test_failures_in_turn_may_be_what_is_not_survived_or_not_decided():
    cluster = cluster_of(guarantee=Guarantee(failures=2, sequence="sequential"))
    text = drawn(report, found(cluster, verdict=Status.UNSAFE))
    assert text == "UNSAFE: whatever the failover plans, some 2 nodes cannot fail one after the other (planned restarts)\n"
    text = drawn(report, found(cluster, verdict=Status.UNKNOWN))
    assert text == "UNKNOWN: whether any 2 nodes can fail one after the other was not decided in time (planned restarts)\n"
    careless = evolve(cluster, guarantee=evolve(cluster.guarantee, restart="any-order"))
    text = drawn(report, found(careless, [Status.UNKNOWN, Status.SAFE, Status.SAFE]))
    assert text == "UNKNOWN: 1 of 3 failures of 2 nodes is not decided (restarts in any order)\n"


def test_too_many_failures_are_not_called_undecided_one_by_one():
    text = drawn(report, found(cluster_of(guarantee=Guarantee(failures=3)), verdict=Status.UNKNOWN))
    assert (
        text
        == "UNKNOWN: too many sets of 3 nodes to examine all: the 3 that displace most memory are survived (planned restarts)\n"
    )


def test_whom_some_order_strands_may_be_left():
    cluster = cluster_of(VM("a", 1, "n1"), VM("b", 1, "n1"), guarantee=Guarantee(restart="any-order"))
    lost = Unprotected("n1", ("a", "b"), "a finds no node if ...", minimal=True)
    result = found(cluster, [Status.UNSAFE, Status.SAFE, Status.SAFE], unprotected=(lost,))
    text = drawn(node_report, result)
    assert "✗ 2 VMs may not restart" in row(text, "n1")
    assert "n1: a finds no node if ... [2 VMs that may not restart: a, b]" in text


def test_whom_a_failure_leaves_out_is_told_by_its_own_guarantee():
    several = cluster_of(guarantee=[Guarantee(), Guarantee(restart="any-order")])
    lost = tuple(Unprotected(key, ("a",), "no node", minimal=True) for key in ("n1", "2++n1"))
    text = drawn(report, found(several, [Status.UNSAFE, Status.SAFE, Status.SAFE], unprotected=lost))
    assert "  n1: no node [1 VM cannot restart: a]\n" in text
    assert "  2++n1: no node [1 VM that may not restart: a]\n" in text


def in_racks(*vms, **asked):
    """Two nodes in a rack, one in none, one offline."""
    nodes = [Node("n1", 10, domain="rack"), Node("n2", 10, domain="rack"), Node("n3", 10)]
    return Cluster([*nodes, Node("n4", 10, domain="rack", state="offline")], vms, guarantee=Guarantee(scope="domain", **asked))


def of_domains(cluster, **extra):
    scenarios = {"rack": Scenario(Status.UNSAFE, "sums", 3), "n3": Scenario(Status.SAFE, "empty", 0)}
    return evolve(found(cluster, [None] * 4, verdict=Status.UNSAFE, **extra), scenarios=scenarios)


def test_each_node_shows_what_comes_of_its_domains_failure():
    lost = Unprotected("rack", ("a",), "no room", minimal=True)
    text = drawn(node_report, of_domains(in_racks(VM("a", 3, "n1")), unprotected=(lost,)))
    assert "If its domain fails" in text
    assert row(text, "n1").endswith("✗ 1 VM does not restart")
    assert row(text, "n2").endswith("✗ 1 VM does not restart")
    assert row(text, "n3").endswith("✓ nothing to restart")
    assert row(text, "n4").endswith("-")


def test_losses_of_a_domain_in_several_pools_add_up():
    lost = tuple(Unprotected("rack", vms, "no room", minimal=True) for vms in (("a", "b"), ("c",)))
    text = drawn(node_report, of_domains(in_racks(VM("a", 3, "n1")), unprotected=lost))
    assert row(text, "n1").endswith("✗ 3 VMs do not restart")


@pytest.mark.parametrize("scope", ["node", "domain"])
def test_what_comes_of_one_nodes_failure_is_left_out_where_several_fail(scope):
    cluster = Cluster([Node(f"n{i}", 10) for i in range(50)], guarantee=Guarantee(failures=2, scope=scope))
    result = evolve(found(cluster, [None] * 50), scenarios={"n0+n1": Scenario(Status.UNSAFE, "sums", 1)}, status=Status.UNSAFE)
    text = drawn(node_report, result)
    assert "fails" not in text
    assert "30 more nodes (--all lists them)" in text


def test_migrations_under_way_take_memory_on_both_nodes():
    nodes = [Node("n1", 10), Node("n2", 10), Node("n3", 10, state="offline")]
    vms = [
        VM("a", 4, "n1", target="n2"),
        VM("gone", 2, "n1", target="n3"),
        VM("off", 8, "n1", target="n2", running=False),
        VM("waits", 8, "n3", target="n2"),
    ]
    lines = drawn(node_report, found(Cluster(nodes, vms), verdict=Status.SAFE)).splitlines()
    told = {line.split()[0]: line.split()[3:5] for line in lines if line.startswith("n")}
    assert told["n1"] == ["6", "MiB"]
    assert told["n2"] == ["4", "MiB"]


def compared(**extra):
    rows = (
        Comparison("planned", "vmplace", Status.UNSAFE, "", "1 of 3 failures not survived; n1: " + "no room " * 9),
        Comparison("sum of survivors", "VergeOS, Ansible", Status.SAFE, "false safe", "1 GiB used of 2 GiB"),
        Comparison("slots", "VMware", Status.UNKNOWN, "", "ünknown"),
    )
    return found(cluster_of(), [Status.UNSAFE, Status.SAFE, Status.SAFE], comparison=rows, **extra)


def test_a_comparison_is_a_table_below_the_verdict():
    lines = drawn(report, compared(waiting=("w",))).splitlines()
    assert lines[0].startswith("UNSAFE: ")
    assert lines[1:3] == ["Waiting: w", ""]
    assert lines[3].split() == ["Policy", "Platform", "Says", "Wrong", "Why"]
    assert re.split(r"  +", lines[6]) == ["sum of survivors", "VergeOS, Ansible", "safe", "false safe", "1 GiB used of 2 GiB"]
    assert lines[8].startswith("Wrong: differs from the first row")
    assert len(lines) == 11


def test_of_several_guarantees_each_has_a_comparison_of_its_own():
    rows = compared().comparison
    both = tuple(evolve(row, guarantee=number) for number in (1, 2) for row in rows)
    lines = drawn(report, evolve(compared(), comparison=both)).splitlines()
    assert [lines.index(f"Compared under guarantee {number}:") for number in (1, 2)] == [2, 9]
    assert [line for line in lines if line.startswith("Wrong:")] == lines[-3:-2]


def test_a_comparison_in_ascii():
    text = drawn(report, compared(), encoding="ascii")
    assert text.isascii()
    assert "\\xfcnknown" in text


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 100, 140])
def test_every_terminal_shows_who_is_wrong(columns, monkeypatch):
    text = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(report, compared(), monkeypatch, COLUMNS=str(columns)))
    assert max(map(len, text.splitlines())) <= columns
    words = text.split()
    assert {"Policy", "Says", "Wrong", "false", "survivors"} <= set(words)
    assert ("Platform" in words) is ("VergeOS," in words)
    assert ("Why" in words) is (columns > 40)


def test_pools_are_listed_where_there_are_several():
    pools = {"default": Status.SAFE, "gpu": Status.UNSAFE}
    assert "Pools: default safe, gpu unsafe" in drawn(report, found(cluster_of(), pools=pools))


def many(count=200, bad=()):
    cluster = Cluster.from_arrays(node_memory=[1000] * count, vm_memory=[100 + i for i in range(count)], vm_node=range(count))
    return found(cluster, [Status.UNSAFE if i in bad else Status.SAFE for i in range(count)])


def test_many_nodes_are_shortened_worst_first():
    lines = drawn(node_report, many(bad={77})).splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("n")]
    assert rows[:3] == ["n77", "n199", "n198"]
    assert len(rows) == 20
    assert "… 180 more nodes, all survivable (--all lists them)" in lines


def test_hidden_nodes_that_are_not_survivable_are_counted():
    assert "… 180 more nodes, 5 not survivable, 0 undecided" in drawn(node_report, many(bad=range(25)))


def test_everything_keeps_the_order_of_the_document():
    lines = drawn(node_report, many(), everything=True).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("n")] == [f"n{i}" for i in range(200)]


def test_ascii_where_the_encoding_has_no_more():
    result = found(cluster_of(VM("datenbänk-😀", 1, "n1"), nodes=("nöde", "n1")), [Status.SAFE, Status.UNSAFE], waiting=("€",))
    text = drawn(node_report, result, encoding="ascii")
    assert text.isascii()
    assert "NO not survived" in text
    assert "ok all restart" in text
    assert "n\\xf6de" in text
    assert "Waiting: \\u20ac" in text
    latin = drawn(node_report, result, encoding="latin-1")
    assert "nöde" in latin
    latin.encode("latin-1")


def test_names_are_no_markup_and_no_control_codes():
    evil = ("[red]x[/red]", "\x1b[2Jgone", "a\nb", "right\u202eleft", "[/]", ":smile:")
    result = found(cluster_of(nodes=evil), [Status.UNSAFE] * 6, waiting=evil)
    text = drawn(node_report, result)
    assert "[red]x[/red]" in text
    assert "\\x1b[2Jgone" in text
    assert "a\\nb" in text
    assert "right\\u202eleft" in text
    assert ":smile:" in text
    assert not set(text) & {"\x1b", "\u202e"}


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


def on_terminal(draw, result, monkeypatch, **environment):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "25", **environment}.items():
        monkeypatch.setenv(name, value)
    screen = Screen(Terminal())
    return screen.render(draw(result, screen))


def test_colour_on_a_terminal_only(monkeypatch):
    result = found(cluster_of())
    assert "\x1b[" in on_terminal(report, result, monkeypatch)
    assert "\x1b[3" not in on_terminal(report, result, monkeypatch, NO_COLOR="1")
    assert "\x1b[" not in drawn(report, result)


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 100, 140])
@pytest.mark.parametrize("long", [False, True])
def test_every_terminal_shows_name_share_and_fate(columns, long, monkeypatch):
    name = "a-rather-long-name.of-a-node.example.org" if long else "n1"
    lost = Unprotected(name, ("a",), "no room", minimal=True)
    result = found(cluster_of(nodes=(name, "n2", "n3")), [Status.UNSAFE, Status.SAFE, Status.SAFE], unprotected=(lost,))
    text = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(node_report, result, monkeypatch, COLUMNS=str(columns)))
    assert max(map(len, text.splitlines())) <= columns
    line = row(text, "a-" if long else "n1")
    assert "0.0%" in line
    assert "✗ 1 VM" in line


def test_lines_in_a_pipe_are_never_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "n" * 300
    assert name in drawn(node_report, found(cluster_of(nodes=(name, "n2"))))
    assert len(drawn(report, found(cluster_of(), waiting=("w" * 500,))).splitlines()) == 2


def test_what_never_binds_is_said_in_small_print():
    cluster = Cluster(
        [Node(name, 2048, resources={"vcpu": 3}) for name in "abc"],
        [VM("v", 1024, "a", resources={"vcpu": 1})],
        [OnlyOn(["v"], ["a", "b", "c"])],
    )
    text = drawn(report, vmplace.check(cluster))
    assert text.endswith(
        "Never binding, so left out:\n"
        "  vcpu: VMs ask for at most 1 per GiB of memory, nodes have at least 1.5\n"
        "  rules[0] (only-on): it allows every node of the pools of its VMs\n"
    )
    assert "Never binding, so left out:" in drawn(solution_report, vmplace.repair(cluster))
    assert "left out" not in drawn(
        report, vmplace.check(evolve(cluster, rules=(), vms=[VM("v", 1024, "a", resources={"vcpu": 2})]))
    )
