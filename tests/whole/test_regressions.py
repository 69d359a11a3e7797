"""Cases that other systems get wrong, and corners of the semantics made by hand."""

import time
from fractions import Fraction

import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Together
from vmplace.model.guarantee import Guarantee

KINDS = {"apart": Apart, "together": Together, "only-on": OnlyOn, "not-on": NotOn}
GIB = 1024


def cluster(nodes, vms=(), rules=(), **guarantee):
    """A cluster from a short document: ``(name, memory)`` or a mapping for a node, likewise ``(name, memory, node)`` for a VM."""
    return Cluster(
        [Node(**n) if isinstance(n, dict) else Node(*n) for n in nodes],
        [VM(**v) if isinstance(v, dict) else VM(*v) for v in vms],
        [KINDS[r["kind"]](**{key: value for key, value in r.items() if key != "kind"}) for r in rules],
        Guarantee(**guarantee),
    )


def unsafe_scenarios(report):
    return [name for name, scenario in report.scenarios.items() if scenario.status == "unsafe"]


def optimal(document, **options):
    """The placement that the exact method proves the best, and its solution."""
    solution = vmplace.place(document, method="exact", **options)
    assert solution.status == "optimal", solution.reason
    declared = {"unprotected", "headroom"} if options.get("best_effort") else set()
    found = vmplace.audit(document, solution.placement, solution.failover, powered=solution.powered or None)
    assert [v for v in found if v.kind not in declared] == []
    return solution


# What others get wrong


def test_a_packing_that_list_order_misses():
    sizes = {"a": 2, "b": 3, "c": 3, "d": 4, "e": 6}
    nodes = [("n1", 100), ("n2", 20), ("n3", 20)]
    report = vmplace.check(cluster(nodes, [*((vm, m, "n1") for vm, m in sizes.items()), ("f", 9, "n2"), ("g", 11, "n3")]))
    assert report.status == "safe"
    arriving = {node: sum(sizes[vm] for vm, to in report.failover["n1"].items() if to == node) for node in ("n2", "n3")}
    assert arriving["n2"] <= 20 - 9
    assert arriving["n3"] <= 20 - 11
    assert sum(arriving.values()) == 18


@pytest.mark.parametrize(("memory", "status"), [(100, "safe"), (101, "unsafe")])
def test_an_exact_fit_is_a_fit(memory, status):
    assert vmplace.check(cluster([("n1", 200), ("n2", 100)], [("a", memory, "n1")])).status == status


@pytest.mark.parametrize("state", ["offline", "maintenance"])
def test_a_node_out_of_service_takes_no_restart_and_is_no_scenario_when_empty(state):
    report = vmplace.check(cluster([("n1", 8), {"name": "n2", "memory": 8, "state": state}], [("a", 4, "n1")]))
    assert list(report.scenarios) == ["n1"]
    assert report.status == "unsafe"


def test_only_the_failure_of_the_node_with_the_large_vm_is_fatal():
    nodes = [(name, 4096) for name in "ABCD"]
    vms = [(f"{node}{i}", 1000, node) for node in "ABD" for i in range(3)]
    assert unsafe_scenarios(vmplace.check(cluster(nodes, [*vms, ("large", 3000, "C")]))) == ["C"]


def test_a_new_vm_does_not_take_the_only_room_for_another_nodes_largest():
    nodes, vms = [("n1", 10), ("n2", 10), ("n3", 8)], [("large", 8, "n1"), ("a", 3, "n2"), ("new", 2, None)]
    assert vmplace.check(cluster(nodes, vms[:2])).status == "safe"
    assert optimal(cluster(nodes, vms)).placement["new"] == "n2"


def test_a_large_node_fails_where_the_average_is_fine():
    nodes = [("small-1", 16 * GIB), ("small-2", 16 * GIB), ("large", 384 * GIB)]
    report = vmplace.check(cluster(nodes, [("a", 20 * GIB, "large"), ("b", 8 * GIB, "small-1")]))
    assert unsafe_scenarios(report) == ["large"]


def test_a_group_kept_apart_on_every_node_survives_no_failure():
    nodes, vms = [(f"n{i}", 64) for i in range(3)], [(f"v{i}", 1, f"n{i}") for i in range(3)]
    rules = [{"kind": "apart", "vms": ["v0", "v1", "v2"]}]
    assert unsafe_scenarios(vmplace.check(cluster(nodes, vms, rules))) == ["n0", "n1", "n2"]
    assert vmplace.repair(cluster(nodes, vms, rules)).status == "infeasible"
    eased = [{**rules[0], "during_failover": False}]
    assert vmplace.check(cluster(nodes, vms, eased)).status == "safe"


