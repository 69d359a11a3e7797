import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn, Tag
from vmplace.synthetic import generate

# Too few slots for a certificate, no packing, no cut: only a search tells.
HARD = Cluster(
    [Node("n0", 100), Node("n1", 16), Node("n2", 11)],
    [VM(f"v{i}", size, "n0") for i, size in enumerate((7, 7, 5, 5, 3))],
)


def test_without_time_what_takes_a_search_is_unknown_and_has_no_plan():
    assert vmplace.check(HARD).status == "unsafe"
    report = vmplace.check(HARD, time_limit=0)
    assert (report.status, report.guarantee) == ("unknown", "unknown")
    assert report.scenarios["n0"].method == "time"
    assert list(report.failover) == ["n1", "n2"]
    assert report.unprotected == ()


def test_unsafe_outranks_unknown():
    nodes = [*HARD.nodes, Node("lone", 9, pool="b")]
    report = vmplace.check(Cluster(nodes, [*HARD.vms, VM("waits", 1, pool="b")]), time_limit=0)
    assert report.status == "unsafe"
    assert report.pools == {"default": "unknown", "b": "unsafe"}


def test_a_large_check_needs_no_time():
    cluster = vmplace.place(generate(nodes=1000, fill=0.85, profile="flavors", seed=2), method="greedy").to_document()
    report = vmplace.check(cluster, time_limit=0)
    assert report.status == "safe"
    assert sum(report.stats["scenarios"].values()) == len(report.scenarios) == 1000


def test_progress_is_told_of_what_is_decided_one_by_one():
    heard = []
    vmplace.check(HARD, progress=heard.append)
    assert [(told.phase, told.done, told.total) for told in heard] == [("check", 0, 1)]


def test_what_is_wrong_now_is_told_apart_from_what_fails():
    vms = [VM("a", 6, "n0"), VM("b", 5, "n0"), VM("c", 1, "n1"), VM("w", 1)]
    report = vmplace.check(Cluster([Node("n0", 10), Node("n1", 30)], vms, [Apart(["a", "b"]), OnlyOn(["c"], ["n0"])]))
    assert [(v.kind, v.subject) for v in report.violations] == [("overfull", "n0"), ("rule", "rules[0]"), ("rule", "rules[1]")]
    assert report.waiting == ("w",)
    assert report.status == "unsafe"


def test_what_is_no_fault_is_a_warning():
    rules = [Apart(["a", "b"], must=False, weight=3), Apart(Tag("nobody"))]
    cluster = Cluster([Node("n0", 10), Node("n1", 10)], [VM("a", 4, "n0"), VM("b", 4, "n1")], rules, Guarantee(headroom=0.7))
    report = vmplace.check(cluster)
    assert report.status == "safe"
    told = "\n".join(report.warnings)
    for part in ("n0 holds", "n1 holds", "'nobody'", "If n0 fails", "If n1 fails"):
        assert part in told
    assert report.broken_rules == ()


def test_a_stopped_vm_is_listed_where_it_is():
    report = vmplace.check(Cluster([Node("n0", 10)], [VM("s", 99, "n0", running=False)]))
    assert (report.status, report.placement, report.waiting) == ("safe", {"s": "n0"}, ())


@pytest.mark.parametrize("limit", [-1, "1"])
def test_a_time_limit_that_is_none(limit):
    with pytest.raises(InputError, match="time_limit"):
        vmplace.check(HARD, time_limit=limit)


def test_a_comparison_is_there_when_asked_for_and_changes_nothing_else():
    plain, compared = (vmplace.check(HARD, compare=compare) for compare in (False, True))
    assert plain.comparison == ()
    assert [row.policy for row in compared.comparison][:2] == ["planned", "any-order"]
    written = compared.to_dict()
    assert [row["policy"] for row in written.pop("comparison")] == [row.policy for row in compared.comparison]
    assert {**written, "stats": None} == {**plain.to_dict(), "stats": None}


@pytest.mark.parametrize("asked", [{"restart": "any-order"}, {"policy": "best-fit"}, {"failures": 2}])
def test_the_verdict_is_that_of_the_guarantee_whatever_it_is_compared_with(asked):
    cluster = Cluster([Node("a", 10), Node("b", 6), Node("c", 5)], [VM("x", 5, "a"), VM("y", 3, "a"), VM("z", 2, "a")])
    cluster = evolve(cluster, guarantee=Guarantee(**asked))
    assert vmplace.check(cluster, compare=True).status == vmplace.check(cluster).status
    assert vmplace.check(cluster, compare=True).unprotected == vmplace.check(cluster).unprotected


def test_the_time_limit_is_for_the_comparison_too():
    cluster = generate(nodes=200, fill=0.9, profile="flavors", placed="worst-fit", seed=3)
    report = vmplace.check(cluster, compare=True, time_limit=0)
    assert report.stats["seconds"] < 5
    assert {row.policy: row.says for row in report.comparison}["worst-fit"] == "unknown"
