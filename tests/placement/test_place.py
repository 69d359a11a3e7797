import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, OnlyOn, Together
from vmplace.synthetic import generate

NODES = [Node(f"n{i}", "64GiB") for i in range(3)]
SMALL = Cluster(NODES, [VM("a", "16GiB", "n0"), VM("b", "16GiB", "n0"), VM("c", "8GiB")])


def hard():
    return generate(nodes=64, fill=0.97, profile="flavors", placed="worst-fit", seed=1)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"objective": "speed"}, "objective"),
        ({"objective": ()}, "objective"),
        ({"objective": ("moves", "moves")}, "objective"),
        ({"method": "magic"}, "method"),
        ({"seed": -1}, "seed"),
        ({"max_moves": -1}, "max_moves"),
        ({"max_migrated": "8G"}, "max_migrated"),
        ({"time_limit": -1}, "time_limit"),
        ({"time_limit": float("nan")}, "time_limit"),
    ],
)
def test_a_wrong_argument_is_named(options, place):
    with pytest.raises(InputError) as refused:
        vmplace.place(SMALL, **options)
    assert refused.value.flaws[0].place == place


def test_vms_that_have_a_node_stay():
    solution = vmplace.place(SMALL)
    assert (solution.status, solution.guarantee) == ("optimal", "safe")
    assert solution.placement["a"] == solution.placement["b"] == "n0"
    assert solution.migrations == ()
    assert vmplace.place(SMALL, move_running=True).objective < solution.objective


def test_the_document_has_what_was_started_where_it_was_started_and_leaves_alone_what_is_stopped():
    waiting = Cluster(NODES, [VM("a", 8), VM("b", 8, "n1", running=False), VM("c", 8, running=False)])
    document = vmplace.place(waiting).to_document()
    assert [vm.running for vm in document.vms] == [True, False, False]
    assert document.vms[0].node is not None
    assert [vm.node for vm in document.vms[1:]] == ["n1", None]
    with pytest.raises(ValueError, match="infeasible"):
        vmplace.place(Cluster(NODES[:1], [VM("a", 8)])).to_document()


def test_several_objectives_give_several_values():
    solution = vmplace.place(SMALL, objective=("moves", "balance"), move_running=True)
    assert solution.objective == solution.bound == (0, solution.objective[1])
    assert solution.gap == (0.0, 0.0)
    assert solution.to_dict()["objective"]["value"] == [0, float(solution.objective[1])]


def test_columns_and_objects_give_the_same():
    columns = Cluster.from_arrays(node_memory=[64, 64, 64], vm_memory=[16, 16, 8], vm_node=[0, 0, -1])
    objects = Cluster(list(columns.nodes), list(columns.vms))
    for ask in (vmplace.check, vmplace.place, vmplace.repair):
        found, same = ask(columns).to_dict(), ask(objects).to_dict()
        found.pop("stats"), same.pop("stats")
        assert found == same


def test_auto_says_which_method_it_chose():
    assert vmplace.place(SMALL).method == "exact"
    assert vmplace.place(generate(nodes=2001, fill=0.1, profile="flavors")).method == "greedy"


def test_limits_on_migrations():
    spread = vmplace.load(Path(__file__).parents[2] / "examples" / "looks-safe.json")
    free = vmplace.repair(spread)
    assert free.objective == 24 * 1024
    assert vmplace.repair(spread, max_migrated=free.objective - 1).status == "infeasible"
    assert vmplace.repair(spread, max_migrated=f"{free.objective}MiB").objective == free.objective
    assert vmplace.repair(spread, max_moves=0).status == "infeasible"


def test_best_effort_protects_the_higher_priority():
    nodes = [Node("n1", 10), Node("n2", 10)]
    vms = [VM("low-1", 4), VM("low-2", 4), VM("high", 4, priority=1)]
    assert vmplace.place(Cluster(nodes, vms)).status == "infeasible"
    solution = vmplace.place(Cluster(nodes, vms), best_effort=True)
    assert (solution.status, solution.guarantee) == ("optimal", "unsafe")
    lost = {vm for left_out in solution.unprotected for vm in left_out.vms}
    assert lost == {"low-1", "low-2"}


def test_rules_that_are_no_must_come_before_balance():
    wish = OnlyOn(["a", "b", "c"], ["n0"], must=False)
    cluster = Cluster(NODES, [VM(name, "8GiB") for name in "abc"], [wish])
    solution = vmplace.place(cluster)
    assert set(solution.placement.values()) == {"n0"}
    assert solution.broken_rules == ()
    # ... but cause no migration of their own.
    moved = Cluster(NODES, [VM(name, "8GiB", "n1") for name in "abc"], [wish])
    repaired = vmplace.repair(moved)
    assert repaired.migrations == ()
    assert [(b.rule, b.kind, b.weight) for b in repaired.broken_rules] == [(0, "only-on", 1)]


def test_consolidate_names_the_nodes_that_stay_on():
    nodes = [Node(f"n{i}", 10) for i in range(6)]
    solution = vmplace.place(Cluster(nodes, [VM(f"vm{i}", 5) for i in range(4)]), objective="consolidate")
    assert (solution.status, solution.objective, len(solution.powered)) == ("optimal", 3, 3)
    assert set(solution.failover) == set(solution.powered)