@pytest.mark.parametrize(("count", "failures"), [(300, 1), (400, 0)])
def test_one_more_small_vm_than_there_are_slots_is_refused_at_once(count, failures):
    nodes = [(f"n{i}", 201) for i in range(4)]
    full = [(f"v{i}", 2, f"n{i % 4}") for i in range(count)]
    assert vmplace.check(cluster(nodes, full, failures=failures)).status == "safe"
    start = time.monotonic()
    answer = vmplace.place(cluster(nodes, [*full, ("one-more", 2)], failures=failures), move_running=True, time_limit=60)
    assert answer.status == "infeasible"
    assert time.monotonic() - start < 5


def test_one_bad_pool_does_not_condemn_another():
    sizes = {"good": 4, "bad": 5}
    nodes = [{"name": f"{pool}{i}", "memory": 8, "pool": pool} for pool in sizes for i in range(2)]
    vms = [{"name": f"v-{n['name']}", "memory": sizes[n["pool"]], "node": n["name"], "pool": n["pool"]} for n in nodes]
    report = vmplace.check(cluster(nodes, vms))
    assert report.pools == {"good": "safe", "bad": "unsafe"}
    assert unsafe_scenarios(report) == ["bad0", "bad1"]


def test_one_node_is_never_safe_and_the_reason_says_so():
    report = vmplace.check(cluster([("n1", 64)], [("a", 1, "n1")]))
    assert report.status == "unsafe"
    assert "a single node can never be N+1" in report.unprotected[0].reason
    assert vmplace.check(cluster([("n1", 64)])).status == "safe"


def test_a_stopped_vm_takes_nothing_and_a_reserve_does():
    stopped = {"name": "off", "memory": 60, "node": "n2", "running": False}
    nodes = [("n1", 64), ("n2", 64)]
    assert vmplace.check(cluster(nodes, [("a", 64, "n1"), stopped])).status == "safe"
    reserved = [("n1", 64), {"name": "n2", "memory": 64, "reserve": 1}]
    assert vmplace.check(cluster(reserved, [("a", 64, "n1"), stopped])).status == "unsafe"


# Who takes memory, and who restarts


def test_an_unprotected_vm_takes_memory_but_need_not_restart():
    nodes, guest = [("n1", 8), ("n2", 8)], {"name": "b", "memory": 6, "node": "n2", "protected": False}
    report = vmplace.check(cluster(nodes, [("a", 4, "n1"), guest]))
    assert unsafe_scenarios(report) == ["n1"]
    assert report.failover["n2"] == {}
    assert [u.vms for u in report.unprotected] == [("a",)]


def test_a_vm_on_an_offline_node_waits_unless_it_is_stopped():
    nodes = [("n1", 8), ("n2", 8), {"name": "n3", "memory": 8, "state": "offline"}]
    document = cluster(nodes, [("a", 4, "n3"), {"name": "b", "memory": 4, "node": "n3", "running": False}])
    report = vmplace.check(document)
    assert (report.status, report.waiting) == ("unsafe", ("a",))
    written = optimal(document).to_document()
    assert (written.vms[0].node, written.vms[0].running) in {("n1", True), ("n2", True)}
    assert (written.vms[1].node, written.vms[1].running) == ("n3", False)


def test_an_unprotected_vm_may_wait():
    report = vmplace.check(cluster([("n1", 8), ("n2", 8)], [{"name": "a", "memory": 4, "protected": False}]))
    assert (report.status, report.waiting) == ("safe", ("a",))


def test_a_maintenance_node_fails_like_any_other_and_takes_nothing_new():
    nodes = [("n1", 8), ("n2", 8), {"name": "n3", "memory": 64, "state": "maintenance"}]
    document = cluster(nodes, [("a", 5, "n3"), ("b", 4, "n1"), ("c", 1)])
    assert list(vmplace.check(document).scenarios) == ["n1", "n2", "n3"]
    solution = optimal(document, objective="moves")
    assert solution.placement["a"] == "n3"
    assert solution.placement["c"] != "n3"
    assert all("n3" not in plan.values() for plan in solution.failover.values())


def test_high_priority_restarts_first_and_then_the_most_memory():
    vms = [{"name": "first", "memory": 2, "node": "n1", "priority": 1}, ("b", 5, "n1"), ("c", 2, "n1"), ("d", 3, "n1")]
    report = vmplace.check(cluster([("n1", 12), ("n2", 6)], vms))
    (entry,) = report.unprotected
    assert set(report.failover["n1"]) == {"first", "d"}
    assert (set(entry.vms), entry.minimal) == ({"b", "c"}, True)


