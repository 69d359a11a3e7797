"""What platforms would promise: who is wrong in known cases, and what none of them can get wrong."""

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, Node, OnlyOn
from vmplace.failover.platforms import COUNTING, SIMULATIONS, Capacity
from vmplace.formats.document import load
from vmplace.problem.compile import compile_problem
from vmplace.testing import clusters

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNTED = ("sum of survivors", "percentage", "slots", "dedicated host")
PLATFORMS = (*COUNTED, "first-fit", "worst-fit", "fewest-vms")


def compared(cluster, **options):
    return {row.policy: row for row in vmplace.check(cluster, compare=True, **options).comparison}


def wrong(cluster):
    """Who is, and how."""
    return {name: row.wrong for name, row in compared(cluster).items() if row.wrong}


def says(cluster):
    return {name: str(row.says) for name, row in compared(cluster).items()}


def cluster_of(usable, sizes, **options):
    """Nodes of these sizes, and on each VMs of these."""
    vms = [VM(f"v{i}-{j}", size, f"n{i}") for i, on_node in enumerate(sizes) for j, size in enumerate(on_node)]
    return Cluster([Node(f"n{i}", memory) for i, memory in enumerate(usable)], vms, **options)


FALSE_SAFE, FALSE_UNSAFE = "false safe", "false unsafe"
NO_SLOTS = {"slots": FALSE_UNSAFE, "dedicated host": FALSE_UNSAFE}

KNOWN = {
    "packable, but not in list order": (
        cluster_of((100, 20, 20), ((2, 3, 3, 4, 6), (9,), (11,))),
        "safe",
        {**NO_SLOTS, "first-fit": FALSE_UNSAFE},
    ),
    "packable, but not where most is free": (
        cluster_of((11, 6, 5), ((3, 3, 5), (), ())),
        "safe",
        {**NO_SLOTS, "worst-fit": FALSE_UNSAFE},
    ),
    "enough is free, but in crumbs": (
        cluster_of((4096,) * 4, ((1000,) * 3, (1000,) * 3, (3000,), (1000,) * 3)),
        "unsafe",
        {"sum of survivors": FALSE_SAFE, "percentage": FALSE_SAFE},
    ),
    "a large node beside small ones": (
        cluster_of((16, 16, 384), ((), (), (270,))),
        "unsafe",
        {"percentage": FALSE_SAFE},
    ),
    "an exact fit": (cluster_of((100, 100), ((100,), ())), "safe", {}),
    "a single node": (cluster_of((100,), ((1,),)), "unsafe", {}),
    "a group as large as the cluster": (
        cluster_of((100,) * 3, ((1,),) * 3, rules=[Apart(["v0-0", "v1-0", "v2-0"])]),
        "unsafe",
        dict.fromkeys(COUNTED[:3], FALSE_SAFE),
    ),
    "the spare is barred": (
        cluster_of((9, 9), ((3,), ()), rules=[OnlyOn(["v0-0"], ["n0"])]),
        "unsafe",
        dict.fromkeys(COUNTED, FALSE_SAFE),
    ),
    "another resource binds": (
        Cluster([Node("a", 9, resources={"vcpu": 4}), Node("b", 9)], [VM("x", 3, "a", resources={"vcpu": 1})]),
        "unsafe",
        dict.fromkeys(COUNTED, FALSE_SAFE),
    ),
    "a stopped VM takes nothing": (
        Cluster([Node("a", 9), Node("b", 9)], [VM("x", 9, "a"), VM("off", 99, "b", running=False)]),
        "safe",
        {},
    ),
    "nothing runs": (cluster_of((9, 9), ((), ())), "safe", {}),
    "no node": (Cluster([]), "safe", {}),
}


@pytest.mark.parametrize(("cluster", "truth", "who_is_wrong"), KNOWN.values(), ids=KNOWN)
def test_who_is_wrong_in_known_cases(cluster, truth, who_is_wrong):
    assert vmplace.check(cluster).status == says(cluster)["planned"] == truth
    assert wrong(cluster) == who_is_wrong


@pytest.mark.parametrize(
    ("name", "who_is_wrong"),
    [
        ("safe.yaml", NO_SLOTS),
        ("looks-safe.json", {"sum of survivors": FALSE_SAFE, "percentage": FALSE_SAFE}),
        ("impossible.json", {"sum of survivors": FALSE_SAFE, "percentage": FALSE_SAFE}),
    ],
)
def test_who_is_wrong_in_the_examples(name, who_is_wrong):
    assert wrong(load(str(EXAMPLES / name))) == who_is_wrong