def test_progress_is_told():
    heard = []
    vmplace.repair(hard(), time_limit=1.5, progress=heard.append)
    assert "search" in {event.phase for event in heard}
    assert all(event.value is None or event.value >= event.bound for event in heard)


@pytest.mark.parametrize("limit", [0, 0.3, 1.0])
def test_the_time_limit_is_kept(limit):
    cluster = hard()
    start = time.monotonic()
    solution = vmplace.repair(cluster, time_limit=limit)
    assert time.monotonic() - start < limit + 0.5
    assert (solution.placement is None) == (solution.status == "unknown")
    assert solution.gap is None or 0 <= solution.gap <= 1


def test_cancel_ends_a_search():
    cancel = threading.Event()
    threading.Timer(0.7, cancel.set).start()
    start = time.monotonic()
    solution = vmplace.repair(hard(), time_limit=60, cancel=cancel)
    assert time.monotonic() - start < 5
    assert solution.guarantee in ("safe", "unknown")


def test_ctrl_c_returns_the_best_and_leaves_the_handler():
    program = """
import signal
from vmplace import repair  # loaded before the signal may come
from vmplace.synthetic import generate
cluster = generate(nodes=64, fill=0.97, profile="flavors", placed="worst-fit", seed=1)
print("ready", flush=True)
solution = repair(cluster, time_limit=60)
print(solution.status, solution.guarantee, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(2.5)
    child.send_signal(signal.SIGINT)
    start = time.monotonic()
    rest, _ = child.communicate(timeout=30)
    assert time.monotonic() - start < 2
    assert rest == "feasible safe True\n"


@pytest.mark.slow
def test_a_hard_search_measured_in_work_ends_the_same():
    first, second = (vmplace.repair(hard(), time_limit=4, deterministic=True, seed=3) for _ in range(2))
    assert first.stats["work"] == second.stats["work"] > 0
    assert (first.status, first.objective, first.bound) == (second.status, second.objective, second.bound)
    assert first.placement == second.placement


def test_limits_on_memory_in_words():
    nodes = [Node(f"n{i}", "256GiB") for i in range(3)]
    cluster = Cluster(nodes, [VM("a", "64GiB", "n0"), VM("b", "64GiB", "n0"), VM("c", "192GiB", "n1")])
    assert vmplace.repair(cluster).objective == 0
    assert vmplace.place(cluster, move_running=True, max_migrated="64GiB").objective == Fraction(3, 4)
    assert vmplace.place(cluster, move_running=True, max_migrated="63GiB").migrations == ()


def test_after_a_failure_every_vm_runs_and_no_other_failure_is_worse_than_it_was():
    lost = Node("n3", "64GiB", state="offline")
    vms = [VM(f"vm{i}", "16GiB", f"n{i % 4}") for i in range(9)]
    cluster = Cluster([*NODES, lost], vms)
    before = vmplace.check(cluster)
    assert (before.status, before.waiting) == ("unsafe", ("vm3", "vm7"))
    strict, solution = vmplace.place(cluster), vmplace.place(cluster, best_effort=True)
    assert strict.status == "infeasible"
    assert set(solution.placement.values()) == {"n0", "n1", "n2"}
    now = {left.scenario: len(left.vms) for left in before.unprotected}
    then = {left.scenario: len(left.vms) for left in solution.unprotected}
    assert all(then[node] <= now.get(node, 0) + len(before.waiting) for node in then)
    assert solution.warnings == ()


def test_headroom_is_given_up_with_a_warning_and_only_if_it_must_be():
    roomy = Cluster(NODES, [VM(f"vm{i}", "16GiB") for i in range(6)], guarantee=Guarantee(headroom=0.5))
    assert vmplace.place(roomy, best_effort=True).warnings == ()
    crowded = evolve(roomy, guarantee=Guarantee(headroom=0.75))
    assert vmplace.place(crowded).status == "infeasible"
    solution = vmplace.place(crowded, best_effort=True)
    assert len(solution.placement) == 6
    assert any("headroom" in warning for warning in solution.warnings)


def test_a_best_effort_with_nothing_to_protect_is_safe():
    guests = Cluster(NODES[:1], [VM("a", "32GiB", protected=False), VM("b", "32GiB", protected=False)])
    for best_effort in (False, True):
        solution = vmplace.place(guests, best_effort=best_effort)
        assert (solution.status, solution.guarantee, solution.objective) == ("optimal", "safe", 1)


def test_a_node_in_maintenance_that_hosts_stays_on():
    nodes = [Node("m", "64GiB", state="maintenance"), *NODES]
    vms = [VM("fixed", "8GiB", "m", movable=False), VM("b", "8GiB", "n0"), VM("c", "8GiB", "n1")]
    solution = vmplace.place(Cluster(nodes, vms), objective="consolidate", move_running=True)
    assert (solution.status, solution.objective) == ("optimal", 3)
    assert "m" in solution.powered
    assert solution.failover["m"]["fixed"] in solution.powered
    away = vmplace.place(Cluster(nodes, [evolve(vms[0], movable=True), *vms[1:]]), objective="consolidate", move_running=True)
    assert (away.objective, "m" in away.powered) == (2, False)


def test_one_impossible_pool_makes_it_all_infeasible_but_a_best_effort_serves_the_other():
    nodes = [*NODES, Node("lone", "64GiB", pool="b")]
    cluster = Cluster(nodes, [*SMALL.vms, VM("x", "1GiB", pool="b")])
    assert "a single node can never be N+1" in vmplace.place(cluster).reason
    solution = vmplace.place(cluster, best_effort=True)
    assert (solution.status, solution.guarantee) == ("optimal", "unsafe")
    assert solution.pools == {"default": "safe", "b": "unsafe"}


def test_a_rule_over_two_pools():
    nodes = [Node(f"{pool}{i}", 10, pool=pool) for pool in "ab" for i in range(3)]
    vms = [VM(f"{pool}-{i}", 3, pool=pool) for pool in "ab" for i in range(3)]
    rule = Apart([vm.name for vm in vms], during_failover=False)
    solution = vmplace.place(Cluster(nodes, vms, [rule, Together(["a-0", "b-0"], must=False, weight=10**9)]))
    assert (solution.status, solution.objective) == ("optimal", Fraction(3, 10))
    assert len(set(solution.placement.values())) == 6
    assert [broken.rule for broken in solution.broken_rules] == [1]


def test_a_group_joins_the_member_that_must_stay():
    vms = [VM("fixed", "8GiB", "n1", movable=False), VM("b", "8GiB", "n0"), VM("c", "8GiB")]
    solution = vmplace.repair(Cluster(NODES, vms, [Together(["fixed", "b"]), Together(["b", "c"])]))
    assert set(solution.placement.values()) == {"n1"}
    assert (solution.objective, [move.vm for move in solution.migrations]) == (8 * 1024, ["b"])


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_headroom_gives_way_before_a_failure_gets_worse(method: str):
    """Within the headroom the waiting VM fits beside a and b only, where c could not restart any more."""
    nodes = [Node("n0", 4), Node("n1", 3), Node("n2", 1), Node("n3", 1)]
    vms = [VM("a", 1, node="n0"), VM("b", 1, node="n0"), VM("waits", 1), VM("c", 2, node="n1")]
    solution = vmplace.place(Cluster(nodes, vms, guarantee=Guarantee(headroom=0.1)), best_effort=True, method=method)
    assert solution.guarantee == "safe"
    assert solution.placement["waits"] in {"n1", "n2", "n3"}
    assert [warning for warning in solution.warnings if "headroom" not in warning] == []
    assert solution.warnings


# The order of migrations


CROSSED = Cluster([Node(f"n{i}", 20) for i in range(4)], [VM(f"v{k}", 6, "n0") for k in range(3)])


@pytest.mark.parametrize("options", [{}, {"time_limit": None}, {"deterministic": True}, {"best_effort": True}])
def test_migrations_have_steps(options):
    solution = vmplace.place(CROSSED, objective="balance", move_running=True, **options)
    assert len(solution.migrations) == 2
    assert {m.step for m in solution.migrations} == set(range(1, len(solution.plan.steps) + 1))
    assert solution.to_dict()["plan"]["status"] == solution.plan.status.value


def test_limits_on_parallel_migrations_make_more_steps():
    asked = {"objective": "balance", "move_running": True}
    assert len(vmplace.place(CROSSED, **asked, parallel_per_node=None).plan.steps) == 1
    steps = vmplace.place(CROSSED, **asked, parallel=1).plan.steps
    assert len(steps) == 2
    assert all(len(step.migrations) == 1 for step in steps)


def test_no_order_where_none_is_asked_for_or_nothing_moves():
    assert [m.step for m in vmplace.place(CROSSED, move_running=True, ordered=False).migrations] == [None, None]
    assert vmplace.place(CROSSED).plan is None


def test_what_cannot_be_put_in_order_is_told():
    swap = Cluster(
        [Node("n0", 10), Node("n1", 10)],
        [VM("a", 6, "n0"), VM("b", 6, "n1")],
        [OnlyOn(("a",), ("n1",)), OnlyOn(("b",), ("n0",))],
        Guarantee(failures=0),
    )
    solution = vmplace.repair(swap)
    assert [m.step for m in solution.migrations] == [None, None]
    assert solution.plan.status == "infeasible"
    assert solution.warnings[0].startswith("the migrations are not put in order: no VM can migrate")


@pytest.mark.slow
def test_a_large_cluster_is_consolidated_from_where_its_vms_are():
    cluster = vmplace.generate(nodes=1000, node_memory="512GiB", fill=0.9, placed="worst-fit", seed=1)
    solution = vmplace.place(cluster, objective="consolidate", move_running=True, ordered=False)
    assert (solution.status, solution.objective) == ("optimal", 901)
    # The nodes that are switched off hold a tenth of the memory.
    assert sum(migration.memory for migration in solution.migrations) < 0.15 * int(cluster.vms.memory.sum())