# Rules in failover


def test_together_restarts_on_one_survivor():
    rules = [{"kind": "together", "vms": ["a", "b"]}]
    split = [("n1", 4), ("n2", 2), ("n3", 2)]
    assert unsafe_scenarios(vmplace.check(cluster(split, [("a", 2, "n1"), ("b", 2, "n1")], rules))) == ["n1"]
    whole = [("n1", 4), ("n2", 4), ("n3", 2)]
    assert vmplace.check(cluster(whole, [("a", 2, "n1"), ("b", 2, "n1")], rules)).status == "safe"


@pytest.mark.parametrize("kind", ["only-on", "not-on"])
def test_a_rule_on_nodes_binds_the_restart(kind):
    nodes = [("n1", 8), {"name": "n2", "memory": 8, "tags": ["gpu"]}, ("n3", 1)]
    listed = ["n1", "n3"] if kind == "only-on" else {"tag": "gpu"}
    rule = {"kind": kind, "vms": ["a"], "nodes": listed}
    assert unsafe_scenarios(vmplace.check(cluster(nodes, [("a", 4, "n1")], [rule]))) == ["n1"]
    assert vmplace.check(cluster(nodes, [("a", 4, "n1")], [{**rule, "during_failover": False}])).status == "safe"


def test_a_should_never_makes_a_failure_fatal_but_plans_keep_it_where_they_can():
    rule = {"kind": "apart", "vms": {"tag": "x"}, "must": False}
    vms = [{"name": name, "memory": 2, "node": node, "tags": ["x"]} for name, node in (("a", "n1"), ("b", "n2"))]
    assert vmplace.check(cluster([("n1", 8), ("n2", 8)], vms, [rule])).status == "safe"
    report = vmplace.check(cluster([("n1", 8), ("n2", 8), ("n3", 8)], vms, [rule]))
    assert report.failover == {"n1": {"a": "n3"}, "n2": {"b": "n3"}, "n3": {}}


def test_a_plan_keeps_a_should_even_where_only_one_packing_does():
    sizes = {"a": 6, "b": 4, "c": 4, "d": 4, "x": 3, "y": 3}  # 6 + 3 + 3 and 4 + 4 + 4: largest first finds neither
    vms = [*((vm, size, "n1") for vm, size in sizes.items()), ("s", 1, "n4")]
    rules = [{"kind": "apart", "vms": [vm, "s"], "must": False} for vm in ("x", "y")]
    report = vmplace.check(cluster([("n1", 24), ("n2", 12), ("n3", 12), ("n4", 4)], vms, rules))
    assert report.status == "safe"
    assert set(report.failover["n1"].values()) == {"n2", "n3"}


def test_a_must_broken_now_is_unsafe_though_every_vm_restarts():
    rule = {"kind": "apart", "vms": ["a", "b"], "during_failover": False}
    report = vmplace.check(cluster([("n1", 8), ("n2", 8)], [("a", 2, "n1"), ("b", 2, "n1")], [rule]))
    assert report.status == "unsafe"
    assert [(v.kind, v.subject) for v in report.violations] == [("rule", "rules[0]")]
    assert unsafe_scenarios(report) == []


def test_two_broken_members_on_one_node_restart_apart():
    rule = {"kind": "apart", "vms": ["a", "b"]}
    vms = [("a", 2, "n1"), ("b", 2, "n1")]
    assert unsafe_scenarios(vmplace.check(cluster([("n1", 8), ("n2", 8)], vms, [rule]))) == ["n1"]
    assert unsafe_scenarios(vmplace.check(cluster([("n1", 8), ("n2", 8), ("n3", 2)], vms, [rule]))) == []


# place and repair


def test_headroom_is_rounded_up_exactly_and_free_in_failover():
    nodes, vms = [("n1", 10), ("n2", 10), ("n3", 10)], [(f"v{i}", 1) for i in range(20)]
    assert vmplace.place(cluster(nodes, vms, headroom=0.3), method="exact").status == "optimal"
    assert vmplace.place(cluster(nodes, vms, headroom=0.35), method="exact").status == "infeasible"
    assert vmplace.place(cluster([("n1", 10)], [("a", 7)], headroom=0.3, failures=0), method="exact").status == "optimal"
    assert vmplace.place(cluster([("n1", 10)], [("a", 7)], headroom=0.31, failures=0), method="exact").status == "infeasible"