def test_each_says_why_in_figures():
    rows = compared(load(str(EXAMPLES / "looks-safe.json")))
    lost = "1 of 4 failures not survived; esx-1: erp-db "
    assert {name: row.reason for name, row in rows.items()} == {
        "planned": f"{lost}needs 64 GiB; the most that is free on one other node is 40 GiB on esx-2",
        "any-order": "what is unsafe with plans is unsafe in any order",
        "sum of survivors": "320 GiB used of 360 GiB without the largest node",
        "percentage": "320 GiB used of 480 GiB (66.7%), 25.0% to be kept free",
        "slots": "16 slots of 64 GiB needed, 3 available without the best node",
        "dedicated host": "1 empty node needed, 0 as large as any in use",
        "first-fit": f"{lost}finds no node",
        "worst-fit": f"{lost}finds no node",
        "fewest-vms": "4 of 4 failures not survived; esx-1: the platform restarts erp-db on esx-2 (fewest-vms), "
        "whether there is room or not: 144 of 120 GiB on esx-2",
    }
    assert [row.source for row in rows.values()] == [
        *["vmplace"] * 2,
        "VergeOS, Ansible",
        *["VMware"] * 3,
        "oVirt",
        "XenServer",
        "Proxmox VE",
    ]


def test_what_proxmox_would_do_is_no_promise_and_never_wrong():
    rows = compared(cluster_of((64, 64, 64), ((24, 24), (30, 30), (1, 1, 1))))
    assert (rows["planned"].says, rows["fewest-vms"].says, rows["fewest-vms"].wrong) == ("safe", "unsafe", "")
    assert "108 of 64 MiB on n1" in rows["fewest-vms"].reason


def test_any_order_has_a_row_of_its_own_and_is_not_called_wrong():
    rows = compared(cluster_of((10, 6, 5), ((5, 3, 2), (), ())))
    assert (rows["planned"].says, rows["any-order"].says, rows["any-order"].wrong) == ("safe", "unsafe", "")
    assert "finds no node if the HA manager restarts" in rows["any-order"].reason


@pytest.mark.parametrize("asked", [{"restart": "any-order"}, {"policy": "most-free"}, {"sequence": "sequential"}, {}])
def test_the_same_is_told_whatever_the_cluster_asks(asked):
    cluster = cluster_of((11, 6, 5), ((3, 3, 5), (), ()), guarantee=Guarantee(**asked))
    assert wrong(cluster) == {**NO_SLOTS, "worst-fit": FALSE_UNSAFE}
    assert says(cluster)["any-order"] == "unsafe"


def test_a_waiting_protected_vm_is_safe_to_nobody():
    cluster = Cluster([Node("a", 9), Node("b", 9)], [VM("new", 1)])
    rows = compared(cluster)
    assert {row.says for row in rows.values()} == {"unsafe"}
    assert {row.wrong for row in rows.values()} == {""}
    assert all(rows[name].reason == "1 protected VM waits for a node" for name in (*PLATFORMS, "planned"))
    assert set(says(evolve(cluster, vms=[VM("new", 1, protected=False)])).values()) == {"safe"}


def test_what_is_wrong_now_is_the_reason():
    crowded = compared(cluster_of((9, 99), ((5, 5), ())))
    assert crowded["planned"].says == crowded["first-fit"].says == "unsafe"
    assert "n0 holds 10 MiB" in crowded["planned"].reason
    assert crowded["sum of survivors"].says == "unsafe"


def test_no_failure_to_survive():
    rows = compared(cluster_of((9, 9), ((9,), (9,)), guarantee=Guarantee(failures=0)))
    assert {(row.says, row.wrong, row.reason) for row in rows.values()} == {("safe", "", "the guarantee covers no failure")}


def test_a_pool_counts_by_itself():
    nodes = [Node("a", 9), Node("b", 9), *(Node(f"g{i}", 99, pool="gpu") for i in (1, 2))]
    vms = [VM("x", 9, "a"), VM("y", 9, "b"), VM("z", 9, "g1", pool="gpu")]
    rows = compared(Cluster(nodes, vms))
    assert rows["sum of survivors"].reason == "pool default: 18 MiB used of 9 MiB without the largest node"
    assert {rows[name].says for name in PLATFORMS} == {"unsafe"}
    good = compared(Cluster(nodes, vms[:1] + vms[2:]))
    assert {good[name].says for name in PLATFORMS} == {"safe"}


