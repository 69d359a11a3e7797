import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, NotSupportedError, OnlyOn
from vmplace.generate import generate

NODES = [Node(f"n{i}", "64GiB") for i in range(3)]
SMALL = Cluster(NODES, [VM("a", "16GiB", "n0"), VM("b", "16GiB", "n0"), VM("c", "8GiB")])


def hard():
    return generate(nodes=64, fill=0.97, profile="flavors", placed="worst-fit", seed=1)


@pytest.mark.parametrize(
    ("cluster", "place"),
    [
        (evolve(SMALL, guarantee=Guarantee(restart="any-order")), "guarantee.restart"),
        (evolve(SMALL, guarantee=Guarantee(sequence="sequential")), "guarantee.sequence"),
        (evolve(SMALL, guarantee=Guarantee(policy="first-fit")), "guarantee.policy"),
        (evolve(SMALL, guarantee=Guarantee(order="priority")), "guarantee.order"),
        (evolve(SMALL, guarantee=Guarantee(failures=2)), "guarantee.failures"),
        (evolve(SMALL, guarantee=Guarantee(scope="domain")), "guarantee.scope"),
        (evolve(SMALL, rules=[Apart(["a", "b"], scope="domain")]), "rules[0].scope"),
        (evolve(SMALL, nodes=[evolve(NODES[0], price=2), *NODES[1:]]), "nodes[0].price"),
        (evolve(SMALL, nodes=[*NODES[:2], evolve(NODES[2], resources={"vcpu": 8})]), "nodes[2].resources"),
        (evolve(SMALL, vms=[VM("a", 1, resources={"vcpu": 8})]), "vms[0].resources"),
        (evolve(SMALL, vms=[VM("a", 1), VM("b", 1, evictable=True)]), "vms[1].evictable"),
        (evolve(SMALL, vms=[VM("a", 1, "n0", target="n1")]), "vms[0].target"),
    ],
)
@pytest.mark.parametrize("ask", [vmplace.check, vmplace.place, vmplace.repair])
def test_what_is_not_supported_yet_is_refused_with_its_place(ask, cluster, place):
    with pytest.raises(NotSupportedError, match="not supported yet") as refused:
        ask(cluster)
    assert [flaw.place for flaw in refused.value.flaws] == [place]


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


def test_the_document_has_what_was_started_running():
    waiting = Cluster(NODES, [VM("a", 8, running=False), VM("b", 8, "n1", running=False)])
    document = vmplace.place(waiting).to_document()
    assert (document.vms[0].running, document.vms[1].running) == (True, False)
    assert document.vms[0].node is not None
    assert document.vms[1].node == "n1"
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
    assert vmplace.place(generate(nodes=600, fill=0.5, profile="flavors")).method == "greedy"


def test_limits_on_migrations():
    spread = vmplace.load(Path(__file__).parents[1] / "examples" / "looks-safe.json")
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
import signal, vmplace
from vmplace.generate import generate
cluster = generate(nodes=64, fill=0.97, profile="flavors", placed="worst-fit", seed=1)
print("ready", flush=True)
solution = vmplace.repair(cluster, time_limit=60)
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