def test_broken_headroom_is_a_warning_only():
    report = vmplace.check(cluster([("n1", 10), ("n2", 10)], [("a", 6, "n1")], headroom=0.5))
    assert report.status == "safe"
    assert report.warnings


def test_balance_is_an_exact_ratio_of_online_nodes():
    nodes = [("n1", 3), ("n2", 3), {"name": "n3", "memory": 4, "state": "maintenance"}]
    solution = optimal(cluster(nodes, [("a", 1, "n3"), ("b", 1), ("c", 1)]))
    assert solution.objective == solution.bound == Fraction(1, 3)


def test_running_vms_stay_unless_told_otherwise():
    document = cluster([("n1", 8), ("n2", 8), ("n3", 8)], [("a", 3, "n1"), ("b", 3, "n1"), ("c", 3, "n1")])
    assert vmplace.place(document).status == "infeasible"
    repaired = vmplace.repair(document)
    assert (repaired.status, repaired.objective) == ("optimal", 3)
    (step,) = repaired.migrations
    assert (step.source, step.memory) == ("n1", 3)


def test_a_vm_that_is_not_movable_stays_but_may_restart():
    vms = [{"name": "a", "memory": 3, "node": "n1", "movable": False}, ("b", 4, "n1")]
    repaired = vmplace.repair(cluster([("n1", 4), ("n2", 8), ("n3", 8)], vms))
    assert repaired.objective == 4
    assert repaired.placement["a"] == "n1"
    assert "a" in repaired.failover["n1"]


@pytest.mark.parametrize(("limits", "status"), [({"max_moves": 1}, "infeasible"), ({"max_moves": 2}, "optimal")])
def test_moves_are_counted(limits, status):
    rule = {"kind": "apart", "vms": ["v0", "v1", "v2"], "during_failover": False}
    document = cluster([("n1", 4), ("n2", 4), ("n3", 4)], [(f"v{i}", 1, "n1") for i in range(4)], [rule])
    assert vmplace.repair(document, method="exact", **limits).status == status


@pytest.mark.parametrize(("most", "status"), [(1, "infeasible"), ("2GiB", "optimal")])
def test_migrated_memory_is_limited_in_words_too(most, status):
    rule = {"kind": "not-on", "vms": ["a"], "nodes": ["n1"]}
    document = cluster([("n1", 4096), ("n2", 2048)], [("a", 2048, "n1"), ("b", 2048, "n1")], [rule], failures=0)
    assert vmplace.repair(document, method="exact", max_migrated=most).status == status


def test_a_should_costs_no_migration_of_its_own():
    rule = {"kind": "apart", "vms": ["a", "b"], "must": False}
    document = cluster([("n1", 8), ("n2", 8)], [("a", 2, "n1"), ("b", 2, "n1")], [rule])
    assert optimal(document, objective="moves", move_running=True).objective == 0
    spread = optimal(document, objective="consolidate", move_running=True)
    assert spread.broken_rules == ()
    assert len(set(spread.placement.values())) == 2


def test_the_fewest_nodes_are_those_that_pack_and_one_more():
    solution = optimal(cluster([(f"n{i}", 8) for i in range(5)], [(f"v{i}", 4) for i in range(4)]), objective="consolidate")
    assert solution.objective == solution.bound == 3
    assert len(solution.powered) == 3
    assert set(solution.placement.values()) <= set(solution.powered)


def test_best_effort_places_all_and_protects_the_important():
    vms = [{"name": "vital", "memory": 4, "priority": 5}, ("b", 4), ("c", 4)]
    document = cluster([("n1", 8), ("n2", 8)], vms)
    assert vmplace.place(document, method="exact").status == "infeasible"
    solution = optimal(document, best_effort=True)
    assert solution.guarantee == "unsafe"
    assert set(solution.placement) == {"vital", "b", "c"}
    assert {vm for entry in solution.unprotected for vm in entry.vms} == {"b", "c"}


def test_a_vm_larger_than_any_node_is_infeasible_even_as_best_effort():
    document = cluster([("n1", 8), ("n2", 8)], [("a", 9)])
    for best_effort in (False, True):
        answer = vmplace.place(document, best_effort=best_effort)
        assert (answer.status, answer.placement, answer.guarantee) == ("infeasible", None, "unsafe")


def test_nothing_at_all_is_safe():
    assert vmplace.check(cluster([])).status == "safe"
    assert vmplace.place(cluster([])).placement == {}


# What is not there yet says so