def figures(cluster):
    """What each counts: needed, and there."""
    (pool,) = Capacity.of(compile_problem(cluster)).values()
    counts = {policy.policy: policy.count(pool) for policy in COUNTING}
    return {name: (count.needed, count.there) for name, count in counts.items()}


@pytest.mark.parametrize(
    ("failures", "sums", "percentage", "slots", "dedicated"),
    [(1, (12, 20), (12, 20), (4, 4), (1, 2)), (2, (12, 10), (12, 10), (4, 2), (2, 2)), (5, (12, 0), (12, 0), (4, 0), (5, 2))],
)
def test_several_failures(failures, sums, percentage, slots, dedicated):
    cluster = cluster_of((10, 10, 10), ((5, 4, 2, 1), (), ()), guarantee=Guarantee(failures=failures))
    told = {"sum of survivors": sums, "percentage": percentage, "slots": slots, "dedicated host": dedicated}
    assert figures(cluster) == told


def test_a_node_that_is_off_is_not_there_and_one_in_maintenance_has_what_it_holds():
    nodes = [Node("a", 10), Node("b", 10), Node("m", 50, state="maintenance"), Node("off", 90, state="offline")]
    told = figures(Cluster(nodes, [VM("x", 4, "a"), VM("y", 3, "m"), VM("z", 2, "m")]))
    assert told == {"sum of survivors": (9, 15), "percentage": (9, 16), "slots": (3, 4), "dedicated host": (1, 0)}
    assert figures(Cluster(nodes, [VM("x", 4, "a")]))["percentage"] == (4, 10)


def test_who_need_not_restart_takes_memory_and_the_evictable_do_not():
    nodes = [Node("a", 10), Node("b", 10), Node("c", 10)]
    vms = [VM("x", 4, "a"), VM("u", 3, "b", protected=False), VM("e", 5, "c", evictable=True)]
    told = {"sum of survivors": (4, 17), "percentage": (4, 18), "slots": (1, 3), "dedicated host": (1, 1)}
    assert figures(Cluster(nodes, vms)) == told


def test_a_migration_takes_memory_on_its_target_too():
    cluster = Cluster([Node("a", 10), Node("b", 10), Node("c", 10)], [VM("x", 4, "a", target="b")])
    assert figures(cluster) == {"sum of survivors": (4, 16), "percentage": (4, 17), "slots": (1, 3), "dedicated host": (1, 1)}


def racks(*sizes):
    """Nodes by failure domain."""
    return [
        Node(f"{rack}{i}", memory, domain=rack)
        for rack, nodes in zip("rst", sizes, strict=False)
        for i, memory in enumerate(nodes)
    ]


def test_failure_domains_fail_whole():
    asked = Guarantee(scope="domain")
    told = figures(Cluster([*racks((10, 10), (10, 5)), Node("own", 12)], [VM("x", 4, "r0")], guarantee=asked))
    assert told == {"sum of survivors": (4, 27), "percentage": (4, 31), "slots": (1, 6), "dedicated host": (1, 0)}


@pytest.mark.parametrize(
    ("spare", "enough"), [((10, 5), True), ((5, 10), True), ((20,), False), ((8, 8), False), ((10, 5, 1), True)]
)
def test_a_dedicated_domain_takes_the_place_of_any_other_node_by_node(spare, enough):
    cluster = Cluster(racks((10, 5), spare), [VM("x", 10, "r0"), VM("y", 5, "r1")], guarantee=Guarantee(scope="domain"))
    assert (says(cluster)["dedicated host"] == "safe") is enough


def test_time_that_runs_out_leaves_verdicts_open_and_nobody_wrong():
    hard = cluster_of((100, 16, 11), ((7, 7, 5, 5, 3), (), ()))
    rows = compared(hard, time_limit=0)
    assert rows["planned"].says == rows["any-order"].says == rows["first-fit"].says == "unknown"
    assert rows["planned"].reason == "1 of 3 failures not decided"
    assert rows["sum of survivors"].says == "safe"
    assert {row.wrong for row in rows.values()} == {""}


def test_failures_in_turn_are_judged_in_turn():
    nodes = [Node(name, memory) for name, memory in (("A", 5), ("B", 3), ("C", 3), ("D", 2), ("E", 2))]
    vms = [VM("a", 2, "A"), VM("b", 3, "B"), VM("e", 2, "E")]
    cluster = Cluster(nodes, vms, [OnlyOn(["e"], ["A", "D", "E"])], Guarantee(failures=2, sequence="sequential"))
    rows = compared(cluster)
    assert (rows["planned"].says, rows["planned"].reason) == ("unsafe", "not survived one after the other")
    assert wrong(cluster) == {"sum of survivors": FALSE_SAFE, "percentage": FALSE_SAFE}
    assert says(evolve(cluster, guarantee=Guarantee(failures=2)))["planned"] == "safe"


def test_what_is_told_is_json():
    (row, *_) = vmplace.check(KNOWN["a single node"][0], compare=True).comparison
    assert row.to_dict() == {"policy": "planned", "source": "vmplace", "says": "unsafe", "wrong": "", "reason": row.reason}
    assert type(row.to_dict()["says"]) is str


# What holds for every cluster

MEMORY_ONLY = {
    "rules": False,
    "domains": True,
    "evictable": True,
    "targets": True,
    "failures": (1, 1, 2),
    "max_nodes": 5,
}
quiet = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@quiet
@given(clusters(placed="all", **MEMORY_ONLY))
def test_the_sum_of_survivors_is_necessary(cluster):
    assert compared(cluster)["sum of survivors"].wrong != FALSE_UNSAFE


@quiet
@given(clusters(**MEMORY_ONLY))
def test_slots_and_dedicated_hosts_are_sufficient_for_plans(cluster):
    report = vmplace.check(cluster, compare=True)
    if not report.violations:
        rows = {row.policy: row for row in report.comparison}
        assert rows["slots"].wrong != FALSE_SAFE
        assert rows["dedicated host"].wrong != FALSE_SAFE


@quiet
@given(
    clusters(
        domains=True,
        resources=True,
        evictable=True,
        targets=True,
        failures=(1, 1, 2),
        restart=("planned", "any-order"),
        policies=True,
        sequences=("at-once", "sequential"),
    )
)
def test_simulations_are_sufficient_and_any_order_is_more_than_planned(cluster):
    rows = compared(cluster)
    assert rows["fewest-vms"].says != "safe" or rows["planned"].says == "safe"
    for name in ("first-fit", "worst-fit"):
        assert rows[name].wrong != FALSE_SAFE
        assert rows["any-order"].says != "safe" or rows[name].says == "safe"
    assert (rows["planned"].says, rows["any-order"].says) not in {("unsafe", "safe"), ("unsafe", "unknown")}
    assert all(row.reason for row in rows.values())


@quiet
@given(clusters(domains=True, resources=True, evictable=True, targets=True, failures=(0, 1, 2)), st.sampled_from(SIMULATIONS))
def test_a_simulation_is_what_the_guarantee_would_tell(cluster, simulation):
    asked = evolve(cluster, guarantee=simulation.promise(cluster.guarantee))
    assert vmplace.check(asked).status is compared(cluster)[simulation.policy].says


PLAIN = dict.fromkeys(("rules", "states", "pools", "unprotected", "immovable", "priorities", "stopped", "headroom"), False)


@quiet
@given(clusters(min_nodes=1, placed="all", **PLAIN))
def test_on_plain_clusters_sums_and_shares_are_what_they_are_said_to_be(cluster):
    usable, used = [node.usable for node in cluster.nodes], sum(vm.memory for vm in cluster.vms)
    told = says(cluster)
    assert (told["sum of survivors"] == "safe") is (used <= sum(usable) - max(usable))
    assert (told["percentage"] == "safe") is (used * len(usable) <= sum(usable) * (len(usable) - 1))
    slot = max((vm.memory for vm in cluster.vms), default=1)
    slots = sorted(memory // slot for memory in usable)
    assert (told["slots"] == "safe") is (len(cluster.vms) <= sum(slots[:-1]))
    empty = [node.usable for node in cluster.nodes if all(vm.node != node.name for vm in cluster.vms)]
    assert (told["dedicated host"] == "safe") is (not cluster.vms or max(empty, default=0) >= max(usable))
